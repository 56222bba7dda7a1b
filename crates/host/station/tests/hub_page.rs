// SPDX-License-Identifier: Apache-2.0

//! The page of a hub: all stations together, what contradicts, and a hub that is gone for a while.
#![cfg(unix)]

mod common;
#[path = "common/http.rs"]
mod http_client;
#[path = "common/notices.rs"]
mod notices;
#[path = "common/two_stations.rs"]
mod two_stations;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::postgres::{Server, TestHub, TestStation, push};
use common::{attempt, entry, links, run};
use http_client::{Answer, Events, ask, get};
use notices::options;
use rustix::process::{Pid, Signal, kill_process};
use station::hub::{Hub, Kind};
use station::ledger::{Ledger, New, NewEnd, Withdrawal};
use station::page::Page;
use station::station_key::StationKey;
use two_stations::{failed, reader, two_stations};

/// A path of the page, once it has all of this. It reads the hub by itself.
#[track_caller]
fn wait(address: SocketAddr, path: &str, wanted: &[&str]) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = get(address, path);
        let missing: Vec<_> =
            wanted.iter().filter(|wanted| !answer.text().contains(**wanted)).collect();
        if missing.is_empty() {
            return answer.text().to_owned();
        }
        assert!(Instant::now() < deadline, "never: {missing:?}\n{}", answer.text());
        thread::sleep(Duration::from_millis(50));
    }
}

/// What stands in a section.
fn section<'a>(html: &'a str, id: &str) -> &'a str {
    let begin = html.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("{html}"));
    &html[begin..begin + html[begin..].find("</section>").unwrap()]
}

/// The addresses of runs in a part of a page.
fn attempts(html: &str) -> Vec<String> {
    let rest = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    rest.filter(|address| address.starts_with("attempt/")).map(|to| format!("/{to}")).collect()
}

/// The cells of the row of a table that begins with this name.
fn row<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let row = html.split("<tr").find(|row| row.contains(&format!("<bdi>{name}</bdi></th>")));
    let row = row.unwrap_or_else(|| panic!("{name}: {html}"));
    row.split("<td")
        .skip(1)
        .map(|cell| cell.split_once('>').unwrap().1.split("</td>").next().unwrap())
        .collect()
}

fn is_text(page: &str) -> bool {
    ["<script>", "<img", "onerror=\"", "\u{1b}", "\u{202e}", "&lt;b&gt; "]
        .iter()
        .all(|markup| !page.contains(markup))
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn all_stations_are_on_one_page_with_what_they_contradict_in() {
    let hub = TestHub::new();
    let [mut one, mut two] = two_stations(&hub);
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    let address = page.address();
    // 180 and 2.
    let html =
        wait(address, "/engineer", &["<dt>Good</dt><dd>182</dd>", "<dt>Failed</dt><dd>24</dd>"]);
    assert!(is_text(&html), "{html}");
    assert!(!html.contains("data-partial"));
    // The part that was on both is one part.
    assert!(html.contains("<dd class=\"less\">181 of 205 parts</dd>"), "{html}");
    let stations = section(&html, "stations");
    for (station, parts, runs) in [(&one, "180", "203"), (&two, "2", "3")] {
        let cells = row(stations, &station.role);
        let last = station.ledger.head().unwrap().number.to_string();
        assert_eq!(cells[1..4], [parts, runs, &last], "{stations}");
        assert_eq!(cells[5], "the last link");
        // By the hub's clock, which is this machine's.
        let pushed: jiff::civil::DateTime = cells[6].parse().unwrap();
        let ago = jiff::Timestamp::now()
            .duration_since(jiff::tz::TimeZone::UTC.to_timestamp(pushed).unwrap());
        assert!((0..600).contains(&ago.as_secs()), "{ago:?}");
    }
    // Failures of two ports of one name are not those of one port.
    let failures = section(&html, "failures");
    for station in [&one, &two] {
        assert!(failures.contains(&format!("{}: /dev/line/left-1", station.role)), "{failures}");
    }
    // What both claim, and both runs of it.
    let contests = section(&html, "contests");
    for part in [
        "Conflicts: 1. Entries that are held back: 2;",
        "device ID and identity key and serial number",
    ] {
        assert!(contests.contains(part), "{contests}");
    }
    let both = attempts(contests);
    assert_eq!(both, ["/attempt/1/1", "/attempt/2/1"]);
    for (path, station) in both.iter().zip([&one, &two]) {
        let answer = get(address, path);
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(&station.role) && answer.text().contains("../../page.css"));
        assert!(answer.text().contains(&entry(1).identity.device_id.to_string()));
    }
    // One station, one port, one result.
    let html = get(address, &format!("/engineer?station={}", two.role));
    assert!(html.text().contains("<dt>Good</dt><dd>2</dd>"), "{}", html.text());
    let verifier = two.ledger.origin().unwrap().verifier().unwrap().to_string();
    assert!(html.text().contains(&verifier));
    let path = format!("/engineer?station={}&port=/dev/line/left-1&result=failed", two.role);
    let html = get(address, &path);
    let runs = attempts(section(html.text(), "runs"));
    assert_eq!(runs, ["/attempt/2/5"]);
    let console = get(address, &runs[0]);
    assert!(console.text().contains("<pre tabindex=\"0\" dir=\"ltr\"><bdi>\\x1b[31mred"));
    assert!(is_text(console.text()), "{}", console.text());
    let html = get(address, "/engineer?port=/dev/line/left-1&result=failed");
    let runs = attempts(section(html.text(), "runs"));
    assert!(
        runs.iter().any(|run| run.starts_with("/attempt/1/"))
            && runs.contains(&"/attempt/2/5".into())
    );
    // It goes on with the stations.
    let mut events = Events::of(address, "/engineer/events");
    assert_eq!(events.next().unwrap().name, "start");
    assert_eq!(events.next().unwrap().name, "ledger");
    two.ledger
        .append(&[New::Withdrawal(Withdrawal { entry: 1, reason: "also on line-1".into() })])
        .unwrap();
    two.push().unwrap();
    assert_eq!(events.news().unwrap().name, "ledger");
    let html = wait(address, "/engineer", &["No two stations claim the same part.", "<td>7</td>"]);
    assert_eq!(row(section(&html, "stations"), &two.role)[1], "1", "an entry was withdrawn");
    one.ledger.append(&[run(NewEnd::Good(entry(191)), None)]).unwrap();
    one.push().unwrap();
    wait(address, "/engineer", &["<dt>Good</dt><dd>183</dd>"]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_part_is_found_on_whichever_station_it_was() {
    let hub = TestHub::new();
    let [one, two] = two_stations(&hub);
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    let address = page.address();
    wait(address, "/engineer", &["<dt>Good</dt><dd>182</dd>"]);
    let found = |name: &str| {
        let html = get(address, &format!("/engineer?part={name}"));
        assert_eq!(html.status, 200);
        section(html.text(), "found").to_owned()
    };
    let identity = entry(1).identity;
    for name in [identity.ueid().to_string(), identity.device_id.to_string().to_uppercase()] {
        let found = found(&name);
        assert_eq!(attempts(&found), ["/attempt/2/1", "/attempt/1/1"], "the newest first");
        assert!(found.contains(&one.role) && found.contains(&two.role));
    }
    assert_eq!(attempts(&found("B-0002")), ["/attempt/2/3"]);
    assert_eq!(attempts(&found("A-0000")), ["/attempt/2/1", "/attempt/1/1"]);
    assert_eq!(attempts(&found("A-0001")), ["/attempt/1/3"]);
    let none = found("%3Cscript%3E'%20OR%201=1");
    assert!(is_text(&none) && none.contains("None. A serial number is compared"), "{none}");
    assert_eq!(get(address, "/attempt/2/2").status, 404, "that is an outcome");
    for path in ["/attempt/2/99999", "/attempt/9/1", "/attempt/1"] {
        assert_eq!(get(address, path).status, 404, "{path}");
    }
    // Steps of a run that are links of their own.
    let with_step = links(&one.ledger).into_iter().find_map(|link| match link.fact {
        station::ledger::Fact::Program(program) => Some(program.attempt),
        _ => None,
    });
    let html = get(address, &format!("/attempt/1/{}", with_step.unwrap()));
    assert!(html.text().contains("./red-light.sh &lt;b&gt;left&lt;/b&gt;"), "{}", html.text());
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_has_no_line_and_says_where_one_is() {
    let hub = TestHub::new();
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    let html = get(page.address(), "/");
    assert!(html.text().contains("station provision --page"), "{}", html.text());
    assert!(!html.text().contains("class=\"port\""));
    assert_eq!(get(page.address(), "/events").status, 404);
    wait(page.address(), "/engineer", &["No station has pushed a ledger."]);
    for path in ["/", "/engineer", "/engineer?station=x&part=y", "/attempt/1/1"] {
        let answer = get(page.address(), path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(ask(page.address(), "POST", path, "Host: localhost\r\n").status, 405);
        assert_eq!(ask(page.address(), "GET", path, "Host: evil.example\r\n").status, 421);
    }
}

/// It goes while the page is open, and comes back with more than it had.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_is_restarted_comes_back_and_what_was_read_stays() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let [_one, mut two] = two_stations(&hub);
    let config = reader(&hub);
    let page = Page::of_hub(options(), &config).unwrap();
    let address = page.address();
    let gone = "NOT LIVE: the hub cannot be read since ";
    assert!(!wait(address, "/engineer", &["<dt>Good</dt><dd>182</dd>"]).contains(gone));
    hub.server.stop_immediately();
    let html = wait(address, "/engineer", &[gone, "<dt>Good</dt><dd>182</dd>"]);
    assert!(html.contains("Conflicts: 1.") && html.contains("<time data-since=\"20"), "{html}");
    // Nobody waits for it.
    let asked = Instant::now();
    let found: Answer = get(address, "/engineer?part=A-0000");
    assert!(
        section(found.text(), "found").contains("the hub cannot be read just now"),
        "{}",
        found.text()
    );
    assert_eq!(get(address, "/attempt/1/1").status, 503);
    assert!(asked.elapsed() < Duration::from_secs(5));
    let since = |html: &str| html.split("data-since=\"").nth(1).unwrap()[..20].to_owned();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(since(&html), since(get(address, "/engineer").text()), "since when does not change");
    // One that is opened now begins when the hub does.
    let second = Page::of_hub(options(), &config).unwrap();
    assert!(get(second.address(), "/engineer").text().contains(gone));
    hub.server.restart();
    two.ledger.append(&[run(NewEnd::Good(entry(195)), None)]).unwrap();
    two.push().unwrap();
    for address in [address, second.address()] {
        let html = wait(address, "/engineer", &["<dt>Good</dt><dd>183</dd>"]);
        assert!(!html.contains(gone), "{html}");
        assert_eq!(get(address, "/attempt/1/1").status, 200);
    }
    // One that hangs is no better, and no page waits for it.
    hub.server.freeze(true);
    wait(address, "/engineer", &[gone, "has not answered for"]);
    hub.server.freeze(false);
    let deadline = Instant::now() + Duration::from_secs(60);
    while get(address, "/engineer").text().contains(gone) {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Changes links behind the hub's back.
fn tamper(hub: &TestHub, sql: &str) {
    hub.sql(&format!(
        "ALTER TABLE hub.links DISABLE TRIGGER ALL; ALTER TABLE hub.checkpoints DISABLE TRIGGER ALL; \
         {sql}; ALTER TABLE hub.links ENABLE TRIGGER ALL; ALTER TABLE hub.checkpoints ENABLE TRIGGER ALL; \
         ALTER TABLE hub.links ENABLE ALWAYS TRIGGER nothing_changes; \
         ALTER TABLE hub.checkpoints ENABLE ALWAYS TRIGGER nothing_changes"
    ));
}

/// Puts another content in the place of a link's, with its hash.
fn replace(hub: &TestHub, ledger: i32, link: &station::ledger::Link) {
    let hex = base16ct::lower::encode_string(&link.content());
    tamper(
        hub,
        &format!(
            "UPDATE hub.links SET content = '\\x{hex}', hash = sha256('\\x{hex}') \
             WHERE station = {ledger} AND number = {}",
            link.number
        ),
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_ledger_that_was_changed_at_the_hub_is_not_shown_as_good() {
    let hub = TestHub::new();
    let [one, two] = two_stations(&hub);
    let config = reader(&hub);
    let early = Page::of_hub(options(), &config).unwrap();
    wait(early.address(), "/engineer", &["<dt>Good</dt><dd>182</dd>"]);
    assert_eq!(get(early.address(), "/attempt/2/5").status, 200);
    // The link of an outcome, whole in itself.
    let mut link = links(&two.ledger).swap_remove(5);
    "other".clone_into(&mut link.version);
    replace(&hub, 2, &link);
    // Its last link is another one than was read, and than was signed.
    let not_good = format!("<bdi>ledger 2 of {}</bdi> IS NOT GOOD", two.role);
    let html = wait(early.address(), "/engineer", &[&not_good]);
    assert!(html.contains("<dt>Good</dt><dd>182</dd>"), "what was read stays: {html}");
    let answer = get(early.address(), "/attempt/2/5");
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("other"), "{}", answer.text());
    // In the middle of a chain: who reads it from its beginning sees it, and the other station's ledger is good.
    let mut link = links(&one.ledger).swap_remove(19);
    link.previous = [9; 32];
    replace(&hub, 1, &link);
    let late = Page::of_hub(options(), &config).unwrap();
    let html = wait(late.address(), "/engineer", &["IS NOT GOOD"]);
    assert!(
        html.contains(&format!("ledger 1 of {}", one.role)) && html.contains("link 20"),
        "{html}"
    );
    // The page that had read it sees it when somebody looks it up.
    assert!(!get(early.address(), "/engineer").text().contains("ledger 1 of"));
    assert_eq!(get(early.address(), "/attempt/1/20").status, 500);
    wait(
        early.address(),
        "/engineer",
        &[&format!("<bdi>ledger 1 of {}</bdi> IS NOT GOOD", one.role)],
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_checkpoint_of_something_else_is_named() {
    let hub = TestHub::new();
    let [_one, two] = two_stations(&hub);
    let last = two.ledger.head().unwrap();
    let changed = |note: &str| {
        tamper(&hub, &format!("UPDATE hub.checkpoints SET note = '{note}' WHERE station = 2"));
    };
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    wait(page.address(), "/engineer", &["<dt>Good</dt><dd>182</dd>"]);
    // Of an earlier link, of none that is there, and of nobody.
    let first =
        station::ledger::Receipt { number: 1, hash: two.ledger.hash_at(1).unwrap().unwrap() };
    changed(&two.ledger.checkpoint(first).unwrap());
    let html = wait(page.address(), "/engineer", &["<td class=\"words\">link 1</td>"]);
    assert!(!section(&html, "stations").contains('✕'));
    let other = station::ledger::Receipt { hash: [7; 32], ..last };
    changed(&two.ledger.checkpoint(other).unwrap());
    wait(page.address(), "/engineer", &["is not the one that the station has signed"]);
    changed("nothing");
    wait(page.address(), "/engineer", &["this is not a checkpoint"]);
}

/// As a hub that was restored from a backup: what it lacks may come back.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn links_that_the_hub_lacks_for_a_while_are_said_to_be_missing() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    one.ledger.append(&[failed("left")]).unwrap();
    one.push().unwrap();
    one.ledger.append(&[failed("right")]).unwrap();
    one.push().unwrap();
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    wait(page.address(), "/engineer", &["<dt>Failed</dt><dd>2</dd>"]);
    hub.sql(
        "ALTER TABLE hub.outcomes DISABLE TRIGGER ALL; ALTER TABLE hub.attempts DISABLE TRIGGER ALL; \
         DELETE FROM hub.outcomes WHERE link > 2; DELETE FROM hub.attempts WHERE link > 2",
    );
    tamper(
        &hub,
        "DELETE FROM hub.checkpoints WHERE number > 2; DELETE FROM hub.links WHERE number > 2",
    );
    let html = wait(page.address(), "/engineer", &["the hub lacks link 4, which it had"]);
    assert!(html.contains("<dt>Failed</dt><dd>2</dd>") && !html.contains("IS NOT GOOD"), "{html}");
    push(&one.config, &one.ledger).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while get(page.address(), "/engineer").text().contains("the hub lacks") {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(100));
    }
}

/// It has all runs of the one before, and a person counts them once.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_runs_of_a_ledger_that_another_one_continues_count_once() {
    let hub = TestHub::new();
    let mut old = hub.station("line-1");
    let begun = New::Attempt(attempt("left"));
    old.ledger
        .append(&[run(NewEnd::Good(entry(1)), Some("B-0001")), failed("left"), begun])
        .unwrap();
    old.push().unwrap();
    let key = hub.folder.path().join("new.key");
    StationKey::generate().unwrap().write(&key).unwrap();
    let public = StationKey::read(&key).unwrap().public();
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&old.role, Kind::Station(public), None).unwrap();
    let path = hub.folder.path().join("new.db");
    drop(
        Ledger::open(old.ledger.path())
            .unwrap()
            .continue_in(&path, None, Some(public), None, |_| Ok(()))
            .unwrap(),
    );
    let mut new = TestStation {
        ledger: {
            let mut ledger = Ledger::open_or_create(&path).unwrap();
            ledger.set_signer(StationKey::read(&key).unwrap(), None).unwrap();
            ledger
        },
        key,
        role: old.role.clone(),
        config: old.config.clone(),
    };
    new.ledger.append(&[run(NewEnd::Good(entry(2)), Some("B-0002"))]).unwrap();
    new.push().unwrap();
    let page = Page::of_hub(options(), &reader(&hub)).unwrap();
    let html = wait(
        page.address(),
        "/engineer",
        &[
            "<dt>Runs</dt><dd>4</dd>",
            "<dt>Good</dt><dd>2</dd>",
            "<dt>Failed</dt><dd>1</dd>",
            "<dt>Running or cut off</dt><dd>1</dd>",
            "goes on in 2",
            "No two stations claim the same part.",
        ],
    );
    assert_eq!(html.matches(&format!("<option value=\"{}\"", old.role)).count(), 1);
    let found = get(page.address(), "/engineer?part=B-0001");
    assert_eq!(attempts(section(found.text(), "found")), ["/attempt/2/1"]);
}

/// Also for a role that may.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn nothing_is_written_over_the_session_of_a_page() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    one.ledger.append(&[failed("left")]).unwrap();
    let error = push(&one.config.clone().read_only(), &one.ledger).unwrap_err().to_string();
    assert!(error.contains("read-only transaction"), "{error}");
    assert_eq!(one.last(), 0);
    one.push().unwrap();
    // As the page logs in with the station's role.
    let page = Page::of_hub(options(), &one.config).unwrap();
    wait(page.address(), "/engineer", &["<dt>Failed</dt><dd>1</dd>"]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_program_shows_a_hub() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let [one, _two] = two_stations(&hub);
    let folder = tempfile::tempdir().unwrap();
    let page = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_station"));
        command.arg("page").args(["--listen", "127.0.0.1:0"]).args(arguments);
        command.current_dir(folder.path()).env("HOME", folder.path()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let url = hub.url(&one.role);
    let file = folder.path().join("station.toml");
    std::fs::write(&file, format!("[hub]\nurl = \"{url}\"\n")).unwrap();
    for arguments in [&["--hub", &url][..], &["--hub", "--station-file", "station.toml"]] {
        let mut child = page(arguments);
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.strip_prefix("The hub is shown at http://").unwrap_or_else(|| panic!("{line}"));
        let address = address.split('/').next().unwrap().parse().unwrap();
        let html = wait(address, "/engineer", &["<dt>Good</dt><dd>182</dd>"]);
        assert!(html.contains("<h1><bdi>Hub "), "{html}");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    // What will not go by itself begins no page.
    let none = hub.url(&one.role).replace(&format!("dbname={}", hub.database), "dbname=postgres");
    let role = hub.url("nobody");
    for (arguments, why) in [
        (&["--hub"][..], "which hub?"),
        (&["--hub", &none], "there is no hub in this database"),
        (&["--hub", &role], "Check the role in the name of the hub"),
        (&["--hub", &url, "--checkpoint", "x"], "cannot be used with"),
        (&["--hub", "postgres://a@hub.example/hub"], "Name the certificate"),
    ] {
        let output = page(arguments).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(why), "{arguments:?}: {said}");
    }
}
