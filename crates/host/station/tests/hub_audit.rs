// SPDX-License-Identifier: Apache-2.0

//! What an audit finds of a hub that someone has changed who can switch off what guards it.
#![cfg(unix)]

mod common;

use std::fmt::Write as _;
use std::fs;

use common::edits::facts;
use common::postgres::TestHub;
use common::signed::{Station, Whole, audit, audit_in};
use common::{attempt, enter, entries, entry};
use station::hub::HubProblem::{self, *};
use station::hub::{Agreement, Alarm, Hub};
use station::ledger::{CheckpointProblem, Ledger, New, PROBLEMS_LISTED, Problem};

const TABLES: [&str; 15] = [
    "attempts",
    "checkpoints",
    "conflicts",
    "contested",
    "enrolled",
    "entries",
    "exported",
    "exports",
    "links",
    "outcomes",
    "parts",
    "settled",
    "stations",
    "submissions",
    "withdrawals",
];

/// A person who may do anything at the server takes away what guards the tables, and keeps a copy of them.
fn unguard(hub: &TestHub) {
    let mut sql = String::from(
        "ALTER TABLE hub.links DROP CONSTRAINT links_check; \
         ALTER TABLE hub.parts DROP CONSTRAINT parts_ueid_key, DROP CONSTRAINT parts_public_key_key; \
         DROP INDEX hub.parts_device_id, hub.parts_serial_number; CREATE SCHEMA saved;",
    );
    for table in TABLES {
        write!(
            sql,
            "ALTER TABLE hub.{table} DISABLE TRIGGER ALL; CREATE TABLE saved.{table} AS TABLE hub.{table};"
        )
        .unwrap();
    }
    sql += "ALTER TABLE saved.links DROP COLUMN before, DROP COLUMN origin;";
    hub.sql(&sql);
}

/// Puts the tables back.
fn put_back(hub: &TestHub) {
    let mut sql = format!("TRUNCATE hub.{};", TABLES.join(", hub."));
    for table in TABLES {
        // Two columns are generated, the last ones.
        let columns = match table {
            "links" => " (station, number, previous, hash, kind, time, content)",
            _ => "",
        };
        write!(
            sql,
            "INSERT INTO hub.{table}{columns} OVERRIDING SYSTEM VALUE SELECT * FROM saved.{table};"
        )
        .unwrap();
    }
    hub.sql(&sql);
}

/// Number of a ledger, and the name that problems give it.
fn name(hub: &TestHub, ledger: u32) -> String {
    format!("ledger {ledger} of line-{}.{}", ledger.min(2), hub.database)
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_with_all_that_there_can_be_is_good() {
    let Whole { hub, one, two } = Whole::new();
    let found = audit(&hub);
    assert_eq!(found.problems, []);
    let counts: Vec<_> = found
        .ledgers
        .iter()
        .map(|ledger| (ledger.station, ledger.entries, ledger.attempts, ledger.head, ledger.signed))
        .collect();
    let (first, third) = (one.ledger.head().unwrap(), two.ledger.head().unwrap());
    let second = Ledger::open(&two.path.with_file_name("ledger.db")).unwrap().head().unwrap();
    assert_eq!(counts, [(1, 5, 9, first, 22), (2, 6, 6, second, 12), (3, 7, 7, third, 14)]);
    assert_eq!((found.parts, found.checkpoints, found.links_read()), (10, 3, 48));
    // A reader may audit, and so may a station.
    assert_eq!(audit_in(&one.config, Some(1)), found);
    assert_eq!(audit_in(&two.config, Some(3)), found);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_bad_record_is_named() {
    let Whole { hub, .. } = Whole::new();
    let check = |entry: &station::ledger::Entry| match entry.number {
        7 => Err("no".to_owned()),
        _ => Ok(()),
    };
    let mut links = 0;
    let mut options = station::hub::AuditOptions {
        check_record: &check,
        threads: None,
        progress: &mut |read| links = read,
    };
    let found = station::hub::HubAudit::of(&hub.config("postgres"), &mut options).unwrap();
    let problem = Problem::Record(14, "no".to_owned());
    assert_eq!(found.problems, [Link(name(&hub, 3), problem)]);
    assert_eq!(links, 48);
}

/// Edits, and all the problems that they make.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn edits(hub: &TestHub) -> Vec<(&'static str, Vec<HubProblem>)> {
    let [one, two, three] = [1, 2, 3].map(|ledger| name(hub, ledger));
    let row = |ledger: &String, link, table| Row(ledger.clone(), link, table);
    let link = |ledger: &String, problem| Link(ledger.clone(), problem);
    let count = |table, found, expected, rows: &[(i32, u64)]| Count {
        table,
        found,
        expected,
        rows: rows.to_vec(),
    };
    let unsigned =
        |ledger: &String, last, signed| Unsigned { ledger: ledger.clone(), last, signed };
    let shared = |what, value: String| Shared { what, count: 2, value };
    let hex = |bytes: &[u8]| base16ct::lower::encode_string(bytes);
    let ueid = hex(entry(1).identity.ueid().as_bytes());
    let key = hex(entry(1).identity.public_key.as_bytes());
    let device = hex(&entry(1).identity.device_id.0);
    let mut list = vec![("SELECT 1", vec![])];
    // The chain.
    list.extend([
        (
            "UPDATE hub.links SET content = content || '\\x00' WHERE (station, number) = (1, 3)",
            vec![link(&one, Problem::Column(3, "content"))],
        ),
        (
            "UPDATE hub.links SET content = overlay(content placing 'x' from position('dev' in content) for 1) \
             WHERE (station, number) = (1, 22)",
            vec![row(&one, 22, "attempts"), link(&one, Problem::Hash(22))],
        ),
        (
            "UPDATE hub.links SET hash = sha256('x') WHERE (station, number) = (2, 3)",
            vec![link(&two, Problem::Hash(3)), link(&two, Problem::Previous(4))],
        ),
        (
            "UPDATE hub.links SET previous = sha256('x') WHERE (station, number) = (2, 3)",
            vec![row(&two, 3, "links")],
        ),
        (
            "UPDATE hub.links SET time = time + interval '1 millisecond' WHERE (station, number) = (2, 3)",
            vec![row(&two, 3, "links")],
        ),
        (
            "UPDATE hub.links SET kind = 'program' WHERE (station, number) = (1, 1)",
            vec![row(&one, 1, "links")],
        ),
        (
            "DELETE FROM hub.links WHERE (station, number) = (1, 4)",
            vec![link(&one, Problem::Number(3, 5)), link(&one, Problem::Previous(5))],
        ),
        (
            "DELETE FROM hub.links WHERE (station, number) = (1, 22); DELETE FROM hub.attempts WHERE (station, link) = (1, 22)",
            vec![SignedOther(one.clone(), 22), unsigned(&one, 21, 0)],
        ),
        (
            "DELETE FROM hub.links WHERE (station, number) = (1, 22); DELETE FROM hub.attempts WHERE (station, link) = (1, 22); \
             DELETE FROM hub.checkpoints WHERE station = 1",
            vec![unsigned(&one, 21, 0)],
        ),
        (
            "INSERT INTO hub.links (station, number, previous, hash, kind, time, content) \
             SELECT 9, number, previous, hash, kind, time, content FROM hub.links WHERE (station, number) = (1, 1)",
            vec![count("links", 49, 48, &[(9, 1)])],
        ),
    ]);
    // What is beside the links.
    list.extend([
        ("UPDATE hub.attempts SET port = 'x' WHERE (station, link) = (1, 1)", vec![row(&one, 1, "attempts")]),
        ("UPDATE hub.attempts SET batch = NULL WHERE (station, link) = (1, 1)", vec![row(&one, 1, "attempts")]),
        (
            "UPDATE hub.attempts SET serial_number = 'x' WHERE (station, link) = (1, 5)",
            vec![row(&one, 5, "attempts")],
        ),
        ("DELETE FROM hub.attempts WHERE (station, link) = (1, 22)", vec![row(&one, 22, "attempts")]),
        (
            "INSERT INTO hub.attempts SELECT station, 3, port, batch FROM hub.attempts WHERE (station, link) = (1, 1)",
            vec![row(&one, 3, "attempts")],
        ),
        (
            "INSERT INTO hub.attempts SELECT station, 99, port, batch FROM hub.attempts WHERE (station, link) = (1, 1)",
            vec![count("attempts", 23, 22, &[(1, 99)])],
        ),
        ("UPDATE hub.outcomes SET attempt = 22 WHERE (station, link) = (1, 6)", vec![row(&one, 6, "outcomes")]),
        ("UPDATE hub.outcomes SET result = 'known' WHERE (station, link) = (1, 6)", vec![row(&one, 6, "outcomes")]),
        ("UPDATE hub.outcomes SET error = 'x' WHERE (station, link) = (1, 6)", vec![row(&one, 6, "outcomes")]),
        ("UPDATE hub.outcomes SET failure = 9 WHERE (station, link) = (1, 6)", vec![row(&one, 6, "outcomes")]),
        (
            "UPDATE hub.outcomes SET serial_number = 'x' WHERE (station, link) = (1, 6)",
            vec![row(&one, 6, "outcomes")],
        ),
        (
            "UPDATE hub.outcomes SET device_id = '\\x0000000000000000' WHERE (station, link) = (1, 12)",
            vec![row(&one, 12, "outcomes")],
        ),
        ("UPDATE hub.outcomes SET ueid = NULL WHERE (station, link) = (1, 12)", vec![row(&one, 12, "outcomes")]),
        ("DELETE FROM hub.outcomes WHERE (station, link) = (1, 6)", vec![row(&one, 6, "outcomes")]),
        ("UPDATE hub.entries SET entry = 9 WHERE (station, link) = (2, 6)", vec![
            row(&two, 6, "entries"),
            link(&two, Problem::Entry(8, 9, 4)),
        ]),
        (
            "UPDATE hub.entries SET implementation_id = sha256('x') WHERE (station, link) = (1, 14)",
            vec![row(&one, 14, "entries")],
        ),
        (
            "UPDATE hub.entries SET serial_number = 'x' WHERE (station, link) = (1, 14)",
            vec![row(&one, 14, "entries")],
        ),
        (
            "UPDATE hub.withdrawals SET reason = 'x'",
            vec![row(&one, 10, "withdrawals")],
        ),
        (
            "UPDATE hub.withdrawals SET claim = 14",
            vec![row(&one, 9, "parts"), row(&one, 14, "parts"), Withdrawal(1, 10)],
        ),
        (
            "DELETE FROM hub.withdrawals",
            vec![row(&one, 9, "parts"), row(&one, 10, "withdrawals")],
        ),
    ]);
    // What the hub has made of them.
    list.extend([
        (
            "UPDATE hub.parts SET withdrawn = NULL",
            vec![row(&one, 9, "parts")],
        ),
        ("UPDATE hub.parts SET withdrawn = now() WHERE (station, link) = (1, 14)", vec![row(&one, 14, "parts")]),
        (
            "UPDATE hub.parts SET implementation_id = sha256('x') WHERE (station, link) = (1, 14)",
            vec![row(&one, 14, "parts")],
        ),
        ("UPDATE hub.parts SET serial_number = NULL WHERE (station, link) = (1, 14)", vec![row(&one, 14, "parts")]),
        ("UPDATE hub.parts SET entry = 9 WHERE (station, link) = (1, 14)", vec![row(&one, 14, "parts")]),
        ("DELETE FROM hub.parts WHERE (station, link) = (1, 14)", vec![NoPart(one.clone(), 14), Export(1, 2, 1)]),
        (
            "UPDATE hub.parts SET ueid = (SELECT ueid FROM hub.parts WHERE (station, link) = (1, 3)) \
             WHERE (station, link) = (1, 14)",
            vec![row(&one, 14, "parts"), shared("UEID", ueid.clone())],
        ),
        (
            "INSERT INTO hub.parts SELECT 3, link, entry, device_id, implementation_id, ueid, public_key, serial_number \
             FROM hub.parts WHERE (station, link) = (2, 6)",
            vec![
                row(&three, 6, "parts"),
                shared("UEID", hex(entry(6).identity.ueid().as_bytes())),
                shared("public key", hex(entry(6).identity.public_key.as_bytes())),
                shared("device ID", hex(&entry(6).identity.device_id.0)),
            ],
        ),
        (
            "UPDATE hub.parts SET (ueid, public_key, device_id, serial_number) = \
                (SELECT ueid, public_key, device_id, serial_number FROM hub.parts WHERE (station, link) = (1, 3)) \
             WHERE (station, link) = (1, 18)",
            vec![
                row(&one, 18, "parts"),
                shared("UEID", ueid),
                shared("public key", key),
                shared("device ID", device),
                shared("serial number", "SN-1".to_owned()),
            ],
        ),
        (
            "DELETE FROM hub.conflicts WHERE link = 2",
            vec![NoPart(two.clone(), 2), Contested(2, 2)],
        ),
        (
            "DELETE FROM hub.contested WHERE link = 2",
            vec![Contested(2, 2)],
        ),
        (
            "UPDATE hub.contested SET serial_number = 'x' WHERE link = 2",
            vec![Contested(2, 2)],
        ),
        (
            "INSERT INTO hub.contested SELECT station, 6, device_id, ueid, public_key FROM hub.contested WHERE link = 2",
            vec![Contested(2, 6)],
        ),
        (
            "UPDATE hub.conflicts SET serial_number = true WHERE link = 2",
            vec![Conflict(2, 2, 1, 21)],
        ),
        (
            "UPDATE hub.conflicts SET holder_link = 14 WHERE link = 2",
            vec![Conflict(2, 2, 1, 14), NoConflict(2, 2, 1, 21)],
        ),
        (
            "INSERT INTO hub.conflicts VALUES (2, 2, 1, 14, true, false, false, false)",
            vec![Conflict(2, 2, 1, 14)],
        ),
        (
            "INSERT INTO hub.conflicts VALUES (3, 6, 1, 14, true, false, false, false)",
            vec![NoPart(three.clone(), 6), Contested(3, 6), Conflict(3, 6, 1, 14), NoConflict(3, 6, 2, 6)],
        ),
    ]);
    // Stations, what they have signed, and exports.
    let other = CheckpointProblem::OtherLedger(String::new());
    list.extend([
        ("UPDATE hub.enrolled SET role = 'x' WHERE role LIKE 'line-1%'", vec![NotEnrolled(one.clone())]),
        (
            "UPDATE hub.stations SET batch = 'x' WHERE station = 1",
            vec![Origin(one.clone()), Checkpoint(one.clone(), 22, other.clone()), unsigned(&one, 22, 0)],
        ),
        (
            "UPDATE hub.stations SET predecessor = 1 WHERE station = 2",
            vec![Predecessor(two.clone(), 1)],
        ),
        (
            "UPDATE hub.stations SET predecessor = NULL WHERE station = 3",
            (1..=6).map(|entry| NoPart(three.clone(), 2 * entry)).collect(),
        ),
        ("DELETE FROM hub.checkpoints WHERE station = 1", vec![unsigned(&one, 22, 0)]),
        (
            "UPDATE hub.checkpoints SET note = (SELECT note FROM hub.checkpoints WHERE station = 2) WHERE station = 1",
            vec![Checkpoint(one.clone(), 22, other), unsigned(&one, 22, 0)],
        ),
        (
            "UPDATE hub.checkpoints SET number = 21 WHERE station = 1",
            vec![SignedOther(one.clone(), 21), unsigned(&one, 22, 0)],
        ),
        (
            "UPDATE hub.checkpoints SET note = replace(note, chr(10) || '22' || chr(10), chr(10) || '21' || chr(10)) \
             WHERE station = 1",
            vec![
                Checkpoint(one.clone(), 22, CheckpointProblem::BadSignature),
                unsigned(&one, 22, 0),
            ],
        ),
        (
            "INSERT INTO hub.checkpoints SELECT station, 99, note FROM hub.checkpoints WHERE station = 1",
            vec![SignedOther(one.clone(), 99)],
        ),
        (
            "INSERT INTO hub.checkpoints SELECT 9, 99, note FROM hub.checkpoints WHERE station = 1",
            vec![count("checkpoints", 4, 3, &[(9, 99)])],
        ),
        ("UPDATE hub.exports SET parts = 3 WHERE export = 1", vec![Export(1, 3, 2)]),
        ("DELETE FROM hub.exported WHERE link = 14", vec![Export(1, 2, 1)]),
        ("UPDATE hub.exported SET link = 15 WHERE link = 14", vec![Export(1, 2, 1)]),
        ("UPDATE hub.submissions SET profile = 'x'", vec![Submission(1)]),
        ("UPDATE hub.submissions SET links = ARRAY[7]", vec![Submission(1)]),
        ("UPDATE hub.submissions SET links = ARRAY[3, 7], stations = ARRAY[1, 2]", vec![Submission(1)]),
        ("UPDATE hub.exports SET sha256 = sha256('z') WHERE export = 2", vec![Submission(1)]),
        ("UPDATE hub.settled SET export = 1", vec![Submission(1)]),
        ("DELETE FROM hub.submissions", vec![Submission(1)]),
    ]);
    list
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn every_change_is_found_and_named_alike_by_any_number_of_threads() {
    let Whole { hub, .. } = Whole::new();
    hub.sql(
        "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ('v', 'p', 2, sha256('x')); \
         INSERT INTO hub.exported SELECT 'v', 1, unnest(ARRAY[3, 14]), export FROM hub.exports; \
         INSERT INTO hub.submissions (verifier, profile, sha256, stations, links) \
         VALUES ('w', 'p', sha256('y'), ARRAY[1], ARRAY[3])",
    );
    Hub::connect(&hub.config("postgres")).unwrap().settle(1, true).unwrap();
    let edits = edits(&hub);
    assert!(edits.len() > 50);
    let mut wrong = Vec::new();
    unguard(&hub);
    for (edit, expected) in &edits {
        hub.sql(edit);
        let found = audit_in(&hub.config("postgres"), Some(1));
        assert_eq!(audit_in(&hub.config("postgres"), Some(3)), found, "{edit}");
        put_back(&hub);
        // Whose ledger it is has a hash in its name.
        let problems: Vec<_> = found
            .problems
            .into_iter()
            // What was taken away is named each time: see below.
            .filter(|problem| !matches!(problem, Guard(..)))
            .map(|problem| match problem {
                Checkpoint(name, link, CheckpointProblem::OtherLedger(_)) => {
                    Checkpoint(name, link, CheckpointProblem::OtherLedger(String::new()))
                }
                problem => problem,
            })
            .collect();
        if problems != *expected {
            wrong.push(format!("{edit}\n  found    {problems:?}\n  expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_guards_that_are_expected_are_those_that_the_hub_makes() {
    let hub = TestHub::new();
    let statement = include_str!("../src/hub/audit/guards.sql");
    let found = hub.sql(&format!("SET search_path = hub, pg_temp; {statement}"));
    let found: Vec<_> =
        found.lines().map(|line| line.replacen('|', "\t", 1).trim_end().to_owned()).collect();
    let expected = include_str!("../src/hub/audit/guards.txt");
    let expected: Vec<_> = expected.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(found, expected, "guards.txt is to be:\n{}", found.join("\n"));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_guard_that_the_owner_takes_away_is_named() {
    use station::hub::Guard::{Added, Changed, Missing};
    let Whole { hub, one, .. } = Whole::new();
    let owner = hub.owner();
    let again = "CREATE POLICY own ON hub.links FOR INSERT TO hub_station WITH CHECK \
        (station IN (SELECT s.station FROM hub.stations s WHERE s.role = current_user::text))";
    for (change, undo, thing, guard) in [
        (
            "ALTER TABLE hub.links DROP CONSTRAINT links_check",
            "ALTER TABLE hub.links ADD CONSTRAINT links_check CHECK (hash = sha256(content))",
            "constraint links_check of links",
            Missing,
        ),
        (
            "ALTER TABLE hub.links DROP CONSTRAINT links_check; \
             ALTER TABLE hub.links ADD CONSTRAINT links_check CHECK (hash = sha256(content) OR true)",
            "ALTER TABLE hub.links DROP CONSTRAINT links_check; \
             ALTER TABLE hub.links ADD CONSTRAINT links_check CHECK (hash = sha256(content))",
            "constraint links_check of links",
            Changed,
        ),
        (
            "ALTER TABLE hub.links DROP CONSTRAINT links_station_before_previous_fkey",
            "ALTER TABLE hub.links ADD CONSTRAINT links_station_before_previous_fkey \
             FOREIGN KEY (station, before, previous) REFERENCES hub.links (station, number, hash)",
            "constraint links_station_before_previous_fkey of links",
            Missing,
        ),
        (
            "ALTER TABLE hub.links ALTER COLUMN content DROP NOT NULL",
            "ALTER TABLE hub.links ALTER COLUMN content SET NOT NULL",
            "NOT NULL of links",
            Changed,
        ),
        (
            "DROP INDEX hub.parts_device_id",
            "CREATE UNIQUE INDEX parts_device_id ON hub.parts (device_id) WHERE withdrawn IS NULL",
            "unique index parts_device_id of parts",
            Missing,
        ),
        (
            "DROP TRIGGER nothing_changes ON hub.links",
            "CREATE TRIGGER nothing_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON hub.links \
             FOR EACH STATEMENT EXECUTE FUNCTION hub.nothing_changes(); \
             ALTER TABLE hub.links ENABLE ALWAYS TRIGGER nothing_changes",
            "trigger nothing_changes of links",
            Missing,
        ),
        (
            "ALTER TABLE hub.entries DISABLE TRIGGER entries_are_claims",
            "ALTER TABLE hub.entries ENABLE TRIGGER entries_are_claims",
            "trigger entries_are_claims of entries",
            Changed,
        ),
        (
            "CREATE TRIGGER other BEFORE INSERT ON hub.links FOR EACH STATEMENT EXECUTE FUNCTION hub.nothing_changes()",
            "DROP TRIGGER other ON hub.links",
            "trigger other of links",
            Added,
        ),
        (
            "CREATE OR REPLACE FUNCTION hub.nothing_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
            "",
            "function nothing_changes",
            Changed,
        ),
        ("DROP POLICY own ON hub.links", again, "policy own of links", Missing),
        (
            "DROP POLICY own ON hub.links; CREATE POLICY own ON hub.links FOR INSERT TO hub_station WITH CHECK (true)",
            &format!("DROP POLICY own ON hub.links; {again}"),
            "policy own of links",
            Changed,
        ),
        (
            "CREATE POLICY all_of_it ON hub.parts USING (true)",
            "DROP POLICY all_of_it ON hub.parts",
            "policy all_of_it of parts",
            Added,
        ),
        (
            "ALTER TABLE hub.links DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE hub.links ENABLE ROW LEVEL SECURITY",
            "row-level security of links",
            Missing,
        ),
        (
            "GRANT UPDATE ON hub.parts TO hub_station",
            "REVOKE UPDATE ON hub.parts FROM hub_station",
            "right UPDATE of hub_station to parts",
            Added,
        ),
        (
            "GRANT INSERT (withdrawn) ON hub.parts TO hub_reader",
            "REVOKE INSERT (withdrawn) ON hub.parts FROM hub_reader",
            "right INSERT of hub_reader to parts.withdrawn",
            Added,
        ),
        (
            "REVOKE SELECT ON hub.conflicts FROM hub_reader",
            "GRANT SELECT ON hub.conflicts TO hub_reader",
            "right SELECT of hub_reader to conflicts",
            Missing,
        ),
        (
            "ALTER VIEW hub.exportable RESET (security_invoker)",
            "ALTER VIEW hub.exportable SET (security_invoker)",
            "view exportable",
            Changed,
        ),
    ] {
        let function = hub.sql("SELECT pg_get_functiondef('hub.nothing_changes'::regproc) || ';'");
        hub.sql_as(&owner, change).unwrap();
        // Whoever audits.
        let found = audit_in(&one.config, None);
        assert_eq!(found.problems, [Guard(thing.to_owned(), guard)], "{change}");
        let text = found.problems[0].to_string();
        assert!(
            text.starts_with(&format!("the {thing} ")) && text.contains("owner put it back"),
            "{text}"
        );
        let undo = if undo.is_empty() { &function } else { undo };
        hub.sql_as(&owner, undo).unwrap();
        assert_eq!(audit_in(&one.config, None).problems, [], "{undo}");
    }
    // A foreign key that a superuser has switched off.
    hub.sql("ALTER TABLE hub.attempts DISABLE TRIGGER ALL");
    let problems = audit(&hub).problems;
    assert!(
        problems.contains(&Guard(
            "constraint attempts_station_link_fkey of attempts".to_owned(),
            Changed
        )),
        "{problems:?}"
    );
    // What someone adds for himself is none.
    let Whole { hub, .. } = Whole::new();
    hub.sql_as(
        &hub.owner(),
        "CREATE INDEX mine ON hub.outcomes (serial_number); GRANT SELECT ON hub.parts TO public",
    )
    .unwrap();
    assert_eq!(audit(&hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_last_link_that_is_not_signed_is_named_and_problems_beyond_the_list_are_counted() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    one.enter([1, 2]);
    one.push().unwrap();
    one.enter([3, 4]);
    one.push().unwrap();
    hub.tamper("checkpoints", "DELETE FROM hub.checkpoints WHERE number = 8");
    let unsigned = Unsigned { ledger: name(&hub, 1), last: 8, signed: 4 };
    assert_eq!(audit(&hub).problems, [unsigned]);
    let many = vec![New::Attempt(attempt("/dev/ttyACM0")); PROBLEMS_LISTED + 20];
    one.ledger.append(&many).unwrap();
    // What has only begun is kept, and sent, with what comes next.
    one.enter([5]);
    one.push().unwrap();
    assert_eq!(audit(&hub).problems, []);
    hub.tamper("attempts", "UPDATE hub.attempts SET port = 'x' WHERE link > 8");
    let found = audit(&hub);
    assert_eq!((found.problems.len(), found.unlisted), (PROBLEMS_LISTED, 21));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_file_that_was_rolled_back_or_forked_shows_against_the_hub_where_it_parts() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    assert_eq!(Hub::agreement(&one.config, &one.ledger).unwrap(), Agreement::Unknown);
    one.enter(1..=20);
    one.push().unwrap();
    let at_20 = one.ledger.head().unwrap();
    assert_eq!(Hub::agreement(&one.config, &one.ledger).unwrap(), Agreement::Same(at_20));
    let backup = one.path.with_extension("backup");
    let mut files = vec![(one.path.clone(), backup.clone())];
    for end in ["-wal", "-head"] {
        let with = |path: &std::path::Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            std::path::PathBuf::from(name)
        };
        files.push((with(&one.path), with(&backup)));
    }
    for (from, to) in &files {
        fs::copy(from, to).unwrap();
    }
    one.enter(21..=30);
    // What is not pushed yet is no contradiction.
    assert_eq!(Hub::agreement(&one.config, &one.ledger).unwrap(), Agreement::Same(at_20));
    one.push().unwrap();
    let there = one.ledger.head().unwrap();
    let mut copy = Ledger::open_or_create(&backup).unwrap();
    let behind = Agreement::Alarm(Alarm::Behind { here: 40, there });
    assert_eq!(Hub::agreement(&one.config, &copy).unwrap(), behind);
    for last in [31, 40, 60] {
        // Shorter than the hub, and longer.
        let first = u8::try_from(copy.entries().unwrap() + 11).unwrap();
        enter(&mut copy, &entries(first..=last)).unwrap();
        let fork = Agreement::Alarm(Alarm::Fork {
            number: 41,
            here: copy.hash_at(41).unwrap().unwrap(),
            there: one.ledger.hash_at(41).unwrap().unwrap(),
        });
        assert_eq!(Hub::agreement(&one.config, &copy).unwrap(), fork, "{last}");
    }
    // Another ledger of the same key and batch is the same one, begun anew.
    drop(copy);
    let origin = one.ledger.origin().unwrap();
    let anew = one.path.with_extension("anew");
    let mut anew = Ledger::begin(&anew, None, &origin).unwrap();
    let behind = Agreement::Alarm(Alarm::Behind { here: 0, there });
    assert_eq!(Hub::agreement(&one.config, &anew).unwrap(), behind);
    anew.append(&facts([1, 2, 3, 4, 5].map(entry))).unwrap();
    let found = Hub::agreement(&one.config, &anew).unwrap();
    assert!(matches!(found, Agreement::Alarm(Alarm::Fork { number: 1, .. })), "{found:?}");
}
