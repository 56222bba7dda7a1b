// SPDX-License-Identifier: Apache-2.0

//! What a batch shows of its hub.

use station::batch::uplink::{Amount, HubNotice};

use super::Report;
use crate::commands::hub::words_of_own;
use crate::json;

impl Report {
    pub(super) fn hub(&mut self, notice: &HubNotice) {
        match notice {
            HubNotice::Away { why, ends_batch: true } => self.about_hub(
                "hub-away",
                format!(
                    "the hub is required, and cannot be used: {why}. No run begins any more, and what runs is finished"
                ),
            ),
            HubNotice::Away { why, ends_batch: false } => self.about_hub(
                "hub-away",
                format!(
                    "the hub cannot be used: {why}. The station goes on: parts are entered here, pending, and sent to \
                     the hub when it is back"
                ),
            ),
            HubNotice::Back => self.about_hub("hub-back", "the hub is back".to_owned()),
            HubNotice::Pending(pending) => {
                self.pending = Some(*pending);
                if let Some(rows) = &self.rows {
                    rows.batch.set_message(format!(", hub: {} pending", pending.parts));
                }
            }
            HubNotice::Conflict(conflict) => {
                let text = format!("CONFLICT: {}", words_of_own(conflict));
                if self.json {
                    self.line(&json::hub::conflict(conflict, text));
                } else {
                    self.screen.note(&format_args!("warning: {text}"));
                }
            }
            HubNotice::Alarm(text) => {
                let stop = "Nothing is entered any more, and the batch ends";
                self.about_hub("alarm", format!("{text}. {stop}"));
            }
        }
    }

    fn about_hub(&mut self, event: &'static str, text: String) {
        if self.json {
            self.line(&json::hub::event(event, text));
        } else {
            self.screen.note(&text);
        }
    }
}

/// What is still to be sent when a batch is over.
pub(super) fn rest(Amount { parts, links }: Amount) -> String {
    match links {
        0 => String::from("The hub has all of it"),
        _ => format!(
            "The hub does not have {parts} parts in {links} links yet: they are pending. The next batch sends them, or \
             station push"
        ),
    }
}
