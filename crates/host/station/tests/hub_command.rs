// SPDX-License-Identifier: Apache-2.0

//! The hub as a person uses it: the commands of docs/hub.rst, in their order, on a server with TLS.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::enter;
use common::entries;
use common::postgres::{HOST, Server};
use serde_json::Value;
use station::hub::Hub;
use station::ledger::Ledger;
use tempfile::TempDir;

/// Runs a command in a folder.
fn station(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station"))
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env_remove("PGPASSFILE")
        .output()
        .unwrap()
}

#[track_caller]
fn run(folder: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    let output = station(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Two machines of stations, and one of the hub's owner.
struct Line {
    server: Server,
    folder: TempDir,
    url: String,
}

impl Line {
    /// A database and its owner, who has a password in `~/.pgpass`.
    fn new() -> Self {
        let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
        let sql = |sql| server.sql("postgres", "postgres", sql).unwrap();
        sql("CREATE ROLE hub_owner LOGIN CREATEROLE PASSWORD 'owner'");
        sql("CREATE DATABASE hub OWNER hub_owner");
        let url = format!("{HOST}:{}/hub", server.port);
        let line = Self { server, folder, url };
        for name in ["owner", "line-1", "line-2"] {
            fs::create_dir(line.at(name)).unwrap();
            fs::copy(line.server.ca(), line.at(name).join("ca.pem")).unwrap();
        }
        let pgpass = line.at("owner").join(".pgpass");
        fs::write(&pgpass, format!("{HOST}:{}:hub:hub_owner:owner\n", line.server.port)).unwrap();
        fs::set_permissions(&pgpass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        line
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn owner(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let url = format!("postgres://hub_owner@{}", self.url);
        run(&self.at("owner"), code, &[arguments, &["--hub", &url, "--ca", "ca.pem"]].concat())
    }

    #[track_caller]
    fn on(&self, name: &str, code: i32, arguments: &[&str]) -> (String, String) {
        let file = ["--station-file", "station.toml"];
        run(&self.at(name), code, &[arguments, &file[..]].concat())
    }

    /// A station that is enrolled, with its station file.
    fn station(&self, name: &str) {
        let (out, _) = run(&self.at(name), 0, &["init"]);
        let key = out.lines().find_map(|line| line.split_once("to write down: ")).unwrap().1;
        let password = format!("{name}.password");
        let enroll = ["hub", "enroll", name, "--key", key, "--new-password", &password];
        let (out, _) = self.owner(0, &enroll);
        assert!(out.contains(&format!("{name}: the role is made and enrolled")), "{out}");
        fs::rename(self.at("owner").join(&password), self.at(name).join(&password)).unwrap();
        let file = format!(
            "key = \"station.key\"\n[hub]\nurl = \"postgres://{name}@{}\"\nca = \"ca.pem\"\n\
             password_file = \"{password}\"\n",
            self.url
        );
        fs::write(self.at(name).join("station.toml"), file).unwrap();
    }

    fn ledger(&self, name: &str) -> Ledger {
        Ledger::open_or_create(&self.at(name).join("ledger.db")).unwrap()
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_is_set_up_and_two_stations_use_it() {
    let line = Line::new();
    let (out, _) = line.owner(0, &["hub", "init"]);
    assert!(out.contains("the hub's tables are made"), "{out}");
    let (out, _) = line.owner(0, &["hub", "init"]);
    assert!(out.contains("the hub is up to date"), "{out}");
    line.station("line-1");
    line.station("line-2");
    // The records of made-up parts are none.
    enter(&mut line.ledger("line-1"), &entries(1..=1)).unwrap();
    let (out, error) = line.on("line-1", 1, &["push"]);
    assert!(out.is_empty() && error.contains("its record is bad"), "{error}");
}

/// With parts that were provisioned, simulated ones: what `provision` enters is what `push` sends.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn parts_of_two_stations_reach_the_hub_and_the_one_that_both_have_is_shown() {
    let line = Line::new();
    line.owner(0, &["hub", "init"]);
    line.station("line-1");
    line.station("line-2");
    // The same first part on both, as while the hub is away: without a station file there is none.
    for (name, seed) in [("line-1", "7"), ("line-1", "8"), ("line-2", "7")] {
        let provision = ["provision", "--simulate", "1", "--seed", seed, "--key", "station.key"];
        run(&line.at(name), 0, &provision);
    }
    let (out, error) = line.on("line-1", 0, &["push"]);
    assert!(out.contains("4 links sent. The hub has 4. Head: "), "{out}{error}");
    let (out, error) = line.on("line-2", 0, &["push"]);
    assert!(out.contains("2 links sent"), "{out}");
    assert!(
        error.contains(
            "CONFLICT: entry 1 of line-2 has the same device ID and identity key as entry 1 of line-1"
        ),
        "{error}"
    );
    let (out, _) = line.on("line-1", 0, &["push", "--json"]);
    let pushed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&pushed["links"], &pushed["number"]), (&0.into(), &4.into()));
    // Everyone sees it, with exit code 1.
    let (out, _) = line.on("line-1", 1, &["hub", "status"]);
    assert!(out.starts_with("line-1: 2 parts, 4 links, the last of 20"), "{out}");
    assert!(out.contains("\nCONFLICT: entry 1 of line-2"), "{out}");
    line.owner(0, &["hub", "enroll", "reader", "--reader", "--new-password", "reader.password"]);
    let reader = format!("postgres://reader@{}", line.url);
    let as_reader = ["--hub", &reader, "--ca", "ca.pem", "--password-file", "reader.password"];
    let status = [&["hub", "status", "--json"], &as_reader[..]].concat();
    let (out, _) = run(&line.at("owner"), 1, &status);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["conflict"], "device ID and identity key");
    assert_eq!(lines[2]["second"], serde_json::json!({ "role": "line-2", "entry": 1 }));
    // As the manual says.
    line.on("line-2", 0, &["replace", "1", "--reason", "also on line-1"]);
    line.on("line-2", 0, &["push"]);
    let (out, _) = line.on("line-2", 0, &["hub", "status"]);
    assert!(!out.contains("CONFLICT"), "{out}");
    // A ledger that was rolled back: an alarm, exit code 1.
    for end in ["", "-head", "-wal", "-hub"] {
        let _ = fs::remove_file(line.at("line-2").join(format!("ledger.db{end}")));
    }
    line.on("line-2", 0, &["init", "--key", "station.key"]);
    let (_, error) = line.on("line-2", 1, &["push"]);
    assert!(
        error.contains("ALARM: the hub has 3 links of this ledger, and this file ends with link 0"),
        "{error}"
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_cannot_be_carried_out_ends_with_code_2_and_says_what_to_do() {
    let line = Line::new();
    line.owner(0, &["hub", "init"]);
    line.station("line-1");
    let here = line.at("line-1");
    for (arguments, why) in [
        (vec!["push"], "which hub?"),
        (vec!["hub", "status"], "which hub?"),
        (vec!["push", "--hub", "postgres://a:b@hub.example/hub"], "has a password in it"),
        (
            vec!["push", "--hub", "postgres://a@hub.example/hub", "--key", "station.key"],
            "Name the certificate",
        ),
        (
            vec!["push", "--station-file", "station.toml", "--ledger", "none.db"],
            "there is no ledger here",
        ),
        (vec!["hub", "enroll", "x"], "required"),
        (vec!["hub", "enroll", "x", "--key", "00"], "invalid value"),
        (vec!["hub", "enroll", "x", "--reader", "--exporter"], "cannot be used with"),
    ] {
        let (out, error) = run(&here, 2, &arguments);
        assert!(out.is_empty());
        assert!(error.contains(why), "{arguments:?}: {error}");
    }
    assert!(!here.join("none.db").exists());
    // Nobody but the owner enrolls.
    let verifier = line.ledger("line-1").origin().unwrap().verifier().unwrap().to_string();
    let (_, error) = line.on("line-1", 2, &["hub", "enroll", "x", "--key", &verifier]);
    assert!(error.contains("Is the role enrolled?"), "{error}");
    // The station key is wanted even where there is nothing to send.
    let status = Hub::connect(
        &station::hub::Config::new(&format!("postgres://line-1@{}", line.url))
            .unwrap()
            .with_ca(here.join("ca.pem"))
            .with_password_file(here.join("line-1.password")),
    )
    .unwrap()
    .status()
    .unwrap();
    assert!(status.stations.is_empty());
}
