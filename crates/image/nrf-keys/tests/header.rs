// SPDX-License-Identifier: Apache-2.0

//! The bindings say the same as the header that the C compiler checks against the SDK's.

use std::collections::BTreeMap;

const HEADER: &str = include_str!("../include/nrf_keys.h");
const RAW: &str = include_str!("../src/raw.rs");

/// Functions by name, with argument types and return type in Rust's words.
type Functions = BTreeMap<String, (Vec<String>, String)>;

fn rust_type(c: &str) -> String {
    let c = c.replace('*', " * ");
    let is_pointer = c.contains('*') || c.contains('[');
    let is_const = c.split_whitespace().any(|word| word == "const");
    let base = c
        .split_whitespace()
        .find_map(|word| match word {
            "int" => Some("c_int"),
            "bool" => Some("bool"),
            "void" => Some("()"),
            "int32_t" => Some("i32"),
            "uint32_t" => Some("u32"),
            "uint8_t" => Some("u8"),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no fixed-width type: {c}"));
    match (is_pointer, is_const) {
        (false, _) => base.to_owned(),
        (true, false) => format!("*mut {base}"),
        (true, true) => format!("*const {base}"),
    }
}

/// The header without comments and preprocessor lines, a declaration each.
fn c_functions() -> Functions {
    let mut text = HEADER.to_owned();
    while let Some(start) = text.find("/*") {
        let end = start + text[start..].find("*/").unwrap() + 2;
        text.replace_range(start..end, "");
    }
    let text: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    text.split(';')
        .filter(|declaration| !declaration.trim().is_empty())
        .map(|declaration| {
            let (head, arguments) = declaration.split_once('(').unwrap();
            let (result, name) = head.trim().rsplit_once(' ').unwrap();
            let arguments = arguments.trim().trim_end_matches(')');
            let arguments = match arguments {
                "void" => Vec::new(),
                _ => arguments.split(',').map(rust_type).collect(),
            };
            (name.to_owned(), (arguments, rust_type(result)))
        })
        .collect()
}

fn rust_functions() -> Functions {
    let block = RAW.split_once("extern \"C\" {").unwrap().1;
    block
        .split(';')
        .filter_map(|declaration| declaration.split_once("fn "))
        .map(|(_, declaration)| {
            let (name, rest) = declaration.split_once('(').unwrap();
            let (arguments, result) = rest.split_once(')').unwrap();
            let arguments = arguments
                .split(',')
                .filter_map(|argument| argument.split_once(':'))
                .map(|(_, kind)| kind.trim().to_owned())
                .collect();
            let result = result.trim().strip_prefix("-> ").unwrap_or("()");
            (name.to_owned(), (arguments, result.to_owned()))
        })
        .collect()
}

/// `NRF_KEYS_*` numbers by name.
fn constants(text: &str, before: &str, between: &str) -> BTreeMap<String, u32> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix(before)?.split_once(between))
        .filter_map(|(name, value)| {
            let value = value.trim().trim_end_matches(';').parse().ok()?;
            Some((name.trim().to_owned(), value))
        })
        .collect()
}

#[test]
fn header_and_bindings_declare_the_same_functions() {
    let header = c_functions();
    assert_eq!(header.len(), 15, "{header:#?}");
    assert_eq!(header, rust_functions());
}

#[test]
fn header_and_bindings_have_the_same_constants() {
    let header = constants(HEADER, "#define ", " ");
    assert_eq!(header.len(), 7, "{header:#?}");
    assert_eq!(header, constants(RAW, "pub(crate) const ", ": u32 = "));
}
