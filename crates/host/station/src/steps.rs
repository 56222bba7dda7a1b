// SPDX-License-Identifier: Apache-2.0

//! Steps of the line: programs that the station runs around each part, before its run, after it was entered, and
//! after it was not.
//!
//! A step is told of the part in three ways: as JSON on its standard input ([`Part`]), by variables in its command
//! (`{port}`), and by the same variables in its environment (`STATION_PORT`). Its exit code decides.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{self, Read, Write as _};
use std::path::{MAIN_SEPARATOR, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::Identity;
use crate::ledger::Receipt;
use crate::record::Software;

/// How long a step may take if nothing else is said: several times what a debugger needs to program an image.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes that are kept of what a step prints: the last ones.
pub const OUTPUT_KEPT: usize = 64 * 1024;

/// How often a step is looked at, and the flag that stops it.
const POLL: Duration = Duration::from_millis(10);

/// How long a step that is ended may take to put its tools away, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long the rest of its output may take after a step has ended. What it leaves running may hold the pipe open
/// for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// When a step is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the run of a part: to program it, for example.
    Before,
    /// After the part was entered in the ledger.
    OnPass,
    /// After a part was not entered.
    OnFail,
}

impl Display for Moment {
    /// As the options of the command line write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::OnPass => "on-pass",
            Self::OnFail => "on-fail",
        })
    }
}

/// What a step is told of a part: one JSON object, whose members stand in alphabetical order. What is not known is
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The batch that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// `FICR.INFO.DEVICEID`, 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// One word for why it was not entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The hash of its entry, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The measurement of the image that has provisioned it, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_sha256: Option<String>,
    /// 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implementation_id: Option<String>,
    /// The number of its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Who runs the station.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The port of its console, as the ledger has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The serial number of the programmer (debug probe) beside that port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programmer: Option<String>,
    /// The public identity key, an uncompressed point: 130 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Its serial number, where the operator was asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// The name of this station.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// What the operator is told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// 66 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ueid: Option<String>,
    /// The port's own variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// Variables that every step has, as far as they are known to the station.
const ALWAYS: [&str; 7] =
    ["batch", "operator", "port", "programmer", "serial_number", "station", "step"];

/// Variables that a step has after the run, as far as they are known by then.
const AFTER: [&str; 10] = [
    "device_id",
    "error",
    "hash",
    "image_sha256",
    "implementation_id",
    "number",
    "outcome",
    "public_key",
    "text",
    "ueid",
];

impl Part {
    /// Adds who it is.
    pub fn identify(&mut self, identity: &Identity) {
        self.device_id = Some(identity.device_id.to_string());
        self.implementation_id = Some(identity.implementation_id.to_string());
        self.public_key = Some(hex(identity.public_key.as_bytes()));
        self.ueid = Some(identity.ueid().to_string());
    }

    /// Adds its entry.
    pub fn enter(&mut self, receipt: &Receipt) {
        self.hash = Some(hex(&receipt.hash));
        self.number = Some(receipt.number);
    }

    /// Adds the image that has provisioned it.
    pub fn measure(&mut self, software: &Software) {
        self.image_sha256 = Some(software.measurement.to_string());
    }

    /// The JSON object.
    fn json(&self, step: Moment) -> Value {
        let mut object = serde_json::to_value(self).unwrap_or_default();
        object["step"] = step.to_string().into();
        object
    }
}

/// Whether a port may have a variable of that name: `a` to `z`, digits and `_`, first a letter, and no other variable
/// has it.
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    let is_taken = ALWAYS.contains(&name) || AFTER.contains(&name) || name == "variables";
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_taken
}

/// A program and its arguments, and how long it may take.
///
/// No shell is between: what a variable holds stays one argument, or part of one, whatever characters it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    words: Vec<Word>,
    timeout: Duration,
    folder: Option<PathBuf>,
}

/// A word of a command: text, and variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Step {
    /// A command as a person writes it: words with spaces between, quotes as in a shell, variables in braces. It may
    /// take [`DEFAULT_TIMEOUT`].
    ///
    /// # Errors
    /// There is no word, a quote is not closed, or a brace is wrong.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let words = shlex::split(line).ok_or_else(|| CommandError::Quote(String::from(line)))?;
        Self::new(&words)
    }

    /// A command of these words, the program first, with variables in braces. It may take [`DEFAULT_TIMEOUT`].
    ///
    /// # Errors
    /// There is no program, or a brace is wrong.
    pub fn new(words: &[impl AsRef<str>]) -> Result<Self, CommandError> {
        let words =
            words.iter().map(|word| Word::parse(word.as_ref())).collect::<Result<Vec<_>, _>>()?;
        match words.first() {
            Some(program) if !program.0.is_empty() => {
                Ok(Self { words, timeout: DEFAULT_TIMEOUT, folder: None })
            }
            _ => Err(CommandError::Empty),
        }
    }

    /// The same step with another time-out.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same step in a working folder of its own. A program that is named by a relative path is looked for there.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Checks that every variable of the command can have a value then. `own` are the port's own ones.
    ///
    /// # Errors
    /// One of them cannot.
    pub fn check(
        &self,
        moment: Moment,
        own: &BTreeMap<String, String>,
    ) -> Result<(), CommandError> {
        let after = if moment == Moment::Before { &[][..] } else { &AFTER[..] };
        let is_known =
            |name: &str| ALWAYS.contains(&name) || after.contains(&name) || own.contains_key(name);
        let pieces = self.words.iter().flat_map(|word| &word.0);
        for piece in pieces {
            if let Piece::Variable(name) = piece
                && !is_known(name)
            {
                let own = own.keys().map(String::as_str);
                let known = ALWAYS.iter().chain(after).copied().chain(own).collect::<Vec<_>>();
                let (name, known) = (name.clone(), known.join(", "));
                return Err(CommandError::Variable { name, moment, known });
            }
        }
        Ok(())
    }

    /// Runs the step and waits for its end, which comes at the latest some seconds after its time-out, or after
    /// `stop` is true.
    ///
    /// Both end the program and, on Unix, all others that it has started in its process group: by `SIGTERM`, and two
    /// seconds later by `SIGKILL`. What it leaves running when it ends by itself runs on.
    ///
    /// # Errors
    /// The step has not ended with exit code 0.
    pub fn run(
        &self,
        moment: Moment,
        part: &Part,
        stop: impl Fn() -> bool,
    ) -> Result<Ran, StepError> {
        let begun = Instant::now();
        let json = part.json(moment);
        let values = values(&json, part);
        let tail = Arc::default();
        let (command, end) = match self.words(&values) {
            Ok(words) => {
                let end = self.execute(&words, &values, &json, &tail, stop);
                (words, end.unwrap_or_else(End::NotStarted))
            }
            Err(name) => {
                let words = self.words.iter().map(ToString::to_string).collect();
                (words, End::NoValue(name))
            }
        };
        let command = shlex::try_join(command.iter().map(String::as_str))
            .unwrap_or_else(|_| command.join(" "));
        let (output, cut) = Tail::take(&tail);
        let ran = Ran { moment, command, end, duration: begun.elapsed(), output, cut };
        if matches!(ran.end, End::Code(0)) { Ok(ran) } else { Err(StepError(Box::new(ran))) }
    }

    /// The words with the values in them; or the variable that has none.
    fn words(&self, values: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
        let fill = |word: &Word| {
            let mut text = String::new();
            for piece in &word.0 {
                text.push_str(match piece {
                    Piece::Text(text) => text,
                    Piece::Variable(name) => values.get(name).ok_or_else(|| name.clone())?,
                });
            }
            Ok(text)
        };
        self.words.iter().map(fill).collect()
    }

    fn execute(
        &self,
        words: &[String],
        values: &BTreeMap<String, String>,
        json: &Value,
        tail: &Shared,
        stop: impl Fn() -> bool,
    ) -> io::Result<End> {
        let begun = Instant::now();
        if stop() {
            return Ok(End::Stopped);
        }
        let mut program = PathBuf::from(&words[0]);
        if let Some(folder) = &self.folder
            && words[0].contains(['/', MAIN_SEPARATOR])
        {
            program = folder.join(program);
        }
        // One pipe for both, so that the order is the program's.
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&program);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        // What another station around this one has set is not of this part.
        for name in ALWAYS.iter().chain(&AFTER) {
            command.env_remove(environment(name));
        }
        command.envs(values.iter().map(|(name, value)| (environment(name), value)));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            // A script is there even if what is to interpret it is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !program.exists() => {
                return Ok(End::NotFound(words[0].clone()));
            }
            Err(error) => return Err(error),
        };
        // Its end of the pipe is to be the only one.
        drop(command);
        let drained = Tail::follow(reader, Arc::clone(tail));
        if let Some(mut stdin) = child.stdin.take() {
            let line = format!("{json}\n");
            // A program need not read it.
            thread::spawn(move || stdin.write_all(line.as_bytes()));
        }
        let end = loop {
            if let Some(status) = child.try_wait()? {
                break End::of(status);
            }
            let end = if stop() {
                End::Stopped
            } else if begun.elapsed() >= self.timeout {
                End::TimedOut(self.timeout)
            } else {
                thread::sleep(POLL);
                continue;
            };
            kill(&mut child)?;
            break end;
        };
        // Nothing is ever sent: the wait ends with the pipe, or with its time.
        let _ = drained.recv_timeout(DRAIN);
        Ok(end)
    }
}

/// The variables that have a value.
fn values(json: &Value, part: &Part) -> BTreeMap<String, String> {
    let members = json.as_object().into_iter().flatten();
    let own = part.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut values: BTreeMap<String, String> = members
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name.clone(), text.clone())),
            Value::Number(number) => Some((name.clone(), number.to_string())),
            _ => None,
        })
        .chain(own)
        .collect();
    for value in values.values_mut() {
        // No argument and no variable of the environment can have one.
        *value = value.replace('\0', "?");
    }
    values
}

/// The name of a variable in the environment.
fn environment(name: &str) -> String {
    format!("STATION_{}", name.to_ascii_uppercase())
}

/// Ends a program and what it has started.
fn kill(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let group = Pid::from_child(child);
        // Where all of the group has ended meanwhile, nothing is left to do.
        let _ = kill_process_group(group, Signal::TERM);
        wait(child, GRACE)?;
        // Also where the program has ended: others of its group may not have.
        let _ = kill_process_group(group, Signal::KILL);
    }
    #[cfg(not(unix))]
    child.kill()?;
    // One that waits for a device in the kernel does not end even now.
    wait(child, GRACE)
}

/// Waits until a program ends, and at most so long.
fn wait(child: &mut Child, time: Duration) -> io::Result<()> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() && begun.elapsed() < time {
        thread::sleep(POLL);
    }
    Ok(())
}

impl Word {
    fn parse(word: &str) -> Result<Self, CommandError> {
        let error = || CommandError::Brace(String::from(word));
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = word.chars();
        while let Some(c) = rest.next() {
            let is_doubled = rest.as_str().starts_with(c);
            match c {
                '{' | '}' if is_doubled => {
                    text.push(c);
                    rest.next();
                }
                '{' => {
                    let (name, behind) = rest.as_str().split_once('}').ok_or_else(error)?;
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    if name.is_empty() || !name.chars().all(is_name) {
                        return Err(error());
                    }
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Variable(String::from(name)));
                    rest = behind.chars();
                }
                '}' => return Err(error()),
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }
}

impl Display for Word {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Piece::Variable(name) => write!(f, "{{{name}}}"),
        })
    }
}

/// The end of what a step prints, while it is still read; nothing after it was taken.
type Shared = Arc<Mutex<Option<Tail>>>;

/// The last [`OUTPUT_KEPT`] bytes, and how many there were before.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    cut: usize,
}

impl Tail {
    /// Reads to the end on a thread of its own. The receiver is disconnected then.
    ///
    /// A program that was left running finds the pipe open as long as it runs: it is read, and thrown away.
    fn follow(mut reader: io::PipeReader, shared: Shared) -> Receiver<()> {
        *lock(&shared) = Some(Self::default());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let _at_end = sender;
            let mut buffer = [0; 8192];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => {
                        if let Some(tail) = &mut *lock(&shared) {
                            tail.push(&buffer[..count]);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        receiver
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * OUTPUT_KEPT {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let mut excess = self.bytes.len().saturating_sub(OUTPUT_KEPT);
        // Not in the middle of a character.
        while excess > 0 && self.bytes.get(excess).is_some_and(|byte| byte & 0xC0 == 0x80) {
            excess += 1;
        }
        self.bytes.drain(..excess);
        self.cut += excess;
    }

    /// The text, with a mark in front if something was cut off, and how much that was.
    fn take(shared: &Shared) -> (String, usize) {
        let Some(mut tail) = lock(shared).take() else { return (String::new(), 0) };
        tail.shorten();
        let text = String::from_utf8_lossy(&tail.bytes);
        match tail.cut {
            0 => (text.into_owned(), 0),
            cut => (format!("[{cut} bytes before this were cut off]\n{text}"), cut),
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Option<Tail>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a step has ended.
#[derive(Debug)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal, which the station has not sent.
    Signal(i32),
    /// It had not ended after this time.
    TimedOut(Duration),
    /// The station was stopped.
    Stopped,
    /// There is no such program.
    NotFound(String),
    /// The system does not start the program.
    NotStarted(io::Error),
    /// Nothing was started: the station does not know this variable's value.
    NoValue(String),
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut(time) => write!(f, "ended after {time:?}"),
            Self::Stopped => f.write_str("stopped with the station"),
            Self::NotFound(program) => write!(f, "no program {program}"),
            Self::NotStarted(error) => write!(f, "not started: {error}"),
            Self::NoValue(name) => write!(f, "not run: {{{name}}} is not known"),
        }
    }
}

impl End {
    fn of(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        Self::Code(status.code().unwrap_or(-1))
    }
}

/// A step that was run, for what is kept of an attempt.
#[derive(Debug)]
pub struct Ran {
    /// When.
    pub moment: Moment,
    /// Its command with the values of the variables, as a shell would take it.
    pub command: String,
    /// How it has ended.
    pub end: End,
    /// How long it took.
    pub duration: Duration,
    /// What it has printed on standard output and standard error, in its order. If there was too much, the last
    /// [`OUTPUT_KEPT`] bytes behind a line that says how much was cut off.
    pub output: String,
    /// Bytes that were cut off.
    pub cut: usize,
}

impl Ran {
    /// The last line that is not empty, without characters that control a terminal; 200 characters of it.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let printable = |line: &str| {
            let line: String = line.chars().filter(|c| !c.is_control()).collect();
            String::from(line.trim())
        };
        // A progress bar writes over its line.
        let mut lines = self.output.rsplit(['\n', '\r']).map(printable);
        let mut line = lines.find(|line| !line.is_empty())?;
        if let Some((end, _)) = line.char_indices().nth(200) {
            line.truncate(end);
            line.push('…');
        }
        Some(line)
    }

    fn complain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, command, end, .. } = self;
        write!(f, "the step {moment}, `{command}`, ")?;
        match end {
            End::Code(code) => write!(f, "ended with exit code {code}. ")?,
            End::Signal(signal) => write!(f, "was ended by signal {signal}. ")?,
            End::TimedOut(time) => {
                write!(
                    f,
                    "took longer than {time:?} and was ended. If it needs longer, raise its time-out. "
                )?;
            }
            End::Stopped => f.write_str("was not completed, since the station was stopped. ")?,
            End::NotFound(program) => write!(
                f,
                "was not run: there is no program {program}. Check its name, or give its whole path. "
            )?,
            End::NotStarted(error) => write!(f, "could not be run ({error}). ")?,
            End::NoValue(name) => {
                write!(f, "was not run: the station does not know {{{name}}} here. ")?;
            }
        }
        f.write_str(match moment {
            Moment::Before => "Nothing was entered: put that right and start the part again.",
            Moment::OnPass => {
                "The part is in the ledger all the same: put that right, and do by hand what the step does."
            }
            Moment::OnFail => "The part is not in the ledger: put that right before the next part.",
        })?;
        match self.last_line() {
            Some(line) => write!(f, " The last line of the step: {line}"),
            None => Ok(()),
        }
    }
}

/// A step that has not ended with exit code 0.
#[derive(Debug)]
pub struct StepError(pub Box<Ran>);

impl Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.complain(f)
    }
}

impl std::error::Error for StepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.end {
            End::NotStarted(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a text is not the command of a step.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// It has no program.
    #[error("the command of the step is empty. Write the program and its arguments.")]
    Empty,
    /// A quote has no end.
    #[error(
        "a quote in the command {0} is not closed. Close it, or write \\ before a quote that stands for itself."
    )]
    Quote(String),
    /// A brace has no partner, or no name is between them.
    #[error(
        "the braces in {0} are not around a variable, as in {{port}}. Write {{{{ and }}}} for braces that stand for \
         themselves."
    )]
    Brace(String),
    /// There is no such variable.
    #[error("the step {moment} has no variable {{{name}}}. It has: {known}.")]
    Variable {
        /// The name.
        name: String,
        /// When the step is run.
        moment: Moment,
        /// The names of those that it has.
        known: String,
    },
}
