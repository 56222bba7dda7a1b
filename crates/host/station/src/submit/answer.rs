// SPDX-License-Identifier: Apache-2.0

//! What a verifier answers.

use serde::Deserialize;

/// A session: `ProvisioningSession` in veraison/services, `provisioning/api/handler.go`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    pub status: Status,
    pub failure_reason: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Processing,
    Success,
    Failed,
}

/// What a failed session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The verifier has these very bytes.
    HasIt,
    /// It has a CoRIM of this identifier with other bytes.
    HasOther,
    /// It does not know whether it has them.
    Lost,
    /// It does not have them.
    Refused,
}

impl Failure {
    /// By the reason, a text for people: veraison/corim-store, `pkg/store/store.go`, and grpc-go, `status/status.go`.
    pub fn of(reason: &str) -> Self {
        let has_it = ["token already in store", "already in store (digests match)"];
        if has_it.iter().any(|end| reason.ends_with(end)) {
            return Self::HasIt;
        }
        if reason.contains("already in store") {
            return Self::HasOther;
        }
        // The endorsements may have got as far as the store. Of the other codes, Unknown is what a refusal has.
        let lost =
            ["Unavailable", "DeadlineExceeded", "Canceled", "Aborted", "Internal", "DataLoss"];
        if lost.iter().any(|code| reason.contains(&format!("rpc error: code = {code} "))) {
            return Self::Lost;
        }
        Self::Refused
    }
}

/// What a problem says (RFC 9457), behind a colon; nothing if it is none.
pub fn problem(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: Option<String>,
    }
    let problem = serde_json::from_slice(body).ok().and_then(|Problem { detail }| detail);
    problem.map_or_else(String::new, |detail| format!(": {}", harmless(&detail)))
}

/// A text of another machine as it is shown: of reasonable length, on one line, and without characters that control a
/// terminal or the order of what is beside them (Unicode Standard Annex 9, section 2).
#[must_use]
pub fn harmless(text: &str) -> String {
    const LONGEST: usize = 500;
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}')
            || ('\u{202A}'..='\u{202E}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if is_harmful(c) { '?' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reasons as the verifier's sources put them together.
    #[test]
    fn reasons_tell_what_the_verifier_has() {
        let begin = "submit endorsement returned error: submit endorsements failed: ";
        for (reason, failure) in [
            ("token already in store", Failure::HasIt),
            ("already in store (digests match)", Failure::HasIt),
            ("already in store but digests differ", Failure::HasOther),
            ("already in store", Failure::HasOther),
            ("different token with manifest ID \"ledger-00\" already in store", Failure::HasOther),
            ("rpc error: code = Unavailable desc = error reading from server: EOF", Failure::Lost),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Failure::Lost),
            (
                "rpc error: code = Unknown desc = CoRIM profile (a) does not match b",
                Failure::Refused,
            ),
            (
                "rpc error: code = ResourceExhausted desc = message larger than max",
                Failure::Refused,
            ),
            (
                "certificate chain verification failed: x509: certificate signed by unknown authority",
                Failure::Refused,
            ),
            ("", Failure::Refused),
        ] {
            assert_eq!(Failure::of(&format!("{begin}{reason}")), failure, "{reason}");
        }
    }

    #[test]
    fn texts_are_shown_without_what_controls_a_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2J\nb\u{202e}c\u{9b}d\u{85}\u{2066}\u{200f}é"),
            "a?[2J?b?c?d???é"
        );
        assert_eq!(harmless(&"x".repeat(500)), "x".repeat(500));
        assert_eq!(harmless(&"é".repeat(501)), format!("{}...", "é".repeat(500)));
    }

    #[test]
    fn problems_are_told() {
        assert_eq!(problem(br#"{"title":"Bad Request","detail":"empty body"}"#), ": empty body");
        assert_eq!(problem(br#"{"title":"Bad Request"}"#), "");
        assert_eq!(problem(b"<html>"), "");
    }
}
