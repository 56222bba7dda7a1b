// SPDX-License-Identifier: Apache-2.0

//! `ports`: the serial ports of the machine.

use std::io::{self, Write};

use station::port::list::{Listed, list};

use super::{Error, printable, say};
use crate::json;

/// Carries the command out. That there is no port is an answer like any other.
pub fn run(json: bool) -> Result<bool, Error> {
    let ports = list()?;
    let mut out = io::stdout().lock();
    if ports.is_empty() {
        say("There is no serial port. Connect the kit or the adapter, and switch the fixture on.");
    }
    for port in &ports {
        if json {
            writeln!(out, "{}", json::port(port))?;
        } else {
            print(port, &mut out)?;
        }
    }
    Ok(true)
}

fn print(port: &Listed, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}", port.name)?;
    if let Some(usb) = &port.usb {
        // Any adapter can say anything.
        for text in [&usb.manufacturer, &usb.product].into_iter().flatten() {
            write!(out, "  {}", printable(text))?;
        }
        write!(out, "  USB {:04x}:{:04x}", usb.vid, usb.pid)?;
        match &usb.serial_number {
            Some(number) => write!(out, "  serial number {}", printable(number))?,
            None => write!(out, "  without a serial number")?,
        }
    }
    writeln!(out)?;
    let argument = port.argument();
    writeln!(out, "    --port {}", argument.display())?;
    for link in port.links.iter().filter(|link| *link != argument) {
        writeln!(out, "    also   {}", link.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serialport::UsbPortInfo;

    use super::*;

    fn printed(port: &Listed) -> String {
        let mut out = Vec::new();
        print(port, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_port_is_shown_with_what_to_give_as_port() {
        let bare = Listed { name: String::from("/dev/ttyS0"), links: vec![], usb: None };
        assert_eq!(printed(&bare), "/dev/ttyS0\n    --port /dev/ttyS0\n");

        let usb = UsbPortInfo {
            vid: 0x1366,
            pid: 0x0105,
            serial_number: Some(String::from("0010\x1b[2J")),
            manufacturer: Some(String::from("SEGGER")),
            product: Some(String::from("J-Link")),
        };
        let links = ["/dev/serial/by-id/usb-A-if00", "/dev/serial/by-path/pci-1"];
        let kit = Listed {
            name: String::from("/dev/ttyACM0"),
            links: links.map(Into::into).to_vec(),
            usb: Some(usb),
        };
        assert_eq!(
            printed(&kit),
            "/dev/ttyACM0  SEGGER  J-Link  USB 1366:0105  serial number 0010?[2J\n    \
             --port /dev/serial/by-id/usb-A-if00\n    \
             also   /dev/serial/by-path/pci-1\n"
        );

        let usb = kit.usb.map(|usb| UsbPortInfo { serial_number: None, product: None, ..usb });
        let nameless = Listed { usb, ..kit };
        assert_eq!(
            printed(&nameless),
            "/dev/ttyACM0  SEGGER  USB 1366:0105  without a serial number\n    \
             --port /dev/serial/by-path/pci-1\n    \
             also   /dev/serial/by-id/usb-A-if00\n"
        );
    }
}
