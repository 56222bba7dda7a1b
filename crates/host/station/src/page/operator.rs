// SPDX-License-Identifier: Apache-2.0

//! The operator's page: a field for each port, to be read from three metres.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::line::{About, Ended, Ending, Line, Port, State, percent};
use super::text::text;
use crate::console::RUN_STEPS;

/// The shapes of the states: no two look alike without their colours.
const SHAPES: &str = include_str!("shapes.svg");

/// The whole page. `boot` is that of the station's run: another one has other ports.
pub fn page(line: &Line, boot: &str) -> Markup {
    let title = line.about.station.as_deref().unwrap_or("Station");
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
            body.operator data-boot=(boot) data-link="opening" {
                (PreEscaped(SHAPES))
                header {
                    h1 { (text(title)) }
                    (about(&line.about))
                    (counts(line))
                    p #link role="status" { "Connecting" }
                    button #sound type="button" aria-pressed="false" { "Sound is off: turn on" }
                }
                noscript { p.banner { "This page has no JavaScript: it is loaded anew every two seconds, without sound." } }
                p #stale role="alert" hidden {}
                main.line data-columns=(columns(line.ports.len())) data-dense[line.ports.len() > ROOMY] {
                    @for (number, one) in line.ports.iter().enumerate() { (port(number, one)) }
                }
                (failed(line))
                p.unseen #spoken role="status" {}
                p.unseen #alarm role="alert" {}
                div #unacknowledged hidden {
                    p { svg.shape aria-hidden="true" { use href="#shape-fail" {} } span #failed-ports {} }
                    button #acknowledge type="button" { "Acknowledge" }
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

/// How many runs have ended, and how.
pub fn counts(line: &Line) -> Markup {
    let counts = &line.counts;
    html! {
        dl #counts {
            div { dt { "Good" } dd { (counts.good) @if let Some(parts) = line.about.parts { " of " (parts) } } }
            div { dt { "Failed" } dd { (counts.failed) } }
            div { dt { "Known" } dd { (counts.known) } }
        }
    }
}

/// The failed parts with their own words, where the fields are too small for them.
pub fn failed(line: &Line) -> Markup {
    let failed = line.ports.iter().filter_map(|port| Some((port, failure(port)?)));
    html! {
        section #failed tabindex="0" aria-label="Failed parts" data-dense[line.ports.len() > ROOMY] {
            ul {
                @for (port, ended) in failed {
                    li { strong { (text(&port.name)) } " " @if let Some(serial) = &ended.serial_number { (text(serial)) " " } (text(&ended.text)) }
                }
            }
        }
    }
}

fn failure(port: &Port) -> Option<&Ended> {
    port.last.as_ref().filter(|ended| ended.result == Ending::Fail)
}

/// The field of a port.
pub fn port(number: usize, port: &Port) -> Markup {
    let state = port.state();
    let name = format!("port-{number}-name");
    html! {
        article.port id={ "port-" (number) } data-state=(state) data-failed=(port.failed) data-name=(short(&port.name))
            aria-labelledby=(name) {
            h2 id=(name) title=(crate::escaped::line(&port.name)) { (text(short(&port.name))) }
            p.word {
                svg.shape aria-hidden="true" { use href={ "#shape-" (shape(state)) } {} }
                span { (port.word()) @if let Some(number) = number_of(port) { span.code { " " (number) } } }
            }
            @match state {
                State::Running => {
                    @if let Some(running) = &port.running {
                        progress max=(RUN_STEPS) value=(running.done) aria-label="Steps of this run" { (percent(running.done)) " %" }
                        p.text { (text(&running.step)) }
                    }
                }
                State::Ended(_) => @if let Some(ended) = &port.last { (ending(ended)) },
                State::Asked => p.text { @if let Some(question) = port.asked { (question) } },
                State::Lost => {
                    p.text { "Connect it again: the station goes on by itself." }
                    @if let Some(error) = &port.lost { p.text.less { (text(error)) } }
                    (before(port))
                }
                State::GivenUp => {
                    p.text { "Too many runs in a row have entered nothing. Check fixture, image and parts, then start the station again." }
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
        p.text { (text(&ended.text)) }
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

/// Two states look alike only where the operator does the same.
const fn shape(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Asked => "asked",
        State::Running => "running",
        State::Ended(Ending::Pass) => "pass",
        State::Ended(Ending::Known) => "known",
        State::Ended(Ending::Fail) => "fail",
        State::Lost | State::GivenUp => "lost",
    }
}
