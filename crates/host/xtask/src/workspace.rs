// SPDX-License-Identifier: Apache-2.0

//! Zephyr workspaces: which there are to build in, and what is in them.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The environment variable that lists workspaces, as `PATH` lists folders.
pub const VARIABLE: &str = "PROVISIONING_WORKSPACES";
/// The file in the root that lists them, one on a line. Git ignores it.
pub const FILE: &str = ".workspaces";

/// Why a workspace cannot be used.
#[derive(Debug, Error)]
pub enum WorkspaceError {
    /// There is no Zephyr in it.
    #[error("{path} is no Zephyr workspace: {file} is missing", path = .0.display(), file = .1.display())]
    NoZephyr(PathBuf, PathBuf),
    /// The list cannot be read.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// West would take the modules of another workspace.
    #[error(
        "{root} is in the workspace {around}, and west would build with that one's modules. \
         To check with {other}, use a clone outside of any workspace.",
        root = .root.display(), around = .around.display(), other = .other.display()
    )]
    Inside {
        /// This repository.
        root: PathBuf,
        /// The workspace around it.
        around: PathBuf,
        /// The workspace that is asked for.
        other: PathBuf,
    },
}

/// A folder that west manages, or that stands for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The folder that west calls topdir.
    pub folder: PathBuf,
    /// Zephyr's tree: `ZEPHYR_BASE`.
    pub zephyr: PathBuf,
}

/// What is in a workspace, by its files named VERSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The nRF Connect SDK's; none in a workspace of upstream Zephyr alone.
    pub sdk: Option<String>,
    /// Zephyr's.
    pub zephyr: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zephyr = &self.zephyr;
        match &self.sdk {
            Some(sdk) => f.pad(&format!("SDK {sdk}, Zephyr {zephyr}")),
            None => f.pad(&format!("Zephyr {zephyr} alone")),
        }
    }
}

impl Version {
    /// Whether the image for a part needs sysbuild: from SDK 3.0 on the partition manager, which knows where OTP is, is a
    /// part of it.
    #[must_use]
    pub fn needs_sysbuild(&self) -> bool {
        let major = self.sdk.as_deref().and_then(|sdk| sdk.split('.').next()?.parse().ok());
        major.is_some_and(|major: u32| major >= 3)
    }
}

/// The version in a file named VERSION: Zephyr's has a line for each number, as that of the SDK has after 3.3; before, that
/// is the version itself.
fn number(text: &str) -> String {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split('=').nth(1));
        value.map(str::trim)
    };
    match ["VERSION_MAJOR", "VERSION_MINOR", "PATCHLEVEL"].map(field) {
        [Some(major), Some(minor), Some(patch)] => format!("{major}.{minor}.{patch}"),
        _ => String::from(text.trim()),
    }
}

impl Workspace {
    /// The workspace in a folder.
    ///
    /// # Errors
    /// There is no Zephyr in it.
    pub fn at(folder: &Path) -> Result<Self, WorkspaceError> {
        let zephyr = folder.join("zephyr");
        let file = zephyr.join("VERSION");
        if file.is_file() {
            Ok(Self { folder: folder.to_owned(), zephyr })
        } else {
            Err(WorkspaceError::NoZephyr(folder.to_owned(), file))
        }
    }

    /// That of Zephyr's tree `zephyr`.
    #[must_use]
    pub fn around(zephyr: PathBuf) -> Self {
        let folder = zephyr.parent().unwrap_or(&zephyr).to_owned();
        Self { folder, zephyr }
    }

    /// Whether it has the SDK, and with it the drivers.
    #[must_use]
    pub fn has_sdk(&self) -> bool {
        self.folder.join("nrf/VERSION").is_file()
    }

    /// What is in it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn version(&self) -> Result<Version, WorkspaceError> {
        let read = |path: PathBuf| match fs::read_to_string(&path) {
            Ok(text) => Ok(number(&text)),
            Err(error) => Err(WorkspaceError::File(path, error)),
        };
        let zephyr = read(self.zephyr.join("VERSION"))?;
        let sdk = self.has_sdk().then(|| read(self.folder.join("nrf/VERSION"))).transpose()?;
        Ok(Version { sdk, zephyr })
    }

    /// Whether west, started in `root`, builds with this workspace: it takes the one around a folder first.
    ///
    /// # Errors
    /// There is another one around `root`.
    pub fn check_reach(&self, root: &Path) -> Result<(), WorkspaceError> {
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let around = root.ancestors().find(|folder| folder.join(".west").is_dir());
        match around {
            // Not the same folder: a workspace may have its Zephyr anywhere in it.
            Some(around) if !whole(&self.zephyr).starts_with(whole(around)) => {
                Err(WorkspaceError::Inside {
                    root: root.to_owned(),
                    around: around.to_owned(),
                    other: self.folder.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// The workspaces that are named: `given`, else those of [`VARIABLE`], else those of [`FILE`] in `root`.
///
/// # Errors
/// One has no Zephyr, or the file cannot be read.
pub fn named(root: &Path, given: &[PathBuf]) -> Result<Vec<Workspace>, WorkspaceError> {
    let folders: Vec<PathBuf> = if !given.is_empty() {
        given.to_vec()
    } else if let Some(list) = env::var_os(VARIABLE) {
        env::split_paths(&list).filter(|folder| !folder.as_os_str().is_empty()).collect()
    } else {
        let path = root.join(FILE);
        match fs::read_to_string(&path) {
            Ok(list) => list
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(PathBuf::from)
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(WorkspaceError::File(path, error)),
        }
    };
    folders.iter().map(|folder| Workspace::at(&root.join(folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(sdk: Option<&str>) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        fs::create_dir_all(path.join("zephyr")).unwrap();
        let version = "VERSION_MAJOR = 4\nVERSION_MINOR = 1\nPATCHLEVEL = 99\nVERSION_TWEAK = 0\n";
        fs::write(path.join("zephyr/VERSION"), version).unwrap();
        if let Some(sdk) = sdk {
            fs::create_dir_all(path.join("nrf")).unwrap();
            fs::write(path.join("nrf/VERSION"), format!("{sdk}\n")).unwrap();
        }
        (folder, Workspace::at(&path).unwrap())
    }

    #[test]
    fn it_says_what_is_in_it() {
        let (_folder, sdk) = workspace(Some("3.1.0"));
        assert_eq!(sdk.version().unwrap().to_string(), "SDK 3.1.0, Zephyr 4.1.99");
        let (_folder, alone) = workspace(None);
        assert_eq!(alone.version().unwrap().to_string(), "Zephyr 4.1.99 alone");
        assert_eq!(Workspace::around(alone.zephyr.clone()), alone);
    }

    #[test]
    fn an_sdk_of_either_form_has_its_number() {
        let lines = "VERSION_MAJOR = 3\nVERSION_MINOR = 4\nPATCHLEVEL = 99\nVERSION_TWEAK = 0\n";
        let (_folder, new) = workspace(Some(lines));
        assert_eq!(new.version().unwrap().to_string(), "SDK 3.4.99, Zephyr 4.1.99");
        let needs_sysbuild = [Some(lines), Some("3.0.0"), Some("2.9.2"), Some("2.7.0-rc3"), None]
            .map(|sdk| workspace(sdk).1.version().unwrap().needs_sysbuild());
        assert_eq!(needs_sysbuild, [true, true, false, false, false]);
    }

    #[test]
    fn a_folder_without_zephyr_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Workspace::at(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("is no Zephyr workspace") && error.contains("zephyr/VERSION"),
            "{error}"
        );
    }

    #[test]
    fn the_file_lists_them() {
        let (folder, workspace) = workspace(None);
        let root = tempfile::tempdir().unwrap();
        assert_eq!(named(root.path(), &[]).unwrap(), []);
        fs::write(root.path().join(FILE), format!("\n{}\n", folder.path().display())).unwrap();
        assert_eq!(named(root.path(), &[]).unwrap(), std::slice::from_ref(&workspace));
        assert_eq!(named(root.path(), &[folder.path().to_owned()]).unwrap(), [workspace]);
    }

    #[test]
    fn a_repository_in_another_workspace_is_refused() {
        let (_folder, workspace) = workspace(None);
        let around = tempfile::tempdir().unwrap();
        let root = around.path().join("repository");
        assert!(workspace.check_reach(&root).is_ok());
        fs::create_dir(around.path().join(".west")).unwrap();
        let error = workspace.check_reach(&root).unwrap_err().to_string();
        assert!(error.contains("use a clone outside of any workspace"), "{error}");
        assert!(workspace.check_reach(&workspace.folder.join("repository")).is_ok());
        // A workspace whose manifest puts Zephyr into a folder of its own.
        let deep = around.path().join("deps/zephyr");
        fs::create_dir_all(&deep).unwrap();
        assert!(Workspace::around(deep).check_reach(&root).is_ok());
    }
}
