// SPDX-License-Identifier: Apache-2.0

//! The station's checkpoints against an implementation of signed notes that is not this project's: Go's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{NotHere, Project};

/// Where Debian puts the sources of Go's packages.
const DEBIAN: &str = "/usr/share/gocode";
/// The package, below `src`.
const PACKAGE: &str = "golang.org/x/mod/sumdb/note";

pub fn run(project: &Project) -> Result<()> {
    let gopath = gopath()?;
    let station = project.program("station")?;
    let folder = tempfile::tempdir()?;
    let station = |arguments: &str| -> Result<String> {
        Ok(duct::cmd(&station, arguments.split(' ')).dir(folder.path()).read()?)
    };
    let begun: serde_json::Value = serde_json::from_str(&station("init --json")?)?;
    let vkey = begun["vkey"].as_str().context("a verifier key")?;
    station("provision --simulate 3 --json --key station.key --checkpoint checkpoint")?;
    let note = folder.path().join("checkpoint");
    let open = || {
        duct::cmd!("go", "run", project.verifier("open_note.go"), vkey, &note)
            .env("GO111MODULE", "off")
            .env("GOPATH", &gopath)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()
    };
    let opened = open()?;
    let said = String::from_utf8_lossy(&opened.stderr);
    ensure!(opened.status.success(), "Go refuses a checkpoint: {said}");
    let text = fs::read_to_string(&note)?;
    let signed = text.split_inclusive("\n\n").next().unwrap_or_default().trim_end();
    ensure!(
        String::from_utf8_lossy(&opened.stdout).trim_end() == signed,
        "Go reads another text than stands in the checkpoint"
    );
    // That it looks at all.
    fs::write(&note, text.replacen("\n6\n", "\n7\n", 1))?;
    ensure!(!open()?.status.success(), "Go takes a checkpoint that was changed");
    Ok(())
}

/// The folder below which Go finds the package.
fn gopath() -> Result<String> {
    if which::which("go").is_err() {
        return Err(NotHere(String::from("Go is missing; .ci/run installs it")).into());
    }
    let own = duct::cmd!("go", "env", "GOPATH").read()?;
    [own, DEBIAN.to_owned()]
        .into_iter()
        .find(|path| Path::new(path).join("src").join(PACKAGE).is_dir())
        .ok_or_else(|| {
            NotHere(format!("Go's package {PACKAGE} is missing; .ci/run installs it")).into()
        })
}
