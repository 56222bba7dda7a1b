// SPDX-License-Identifier: Apache-2.0

//! The operator's page: a field for each port, to be read from three metres.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::line::{About, AtHub, Ended, Ending, Line, Port, State, percent};
use super::text::text;
use crate::console::RUN_STEPS;

/// The shapes of the states: no two look alike without their colours.
const SHAPES: &str = include_str!("shapes.svg");

/// The whole page. `start_id` is that of this start of the station: after the next one there are other ports.
pub fn page(line: &Line, start_id: &str) -> Markup {
    let title = line.about.title();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="dark light";
                title { (crate::escaped::line(title)) ": line" }
                link rel="stylesheet" href="page.css";
                link rel="icon" href="icon.svg" type="image/svg+xml";
                script src="operator.js" defer {}
                noscript { meta http-equiv="refresh" content="2"; }
            }
            body.operator data-start=(start_id) data-link="opening" {
                (PreEscaped(SHAPES))
                header {
                    h1 { (text(title)) }
                    (about(&line.about))
                    @if line.is_of_ledger { p.less { "From the ledger: steps, questions and lost ports are on the page of the station itself" } }
                    (counts(line))
                    a href="engineer" { "Engineer" }
                    p #link role="status" { "Connecting" }
                }
                noscript { p.banner { "This page has no JavaScript: it is loaded anew every two seconds, without sound." } }
                p #stale role="alert" hidden {}
                div.middle {
                    main.line data-columns=(columns(line.ports.len())) data-dense[line.ports.len() > ROOMY] {
                        @for (number, one) in line.ports.iter().enumerate() { (port(number, one)) }
                    }
                    (wanted(line))
                }
                p.unseen #spoken role="status" {}
                p.unseen #alarm role="alert" {}
                footer #unacknowledged {
                    p { svg.shape aria-hidden="true" { use href="#shape-fail" {} } span #failed-ports { "No failure to acknowledge" } }
                    button #sound type="button" aria-pressed="false" { "Sound is off: turn on" }
                    button #acknowledge type="button" disabled { "Acknowledge" }
                }
            }
        }
    }
}

/// The most ports whose fields have room for what a failed part says.
const ROOMY: usize = 12;

/// Columns of a wide screen on which all ports fit, as wide as they are high or wider.
const fn columns(ports: usize) -> usize {
    match ports {
        0..=3 => ports,
        4 => 2,
        5 | 6 | 9 => 3,
        7 | 8 | 10..=16 => 4,
        17..=25 => 5,
        26..=36 => 6,
        37..=49 => 7,
        _ => 8,
    }
}

fn about(About { station: _, batch, operator, .. }: &About) -> Markup {
    html! {
        dl.about {
            @for (name, value) in [("Batch", batch), ("Operator", operator)] {
                @if let Some(value) = value { div { dt { (name) } dd { (text(value)) } } }
            }
        }
    }
}

/// What becomes of the parts at the hub, in words.
fn at_hub(hub: &AtHub) -> String {
    let mut words = Vec::new();
    if hub.is_alarm {
        words.push(String::from("ALARM"));
    } else if hub.is_away {
        words.push(String::from("away"));
    }
    if hub.conflicts > 0 {
        words.push(format!("{} in conflict", hub.conflicts));
    }
    if hub.pending > 0 {
        words.push(format!("{} pending", hub.pending));
    }
    if words.is_empty() { String::from("has all") } else { words.join(", ") }
}

/// How many runs have ended, and how.
pub fn counts(line: &Line) -> Markup {
    let counts = &line.counts;
    if line.is_of_ledger {
        return html! { dl #counts hidden {} };
    }
    html! {
        dl #counts {
            div { dt { "Good" } dd { (counts.good) @if let Some(parts) = line.about.parts { " of " (parts) } } }
            div { dt { "Failed" } dd { (counts.failed) } }
            div { dt { "Known" } dd { (counts.known) } }
            @if let Some(hub) = &line.hub { div { dt { "Hub" } dd { (at_hub(hub)) } } }
        }
    }
}

/// The ports that want somebody, and why, where the fields are too small to say it.
pub fn wanted(line: &Line) -> Markup {
    let is_dense = line.ports.len() > ROOMY;
    let mut ports: Vec<_> =
        line.ports.iter().filter(|port| is_dense && port.state().wants_somebody()).collect();
    // What has failed first.
    ports.sort_by_key(|port| port.state() != State::Ended(Ending::Fail));
    html! {
        aside #wanted tabindex="0" aria-label="Ports that need somebody" data-dense[is_dense] {
            @if is_dense {
                ul {
                    @for port in ports {
                        li data-state=(port.state()) {
                            p.what {
                                (shape(port.state()))
                                strong { (text(short(&port.name))) " " (port.word()) }
                                @if let Some(serial) = port.last.as_ref().and_then(|ended| ended.serial_number.as_ref()) { " " (text(serial)) }
                            }
                            p { (what(port)) }
                        }
                    }
                }
            }
        }
    }
}

/// What a port says in words.
fn what(port: &Port) -> Markup {
    match (port.state(), &port.last, port.asked) {
        (State::Ended(_), Some(ended), _) => text(&ended.text),
        (State::Asked, _, Some(question)) => html! { (question) },
        (State::Lost, ..) => html! { "Connect it again: the station goes on by itself" },
        (State::GivenUp, ..) => html! { (GIVEN_UP) },
        _ => html! {},
    }
}

const GIVEN_UP: &str = "Too many runs in a row have entered nothing. Check fixture, image and parts, then start the station \
                        again";

/// The field of a port.
pub fn port(number: usize, port: &Port) -> Markup {
    let state = port.state();
    let name = format!("port-{number}-name");
    html! {
        article.port id={ "port-" (number) } data-state=(state) data-failed=(port.failed) data-name=(crate::escaped::line(short(&port.name)))
            aria-labelledby=(name) {
            h2 id=(name) title=(crate::escaped::line(&port.name)) { (text(short(&port.name))) }
            p.word {
                (shape(state))
                span { (port.word()) @if let Some(number) = number_of(port) { " " span.code { (number) } } }
            }
            @match state {
                State::Running => {
                    @if let Some(running) = &port.running {
                        progress max=(RUN_STEPS) value=(running.done) aria-label="Steps of this run" { (percent(running.done)) " %" }
                        p.text { (text(&running.step)) }
                    }
                }
                State::Ended(_) => @if let Some(ended) = &port.last { (ending(ended)) },
                State::Asked => p.text.do { (what(port)) },
                State::Lost => {
                    p.text { (what(port)) }
                    @if let Some(error) = &port.lost { p.text.less { (text(error)) } }
                    (before(port))
                }
                State::GivenUp => {
                    p.text { (GIVEN_UP) }
                    (before(port))
                }
                State::Waiting => p.text { "Put a part in" },
            }
            @if let (State::Ended(_), Some(question)) = (state, port.asked) { p.note.asked { "Next: " (question) } }
            @if let Some(note) = &port.note { p.note { (text(note)) } }
        }
    }
}

fn ending(ended: &Ended) -> Markup {
    html! {
        @if let Some(serial) = &ended.serial_number { p.serial { (text(serial)) } }
        @match (ended.result, ended.entry) {
            (Ending::Pass, Some(entry)) if ended.serial_number.is_none() => p.serial { "Entry " (entry) },
            (Ending::Known, _) => p.text.do { (text(&ended.text)) },
            _ => p.text { (text(&ended.text)) }
        }
        @if let (Ending::Known, Some(entry)) = (ended.result, ended.entry) { p.text.less { "Entry " (entry) } }
        @if let Some(ueid) = ended.ueid { p.text.less { "UEID " (ueid) } }
        p.age { time datetime=(ended.time) {} }
    }
}

/// How the part before has ended, on a port that shows something else.
fn before(port: &Port) -> Markup {
    html! {
        @if let Some(ended) = &port.last {
            p.text {
                "The last part: " strong { (State::Ended(ended.result).word()) } " "
                @if let Some(serial) = &ended.serial_number { (text(serial)) ", " }
                (text(&ended.text))
            }
        }
    }
}

/// The number of a failure, which the table of failures has.
fn number_of(port: &Port) -> Option<u8> {
    matches!(port.state(), State::Ended(_)).then(|| port.last.as_ref()?.failure).flatten()
}

/// What differs in the names of ports is at their end.
fn short(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().filter(|end| !end.is_empty()).unwrap_or(name)
}

/// The shape of a state: two look alike only where the operator does the same.
fn shape(state: State) -> Markup {
    let name = match state {
        State::Waiting => "waiting",
        State::Asked => "asked",
        State::Running => "running",
        State::Ended(Ending::Pass) => "pass",
        State::Ended(Ending::Known) => "known",
        State::Ended(Ending::Fail) => "fail",
        State::Lost | State::GivenUp => "lost",
    };
    html! { svg.shape aria-hidden="true" { use href={ "#shape-" (name) } {} } }
}
