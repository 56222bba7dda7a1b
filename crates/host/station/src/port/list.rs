// SPDX-License-Identifier: Apache-2.0

//! Which serial ports the machine has.

use std::path::{Path, PathBuf};

use serialport::{SerialPortInfo, SerialPortType, UsbPortInfo};

use super::names::{Device, LINK_FOLDERS, links_to};

/// A serial port of the machine.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name for now, such as `/dev/ttyACM0`.
    pub name: String,
    /// Links to it that stay the same, those by adapter (`/dev/serial/by-id`) before those by socket
    /// (`/dev/serial/by-path`).
    pub links: Vec<PathBuf>,
    /// What its USB adapter says of itself, if it is one.
    pub usb: Option<UsbPortInfo>,
}

/// The serial ports of the machine, by name.
///
/// # Errors
/// The system does not tell.
pub fn list() -> Result<Vec<Listed>, serialport::Error> {
    // The crate takes it for granted; some containers do not have it.
    if cfg!(target_os = "linux") && !Path::new("/sys/class/tty").exists() {
        return Ok(Vec::new());
    }
    let ports = serialport::available_ports()?;
    let ports = ports.into_iter().filter(|port| !is_empty_socket(&port.port_name)).collect();
    Ok(describe(ports, &LINK_FOLDERS))
}

/// Adds the links in `folders` to what the system reports, and sorts it by name.
#[must_use]
pub fn describe(ports: Vec<SerialPortInfo>, folders: &[impl AsRef<Path>]) -> Vec<Listed> {
    let mut listed: Vec<_> = ports
        .into_iter()
        .map(|SerialPortInfo { port_name: name, port_type }| {
            let links = links_to(Path::new(&name), folders);
            let usb = match port_type {
                SerialPortType::UsbPort(usb) => Some(usb),
                _ => None,
            };
            Listed { name, links, usb }
        })
        .collect();
    // ttyACM10 stands behind ttyACM9.
    listed.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    listed
}

/// Whether Linux has a name for a port of the mainboard that is not there: it reserves `/dev/ttyS0` to `ttyS3` or
/// more, with the type `PORT_UNKNOWN` (0 in the kernel's `serial_core.h`).
fn is_empty_socket(name: &str) -> bool {
    let Some(file) = Path::new(name).file_name() else { return false };
    let kind = Path::new("/sys/class/tty").join(file).join("type");
    std::fs::read_to_string(kind).is_ok_and(|kind| kind.trim() == "0")
}

impl Listed {
    /// What to give as `--port`, so that the port is found again when it comes back under another name.
    #[must_use]
    pub fn argument(&self) -> &Path {
        preferred(&self.links, self.usb.as_ref()).unwrap_or(Path::new(&self.name))
    }
}

/// The link to a port by which it is found again.
fn preferred<'a>(links: &'a [PathBuf], usb: Option<&UsbPortInfo>) -> Option<&'a Path> {
    // Adapters without a serial number have one link by ID between them, which leads to any of them.
    let is_nameless = usb.is_some_and(|usb| usb.serial_number.is_none());
    let is_by_path = |link: &&PathBuf| link.parent().is_some_and(|it| it.ends_with("by-path"));
    let by_path = links.iter().find(is_by_path).filter(|_| is_nameless);
    by_path.or(links.first()).map(PathBuf::as_path)
}

/// The link in `folders` by which a port that is there now is found again.
pub(super) fn link_to(port: &Path, folders: &[impl AsRef<Path>]) -> Option<PathBuf> {
    let links = links_to(port, folders);
    if links.is_empty() {
        return None;
    }
    let device = Device::of(port);
    let listed = list().unwrap_or_default();
    let usb = listed.into_iter().find(|it| Device::of(Path::new(&it.name)) == device);
    preferred(&links, usb.and_then(|it| it.usb).as_ref()).map(Path::to_path_buf)
}
