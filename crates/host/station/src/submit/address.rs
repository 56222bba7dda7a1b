// SPDX-License-Identifier: Apache-2.0

//! Where a verifier is.

use std::net::IpAddr;

use thiserror::Error;
use ureq::http::Uri;

use super::harmless;

/// The path of the API: veraison/services, `provisioning/api/router.go`.
const SUBMIT: &str = "/endorsement-provisioning/v1/submit";

/// Why an address cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// It is none.
    #[error("{0:?} is not the address of a verifier, such as https://veraison.example:8888")]
    Form(String),
    /// It is not protected.
    #[error(
        "endorsements and token would go to {0} without protection, and anybody could answer. Use https; http is for \
         this machine alone (127.0.0.1)"
    )]
    Unprotected(String),
    /// It has a name and a password.
    #[error(
        "the address has a password, which every user of this machine can read. Put a token into a file with right \
         0600 (--token-file)"
    )]
    Password,
}

/// Where endorsements are submitted to a verifier of this address.
pub fn submit(address: &str) -> Result<Uri, AddressError> {
    let form = || AddressError::Form(harmless(address));
    // Before it is shown.
    if address.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
        return Err(AddressError::Password);
    }
    let uri: Uri = address.parse().map_err(|_| form())?;
    let authority = uri.authority().ok_or_else(form)?;
    let scheme = uri.scheme_str().ok_or_else(form)?;
    if !matches!(scheme, "https" | "http") || uri.query().is_some() {
        return Err(form());
    }
    if scheme == "http" && !is_loopback(&uri) {
        return Err(AddressError::Unprotected(authority.to_string()));
    }
    let path = uri.path().trim_end_matches('/');
    let path = if path.ends_with("/submit") { path.to_owned() } else { format!("{path}{SUBMIT}") };
    format!("{scheme}://{authority}{path}").parse().map_err(|_| form())
}

/// Whether this is the machine itself.
pub fn is_loopback(uri: &Uri) -> bool {
    let Some(host) = uri.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where a session is, by its `Location`: RFC 9110, section 10.2.2. It must be on the same machine, which alone may have
/// the token.
pub fn session(submit: &Uri, location: &str) -> Result<Uri, String> {
    let bad = || format!("its address is none: {:?}", harmless(location));
    let authority = submit.authority().ok_or_else(bad)?;
    let scheme = submit.scheme_str().ok_or_else(bad)?;
    let folder = submit.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let uri: Uri = match location {
        "" => return Err(bad()),
        path if path.starts_with("//") => format!("{scheme}:{path}").parse(),
        path if path.starts_with('/') => format!("{scheme}://{authority}{path}").parse(),
        other if other.contains("://") => other.parse(),
        relative => format!("{scheme}://{authority}{folder}/{relative}").parse(),
    }
    .map_err(|_| bad())?;
    if uri.scheme() == submit.scheme() && uri.authority() == Some(authority) {
        Ok(uri)
    } else {
        Err(format!("it is on another machine, {:?}", harmless(location)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_path_of_the_api() {
        let submit = |text: &str| submit(text).map(|uri| uri.to_string());
        let at = |begin: &str| Ok(format!("{begin}/endorsement-provisioning/v1/submit"));
        assert_eq!(submit("https://veraison.example"), at("https://veraison.example"));
        assert_eq!(submit("https://veraison.example:8888/"), at("https://veraison.example:8888"));
        assert_eq!(submit("https://example.com/veraison/"), at("https://example.com/veraison"));
        let whole = "https://example.com/endorsement-provisioning/v1/submit";
        assert_eq!(submit(whole), Ok(whole.into()));
        for loopback in ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:1"] {
            assert_eq!(submit(loopback), at(loopback));
        }
        for form in ["", "veraison.example", "/submit", "ftp://a", "https://", "https://a/?b=c"] {
            assert!(matches!(submit(form), Err(AddressError::Form(_))), "{form}");
        }
        for open in ["http://veraison.example", "http://10.0.0.1:80", "http://127.0.0.1.example"] {
            assert!(matches!(submit(open), Err(AddressError::Unprotected(_))), "{open}");
        }
        assert_eq!(submit("https://me:secret@veraison.example"), Err(AddressError::Password));
        assert_eq!(submit("http://127.0.0.1@veraison.example"), Err(AddressError::Password));
    }

    #[test]
    fn a_session_is_on_the_machine_that_has_it() {
        let submit = submit("https://veraison.example:8888").unwrap();
        let session = |location: &str| session(&submit, location).map(|uri| uri.to_string());
        let there = |path: &str| Ok(format!("https://veraison.example:8888{path}"));
        assert_eq!(
            session("/endorsement-provisioning/v1/session/1"),
            there("/endorsement-provisioning/v1/session/1")
        );
        assert_eq!(session("https://veraison.example:8888/s/1"), there("/s/1"));
        assert_eq!(session("//veraison.example:8888/s/1"), there("/s/1"));
        assert_eq!(session("session/1"), there("/endorsement-provisioning/v1/session/1"));
        for elsewhere in [
            "https://veraison.example/s/1",
            "https://evil.example:8888/s/1",
            "http://veraison.example:8888/s/1",
            "//evil.example/s/1",
            "https://veraison.example:8888@evil.example/s/1",
        ] {
            assert!(session(elsewhere).is_err(), "{elsewhere}");
        }
        assert!(session("").is_err());
    }
}
