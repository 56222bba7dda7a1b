// SPDX-License-Identifier: Apache-2.0

//! What the page costs a line: parts per second on 64 ports of modelled parts, and the time of the cores for each part,
//! without the page and with it, in turn.
//! Ten browsers look at it: seven at the line, two at the engineer's page, and one reads nothing. They run on the same
//! machine, and take their share of its cores, too.
//!
//! `cargo run --release --example page_cost -- [PARTS] [ROUNDS]`

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use silicon::Soc;
use station::batch::{self, Batch, Control, Parts, Port};
use station::ledger::Ledger;
use station::page::line::About;
use station::page::{Options, Page};
use station::record::Wanted;
use station::simulated::Seed;
use station::steps;

const PORTS: usize = 64;

/// Who looks at the line, and who at the engineer's page.
const OPERATORS: usize = 7;
const ENGINEERS: usize = 2;

/// As often as `engineer.js` takes the page anew.
const REST: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parts: usize = arguments.next().as_deref().unwrap_or("12000").parse()?;
    let rounds: usize = arguments.next().as_deref().unwrap_or("5").parse()?;
    let (mut rates, mut times) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 1..=rounds {
        // In turn, so that a machine that becomes slower does so for both.
        for with_page in [false, true] {
            let (rate, time) = run(parts, with_page)?;
            let which = usize::from(with_page);
            println!("round {round}, {}: {rate:.0} parts/s, {time:.0} us", NAMES[which]);
            rates[which].push(rate);
            times[which].push(time);
        }
    }
    let [without, with] = rates.map(median);
    println!(
        "parts/s:     {without:.0} without the page, {with:.0} with it: {:.3}",
        with / without
    );
    let [without, with] = times.map(median);
    println!(
        "us per part: {without:.0} without the page, {with:.0} with it: {:.3}",
        with / without
    );
    Ok(())
}

const NAMES: [&str; 2] = ["without", "with"];

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Microseconds that all cores have worked for this program, the browsers in it too. What other programs do meanwhile
/// does not count.
#[cfg(unix)]
#[allow(clippy::cast_precision_loss, reason = "minutes have few microseconds")]
fn worked() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Not known here.
#[cfg(not(unix))]
fn worked() -> f64 {
    f64::NAN
}

/// Parts per second of one batch, and microseconds of the cores for each.
#[allow(clippy::cast_precision_loss, reason = "parts are few")]
fn run(parts: usize, with_page: bool) -> Result<(f64, f64), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ledger.db");
    let mut ledger = Ledger::open_or_create(&file)?;
    let id = "C7".repeat(32).parse()?;
    let names: Vec<_> = (1..=PORTS).map(|n| format!("/dev/line/{n:02}")).collect();
    let line = names.iter().map(|name| Port {
        name: name.clone(),
        parts: Parts::Simulated(Soc::Nrf5340, Seed::Number(7), id),
        told: steps::Part::default(),
    });
    let batch = Batch {
        allow_modelled: true,
        ..Batch::new(
            Some(parts),
            Wanted { implementation_id: Some(id), nonce: None, allow_dummy: false },
        )
    };
    let page = if with_page {
        let options = Options::new("127.0.0.1:0".parse()?, None, Vec::new())?;
        Some(Page::of_batch(options, Ledger::open(&file)?, &names, About::default())?)
    } else {
        None
    };
    let over = AtomicBool::new(false);
    let read = AtomicU64::new(0);
    thread::scope(|scope| {
        // It stays open, and is not read.
        let mut _deaf = None;
        if let Some(page) = &page {
            let address = page.address();
            let (read, over) = (&read, &over);
            for _ in 0..OPERATORS {
                scope.spawn(move || watch(address, "/events", read));
            }
            for _ in 0..ENGINEERS {
                scope.spawn(move || watch(address, "/engineer/events", read));
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        watch(address, "/engineer", read);
                        let begun = Instant::now();
                        while begun.elapsed() < REST && !over.load(Ordering::Relaxed) {
                            thread::sleep(Duration::from_millis(20));
                        }
                    }
                });
            }
            _deaf = Some(ask(address, "/events")?);
        }
        let (begun, before) = (Instant::now(), worked());
        let control = Control::default();
        batch::run(&batch, line.collect(), &mut ledger, &control, None, |notice| {
            if let Some(page) = &page {
                page.notice(&notice);
            }
        })?;
        let rate = parts as f64 / begun.elapsed().as_secs_f64();
        let time = (worked() - before) / parts as f64;
        over.store(true, Ordering::Relaxed);
        drop(page);
        if with_page {
            println!("         browsers have read {} KiB", read.load(Ordering::Relaxed) / 1024);
        }
        Ok((rate, time))
    })
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    Ok(stream)
}

/// Reads until the end.
fn watch(address: SocketAddr, path: &str, read: &AtomicU64) {
    let Ok(mut stream) = ask(address, path) else { return };
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read.fetch_add(count as u64, Ordering::Relaxed);
    }
}
