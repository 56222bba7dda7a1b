// SPDX-License-Identifier: Apache-2.0

//! The page of the program: `provision --page`, and `page`.
#![cfg(unix)]

mod common;
#[path = "common/http.rs"]
mod http_client;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use common::ID;
use common::line::{failed, part, port};
use http_client::{Events, get};
use rustix::process::{Pid, Signal, kill_process};

/// A station that shows a page.
struct Station {
    child: Child,
    address: SocketAddr,
    _stderr: BufReader<ChildStderr>,
}

impl Station {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "no address was said");
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        Self { child, address, _stderr: stderr }
    }

    fn provision(folder: &Path, port: &str, more: &[&str]) -> Self {
        let arguments =
            ["provision", "--implementation-id", ID, "--port", port, "--page", "127.0.0.1:0"];
        Self::start(folder, &[&arguments, more].concat())
    }

    /// Ends it as Ctrl-C does, and gives its exit code.
    fn end(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for an event that has all of this.
fn wait(events: &mut Events, wanted: &[&str]) -> String {
    loop {
        let event = events.news().unwrap_or_else(|| panic!("never: {wanted:?}"));
        if wanted.iter().all(|text| event.data.contains(text)) {
            return event.data;
        }
    }
}

fn play(port: &mut File, console: &[u8]) {
    port.write_all(console).unwrap();
}

#[test]
fn a_batch_is_seen_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let (mut master, name) = port();
    let mut station = Station::provision(
        folder.path(),
        &name,
        &["--station-name", "Line <2>", "--operator", "Anna"],
    );
    let mut events = Events::of(station.address, "/events");
    assert!(wait(&mut events, &["data-state=\"waiting\""]).contains("Put a part in"));
    let html = get(station.address, "/");
    assert!(html.text().contains("Line &lt;2&gt;") && html.text().contains("Anna"));
    play(&mut master, &part(1, None, 1));
    let pass = wait(&mut events, &["data-state=\"pass\""]);
    assert!(pass.contains("Entry 1"), "{pass}");
    play(&mut master, failed().as_bytes());
    // The run has begun in the middle.
    let fail = wait(&mut events, &["data-state=\"fail\""]);
    assert!(fail.contains("data-failed=\"1\""), "{fail}");
    let engineer = get(station.address, "/engineer");
    assert!(engineer.text().contains("<dt>Good</dt><dd>1</dd>"), "{}", engineer.text());
    assert!(engineer.text().contains("<dt>Failed</dt><dd>1</dd>"));
    assert_eq!(station.end(), Some(1), "a run has failed");
    let mut last = None;
    while let Some(event) = events.next() {
        last = Some(event.name);
    }
    assert_eq!(last.as_deref(), Some("end"));
}

#[test]
fn a_scan_is_asked_for_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let (mut master, name) = port();
    let mut station = Station::provision(folder.path(), &name, &["--scan"]);
    let mut events = Events::of(station.address, "/events");
    let asked = wait(&mut events, &["data-state=\"asked\""]);
    assert!(asked.contains("SCAN") && asked.contains("scan the serial number of the next part"));
    writeln!(station.child.stdin.as_mut().unwrap(), "A-<1>").unwrap();
    wait(&mut events, &["data-state=\"waiting\""]);
    play(&mut master, &part(2, None, 1));
    let pass = wait(&mut events, &["data-state=\"pass\""]);
    assert!(pass.contains("A-&lt;1&gt;"), "{pass}");
    // The next one is asked for while the verdict stays.
    let pass = if pass.contains("Next: ") { pass } else { wait(&mut events, &["Next: "]) };
    assert!(
        pass.contains("data-state=\"pass\"") && pass.contains("scan the serial number"),
        "{pass}"
    );
}

#[test]
fn a_lost_port_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (master, name) = port();
    let station = Station::provision(folder.path(), &name, &[]);
    let mut events = Events::of(station.address, "/events");
    wait(&mut events, &["data-state=\"waiting\""]);
    drop(master);
    let lost = wait(&mut events, &["data-state=\"lost\""]);
    assert!(lost.contains("Connect it again: the station goes on by itself"), "{lost}");
}

#[test]
fn a_ledger_is_shown_while_another_station_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut master, name) = port();
    let mut line = Station::provision(folder.path(), &name, &[]);
    let mut page = Station::start(folder.path(), &["page", "--listen", "127.0.0.1:0"]);
    let mut seen = Events::of(line.address, "/events");
    play(&mut master, &part(3, None, 1));
    wait(&mut seen, &["data-state=\"pass\""]);
    let mut events = Events::of(page.address, "/events");
    let pass = wait(&mut events, &["data-state=\"pass\""]);
    assert!(pass.contains("Entry 1"), "{pass}");
    let html = get(page.address, "/");
    assert!(html.text().contains("From the ledger"));
    assert!(get(page.address, "/engineer").text().contains("<dt>Good</dt><dd>1</dd>"));
    assert_eq!(line.end(), Some(0));
    assert_eq!(page.end(), Some(0));
}

/// What the program says where it shows no page, and its exit code.
fn refused(arguments: &[&str]) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn a_page_that_cannot_be_shown_begins_no_batch() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let simulate = ["provision", "--simulate", "1", "--page"];
    let (said, code) = refused(&[&simulate[..], &["0.0.0.0:0"]].concat());
    assert!(code == Some(2) && said.contains("--page-token FILE"), "{said}");
    let (said, code) = refused(&[&simulate[..], &[&address]].concat());
    assert!(code == Some(2) && said.contains("Choose another port"), "{said}");
    let (said, code) = refused(&[&simulate[..], &["127.0.0.1:0", "--page-token", "none"]].concat());
    assert!(code == Some(2) && said.contains("none: "), "{said}");
    let (said, code) = refused(&["page"]);
    assert!(code == Some(2) && said.contains("ledger.db"), "{said}");
}
