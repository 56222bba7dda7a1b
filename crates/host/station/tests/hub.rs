// SPDX-License-Identifier: Apache-2.0

//! Stations and their hub, on a real PostgreSQL server.
#![cfg(unix)]

mod common;

use common::postgres::{TestHub, TestStation};
use common::{enter, entries, entry};
use station::hub::{Hub, HubError, Pushed};

fn push(station: &TestStation) -> Result<Pushed, HubError> {
    let mut hub = Hub::connect(&station.config)?;
    hub.push(&station.ledger, &mut |_| None, &mut |_| Ok(()), &mut |_, _| ())
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn two_stations_that_take_the_same_part_give_one_part_and_one_conflict() {
    let hub = TestHub::new();
    let (mut one, mut two) = (hub.station("line-1", 1), hub.station("line-2", 2));
    enter(&mut one.ledger, &entries(1..=3)).unwrap();
    enter(&mut two.ledger, &[entry(3), entry(4)]).unwrap();
    let pushed = push(&one).unwrap();
    assert_eq!((pushed.links, pushed.again), (6, 0));
    assert_eq!(pushed.last, one.ledger.head().unwrap());
    assert_eq!(push(&two).unwrap().links, 4);
    // Again: there is nothing to send.
    assert_eq!(push(&one).unwrap().links, 0);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.links"), "10");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "4");
    assert_eq!(
        hub.sql("SELECT station, link, holder_station, holder_link, device_id, ueid, public_key, serial_number \
            FROM hub.conflicts"),
        "2|2|1|6|t|t|t|f"
    );
    // The part is held back, the three others are not.
    assert_eq!(hub.sql("SELECT station, entry FROM hub.exportable ORDER BY 1, 2"), "1|1\n1|2\n2|2");
    let status = Hub::connect(&one.config).unwrap().status().unwrap();
    let [conflict] = &status.conflicts[..] else { panic!("{status:?}") };
    assert_eq!(conflict.second, (two.role.clone(), 1));
    assert_eq!(conflict.holder, (one.role.clone(), 3));
    assert_eq!(conflict.same.words(), "device ID and identity key");
}
