// SPDX-License-Identifier: Apache-2.0

//! The table of failures in the documentation is the table of causes in the code.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use provisioning::Cause;

/// What stands before and after the table in `docs/failures.rst`.
const MARKS: [&str; 2] = [".. failures-table-begin\n\n", "\n.. failures-table-end\n"];

/// The table in reStructuredText, a row for each cause.
fn table() -> String {
    let mut table = String::from(
        ".. list-table::\n   :header-rows: 1\n   :widths: 5 35 60\n\n   * - No.\n     - Failure\n     - What to do\n",
    );
    for row in Cause::ALL {
        let text = row.text.replace("{huk}", "MKEK/MEXT").replace(['{', '}'], "*");
        let mut advice = String::from(row.advice);
        for literal in ["CONFIG_PROVISIONING_RESUME", "cargo station"] {
            advice = advice.replace(literal, &format!("``{literal}``"));
        }
        writeln!(table, "   * - {}\n     - {text}\n     - {advice}", row.code).unwrap();
    }
    table
}

#[test]
fn the_documentation_has_each_cause() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/failures.rst");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (found, after) = rest.split_once(MARKS[1]).unwrap();
    if env::var_os("UPDATE_FAILURES").is_some() {
        fs::write(path, [before, MARKS[0], &table(), MARKS[1], after].concat()).unwrap();
    } else {
        assert_eq!(
            found,
            table(),
            "to write it anew: UPDATE_FAILURES=1 cargo test -p provisioning"
        );
    }
}

#[test]
fn each_cause_has_a_text_and_an_advice_in_sentences() {
    for row in Cause::ALL {
        assert!(!row.text.is_empty() && !row.text.ends_with('.'), "{row:?}");
        assert!(row.advice.ends_with('.'), "{row:?}");
    }
}
