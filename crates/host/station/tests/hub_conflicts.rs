// SPDX-License-Identifier: Apache-2.0

//! Two claims of a part: which one is the part, which one waits, and what a withdrawal changes.
#![cfg(unix)]

mod common;

use std::thread;
use std::time::Duration;

use common::postgres::{TestHub, TestStation, push};
use common::{entry, public_key, run};
use station::hub::{Elsewhere, Hub, Kind, Same};
use station::ledger::{Ledger, New, NewEnd, NewEntry, Withdrawal};
use station::station_key::StationKey;
use station::{DeviceId, Identity};

/// A hub with three stations.
fn hub() -> (TestHub, [TestStation; 3]) {
    let hub = TestHub::new();
    let stations = [1, 2, 3].map(|n| hub.station(&format!("line-{n}")));
    (hub, stations)
}

/// The part of `entry(device)` after it was erased and provisioned anew: with the key of another.
fn anew(device: u8, key: u8) -> NewEntry {
    let NewEntry { identity, record } = entry(device);
    NewEntry { identity: Identity { public_key: public_key(key), ..identity }, record }
}

impl TestStation {
    fn enter(&mut self, entry: NewEntry, serial_number: Option<&str>) -> &mut Self {
        let kept = self.ledger.append(&[run(NewEnd::Good(entry), serial_number)]).unwrap();
        kept[0].entry.unwrap().unwrap();
        self
    }

    fn withdraw(&mut self, entry: u64) -> &mut Self {
        let reason = "erased".to_owned();
        self.ledger.append(&[New::Withdrawal(Withdrawal { entry, reason })]).unwrap();
        self
    }

    fn pushed(&self) {
        self.push().unwrap();
    }
}

/// Station and entry of each part that was not withdrawn, and of each that may leave.
fn parts(hub: &TestHub) -> (String, String) {
    let list = |what: &str| {
        hub.sql(&format!("SELECT station || '.' || entry FROM hub.{what} ORDER BY 1"))
            .replace('\n', " ")
    };
    (list("parts WHERE withdrawn IS NULL"), list("exportable"))
}

/// The second and the first of each conflict that is open, by station and entry, and of those that ever were.
fn conflicts(hub: &TestHub) -> (String, String) {
    let list = |what: &str| {
        let rows = hub.sql(&format!(
            "SELECT c.station || '.' || e.entry || '-' || p.station || '.' || p.entry FROM hub.{what} c \
             JOIN hub.entries e ON (e.station, e.link) = (c.station, c.link) \
             JOIN hub.parts p ON (p.station, p.link) = (c.holder_station, c.holder_link) ORDER BY 1"
        ));
        rows.replace('\n', " ")
    };
    (list("open_conflicts"), list("conflicts"))
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_withdrawal_makes_room_for_the_part_that_was_provisioned_anew() {
    let (hub, [mut one, mut two, mut three]) = hub();
    one.enter(entry(1), None).pushed();
    two.enter(anew(1, 101), None).pushed();
    three.enter(anew(1, 102), None).pushed();
    assert_eq!(parts(&hub), pair("1.1", ""));
    assert_eq!(conflicts(&hub), pair("2.1-1.1 3.1-1.1", "2.1-1.1 3.1-1.1"));
    // The next one waits for the second now.
    one.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("2.1", ""));
    assert_eq!(conflicts(&hub), pair("3.1-2.1", "2.1-1.1 3.1-1.1 3.1-2.1"));
    three.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("2.1", "2.1"));
    assert_eq!(conflicts(&hub).0, "");
    // A claim that was withdrawn while it waited does not come back.
    two.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("", ""));
    assert_eq!(conflicts(&hub).0, "");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "2");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_key_is_never_of_two_parts_not_even_after_a_withdrawal() {
    let (hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), None).pushed();
    two.enter(entry(1), None).pushed();
    assert_eq!(parts(&hub), pair("1.1", ""));
    one.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("", ""));
    assert_eq!(conflicts(&hub), pair("2.1-1.1", "2.1-1.1"));
    two.withdraw(1).pushed();
    assert_eq!(conflicts(&hub), pair("", "2.1-1.1"));
    assert_eq!(parts(&hub), pair("", ""));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_one_that_came_second_may_withdraw_and_the_first_leaves() {
    let (hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), None).pushed();
    two.enter(entry(1), None).pushed();
    two.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("1.1", "1.1"));
    assert_eq!(conflicts(&hub), pair("", "2.1-1.1"));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_claim_can_stand_in_the_way_of_two_and_waits_for_both() {
    let (hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), Some("S1")).enter(entry(2), Some("S2")).pushed();
    // The device of the first with the label of the second.
    two.enter(anew(1, 101), Some("S2")).enter(entry(3), Some("S3")).pushed();
    assert_eq!(conflicts(&hub).0, "2.1-1.1 2.1-1.2");
    let same =
        "SELECT device_id, ueid, public_key, serial_number FROM hub.conflicts ORDER BY holder_link";
    assert_eq!(hub.sql(same), "t|f|f|f\nf|f|f|t");
    assert_eq!(parts(&hub), pair("1.1 1.2 2.2", "2.2"));
    one.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("1.2 2.2", "2.2"));
    assert_eq!(conflicts(&hub).0, "2.1-1.2");
    one.withdraw(2).pushed();
    assert_eq!(parts(&hub), pair("2.1 2.2", "2.1 2.2"));
    assert_eq!(conflicts(&hub).0, "");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_part_without_a_serial_number_has_it_in_common_with_nobody() {
    let (hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), None).pushed();
    two.enter(entry(2), None).pushed();
    assert_eq!(parts(&hub), pair("1.1 2.1", "1.1 2.1"));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_one_station_has_put_right_before_it_pushes_is_no_conflict() {
    let (hub, [mut one, ..]) = hub();
    one.enter(entry(1), Some("S1")).withdraw(1).enter(anew(1, 101), Some("S1")).withdraw(2);
    one.enter(anew(1, 102), Some("S1")).pushed();
    assert_eq!(parts(&hub), pair("1.3", "1.3"));
    assert_eq!(conflicts(&hub), pair("", ""));
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "3");
}

/// What waits is no part, and keeps others from leaving nevertheless.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_part_that_shares_something_with_a_claim_that_waits_is_held_back() {
    let (hub, [mut one, mut two, mut three]) = hub();
    one.enter(entry(1), Some("S1")).pushed();
    two.enter(entry(2), Some("S1")).pushed();
    // The same device as that of the claim that waits, provisioned anew; and one that has nothing to do with it.
    three.enter(anew(2, 102), Some("S2")).enter(entry(3), Some("S3")).pushed();
    assert_eq!(parts(&hub), pair("1.1 3.1 3.2", "3.2"));
    assert_eq!(conflicts(&hub).0, "2.1-1.1 2.1-3.1");
    // It waits for the other part, too.
    one.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("3.1 3.2", "3.2"));
    assert_eq!(conflicts(&hub).0, "2.1-3.1");
    three.withdraw(1).pushed();
    assert_eq!(parts(&hub), pair("2.1 3.2", "2.1 3.2"));
    // It waits no more, and is in nobody's way but by what it has as a part.
    two.withdraw(1).pushed();
    one.enter(anew(2, 103), Some("S1")).pushed();
    assert_eq!(parts(&hub), pair("1.2 3.2", "1.2 3.2"));
    assert_eq!(conflicts(&hub).0, "");
}

/// As there, by two transactions that do not see each other's rows.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_claim_that_waits_is_seen_by_a_transaction_beside_it() {
    for waits_first in [false, true] {
        let (hub, [mut one, mut two, mut three]) = hub();
        one.enter(entry(1), Some("S1")).pushed();
        two.enter(entry(2), Some("S1"));
        three.enter(anew(2, 102), Some("S2"));
        let [first, second] = if waits_first { [&two, &three] } else { [&three, &two] };
        side_by_side(&hub, first, second);
        assert_eq!(parts(&hub).1, "", "{waits_first}");
        assert_eq!(hub.sql("SELECT count(*) FROM hub.open_conflicts"), "2", "{waits_first}");
    }
}

/// Pushes the second ledger while the transaction of the first has not ended.
fn side_by_side(hub: &TestHub, first: &TestStation, second: &TestStation) {
    // The commit of a transaction waits, with all its locks.
    hub.sql(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON hub.links DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION late()",
    );
    thread::scope(|scope| {
        for (n, station) in [first, second].into_iter().enumerate() {
            let (config, ledger) = (station.config.clone(), station.open(station.ledger.path()));
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(400) * u32::try_from(n).unwrap());
                push(&config, &ledger).unwrap();
            });
        }
    });
}

/// A withdrawal and a claim at the same moment, in both orders: whichever comes second sees the first.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn no_claim_is_forgotten_between_two_transactions() {
    for claim_first in [false, true] {
        let (hub, [mut one, mut two, _]) = hub();
        one.enter(entry(1), None).pushed();
        one.withdraw(1);
        two.enter(anew(1, 101), None);
        let [first, second] = if claim_first { [&two, &one] } else { [&one, &two] };
        side_by_side(&hub, first, second);
        assert_eq!(parts(&hub), pair("2.1", "2.1"), "{claim_first}");
        let ever = if claim_first { "2.1-1.1" } else { "" };
        assert_eq!(conflicts(&hub), pair("", ever), "{claim_first}");
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_part_is_found_by_each_thing_that_it_has_for_itself() {
    let (_hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), Some("S1")).enter(entry(2), Some("S2")).withdraw(2).pushed();
    let (own, theirs) = (one.ledger.origin().unwrap(), two.ledger.origin().unwrap());
    let mut station = Hub::connect(&two.config).unwrap();
    let nothing = Same { device_id: false, ueid: false, public_key: false, serial_number: false };
    let other = entry(9).identity;
    let role = &one.role;
    let mut look_up = |identity: &Identity, serial_number| {
        let found = station.look_up(identity, serial_number, &theirs).unwrap();
        found.map(|Elsewhere { station, entry, same, .. }| {
            assert_eq!(&station, role);
            (entry, same)
        })
    };
    let [first, second] = [1, 2].map(|n| entry(n).identity);
    let key = Same { ueid: true, public_key: true, ..nothing };
    let device = Identity { device_id: first.device_id, ..other };
    assert_eq!(look_up(&first, None), Some((1, Same { device_id: true, ..key })));
    assert_eq!(look_up(&device, None), Some((1, Same { device_id: true, ..nothing })));
    assert_eq!(look_up(&Identity { device_id: DeviceId([0; 8]), ..first }, None), Some((1, key)));
    assert_eq!(look_up(&other, Some("S1")), Some((1, Same { serial_number: true, ..nothing })));
    assert_eq!(look_up(&other, Some("S9")), None);
    assert_eq!(look_up(&other, None), None);
    // Of a part that was withdrawn only the key stays taken.
    assert_eq!(look_up(&Identity { device_id: second.device_id, ..other }, Some("S2")), None);
    let found = look_up(&second, None).unwrap();
    assert_eq!((found.0, found.1.ueid), (2, true));
    // A ledger's own parts are its own matter.
    let mut station = Hub::connect(&one.config).unwrap();
    assert_eq!(station.look_up(&first, Some("S1"), &own).unwrap(), None);
    two.enter(entry(3), None).pushed();
    assert!(station.look_up(&entry(3).identity, None, &own).unwrap().is_some());
}

/// The ledger of a station, continued with a new key.
fn continued(hub: &TestHub, station: TestStation) -> TestStation {
    let path = station.ledger.path().with_extension("next.db");
    let key = path.with_extension("key");
    StationKey::generate().unwrap().write(&key).unwrap();
    let public = StationKey::read(&key).unwrap().public();
    let TestStation { role, config, ledger, .. } = station;
    let old = ledger.path().to_owned();
    drop(ledger);
    let old = Ledger::open(&old).unwrap();
    drop(old.continue_in(&path, None, Some(public), None, |_| Ok(())).unwrap());
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&role, Kind::Station(public), None).unwrap();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    ledger.set_signer(StationKey::read(&key).unwrap(), None).unwrap();
    TestStation { role, config, key, ledger }
}

/// Whether the hub has all of the old ledger, or lacks its end.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_ledger_that_continues_another_one_makes_the_same_claims() {
    for is_behind in [false, true] {
        let (hub, [mut one, mut two, _]) = hub();
        one.enter(entry(1), Some("S1")).enter(entry(2), None).enter(entry(3), None).withdraw(3);
        one.pushed();
        one.enter(entry(4), None);
        if !is_behind {
            one.pushed();
        }
        two.enter(anew(1, 101), None).pushed();
        // Station 3 of the hub, and then 4. Twice, so that the second one's predecessor has a predecessor, too.
        let one = continued(&hub, one);
        one.pushed();
        let last = if is_behind { "3.4" } else { "1.4" };
        assert_eq!(parts(&hub).0, format!("1.1 1.2 {last}"), "{is_behind}");
        let mut one = continued(&hub, one);
        one.enter(entry(5), None).pushed();
        assert_eq!(parts(&hub).0, format!("1.1 1.2 {last} 4.5"));
        assert_eq!(conflicts(&hub), pair("2.1-1.1", "2.1-1.1"));
        assert_eq!(
            hub.sql("SELECT count(*) FROM hub.entries"),
            if is_behind { "13" } else { "14" }
        );
        // What it withdraws is the old one's part.
        one.withdraw(1).withdraw(4).pushed();
        assert_eq!(parts(&hub).0, "1.2 2.1 4.5", "{is_behind}");
        assert_eq!(conflicts(&hub), pair("", "2.1-1.1"));
        // Another's claim of a part that the old one had is still a conflict.
        two.enter(entry(2), None).pushed();
        assert_eq!(conflicts(&hub).0, "2.2-1.2");
    }
}

/// That a ledger continues another one is not believed for parts that the other one does not have.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_ledger_that_only_says_that_it_continues_another_one_has_conflicts_as_any() {
    let (hub, [mut one, mut two, _]) = hub();
    one.enter(entry(1), None).enter(entry(2), None).pushed();
    two.enter(entry(2), None).enter(entry(1), None).enter(entry(3), None);
    // It has never been at the hub, and what it becomes names no head that the hub has.
    let two = continued(&hub, two);
    two.pushed();
    assert_eq!(parts(&hub).0, "1.1 1.2 2.3");
    assert_eq!(conflicts(&hub).0, "2.1-1.2 2.2-1.1");
}
