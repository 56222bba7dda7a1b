// SPDX-License-Identifier: Apache-2.0

//! What an operator and a log read: failure lines in full, and how numbers, keys and IDs are written.

use std::fmt::{Debug, Display};

use provisioning::console::RECORD_PREFIX;
use provisioning::{
    Cause, DUMMY_PUBLIC_KEY, DeviceId, DriverError, Event, Failure, Huk, HukSize, ImplementationId,
    ImplementationIdError, Lifecycle, Measurement, Nonce, Piece, Ueid, Written,
};

#[track_caller]
fn reads(what: impl Display, text: &str) {
    assert_eq!(what.to_string(), text);
}

#[track_caller]
fn is_shown(what: impl Debug, text: &str) {
    assert_eq!(format!("{what:?}"), text);
}

#[test]
fn a_failure_line_says_what_failed_what_was_written_and_what_to_do() {
    let error = DriverError::from_raw(-114);
    let lines = [
        (
            Cause::HukTaken(Huk::Mext),
            Written::Nothing,
            "Failure: the part has a MEXT already, as after a start of TF-M too early. Nothing was written to the \
             part. Set it aside, or erase it with ERASEALL and start again. [10]",
        ),
        (
            Cause::HukNotWritten(Huk::Mkek, error),
            Written::Something,
            "Failure: cannot write the MKEK (driver error -114). The part is half provisioned: do not ship it, erase \
             it with ERASEALL and start again. [11]",
        ),
        (
            Cause::Torn(Piece::ImplementationId),
            Written::Nothing,
            "Failure: the implementation ID is torn, a run was cut off. The part cannot be used: erase it with ERASEALL \
             and start again. [28]",
        ),
        (
            Cause::NotInAssembly(Lifecycle::Provisioning),
            Written::Nothing,
            "Failure: the PSA lifecycle state is PROVISIONING, not ASSEMBLY. Nothing was written to the part. It \
             was provisioned before, or a run was cut off. [2]",
        ),
        (
            Cause::NotInAssembly(Lifecycle::Secured),
            Written::Nothing,
            "Failure: the PSA lifecycle state is SECURED, not ASSEMBLY. Nothing was written to the part. Set it \
             aside, or erase it with ERASEALL and start again. [2]",
        ),
    ];
    for (cause, written, line) in lines {
        reads(Failure { cause, written, ueid: None }, line);
    }
}

#[test]
fn a_complete_part_is_named_in_its_line() {
    let ueid = Ueid::of(&DUMMY_PUBLIC_KEY);
    let failure =
        Failure { cause: Cause::AlreadyProvisioned, written: Written::Nothing, ueid: Some(ueid) };
    // The instance ID that TF-M's attestation tests have for this key.
    let hash = "fa58755f658627ce5460f29b75296713248cae7ad9e2984b90280efcbcb50248";
    reads(
        failure,
        &format!(
            "Failure: already provisioned, UEID 01{hash}. Nothing was written to the part. It is good and \
             checked. [29]"
        ),
    );
}

#[test]
fn what_may_go_away_by_itself_is_tried_once_more() {
    let failure =
        Failure { cause: Cause::RandomIsZero, written: Written::Nothing, ueid: None }.to_string();
    assert!(failure.ends_with("Try once more, then set it aside. [31]"), "{failure}");
    reads(
        Failure::no_nonce(),
        "Failure: no nonce came over the console. Nothing was written to the part. Start it again and send 64 \
         hexadecimal digits and a line end. [32]",
    );
}

#[test]
fn pieces_have_the_names_of_the_line() {
    reads(Piece::ImplementationId, "implementation ID");
    reads(Piece::Huk(Huk::Mkek), "MKEK");
    reads(Piece::IdentityKey, "identity key");
}

#[test]
fn lifecycle_states_have_the_names_of_the_sdk() {
    reads(Lifecycle::Assembly, "ASSEMBLY");
    reads(Lifecycle::Provisioning, "PROVISIONING");
    reads(Lifecycle::Secured, "SECURED");
    reads(Lifecycle::Decommissioned, "DECOMMISSIONED");
}

/// Up to 4095 they are errno values.
#[test]
fn driver_errors_read_as_in_the_headers() {
    for (raw, text) in [
        (0, "0"),
        (5, "5"),
        (-114, "-114"),
        (0x0FFF, "4095"),
        (-0x0FFF, "-4095"),
        (0x1000, "0x1000"),
        (-0x1000, "-0x1000"),
        (-0x16502, "-0x16502"),
        (i32::MIN, "-0x80000000"),
    ] {
        reads(DriverError::from_raw(raw), text);
    }
}

#[test]
fn events_are_their_messages_and_the_success_line() {
    reads(Event::LifecycleVerified, "Successfully verified PSA lifecycle state ASSEMBLY!");
    reads(Event::Success, "Success!");
    assert_eq!(RECORD_PREFIX, "Provisioning record: ");
}

#[test]
fn numbers_of_a_part_read_as_debuggers_and_tools_show_them() {
    let id = DeviceId([1, 2, 3, 4, 5, 6, 7, 0xF8]);
    reads(id, "f807060504030201");
    is_shown(id, "f807060504030201");
    reads(
        Measurement::of(b"abc"),
        // FIPS 180-4's example
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    let text = format!("{DUMMY_PUBLIC_KEY:?}");
    assert!(text.starts_with("0479eba90e8bf450a6") && text.len() == 130, "{text}");
}

#[test]
fn hexadecimal_digits_are_read_in_both_cases() {
    let text = "00".repeat(31) + "aF";
    let mut bytes = [0; 32];
    bytes[31] = 0xAF;
    assert_eq!(Nonce::from_hex(&text), Some(Nonce(bytes)));
    assert_eq!(Nonce::from_hex(&text[1..]), None);
    assert_eq!(Nonce::from_hex(&text.replace('a', "g")), None);
    reads(text.parse::<ImplementationId>().unwrap(), &text.to_lowercase());
}

#[test]
fn a_bad_implementation_id_is_explained() {
    for (text, error, line) in [
        (
            "12",
            ImplementationIdError::Length,
            "an implementation ID has 64 hexadecimal digits (32 bytes)",
        ),
        (
            &"g".repeat(64),
            ImplementationIdError::Digit,
            "an implementation ID has hexadecimal digits only (0-9, a-f, A-F)",
        ),
        (
            &"F".repeat(64),
            ImplementationIdError::Erased,
            "an implementation ID of only F cannot be told from an erased part",
        ),
    ] {
        assert_eq!(text.parse::<ImplementationId>(), Err(error));
        reads(error, line);
    }
}

#[test]
fn the_size_of_a_huk_is_that_of_a_part() {
    assert_eq!(HukSize::from_bits(128), Some(HukSize::Bits128));
    assert_eq!(HukSize::from_bits(256), Some(HukSize::Bits256));
    assert_eq!(HukSize::from_bits(192), None);
}
