// SPDX-License-Identifier: Apache-2.0

//! The names of ports, with real pseudo terminals and links that move between them.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::terminal::{BAUD, pair};
use serialport::{SerialPortInfo, SerialPortType, TTYPort, UsbPortInfo};
use station::port::list::{describe, list};
use station::port::names::{NameError, PATIENCE, PortName, resolve, resolve_by};
use station::port::{Arrival, OpenError, SerialPort, Source};
use tempfile::TempDir;

/// An adapter: a pseudo terminal, which is there as long as this is.
struct Adapter {
    part: TTYPort,
    name: String,
    /// Held until the station has opened its end.
    end: Option<TTYPort>,
}

impl Adapter {
    fn new() -> Self {
        let (part, name, end) = pair();
        Self { part, name, end: Some(end) }
    }

    /// Checks that `port` is this adapter.
    #[track_caller]
    fn assert_is(&mut self, port: &mut SerialPort) {
        self.end = None;
        self.part.write_all(b"x").unwrap();
        let mut buffer = [0; 8];
        let arrived = port.read(&mut buffer, Duration::from_secs(10)).unwrap();
        assert_eq!((arrived, buffer[0]), (Arrival::Bytes(1), b'x'));
    }
}

/// A folder with links, as udev keeps them.
struct Links(TempDir);

impl Links {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().unwrap()
    }

    /// Makes the link lead to `adapter`, as udev does: there is no moment without it.
    fn set(&self, name: &str, adapter: &str) {
        symlink(adapter, self.path("new")).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn resolve(&self, names: &[&str]) -> Result<Vec<PortName>, NameError> {
        resolve_by(names, &[self.0.path()])
    }
}

fn only(ports: Vec<PortName>) -> PortName {
    let [port] = <[PortName; 1]>::try_from(ports).unwrap();
    port
}

/// Names without links to them.
fn without_links(names: &[&str]) -> Result<Vec<PortName>, NameError> {
    resolve_by(names, &[] as &[&Path])
}

#[test]
fn a_pattern_stands_for_all_ports_that_it_matches_in_order() {
    let (links, adapters) = (Links::new(), [(); 4].map(|()| Adapter::new()));
    for (name, adapter) in ["usb-C-if00", "usb-A-if00", "usb-B-if00"].iter().zip(&adapters) {
        links.set(name, &adapter.name);
    }
    links.set("usb-C-if02", &adapters[3].name);
    fs::create_dir(links.path("usb-D-if00")).unwrap();
    let ports = links.resolve(&[&links.text("usb-C-if02"), &links.text("*-if00")]).unwrap();
    let names: Vec<_> = ports.iter().map(|port| (port.argument(), port.as_str())).collect();
    let [c2, a, b, c] =
        ["usb-C-if02", "usb-A-if00", "usb-B-if00", "usb-C-if00"].map(|name| links.text(name));
    assert_eq!(names, [(0, &c2[..]), (1, &a), (1, &b), (1, &c)]);
    // Each is opened by the link that was matched.
    assert!(ports.iter().all(|port| port.stable() == Path::new(port.as_str())));
    for (mut adapter, port) in
        adapters.into_iter().zip([&ports[3], &ports[1], &ports[2], &ports[0]])
    {
        adapter.assert_is(&mut port.open(BAUD).unwrap());
    }
}

#[test]
fn a_pattern_for_nothing_says_what_to_do() {
    let links = Links::new();
    let pattern = links.text("usb-*");
    let text = links.resolve(&[&pattern]).unwrap_err().to_string();
    assert!(text.starts_with(&format!("no port has a name like {pattern}. ")), "{text}");
    assert!(text.contains("switch the fixture on") && text.contains("station ports"), "{text}");

    let text = links.resolve(&["/dev/tty[12"]).unwrap_err().to_string();
    assert!(text.starts_with("/dev/tty[12 is not a pattern") && text.contains("[12]"), "{text}");

    // A name that is there is no pattern.
    let mut adapter = Adapter::new();
    links.set("port[1", &adapter.name);
    let port = only(links.resolve(&[&links.text("port[1")]).unwrap());
    adapter.assert_is(&mut port.open(BAUD).unwrap());
}

#[test]
fn one_port_by_two_names_is_refused() {
    let (links, adapter, other) = (Links::new(), Adapter::new(), Adapter::new());
    links.set("usb-A", &adapter.name);
    links.set("usb-B", &other.name);
    let folder = links.0.path().to_owned();
    symlink("usb-A", folder.join("line-1")).unwrap();
    let up = "../".repeat(std::env::current_dir().unwrap().components().count() - 1);
    let relative = format!("{up}{}", &adapter.name[1..]);
    let roundabout = adapter.name.replacen("/dev/", "/dev/./../dev/", 1);
    let [by_id, alias, all] = ["usb-A", "line-1", "usb-*"].map(|name| links.text(name));
    for names in [
        [&by_id, &adapter.name],
        [&adapter.name, &by_id],
        [&by_id, &alias],
        [&alias, &adapter.name],
        [&relative, &adapter.name],
        [&roundabout, &relative],
        [&all, &alias],
    ] {
        let text = links.resolve(&names.map(String::as_str)).unwrap_err().to_string();
        let first = if names[0] == &all { &by_id } else { names[0] };
        let expected =
            format!("{first} and {} are the same port. Leave one of them out.", names[1]);
        assert_eq!(text, expected);
    }
    let twice = format!("the port {by_id} is named twice. Name it once.");
    for names in [[&by_id, &by_id], [&by_id, &all]] {
        assert_eq!(links.resolve(&names.map(String::as_str)).unwrap_err().to_string(), twice);
    }
    // Nor is it by its name alone, while it is not there.
    let error = links.resolve(&["/there/is/./no", "/there/is/no"]).unwrap_err();
    assert!(matches!(error, NameError::Twice { .. }), "{error}");
    // Two ports are two, whatever they are called.
    assert_eq!(links.resolve(&[&alias, &other.name]).unwrap().len(), 2);
}

#[test]
fn a_lost_port_is_opened_again_by_its_link() {
    let (links, mut before) = (Links::new(), Adapter::new());
    links.set("usb-A", &before.name);
    let port = only(links.resolve(&[&links.text("usb-A")]).unwrap());
    let mut console = port.open(BAUD).unwrap();
    before.assert_is(&mut console);
    drop(before);
    let lost = console.read(&mut [0; 8], Duration::from_secs(10));
    assert!(lost.is_err(), "{lost:?}");
    drop(console);

    fs::remove_file(links.path("usb-A")).unwrap();
    let error = port.open(BAUD).unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("usb-A"), "{error}");

    let mut after = Adapter::new();
    links.set("usb-A", &after.name);
    after.assert_is(&mut port.open(BAUD).unwrap());
}

#[test]
fn a_plain_name_is_opened_again_by_the_link_to_it() {
    for is_there_at_once in [true, false] {
        let (links, mut before, mut wrong) = (Links::new(), Adapter::new(), Adapter::new());
        links.set("usb-Z", &wrong.name);
        let set = |adapter: &Adapter| links.set("usb-A", &adapter.name);
        if is_there_at_once {
            set(&before);
        }
        let port = only(links.resolve(&[&before.name]).unwrap());
        set(&before);
        let mut console = port.open(BAUD).unwrap();
        before.assert_is(&mut console);
        assert_eq!(port.as_str(), before.name);
        assert_eq!(port.stable(), links.path("usb-A"));
        assert_eq!(port.to_string(), format!("{} ({})", before.name, links.text("usb-A")));
        drop(console);

        // It has another name now, and its old name may be another adapter's.
        let (name, mut after) = (before.name.clone(), Adapter::new());
        set(&after);
        after.assert_is(&mut port.open(BAUD).unwrap());
        assert_eq!(port.as_str(), name);
        wrong.assert_is(&mut SerialPort::open(&links.text("usb-Z"), BAUD).unwrap());
    }
    // Without a link it keeps its name.
    let mut adapter = Adapter::new();
    let port = only(resolve(&[&adapter.name]).unwrap());
    adapter.assert_is(&mut port.open(BAUD).unwrap());
    assert_eq!((port.stable(), port.to_string()), (Path::new(&adapter.name), adapter.name.clone()));
}

#[test]
fn a_port_is_not_opened_as_another_one() {
    let (links, mut a, mut b) = (Links::new(), Adapter::new(), Adapter::new());
    links.set("one", &a.name);
    links.set("two", &b.name);
    let ports = links.resolve(&[&links.text("one"), &links.text("two")]).unwrap();
    let mut console = ports[0].open(BAUD).unwrap();
    a.assert_is(&mut console);
    // The fixtures were plugged in the other way round.
    links.set("two", &a.name);
    let error = ports[1].open(BAUD).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::SamePort { .. }) && !error.is_gone(), "{text}");
    assert!(text.contains(&links.text("one")) && text.contains(&links.text("two")), "{text}");
    assert!(text.contains("Connect the adapters as they were"), "{text}");
    // A port that is closed is free, and one whose opening has failed was never taken.
    drop(console);
    let mut console = ports[1].open(BAUD).unwrap();
    a.assert_is(&mut console);
    links.set("one", &b.name);
    b.assert_is(&mut ports[0].open(BAUD).unwrap());
}

#[test]
fn a_worker_waits_for_its_port() {
    let links = Links::new();
    let port = only(links.resolve(&[&links.text("usb-A")]).unwrap());
    let adapter = Mutex::new(Adapter::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            links.set("usb-A", &adapter.lock().unwrap().name);
        });
        // It has no patience with a port that is there and does not open; for this one it waits.
        let mut console = port.reopen(BAUD, Duration::ZERO, || false).unwrap().unwrap();
        adapter.lock().unwrap().assert_is(&mut console);
    });
}

#[test]
fn a_wait_for_a_port_ends_when_the_station_is_stopped() {
    let port = only(without_links(&["/there/is/no/port"]).unwrap());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Relaxed);
        });
        let opened = port.reopen(BAUD, PATIENCE, || stop.load(Ordering::Relaxed)).unwrap();
        assert!(opened.is_none());
    });
}

#[test]
fn a_port_that_is_there_and_does_not_open_is_given_up_in_the_end() {
    let (links, mut adapter) = (Links::new(), Adapter::new());
    links.set("usb-A", &adapter.name);
    let [first, second] = [(); 2].map(|()| only(links.resolve(&[&links.text("usb-A")]).unwrap()));
    let mut other_program = first.open(BAUD).unwrap();
    adapter.assert_is(&mut other_program);
    let begin = Instant::now();
    let error = second.reopen(BAUD, Duration::from_millis(300), || false).unwrap_err();
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert!(!error.is_gone() && error.to_string().contains("another program"), "{error}");
    // One that is free in time is opened.
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            drop(other_program);
        });
        adapter.assert_is(&mut second.reopen(BAUD, PATIENCE, || false).unwrap().unwrap());
    });
}

#[test]
fn what_is_gone_may_come_back_and_what_is_no_port_does_not() {
    let links = Links::new();
    fs::write(links.path("letter"), "Dear all").unwrap();
    symlink("nowhere", links.path("dangling")).unwrap();
    for (name, is_gone) in [("letter", false), ("dangling", true), ("missing", true)] {
        let port = only(links.resolve(&[&links.text(name)]).unwrap());
        let error = port.open(BAUD).unwrap_err();
        assert_eq!(error.is_gone(), is_gone, "{error}");
        assert_eq!(error.to_string().starts_with("there is no port "), is_gone, "{error}");
    }
}

/// A port of an adapter, as the system reports it.
fn usb(name: &str, serial_number: Option<&str>) -> SerialPortInfo {
    let port_type = SerialPortType::UsbPort(UsbPortInfo {
        vid: 0x1366,
        pid: 0x1061,
        serial_number: serial_number.map(String::from),
        manufacturer: Some(String::from("SEGGER")),
        product: Some(String::from("J-Link")),
    });
    SerialPortInfo { port_name: String::from(name), port_type }
}

/// A port of the mainboard, as the system reports it.
fn onboard(name: &str) -> SerialPortInfo {
    SerialPortInfo { port_name: String::from(name), port_type: SerialPortType::PciPort }
}

#[test]
fn a_list_says_by_which_name_a_port_is_found_again() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["by-id", "by-path"].map(|name| root.path().join(name));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
    }
    let adapters = [(); 3].map(|()| Adapter::new());
    let link = |folder: usize, name: &str, adapter: usize| {
        let link = folders[folder].join(name);
        symlink(&adapters[adapter].name, &link).unwrap();
        link
    };
    let id = link(0, "usb-SEGGER_J-Link_0010-if00", 0);
    let paths = [link(1, "pci-usb-0:1", 0), link(1, "pci-usb-0:2", 1)];
    // Two of these adapters would have this link between them.
    let shared = link(0, "usb-Serial-if00", 1);
    let [numbered, nameless, bare] = adapters.each_ref().map(|adapter| &adapter.name[..]);
    let ports = vec![onboard(bare), usb(nameless, None), usb(numbered, Some("0010"))];
    let listed = describe(ports, &folders);
    let find = |name: &str| listed.iter().find(|port| port.name == name).unwrap();
    assert_eq!(find(numbered).links, [id.clone(), paths[0].clone()]);
    assert_eq!(find(numbered).argument(), id);
    assert_eq!(find(numbered).usb.as_ref().unwrap().serial_number.as_deref(), Some("0010"));
    assert_eq!(find(nameless).links, [shared, paths[1].clone()]);
    assert_eq!(find(nameless).argument(), paths[1]);
    assert_eq!((find(bare).argument(), &find(bare).links[..]), (Path::new(bare), &[][..]));
    assert!(find(bare).usb.is_none());
    // What it says to pass is taken.
    let arguments: Vec<_> = listed.iter().map(|port| port.argument().to_str().unwrap()).collect();
    assert_eq!(resolve_by(&arguments, &folders).unwrap().len(), 3);
}

#[test]
fn a_list_is_in_the_order_of_numbers() {
    let names = ["/dev/ttyACM10", "/dev/ttyS0", "/dev/ttyACM9", "/dev/ttyACM1"];
    let listed = describe(names.map(onboard).to_vec(), &[] as &[&Path]);
    let names: Vec<_> = listed.iter().map(|port| &port.name[..]).collect();
    assert_eq!(names, ["/dev/ttyS0", "/dev/ttyACM1", "/dev/ttyACM9", "/dev/ttyACM10"]);
}

#[test]
fn the_ports_of_this_machine_are_there() {
    for port in list().unwrap() {
        assert!(Path::new(&port.name).exists() && port.argument().exists(), "{port:?}");
    }
}
