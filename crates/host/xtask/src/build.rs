// SPDX-License-Identifier: Apache-2.0

//! Builds the image with west.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Rust target of all boards that are measured.
const TARGET: &str = "thumbv8m.main-none-eabi";

/// West in an environment whose Rust can build for [`TARGET`]; its arguments stand behind.
const SCRIPT: &str = r#"
. .ci/rust-for
rust_has "$0" || debian_rust || { echo "there is no Rust for $0: rustup target add $0"; exit 1; }
exec west "$@"
"#;

/// The Zephyr tree that is registered, by `ZEPHYR_BASE` or by `west zephyr-export`.
#[must_use]
pub fn registered() -> Option<PathBuf> {
    if let Some(base) = env::var_os("ZEPHYR_BASE").filter(|base| !base.is_empty()) {
        return Some(PathBuf::from(base)).filter(|base| base.is_dir());
    }
    // CMake's package registry: each file holds the path of a package.
    let registry = PathBuf::from(env::var_os("HOME")?).join(".cmake/packages/Zephyr");
    let mut files: Vec<_> =
        fs::read_dir(registry).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let package = text.lines().next()?;
        let base = package.strip_suffix("/share/zephyr-package/cmake").unwrap_or(package);
        Some(PathBuf::from(base)).filter(|base| base.is_dir())
    })
}

/// An image that was built.
pub struct Image {
    /// The linked image.
    pub elf: PathBuf,
    /// What the build has said.
    pub log: String,
}

/// Builds the image for `board` with the Zephyr tree `zephyr`, in the folder `folder` of `root`, without
/// sysbuild and with the Kconfig settings `options`. What the build says is kept beside the folder.
///
/// # Errors
/// If west cannot be started, or the build fails; the error tells the last that it said.
pub fn build(
    root: &Path,
    zephyr: &Path,
    folder: &str,
    board: &str,
    options: &[&str],
) -> Result<Image, Box<dyn Error>> {
    let folder = root.join(folder).join(board.replace('/', "_"));
    fs::create_dir_all(&folder)?;
    let log = folder.with_extension("log");
    let output = File::create(&log)?;
    let status = Command::new("bash")
        .args(["-c", SCRIPT, TARGET, "build", "--no-sysbuild", "-p", "auto", "-b", board, "-d"])
        .arg(&folder)
        .args([".", "--"])
        .args(options)
        .current_dir(root)
        .env("ZEPHYR_BASE", zephyr)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .map_err(|error| format!("bash, which starts west, cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        return Err(format!("{last}\nthe build for {board} failed, see {}", log.display()).into());
    }
    Ok(Image { elf: folder.join("zephyr/zephyr.elf"), log: said })
}

/// What the linker says that an image takes of each memory, in bytes; nothing where it had not to link.
///
/// It prints a number of bytes, and a multiple of a larger unit in that unit.
#[must_use]
pub fn memory_regions(log: &str) -> BTreeMap<String, u64> {
    let table = log.lines().skip_while(|line| !line.starts_with("Memory region")).skip(1);
    table
        .map_while(|line| {
            let (name, figures) = line.split_once(':')?;
            let mut words = figures.split_whitespace();
            let number: u64 = words.next()?.parse().ok()?;
            let unit = match words.next()? {
                "B" => 1,
                "KB" => 1 << 10,
                "MB" => 1 << 20,
                "GB" => 1 << 30,
                _ => return None,
            };
            Some((String::from(name.trim()), number.checked_mul(unit)?))
        })
        .collect()
}
