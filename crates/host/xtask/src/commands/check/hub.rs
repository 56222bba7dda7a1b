// SPDX-License-Identifier: Apache-2.0

//! Runs the tests of the hub. They start PostgreSQL servers in folders of their own, cut them off, kill them, and fill
//! their disk.

use std::path::Path;

use anyhow::Result;
use duct::cmd;

use super::{NotHere, Project};

/// The test that mounts a small disk.
const FULL_DISK: &str = "a_disk_that_fills_up_in_mid_batch_loses_nothing";

pub fn run(project: &Project) -> Result<()> {
    if !has_server() {
        let why = "the PostgreSQL server is missing (Debian: the package postgresql); .ci/run installs it";
        return Err(NotHere(String::from(why)).into());
    }
    let mut arguments = String::from("test --locked -p station --test hub* -- --ignored");
    if !can_mount()? {
        println!("not run here: {FULL_DISK}, since only root can mount a small disk");
        arguments = format!("{arguments} --skip {FULL_DISK}");
    }
    project.cargo(&arguments).run()?;
    Ok(())
}

/// Whether there are the programs that make and run a server, where Debian has them or on the path.
pub(super) fn has_server() -> bool {
    let is_debian = glob::glob("/usr/lib/postgresql/*/bin/initdb")
        .is_ok_and(|mut found| found.any(|found| found.is_ok()));
    is_debian || which::which("initdb").is_ok()
}

/// Whether a file system in memory can be mounted.
fn can_mount() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let folder: &Path = folder.path();
    let mount = cmd!("mount", "-t", "tmpfs", "-o", "size=1m", "none", folder);
    let mounted = mount.stderr_null().unchecked().run().is_ok_and(|done| done.status.success());
    if mounted {
        cmd!("umount", folder).run()?;
    }
    Ok(mounted)
}
