// SPDX-License-Identifier: Apache-2.0

//! The page in a real browser. `cargo xtask check --only page` runs these where Chromium is.
#![cfg(unix)]

#[path = "common/browser.rs"]
mod browser;
mod common;
#[path = "common/notices.rs"]
mod notices;

use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use browser::Browser;
use common::id;
use notices::{HOSTILE, about, fail, failed, known, options, page, pass, running, shift};
use silicon::Soc;
use station::batch::{self, Batch, Control, Notice, Parts, Port, Question};
use station::escaped;
use station::ledger::Ledger;
use station::page::{Options, Page};
use station::record::Wanted;
use station::simulated::Seed;
use tempfile::TempDir;

const WIDE: (u32, u32) = (1920, 1080);
/// Of the pictures in the documents.
const PICTURE: (u32, u32) = (1280, 720);
const NARROW: (u32, u32) = (320, 640);

fn opened(page: &Page) -> Browser {
    let browser = Browser::open();
    browser.size(WIDE);
    browser.go(&format!("http://{}/", page.address()));
    browser.wait("document.body.dataset.link === 'live'");
    browser
}

fn is(browser: &Browser, port: usize, state: &str) {
    browser.wait(&format!("document.getElementById('port-{port}').dataset.state === '{state}'"));
}

fn shown(browser: &Browser, port: usize) -> String {
    browser.text(&format!("document.getElementById('port-{port}').innerText"))
}

/// Whether what somebody must read is inside its field, and nothing is wider than the window.
fn fits(browser: &Browser, what: &str) {
    let cut = browser.value(
        "[...document.querySelectorAll('.port')].flatMap((port) => { \
           const box = port.getBoundingClientRect(); \
           return [...port.querySelectorAll('.word span, .serial, .text, .note, progress')].filter((part) => { \
             const inner = part.getBoundingClientRect(); \
             return inner.width > 0 && (inner.left < box.left - 1 || inner.right > box.right + 1 \
               || inner.top < box.top - 1 || inner.bottom > box.bottom + 1); \
           }).map((part) => `${port.id} ${part.className}: ${part.textContent}`); })",
    );
    assert_eq!(cut, serde_json::json!([]), "{what}");
    let width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.value(width), true, "{what}: wider than the window");
}

fn lost() -> io::Error {
    io::Error::other("No such device")
}

const EIGHT: [&str; 8] = [
    "/dev/serial/by-id/left-1",
    "/dev/serial/by-id/left-2",
    "/dev/serial/by-id/left-3",
    "/dev/serial/by-id/left-4",
    "/dev/serial/by-id/right-1",
    "/dev/serial/by-id/right-2",
    "/dev/serial/by-id/right-3",
    "/dev/serial/by-id/right-4",
];

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn each_state_of_a_port_is_seen_as_it_happens() {
    let (page, _folder) = page(&EIGHT);
    let browser = opened(&page);
    (0..8).for_each(|port| is(&browser, port, "waiting"));
    browser.is_accessible("eight that wait");
    for port in [1, 2, 3, 4] {
        page.notice(&Notice::Begun(port));
        is(&browser, port, "running");
    }
    running(&page, 1, 3);
    browser.wait("document.querySelector('#port-1 progress').value === 3");
    page.notice(&pass(2, 117, Some("A-0117")));
    page.notice(&fail(3));
    page.notice(&known(4, 42));
    page.notice(&Notice::Lost(5, lost()));
    page.notice(&Notice::Asked(6, Question::Next));
    page.notice(&Notice::GivenUp(7));
    let states = ["waiting", "running", "pass", "fail", "known", "lost", "asked", "given-up"];
    states.iter().enumerate().for_each(|(port, state)| is(&browser, port, state));
    let words = ["READY", "RUNNING", "PASS", "FAIL 10", "KNOWN", "NO PORT", "SCAN", "STOPPED"];
    words.iter().enumerate().for_each(|(port, word)| {
        assert!(shown(&browser, port).replace('\n', " ").contains(word), "{word}");
    });
    // A screen reader is told of the failure at once, and of the rest in turn.
    assert!(
        browser.text("document.getElementById('alarm').textContent").contains("left-4: FAIL 10")
    );
    fits(&browser, "eight states");
    browser.is_accessible("each state");
    browser.prefer(&[("prefers-contrast", "more"), ("prefers-reduced-motion", "reduce")]);
    browser.is_accessible("each state, with more contrast");
    assert_eq!(
        browser.text("getComputedStyle(document.getElementById('port-3')).animationName"),
        "none"
    );
    browser.prefer(&[]);
    browser.picture("states", 720);
    for size in [PICTURE, (1024, 768), NARROW] {
        browser.size(size);
        fits(&browser, &format!("eight states at {size:?}"));
    }
    browser.is_accessible("each state, narrow");
    // No two states look alike without colours: neither their words, nor their shapes, nor their borders.
    let looks = "new Set([...document.querySelectorAll('.port')].map((port) => { const style = getComputedStyle(port); \
                 return [port.querySelector('.word').textContent, style.borderStyle, style.borderWidth].join(); })).size";
    assert_eq!(browser.value(looks), 8);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn sixty_four_ports_fit() {
    let names: Vec<_> = (1..=64).map(|n| format!("/dev/line/{n:02}")).collect();
    let (page, _folder) = page(&names.iter().map(|name| &name[..]).collect::<Vec<_>>());
    let browser = opened(&page);
    for port in 0..64 {
        page.notice(&Notice::Begun(port));
        match port % 8 {
            0 | 3 | 5 => page.notice(&pass(port, port as u64 + 1, Some(&format!("A-{port:04}")))),
            1 | 6 => running(&page, port, port % 5),
            _ => {}
        }
    }
    page.notice(&fail(27));
    page.notice(&failed(44, "No part to provision: this is another part", None));
    page.notice(&known(50, 3));
    page.notice(&Notice::Lost(9, lost()));
    is(&browser, 27, "fail");
    is(&browser, 9, "lost");
    // All fields, and what failed, are on one screen.
    let below = "[...document.querySelectorAll('.port')].filter((port) => port.getBoundingClientRect().bottom > innerHeight).length";
    assert_eq!(browser.value(below), 0);
    let wanted = browser.text("document.getElementById('wanted').innerText");
    assert!(wanted.starts_with("28 FAIL") && wanted.contains("erase it with ERASEALL"), "{wanted}");
    fits(&browser, "64 ports");
    browser.is_accessible("64 ports");
    browser.picture("64-ports", 720);
    for size in [PICTURE, NARROW] {
        browser.size(size);
        fits(&browser, &format!("64 ports at {size:?}"));
    }
    browser.is_accessible("64 ports, narrow");
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn any_number_of_ports_fits() {
    for ports in [1, 2, 3, 4, 5, 7, 12, 13, 20, 33, 48] {
        let names: Vec<_> = (1..=ports).map(|n| format!("/dev/serial/by-id/fixture-{n}")).collect();
        let (page, _folder) = page(&names.iter().map(|name| &name[..]).collect::<Vec<_>>());
        let browser = opened(&page);
        for port in 0..ports {
            match port % 3 {
                0 => page.notice(&fail(port)),
                1 => page.notice(&pass(port, 100_000, Some("SN-2026-48-000123456"))),
                _ => page.notice(&known(port, 100_000)),
            }
        }
        is(&browser, 0, "fail");
        for size in [WIDE, PICTURE, NARROW] {
            browser.size(size);
            fits(&browser, &format!("{ports} ports at {size:?}"));
        }
    }
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn a_failure_sounds_until_it_is_acknowledged() {
    let (page, _folder) = page(&["left", "right"]);
    let browser = opened(&page);
    assert_eq!(
        browser.text("document.getElementById('sound').textContent"),
        "Sound is off: turn on"
    );
    browser.click("#sound");
    browser.wait("document.getElementById('sound').getAttribute('aria-pressed') === 'true'");
    // From here on by keyboard alone.
    browser.value("document.activeElement.blur()");
    page.notice(&Notice::Begun(1));
    page.notice(&fail(1));
    is(&browser, 1, "fail");
    browser.wait("Number(document.body.dataset.sounded) >= 2");
    assert_eq!(
        browser.text("document.getElementById('failed-ports').textContent"),
        "Failed: right"
    );
    // The next part does not make the failure unseen.
    page.notice(&Notice::Begun(1));
    is(&browser, 1, "running");
    browser.wait(
        "document.getElementById('failed-ports').textContent === 'Failed: right (earlier part)'",
    );
    assert_eq!(browser.text("document.activeElement.id"), "acknowledge");
    browser.key("Enter", 13);
    browser.wait("document.getElementById('acknowledge').disabled");
    assert_eq!(browser.value("document.querySelectorAll('.alarm').length"), 0);
    let sounded = browser.text("document.body.dataset.sounded");
    thread::sleep(Duration::from_secs(4));
    assert_eq!(browser.text("document.body.dataset.sounded"), sounded);
    // A failure that was gone before the page looked again.
    page.notice(&fail(0));
    page.notice(&Notice::Begun(0));
    browser.wait(
        "document.getElementById('failed-ports').textContent === 'Failed: left (earlier part)'",
    );
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn what_a_part_says_stays_text() {
    let (page, _folder) = page(&["left", HOSTILE]);
    let browser = opened(&page);
    let scripts = browser.value("document.scripts.length");
    page.notice(&failed(0, HOSTILE, None));
    page.notice(&pass(1, 1, Some(HOSTILE)));
    is(&browser, 0, "fail");
    is(&browser, 1, "pass");
    assert_eq!(
        browser.text("document.querySelector('.serial').textContent"),
        escaped::line(HOSTILE)
    );
    assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), 0);
    assert_eq!(browser.value("document.scripts.length"), scripts);
    assert_eq!(browser.text("document.title"), "Line 2, left: line");
    // What runs from right to left stays inside its own text.
    let bdi = "[...document.querySelectorAll('.serial, .text')].every((text) => !/[\\u0590-\\u05ff]/.test(text.textContent) \
               || text.querySelector('bdi') !== null)";
    assert_eq!(browser.value(bdi), true);
    browser.go(&format!("http://{}/", page.address()));
    browser.wait("document.body.dataset.link === 'live'");
    assert_eq!(browser.text("document.title"), "Line 2, left: line");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// A shift in a ledger, and its page.
fn page_of_shift() -> (Page, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    shift(&mut Ledger::open_or_create(&file).unwrap(), 8);
    let page = Page::of_ledger(options(), Ledger::open(&file).unwrap(), about()).unwrap();
    (page, folder)
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn the_engineer_sees_a_shift() {
    let (page, _folder) = page_of_shift();
    let browser = Browser::open();
    browser.size((1280, 960));
    browser.go(&format!("http://{}/engineer", page.address()));
    browser.wait("document.body.dataset.link === 'live'");
    for scheme in ["light", "dark"] {
        browser.prefer(&[("prefers-color-scheme", scheme)]);
        browser.is_accessible(scheme);
    }
    browser.picture("engineer", 1080);
    browser.size(WIDE);
    fits(&browser, "engineer, wide");
    browser.is_accessible("engineer, wide");
    browser.size(NARROW);
    fits(&browser, "engineer, narrow");
    browser.is_accessible("engineer, narrow");
    browser.go(&format!("http://{}/engineer?result=failed", page.address()));
    let pages = "[...document.querySelectorAll('#runs tbody a')].map((link) => link.href)";
    let pages: Vec<String> = serde_json::from_value(browser.value(pages)).unwrap();
    let mut hostile = 0;
    for address in &pages {
        browser.go(address);
        let console = browser.text("document.querySelector('pre').textContent");
        assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), 0);
        assert!(browser.text("document.title").starts_with("Line 2, left: attempt"));
        if console.trim_end() == escaped::console(HOSTILE.as_bytes()).trim_end() {
            if hostile == 0 {
                fits(&browser, "attempt, narrow");
                browser.is_accessible("attempt, narrow");
                browser.picture("attempt", 620);
            }
            hostile += 1;
        }
    }
    assert!(hostile > 2, "{hostile}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn a_thousand_parts_are_seen_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let mut ledger = Ledger::open_or_create(&file).unwrap();
    let names: Vec<_> = (1..=16).map(|n| format!("/dev/line/{n:02}")).collect();
    let page = Page::of_batch(options(), Ledger::open(&file).unwrap(), &names, about()).unwrap();
    let (operator, engineer) = (opened(&page), Browser::open());
    engineer.go(&format!("http://{}/engineer", page.address()));
    engineer.wait("document.body.dataset.link === 'live'");
    engineer.value("window.sameDocument = true");
    operator.value("window.sameDocument = true");
    let ports = names.iter().map(|name| Port {
        name: name.clone(),
        parts: Parts::Simulated(Soc::Nrf5340, Seed::Number(19), id()),
        told: station::steps::Part::default(),
    });
    let batch = Batch {
        allow_modelled: true,
        ..Batch::new(
            Some(1000),
            Wanted { implementation_id: Some(id()), nonce: None, allow_dummy: false },
        )
    };
    batch::run(&batch, ports.collect(), &mut ledger, &Control::default(), None, |notice| {
        page.notice(&notice);
    })
    .unwrap();
    operator.wait("document.querySelector('#counts').textContent.includes('1000 of 500')");
    (0..16).for_each(|port| is(&operator, port, "pass"));
    engineer.wait("/Good1000/.test(document.getElementById('figures').textContent)");
    engineer.wait("document.querySelectorAll('#runs tbody tr').length === 50");
    let head = base16ct::lower::encode_string(&ledger.head().unwrap().hash);
    engineer.wait(&format!("document.getElementById('ledger').textContent.includes('{head}')"));
    for browser in [&operator, &engineer] {
        assert_eq!(browser.value("window.sameDocument"), true, "it was loaded anew");
        assert_eq!(browser.complaints(), [""; 0]);
    }
    drop(page);
    operator.wait("document.body.dataset.link === 'over'");
    assert!(
        operator
            .text("document.getElementById('stale').textContent")
            .starts_with("The batch is over")
    );
    engineer.wait("document.body.dataset.link === 'lost'");
}

/// The station that has ended and the next one are not the same page, and what was not acknowledged stays.
#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn the_next_batch_takes_the_page_over() {
    let (page, folder) = page(&["left", "right"]);
    let browser = opened(&page);
    browser.click("#sound");
    browser.wait("document.getElementById('sound').getAttribute('aria-pressed') === 'true'");
    browser.value("window.sameDocument = true");
    page.notice(&fail(1));
    is(&browser, 1, "fail");
    let address = page.address();
    drop(page);
    browser.wait("document.body.dataset.link === 'over'");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let names = ["left", "middle", "right"].map(String::from);
    let next = Page::of_batch(Options { address, ..options() }, ledger, &names, about()).unwrap();
    browser.wait(
        "document.body.dataset.link === 'live' && document.querySelectorAll('.port').length === 3",
    );
    assert_eq!(
        browser.text("document.getElementById('failed-ports').textContent"),
        "Failed: right (earlier part)"
    );
    assert_eq!(browser.text("document.getElementById('sound').textContent"), "Sound is on");
    assert_eq!(browser.value("window.sameDocument"), true);
    next.notice(&pass(1, 1, None));
    is(&browser, 1, "pass");
    browser.click("#acknowledge");
    browser.wait("document.getElementById('acknowledge').disabled");
}

/// A station, with a page at this address.
fn station(folder: &TempDir, address: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["page", "--listen", address])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(address), "{line}");
    child
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn what_is_old_does_not_look_live() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
    common::enter(&mut ledger, &common::entries(1..=1)).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut first = station(&folder, &address);
    let browser = Browser::open();
    browser.size(PICTURE);
    browser.go(&format!("http://{address}/"));
    browser.wait("document.body.dataset.link === 'live'");
    is(&browser, 0, "pass");
    let colour =
        |browser: &Browser| browser.text("getComputedStyle(document.querySelector('main')).filter");
    assert_eq!(colour(&browser), "none");
    first.kill().unwrap();
    first.wait().unwrap();
    browser.wait("document.body.dataset.link === 'lost'");
    assert!(
        browser.text("document.getElementById('stale').innerText").starts_with("NOT LIVE since")
    );
    assert!(colour(&browser).contains("grayscale(1)"));
    browser.is_accessible("not live");
    browser.picture("not-live", 480);
    // Another run of the station, and the page comes back by itself.
    let mut second = station(&folder, &address);
    browser
        .wait("document.body.dataset.link === 'live' && document.getElementById('stale').hidden");
    is(&browser, 0, "pass");
    // One that hangs is no better than one that is gone.
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&second),
        rustix::process::Signal::STOP,
    )
    .unwrap();
    browser.wait("document.body.dataset.link === 'lost'");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&second),
        rustix::process::Signal::CONT,
    )
    .unwrap();
    browser.wait("document.body.dataset.link === 'live'");
    second.kill().unwrap();
    second.wait().unwrap();
}
