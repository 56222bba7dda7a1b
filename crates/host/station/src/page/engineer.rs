// SPDX-License-Identifier: Apache-2.0

//! The engineer's pages: the figures of a shift, its last runs, one run.

use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::book::{Book, Filter, Reading, Shift, Whole};
use super::text::{console, text};
use crate::chart;
use crate::ledger::{Link, Run};
use crate::row::Row;
use crate::stats::{Hour, Stats, Yield, hour};

/// Runs that are listed.
const LISTED: usize = 50;

/// Causes that have a row.
const CAUSES: usize = 20;

/// Hours that a shift can be looked at for, and their names; the first is the default.
const SHIFTS: [(i64, &str); 5] = [
    (8, "last 8 hours"),
    (1, "last hour"),
    (12, "last 12 hours"),
    (24, "last 24 hours"),
    (0, "all that is in memory"),
];

/// Results that can be looked for.
const RESULTS: [&str; 6] = ["not-good", "good", "failed", "known", "not-done", "unfinished"];

/// What is asked for, in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    hours: Option<i64>,
    port: String,
    result: String,
    part: String,
}

impl Query {
    fn hours(&self) -> i64 {
        let first = SHIFTS[0].0;
        self.hours.filter(|hours| SHIFTS.iter().any(|(known, _)| known == hours)).unwrap_or(first)
    }

    fn filter(&self, now: Timestamp) -> Filter {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let since = match self.hours() {
            0 => None,
            hours => now.checked_sub(SignedDuration::from_hours(hours)).ok(),
        };
        Filter { since, port: given(&self.port), result: given(&self.result) }
    }
}

/// The whole page.
pub fn page(
    book: &mut Book,
    reading: &Reading,
    query: &Query,
    title: &str,
    start_id: &str,
) -> Markup {
    let shift = book.shift(&query.filter(Timestamp::now()), LISTED);
    let found = match query.part.trim() {
        "" => None,
        part => Some((part, book.runs_of(part))),
    };
    let body = html! {
        (state(reading))
        form action="engineer" method="get" aria-label="Which runs" {
            label { "Runs of the " select name="hours" {
                @for (hours, name) in SHIFTS { option value=(hours) selected[hours == query.hours()] { (name) } }
            } }
            label { "Port " select name="port" {
                option value="" { "all" }
                @for port in &shift.ports { option value=(port) selected[*port == query.port] { (crate::escaped::line(port)) } }
            } }
            label { "Result " select name="result" {
                option value="" { "all" }
                @for result in RESULTS { option value=(result) selected[result == query.result] { (result) } }
            } }
            label { "Part " input type="search" name="part" value=(query.part) placeholder="serial number, UEID, device ID" maxlength="128"; }
            button { "Show" }
        }
        @if let Some((part, found)) = &found { (search(part, found.as_deref())) }
        (figures(&shift))
        (hours(&shift.stats))
        (failures(&shift.stats))
        (steps(&shift.stats))
        section #runs data-live aria-labelledby="runs-title" {
            h2 #runs-title { "Last runs" }
            (runs(&shift.last))
        }
        (ledger(&shift))
    };
    let is_partial = matches!(reading, Reading::Goes(..));
    frame(&Frame { title, what: "Engineer", start_id, root: "" }, is_partial, &body)
}

/// What is around each page.
struct Frame<'a> {
    title: &'a str,
    what: &'a str,
    start_id: &'a str,
    /// The way to the first page: a reverse proxy may have it in a folder.
    root: &'a str,
}

fn frame(
    Frame { title, what, start_id, root }: &Frame<'_>,
    is_partial: bool,
    body: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="dark light";
                @if is_partial { meta http-equiv="refresh" content="1"; }
                title { (crate::escaped::line(title)) ": " (what) }
                link rel="stylesheet" href={ (root) "page.css" };
                link rel="icon" href={ (root) "icon.svg" } type="image/svg+xml";
                script src={ (root) "engineer.js" } defer {}
            }
            body.engineer data-start=(start_id) data-link="opening" {
                header {
                    h1 { (text(title)) }
                    nav { a href={ (root) "." } { "Line" } a href={ (root) "engineer" } { "Engineer" } }
                    p #link role="status" { "Connecting" }
                }
                p #stale role="alert" hidden {}
                main { (body) }
            }
        }
    }
}

fn state(reading: &Reading) -> Markup {
    html! {
        div #reading data-live data-partial[matches!(reading, Reading::Goes(..))] {
            @match reading {
                Reading::Done => {}
                Reading::Goes(read, all) => p.banner role="status" {
                    "The ledger is being checked: " (read) " of " (all) " links. The figures are of those."
                },
                Reading::Stopped { text: why, is_damage } => p.banner.bad role="alert" {
                    @if *is_damage { "THE LEDGER IS NOT GOOD. Stop the line and audit it: " }
                    (text(why))
                },
            }
        }
    }
}

fn figures(shift: &Shift) -> Markup {
    let stats = &shift.stats;
    let share = |name, figures: Yield| {
        html! {
            div { dt { (name) } dd {
                @match figures.percent() { Some(percent) => (format!("{percent:.1} %")), None => "–" }
            } dd.less { (figures.good) " of " (figures.parts) " parts" } }
        }
    };
    html! {
        section #figures data-live aria-labelledby="figures-title" {
            h2 #figures-title { "Shift" }
            @if shift.is_cut { p.banner { "Older runs of this time are not in memory. station stats has them." } }
            dl.figures {
                (share("First-pass yield", stats.first_pass()))
                (share("Yield after retests", stats.after_retests()))
                div { dt { "Parts per hour" } dd {
                    @match stats.parts_per_hour() { Some(rate) => (format!("{rate:.0}")), None => "–" }
                } dd.less { "over " (stats.hours.len()) " hours with runs" } }
                @for (name, count) in stats.counts() {
                    div { dt { (count_name(name)) } dd { (count) } }
                }
            }
        }
    }
}

fn count_name(name: &'static str) -> &'static str {
    match name {
        "runs" => "Runs",
        "good" => "Good",
        "known" => "Known already",
        "failed" => "Failed",
        "unfinished" => "Running or cut off",
        "failed-part-unknown" => "Failed, part unknown",
        name => name,
    }
}

fn hours(stats: &Stats) -> Markup {
    html! {
        section #hours data-live aria-labelledby="hours-title" {
            h2 #hours-title { "Runs by the hour" }
            div.beside {
                (picture(&chart::svg_of_hours(stats), "Runs by the hour, as in the table"))
                div.table tabindex="0" role="region" aria-label="Table of runs by the hour" {
                    table {
                        thead { tr { th scope="col" { "Hour (UTC)" } th scope="col" { "Good" } th scope="col" { "Failed" } } }
                        tbody { @for (hours, Hour { good, failed }) in stats.hours.iter().rev() {
                            tr { th scope="row" { (hour(*hours)) } td { (good) } td { (failed) } }
                        } }
                    }
                }
            }
        }
    }
}

/// Failures, the most frequent first, with their share of all up to there.
fn failures(stats: &Stats) -> Markup {
    let causes = stats.failures_by_count();
    let all: u64 = causes.iter().map(|(_, count)| count).sum();
    let mut so_far = 0;
    let rows: Vec<_> = causes
        .iter()
        .map(|((cause, port), count)| {
            so_far += count;
            (cause.to_string(), *port, count, 100 * so_far / all.max(1))
        })
        .collect();
    html! {
        section #failures data-live aria-labelledby="failures-title" {
            h2 #failures-title { "Failures by number and port" }
            @if rows.is_empty() { p { "No run has failed." } } @else {
                div.beside {
                    (picture(&chart::svg_of_failures(stats), "Failed runs by cause, as in the table"))
                    div.table tabindex="0" role="region" aria-label="Table of failures" {
                        table {
                            thead { tr { th scope="col" { "What failed" } th scope="col" { "Port" } th scope="col" { "Runs" } th scope="col" { "Up to here" } } }
                            tbody { @for (cause, port, count, share) in rows.iter().take(CAUSES) {
                                tr { th scope="row" { (text(cause)) } td.words { (text(port)) } td { (count) } td { (share) " %" } }
                            } }
                        }
                        @if rows.len() > CAUSES { p { "And " (rows.len() - CAUSES) " more: station stats has them." } }
                    }
                }
            }
        }
    }
}

/// A chart that this program has drawn. Its words are escaped by who has drawn it.
fn picture(svg: &Result<String, Box<dyn std::error::Error>>, what: &str) -> Markup {
    html! {
        div.chart role="img" aria-label=(what) {
            @match svg {
                Ok(svg) => (PreEscaped(svg)),
                Err(error) => p { "The chart cannot be drawn: " (error) },
            }
        }
    }
}

fn steps(stats: &Stats) -> Markup {
    html! {
        section #steps data-live aria-labelledby="steps-title" {
            h2 #steps-title { "Time by step, in milliseconds" }
            div.table tabindex="0" role="region" aria-label="Table of times" {
                table {
                    thead { tr { th scope="col" { "Step" } th scope="col" { "Runs" } th scope="col" { "Median" } th scope="col" { "95 %" } th scope="col" { "Longest" } } }
                    tbody { @for (name, time) in stats.times() {
                        tr { th scope="row" { (text(name)) } td { (time.count()) }
                            @for percent in [50, 95, 100] { td { (time.percentile(percent).unwrap_or_default()) } }
                        }
                    } }
                }
            }
        }
    }
}

fn search(part: &str, found: Result<&[Run], &crate::ledger::LedgerError>) -> Markup {
    html! {
        section #found aria-labelledby="found-title" {
            h2 #found-title { "Runs of " (text(part)) ", in the whole ledger" }
            @match found {
                Ok([]) => p { "None. A serial number is compared to the letter; a device ID has 16 hexadecimal digits, a UEID 66." },
                Ok(found) => (runs(found)),
                Err(error) => p.banner.bad role="alert" { (text(&error.to_string())) },
            }
        }
    }
}

fn runs(runs: &[Run]) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Runs" {
            table {
                thead { tr { @for name in ["Attempt", "Time (UTC)", "Result", "Why", "Port", "Serial number", "Device ID", "Entry", "Seconds"] { th scope="col" { (name) } } } }
                tbody { @for row in runs.iter().map(Row::of) {
                    tr data-result=(row.result) {
                        th scope="row" { a href={ "attempt/" (row.attempt) } { (row.attempt) } }
                        td.words { (row.time.replace('T', " ").trim_end_matches('Z')) }
                        td.words { (mark(row.result)) (row.result) }
                        td.words { (text(&row.why())) }
                        td.words { (text(&row.port)) }
                        td.words { @if let Some(serial) = &row.serial_number { (text(serial)) } }
                        td.words.id { @if let Some(id) = &row.device_id { (id) } }
                        td { @if let Some(entry) = row.entry { (entry) } }
                        td { @if let Some(seconds) = row.seconds { (format!("{seconds:.1}")) } }
                    }
                } }
            }
        }
    }
}

/// A sign beside a result, so that a bad one is found by its form.
fn mark(result: &str) -> Markup {
    let sign = match result {
        "good" => "✓ ",
        "failed" | "not-done" => "✕ ",
        "known" => "⏏ ",
        _ => "… ",
    };
    html! { span aria-hidden="true" { (sign) } }
}

fn ledger(shift: &Shift) -> Markup {
    html! {
        section #ledger data-live aria-labelledby="ledger-title" {
            h2 #ledger-title { "Ledger" }
            dl.facts {
                div { dt { "Head, to write down" } dd.id { (base16ct::lower::encode_string(&shift.head.hash)) } }
                div { dt { "Links" } dd { (shift.head.number) } }
                div { dt { "Entries" } dd { (shift.entries) } }
                div { dt { "Runs that have ended" } dd { (shift.ended) } }
            }
            p.less { "Each link was read by this page and follows the one before it. station audit checks the records and the file, too." }
        }
    }
}

/// One run.
pub fn attempt(whole: &Whole, title: &str, start_id: &str) -> Markup {
    let run = &whole.run;
    let row = Row::of(run);
    let entry = run.ended.as_ref().and_then(Link::entry);
    let facts = [
        ("Result", Some(row.result.to_owned())),
        ("What happened", row.text),
        ("Failure", row.failure.map(|number| number.to_string())),
        ("Error", row.error),
        ("Serial number", row.serial_number),
        ("Entry", row.entry.map(|entry| entry.to_string())),
        ("Device ID", row.device_id),
        ("UEID", row.ueid),
        ("Port", Some(row.port)),
        ("Time (UTC)", Some(row.time)),
        ("Seconds", row.seconds.map(|seconds| format!("{seconds:.3}"))),
        ("Batch", row.batch),
        ("Station", row.station),
        ("Operator", row.operator),
        ("Image, SHA-256", row.image_sha256),
        ("Version", Some(row.version)),
    ];
    let body = html! {
        section aria-labelledby="attempt-title" {
            h2 #attempt-title { "Attempt " (row.attempt) }
            dl.facts { @for (name, value) in &facts {
                @if let Some(value) = value { div { dt { (name) } dd { (text(value)) } } }
            } }
        }
        @if let Some(outcome) = run.outcome() {
            section aria-labelledby="console-title" {
                h2 #console-title { "Console" }
                @match outcome.console.unpack(entry) {
                    Some(bytes) => (console(&bytes)),
                    None => p.banner.bad { "It is damaged." },
                }
            }
            @if !outcome.steps.is_empty() {
                section aria-labelledby="times-title" {
                    h2 #times-title { "Steps, in milliseconds" }
                    dl.facts { @for step in &outcome.steps { div { dt { (text(&step.name)) } dd { (step.milliseconds) } } } }
                }
            }
        } @else { p { "It has not ended while the station ran, or runs now." } }
        @for program in &whole.programs {
            section aria-label={ "Step " (program.step) } {
                h2 { "Step " (program.step) ": " (text(&program.text)) ", " (program.milliseconds) " ms" }
                p.id { (text(&program.command)) }
                @if let Some(bytes) = program.output.unpack(None) { (console(&bytes)) }
            }
        }
    };
    let what = format!("attempt {}", row.attempt);
    frame(&Frame { title, what: &what, start_id, root: "../" }, false, &body)
}

/// Where there is nothing.
pub fn nothing(title: &str, start_id: &str, what: &str) -> Markup {
    frame(
        &Frame { title, what: "nothing", start_id, root: "../" },
        false,
        &html! { p.banner { (text(what)) } },
    )
}
