// SPDX-License-Identifier: Apache-2.0

//! TF-M on parts that real images have provisioned: the image leaves a part in a device file, the line closes its
//! debug ports, and TF-M starts on it. A verifier that is not this project's takes the token, by the record. What NSIB
//! needs, in OTP or in the KMU, is programmed before the image, after it, or not at all.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use provisioning::Event;
use xtask::build::BuildError;
use xtask::elf::Elf;
use xtask::workspace::Workspace;

use super::{NotHere, Project, read};

/// A part, and the scenarios of Twister that are built for it.
struct Part {
    image: &'static str,
    tfm: &'static str,
    /// What TF-M of a workspace must have to be built for it, as tests/tfm/Kconfig has it.
    needs: Needs,
    /// Bytes of its device file, all ones where it is erased.
    size: usize,
    /// The words of UICR that close its debug ports, by their offsets, and what the line writes there: MDK,
    /// `NRF_UICR_Type`.
    ports: &'static [usize],
    closed: [u8; 4],
    nsib: &'static [NsibTool],
}

/// A text in a file of the workspace, and what its absence means.
struct Needs {
    file: &'static str,
    text: &'static str,
    absent: &'static str,
}

const MBED_TLS: Needs = Needs {
    file: "modules/tee/tf-m/trusted-firmware-m/secure_fw/partitions/crypto/crypto_library.c",
    text: "mbedtls/version.h",
    absent: "the crypto partition of this TF-M is not for Mbed TLS, which takes the place of CryptoCell",
};
const SEED_KEYS: Needs = Needs {
    file: "nrf/modules/trusted-firmware-m/tfm_boards/common/nrf_provisioning.c",
    text: "CONFIG_HAS_HW_NRF_CRACEN",
    absent: "nrf_provisioning.c of this SDK knows parts with a stored identity key alone",
};

/// How the line programs what NSIB needs, or a part of it.
struct NsibTool {
    /// Programs it, with what the SDK's script makes and with this argument, and prints the lines in which tests/tfm then
    /// shows OTP.
    verifier: &'static str,
    script: &'static str,
    argument: &'static str,
    /// Where it is in the device file. Nothing after it changes that.
    bytes: Range<usize>,
}

/// In OTP, which begins at this address and offset in UICR (product specification, chapter "UICR"): addresses of slots,
/// hashes of keys, and counters, behind lifecycle state and implementation ID.
const fn nsib_in_otp(address: &'static str, bytes: Range<usize>) -> NsibTool {
    NsibTool {
        verifier: "nsib_provision.py",
        script: "bootloader/provision.py",
        argument: address,
        bytes,
    }
}

const PARTS: [Part; 3] = [
    Part {
        image: "sample.tfm.provisioning_image.native_sim",
        tfm: "tfm.native_sim.nrf5340",
        needs: MBED_TLS,
        size: 4096,
        ports: &[0, 0x1C],
        closed: [0; 4],
        nsib: &[nsib_in_otp("0xff8100", 0x128..0x400)],
    },
    Part {
        image: "sample.tfm.provisioning_image.native_sim.nrf9160",
        tfm: "tfm.native_sim.nrf9160",
        needs: MBED_TLS,
        size: 4096,
        ports: &[0, 0x2C],
        closed: [0; 4],
        nsib: &[nsib_in_otp("0xff8108", 0x130..0x400)],
    },
    Part {
        image: "sample.tfm.provisioning_image.native_sim.nrf54l15",
        tfm: "tfm.native_sim.nrf54l15",
        needs: SEED_KEYS,
        size: 4096 + 28 * 250,
        ports: &[0, 0x1C, 0x20, 0x3C],
        // Any value but ones: what nrfutil writes is not documented.
        closed: [0xFA, 0x50, 0xFA, 0x50],
        nsib: &[
            nsib_in_otp("0xffd500", 0x530..0xA00),
            // A public key, in two slots of the KMU.
            NsibTool {
                verifier: "nsib_kmu.py",
                script: "generate_psa_key_attributes.py",
                argument: "242",
                bytes: 4096 + 28 * 242..4096 + 28 * 244,
            },
        ],
    },
];

/// When the line programs what NSIB needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nsib {
    Never,
    BeforeTheImage,
    AfterTheImage,
}

/// A check for which Twister has left no program, as with sources that have nothing for the part, is named and left out.
pub fn run(project: &Project) -> Result<()> {
    let linked = LINKED.iter().map(|&(scenario, otp)| linked(project, scenario, otp));
    let on_files = PARTS.iter().map(|part| on_device_file(project, part));
    let mut missing = Vec::new();
    let mut ran = false;
    for result in linked.chain(on_files) {
        match result {
            Ok(()) => ran = true,
            Err(error) => missing.push(error.downcast::<NotHere>()?.0),
        }
    }
    if !ran {
        return Err(NotHere(missing.join("; ")).into());
    }
    for why in missing {
        println!("left out: {why}");
    }
    Ok(())
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

/// What the sources in `workspace` lack for `scenario`, if it is one of TF-M's and they lack anything.
pub fn why_not_built(workspace: &Workspace, scenario: &str) -> Option<&'static str> {
    let Needs { file, text, absent } = &PARTS.iter().find(|part| part.tfm == scenario)?.needs;
    let sources = fs::read_to_string(workspace.folder.join(file)).unwrap_or_default();
    (!sources.contains(text)).then_some(*absent)
}

fn on_device_file(project: &Project, part: &Part) -> Result<()> {
    let python = project.python("verifier-venv", "cbor2, cryptography, ecdsa, intelhex, pycose")?;
    let workspace = project.workspaces.first().ok_or(BuildError::NoWorkspace)?;
    if let Some(why) = why_not_built(workspace, part.tfm) {
        return Err(NotHere(format!("{} is not built, since {why}", part.tfm)).into());
    }
    let (image, tfm) = (program(project, part.image)?, program(project, part.tfm)?);
    println!("{}:", part.tfm);
    for nsib in [Nsib::Never, Nsib::BeforeTheImage, Nsib::AfterTheImage] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("part.bin");
        let start = |program: &Path, seed: &str| {
            let options = [format!("--device={}", file.display()), format!("--seed={seed}")];
            let command = duct::cmd(program, options.into_iter().chain(["-stop_at=1".into()]));
            // A refusal is an output, too.
            command.stdin_null().stderr_to_stdout().unchecked().read()
        };
        // What is in the file of all that NSIB needs.
        let of_nsib = || -> Result<Vec<u8>> {
            let file = read(&file)?;
            let ranges = part.nsib.iter().map(|tool| file.get(tool.bytes.clone()));
            Ok(ranges.collect::<Option<Vec<_>>>().context("the whole device file")?.concat())
        };
        let program_nsib = || -> Result<(String, Vec<u8>)> {
            let mut lines = String::new();
            for NsibTool { verifier, script, argument, .. } in part.nsib {
                let script = workspace.folder.join("nrf/scripts").join(script);
                let verifier = project.verifier(verifier);
                lines += &duct::cmd!(&python, verifier, script, &file, argument).read()?;
            }
            Ok((lines, of_nsib()?))
        };
        let mut programmed = None;
        if nsib == Nsib::BeforeTheImage {
            fs::write(&file, vec![0xFF; part.size])?;
            programmed = Some(program_nsib()?);
        }
        let provisioned = start(&image, "815")?;
        ensure!(provisioned.contains(Event::Success.message()), "{nsib:?}: {provisioned}");
        let console = folder.path().join("console");
        fs::write(&console, provisioned)?;
        if nsib == Nsib::AfterTheImage {
            programmed = Some(program_nsib()?);
        }

        let mut page = read(&file)?;
        for &register in part.ports {
            let word = page.get_mut(register..register + 4).context("a page of UICR")?;
            word.copy_from_slice(&part.closed);
        }
        fs::write(&file, page)?;
        let attested = start(&tfm, "816")?;
        let nothing = || {
            (
                "bl_storage: nothing".into(),
                vec![0xFF; part.nsib.iter().map(|tool| tool.bytes.len()).sum()],
            )
        };
        let (stored, kept) = programmed.unwrap_or_else(nothing);
        for line in stored.lines() {
            ensure!(attested.lines().any(|seen| seen == line), "no \"{line}\" in {attested}");
        }
        let verifier = project.verifier("tfm_token.py");
        duct::cmd!(&python, verifier, &console).stdin_bytes(attested).run()?;

        let refused = start(&image, "817")?;
        ensure!(refused.contains("the PSA lifecycle state is SECURED"), "{refused}");
        ensure!(of_nsib()? == kept, "{nsib:?}: what NSIB needs has changed");
    }
    Ok(())
}

/// What Twister has built of a scenario for `native_sim`, wherever in its folder for the board.
fn program(project: &Project, scenario: &str) -> Result<std::path::PathBuf> {
    let pattern = format!("twister-out/native_sim_native_64/**/{scenario}/zephyr/zephyr.exe");
    let found = project.files(&pattern)?.into_iter().next();
    found.ok_or_else(|| NotHere(format!("Twister has not left {scenario}")).into())
}
