// SPDX-License-Identifier: Apache-2.0

//! The table of docs/board.rst against what the modelled part has said in QEMU.

use anyhow::{Context, Result, ensure};
use xtask::silicon::Report;

use super::{NotHere, Project, read};

pub fn run(project: &Project) -> Result<()> {
    let pattern = "twister-out/mps2_an521_cpu0/**/silicon.mps2.nrf5340/handler.log";
    let log = project.files(pattern)?.into_iter().next();
    let log =
        log.ok_or_else(|| NotHere(String::from("Twister has left no log of tests/silicon")))?;
    let report = Report::read(&String::from_utf8_lossy(&read(&log)?))?.to_string();
    // Its title names the SDK, and what cuts leave differs a little from one to the other.
    let (_, table) = report.split_once('\n').context("a table")?;
    let (table, _) = table.split_once("\nChecks: ").context("a table")?;
    let page = read(&project.root.join("docs/board.rst"))?;
    ensure!(
        String::from_utf8_lossy(&page).contains(table),
        "docs/board.rst has another table than: cargo xtask silicon-report {}",
        log.display()
    );
    Ok(())
}
