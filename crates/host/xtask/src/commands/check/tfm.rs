// SPDX-License-Identifier: Apache-2.0

//! TF-M on parts that real images have provisioned: the image leaves a part in a device file, the line closes its
//! debug ports, and TF-M starts on it. A verifier that is not this project's takes the token, by the record. What NSIB
//! needs in OTP is programmed before the image, after it, or not at all.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use provisioning::Event;
use xtask::elf::Elf;

use super::{NotHere, Project, read};

/// A part, and the scenarios of Twister that are built for it.
struct Part {
    image: &'static str,
    tfm: &'static str,
    /// Where OTP begins: product specification, chapter "UICR".
    otp: &'static str,
    /// Where UICR has SECUREAPPROTECT: MDK, `NRF_UICR_Type`.
    secure_approtect: usize,
}

const PARTS: [Part; 2] = [
    Part {
        image: "sample.tfm.provisioning_image.native_sim",
        tfm: "tfm.native_sim.nrf5340",
        otp: "0xff8100",
        secure_approtect: 0x1C,
    },
    Part {
        image: "sample.tfm.provisioning_image.native_sim.nrf9160",
        tfm: "tfm.native_sim.nrf9160",
        otp: "0xff8108",
        secure_approtect: 0x2C,
    },
];

/// When the line programs what NSIB needs in OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nsib {
    Never,
    BeforeTheImage,
    AfterTheImage,
}

pub fn run(project: &Project) -> Result<()> {
    for (scenario, otp) in LINKED {
        linked(project, scenario, otp)?;
    }
    on_device_files(project)
}

/// The scenarios in which the SDK links TF-M for a part, and where its OTP begins.
const LINKED: [(&str, u32); 2] =
    [("tfm.linked.nrf5340", 0x00FF_8100), ("tfm.linked.nrf9160", 0x00FF_8108)];

/// The TF-M that an SDK links for a part uses lifecycle state and implementation ID where this project writes them, and
/// nothing else in OTP.
fn linked(project: &Project, scenario: &str, otp: u32) -> Result<()> {
    let pattern = format!("twister-out/*/**/{scenario}/**/bin/tfm_s.elf");
    let file = project.files(&pattern)?.into_iter().next();
    let file = file.ok_or_else(|| NotHere(format!("Twister has not left {scenario}")))?;
    let data = read(&file)?;
    // To the key slots.
    let words = Elf::parse(&data)?.words(otp & !0xFF..0x00FF_8400);
    // The lifecycle state's halfwords, of which the third is padding, and the implementation ID.
    let wanted = [otp, otp + 2, otp + 6, otp + 8].into();
    ensure!(words == wanted, "{}: OTP words {words:#x?}, not {wanted:#x?}", file.display());
    println!("{scenario}: OTP begins at {otp:#010x}");
    Ok(())
}

fn on_device_files(project: &Project) -> Result<()> {
    let python = project.python("verifier-venv", "cbor2, cryptography, ecdsa, intelhex, pycose")?;
    let workspace = project.workspaces.first().context("a workspace")?;
    let provision = workspace.folder.join("nrf/scripts/bootloader/provision.py");
    for Part { image, tfm, otp, secure_approtect } in PARTS {
        let (image, tfm) = (program(project, image)?, program(project, tfm)?);
        for nsib in [Nsib::Never, Nsib::BeforeTheImage, Nsib::AfterTheImage] {
            let folder = tempfile::tempdir()?;
            let part = folder.path().join("part.uicr");
            let start = |program: &Path, seed: &str| {
                let options = [format!("--device={}", part.display()), format!("--seed={seed}")];
                let command = duct::cmd(program, options.into_iter().chain(["-stop_at=1".into()]));
                // A refusal is an output, too.
                command.stdin_null().stderr_to_stdout().unchecked().read()
            };
            let program_nsib = || {
                let script = project.verifier("nsib_provision.py");
                duct::cmd!(&python, script, &provision, &part, otp).read()
            };
            let mut stored = String::from("bl_storage: nothing");
            if nsib == Nsib::BeforeTheImage {
                fs::write(&part, [0xFF; 4096])?;
                stored = program_nsib()?;
            }
            let provisioned = start(&image, "815")?;
            ensure!(provisioned.contains(Event::Success.message()), "{nsib:?}: {provisioned}");
            let console = folder.path().join("console");
            fs::write(&console, provisioned)?;
            if nsib == Nsib::AfterTheImage {
                stored = program_nsib()?;
            }

            // APPROTECT and SECUREAPPROTECT.
            let mut page = read(&part)?;
            for register in [0, secure_approtect] {
                page.get_mut(register..register + 4).context("a page of UICR")?.fill(0);
            }
            fs::write(&part, page)?;
            let attested = start(&tfm, "816")?;
            for line in stored.lines() {
                ensure!(attested.lines().any(|seen| seen == line), "no \"{line}\" in {attested}");
            }
            let verifier = project.verifier("tfm_token.py");
            duct::cmd!(&python, verifier, &console).stdin_bytes(attested).run()?;

            let refused = start(&image, "817")?;
            ensure!(refused.contains("the PSA lifecycle state is SECURED"), "{refused}");
        }
    }
    Ok(())
}

/// What Twister has built of a scenario for `native_sim`, wherever in its folder for the board.
fn program(project: &Project, scenario: &str) -> Result<std::path::PathBuf> {
    let pattern = format!("twister-out/native_sim_native_64/**/{scenario}/zephyr/zephyr.exe");
    let found = project.files(&pattern)?.into_iter().next();
    found.ok_or_else(|| NotHere(format!("Twister has not left {scenario}")).into())
}
