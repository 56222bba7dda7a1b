// SPDX-License-Identifier: Apache-2.0

//! Who may read the page, and what its answers allow a browser to do.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::server::Site;

/// The fewest characters of a token: 128 bits in base64url.
pub const TOKEN_LENGTH: usize = 22;

/// What a request must carry: SHA-256 of the bearer token. The token itself is not kept.
pub struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why a file has no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Others can read it.
    #[error("{path}: other users of this machine can read this token. Take that right away: chmod 600 {path}", path = .0.display())]
    Rights(PathBuf),
    /// It is not one token.
    #[error(
        "{}: a token is one line of {TOKEN_LENGTH} or more letters, digits, and - . _ ~ + / =. Make one with: \
         openssl rand -base64 32", .0.display()
    )]
    Form(PathBuf),
}

impl Token {
    /// Reads a token from a file that only its owner can read (on Windows that is not looked at).
    ///
    /// # Errors
    /// The file cannot be read, can be read by others, or has no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let io = |error| TokenError::Io(path.to_owned(), error);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(TokenError::Rights(path.to_owned()));
            }
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        let token = text.trim_end_matches(['\r', '\n']);
        // RFC 6750, section 2.1.
        let is_of_token = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
        if token.len() < TOKEN_LENGTH || !token.bytes().all(is_of_token) {
            return Err(TokenError::Form(path.to_owned()));
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Whether this is it. How long that takes says nothing of the token: hashes are compared.
    fn is(&self, token: &[u8]) -> bool {
        Sha256::digest(token)[..] == self.0
    }
}

/// Lets a request in, or says why not, and adds to each answer what a browser must not do with it.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut answer = match refusal(&site, request.headers()) {
        Some((status, text)) => {
            let mut answer = (status, text).into_response();
            if status == StatusCode::UNAUTHORIZED {
                answer
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            answer
        }
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn refusal(site: &Site, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_host(host, &site.hosts) {
        let text =
            "This page is not known by that name. Name it with --page-host, or use its address.\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, text));
    }
    let token = site.token.as_ref()?;
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given =
        given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
    let is_good = given.is_some_and(|(_, given)| token.is(given));
    (!is_good).then_some((
        StatusCode::UNAUTHORIZED,
        "This page needs its token (Authorization: Bearer).\n",
    ))
}

/// Whether a browser may call the page so. A name that somebody else can point to this machine would let a foreign
/// page read this one (DNS rebinding); an address cannot be pointed anywhere.
fn is_host(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Nothing from elsewhere, nothing inline, no frame around it, and nothing stays in a cache. A script can put markup
/// into the page in one place only, which is named in it (Trusted Types).
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types station",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_no_host() {
        let names = [String::from("line.example")];
        for good in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "[::1]:8080",
            "[::1]",
            "localhost:1",
            "LocalHost",
            "10.1.2.3",
            "Line.Example:443",
        ] {
            assert!(is_host(good, &names), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "line.example.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            "localhost.evil",
            ":80",
            "[line.example",
        ] {
            assert!(!is_host(bad, &names), "{bad}");
        }
    }
}
