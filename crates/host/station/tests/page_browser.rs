// SPDX-License-Identifier: Apache-2.0

//! The page in a real browser. `cargo xtask check --only page` runs these where Chromium is.

#[path = "common/browser.rs"]
mod browser;
mod common;
#[path = "common/notices.rs"]
mod notices;

use std::io;
use std::time::Duration;

use browser::Browser;
use notices::{about, fail, failed, known, options, page, pass, running, shift};
use station::batch::{Notice, Question};
use station::ledger::Ledger;
use station::page::Page;

fn opened(page: &Page) -> Browser {
    let browser = Browser::open();
    browser.size(1920, 1080);
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

fn lost() -> io::Error {
    io::Error::other("No such device")
}

/// Eight ports, each in a state of its own.
fn each_state(page: &Page) {
    for port in [1, 2, 3, 4] {
        page.notice(&Notice::Begun(port));
    }
    running(page, 1, 3);
    page.notice(&pass(2, 117, Some("A-0117")));
    page.notice(&fail(3));
    page.notice(&known(4, 42));
    page.notice(&Notice::Lost(5, lost()));
    page.notice(&Notice::Asked(6, Question::Next));
    page.notice(&Notice::GivenUp(7));
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
    for port in 0..8 {
        is(&browser, port, "waiting");
    }
    each_state(&page);
    for (port, state) in
        ["waiting", "running", "pass", "fail", "known", "lost", "asked", "given-up"]
            .iter()
            .enumerate()
    {
        is(&browser, port, state);
    }
    browser.picture("states");
    browser.is_accessible("each state");
    browser.size(320, 640);
    browser.picture("states-320");
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
            0 | 3 | 5 => page.notice(&pass(port, port as u64, Some(&format!("A-{port:04}")))),
            1 | 6 => running(&page, port, port % 5),
            _ => {}
        }
    }
    page.notice(&fail(27));
    page.notice(&failed(
        44,
        "No part to provision: the image runs on another part than nRF5340",
        None,
    ));
    page.notice(&known(50, 3));
    page.notice(&Notice::Lost(9, lost()));
    is(&browser, 27, "fail");
    is(&browser, 9, "lost");
    browser.picture("64");
    browser.size(320, 640);
    browser.picture("64-320");
    let _ = (Duration::ZERO, shown(&browser, 0));
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn pictures() {
    let (page, _folder) = page(&["/dev/line/left", "/dev/line/right"]);
    let browser = opened(&page);
    page.notice(&Notice::Begun(0));
    page.notice(&pass(0, 7, Some("A-0007")));
    page.notice(&Notice::Begun(1));
    page.notice(&fail(1));
    is(&browser, 1, "fail");
    browser.picture("two");
    drop(page);
    browser.wait("document.body.dataset.link === 'over'");
    browser.picture("over");
}

/// A shift in a ledger, and its page.
fn page_of_shift() -> (Page, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let mut ledger = Ledger::open_or_create(&file).unwrap();
    shift(&mut ledger, 8);
    let page = Page::of_ledger(options(), Ledger::open(&file).unwrap(), about()).unwrap();
    (page, folder)
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn the_engineer_sees_a_shift() {
    let (page, _folder) = page_of_shift();
    let browser = Browser::open();
    browser.size(1920, 1400);
    browser.go(&format!("http://{}/engineer", page.address()));
    browser.wait("document.body.dataset.link === 'live'");
    browser.picture("engineer-light");
    browser.is_accessible("light");
    browser.prefer(&[("prefers-color-scheme", "dark")]);
    browser.picture("engineer");
    browser.is_accessible("dark");
    browser.size(320, 640);
    browser.picture("engineer-320");
    browser.go(&format!("http://{}/engineer?result=failed&part=A-0004", page.address()));
    browser.size(1920, 1080);
    browser.go(&browser.text("[...document.querySelectorAll('tr[data-result=failed] a')].at(-1).href"));
    browser.picture("attempt");
}
