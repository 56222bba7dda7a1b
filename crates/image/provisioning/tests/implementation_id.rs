// SPDX-License-Identifier: Apache-2.0

//! An implementation ID as text.

use provisioning::ImplementationId;

#[test]
fn it_is_shown_as_it_was_given() {
    let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
    let id: ImplementationId = text.to_uppercase().parse().unwrap();
    assert_eq!(id.to_string().to_lowercase(), text);
}
