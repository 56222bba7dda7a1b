// SPDX-License-Identifier: Apache-2.0

//! Twister, in each workspace.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result, ensure};
use xtask::build::Environment;
use xtask::twister::{Report, Summary};
use xtask::workspace::Workspace;

use super::zephyr::{environment, environment_of};
use super::{NotHere, Project, read, tfm, whole};

/// Where Twister leaves what it builds with the first workspace.
const OUT: &str = "twister-out";

/// One kit, the image on `native_sim`, the comparison of the drivers for one part, TF-M on it and on a part with a seed,
/// and the assumptions about it. A workspace may have the sources for one of both kinds of TF-M only.
const SHORT: [&str; 8] = [
    "--platform=nrf5340dk/nrf5340/cpuapp",
    "--platform=native_sim/native/64",
    "--scenario=sample.tfm.provisioning_image",
    "--scenario=sample.tfm.provisioning_image.native_sim",
    "--scenario=keys.differential.native_sim.nrf5340",
    "--scenario=tfm.native_sim.nrf5340",
    "--scenario=tfm.native_sim.nrf54l15",
    "--scenario=silicon.native_sim.nrf5340",
];
/// Where there is no SDK: the stand-in drivers, on both boards.
const SHORT_WITHOUT_SDK: [&str; 2] = [
    "--scenario=sample.tfm.provisioning_image.native_sim.stand_in",
    "--scenario=sample.tfm.provisioning_image.mps2.stand_in",
];

/// All scenarios, in the first workspace.
pub fn full(project: &Project) -> Result<()> {
    let environment = environment(project)?;
    run(project, &environment, &project.root, OUT, &[])?;
    Ok(())
}

/// The short list, in each workspace but the first; and what all of them have shown.
pub fn other_workspaces(project: &Project) -> Result<()> {
    let Some((first, others)) =
        project.workspaces.split_first().filter(|(_, rest)| !rest.is_empty())
    else {
        return Err(NotHere(String::from(
            "there is one workspace: name others by --workspace, PROVISIONING_WORKSPACES or .workspaces",
        ))
        .into());
    };
    let mut rows = Vec::new();
    if let Ok(report) = project.twister("twister.json") {
        rows.push((first.version()?, "all", Report::read(&read(&report)?)?.summary()));
    }
    let mut failed = Vec::new();
    for (number, workspace) in (2..).zip(others) {
        let version = workspace.version()?;
        println!("-- {version}: {}", workspace.folder.display());
        let list = if workspace.has_sdk() { &SHORT[..] } else { &SHORT_WITHOUT_SDK };
        let environment = environment_of(project, workspace)?;
        match run(project, &environment, &workspace.folder, &format!("{OUT}-{number}"), list) {
            Ok(report) => {
                print_left_out(workspace, list, &report);
                rows.push((version, "short", report.summary()));
            }
            Err(error) => failed.push(format!("{version}: {}", whole(&error))),
        }
    }
    println!(
        "\n{:28} {:6} {:12} {:10} {:8} {:17} {:8} assumptions",
        "", "list", "kits linked", "native_sim", "QEMU", "drivers compared", "TF-M"
    );
    for (version, list, Summary { kits, native_sim, qemu, differential, tfm, silicon }) in rows {
        let row = format!(
            "{version:28} {list:6} {kits:12} {native_sim:10} {qemu:8} {differential:17} {tfm:8} {silicon}"
        );
        println!("{}", row.trim_end());
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// Names the scenarios of `list` that Twister has left out, and why.
fn print_left_out(workspace: &Workspace, list: &[&str], report: &Report) {
    let scenarios = list.iter().filter_map(|argument| argument.strip_prefix("--scenario="));
    for scenario in scenarios.filter(|scenario| !report.has_tried(scenario)) {
        let why = tfm::why_not_built(workspace, scenario).unwrap_or("Twister's filters say so");
        println!("left out: {scenario}, since {why}");
    }
}

/// Runs Twister in `folder`, and gives its report; an error if anything has failed, or nothing was tried.
fn run(
    project: &Project,
    environment: &Environment,
    folder: &Path,
    out: &str,
    list: &[&str],
) -> Result<Report> {
    let out = project.root.join(out);
    let mut arguments = ["twister", "--clobber-output", "-T"].map(String::from).to_vec();
    arguments.extend([
        project.root.display().to_string(),
        String::from("-O"),
        out.display().to_string(),
    ]);
    arguments.extend(list.iter().copied().map(String::from));
    let west = environment.command("west", arguments);
    let status = west.dir(folder).stdin_null().unchecked().run()?.status;
    let report = read(&out.join("twister.json")).with_context(|| format!("Twister: {status}"))?;
    let report = Report::read(&report)?;
    for suite in report.failed() {
        println!("failed: {suite}");
    }
    let (ran, built) = report.ran_and_built();
    println!("Twister: {ran} run, {built} built only (no board is attached)");
    forget_rust(&out).with_context(|| out.display().to_string())?;
    ensure!(ran > 0, "Twister ran nothing");
    ensure!(status.success(), "Twister: {status}");
    Ok(report)
}

/// Removes cargo's folder from each build: nearly all of its gigabyte, which nothing needs once the image is linked.
fn forget_rust(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if path.ends_with("rust/target") {
            fs::remove_dir_all(path)?;
        } else {
            forget_rust(&path)?;
        }
    }
    Ok(())
}
