// SPDX-License-Identifier: Apache-2.0

//! The page of a hub in a real browser. `cargo xtask check --only page` runs these where Chromium and PostgreSQL are.
#![cfg(unix)]

#[path = "common/browser.rs"]
mod browser;
mod common;
#[path = "common/notices.rs"]
mod notices;
#[path = "common/two_stations.rs"]
mod two_stations;

use std::sync::Arc;

use browser::Browser;
use common::entry;
use common::postgres::{Server, TestHub};
use notices::options;
use station::escaped;
use station::hub::Config;
use station::ledger::NewEnd;
use station::page::Page;
use two_stations::{reader, two_stations};

/// The widths that a page has to work at, and that of the pictures.
const SIZES: [(u32, u32); 3] = [(320, 640), (1280, 960), (1920, 1080)];

const GOOD: &str = "/Good182/.test(document.getElementById('figures').textContent)";

/// Whether nothing is wider than the window, and nobody is kept from it, at each width.
fn is_good_at_each_width(browser: &Browser, what: &str) {
    for size in SIZES {
        browser.size(size);
        let width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(browser.value(width), true, "{what}: wider than {size:?}");
        browser.is_accessible(&format!("{what} at {size:?}"));
    }
}

/// Puts the manual's names in the place of this test's own, which are others in each run, for the picture.
fn names_of_the_manual(hub: &Config) -> String {
    let named = hub.to_string();
    let database = named.rsplit('/').next().unwrap();
    let [named, role] = [&named, &format!(".{database}")].map(|text| serde_json::json!(text));
    format!(
        "(() => {{ const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); \
         while (texts.nextNode()) {{ const text = texts.currentNode; \
         text.data = text.data.replaceAll({named}, 'hub.example/hub').replaceAll({role}, ''); }} }})()"
    )
}

#[test]
#[ignore = "needs Chromium and a PostgreSQL server: cargo xtask check --only page"]
fn the_engineer_sees_all_stations() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let [mut one, two] = two_stations(&hub);
    let reader = reader(&hub);
    let page = Page::of_hub(options(), &reader).unwrap();
    let at = |path: &str| format!("http://{}{path}", page.address());
    let browser = Browser::open();
    browser.go(&at("/engineer"));
    browser.wait("document.body.dataset.link === 'live'");
    browser.wait(GOOD);
    browser.prefer(&[("prefers-color-scheme", "light")]);
    browser.is_accessible("all stations, light");
    browser.prefer(&[("prefers-color-scheme", "dark")]);
    is_good_at_each_width(&browser, "all stations, dark");
    browser.value(&names_of_the_manual(&reader));
    browser.picture("hub", 1080);
    browser.go(&at("/engineer"));
    browser.wait("document.body.dataset.link === 'live'");
    browser.wait(GOOD);
    // What a station pushes is seen without loading the page anew.
    browser.value("window.sameDocument = true");
    one.ledger.append(&[common::run(NewEnd::Good(entry(191)), None)]).unwrap();
    one.push().unwrap();
    browser.wait("/Good183/.test(document.getElementById('figures').textContent)");
    // The hub goes, and comes back.
    hub.server.stop_immediately();
    browser.wait("/^NOT LIVE: the hub cannot be read since/.test(document.getElementById('reading').innerText)");
    assert_eq!(browser.text("document.body.dataset.link"), "live", "the page itself is there");
    browser.is_accessible("a hub that is gone");
    hub.server.restart();
    browser.wait("document.getElementById('reading').innerText === ''");
    assert_eq!(browser.value("window.sameDocument"), true);
    for (path, what) in [
        (format!("/engineer?station={}&result=failed&part=A-0000", two.role), "one station"),
        (String::from("/attempt/2/5"), "a run"),
        (String::from("/"), "no line"),
    ] {
        browser.go(&at(&path));
        is_good_at_each_width(&browser, what);
    }
    browser.go(&at("/attempt/2/5"));
    let console = browser.text("document.querySelector('pre').textContent");
    assert_eq!(console.trim_end(), escaped::console(notices::HOSTILE.as_bytes()).trim_end());
    assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), 0);
    // From a run back to the figures, with the keyboard alone.
    browser.value("document.querySelector('nav a').focus()");
    browser.key("Enter", 13);
    browser.wait("location.pathname === '/engineer' && document.body.dataset.link === 'live'");
    assert_eq!(browser.complaints(), [""; 0]);
}
