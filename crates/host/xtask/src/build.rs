// SPDX-License-Identifier: Apache-2.0

//! Builds images with west: where Zephyr is, and the environment that its build needs.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use duct::Expression;
use thiserror::Error;

use crate::qemu;
use crate::workspace::{Version, Workspace, WorkspaceError};

/// The Rust target of all boards that are measured.
pub const TARGET: &str = "thumbv8m.main-none-eabi";

/// Why an image is not built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// There is no Zephyr.
    #[error("no Zephyr workspace is registered: set ZEPHYR_BASE or run west zephyr-export in one")]
    NoWorkspace,
    /// There is no core library for a target.
    #[error("there is no Rust for {0}: rustup target add {0}")]
    NoRust(String),
    /// West cannot be started.
    #[error("west cannot be started: {0}")]
    Start(#[source] io::Error),
    /// A file cannot be read or written.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// What is in the workspace cannot be told.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The build fails.
    #[error("{last}\nthe build for {board} failed, see {log}", log = .log.display())]
    Failed {
        /// The last lines of the log.
        last: String,
        /// The board, as west names it.
        board: String,
        /// All that the build has printed.
        log: PathBuf,
    },
}

/// The Zephyr trees that are registered: `ZEPHYR_BASE` alone, or those of `west zephyr-export`.
#[must_use]
pub fn registered() -> Vec<PathBuf> {
    let mut bases = if let Some(base) = env::var_os("ZEPHYR_BASE").filter(|base| !base.is_empty()) {
        vec![PathBuf::from(base)]
    } else {
        env::var_os("HOME").and_then(|home| exported(Path::new(&home)).ok()).unwrap_or_default()
    };
    bases.retain(|base| base.is_dir());
    bases
}

/// Those in the package registry of `CMake`, in the order of its files: each holds the path of a package.
fn exported(home: &Path) -> io::Result<Vec<PathBuf>> {
    let registry = fs::read_dir(home.join(".cmake/packages/Zephyr"))?;
    let mut files: Vec<_> = registry.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let base = |file: &PathBuf| {
        let text = fs::read_to_string(file).ok()?;
        let package = text.lines().next()?;
        let base = package.strip_suffix("/share/zephyr-package/cmake").unwrap_or(package);
        Some(PathBuf::from(base))
    };
    let mut bases: Vec<PathBuf> = Vec::new();
    for base in files.iter().filter_map(base) {
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    Ok(bases)
}

/// Variables for programs that xtask starts.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    /// The environment of this process, with a Rust that builds for `targets` without std.
    ///
    /// Debian's Rust brings no core library for them, but can build it from its sources.
    ///
    /// # Errors
    /// If there is no such Rust.
    pub fn rust_for(targets: &[&str]) -> Result<Self, BuildError> {
        let mut environment = Self::default();
        let Some(missing) = targets.iter().find(|target| !has_target(target)) else {
            return Ok(environment);
        };
        if !debian_has_sources() {
            return Err(BuildError::NoRust(String::from(*missing)));
        }
        environment.prepend_path(Path::new("/usr/bin"));
        environment.set("RUSTC_BOOTSTRAP", "1");
        environment.set("CARGO_UNSTABLE_BUILD_STD", "core,alloc");
        Ok(environment)
    }

    /// What west and its builds need: [`Self::rust_for`] with Zephyr's tree, the tools of `root`'s own Python
    /// environment if it is there, and a compiler for Arm.
    ///
    /// # Errors
    /// If no workspace is registered, or there is no Rust for `targets`.
    pub fn zephyr(root: &Path, targets: &[&str]) -> Result<Self, BuildError> {
        let base = registered().into_iter().next().ok_or(BuildError::NoWorkspace)?;
        Self::of_zephyr(&base, root, targets)
    }

    /// What [`Self::zephyr`] gives, with the tree `base`.
    ///
    /// # Errors
    /// If there is no Rust for `targets`.
    pub fn of_zephyr(base: &Path, root: &Path, targets: &[&str]) -> Result<Self, BuildError> {
        let mut environment = Self::rust_for(targets)?;
        environment.set("ZEPHYR_BASE", base);
        let python = root.join("target/zephyr-venv/bin");
        if python.is_dir() {
            environment.prepend_path(&python);
        }
        if !has_zephyr_toolchain()
            && let Ok(gcc) = which::which("arm-none-eabi-gcc")
            && let Some(toolchain) = gcc.ancestors().nth(2)
        {
            environment.set("ZEPHYR_TOOLCHAIN_VARIANT", "gnuarmemb");
            environment.set("GNUARMEMB_TOOLCHAIN_PATH", toolchain);
        }
        // Zephyr finds ccache by itself; the same file in the folder of another build is to be the same to it.
        environment.set("CCACHE_BASEDIR", root);
        environment.set("CCACHE_NOHASHDIR", "1");
        Ok(environment)
    }

    /// What is in the workspace of [`Self::of_zephyr`].
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn version(&self) -> Result<Version, BuildError> {
        let base = self.0.get("ZEPHYR_BASE").ok_or(BuildError::NoWorkspace)?;
        Ok(Workspace::around(PathBuf::from(base)).version()?)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.0.insert(name, value.into());
    }

    /// Adds the variables of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn prepend_path(&mut self, folder: &Path) {
        let mut path = folder.as_os_str().to_owned();
        if let Some(rest) = self.path() {
            path.push(":");
            path.push(rest);
        }
        self.set("PATH", path);
    }

    fn path(&self) -> Option<OsString> {
        self.0.get("PATH").cloned().or_else(|| env::var_os("PATH"))
    }

    /// Whether `program` can be called.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        which::which_in(program, self.path(), "/").is_ok()
    }

    /// A command in this environment, which is found on its `PATH`.
    pub fn command<T>(&self, program: &str, arguments: T) -> Expression
    where
        T: IntoIterator,
        T::Item: Into<OsString>,
    {
        let program = which::which_in(program, self.path(), "/").unwrap_or_else(|_| program.into());
        let command = duct::cmd(program, arguments);
        self.0.iter().fold(command, |command, (name, value)| command.env(name, value))
    }
}

/// Whether Zephyr finds a compiler by itself: it is named, or Zephyr's SDK is registered.
#[must_use]
pub fn has_zephyr_toolchain() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("ZEPHYR_TOOLCHAIN_VARIANT")
        || is_set("ZEPHYR_SDK_INSTALL_DIR")
        || env::var_os("HOME")
            .is_some_and(|home| Path::new(&home).join(".cmake/packages/Zephyr-sdk").is_dir())
}

fn has_target(target: &str) -> bool {
    let libraries = duct::cmd!("rustc", "--print", "target-libdir", "--target", target);
    libraries.stderr_null().read().is_ok_and(|folder| Path::new(&folder).is_dir())
}

fn debian_has_sources() -> bool {
    let sysroot = duct::cmd!("/usr/bin/rustc", "--print", "sysroot").stderr_null().read();
    sysroot.is_ok_and(|folder| Path::new(&folder).join("lib/rustlib/src/rust/library").is_dir())
}

/// An image that was built.
pub struct Image {
    /// The linked image.
    pub elf: PathBuf,
    /// What the build has printed.
    pub log: String,
}

/// Builds the image for `board` in `environment`, which is that of [`Environment::zephyr`], in the folder `folder`
/// of `root`, with the Kconfig settings `options`, and with sysbuild only where the SDK needs it for a part. What the
/// build prints is kept beside the folder.
///
/// # Errors
/// If west cannot be started, or the build fails; the error has the last lines of its log.
pub fn build(
    root: &Path,
    environment: &Environment,
    folder: &str,
    board: &str,
    options: &[&str],
) -> Result<Image, BuildError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| BuildError::File(path, error)
    };
    let sysbuild = board != qemu::BOARD && environment.version()?.needs_sysbuild();
    let folder = root.join(folder).join(board.replace('/', "_"));
    fs::create_dir_all(&folder).map_err(file(&folder))?;
    let log = folder.with_extension("log");
    let output = File::create(&log).map_err(file(&log))?;
    let with = if sysbuild { "--sysbuild" } else { "--no-sysbuild" };
    let arguments = ["build", with, "-p", "auto", "-b", board, "-d"].map(OsString::from);
    let arguments = arguments
        .into_iter()
        .chain([folder.clone().into(), ".".into(), "--".into()])
        .chain(options.iter().map(OsString::from));
    let west = environment.command("west", arguments).dir(root);
    let status = west
        .stdin_null()
        .stderr_to_stdout()
        .stdout_file(output)
        .unchecked()
        .run()
        .map_err(BuildError::Start)?
        .status;
    let said = String::from_utf8_lossy(&fs::read(&log).map_err(file(&log))?).into_owned();
    if !status.success() {
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        return Err(BuildError::Failed { last, board: String::from(board), log });
    }
    // Sysbuild names the folder of an image after that of its sources.
    let image = match root.file_name() {
        Some(name) if sysbuild => folder.join(name),
        _ => folder,
    };
    Ok(Image { elf: image.join("zephyr/zephyr.elf"), log: said })
}

/// What the linker says that an image takes of each memory, in bytes; nothing where it did not have to link.
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
