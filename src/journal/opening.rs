//! How the journal is opened, and what stands for one that cannot be for now.
//!
//! Owns the lock against a second process, and which failures may pass: a disk that is full now need not stay so. While it
//! is, readers are served and nothing is written.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::store::Store;
use super::{FILE, Journal, JournalError};

/// The lock's file beside it: held as long as the process lives, and released by the system however it ends.
const LOCK: &str = "lock";

/// EIO.
const INPUT_OUTPUT: i32 = 5;

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("another process works on the state directory {0}; two writers would contradict each other")]
    InUse(String),
    /// The directory cannot be used.
    #[error("the state directory {path} cannot be used: {source}")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It was written by another version.
    #[error("the journal has schema {found}, and this version reads {known}: it was written by a newer cutover-api")]
    Schema {
        /// What it has.
        found: i64,
        /// What we read.
        known: i64,
    },
    /// It is not a journal, or damaged.
    #[error(
        "the journal {path} cannot be opened: {source}. Where it is damaged, move it away, with its -wal and -shm files, and \
         start again: what is lost is history"
    )]
    Database {
        /// Which.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Whether it may be otherwise in a while, with nothing changed in the configuration: a full or a failing disk.
    fn may_pass(&self) -> bool {
        match self {
            Self::Directory { source, .. } => {
                matches!(
                    source.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
                ) || source.raw_os_error() == Some(INPUT_OUTPUT)
            }
            Self::Database { source, .. } => lacks_room(source),
            Self::InUse(_) | Self::Schema { .. } => false,
        }
    }
}

/// SQLite's words for a disk that takes nothing.
pub(super) fn lacks_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// A journal that could not be opened.
#[derive(Debug)]
pub(super) struct Closed {
    directory: PathBuf,
    pub(super) because: String,
    /// Nothing was ever written to it.
    pub(super) is_new: bool,
}

impl Journal {
    /// Opens the journal in `directory`, which is made if it is not there, and locks it against a second process.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Store::in_directory(directory).map(Self::of)
    }

    /// The same; but a disk that is full or fails gives a journal that is closed for now: it holds nothing, takes
    /// nothing, and can be opened again.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_or_wait(directory: &Path) -> Result<Self, OpenError> {
        let error = match Self::open(directory) {
            Err(error) if error.may_pass() => error,
            opened => return opened,
        };
        let mut store = Store::in_memory()?;
        let is_new = fs::metadata(directory.join(FILE))
            .map_or_else(|error| error.kind() == ErrorKind::NotFound, |file| file.len() == 0);
        store.closed = Some(Closed { directory: directory.to_owned(), because: error.to_string(), is_new });
        Ok(Self::of(store))
    }

    /// Opens a journal that is closed for now; whether it was and no longer is.
    ///
    /// # Errors
    /// It is still closed.
    pub async fn reopen(&self) -> Result<bool, JournalError> {
        self.with(Store::reopen).await
    }
}

impl Store {
    fn in_directory(directory: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Directory { path: directory.display().to_string(), source };
        make_private(directory).map_err(refused)?;
        let (file, lock_file) = (directory.join(FILE), directory.join(LOCK));
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_file).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse(directory.display().to_string())),
            Err(fs::TryLockError::Error(source)) => return Err(refused(source)),
        }
        // SQLite does not say why a file cannot be opened
        File::options().create(true).append(true).open(&file).map_err(refused)?;
        let mut store = Self::open(&file, &lock_file)?;
        store.lock = Some(lock);
        Ok(store)
    }

    fn reopen(&mut self) -> Result<bool, JournalError> {
        let Some(closed) = &mut self.closed else { return Ok(false) };
        match Self::in_directory(&closed.directory) {
            Ok(mut opened) => {
                opened.ledger.outbox = std::sync::Arc::clone(&self.ledger.outbox);
                opened.damage.swap(&self.damage);
                *self = opened;
                Ok(true)
            }
            Err(error) => {
                closed.because = error.to_string();
                Err(JournalError(closed.because.clone()))
            }
        }
    }
}

/// Makes a directory that only its owner may look into.
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
