// SPDX-License-Identifier: Apache-2.0

//! TF-M on parts that real images have provisioned: the image leaves a part in a device file, the line closes its
//! debug ports, and TF-M starts on it. A verifier that is not this project's takes the token, by the record.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use provisioning::Event;

use super::{NotHere, Project, read};

/// For each part: the scenario of the image, that of TF-M, and where UICR has SECUREAPPROTECT (MDK,
/// `NRF_UICR_Type`). APPROTECT is the first word.
const PARTS: [(&str, &str, usize); 2] = [
    ("sample.tfm.provisioning_image.native_sim", "tfm.native_sim.nrf5340", 0x1C),
    ("sample.tfm.provisioning_image.native_sim.nrf9160", "tfm.native_sim.nrf9160", 0x2C),
];

pub fn run(project: &Project) -> Result<()> {
    let python = project.python("verifier-venv", "cbor2, pycose")?;
    for (image, tfm, secure_approtect) in PARTS {
        let (image, tfm) = (program(project, image)?, program(project, tfm)?);
        let folder = tempfile::tempdir()?;
        let (part, console) = (folder.path().join("part.uicr"), folder.path().join("console"));
        let start = |program: &Path, seed: &str| {
            let options = [format!("--device={}", part.display()), format!("--seed={seed}")];
            let command = duct::cmd(program, options.into_iter().chain(["-stop_at=5".into()]));
            // A refusal is an output, too.
            command.stdin_null().stderr_to_stdout().unchecked().read()
        };
        let provisioned = start(&image, "815")?;
        ensure!(provisioned.contains(Event::Success.message()), "{provisioned}");
        fs::write(&console, provisioned)?;

        let mut page = read(&part)?;
        for register in [0, secure_approtect] {
            page.get_mut(register..register + 4).context("a page of UICR")?.fill(0);
        }
        fs::write(&part, page)?;
        let attested = start(&tfm, "816")?;
        let verifier = project.verifier("tfm_token.py");
        duct::cmd!(&python, verifier, &console).stdin_bytes(attested).run()?;

        let refused = start(&image, "817")?;
        ensure!(refused.contains("the PSA lifecycle state is SECURED"), "{refused}");
    }
    Ok(())
}

/// What Twister has built of a scenario for `native_sim`, wherever in its folder for the board.
fn program(project: &Project, scenario: &str) -> Result<std::path::PathBuf> {
    let pattern = format!("twister-out/native_sim_native_64/**/{scenario}/zephyr/zephyr.exe");
    let found = project.files(&pattern)?.into_iter().next();
    found.ok_or_else(|| NotHere(format!("Twister has not left {scenario}")).into())
}
