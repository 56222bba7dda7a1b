// SPDX-License-Identifier: Apache-2.0

//! The names of ports: what an operator types, and the name by which a port is found again.
//!
//! A USB adapter that was unplugged, or whose fixture was switched off, may be `/dev/ttyACM3` afterwards instead of
//! `/dev/ttyACM0`. Linux keeps links to it that say which adapter it is (`/dev/serial/by-id`) or where it is plugged
//! in (`/dev/serial/by-path`), so a port is opened by such a link where there is one.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::list::link_to;
use super::{OpenError, READ_TIME, SerialPort};

/// Where Linux (udev) keeps links to serial ports that stay the same: by adapter and its serial number, and by the
/// USB socket that it is in. The first is preferred.
pub const LINK_FOLDERS: [&str; 2] = ["/dev/serial/by-id", "/dev/serial/by-path"];

/// How long a port that is back may be in use or not permitted before [`PortName::reopen`] gives up. A new port is
/// not yet this account's until udev has set its group, and some systems have a program that tries each new port as
/// a modem.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What opens a port, again and again.
///
/// Ports of one [`resolve`] know each other: none opens a device that another of them has open.
#[derive(Clone, Debug)]
pub struct PortName {
    shown: String,
    argument: usize,
    /// The link that was found for a name that is none itself.
    link: OnceLock<PathBuf>,
    folders: Arc<[PathBuf]>,
    open: Open,
}

/// The ports for these names: paths, `COM` names, or patterns of paths (`*`, `?` and `[...]` as a shell has them).
///
/// A pattern stands for all that it matches, in alphabetical order, except folders. A name that is no pattern need
/// not be there yet.
///
/// # Errors
/// A pattern matches nothing or is none, or two names are the same port.
pub fn resolve(names: &[impl AsRef<str>]) -> Result<Vec<PortName>, NameError> {
    resolve_by(names, &LINK_FOLDERS)
}

/// As [`resolve`], with other folders of links than [`LINK_FOLDERS`].
///
/// # Errors
/// As [`resolve`].
pub fn resolve_by(
    names: &[impl AsRef<str>],
    folders: &[impl AsRef<Path>],
) -> Result<Vec<PortName>, NameError> {
    let folders: Arc<[PathBuf]> = folders.iter().map(|folder| folder.as_ref().into()).collect();
    let open = Open::default();
    let mut ports: Vec<PortName> = Vec::new();
    let mut seen: HashMap<Device, String> = HashMap::new();
    for (argument, name) in names.iter().enumerate() {
        for shown in expand(name.as_ref())? {
            if let Some(first) = seen.insert(Device::of(Path::new(&shown)), shown.clone()) {
                return Err(NameError::Twice { first, second: shown });
            }
            let (folders, open) = (Arc::clone(&folders), open.clone());
            let port = PortName { shown, argument, link: OnceLock::new(), folders, open };
            port.find_link();
            ports.push(port);
        }
    }
    Ok(ports)
}

/// What a name stands for.
fn expand(name: &str) -> Result<Vec<String>, NameError> {
    let is_pattern = name.contains(['*', '?', '[']) && fs::symlink_metadata(name).is_err();
    if !is_pattern {
        return Ok(vec![String::from(name)]);
    }
    let pattern = || String::from(name);
    let found = glob::glob(name)
        .map_err(|error| NameError::Pattern { pattern: pattern(), error })?
        .filter(|found| !found.as_ref().is_ok_and(|path| path.is_dir()))
        .map(|found| found.map(|path| path.to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| NameError::Unreadable { pattern: pattern(), error })?;
    if found.is_empty() { Err(NameError::NoMatch(pattern())) } else { Ok(found) }
}

impl PortName {
    /// The name as it was typed, or as a pattern has matched it. It stays the same, and the ledger keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Which of the names that [`resolve`] was given this is from, counted from 0.
    #[must_use]
    pub const fn argument(&self) -> usize {
        self.argument
    }

    /// The name by which the port is opened: the typed one, or a link to it that was found when it was there.
    #[must_use]
    pub fn stable(&self) -> &Path {
        self.link.get().map_or(Path::new(&self.shown), PathBuf::as_path)
    }

    /// Opens what the name stands for now. `baud` is its speed.
    ///
    /// A port that was lost has to be dropped before.
    ///
    /// # Errors
    /// As [`SerialPort::open`], or the name has become that of a port which another name of this [`resolve`] has open.
    pub fn open(&self, baud: u32) -> Result<SerialPort, OpenError> {
        self.find_link();
        let stable = self.stable();
        // Held while the port is opened, so that no two names do it at once.
        let mut open = self.open.lock();
        let device = Device::of(stable);
        if let Some(other) = open.get(&device) {
            let (name, other) = (self.to_string(), other.clone());
            return Err(OpenError::SamePort { name, other });
        }
        let path = stable.to_string_lossy();
        let mut port = SerialPort::open(&path, baud).map_err(|error| error.of(self.to_string()))?;
        open.insert(device.clone(), self.to_string());
        port.claim = Some(Claim { open: self.open.clone(), device });
        Ok(port)
    }

    /// Opens a port that was lost as soon as it is there again; `None` if `stop` was true before, which ends the wait
    /// within 100 ms.
    ///
    /// # Errors
    /// The port is there, and could not be opened for as long as `patience`, which usually is [`PATIENCE`].
    pub fn reopen(
        &self,
        baud: u32,
        patience: Duration,
        stop: impl Fn() -> bool,
    ) -> Result<Option<SerialPort>, OpenError> {
        let mut there_since = None;
        while !stop() {
            match self.open(baud) {
                Ok(port) => return Ok(Some(port)),
                Err(error) if error.is_gone() => there_since = None,
                Err(error) => {
                    let since: &mut Instant = there_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
                        return Err(error);
                    }
                }
            }
            thread::sleep(READ_TIME);
        }
        Ok(None)
    }

    /// Looks for a link to the port, if it is there and its name is no link.
    fn find_link(&self) {
        let is_device = fs::symlink_metadata(&self.shown).is_ok_and(|meta| !meta.is_symlink());
        if self.link.get().is_none()
            && is_device
            && let Some(link) = link_to(Path::new(&self.shown), &self.folders)
        {
            // Another thread can only have found the same.
            let _ = self.link.set(link);
        }
    }
}

impl fmt::Display for PortName {
    /// The name as it was typed, and the one by which the port is opened if that is another one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link.get() {
            Some(link) => write!(f, "{} ({})", self.shown, link.display()),
            None => f.write_str(&self.shown),
        }
    }
}

/// The links to a port in these folders: those of the first folder first, in alphabetical order.
pub(super) fn links_to(port: &Path, folders: &[impl AsRef<Path>]) -> Vec<PathBuf> {
    let device = Device::of(port);
    let mut all = Vec::new();
    for folder in folders {
        // Without udev, or without a port, there is no such folder.
        let found = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut links: Vec<_> =
            found.map(|entry| entry.path()).filter(|link| Device::of(link) == device).collect();
        links.sort();
        all.append(&mut links);
    }
    all
}

/// What a name stands for now. Two names of one port have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Device {
    /// The number that the kernel has for it.
    #[cfg(all(unix, not(target_os = "macos")))]
    Number(u64),
    /// Its path, without links.
    Name(String),
}

impl Device {
    pub(super) fn of(name: &Path) -> Self {
        // Not the path alone: a container may have a port under two paths, none of them a link.
        #[cfg(all(unix, not(target_os = "macos")))]
        {
            use std::os::unix::fs::{FileTypeExt, MetadataExt};
            if let Ok(meta) = fs::metadata(name)
                && meta.file_type().is_char_device()
            {
                return Self::Number(meta.rdev());
            }
        }
        let path = fs::canonicalize(name).or_else(|_| path::absolute(name));
        let name = path.as_deref().unwrap_or(name).to_string_lossy();
        Self::Name(one_name(&name))
    }
}

/// One name for a port that the system itself gives two: macOS has `cu` and `tty`, and Windows does not distinguish
/// `COM3`, `com3` and `\\.\COM3`.
fn one_name(name: &str) -> String {
    if let Some(port) = name.strip_prefix("/dev/tty.") {
        return format!("/dev/cu.{port}");
    }
    let port = name.rsplit('\\').next().unwrap_or(name).to_ascii_uppercase();
    match port.strip_prefix("COM") {
        Some(number) if number.parse::<u32>().is_ok() => port,
        _ => String::from(name),
    }
}

/// Which devices the ports of one [`resolve`] have open, and under which names.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<HashMap<Device, String>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<Device, String>> {
        // A map is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a port is open. It is not any more when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    open: Open,
    device: Device,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.open.lock().remove(&self.device);
    }
}

/// Why names are not those of ports.
#[derive(Debug, Error)]
pub enum NameError {
    /// Nothing has such a name.
    #[error(
        "no port has a name like {0}. Connect the adapter and switch the fixture on; station ports lists the \
         ports that are there."
    )]
    NoMatch(String),
    /// It is not a pattern.
    #[error(
        "{pattern} is not a pattern for ports ({}). Write * for any characters, ? for one, [12] for one of these.",
        error.msg
    )]
    Pattern {
        /// What was typed.
        pattern: String,
        /// What is wrong with it.
        #[source]
        error: glob::PatternError,
    },
    /// The folder cannot be read.
    #[error("the ports like {pattern} cannot be listed ({error}). Name them one by one.")]
    Unreadable {
        /// What was typed.
        pattern: String,
        /// What went wrong.
        #[source]
        error: glob::GlobError,
    },
    /// Two names are one port.
    #[error("{}", twice(first, second))]
    Twice {
        /// The name that came first.
        first: String,
        /// The other one.
        second: String,
    },
}

fn twice(first: &str, second: &str) -> String {
    if first == second {
        format!("the port {first} is named twice. Name it once.")
    } else {
        format!("{first} and {second} are the same port. Leave one of them out.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_system_gives_one_port_are_one() {
        for (a, b) in [
            ("/dev/tty.usbmodem1", "/dev/cu.usbmodem1"),
            ("COM3", "com3"),
            (r"\\.\COM12", "COM12"),
            (r"C:\line\com3", "COM3"), // as std::path::absolute writes it
        ] {
            assert_eq!(one_name(a), one_name(b));
        }
        for (a, b) in [
            ("COM3", "COM13"),
            ("/dev/cu.usbmodem1", "/dev/cu.usbmodem2"),
            ("/dev/COMMAND", "/dev/command"),
        ] {
            assert_ne!(one_name(a), one_name(b));
        }
    }
}
