//! Identity of the journal's files, compared before each write with the files at their paths.
//!
//! The state directory may be deleted or replaced under a running process. That process must stop writing, because a
//! process on the new directory reads another journal. Never opens a file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Device and inode of a file.
type Identity = (u64, u64);

/// The files that must stay at their paths.
#[derive(Debug, Default)]
pub(super) struct Home {
    files: Vec<(PathBuf, Identity)>,
}

impl Home {
    /// Records the journal at `path`, its `-wal` and `-shm` files, and `lock`. Files that SQLite did not create are
    /// ignored.
    pub(super) fn of(path: &Path, lock: &Path) -> Self {
        let part = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let all = [lock.to_owned(), path.to_owned(), part("-wal"), part("-shm")];
        Self { files: all.into_iter().filter_map(|file| identity(&file).map(|id| (file, id))).collect() }
    }

    /// Returns the first file that is missing from its path or was replaced.
    pub(super) fn lost(&self) -> Option<&Path> {
        self.files.iter().find(|(path, opened)| identity(path) != Some(*opened)).map(|(path, _)| path.as_path())
    }
}

/// Reads it without opening the file: closing any handle on a file releases SQLite's locks on it.
fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
