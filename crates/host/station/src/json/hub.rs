// SPDX-License-Identifier: Apache-2.0

//! What `provision --json` prints of the hub.

use std::fmt::Display;

use provisioning::{DeviceId, Ueid};
use serde::Serialize;
use station::hub::OwnConflict;

use super::{Line, Text};

/// Something about the hub, in one word and in words for people.
pub fn event(event: &'static str, text: String) -> impl Display {
    #[derive(Serialize)]
    struct Object {
        event: &'static str,
        text: String,
    }
    Line(Object { event, text })
}

/// A part that another station claims, too.
pub fn conflict(conflict: &OwnConflict, text: String) -> impl Display + '_ {
    #[derive(Serialize)]
    struct Object<'a> {
        device_id: Text<DeviceId>,
        event: &'static str,
        number: u64,
        same: String,
        station: &'a str,
        station_number: u64,
        text: String,
        ueid: Text<Ueid>,
    }
    let OwnConflict { entry, device_id, ueid, other } = conflict;
    Line(Object {
        device_id: Text(*device_id),
        event: "conflict",
        number: *entry,
        same: other.same.words(),
        station: &other.station,
        station_number: other.entry,
        text,
        ueid: Text(*ueid),
    })
}
