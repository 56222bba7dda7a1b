// SPDX-License-Identifier: Apache-2.0

//! The station file: what stays the same on a station, in TOML, so that nobody types it each shift.
//!
//! Every key may be left out. `docs/station.rst` has a file with all of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provisioning::ImplementationId;
use serde::Deserialize;
use thiserror::Error;
use toml::{Spanned, Value};

use crate::port::names::{NameError, PortName, resolve};
use crate::steps::{Moment, Step, is_variable_name};

/// A station file. Relative paths in it were relative to its folder, and are not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StationFile {
    /// Where it is.
    pub path: PathBuf,
    /// The name of the station.
    pub station: Option<String>,
    /// The batch that parts belong to.
    pub batch: Option<String>,
    /// The ports, in their order.
    pub ports: Vec<Port>,
    /// The speed of the ports, in baud; not 0.
    pub baud: Option<u32>,
    /// The implementation ID that parts must have.
    pub implementation_id: Option<ImplementationId>,
    /// The image that must have provisioned them.
    pub image: Option<PathBuf>,
    /// Whether an image that does not ask for a nonce is refused.
    pub require_nonce: Option<bool>,
    /// The ledger.
    pub ledger: Option<PathBuf>,
    /// One more file that keeps its head.
    pub head_file: Option<PathBuf>,
    /// The station key, with which the ledger is signed.
    pub key: Option<PathBuf>,
    /// The file of the last checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The hub.
    pub hub: HubFile,
    /// The time-outs of a run.
    pub timeouts: Timeouts,
    /// Runs before each part.
    pub before: Option<Step>,
    /// Runs after each part that was entered.
    pub on_pass: Option<Step>,
    /// Runs after each part that was not.
    pub on_fail: Option<Step>,
}

/// A port of a station file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name or pattern, as [`resolve`] takes it.
    pub port: String,
    /// The serial number of the programmer (debug probe) beside it.
    pub programmer: Option<String>,
    /// Its own variables, for steps.
    pub variables: BTreeMap<String, String>,
    /// The line on which its name is.
    line: usize,
}

/// Those time-outs of [`crate::port::Timeouts`] that a station file has: whole seconds, up to a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first line of the run.
    pub start: Option<Duration>,
    /// From one line of the run to the next.
    pub line: Option<Duration>,
    /// From the first line of the run to its end.
    pub run: Option<Duration>,
}

/// The hub of a station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubFile {
    /// Where it is, and the role that logs in there: `postgres://ROLE@HOST/DATABASE`.
    pub url: Option<String>,
    /// The certificate of the authority that has signed the hub's, in PEM.
    pub ca: Option<PathBuf>,
    /// The file of the role's password.
    pub password_file: Option<PathBuf>,
    /// Whether no part is entered while the hub cannot be asked.
    pub required: Option<bool>,
}

impl StationFile {
    /// Reads a station file.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is not as it should be.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = fs::read_to_string(path)
            .map_err(|error| FileError::Read { path: path.to_owned(), error })?;
        Self::parse(&text, path)
    }

    /// Takes `text` as the content of the station file `path`.
    ///
    /// # Errors
    /// Something in it is not as it should be.
    pub fn parse(text: &str, path: &Path) -> Result<Self, FileError> {
        let content = |(at, problem): (usize, String)| {
            let line = line(text, at);
            FileError::Content { path: path.to_owned(), line, problem }
        };
        let at = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
        let _: toml::Table = toml::from_str(text).map_err(|error| {
            let problem = error.message().replace('\n', ", ");
            content((
                at(&error),
                format!("this is not TOML ({problem}). Look at the line, and at the one before."),
            ))
        })?;
        let raw: Raw =
            toml::from_str(text).map_err(|error| content((at(&error), say(error.message()))))?;
        raw.check(text, path).map_err(content)
    }

    /// The ports as they can be opened, each with what the file says of it.
    ///
    /// # Errors
    /// As [`resolve`], or a pattern with a programmer matches several ports.
    pub fn resolve(&self) -> Result<Vec<(PortName, &Port)>, FileError> {
        let names: Vec<_> = self.ports.iter().map(|port| &port.port).collect();
        let path = || self.path.clone();
        let found = resolve(&names).map_err(|error| FileError::Ports { path: path(), error })?;
        let mut ports: Vec<(PortName, &Port)> = Vec::new();
        for name in found {
            let port = &self.ports[name.argument()];
            if let Some((other, last)) = ports.last()
                && std::ptr::eq(*last, port)
                && port.programmer.is_some()
            {
                let problem = format!(
                    "{} matches {other} and {name}, and has one programmer. Name each port with its own.",
                    port.port
                );
                return Err(FileError::Content { path: path(), line: port.line, problem });
            }
            ports.push((name, port));
        }
        Ok(ports)
    }
}

/// The file as it is written. Values are checked where they are read, so that an error has their line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    station: Option<Text>,
    batch: Option<Text>,
    #[serde(default)]
    ports: Vec<RawPort>,
    baud: Option<Baud>,
    implementation_id: Option<Id>,
    image: Option<Text>,
    require_nonce: Option<Flag>,
    ledger: Option<Text>,
    head_file: Option<Text>,
    key: Option<Text>,
    checkpoint: Option<Text>,
    #[serde(default)]
    hub: RawHub,
    #[serde(default)]
    timeouts: RawTimeouts,
    #[serde(default)]
    steps: RawSteps,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "[[ports]], and below it port = \"NAME\"")]
struct RawPort {
    port: Spanned<Text>,
    programmer: Option<Spanned<Text>>,
    #[serde(default)]
    variables: BTreeMap<Spanned<String>, Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "[hub], and below it url = \"URL\"")]
struct RawHub {
    url: Option<Text>,
    ca: Option<Text>,
    password_file: Option<Text>,
    required: Option<Flag>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "[timeouts], and below it start, line or run = SECONDS")]
struct RawTimeouts {
    start: Option<Seconds>,
    line: Option<Seconds>,
    run: Option<Seconds>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "[steps.before], [steps.on_pass] or [steps.on_fail]")]
struct RawSteps {
    before: Option<RawStep>,
    on_pass: Option<RawStep>,
    on_fail: Option<RawStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "command = \"PROGRAM ARGUMENTS\" in a table of its own")]
struct RawStep {
    command: Spanned<Command>,
    timeout: Option<Seconds>,
}

/// What is wrong, and at which byte of the file.
type Wrong = (usize, String);

impl Raw {
    fn check(self, text: &str, path: &Path) -> Result<StationFile, Wrong> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let in_folder = |path: Option<Text>| path.map(|Text(path)| folder.join(path));
        let ports = ports(self.ports, text)?;
        let step = |step: Option<RawStep>, moment| {
            step.map(|step| step.check(moment, &ports, folder)).transpose()
        };
        Ok(StationFile {
            before: step(self.steps.before, Moment::Before)?,
            on_pass: step(self.steps.on_pass, Moment::OnPass)?,
            on_fail: step(self.steps.on_fail, Moment::OnFail)?,
            path: path.to_owned(),
            station: self.station.map(|Text(text)| text),
            batch: self.batch.map(|Text(text)| text),
            ports,
            baud: self.baud.map(|Baud(baud)| baud),
            implementation_id: self.implementation_id.map(|Id(id)| id),
            image: in_folder(self.image),
            require_nonce: self.require_nonce.map(|Flag(flag)| flag),
            ledger: in_folder(self.ledger),
            head_file: in_folder(self.head_file),
            key: in_folder(self.key),
            checkpoint: in_folder(self.checkpoint),
            hub: HubFile {
                url: self.hub.url.map(|Text(text)| text),
                ca: in_folder(self.hub.ca),
                password_file: in_folder(self.hub.password_file),
                required: self.hub.required.map(|Flag(flag)| flag),
            },
            timeouts: Timeouts {
                start: self.timeouts.start.map(|Seconds(time)| time),
                line: self.timeouts.line.map(|Seconds(time)| time),
                run: self.timeouts.run.map(|Seconds(time)| time),
            },
        })
    }
}

fn ports(raw: Vec<RawPort>, text: &str) -> Result<Vec<Port>, Wrong> {
    let mut ports: Vec<Port> = Vec::new();
    for RawPort { port, programmer, variables } in raw {
        let at = port.span().start;
        let Text(name) = port.into_inner();
        if let Some(Port { line, .. }) = ports.iter().find(|other| other.port == name) {
            let problem =
                format!("the port {name} is on line {line} already. Name each port once.");
            return Err((at, problem));
        }
        if let Some(number) = &programmer
            && let Some(other) =
                ports.iter().find(|other| other.programmer.as_ref() == Some(&number.as_ref().0))
        {
            let problem = format!(
                "the programmer {} is that of the port {} already. Give each port its own.",
                number.as_ref().0,
                other.port
            );
            return Err((number.span().start, problem));
        }
        if let Some(name) = variables.keys().find(|name| !is_variable_name(name.as_ref())) {
            let problem = format!(
                "{} cannot be the name of a variable. Write a to z, digits and _, a letter first, and none that \
                 every step has.",
                name.as_ref()
            );
            return Err((name.span().start, problem));
        }
        let variables =
            variables.into_iter().map(|(name, Text(value))| (name.into_inner(), value)).collect();
        let programmer = programmer.map(|number| number.into_inner().0);
        ports.push(Port { port: name, programmer, variables, line: line(text, at) });
    }
    Ok(ports)
}

impl RawStep {
    fn check(self, moment: Moment, ports: &[Port], folder: &Path) -> Result<Step, Wrong> {
        let at = self.command.span().start;
        let Command(step) = self.command.into_inner();
        if ports.is_empty() {
            step.check(moment, &BTreeMap::new()).map_err(|error| (at, error.to_string()))?;
        }
        for Port { port, variables, .. } in ports {
            step.check(moment, variables)
                .map_err(|error| (at, format!("{error} That is so for {port}.")))?;
        }
        let step = if folder.as_os_str().is_empty() { step } else { step.in_folder(folder) };
        Ok(match self.timeout {
            Some(Seconds(time)) => step.with_timeout(time),
            None => step,
        })
    }
}

/// Text that is not empty and has no control characters.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Text(String);

impl TryFrom<Value> for Text {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) if text.is_empty() => {
                Err(String::from("this text is empty. Write something, or leave the key out."))
            }
            Value::String(text) if text.contains(char::is_control) => Err(format!(
                "the text {text:?} has a line end or another control character. Write it without."
            )),
            Value::String(text) => Ok(Self(text)),
            Value::Integer(_) | Value::Float(_) => Err(format!(
                "{value} is a number, and text is wanted. Write \"{value}\" in quotes."
            )),
            _ => Err(format!("{} is not text. Write text in quotes.", one_line(&value))),
        }
    }
}

/// A time-out ends within a day.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Seconds(Duration);

impl TryFrom<Value> for Seconds {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value.as_integer().and_then(|seconds| u64::try_from(seconds).ok()) {
            Some(seconds @ 1..=86_400) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!(
                "{} is not a time-out. Write whole seconds from 1 to 86400, such as 60.",
                one_line(&value)
            )),
        }
    }
}

/// A speed.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Baud(u32);

impl TryFrom<Value> for Baud {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let baud = value.as_integer().and_then(|baud| u32::try_from(baud).ok());
        baud.filter(|baud| *baud > 0).map(Self).ok_or_else(|| {
            let value = one_line(&value);
            format!("{value} is not the speed of a port. Write a number of baud, such as 115200.")
        })
    }
}

/// An implementation ID.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Id(ImplementationId);

impl TryFrom<Value> for Id {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let advice = "Write the 64 hexadecimal digits of the product's in quotes.";
        let Value::String(text) = &value else {
            return Err(format!("{} is not an implementation ID. {advice}", one_line(&value)));
        };
        text.parse().map(Self).map_err(|error| {
            format!("{text:?}, of {} characters: {error}. {advice}", text.chars().count())
        })
    }
}

/// Yes or no.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Flag(bool);

impl TryFrom<Value> for Flag {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        value.as_bool().map(Self).ok_or_else(|| {
            let value = one_line(&value);
            format!("{value} is neither true nor false. Write one of these words, without quotes.")
        })
    }
}

/// The command of a step: text, or a list of words.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Command(Step);

impl TryFrom<Value> for Command {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let words: Option<Vec<&str>> =
            value.as_array().and_then(|words| words.iter().map(Value::as_str).collect());
        let step = match (&value, words) {
            (Value::String(line), _) => Step::parse(line),
            (_, Some(words)) => Step::new(&words),
            _ => {
                return Err(format!(
                    "{} is not a command. Write it as text, \"nrfutil device list\", or as a list of words, \
                     [\"nrfutil\", \"device\", \"list\"].",
                    one_line(&value)
                ));
            }
        };
        step.map(Self).map_err(|error| error.to_string())
    }
}

/// A value as it is written, and not too much of it.
fn one_line(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What serde complains of, in an operator's words.
fn say(message: &str) -> String {
    let split = |prefix| message.strip_prefix(prefix)?.split_once(", expected ");
    if let Some((name, known)) = split("unknown field ") {
        return format!("there is no key {name} here. Write {known}.");
    }
    if let Some((found, wanted)) = split("invalid type: ") {
        let wanted = if wanted == "a sequence" { "[[ports]] before each port" } else { wanted };
        return format!("{found} is wrong here. Write {wanted}.");
    }
    match message.strip_prefix("missing field ") {
        Some(name) => format!("the key {name} is missing here. Add it."),
        // That of a value that was read here.
        None => String::from(message),
    }
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.char_indices().filter(|(place, c)| *place < at && *c == '\n').count() + 1
}

/// What is wrong with a station file.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("the station file {} cannot be read ({error}). Check its name.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// Something in it is not as it should be.
    #[error("{}, line {line}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there, and what to write instead.
        problem: String,
    },
    /// Its ports are none.
    #[error("{}: {error}", path.display())]
    Ports {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        error: NameError,
    },
}
