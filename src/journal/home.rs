//! The journal's files, as they were opened, beside what is at their paths now.
//!
//! A state directory may be deleted or replaced under a running process, which then writes where nobody reads. Owns the
//! one look that tells, before each write; so a process on the new directory is the only writer.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file: the device that holds it, and its number there.
type Identity = (u64, u64);

/// The files that must stay where they were opened.
#[derive(Debug, Default)]
pub(super) struct Home {
    files: Vec<(PathBuf, Identity)>,
}

impl Home {
    /// The journal at `path` that was just opened, its parts, and `lock`. A part that SQLite did not make is not missed.
    pub(super) fn of(path: &Path, lock: &Path) -> Self {
        let part = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let all = [lock.to_owned(), path.to_owned(), part("-wal"), part("-shm")];
        Self { files: all.into_iter().filter_map(|file| identity(&file).map(|id| (file, id))).collect() }
    }

    /// The first file that is gone from its path, or is another there.
    pub(super) fn lost(&self) -> Option<&Path> {
        self.files.iter().find(|(path, opened)| identity(path) != Some(*opened)).map(|(path, _)| path.as_path())
    }
}

/// Looks without opening: SQLite's locks on a file end when any handle on it is closed.
fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
