// SPDX-License-Identifier: Apache-2.0

//! The password: from a file of its own, or from libpq's password file, which only their owner may read.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::HubError;

/// A password, cleared when it goes out of scope.
pub(super) struct Password(Zeroizing<Vec<u8>>);

impl Password {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands in `file`, its first line. Without one, what `PGPASSFILE` or `~/.pgpass` has for this hub.
    pub(super) fn find(
        file: Option<&Path>,
        host: &str,
        port: u16,
        database: &str,
        role: &str,
    ) -> Result<Option<Self>, HubError> {
        if let Some(file) = file {
            let content = read(file)?.ok_or_else(|| {
                HubError::PasswordFile(file.to_owned(), "there is no such file".to_owned())
            })?;
            let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                let why = "its first line, which is the password, is empty".to_owned();
                return Err(HubError::PasswordFile(file.to_owned(), why));
            }
            return Ok(Some(Self(Zeroizing::new(line.to_owned()))));
        }
        let named = env::var_os("PGPASSFILE").map(PathBuf::from);
        let usual = || env::home_dir().map(|home| home.join(".pgpass"));
        let Some(file) = named.or_else(usual) else { return Ok(None) };
        let Some(content) = read(&file)? else { return Ok(None) };
        Ok(in_pgpass(&content, &[host, &port.to_string(), database, role]))
    }
}

/// The content of a file that nobody else may read; `None` where there is no file.
fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, HubError> {
    let of = |error: io::Error| HubError::PasswordFile(file.to_owned(), error.to_string());
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(of(error)),
        #[cfg(unix)]
        Ok(metadata)
            if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 =>
        {
            let why = format!("other users can read it. chmod 600 {}", file.display());
            return Err(HubError::PasswordFile(file.to_owned(), why));
        }
        Ok(_) => {}
    }
    fs::read(file).map(|content| Some(Zeroizing::new(content))).map_err(of)
}

/// The first line that fits: `host:port:database:role:password`, a `*` for anything, `:` and `\` after a backslash
/// (PostgreSQL 15, section 34.16).
fn in_pgpass(content: &[u8], wanted: &[&str; 4]) -> Option<Password> {
    content.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") {
            return None;
        }
        let mut rest = line;
        for wanted in wanted {
            let field = next_field(&mut rest)?;
            if *field != b"*" && *field != wanted.as_bytes() {
                return None;
            }
        }
        let mut password = Zeroizing::new(Vec::with_capacity(rest.len()));
        let mut escaped = false;
        for &byte in rest {
            if byte == b'\\' && !escaped {
                escaped = true;
            } else {
                password.push(byte);
                escaped = false;
            }
        }
        (!password.is_empty()).then_some(Password(password))
    })
}

/// Takes the field before the next `:`.
fn next_field(rest: &mut &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut field = Zeroizing::new(Vec::new());
    let mut bytes = rest.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b':' => {
                *rest = &rest[at + 1..];
                return Some(field);
            }
            b'\\' => field.push(*bytes.next()?.1),
            _ => field.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_of_libpq_is_read_as_libpq_does() {
        let find = |content: &[u8]| {
            in_pgpass(content, &["hub.example", "5432", "hub", "line-2"])
                .map(|found| found.0.to_vec())
        };
        assert_eq!(find(b"hub.example:5432:hub:line-2:secret\n"), Some(b"secret".to_vec()));
        assert_eq!(find(b"*:*:*:line-2:se\\:cr\\\\et"), Some(b"se:cr\\et".to_vec()));
        assert_eq!(find(b"# no\nother:*:*:*:a\n*:*:*:*:b\r\n*:*:*:*:c"), Some(b"b".to_vec()));
        assert_eq!(find(b"*:*:*:line-2:a:b\n"), Some(b"a:b".to_vec()));
        for none in [
            "",
            "#*:*:*:*:x",
            "*:*:*:line-3:x",
            "*:5433:*:*:x",
            "*:*:hub:x",
            "*:*:*:*:",
            "*:*:*:*\\",
        ] {
            assert_eq!(find(none.as_bytes()), None, "{none}");
        }
    }
}
