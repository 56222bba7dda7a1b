// SPDX-License-Identifier: Apache-2.0

//! A TCP proxy in front of a server, which loses what a test wants lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a connection.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is cut when the station has sent so many bytes.
    CutRequest(usize),
    /// It is cut when the server has sent so many bytes.
    CutAnswer(usize),
    /// It is cut as soon as the station has sent this text, which the server will still get.
    CutBehind(&'static [u8]),
    /// It is cut when the station has sent this text, which the server has got, and before an answer comes back.
    CutAfter(&'static [u8]),
    /// From this text on nothing comes through, in neither direction, and the connection stays.
    SilentFrom(&'static [u8]),
    /// There is a connection, and nothing comes through.
    Silent,
}

/// A proxy. It takes connections until the test ends.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// What becomes of the next connections; the last one stays.
    fault: Fault,
    /// How often a fault has fired.
    fired: usize,
    /// Bytes of the longest connection: from the server, and from the station until then.
    most: (usize, usize),
}

impl Proxy {
    /// In front of this port.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { fault: Fault::None, fired: 0, most: (0, 0) };
        let shared = Arc::new(Mutex::new(shared));
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for station in listener.incoming() {
                let (station, shared) = (station.unwrap(), Arc::clone(&theirs));
                thread::spawn(move || {
                    // The server may be gone just now.
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                        connection(&station, &server, &shared);
                    }
                });
            }
        });
        Self { port, shared }
    }

    /// From now on, for each new connection; and counts anew how often it fires.
    pub fn set(&self, fault: Fault) {
        let mut shared = self.shared.lock().unwrap();
        shared.fault = fault;
        shared.fired = 0;
        shared.most = (0, 0);
    }

    pub fn fired(&self) -> usize {
        self.shared.lock().unwrap().fired
    }

    /// Bytes of the longest connection: from the station, from the server. What the station has sent after the last answer
    /// does not count: whether it says farewell is chance.
    pub fn most(&self) -> (usize, usize) {
        self.shared.lock().unwrap().most
    }
}

fn connection(station: &TcpStream, server: &TcpStream, shared: &Arc<Mutex<Shared>>) {
    let fault = shared.lock().unwrap().fault.clone();
    let fire = || shared.lock().unwrap().fired += 1;
    let mut sent = (0, 0);
    let mut is_silent = matches!(fault, Fault::Silent);
    if is_silent {
        fire();
    }
    for stream in [station, server] {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    let mut seen = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    'all: loop {
        for is_request in [true, false] {
            let (mut from, mut to) = if is_request { (station, server) } else { (server, station) };
            let count = match from.read(&mut buffer) {
                Ok(0) => break 'all,
                Ok(count) => count,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break 'all,
            };
            if is_silent {
                continue;
            }
            let (bytes, total) = if is_request {
                (&buffer[..count], &mut sent.0)
            } else {
                (&buffer[..count], &mut sent.1)
            };
            let mut pass = bytes;
            let mut is_cut = false;
            match (&fault, is_request) {
                (Fault::CutRequest(at), true) | (Fault::CutAnswer(at), false)
                    if *total + count >= *at =>
                {
                    pass = &bytes[..*at - *total];
                    is_cut = true;
                }
                (
                    Fault::CutAfter(text) | Fault::CutBehind(text) | Fault::SilentFrom(text),
                    true,
                ) => {
                    seen.extend_from_slice(bytes);
                    let found = seen.windows(text.len()).any(|window| window == *text);
                    let keep = seen.len().saturating_sub(text.len());
                    seen.drain(..keep);
                    if found && matches!(fault, Fault::SilentFrom(_)) {
                        is_silent = true;
                        fire();
                        continue;
                    }
                    is_cut = found;
                }
                _ => {}
            }
            *total += pass.len();
            if to.write_all(pass).is_err() {
                break 'all;
            }
            let mut shared = shared.lock().unwrap();
            if !is_request && sent.1 > shared.most.1 {
                shared.most = sent;
            }
            if is_cut {
                shared.fired += 1;
                drop(shared);
                if matches!(fault, Fault::CutAfter(_)) {
                    // The server has done it before the connection is gone.
                    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    let mut server = server;
                    let _ = server.read(&mut buffer);
                }
                break 'all;
            }
        }
    }
    for stream in [station, server] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
