// SPDX-License-Identifier: Apache-2.0

//! The station's page in a real browser.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{NotHere, Project, hub};

/// Where .ci/run puts the rules of accessibility.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

/// Drives Chromium. With `STATION_PICTURES` in the environment the pictures in `docs/` are made anew.
pub fn run(project: &Project) -> Result<()> {
    let axe = env::var_os("AXE_CORE").map_or_else(|| project.root.join(AXE), PathBuf::from);
    let mut missing: Vec<_> = ["chromium", "chromedriver"]
        .into_iter()
        .filter(|program| which::which(program).is_err())
        .collect();
    if !axe.is_file() {
        missing.push("axe-core");
    }
    if !missing.is_empty() {
        let why = format!("these are missing: {}; .ci/run installs them", missing.join(", "));
        return Err(NotHere(why).into());
    }
    let tests = if hub::has_server() {
        "page_browser*"
    } else {
        println!(
            "not run here: the page of a hub, since the PostgreSQL server is missing (Debian: the package postgresql)"
        );
        "page_browser"
    };
    let tests = format!("test -p station --locked --test {tests} -- --ignored --test-threads=2");
    let tests = project.cargo(&tests).env("AXE_CORE", axe);
    let done = tests.stdout_capture().unchecked().run()?;
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    ensure!(done.status.success(), "cargo test: {}", done.status);
    ensure!(!said.contains(" 0 passed"), "no test was run");
    Ok(())
}
