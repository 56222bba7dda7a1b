// SPDX-License-Identifier: Apache-2.0

//! The page in a real browser. `cargo xtask check --only page` runs these where Chromium is.

mod common;
#[path = "common/browser.rs"]
mod browser;
#[path = "common/notices.rs"]
mod notices;

use browser::Browser;
use notices::{about, fail, pass, running};
use station::batch::Notice;
use station::page::{Options, Page};

fn page(ports: usize) -> Page {
    let names: Vec<_> = (1..=ports).map(|n| format!("/dev/line/port-{n}")).collect();
    let options = Options { address: "127.0.0.1:0".parse().unwrap(), token: None, hosts: vec![] };
    Page::of_batch(options, &names, about()).unwrap()
}

fn state(browser: &Browser, port: usize) -> String {
    browser.text(&format!("document.getElementById('port-{port}').dataset.state"))
}

#[test]
#[ignore = "needs Chromium: cargo xtask check --only page"]
fn a_run_is_seen_as_it_happens() {
    let page = page(2);
    let browser = Browser::open();
    browser.size(1920, 1080);
    browser.go(&format!("http://{}/", page.address()));
    browser.wait("document.body.dataset.link === 'live'");
    assert_eq!(state(&browser, 0), "waiting");
    page.notice(&Notice::Begun(0));
    running(&page, 0, 3);
    browser.wait("document.getElementById('port-0').dataset.state === 'running'");
    browser.picture("running");
    page.notice(&pass(0, 7, Some("A-0007")));
    browser.wait("document.getElementById('port-0').dataset.state === 'pass'");
    page.notice(&Notice::Begun(1));
    page.notice(&fail(1));
    browser.wait("document.getElementById('port-1').dataset.state === 'fail'");
    browser.picture("thin");
}
