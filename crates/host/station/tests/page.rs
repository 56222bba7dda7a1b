// SPDX-License-Identifier: Apache-2.0

//! The page as a server: who is let in, what is sent, and that it is text. `page_browser` has it in a browser.

mod common;
#[path = "common/http.rs"]
mod http_client;
#[path = "common/notices.rs"]
mod notices;

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_client::{Answer, Events, ask, connect, get};
use notices::{HOSTILE, about, fail, failed, known, options, page, pass, running, shift};
use rusqlite::Connection;
use station::batch::{Notice, Question};
use station::ledger::{Ledger, LedgerError, Origin, Problem, Receipt};
use station::page::{Copies, Options, Page, PageError, Token};
use station::station_key::StationKey;
use tempfile::TempDir;

const PATHS: [&str; 9] = [
    "/",
    "/engineer",
    "/engineer?hours=24&port=left&result=failed&part=A-0001",
    "/page.css",
    "/operator.js",
    "/engineer.js",
    "/icon.svg",
    "/attempt/7",
    "/nothing",
];

/// A shift in a ledger, and its page.
fn page_of_shift() -> (Page, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    shift(&mut Ledger::open_or_create(&file).unwrap(), 7);
    let page = Page::of_ledger(options(), Ledger::open(&file).unwrap(), about()).unwrap();
    (page, folder)
}

/// A page's text without the parts that this program has written: `None` if something in it is markup.
fn is_text(page: &str) -> bool {
    ["<script>", "<img", "onerror=\"", "\u{1b}", "\u{202e}", "&lt;b&gt; "]
        .iter()
        .all(|markup| !page.contains(markup))
}

#[test]
fn every_answer_forbids_what_a_page_must_not_do() {
    let (page, _folder) = page(&["left", "right"]);
    for path in PATHS {
        let answer = get(page.address(), path);
        assert_eq!(
            answer.status,
            if path.contains("nothing") || path.contains("attempt") { 404 } else { 200 }
        );
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        // Nothing inline, which the policy would stop, and nothing from elsewhere.
        if path == "/" || path.starts_with("/engineer?") {
            let html = answer.text().replace("http://www.w3.org/2000/svg", "");
            for bad in [" style=\"", "<style", " onclick", "<script>", "https://", "http://"] {
                assert!(!html.contains(bad), "{path}: {bad}");
            }
        }
    }
}

#[test]
fn nothing_can_be_written() {
    let (page, _folder) = page(&["left"]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in ["/", "/events", "/engineer", "/engineer/events", "/attempt/1"] {
            let answer = ask(page.address(), method, path, "Host: localhost\r\n");
            assert_eq!(answer.status, 405, "{method} {path}");
        }
    }
}

#[test]
fn a_foreign_host_is_refused() {
    let (page, _folder) = page(&["left"]);
    let port = page.address().port();
    for host in
        ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", ""]
    {
        for path in ["/", "/events", "/page.css"] {
            let answer = ask(page.address(), "GET", path, &format!("Host: {host}\r\n"));
            assert_eq!(answer.status, 421, "{host}");
            assert!(!answer.text().contains("left"));
        }
    }
    assert_eq!(ask(page.address(), "GET", "/", "").status, 421);
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "[::1]".into()] {
        assert_eq!(
            ask(page.address(), "GET", "/", &format!("Host: {host}\r\n")).status,
            200,
            "{host}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let ledger = Ledger::open_or_create(&file).unwrap();
    let named = Options { hosts: vec!["line.example".into()], ..options() };
    let named = Page::of_batch(named, ledger, &["left".into()], about()).unwrap();
    assert_eq!(ask(named.address(), "GET", "/", "Host: Line.Example\r\n").status, 200);
    assert_eq!(ask(named.address(), "GET", "/", "Host: other.example\r\n").status, 421);
}

const TOKEN: &str = "S6mDkq1n8oZrR2yqJxgT4w5v9K0b3c7e";

#[cfg(unix)]
fn token_file(folder: &TempDir, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.path().join("token");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[cfg(unix)]
#[test]
fn a_token_is_asked_for_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
    let file = token_file(&folder, &format!("{TOKEN}\n"), 0o600);
    let token = Token::read(&file).unwrap();
    assert!(!format!("{token:?}").contains(&TOKEN[..6]));
    // On every address of the machine.
    let options =
        Options { address: "0.0.0.0:0".parse().unwrap(), token: Some(token), ..options() };
    let page = Page::of_batch(options, ledger, &["left".into()], about()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], page.address().port()));
    let with = |header: &str| ask(address, "GET", "/", &format!("Host: localhost\r\n{header}"));
    for bad in [
        String::new(),
        "Authorization: Bearer \r\n".into(),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Cookie: token={TOKEN}\r\n"),
    ] {
        let answer = with(&bad);
        assert_eq!(answer.status, 401, "{bad}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(!answer.text().contains("left"));
    }
    for path in PATHS.into_iter().chain(["/events", "/engineer/events"]) {
        assert_eq!(ask(address, "GET", path, "Host: localhost\r\n").status, 401, "{path}");
    }
    assert_eq!(ask(address, "GET", &format!("/?token={TOKEN}"), "Host: localhost\r\n").status, 401);
    let good = with(&format!("Authorization: bearer {TOKEN}\r\n"));
    assert_eq!(good.status, 200);
    assert!(!good.text().contains(TOKEN));
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_or_guess_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let error = Token::read(&token_file(&folder, TOKEN, mode)).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
    for text in [
        "",
        "short",
        "a token of several words, long enough",
        "line one of the token\nline two of it",
    ] {
        let error = Token::read(&token_file(&folder, text, 0o600)).unwrap_err().to_string();
        assert!(error.contains("openssl rand"), "{error}");
        assert!(text.is_empty() || !error.contains(text), "{error}");
    }
    assert!(Token::read(&token_file(&folder, TOKEN, 0o400)).is_ok());
    assert!(Token::read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
}

#[test]
fn other_machines_reach_no_page_without_a_token() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
        let options = Options { address: address.parse().unwrap(), ..options() };
        let error = Page::of_ledger(options, ledger, about()).unwrap_err();
        assert!(matches!(error, PageError::Open(_)), "{error}");
        assert!(error.to_string().contains("--page-token"));
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (first, _folder) = page(&["left"]);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
    let options = Options { address: first.address(), ..options() };
    let error = Page::of_ledger(options, ledger, about()).unwrap_err().to_string();
    assert!(
        error.contains(&first.address().to_string()) && error.contains("another port"),
        "{error}"
    );
}

/// The field of a port in what was sent.
fn field(html: &str, port: usize) -> Option<&str> {
    let begin = html.find(&format!("<article class=\"port\" id=\"port-{port}\""))?;
    let rest = &html[begin..];
    Some(&rest[..rest.find("</article>")?])
}

#[test]
fn each_state_has_its_word_and_its_shape() {
    let (page, _folder) = page(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    for port in [1, 2, 3, 4] {
        page.notice(&Notice::Begun(port));
    }
    running(&page, 1, 3);
    page.notice(&pass(2, 117, Some("A-0117")));
    page.notice(&fail(3));
    page.notice(&known(4, 42));
    page.notice(&Notice::Lost(5, io::Error::other("No such device")));
    page.notice(&Notice::Asked(6, Question::Next));
    page.notice(&Notice::GivenUp(7));
    page.notice(&Notice::Asked(8, Question::Start));
    let html = get(page.address(), "/");
    let states = [
        ("waiting", "READY", "shape-waiting", "Put a part in"),
        ("running", "RUNNING", "shape-running", "value=\"3\""),
        ("pass", "PASS", "shape-pass", "A-0117"),
        (
            "fail",
            "FAIL",
            "shape-fail",
            "Set it aside, or erase it with ERASEALL and start again. [10]",
        ),
        ("known", "KNOWN", "shape-known", "Same part again: take it out"),
        ("lost", "NO PORT", "shape-lost", "Connect it again"),
        ("asked", "SCAN", "shape-asked", "scan the serial number of the next part"),
        ("given-up", "STOPPED", "shape-lost", "start the station again"),
        ("asked", "PLACE", "shape-asked", "press Enter when the next part is in its place"),
    ];
    for (port, (state, word, shape, text)) in states.into_iter().enumerate() {
        let field = field(html.text(), port).unwrap();
        for part in [&format!("data-state=\"{state}\""), word, shape, text] {
            assert!(field.contains(part), "{part}: {field}");
        }
    }
    // What follows on each.
    page.notice(&Notice::Lost(2, io::Error::other("gone")));
    page.notice(&Notice::Taken(6));
    page.notice(&Notice::NotTaken(8, "\"A-1\" is the serial number of entry 1".into()));
    page.notice(&Notice::Back(5));
    page.notice(&Notice::Idle(0, Duration::from_secs(60)));
    page.notice(&Notice::Begun(3));
    let html = get(page.address(), "/");
    for (port, state, text) in [
        (2, "lost", "The last part: <strong>PASS"),
        (6, "waiting", "Put a part in"),
        (8, "asked", "is the serial number of entry 1"),
        (5, "waiting", "Put a part in"),
        (0, "waiting", "No part for 60 s"),
        (3, "running", "data-failed=\"1\""),
    ] {
        let field = field(html.text(), port).unwrap();
        assert!(
            field.contains(&format!("data-state=\"{state}\"")) && field.contains(text),
            "{field}"
        );
    }
    assert!(html.text().contains("1 of 500"), "good parts of those wanted");
}

#[test]
fn an_event_has_what_changed_and_the_last_one_says_that_it_is_over() {
    let (page, _folder) = page(&["left", "right"]);
    let mut events = Events::of(page.address(), "/events");
    assert_eq!(events.next().unwrap().name, "start");
    let all = events.next().unwrap();
    assert!(all.name == "line" && field(&all.data, 0).is_some() && field(&all.data, 1).is_some());
    page.notice(&Notice::Begun(1));
    let change = events.news().unwrap();
    assert!(
        field(&change.data, 0).is_none() && field(&change.data, 1).unwrap().contains("RUNNING")
    );
    assert!(!change.data.contains("id=\"counts\""), "{}", change.data);
    page.notice(&pass(1, 1, None));
    let change = events.news().unwrap();
    assert!(field(&change.data, 0).is_none(), "it has not changed");
    assert!(field(&change.data, 1).unwrap().contains("PASS"));
    assert!(change.data.contains("id=\"counts\""));
    // Where nothing changes a browser is told that the station is there.
    assert_eq!(events.next().unwrap().name, "beat");
    drop(page);
    assert_eq!(events.news().unwrap().name, "end");
    assert!(events.next().is_none());
}

#[test]
fn what_a_part_or_a_scanner_says_is_text() {
    let (page, _folder) = page(&[HOSTILE, "right"]);
    let mut events = Events::of(page.address(), "/events");
    events.next();
    events.next();
    page.notice(&Notice::Begun(0));
    page.notice(&failed(0, HOSTILE, Some(10)));
    page.notice(&pass(1, 1, Some(HOSTILE)));
    page.notice(&Notice::NotTaken(1, HOSTILE.into()));
    let html = get(page.address(), "/");
    let event = events.news().unwrap();
    for html in [html.text(), &event.data] {
        assert!(is_text(html), "{html}");
        assert!(
            html.contains("&lt;script&gt;")
                && html.contains("\\x1b[31mred")
                && html.contains("\\u{202e}gpj.exe")
        );
        let serial = html.split("class=\"serial\"").nth(1).unwrap();
        assert!(serial.starts_with("><bdi>"), "{serial}");
        assert!(html.contains("\u{5e9}\u{5dc}\u{5d5}\u{5dd}"), "letters from right to left stay");
    }
}

#[test]
fn the_engineer_has_the_figures_of_the_ledger_and_its_consoles() {
    let (page, folder) = page_of_shift();
    let address = page.address();
    let html = get(address, "/engineer");
    let html = html.text();
    assert!(is_text(html), "{html}");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let head = ledger.head().unwrap();
    let hash = base16ct::lower::encode_string(&head.hash);
    for part in [
        "<dt>First-pass yield</dt><dd>88.7 %</dd><dd class=\"less\">180 of 203 parts</dd>",
        "<dt>Good</dt><dd>180</dd>",
        "<dt>Failed</dt><dd>23</dd>",
        "<dt>Entries</dt><dd>180</dd>",
        &hash,
        "failure 10",
        "line-timeout",
        "identity-key",
        "Time by step: bar to the median, line to 95 %",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // Each chart has its numbers beside it.
    assert_eq!(html.matches("<div class=\"beside\"><div class=\"chart\"").count(), 3);
    assert_eq!(html.matches("<svg").count(), 3);
    assert_eq!(html.matches("href=\"attempt/").count(), 50);
    let failed = get(address, "/engineer?result=failed");
    assert_eq!(failed.text().matches("href=\"attempt/").count(), 23);
    assert!(!failed.text().contains("data-result=\"good\""));
    let none = get(address, "/engineer?port=nowhere&result=%3Cb%3E");
    assert_eq!(none.text().matches("href=\"attempt/").count(), 0);
    let left = get(address, "/engineer?port=/dev/line/left-1&result=failed");
    let count = left.text().matches("href=\"attempt/").count();
    assert!((1..23).contains(&count), "{count}");
    // A failed run with a console that would like to be more.
    let attempt =
        failed.text().split("href=\"attempt/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let pages: Vec<Answer> =
        attempt.map(|number| get(address, &format!("/attempt/{number}"))).collect();
    assert!(pages.iter().all(|page| page.status == 200 && is_text(page.text())));
    let hostile = pages
        .iter()
        .filter(|page| page.text().contains("<pre tabindex=\"0\" dir=\"ltr\"><bdi>\\x1b[31mred"))
        .count();
    assert!(hostile > 2, "{hostile}");
    assert!(
        pages.iter().any(|page| page.text().contains("./red-light.sh &lt;b&gt;left&lt;/b&gt;"))
    );
    assert_eq!(get(address, "/attempt/99999").status, 404);
    assert_eq!(get(address, "/attempt/2").status, 404, "that is an outcome");
}

#[test]
fn a_part_is_found_by_each_of_its_names() {
    let (page, folder) = page_of_shift();
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let link = common::links(&ledger).into_iter().find(|link| link.entry().is_some()).unwrap();
    let identity = link.entry().unwrap().identity;
    let serial = link.serial_number().unwrap().to_owned();
    for name in [serial, identity.ueid().to_string(), identity.device_id.to_string().to_uppercase()]
    {
        let html = get(page.address(), &format!("/engineer?part={name}"));
        let found =
            html.text().split("id=\"found\"").nth(1).unwrap().split("</section>").next().unwrap();
        assert_eq!(found.matches("href=\"attempt/").count(), 1, "{name}: {found}");
        assert!(found.contains(&identity.device_id.to_string()));
    }
    let none = get(page.address(), "/engineer?part=%3Cscript%3E'%20OR%201=1");
    assert!(is_text(none.text()));
    let found = none.text().split("id=\"found\"").nth(1).unwrap();
    assert!(found.contains("None. A serial number is compared"));
}

/// A ledger that its station signs: its folder, its file, and the file of its checkpoints.
fn signed_ledger() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (file, checkpoint) = (folder.path().join("ledger.db"), folder.path().join("last.note"));
    let key = StationKey::generate().unwrap();
    let origin = Origin { station_key: Some(key.public()), ..Origin::default() };
    let mut ledger = Ledger::begin(&file, None, &origin).unwrap();
    ledger.set_signer(key, Some(&checkpoint)).unwrap();
    common::enter(&mut ledger, &common::entries(1..=2)).unwrap();
    ledger.finish().unwrap();
    (folder, file, checkpoint)
}

/// What the page says of the ledger itself, and of what is wrong with it.
fn of_the_ledger(page: &Page) -> (String, String) {
    let answer = get(page.address(), "/engineer");
    let part = |id: &str, end: &str| {
        let rest = answer.text().split(&format!(" id=\"{id}\"")).nth(1).unwrap();
        rest.split(end).next().unwrap().to_owned()
    };
    let ledger = answer.text().split("<section id=\"ledger\"").nth(1).unwrap();
    (ledger.to_owned(), part("reading", "</div>"))
}

#[track_caller]
fn says(page: &Page, wanted: &str) {
    let (ledger, wrong) = of_the_ledger(page);
    let text: String = ledger.replace("<strong>", "").replace("<bdi>", "").replace("</bdi>", "");
    assert!(text.contains(wanted), "{wanted}: {text}");
    assert!(!wrong.contains("banner"), "{wrong}");
}

#[track_caller]
fn alarms(page: &Page, wanted: &str) {
    let (_, wrong) = of_the_ledger(page);
    assert!(wrong.contains("banner bad") && wrong.contains(wanted), "{wanted}: {wrong}");
}

#[test]
fn what_the_hub_has_not_acknowledged_is_pending() {
    const HUB: &str = "hub.example:5432/hub";
    let (folder, file, _) = signed_ledger();
    let ledger = Ledger::open(&file).unwrap();
    let sent = |number: u64, hash: [u8; 32], hub: &str| {
        let hash = base16ct::lower::encode_string(&hash);
        fs::write(folder.path().join("ledger.db-hub"), format!("{number} {hash} {hub}\n")).unwrap();
    };
    let hash_at = |number| ledger.hash_at(number).unwrap().unwrap();
    let of = |hub: Option<&str>| {
        let copies = Copies { hub: hub.map(str::to_owned), checkpoint: None };
        Page::of_ledger(Options { copies, ..options() }, Ledger::open(&file).unwrap(), about())
            .unwrap()
    };
    let (page, without) = (of(Some(HUB)), of(None));
    says(&without, "No hub: the station file names none");
    says(
        &page,
        "hub.example:5432/hub has acknowledged nothing that is known here. Pending: 4 links, with 2 parts",
    );
    sent(2, hash_at(2), HUB);
    says(
        &page,
        "hub.example:5432/hub has acknowledged links up to 2. Pending: 2 links, with 1 parts",
    );
    says(&without, "No hub is named now. hub.example:5432/hub has acknowledged links up to 2");
    sent(4, hash_at(4), HUB);
    says(&page, "hub.example:5432/hub has all of it, up to link 4");
    sent(4, hash_at(4), "other.example:5432/hub");
    says(&page, "hub.example:5432/hub has acknowledged nothing that is known here");
    // The file was rolled back, or is another one.
    sent(5, [5; 32], HUB);
    alarms(&page, "has acknowledged link 5");
    sent(4, [5; 32], HUB);
    alarms(&page, "has acknowledged link 4");
}

#[test]
fn the_last_checkpoint_is_shown_and_what_contradicts_it() {
    let (folder, file, checkpoint) = signed_ledger();
    let of = |checkpoint: Option<&PathBuf>| {
        let copies = Copies { hub: None, checkpoint: checkpoint.cloned() };
        Page::of_ledger(Options { copies, ..options() }, Ledger::open(&file).unwrap(), about())
            .unwrap()
    };
    says(&of(None), "No file is named: checkpoint in the station file, or --checkpoint");
    says(&of(Some(&folder.path().join("none"))), "None was written so far");
    let page = of(Some(&checkpoint));
    let ledger = Ledger::open(&file).unwrap();
    let time = common::links(&ledger)[3].time.strftime("%Y-%m-%d %H:%M:%S");
    says(&page, &format!("Link 4 of {time} (UTC). It is the head"));
    says(&page, &ledger.origin().unwrap().verifier().unwrap().to_string());
    // Appended by somebody who does not sign.
    let mut more = Ledger::open_or_create(&file).unwrap();
    common::enter(&mut more, &common::entries(3..=3)).unwrap();
    says(&page, &format!("Link 4 of {time} (UTC). The head is 2 links beyond it"));
    let note = fs::read_to_string(&checkpoint).unwrap();
    for (text, why) in [
        ("nothing".to_owned(), "this is not a checkpoint"),
        (note.replacen("\n4\n", "\n3\n", 1), "the signature of the checkpoint is wrong"),
    ] {
        fs::write(&checkpoint, text).unwrap();
        alarms(&page, &format!("THE LAST CHECKPOINT IS NOT GOOD: <bdi>{why}"));
    }
    let (_other, _, other) = signed_ledger();
    alarms(&of(Some(&other)), "this is the checkpoint of another ledger");
    // A ledger that has no key.
    let (unsigned, _folder) = page_of_shift();
    says(&unsigned, "None: the ledger has no station key, so nobody signs it");
}

/// The checkpoint is of a ledger that went on, and this one is an older copy of it.
#[test]
fn a_ledger_that_was_rolled_back_behind_its_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, note) = (folder.path().join("ledger.db"), folder.path().join("last.note"));
    let key_file = folder.path().join("key");
    StationKey::generate().unwrap().write(&key_file).unwrap();
    let key = || StationKey::read(&key_file).unwrap();
    let origin = Origin { station_key: Some(key().public()), ..Origin::default() };
    for (number, ledger) in [(3, "long.db"), (2, "ledger.db")] {
        let mut ledger = Ledger::begin(&folder.path().join(ledger), None, &origin).unwrap();
        ledger.set_signer(key(), (number == 3).then_some(&*note)).unwrap();
        common::enter(&mut ledger, &common::entries(1..=number)).unwrap();
        ledger.finish().unwrap();
    }
    let copies = Copies { hub: None, checkpoint: Some(note) };
    let ledger = Ledger::open(&file).unwrap();
    let page = Page::of_ledger(Options { copies, ..options() }, ledger, about()).unwrap();
    alarms(&page, "the ledger ends with link 4, and its station has signed link 6");
}

/// Changes a row behind the ledger's back, and puts its triggers back.
fn tamper(folder: &TempDir, statement: &str) {
    let connection = Connection::open(folder.path().join("ledger.db")).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    assert_eq!(connection.execute(statement, []).unwrap(), 1);
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
}

#[test]
fn a_ledger_that_was_changed_is_not_shown_as_good() {
    // Before it was read.
    let (page, folder) = page_of_shift();
    tamper(&folder, "UPDATE outcomes SET text = 'fine' WHERE link = 11");
    let text = "THE LEDGER IS NOT GOOD";
    let changed = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let other = Page::of_ledger(options(), changed, about()).unwrap();
    assert!(get(other.address(), "/engineer").text().contains(text));
    // After it was read: the run that is looked up is another one than was read.
    drop(other);
    drop(page);
    let (page, folder) = page_of_shift();
    assert!(!get(page.address(), "/engineer").text().contains(text));
    assert_eq!(get(page.address(), "/attempt/10").status, 200);
    tamper(&folder, "UPDATE outcomes SET text = 'fine' WHERE link = 11");
    let answer = get(page.address(), "/attempt/10");
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("link 11") && !answer.text().contains("fine"),
        "{}",
        answer.text()
    );
}

#[test]
fn the_chain_is_followed_from_any_link_and_no_other_chain_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
    let none = ledger.head().unwrap();
    assert_eq!(ledger.follow(none, 10, |_| panic!("it is empty")).unwrap(), none);
    common::enter(&mut ledger, &common::entries(1..=5)).unwrap();
    let links = common::links(&ledger);
    for begin in 0..=links.len() {
        let from = begin.checked_sub(1).map_or(none, |before| Receipt {
            number: links[before].number,
            hash: links[before].hash,
        });
        for limit in [1, 3, 100] {
            let mut seen = Vec::new();
            let last = ledger.follow(from, limit, |link| seen.push(link)).unwrap();
            assert_eq!(seen, links[begin..links.len().min(begin + limit as usize)]);
            assert_eq!(last.number, seen.last().map_or(from.number, |link| link.number));
        }
    }
    for from in [Receipt { number: 3, hash: [1; 32] }, Receipt { number: 99, hash: links[0].hash }]
    {
        let error = ledger.follow(from, 9, |_| ()).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_, Problem::Head)), "{error}");
    }
}

/// It is whole in itself, and is not what was read.
#[test]
fn a_run_that_was_replaced_is_not_shown() {
    let (page, folder) = page_of_shift();
    assert_eq!(get(page.address(), "/attempt/10").status, 200);
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let mut link = common::links(&ledger).swap_remove(10);
    link.version = "other".into();
    let hash = base16ct::lower::encode_string(&link.computed_hash());
    tamper(
        &folder,
        &format!("UPDATE links SET version = 'other', hash = x'{hash}' WHERE number = 11"),
    );
    let answer = get(page.address(), "/attempt/10");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("link 11"), "{}", answer.text());
    assert!(get(page.address(), "/engineer").text().contains("THE LEDGER IS NOT GOOD"));
}

/// A link that is whole in itself, and does not follow the one before it.
#[test]
fn a_link_of_another_chain_is_not_followed() {
    let (page, folder) = page_of_shift();
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let mut link = common::links(&ledger).swap_remove(19);
    link.previous = [9; 32];
    let hex = |bytes: [u8; 32]| base16ct::lower::encode_string(&bytes);
    let (previous, hash) = (hex(link.previous), hex(link.computed_hash()));
    tamper(
        &folder,
        &format!("UPDATE links SET previous = x'{previous}', hash = x'{hash}' WHERE number = 20"),
    );
    let none = Receipt { number: 0, hash: [0; 32] };
    let error = ledger.follow(none, 100, |_| ()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_, Problem::Previous(20))), "{error}");
    drop(page);
}

#[test]
fn a_page_is_small() {
    let names: Vec<_> = (0..64).map(|n| format!("/dev/line/port-{n}")).collect();
    let (line, _folder) = page(&names.iter().map(|name| &name[..]).collect::<Vec<_>>());
    for port in 0..64 {
        line.notice(&fail(port));
    }
    let (shift, _other) = page_of_shift();
    let bytes = |page: &Page, paths: &[&str]| -> usize {
        paths.iter().map(|path| get(page.address(), path).body.len()).sum()
    };
    let operator = bytes(&line, &["/", "/page.css", "/operator.js", "/icon.svg"]);
    let engineer = bytes(&shift, &["/engineer", "/page.css", "/engineer.js", "/icon.svg"]);
    println!("64 failed ports: {operator} bytes; 50 runs: {engineer} bytes");
    assert!(operator < 200_000 && engineer < 200_000, "{operator}, {engineer}");
}

/// One that reads nothing is dropped; another one beside it sees everything that is new.
#[test]
fn a_browser_that_does_not_read_is_dropped() {
    let names: Vec<_> = (0..64).map(|n| format!("port-{n}")).collect();
    let (page, _folder) = page(&names.iter().map(|name| &name[..]).collect::<Vec<_>>());
    let mut deaf = connect(page.address());
    write!(deaf, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut events = Events::of(page.address(), "/events");
    let words = "all that a part can say ".repeat(300);
    let mut rounds = 0;
    let mut dropped = false;
    // It is dropped after WRITE_TIMEOUT, once its buffers are full.
    let deadline = std::time::Instant::now() + 6 * station::page::WRITE_TIMEOUT;
    while !dropped && std::time::Instant::now() < deadline {
        for port in 0..64 {
            page.notice(&failed(port, &format!("{rounds} {words}"), None));
        }
        let wanted = format!("says: {rounds} ");
        while !events.news().expect("the other one is not dropped").data.contains(&wanted) {}
        rounds += 1;
        // The system says so when the other end has gone, whether there is something to read or not.
        dropped = rounds % 10 == 0 && {
            let _ = deaf.write_all(b"\r\n");
            std::thread::sleep(Duration::from_millis(20));
            deaf.write_all(b"\r\n").is_err()
        };
    }
    assert!(dropped, "after {rounds} rounds");
    let mut rest = Vec::new();
    let read = deaf.read_to_end(&mut rest).unwrap_or(rest.len());
    assert!(read < 16 << 20, "{read} bytes waited for it");
}
