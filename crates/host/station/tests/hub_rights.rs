// SPDX-License-Identifier: Apache-2.0

//! What the hub refuses, by its constraints, rights and triggers: each forbidden thing is tried as each role.
#![cfg(unix)]

mod common;

use common::postgres::{TestHub, TestStation};
use common::{enter, entries, links};
use station::hub::{Hub, Kind};
use station::ledger::{Fact, Link};

/// A hub with two stations, of which the first has pushed two parts.
fn hub() -> (TestHub, TestStation, TestStation) {
    let hub = TestHub::new();
    let (mut one, mut two) = (hub.station("line-1"), hub.station("line-2"));
    enter(&mut one.ledger, &entries(1..=2)).unwrap();
    enter(&mut two.ledger, &entries(3..=3)).unwrap();
    one.push().unwrap();
    two.push().unwrap();
    (hub, one, two)
}

fn hex(bytes: &[u8]) -> String {
    format!("'\\x{}'", base16ct::lower::encode_string(bytes))
}

/// The statement that inserts a link, as that of this ledger at the hub.
fn insert(station: u32, number: u64, previous: &[u8], hash: &[u8], content: &[u8]) -> String {
    format!(
        "INSERT INTO hub.links (station, number, previous, hash, kind, time, content) \
         VALUES ({station}, {number}, {}, {}, 'program', now(), {})",
        hex(previous),
        hex(hash),
        hex(content)
    )
}

fn sha256(content: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(content).to_vec()
}

#[track_caller]
fn refused(hub: &TestHub, role: &str, sql: &str, why: &str) {
    let before = contents(hub);
    let error = hub.sql_as(role, sql).expect_err(sql);
    assert!(error.contains(why), "{role}: {sql}: {error}");
    assert_eq!(contents(hub), before, "{role}: {sql}");
}

/// What stands for every row of every table.
fn contents(hub: &TestHub) -> String {
    let of = |table: &&str| {
        format!(
            "SELECT '{table}', count(*), md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM hub.{table} t"
        )
    };
    hub.sql(&TABLES.iter().map(of).collect::<Vec<_>>().join(" UNION ALL "))
}

const TABLES: [&str; 15] = [
    "enrolled",
    "stations",
    "links",
    "attempts",
    "outcomes",
    "entries",
    "withdrawals",
    "parts",
    "contested",
    "conflicts",
    "checkpoints",
    "exports",
    "exported",
    "submissions",
    "settled",
];

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn nobody_changes_or_deletes_a_row() {
    let (hub, one, _) = hub();
    let owner = hub.owner();
    let (reader, exporter) = (hub.role("reader"), hub.role("exporter"));
    let mut as_owner = Hub::connect(&hub.config(&owner)).unwrap();
    as_owner.enroll(&reader, Kind::Reader, None).unwrap();
    as_owner.enroll(&exporter, Kind::Exporter, None).unwrap();
    hub.sql_as(
        &exporter,
        &format!(
            "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ('v', 'p', 1, {0}); \
             INSERT INTO hub.exported VALUES ('v', 1, 2, 1); \
             INSERT INTO hub.submissions (verifier, profile, sha256, stations, links) \
             VALUES ('w', 'p', {0}, ARRAY[1], ARRAY[2]); INSERT INTO hub.settled (submission) VALUES (1)",
            hex(&[1; 32])
        ),
    )
    .unwrap();
    hub.sql_as(&one.role, "INSERT INTO hub.checkpoints VALUES (1, 2, 'note')").unwrap();
    for table in TABLES {
        for sql in [
            format!("UPDATE hub.{table} SET ctid = ctid"),
            format!("DELETE FROM hub.{table}"),
            format!("TRUNCATE hub.{table} CASCADE"),
        ] {
            let sql = if sql.starts_with("UPDATE") { update_of(table) } else { sql };
            for role in [&one.role, &reader, &exporter] {
                refused(&hub, role, &sql, "permission denied");
            }
            refused(&hub, &owner, &sql, "append-only");
            refused(&hub, "postgres", &sql, "append-only");
        }
        for role in [&one.role, &reader, &exporter] {
            refused(
                &hub,
                role,
                &format!("ALTER TABLE hub.{table} DISABLE TRIGGER ALL"),
                "must be owner",
            );
            refused(
                &hub,
                role,
                &format!("ALTER TABLE hub.{table} DISABLE ROW LEVEL SECURITY"),
                "must be owner",
            );
            refused(&hub, role, &format!("DROP TABLE hub.{table} CASCADE"), "must be owner");
            refused(
                &hub,
                role,
                &format!(
                    "CREATE TRIGGER mine BEFORE INSERT ON hub.{table} EXECUTE FUNCTION hub.nothing_changes()"
                ),
                "permission denied",
            );
        }
    }
    for role in [&one.role, &reader, &exporter] {
        refused(&hub, role, "CREATE TABLE hub.mine ()", "permission denied");
        refused(&hub, role, "SELECT hub.settle(1, 2)", "permission denied");
        refused(
            &hub,
            role,
            "SET session_replication_role = replica; DELETE FROM hub.links",
            "permission denied",
        );
        refused(
            &hub,
            role,
            &format!("SET ROLE \"{owner}\"; DELETE FROM hub.links"),
            "permission denied",
        );
    }
    // What the owner may take off is the guard, not a row.
    refused(&hub, &owner, "SET session_replication_role = replica", "permission denied");
    // Of a part only a withdrawal is possible, by the owner too.
    refused(
        &hub,
        &owner,
        "UPDATE hub.parts SET withdrawn = now(), entry = 9",
        "can only be withdrawn",
    );
}

/// An update that changes nothing.
fn update_of(table: &str) -> String {
    let column = match table {
        "enrolled" | "stations" | "exports" | "submissions" | "settled" => "role",
        "links" => "number",
        "checkpoints" => "note",
        _ => "link",
    };
    let column = if table == "conflicts" { "holder_link" } else { column };
    format!("UPDATE hub.{table} SET {column} = {column}")
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_station_inserts_only_what_is_its_own() {
    let (hub, one, two) = hub();
    let last = two.ledger.head().unwrap();
    let content = b"anything";
    let theirs = insert(2, last.number + 1, &last.hash, &sha256(content), content);
    // Station 1 for station 2, in each table.
    let row_level = "violates row-level security policy";
    refused(&hub, &one.role, &theirs, row_level);
    let key = hex(&[4; 32]);
    for sql in [
        "INSERT INTO hub.attempts VALUES (2, 2, 'port')".to_owned(),
        "INSERT INTO hub.outcomes (station, link, attempt, result) VALUES (2, 1, 1, 'failed')"
            .to_owned(),
        "INSERT INTO hub.entries SELECT 2, 1, 9, device_id, implementation_id, ueid, public_key FROM hub.entries \
             WHERE link = 2 AND station = 2"
            .to_owned(),
        "INSERT INTO hub.withdrawals (station, link, entry, reason) VALUES (2, 2, 1, 'no')"
            .to_owned(),
        "INSERT INTO hub.checkpoints VALUES (2, 2, 'note')".to_owned(),
    ] {
        refused(&hub, &one.role, &sql, row_level);
    }
    // In another's name, or with a key that is not enrolled for it.
    let stations = "INSERT INTO hub.stations (key, origin) VALUES";
    let origin = hex(&[9; 32]);
    refused(&hub, &one.role, &format!("{stations} ({key}, {origin})"), "violates foreign key");
    refused(
        &hub,
        &one.role,
        &format!("{stations} ({}, {origin})", hex(&[2; 32])),
        "violates foreign key",
    );
    refused(
        &hub,
        &one.role,
        &format!(
            "INSERT INTO hub.stations (key, origin, role) VALUES ({key}, {origin}, '{}')",
            two.role
        ),
        "permission denied",
    );
    refused(
        &hub,
        &one.role,
        &format!("INSERT INTO hub.stations (key, origin, predecessor) VALUES ({key}, {origin}, 2)"),
        "permission denied",
    );
    // What the hub alone writes.
    refused(
        &hub,
        &one.role,
        &format!("INSERT INTO hub.enrolled VALUES ('{}', {key})", one.role),
        "permission denied",
    );
    refused(&hub, &one.role, "INSERT INTO hub.parts SELECT * FROM hub.parts", "permission denied");
    refused(
        &hub,
        &one.role,
        "INSERT INTO hub.conflicts VALUES (2, 2, 1, 2, true, true, true, true)",
        "permission denied",
    );
    refused(
        &hub,
        &one.role,
        "INSERT INTO hub.withdrawals (station, link, entry, reason, claimed_by, claim) VALUES (1, 2, 1, 'no', 2, 2)",
        "permission denied",
    );
    refused(
        &hub,
        &one.role,
        &format!(
            "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ('v', 'p', 1, {key})"
        ),
        "permission denied",
    );
    refused(&hub, &one.role, "INSERT INTO hub.exported VALUES ('v', 1, 2, 1)", "permission denied");
    // A reader writes nothing, an exporter nothing of stations.
    let (reader, exporter) = (hub.role("reader"), hub.role("exporter"));
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&reader, Kind::Reader, None).unwrap();
    owner.enroll(&exporter, Kind::Exporter, None).unwrap();
    for role in [&reader, &exporter] {
        let of_exporters = ["exports", "exported", "submissions", "settled"];
        for table in
            TABLES.iter().filter(|table| !(*role == exporter && of_exporters.contains(table)))
        {
            refused(
                &hub,
                role,
                &format!("INSERT INTO hub.{table} DEFAULT VALUES"),
                "permission denied",
            );
        }
        assert_eq!(hub.sql_as(role, "SELECT count(*) FROM hub.links").unwrap(), "6");
    }
    refused(
        &hub,
        &exporter,
        &format!(
            "INSERT INTO hub.exports (verifier, profile, parts, sha256, role) VALUES ('v', 'p', 1, {key}, 'x')"
        ),
        "permission denied",
    );
    // A role that nobody has enrolled sees nothing.
    hub.sql(&format!("CREATE ROLE \"{}\" LOGIN", hub.role("stranger")));
    refused(&hub, &hub.role("stranger"), "SELECT * FROM hub.links", "permission denied");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn only_a_chain_is_a_chain() {
    let (hub, one, _) = hub();
    let chain: Vec<Link> = links(&one.ledger);
    let last = chain.last().unwrap();
    let content = b"anything";
    let hash = sha256(content);
    // The hash of another content, a hole, and a fork; another origin; no link 0.
    refused(
        &hub,
        &one.role,
        &insert(1, 5, &last.hash, &sha256(b"other"), content),
        "violates check constraint",
    );
    refused(&hub, &one.role, &insert(1, 6, &last.hash, &hash, content), "violates foreign key");
    refused(&hub, &one.role, &insert(1, 5, &chain[2].hash, &hash, content), "violates foreign key");
    refused(
        &hub,
        &one.role,
        &insert(1, 4, &chain[2].hash, &hash, content),
        "violates unique constraint",
    );
    refused(
        &hub,
        &one.role,
        &insert(1, 0, &last.hash, &hash, content),
        "violates check constraint",
    );
    refused(&hub, &one.role, &insert(1, 5, &last.hash[..31], &hash, content), "violates");
    // A ledger of its own that does not begin with its origin.
    let origin = [8; 32];
    hub.sql_as(
        &one.role,
        &format!(
            "INSERT INTO hub.stations (key, origin) VALUES ({}, {})",
            hex(&one.ledger.origin().unwrap().station_key.unwrap()),
            hex(&origin)
        ),
    )
    .unwrap();
    let station: u32 = hub.sql("SELECT max(station) FROM hub.stations").parse().unwrap();
    refused(&hub, &one.role, &insert(station, 1, &[0; 32], &hash, content), "violates foreign key");
    hub.sql_as(&one.role, &insert(station, 1, &origin, &hash, content)).unwrap();
    // What follows is taken, and is part of the chain then.
    hub.sql_as(&one.role, &insert(1, 5, &last.hash, &hash, content)).unwrap();
    // A claim without its link, or of another kind than it has; a UEID that is not the key's.
    for sql in [
        "INSERT INTO hub.attempts VALUES (1, 6, 'port')",
        "INSERT INTO hub.outcomes (station, link, attempt, result) VALUES (1, 6, 1, 'failed')",
        "INSERT INTO hub.outcomes (station, link, attempt, result) VALUES (1, 5, 5, 'failed')",
        "INSERT INTO hub.entries SELECT 1, 5, 9, device_id, implementation_id, ueid, public_key FROM hub.entries \
         WHERE station = 2",
        "INSERT INTO hub.withdrawals (station, link, entry, reason) VALUES (1, 5, 9, 'no')",
    ] {
        let error = hub.sql_as(&one.role, sql).expect_err(sql);
        assert!(error.contains("violates"), "{sql}: {error}");
    }
    refused(
        &hub,
        &one.role,
        "INSERT INTO hub.entries SELECT 1, 5, 9, device_id, implementation_id, '\\x01' || sha256('x'), public_key \
         FROM hub.entries WHERE station = 2",
        "violates check constraint",
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_part_that_is_held_back_is_in_no_export_and_no_part_is_exported_twice() {
    let (hub, _, mut two) = hub();
    let exporter = hub.role("exporter");
    Hub::connect(&hub.config(&hub.owner()))
        .unwrap()
        .enroll(&exporter, Kind::Exporter, None)
        .unwrap();
    enter(&mut two.ledger, &entries(1..=1)).unwrap();
    two.push().unwrap();
    let export = |verifier: &str| {
        format!(
            "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ('{verifier}', 'p', 1, {}) RETURNING export",
            hex(&[1; 32])
        )
    };
    let number = hub.sql_as(&exporter, &export("v")).unwrap();
    refused(
        &hub,
        &exporter,
        &format!("INSERT INTO hub.exported VALUES ('v', 1, 2, {number})"),
        "held back",
    );
    hub.sql_as(&exporter, &format!("INSERT INTO hub.exported VALUES ('v', 1, 4, {number})"))
        .unwrap();
    refused(
        &hub,
        &exporter,
        &format!("INSERT INTO hub.exported VALUES ('v', 1, 4, {number})"),
        "violates unique constraint",
    );
    refused(
        &hub,
        &exporter,
        &format!("INSERT INTO hub.exported VALUES ('w', 1, 4, {number})"),
        "violates foreign key",
    );
    let other = hub.sql_as(&exporter, &export("w")).unwrap();
    hub.sql_as(&exporter, &format!("INSERT INTO hub.exported VALUES ('w', 1, 4, {other})"))
        .unwrap();
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn while_a_submission_is_not_settled_nothing_else_leaves_for_its_verifier() {
    let (hub, one, mut two) = hub();
    let exporter = hub.role("exporter");
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&exporter, Kind::Exporter, None).unwrap();
    let begin = |verifier: &str, link: u32, hash: u8| {
        format!(
            "INSERT INTO hub.submissions (verifier, profile, sha256, stations, links) \
             VALUES ('{verifier}', 'p', {}, ARRAY[1], ARRAY[{link}])",
            hex(&[hash; 32])
        )
    };
    let export = |verifier: &str, hash: u8| {
        format!(
            "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ('{verifier}', 'p', 1, {})",
            hex(&[hash; 32])
        )
    };
    refused(&hub, &one.role, &begin("v", 2, 1), "permission denied");
    refused(&hub, &exporter, &begin("v", 3, 1), "held back"); // no part
    let begin_returning = format!("{} RETURNING submission", begin("v", 2, 1));
    let submission = hub.sql_as(&exporter, &begin_returning).unwrap();
    for again in [begin("v", 2, 1), begin("v", 4, 2), export("v", 2)] {
        refused(&hub, &exporter, &again, "not settled");
    }
    let other = hub.sql_as(&exporter, &format!("{} RETURNING export", export("w", 2))).unwrap();
    // Another claim does not undo that the part was sent; without the submission it would not leave.
    enter(&mut two.ledger, &entries(1..=1)).unwrap();
    two.push().unwrap();
    let number = hub.sql_as(&exporter, &format!("{} RETURNING export", export("v", 1))).unwrap();
    hub.sql_as(&exporter, &format!("INSERT INTO hub.exported VALUES ('v', 1, 2, {number})"))
        .unwrap();
    let given = format!("INSERT INTO hub.exported VALUES ('w', 1, 2, {other})");
    refused(&hub, &exporter, &given, "held back");
    let settle =
        format!("INSERT INTO hub.settled (submission, export) VALUES ({submission}, {number})");
    refused(&hub, &one.role, &settle, "permission denied");
    hub.sql_as(&exporter, &settle).unwrap();
    refused(&hub, &exporter, &settle, "violates unique constraint");
    // It is over; and the part was given.
    refused(&hub, &exporter, &begin("v", 2, 3), "held back, or was given");
    hub.sql_as(&exporter, &begin("v", 4, 3)).unwrap();
}

/// The facts of a station are those of its ledger.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_hub_has_each_link_to_the_byte() {
    let (hub, one, _) = hub();
    let chain = links(&one.ledger);
    let rows =
        hub.sql("SELECT number, content, kind FROM hub.links WHERE station = 1 ORDER BY number");
    for (row, link) in rows.lines().zip(&chain) {
        let [number, content, kind] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(number, link.number.to_string());
        let content = base16ct::lower::decode_vec(content.trim_start_matches("\\x")).unwrap();
        assert_eq!(Link::from_content(&content).as_ref(), Ok(link));
        assert_eq!(kind, link.fact.kind());
        assert!(matches!(link.fact, Fact::Attempt(_) | Fact::Outcome(_)));
    }
    assert_eq!(rows.lines().count(), chain.len());
}
