//! Small text files, read at each use, and what is in force while one cannot be read.
//!
//! Owns for how long the last content stays in force: a missing file may be about to be replaced, and a system without free
//! descriptors says nothing about the file. An error names the file and the fault, never the content.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;
use secrecy::SecretString;
use tokio::time::Instant;

/// How long the last content stays in force when the file is missing or is no file: a replacement takes no longer.
const REPLACEMENT: Duration = Duration::from_secs(5);

/// The largest file of secrets, in bytes: a tokens file of hundreds of callers fits.
pub(super) const LARGEST: u64 = 64 * 1024;

/// How long the last content stays in force while the system cannot open the file.
const NO_LOOK: Duration = Duration::from_mins(1);

/// Errors about the path itself. Any other error is about the system: no descriptors (EMFILE, ENFILE), a failing disk (EIO),
/// a file server that is gone or has restarted (ESTALE, ETIMEDOUT, ENOTCONN), no memory.
const OF_THE_PATH: [Errno; 7] =
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ACCESS, Errno::PERM, Errno::ISDIR, Errno::NAMETOOLONG];

/// The file system, which tests let fail.
pub(super) trait Files: fmt::Debug + Send + Sync {
    /// The metadata of the file at this path.
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        std::fs::metadata(path)
    }

    /// Opens the file at this path.
    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct System;

impl Files for System {}

/// A file that cannot be read; `Display` names it and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct FileError {
    what: String,
    /// How long the last content may stay in force.
    tolerated: Duration,
}

impl FileError {
    fn of(path: &Path, error: &io::Error) -> Self {
        let name = path.display();
        let what = match error.kind() {
            ErrorKind::NotFound => format!("{name} does not exist"),
            ErrorKind::PermissionDenied => format!("{name} may not be read by this user"),
            _ => format!("{name} cannot be read: {error}"),
        };
        let of_the_path = Errno::from_io_error(error).is_some_and(|errno| OF_THE_PATH.contains(&errno));
        Self { what, tolerated: if of_the_path { REPLACEMENT } else { NO_LOOK } }
    }

    fn wrong(path: &Path, what: &str, tolerated: Duration) -> Self {
        Self { what: format!("{} {what}", path.display()), tolerated }
    }
}

/// Reads a text file of at most `largest` bytes.
pub(super) fn read_text(files: &dyn Files, path: &Path, largest: u64) -> Result<SecretString, FileError> {
    let cannot = |error: io::Error| FileError::of(path, &error);
    // a pipe without a writer would block for ever
    if !files.metadata(path).map_err(cannot)?.is_file() {
        return Err(FileError::wrong(path, "is not a file", REPLACEMENT));
    }
    let mut bytes = Vec::new();
    files.open(path).map_err(cannot)?.take(largest + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > largest {
        return Err(FileError::wrong(path, &format!("is larger than {} KiB", largest / 1024), Duration::ZERO));
    }
    // the new content is in force, so that the old one is not, even where the new one is no text
    let text = String::from_utf8(bytes).map(SecretString::from);
    text.map_err(|_| FileError::wrong(path, "is not text in UTF-8", Duration::ZERO))
}

/// The last content of a file, for the time in which it cannot be read.
#[derive(Debug)]
pub(super) struct LastContent<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    content: Option<T>,
    /// When it ends, while the file cannot be read.
    until: Option<Instant>,
}

impl<T> Default for LastContent<T> {
    fn default() -> Self {
        Self(Mutex::new(State { content: None, until: None }))
    }
}

impl<T: Clone> LastContent<T> {
    /// The content in force: the one just read, or the last one for as long as the error allows. The time runs from the first
    /// error, so that changing errors do not keep an old content for ever.
    pub(super) fn or_last(&self, read: Result<T, FileError>) -> Result<T, FileError> {
        let mut state = self.0.lock().expect("no code panics while holding this lock");
        let error = match read {
            Ok(content) => {
                *state = State { content: Some(content.clone()), until: None };
                return Ok(content);
            }
            Err(error) => error,
        };
        let now = Instant::now();
        let first = state.until.is_none();
        let until = now + error.tolerated;
        let until = state.until.map_or(until, |earlier| earlier.min(until));
        state.until = Some(until);
        if now >= until {
            state.content = None;
        }
        let content = state.content.clone().ok_or_else(|| error.clone())?;
        if first {
            tracing::warn!(%error, seconds = error.tolerated.as_secs(), "file cannot be read, its last content stays in force");
        }
        Ok(content)
    }
}

/// A small text file with its last content.
#[derive(Debug)]
pub struct TextFile {
    path: PathBuf,
    files: Box<dyn Files>,
    last: LastContent<SecretString>,
}

impl TextFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, files: Box::new(System), last: LastContent::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The content in force, of at most `largest` bytes. The last one is used only while the system cannot open the file. A
    /// missing secret is reported immediately, unlike a missing tokens file: the run that needs it fails and can be retried.
    pub(super) fn read(&self, largest: u64) -> Result<SecretString, FileError> {
        let read = read_text(&*self.files, &self.path, largest);
        self.last.or_last(read.map_err(|error| match error.tolerated {
            NO_LOOK => error,
            _ => FileError { tolerated: Duration::ZERO, ..error },
        }))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use secrecy::ExposeSecret as _;
    use tokio::time::advance;

    use super::*;

    /// A file system that fails with an error of this number; 0: it does not.
    #[derive(Clone, Debug, Default)]
    pub(in crate::config) struct Failing(Arc<AtomicI32>);

    impl Failing {
        pub(in crate::config) fn with(&self, errno: Option<Errno>) {
            self.0.store(errno.map_or(0, Errno::raw_os_error), Ordering::Relaxed);
        }

        fn check(&self) -> io::Result<()> {
            match self.0.load(Ordering::Relaxed) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    impl Files for Failing {
        fn metadata(&self, path: &Path) -> io::Result<Metadata> {
            self.check()?;
            System.metadata(path)
        }

        fn open(&self, path: &Path) -> io::Result<File> {
            self.check()?;
            System.open(path)
        }
    }

    fn file(path: PathBuf) -> (TextFile, Failing) {
        let failing = Failing::default();
        (TextFile { files: Box::new(failing.clone()), ..TextFile::new(path) }, failing)
    }

    fn text(file: &TextFile) -> Option<String> {
        let read = file.last.or_last(read_text(&*file.files, &file.path, 1_024));
        read.ok().map(|text| text.expose_secret().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_missing_is_missed_at_once_and_one_that_cannot_be_looked_at_counts_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let (file, failing) = file(path);
        for (errno, seconds) in [(Errno::MFILE, 60), (Errno::STALE, 60), (Errno::NOENT, 0), (Errno::ACCESS, 0)] {
            failing.with(None);
            assert!(file.read(1_024).is_ok());
            failing.with(Some(errno));
            assert_eq!(file.read(1_024).is_ok(), seconds > 0, "{errno}");
            advance(Duration::from_secs(seconds)).await;
            assert!(file.read(1_024).is_err(), "{errno}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_looked_at_counts_for_a_minute_and_what_is_missing_for_five_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let minute =
            [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::STALE, Errno::NOMEM, Errno::NOTCONN, Errno::TIMEDOUT];
        let seconds = OF_THE_PATH;
        let cases = minute.map(|errno| (errno, 60)).into_iter().chain(seconds.map(|errno| (errno, 5)));
        for (errno, counts) in cases {
            std::fs::write(&path, "old").unwrap();
            let (file, failing) = file(path.clone());
            failing.with(Some(errno));
            assert_eq!(text(&file), None, "{errno}: nothing was read before");
            failing.with(None);
            assert_eq!(text(&file).as_deref(), Some("old"));
            // the time counts from the first failure: nobody may have asked for long
            advance(Duration::from_hours(1)).await;
            failing.with(Some(errno));
            assert_eq!(text(&file).as_deref(), Some("old"), "{errno}");
            advance(Duration::from_millis(counts * 1_000 - 1)).await;
            assert_eq!(text(&file).as_deref(), Some("old"), "{errno}");
            advance(Duration::from_millis(1)).await;
            assert_eq!(text(&file), None, "{errno}");
            // what can be read counts at once, also when it is empty
            std::fs::write(&path, "").unwrap();
            failing.with(None);
            assert_eq!(text(&file).as_deref(), Some(""), "{errno}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_that_change_keep_no_content_for_longer_than_the_shortest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let (file, failing) = file(path);
        assert!(text(&file).is_some());
        for (errno, after, counts) in [
            (Errno::MFILE, 0, true),
            (Errno::MFILE, 50, true),
            (Errno::NOENT, 0, true),
            (Errno::NOENT, 3, true),
            (Errno::MFILE, 1, true),
            (Errno::NOENT, 1, false),
            // and what is over stays over until the file is read
            (Errno::MFILE, 0, false),
        ] {
            advance(Duration::from_secs(after)).await;
            failing.with(Some(errno));
            assert_eq!(text(&file).is_some(), counts, "{errno} after {after} s");
        }
        failing.with(None);
        assert!(text(&file).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_took_a_files_place_may_be_replaced_and_what_a_file_holds_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (wrong, counts) in
            [("missing", true), ("directory", true), ("loop", true), ("large", false), ("latin", false)]
        {
            std::fs::write(&path, "old").unwrap();
            let (file, _) = file(path.clone());
            assert!(text(&file).is_some());
            std::fs::remove_file(&path).unwrap();
            match wrong {
                "directory" => std::fs::create_dir(&path).unwrap(),
                "loop" => std::os::unix::fs::symlink(&path, &path).unwrap(),
                "large" => std::fs::write(&path, "x".repeat(1_025)).unwrap(),
                "latin" => std::fs::write(&path, b"caf\xe9").unwrap(),
                _ => {}
            }
            assert_eq!(text(&file).is_some(), counts, "{wrong}");
            advance(REPLACEMENT).await;
            assert_eq!(text(&file), None, "{wrong}");
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
    }
}
