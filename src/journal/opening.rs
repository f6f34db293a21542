//! Opening of the journal, and the stand-in while it cannot be opened.
//!
//! Owns the lock against a second process, and which failures count as temporary, such as a full disk. Meanwhile
//! readers are served and nothing is written. Never repairs a damaged file.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::store::Store;
use super::{FILE, Journal, JournalError};

/// Lock file next to the journal. Held for the process's lifetime; the system releases it however the process ends.
const LOCK: &str = "lock";

/// EIO.
const INPUT_OUTPUT: i32 = 5;

/// Reason why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("another process uses the state directory {0}; only one may write")]
    InUse(String),
    /// The directory cannot be used.
    #[error("the state directory {path} cannot be used: {source}")]
    Directory {
        /// The path.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// A newer version wrote the journal.
    #[error("the journal has schema {found}, and this version reads at most {known}: a newer cutover-api wrote it")]
    Schema {
        /// Schema of the file.
        found: i64,
        /// Newest schema that this version reads.
        known: i64,
    },
    /// The file is damaged or not a journal.
    #[error(
        "the journal {path} cannot be opened: {source}. If it is damaged, move it away with its -wal and -shm \
         files and start cutover-api again; only history is lost"
    )]
    Database {
        /// The path.
        path: String,
        /// The reason.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Whether the failure may pass without a change of the configuration: a full or a failing disk.
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

/// SQLite's errors for a disk that accepts no data.
pub(super) fn lacks_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// The stand-in for a journal that could not be opened.
#[derive(Debug)]
pub(super) struct Closed {
    directory: PathBuf,
    pub(super) reason: String,
    /// Whether no journal existed before.
    pub(super) is_new: bool,
}

impl Journal {
    /// Opens the journal in `directory` and locks it against a second process. Creates the directory if it is missing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Store::in_directory(directory).map(Self::of)
    }

    /// Opens the journal. On a full or failing disk, returns a closed journal: empty, read-only, and ready for
    /// [`Journal::reopen`].
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
        store.closed = Some(Closed { directory: directory.to_owned(), reason: error.to_string(), is_new });
        Ok(Self::of(store))
    }

    /// Opens a closed journal. Returns whether it was closed and is now open.
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
        // SQLite's error does not say why a file cannot be opened.
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
                closed.reason = error.to_string();
                Err(JournalError(closed.reason.clone()))
            }
        }
    }
}

/// Creates a directory that only its owner can read.
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
