// SPDX-License-Identifier: Apache-2.0

//! The engineer's pages: the figures of a shift, its last runs, one run; of a ledger, or of all that a hub has.

use base16ct::lower::encode_string as hex;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::book::{Place, Shown, Whole};
use super::of_hub::{self, OfHub, View};
use super::of_ledger::{self, OfLedger, Pushed, Reading, Signed};
use super::shift::{Filter, Shift};
use super::source::{Kind, Unread};
use super::text::{console, text};
use crate::chart;
use crate::hub::{Claim, Contest};
use crate::ledger::Link;
use crate::row::Row;
use crate::stats::{Hour, Stats, Yield, hour};

/// Runs that are listed.
const LISTED: usize = 50;

/// Causes that have a row.
const CAUSES: usize = 20;

/// Conflicts that are listed.
const CONTESTS: usize = 100;

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
    station: String,
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
        let (station, port, result) =
            (given(&self.station), given(&self.port), given(&self.result));
        Filter { since, station, port, result }
    }

    /// The part that is looked for.
    pub fn part(&self) -> Option<&str> {
        Some(self.part.trim()).filter(|part| !part.is_empty())
    }
}

/// What is the same on all pages.
pub struct Around {
    /// Whose page it is.
    pub title: String,
    /// Another one for each start of the station.
    pub start_id: String,
    /// Whether it is of a hub.
    pub is_of_hub: bool,
}

/// The whole page of a ledger.
pub fn page(ledger: &mut OfLedger, reading: &Reading, query: &Query, around: &Around) -> Markup {
    let filter = query.filter(Timestamp::now());
    let shift = Shift::of([&ledger.book], &filter, LISTED);
    let found = query.part().map(|part| ledger.runs_of(part));
    let facts = ledger.facts();
    let body = html! {
        div #reading data-live data-partial[matches!(reading, Reading::Goes(..))] {
            (state(reading, "ledger"))
            (alarms(&facts))
        }
        (form(query, &shift, None))
        @if let Some(found) = &found { (search(query, found, "in the whole ledger")) }
        (figures(&shift, false))
        (charts(&shift, false))
        (last_runs(&shift))
        (of_the_ledger(&facts))
    };
    frame(around, "Engineer", "", matches!(reading, Reading::Goes(..)), &body)
}

/// The whole page of a hub. What was looked for there comes with it.
pub fn page_of_hub(
    hub: &OfHub,
    found: Option<&Result<Vec<Shown>, Unread>>,
    query: &Query,
    around: &Around,
) -> Markup {
    let View { reading, shift, facts } = hub.view(&query.filter(Timestamp::now()), LISTED);
    let body = html! {
        div #reading data-live data-partial[matches!(reading, Reading::Goes(..))] {
            (state(&reading, "hub"))
            @for (ledger, Unread { text: why, kind }) in &facts.problems {
                p.banner.bad[*kind == Kind::Damage] role="alert" {
                    (text(ledger)) @if *kind == Kind::Damage { " IS NOT GOOD" } ": " (text(why))
                }
            }
        }
        (form(query, &shift, Some(&facts)))
        @if let Some(found) = found { (search(query, found, "on all stations")) }
        (contests(&facts.contests))
        (figures(&shift, true))
        (stations(&facts, query))
        (charts(&shift, true))
        (last_runs(&shift))
    };
    frame(around, "Engineer", "", matches!(reading, Reading::Goes(..)), &body)
}

fn form(query: &Query, shift: &Shift, hub: Option<&of_hub::Facts>) -> Markup {
    html! {
        form action="engineer" method="get" aria-label="Which runs" {
            label { "Runs of the " select name="hours" {
                @for (hours, name) in SHIFTS { option value=(hours) selected[hours == query.hours()] { (name) } }
            } }
            @if let Some(hub) = hub {
                label { "Station " select name="station" {
                    option value="" { "all" }
                    @for role in roles(hub) { option value=(role) selected[role == query.station] { (crate::escaped::line(role)) } }
                } }
            }
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
    }
}

/// Each station once, which may have several ledgers.
fn roles(hub: &of_hub::Facts) -> Vec<&str> {
    let mut roles: Vec<_> = hub.stations.iter().map(|station| &*station.place.role).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn charts(shift: &Shift, is_of_hub: bool) -> Markup {
    html! {
        (hours(&shift.stats))
        (failures(&shift.stats, is_of_hub))
        (steps(&shift.stats))
    }
}

fn last_runs(shift: &Shift) -> Markup {
    html! {
        section #runs data-live aria-labelledby="runs-title" {
            h2 #runs-title { "Last runs" }
            (runs(&shift.last, "Table of the last runs"))
        }
    }
}

/// What is around each page. `root` is the way to the first one: a reverse proxy may have it in a folder.
fn frame(around: &Around, what: &str, root: &str, is_partial: bool, body: &Markup) -> Markup {
    let Around { title, start_id, is_of_hub } = around;
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
                    nav {
                        @if !is_of_hub { a href={ (root) "." } { "Line" } }
                        a href={ (root) "engineer" } { "Engineer" }
                    }
                    p #link role="status" { "Connecting" }
                }
                p #stale role="alert" hidden {}
                main { (body) }
            }
        }
    }
}

/// In place of a line, at a hub.
pub fn no_line(around: &Around) -> Markup {
    let body = html! {
        section aria-labelledby="none-title" {
            h2 #none-title { "No line here" }
            p { "This is the hub. It has the runs that the stations have pushed, and does not know what is on a port now." }
            p { "The operator's page is at each station: " code { "station provision --page ADDRESS:PORT" } }
            p { a href="engineer" { "The figures of all stations" } }
        }
    };
    frame(around, "no line", "", false, &body)
}

/// How far a ledger or a hub was read.
fn state(reading: &Reading, what: &str) -> Markup {
    html! {
        @match reading {
            Reading::Done => {}
            Reading::Goes(read, all) => p.banner role="status" {
                "The " (what) " is being checked: " (read) " of " (all) " links. The figures are of those."
            },
            Reading::Stopped { text: why, is_damage } => p.banner.bad role="alert" {
                @if *is_damage { "THE LEDGER IS NOT GOOD. Stop the line and audit it: " }
                (text(why))
            },
            Reading::Away { since, text: why } => p.banner.bad role="alert" {
                "NOT LIVE: the hub cannot be read since " (utc(*since)) " UTC" time data-since=(since) {}
                ". The figures are of then, and it is tried again by itself. " (text(why))
            },
        }
    }
}

/// To the second.
fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What contradicts a ledger.
fn alarms(facts: &of_ledger::Facts) -> Markup {
    html! {
        @if let Pushed::Contradicts(hub, link) = &facts.pushed {
            p.banner.bad role="alert" {
                "STOP THE LINE: " (text(hub)) " has acknowledged link " (link) ", and this ledger has another one or none of that "
                "number. It was rolled back, or another file was put in its place. Keep the file as it is; station push says more."
            }
        }
        @if let Signed::Problem(why) = &facts.signed {
            p.banner.bad role="alert" { "THE LAST CHECKPOINT IS NOT GOOD: " (text(why)) }
        }
    }
}

fn figures(shift: &Shift, is_of_hub: bool) -> Markup {
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
            @if shift.is_cut { p.banner { "Older runs of this time are not in memory. station stats" (where_it_is(is_of_hub)) " has them." } }
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

/// Where the figures of all runs are.
const fn where_it_is(is_of_hub: bool) -> &'static str {
    if is_of_hub { ", on each station," } else { "" }
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
fn failures(stats: &Stats, is_of_hub: bool) -> Markup {
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
                        @if rows.len() > CAUSES { p { "And " (rows.len() - CAUSES) " more: station stats" (where_it_is(is_of_hub)) " has them." } }
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
            @if stats.times().next().is_none() { p { "No step was timed." } } @else {
                div.beside {
                    (picture(&chart::svg_of_steps(stats), "Time by step, as in the table"))
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
    }
}

fn search(query: &Query, found: &Result<Vec<Shown>, Unread>, within: &str) -> Markup {
    html! {
        section #found aria-labelledby="found-title" {
            h2 #found-title { "Runs of " (text(query.part.trim())) ", " (within) }
            @match found.as_deref() {
                Ok([]) => p { "None. A serial number is compared to the letter; a device ID has 16 hexadecimal digits, a UEID 66." },
                Ok(found) => (runs(found, "Table of the runs that were found")),
                Err(Unread { text: why, .. }) => p.banner.bad role="alert" { (text(why)) },
            }
        }
    }
}

fn runs(runs: &[Shown], name: &str) -> Markup {
    let is_of_hub = runs.first().is_some_and(|run| run.place.is_some());
    html! {
        div.table tabindex="0" role="region" aria-label=(name) {
            table {
                thead { tr {
                    @for name in ["Attempt", "Time (UTC)", "Result", "Why"] { th scope="col" { (name) } }
                    @if is_of_hub { th scope="col" { "Station" } }
                    @for name in ["Port", "Serial number", "Device ID", "Entry", "Seconds"] { th scope="col" { (name) } }
                } }
                tbody { @for (place, row) in runs.iter().map(|Shown { place, run }| (place, Row::of(run))) {
                    tr data-result=(row.result) {
                        th scope="row" { a href=(address(place.as_ref(), row.attempt)) { (row.attempt) } }
                        td.words { (row.time.replace('T', " ").trim_end_matches('Z')) }
                        td.words { (mark(row.result)) (row.result) }
                        td.words { (text(&row.why())) }
                        @if let Some(place) = place { td.words { (text(&place.role)) } }
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

/// Where a run has its page.
fn address(place: Option<&Place>, attempt: u64) -> String {
    match place {
        Some(place) => format!("attempt/{}/{attempt}", place.ledger),
        None => format!("attempt/{attempt}"),
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

fn of_the_ledger(facts: &of_ledger::Facts) -> Markup {
    html! {
        section #ledger data-live aria-labelledby="ledger-title" {
            h2 #ledger-title { "Ledger" }
            dl.facts {
                div { dt { "Head, to write down" } dd.id { (hex(&facts.head.hash)) } }
                div { dt { "Links" } dd { (facts.head.number) } }
                div { dt { "Entries" } dd { (facts.entries) } }
                div { dt { "Runs that have ended" } dd { (facts.ended) } }
                div { dt { "At the hub" } dd { (pushed(&facts.pushed)) } }
                div { dt { "Last checkpoint" } dd { (signed(&facts.signed)) } }
                @if let Some(verifier) = &facts.verifier { div { dt { "Signed by" } dd.id { (verifier) } } }
            }
            p.less { "Each link was read by this page and follows the one before it. station audit checks the records and the file, too." }
        }
    }
}

/// What is still to be pushed.
fn pushed(pushed: &Pushed) -> Markup {
    html! {
        @match pushed {
            Pushed::NoHub => "No hub: the station file names none",
            Pushed::NotNamed(hub, last) => { "No hub is named now. " (text(hub)) " has acknowledged links up to " (last) }
            Pushed::Until { hub, last, links: 0, .. } => { (text(hub)) " has all of it, up to link " (last) }
            Pushed::Until { hub, last, links, parts } => {
                (text(hub)) @if *last == 0 { " has acknowledged nothing that is known here. " } @else { " has acknowledged links up to " (last) ". " }
                strong { "Pending: " (links) " links, with " (parts) " parts" }
            }
            Pushed::Contradicts(hub, link) => strong { (text(hub)) " has acknowledged link " (link) ", which is not in this ledger" },
            Pushed::Unknown(why) => (text(why)),
        }
    }
}

/// What was signed last.
fn signed(signed: &Signed) -> Markup {
    html! {
        @match signed {
            Signed::NoKey => "None: the ledger has no station key, so nobody signs it",
            Signed::NoFile => "No file is named: checkpoint in the station file, or --checkpoint",
            Signed::NotYet(file) => { "None was written so far: " (text(&file.display().to_string())) }
            Signed::Until { number, time, beyond } => {
                "Link " (number) @if let Some(time) = time { " of " (utc(*time)) " (UTC)" } ". "
                @if *beyond == 0 { "It is the head" } @else { "The head is " (beyond) " links beyond it" }
            }
            Signed::Problem(why) => strong { (text(why)) },
        }
    }
}

/// The stations of a hub: what each has pushed.
fn stations(facts: &of_hub::Facts, query: &Query) -> Markup {
    const NAMES: [&str; 8] = [
        "Station",
        "Ledger",
        "Parts",
        "Runs",
        "Last link",
        "of (UTC)",
        "Last checkpoint",
        "Last push (UTC)",
    ];
    html! {
        section #stations data-live aria-labelledby="stations-title" {
            h2 #stations-title { "Stations" }
            @if facts.stations.is_empty() { p { "No station has pushed a ledger." } } @else {
                div.table tabindex="0" role="region" aria-label="Table of stations" {
                    table {
                        thead { tr { @for name in NAMES { th scope="col" { (name) } } } }
                        tbody { @for station in &facts.stations {
                            tr {
                                th scope="row" { (text(&station.place.role)) }
                                td.words {
                                    (station.place.ledger)
                                    @if let Some(batch) = &station.batch { ", batch " (text(batch)) }
                                    @if let Some(next) = station.continued_by { ", goes on in " (next) }
                                }
                                td { (station.parts) }
                                td { (station.ended) }
                                td { (station.head.number) }
                                td.words { @if let Some(time) = station.time { (utc(time)) } }
                                td.words { (checkpoint(station)) }
                                td.words { @if let Some(time) = station.pushed { (utc(time)) } @else { "never" } }
                            }
                        } }
                    }
                }
                @for station in facts.stations.iter().filter(|station| *station.place.role == *query.station) {
                    h3 { "Ledger " (station.place.ledger) " of " (text(&station.place.role)) }
                    dl.facts {
                        div { dt { "Head, to write down" } dd.id { (hex(&station.head.hash)) } }
                        @if let Some(verifier) = &station.verifier { div { dt { "Signed by" } dd.id { (verifier) } } }
                    }
                }
                p.less { "Each link was read by this page and follows the one before it. station audit --hub checks the records and the tables, too." }
            }
        }
    }
}

fn checkpoint(station: &of_hub::Station) -> Markup {
    html! {
        @match &station.signed {
            None => "none",
            Some(Ok(number)) if *number == station.head.number => "the last link",
            Some(Ok(number)) => { "link " (number) }
            Some(Err(why)) => strong { "✕ " (text(why)) },
        }
    }
}

/// Parts that two stations claim.
fn contests(contests: &[Contest]) -> Markup {
    let claims = contests.iter().flat_map(|contest| [&contest.holder, &contest.second]);
    let mut held_back: Vec<_> = claims.map(|claim| (claim.station, claim.entry)).collect();
    held_back.sort_unstable();
    held_back.dedup();
    let claim = |claim: &Claim| {
        html! { a href={ "attempt/" (claim.station) "/" (claim.attempt) } { "entry " (claim.entry) } " of " (text(&claim.role)) }
    };
    html! {
        section #contests data-live aria-labelledby="contests-title" {
            h2 #contests-title { "Conflicts" }
            @if contests.is_empty() { p { "No two stations claim the same part." } } @else {
                p.banner {
                    "Two stations claim the same part. Conflicts: " (contests.len()) ". Entries that are held back: " (held_back.len()) "; "
                    "no export has them until one of the two is withdrawn. Find both parts; see Conflicts in the manual of the hub."
                }
                div.table tabindex="0" role="region" aria-label="Table of conflicts" {
                    table {
                        thead { tr { @for name in ["First", "Second", "The same", "Seen (UTC)"] { th scope="col" { (name) } } } }
                        tbody { @for contest in contests.iter().take(CONTESTS) {
                            tr {
                                td.words { (claim(&contest.holder)) }
                                td.words { (claim(&contest.second)) }
                                td.words { (contest.same.words()) }
                                td.words { (utc(contest.found)) }
                            }
                        } }
                    }
                    @if contests.len() > CONTESTS { p { "And " (contests.len() - CONTESTS) " more: station hub status has them." } }
                }
            }
        }
    }
}

/// One run.
pub fn attempt(place: Option<&Place>, whole: &Whole, around: &Around, root: &str) -> Markup {
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
        ("At the hub", place.map(|place| format!("ledger {} of {}", place.ledger, place.role))),
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
    frame(around, &what, root, false, &body)
}

/// Where there is nothing.
pub fn nothing(around: &Around, root: &str, what: &str) -> Markup {
    frame(around, "nothing", root, false, &html! { p.banner { (text(what)) } })
}
