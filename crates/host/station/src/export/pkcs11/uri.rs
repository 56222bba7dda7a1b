// SPDX-License-Identifier: Apache-2.0

//! The URI of a key in an HSM: RFC 7512.

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// What the URI of a key can say here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// The label of the token.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The label of the key.
    pub object: Option<String>,
    /// Its ID, any bytes.
    pub id: Option<Vec<u8>>,
    /// The library of the HSM.
    pub module_path: PathBuf,
    /// The file that holds the PIN.
    pub pin_source: Option<PathBuf>,
}

/// What is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UriError {
    /// It has an attribute without a value, or one that is no text.
    #[error("{0:?} should be NAME=TEXT, with % and two digits for special characters")]
    Form(String),
    /// It has an attribute that this program does not know.
    #[error(
        "{0:?} is not used here: use token, serial, object and id, and behind the ? module-path and pin-source"
    )]
    Unknown(String),
    /// It has an attribute twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// It has the PIN itself.
    #[error(
        "it has the PIN itself (pin-value), which every user of this machine can read. Put it into a file with right \
         0600, and name that: pin-source=/path/of/the/file"
    )]
    Pin,
    /// It does not say which library to load.
    #[error("it does not name the library of the HSM: add ?module-path=/path/of/the/library")]
    NoModule,
    /// It does not begin as one.
    #[error("it does not begin with pkcs11:")]
    Scheme,
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = text.strip_prefix("pkcs11:").ok_or(UriError::Scheme)?;
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut uri = Self::default();
        let mut module_path = None;
        for attribute in path.split(';').filter(|text| !text.is_empty()) {
            let (name, bytes) = pair(attribute)?;
            match name {
                "token" => set(&mut uri.token, name, utf8(attribute, bytes)?)?,
                "serial" => set(&mut uri.serial, name, utf8(attribute, bytes)?)?,
                "object" => set(&mut uri.object, name, utf8(attribute, bytes)?)?,
                "id" => set(&mut uri.id, name, bytes)?,
                "pin-value" => return Err(UriError::Pin),
                // A private key, or what signs with one: no other object is looked for.
                "type" if bytes == b"private" => {}
                _ => return Err(UriError::Unknown(attribute.into())),
            }
        }
        for attribute in query.split('&').filter(|text| !text.is_empty()) {
            let (name, bytes) = pair(attribute)?;
            match name {
                "pin-value" => return Err(UriError::Pin),
                "module-path" => set(&mut module_path, name, utf8(attribute, bytes)?)?,
                "pin-source" => {
                    let source = utf8(attribute, bytes)?;
                    let path = source.strip_prefix("file:").unwrap_or(&source);
                    set(&mut uri.pin_source, name, path.into())?;
                }
                _ => return Err(UriError::Unknown(attribute.into())),
            }
        }
        uri.module_path = module_path.ok_or(UriError::NoModule)?.into();
        Ok(uri)
    }
}

impl Uri {
    /// Which token it names, in words.
    pub fn describe_token(&self) -> String {
        match (&self.token, &self.serial) {
            (Some(token), Some(serial)) => format!("called {token:?}, number {serial:?}"),
            (Some(token), None) => format!("called {token:?}"),
            (None, Some(serial)) => format!("number {serial:?}"),
            (None, None) => String::from("any token (the URI has no token=)"),
        }
    }
}

/// The name and the decoded value of an attribute.
fn pair(attribute: &str) -> Result<(&str, Vec<u8>), UriError> {
    let (name, value) =
        attribute.split_once('=').ok_or_else(|| UriError::Form(attribute.into()))?;
    Ok((name, percent_decode_str(value).collect()))
}

fn utf8(attribute: &str, bytes: Vec<u8>) -> Result<String, UriError> {
    String::from_utf8(bytes).map_err(|_| UriError::Form(attribute.into()))
}

fn set<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), UriError> {
    match place.replace(value) {
        Some(_) => Err(UriError::Twice(name.into())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_a_token_a_key_a_library_and_a_pin() {
        let uri: Uri = "pkcs11:token=Line%202;object=sign;id=%01%FF;type=private;serial=abc?\
             module-path=/usr/lib/x.so&pin-source=file:/etc/pin"
            .parse()
            .unwrap();
        let expected = Uri {
            token: Some("Line 2".into()),
            serial: Some("abc".into()),
            object: Some("sign".into()),
            id: Some(vec![0x01, 0xFF]),
            module_path: "/usr/lib/x.so".into(),
            pin_source: Some("/etc/pin".into()),
        };
        assert_eq!(uri, expected);
        let uri: Uri = "pkcs11:object=sign?module-path=x.so".parse().unwrap();
        let expected =
            Uri { object: Some("sign".into()), module_path: "x.so".into(), ..Uri::default() };
        assert_eq!(uri, expected);
    }

    #[test]
    fn uris_that_cannot_be_used_say_why() {
        let refused = |text: &str| text.parse::<Uri>().unwrap_err();
        assert_eq!(refused("pkcs11:object=a?module-path=b&pin-value=1234"), UriError::Pin);
        assert!(!UriError::Pin.to_string().contains("1234"));
        assert_eq!(refused("pkcs11:object=a"), UriError::NoModule);
        assert_eq!(refused("object=a?module-path=b"), UriError::Scheme);
        assert_eq!(refused("pkcs11:object?module-path=b"), UriError::Form("object".into()));
        assert_eq!(refused("pkcs11:token=%FF?module-path=b"), UriError::Form("token=%FF".into()));
        assert_eq!(
            refused("pkcs11:token=a;token=b?module-path=b"),
            UriError::Twice("token".into())
        );
        for unknown in ["slot-id=1", "type=cert", "model=x"] {
            let uri = format!("pkcs11:object=a;{unknown}?module-path=b");
            assert_eq!(refused(&uri), UriError::Unknown(unknown.into()));
        }
        let uri = "pkcs11:object=a?module-path=b&module-name=c";
        assert_eq!(refused(uri), UriError::Unknown("module-name=c".into()));
    }
}
