// SPDX-License-Identifier: Apache-2.0

//! Checks that build images with west, and those of what Twister has built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64UrlUnpadded, Encoding};
use provisioning::console::{RECORD_PREFIX, message};
use xtask::build::{BuildError, Environment, TARGET, has_zephyr_toolchain};
use xtask::qemu::QEMU;
use xtask::workspace::Workspace;

use super::{NotHere, Project, read};

/// The Rust targets of all scenarios.
const TARGETS: [&str; 2] = [TARGET, "x86_64-unknown-none"];

/// Twister's folder of the image for `native_sim` with the default options.
const NATIVE_SIM: &str = "native_sim_native_64/sample.tfm.provisioning_image.native_sim";
/// That of the image for QEMU.
const MPS2: &str = "mps2_an521_cpu0/sample.tfm.provisioning_image.mps2";
/// That of the image for QEMU with the DSP extension, as those for kits.
const MPS2_DSP: &str = "mps2_an521_cpu0/sample.tfm.provisioning_image.mps2.dsp";
/// That of the image for QEMU that asks for a nonce.
const MPS2_NONCE: &str = "mps2_an521_cpu0/sample.tfm.provisioning_image.mps2.nonce";

/// The least number of images for real parts, so that the search of [`no_model`] does not pass over nothing.
const KIT_IMAGES: usize = 6;

/// A server that keeps what was compiled, as most of each scenario is the same.
///
/// It must not be started by a build of Twister, which would wait for the end of the server's output.
pub struct Sccache;

impl Sccache {
    /// Not the port by default: a server that a person uses goes on.
    const VARIABLES: [(&str, &str); 2] =
        [("SCCACHE_SERVER_PORT", "4227"), ("SCCACHE_IDLE_TIMEOUT", "0")];

    fn start() -> Option<Self> {
        which::which("sccache").ok()?;
        // That of a check that was stopped.
        Self::run("sccache", &["--stop-server"]);
        // In a session of its own, so that an interrupt does not end it before the builds.
        Self::run("setsid", &["sccache", "--start-server"]).then_some(Self)
    }

    fn run(program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).envs(Self::VARIABLES).stdin(Stdio::null());
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Sccache {
    fn drop(&mut self) {
        Self::run("sccache", &["--stop-server"]);
    }
}

/// What builds need, or what is missing.
pub(super) fn environment(project: &Project) -> Result<Environment> {
    let workspace = project.workspaces.first().ok_or(BuildError::NoWorkspace)?;
    environment_of(project, workspace)
}

/// [`environment`], of a workspace.
pub(super) fn environment_of(project: &Project, workspace: &Workspace) -> Result<Environment> {
    workspace.check_reach(&project.root)?;
    let mut environment = Environment::of_zephyr(&workspace.zephyr, &project.root, &TARGETS)?;
    let mut programs = vec!["west", "cmake", "ninja", "dtc", "clang", QEMU];
    if !has_zephyr_toolchain() {
        programs.push("arm-none-eabi-gcc");
    }
    let mut missing: Vec<_> =
        programs.into_iter().filter(|program| !environment.has(program)).collect();
    if !has_libclang()? {
        missing.push("libclang");
    }
    if !missing.is_empty() {
        return Err(NotHere(format!("these are missing: {}", missing.join(", "))).into());
    }
    if project.sccache.get_or_init(Sccache::start).is_some() {
        environment.set("RUSTC_WRAPPER", "sccache");
        environment.set("CARGO_INCREMENTAL", "0");
        for (name, value) in Sccache::VARIABLES {
            environment.set(name, value);
        }
    }
    Ok(environment)
}

/// bindgen, in the SDK's Rust, loads it.
fn has_libclang() -> Result<bool> {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return Ok(true);
    }
    for pattern in ["/usr/lib/*/libclang*.so*", "/usr/lib/llvm*/lib/libclang*.so*"] {
        if glob::glob(pattern)?.next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Builds the image for `native_sim` in `folder` with an implementation ID, and gives what west says.
fn west_build(
    project: &Project,
    folder: &Path,
    options: &[&str],
    implementation_id: &str,
) -> Result<Output> {
    let id = format!("-DCONFIG_PROVISIONING_IMPLEMENTATION_ID=\"{implementation_id}\"");
    let folder = folder.to_string_lossy();
    let mut arguments = vec!["build", "-b", "native_sim/native/64", "-d", &folder];
    arguments.extend(options);
    arguments.extend([".", "--", &id]);
    let west = environment(project)?.command("west", arguments).dir(&project.root);
    Ok(west.stdin_null().stderr_to_stdout().stdout_capture().unchecked().run()?)
}

pub fn implementation_id(project: &Project) -> Result<()> {
    let good = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";
    let folder = project.root.join("twister-out-bad-id");
    for bad in
        ["", &good[1..], &format!("{good}0"), &good.replacen('A', "G", 1), &"f".repeat(good.len())]
    {
        let build = west_build(project, &folder, &["-p", "--cmake-only"], bad)?;
        ensure!(!build.status.success(), "accepted: '{bad}'");
        let log = String::from_utf8_lossy(&build.stdout);
        ensure!(log.contains("CONFIG_PROVISIONING_IMPLEMENTATION_ID must"), "{log}");
    }
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(())
}

/// A build folder that is used again must not keep the implementation ID of the build before.
pub fn changed_id(project: &Project) -> Result<()> {
    let folder = project.root.join("twister-out-changed-id");
    let _ = fs::remove_dir_all(&folder); // of a check that was stopped
    for byte in [0x11, 0x22] {
        let id = format!("{byte:x}").repeat(32);
        let build = west_build(project, &folder, &[], &id)?;
        ensure!(build.status.success(), "{}", String::from_utf8_lossy(&build.stdout));
        let image = folder.join("zephyr/zephyr.exe");
        let console = duct::cmd!(image, "-stop_at=5").stderr_null().unchecked().read()?;
        let record = console.lines().find_map(|line| message(line)?.strip_prefix(RECORD_PREFIX));
        let record = Base64UrlUnpadded::decode_vec(record.context("a record")?)?;
        ensure!(
            record.windows(32).any(|bytes| bytes == [byte; 32]),
            "the image has another implementation ID than {id}"
        );
    }
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(())
}

/// Twister can want a line, but cannot want that there is none.
pub fn no_record(project: &Project) -> Result<()> {
    let log = project.twister(&format!("{NATIVE_SIM}.no_record/handler.log"))?;
    let log = String::from_utf8_lossy(&read(&log)?).into_owned();
    ensure!(!log.contains(RECORD_PREFIX.trim_end_matches(": ")), "a record is printed:\n{log}");
    Ok(())
}

/// The image that locks the network core's debug port: where it is asked for, with a warning, and nowhere else.
pub fn network_core(project: &Project) -> Result<()> {
    let kit = "nrf5340dk_nrf5340_cpuapp/sample.tfm.provisioning_image.kit.net_core";
    let log = project.twister(&format!("{kit}/build.log"))?;
    let asked = log.parent().context("the folder of the kit")?;
    let built = project.twister_files("nrf5340*/*/provisioning_image_net_core")?;
    ensure!(
        built == [asked.join("provisioning_image_net_core")],
        "the network core's image is built unasked, or not where it is asked for: {built:?}"
    );
    let warning = "SB_CONFIG_PROVISIONING_NET_CORE locks the debug port";
    for log in project.twister_files(&format!("{kit}/*.log"))? {
        if String::from_utf8_lossy(&read(&log)?).contains(warning) {
            return Ok(());
        }
    }
    bail!("the network core's image is built without a warning");
}

/// Each build of an image compares the lock files by this script.
pub fn lock_file(project: &Project) -> Result<()> {
    if which::which("cmake").is_err() {
        return Err(NotHere(String::from("cmake is missing")).into());
    }
    let compare = |used: &str| {
        let option = |name, file: &str| format!("-D{name}={}", project.root.join(file).display());
        let (committed, used) = (option("COMMITTED", "src/firmware.lock"), option("USED", used));
        let script = project.root.join("cmake/firmware_lock.cmake");
        let cmake = duct::cmd!("cmake", committed, used, "-P", script);
        Ok::<_, anyhow::Error>(cmake.stderr_null().unchecked().run()?.status.success())
    };
    ensure!(compare("src/firmware.lock")?, "src/firmware.lock is refused");
    ensure!(!compare("Cargo.lock")?, "another lock file passes for src/firmware.lock");
    Ok(())
}

/// A kit's image whose SDK is told of another address, by a static file of the partition manager that has
/// data of its own first.
pub fn otp_address(project: &Project) -> Result<()> {
    let environment = environment(project)?;
    let folder = project.root.join("twister-out-otp-address");
    let _ = fs::remove_dir_all(&folder); // of a check that was stopped
    let partitions = project.root.join("target/wrong-otp-address.yml");
    let layout = "own_data: {address: 0xff8100, size: 0x100, region: otp}\n\
                  provision: {address: 0xff8200, size: 0xfc, region: otp}\n";
    fs::write(&partitions, layout).with_context(|| partitions.display().to_string())?;
    let option = format!("-DPM_STATIC_YML_FILE={}", partitions.display());
    let output = folder.to_string_lossy();
    let arguments = [
        "build",
        "--sysbuild",
        "-b",
        "nrf5340dk/nrf5340/cpuapp",
        "-d",
        &output,
        ".",
        "--",
        &option,
    ];
    let west = environment.command("west", arguments).dir(&project.root);
    let build = west.stdin_null().stderr_to_stdout().stdout_capture().unchecked().run()?;
    let log = String::from_utf8_lossy(&build.stdout);
    ensure!(!build.status.success(), "the image is built");
    ensure!(log.contains("provision partition is not at the start of this part"), "{log}");
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(())
}

/// The stand-in drivers carry the names of the real ones. A log line of the model shows where they are linked.
pub fn no_model(project: &Project) -> Result<()> {
    let line = b"illegal access: ";
    let has_model = |elf: &Path| {
        Ok::<_, anyhow::Error>(read(elf)?.windows(line.len()).any(|text| text == line))
    };
    let mps2 = project.twister(&format!("{MPS2}/zephyr/zephyr.elf"))?;
    ensure!(has_model(&mps2)?, "the model's line is not in an image that has it");
    let mut images = project.twister_files("nrf*/*/zephyr/zephyr.elf")?;
    // By sysbuild.
    images.extend(project.twister_files("nrf*/*/*/zephyr/zephyr.elf")?);
    images.sort();
    images.dedup();
    for elf in &images {
        ensure!(
            !has_model(elf)?,
            "the model is linked into an image for a real part: {}",
            elf.display()
        );
    }
    println!("{} images for real parts were searched for the model", images.len());
    ensure!(images.len() >= KIT_IMAGES, "there must be {KIT_IMAGES}");
    Ok(())
}

pub fn size(project: &Project) -> Result<()> {
    measure(project, "size")
}

pub fn bench(project: &Project) -> Result<()> {
    measure(project, "bench")
}

fn measure(project: &Project, command: &str) -> Result<()> {
    environment(project)?.command(&project.xtask, [command]).dir(&project.root).run()?;
    Ok(())
}

/// What real images print goes through the station's parser and all its checks of a record.
pub fn real_console(project: &Project) -> Result<()> {
    let logs = [NATIVE_SIM, MPS2].map(|folder| project.twister(&format!("{folder}/handler.log")));
    let station = project.program("station")?;
    for log in logs {
        duct::cmd!(&station, "verify", "--allow-modelled").stdin_path(log?).run()?;
    }
    Ok(())
}

/// The images that run beside other programs: for `native_sim`, and for QEMU.
pub fn native_sim(project: &Project) -> Result<PathBuf> {
    project.twister(&format!("{NATIVE_SIM}/zephyr/zephyr.exe"))
}

pub fn mps2(project: &Project) -> Result<PathBuf> {
    project.twister(&format!("{MPS2}/zephyr/zephyr.elf"))
}

pub fn mps2_dsp(project: &Project) -> Result<PathBuf> {
    project.twister(&format!("{MPS2_DSP}/zephyr/zephyr.elf"))
}

/// The bytes that the images for QEMU have in flash, without and with a nonce.
pub fn mps2_flash(project: &Project) -> Result<[PathBuf; 2]> {
    let flash = |folder| project.twister(&format!("{folder}/zephyr/zephyr.bin"));
    Ok([flash(MPS2)?, flash(MPS2_NONCE)?])
}
