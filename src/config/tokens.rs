//! The tokens file: the callers and their roles, checked at each use.
//!
//! Owns its form and the comparison, which takes the same time whichever line matches or none. Keeps digests, never a token.
//! The content is cached only while the file is certainly unchanged: checking the metadata is a tenth of the work of reading,
//! and one check serves all callers of the same millisecond. What is in force while the file cannot be read is `text_file`'s.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::text_file::{self, FileError, Files, LastContent, System, read_text};
use crate::domain::access::{Principal, Role};

type Hash = [u8; 32];

/// The longest token that is compared: headers are not much longer.
const LONGEST_TOKEN: usize = 4_096;

/// Shorter tokens are warned about: 20 characters of base64 are 120 bits.
const SHORT_TOKEN: usize = 20;

/// The longest clock tick of a file system in use (FAT's). Two writes within one tick leave the same metadata.
const LONGEST_TICK: Duration = Duration::from_secs(2);

/// How long one check of the metadata is valid: less than replacing a file and calling over a network takes.
const CHECK_VALIDITY: Duration = Duration::from_millis(1);

/// The tokens file cannot be read, and its last content is no longer in force; `Display` names it and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokensError(String);

/// The callers of a file.
#[derive(Debug)]
pub struct TokensFile {
    path: PathBuf,
    files: Box<dyn Files>,
    last: LastContent<Arc<Content>>,
    /// The digest of the content whose bad lines were logged: they are logged once.
    logged: Mutex<Option<Hash>>,
    cache: Mutex<Option<Cached>>,
    /// The clock tick of its file system.
    tick: Duration,
    check_validity: Duration,
}

/// A content, and the metadata of the file that it was read from.
#[derive(Debug)]
struct Cached {
    of: Stamp,
    /// When the file first had this metadata.
    since: Instant,
    /// When it last had it.
    checked: Instant,
    /// `None`: the file may be written again within the same tick, so it is read each time.
    content: Option<Arc<Content>>,
}

/// The metadata that changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// A valid line.
#[derive(Debug)]
struct Entry {
    principal: Principal,
    token: Hash,
}

/// The lines of a file.
#[derive(Debug)]
pub(super) struct Content {
    entries: Vec<Entry>,
    /// Invalid lines by number, with what would be right.
    pub(super) bad: Vec<(u64, String)>,
    /// Lines with weak tokens, with what would be better.
    pub(super) weak: Vec<(u64, String)>,
}

impl Content {
    /// The number of callers.
    pub(super) fn callers(&self) -> usize {
        self.entries.len()
    }
}

impl TokensFile {
    /// The file at `path`, which is not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            files: Box::new(System),
            last: LastContent::default(),
            logged: Mutex::new(None),
            cache: Mutex::new(None),
            tick: LONGEST_TICK,
            check_validity: CHECK_VALIDITY,
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The caller with this token, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read: then no caller can be authenticated or refused.
    pub fn authenticate(&self, presented: &str) -> Result<Option<Principal>, TokensError> {
        let content = self.content()?;
        if presented.is_empty() || presented.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        let presented: Hash = Sha256::digest(presented.as_bytes()).into();
        let mut found = None;
        for entry in &content.entries {
            let same: Choice = entry.token.ct_eq(&presented);
            if bool::from(same) && found.is_none() {
                found = Some(entry.principal.clone());
            }
        }
        Ok(found)
    }

    /// The content in force: the cached one while the file is certainly unchanged, or the last one while it cannot be read.
    ///
    /// # Errors
    /// As for [`authenticate`](Self::authenticate).
    #[expect(clippy::disallowed_methods, reason = "the times of a file do not follow a test's paused clock")]
    pub(super) fn content(&self) -> Result<Arc<Content>, TokensError> {
        // an error is reported by the read that follows
        let stamp = || self.files.metadata(&self.path).ok().map(Stamp::from);
        let began = Instant::now();
        if let Some(content) = self.recently_checked(began) {
            return Ok(content);
        }
        let before = stamp();
        let read = match self.cached_for(before, began) {
            Some(content) => Ok(content),
            None => self.read().map(Arc::new).inspect(|content| {
                if let Some(of) = before.filter(|_| before == stamp()) {
                    self.cache_content(of, began, content);
                }
            }),
        };
        self.last.or_last(read).map_err(|error| TokensError(error.to_string()))
    }

    /// Whether callers can be authenticated now.
    ///
    /// # Errors
    /// As for [`authenticate`](Self::authenticate).
    pub fn ready(&self) -> Result<(), TokensError> {
        self.content().map(drop)
    }

    fn recently_checked(&self, now: Instant) -> Option<Arc<Content>> {
        let cached = self.cache.lock().expect("no code panics while holding this lock");
        cached.as_ref().filter(|cached| now.duration_since(cached.checked) < self.check_validity)?.content.clone()
    }

    fn cached_for(&self, stamp: Option<Stamp>, now: Instant) -> Option<Arc<Content>> {
        let mut cached = self.cache.lock().expect("no code panics while holding this lock");
        let cached = cached.as_mut().filter(|cached| Some(cached.of) == stamp)?;
        cached.checked = now;
        cached.content.clone()
    }

    /// Caches a content that was read from `began` on, with the same metadata before and after.
    fn cache_content(&self, of: Stamp, began: Instant, content: &Arc<Content>) {
        let mut cached = self.cache.lock().expect("no code panics while holding this lock");
        let since = cached.as_ref().filter(|cached| cached.of == of).map_or(began, |cached| cached.since);
        let certain = began.duration_since(since) >= self.tick;
        *cached = Some(Cached { of, since, checked: began, content: certain.then(|| Arc::clone(content)) });
    }

    /// Reads and parses the file; invalid lines are logged once for each content.
    fn read(&self) -> Result<Content, FileError> {
        let text = read_text(&*self.files, &self.path, text_file::LARGEST)?;
        let text = text.expose_secret();
        let content = parse(text);
        if !content.bad.is_empty() {
            let digest: Hash = Sha256::digest(text.as_bytes()).into();
            let mut logged = self.logged.lock().expect("no code panics while holding this lock");
            if *logged != Some(digest) {
                *logged = Some(digest);
                for (line, what) in &content.bad {
                    tracing::warn!(file = %self.path.display(), line, error = what, "invalid line of the tokens file ignored");
                }
            }
        }
        Ok(content)
    }
}

impl fmt::Display for TokensFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

fn parse(text: &str) -> Content {
    let mut content = Content { entries: Vec::new(), bad: Vec::new(), weak: Vec::new() };
    for (number, line) in (1..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Ok((entry, weak)) => {
                if content.entries.iter().any(|other| bool::from(other.token.ct_eq(&entry.token))) {
                    content.bad.push((number, "an earlier line has this token already".to_owned()));
                    continue;
                }
                if weak {
                    content.weak.push((
                        number,
                        format!(
                            "the token has fewer than {SHORT_TOKEN} characters and can be \
                        guessed; `openssl rand -hex 32` makes a good one"
                        ),
                    ));
                }
                content.entries.push(entry);
            }
            Err(what) => content.bad.push((number, what.to_owned())),
        }
    }
    content
}

fn entry(line: &str) -> Result<(Entry, bool), &'static str> {
    let mut words = line.split_whitespace();
    let (Some(role), Some(name), Some(token), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("write `role name token` or `role name sha256:HEX`, three words");
    };
    let role = Role::from_label(role).ok_or("the first word is a role, viewer or operator")?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name.len() > 63 || !name.chars().all(word) {
        return Err("the second word is a name of at most 63 letters, digits and -_.@");
    }
    let (token, weak) = match token.strip_prefix("sha256:") {
        Some(hex) => {
            (digest_from_hex(hex).ok_or("after sha256: come the 64 hexadecimal digits of the token's digest")?, false)
        }
        None if token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            return Err("a token has at most 4096 ASCII characters");
        }
        None => (Sha256::digest(token.as_bytes()).into(), token.len() < SHORT_TOKEN),
    };
    Ok((Entry { principal: Principal { name: name.to_owned(), role }, token }, weak))
}

fn digest_from_hex(hex: &str) -> Option<Hash> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = Hash::default();
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use tokio::time::advance;

    use super::super::text_file::tests::Failing;
    use super::*;

    fn names(file: &TokensFile) -> Vec<Option<String>> {
        let of = |token| file.authenticate(token).unwrap().map(|principal| principal.name);
        vec![of("first-token-of-the-file"), of("second-token-of-the-file")]
    }

    #[test]
    fn a_file_that_stays_as_it_is_is_read_once_and_a_changed_or_replaced_one_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "operator a first-token-of-the-file\n").unwrap();
        let file = TokensFile { tick: Duration::ZERO, check_validity: Duration::ZERO, ..TokensFile::new(path.clone()) };
        let (one, two) = (file.content().unwrap(), file.content().unwrap());
        assert!(Arc::ptr_eq(&one, &two), "nothing has changed");
        assert_eq!(names(&file), [Some("a".to_owned()), None]);
        // as kubelet does it: another file takes the name
        let other = folder.path().join("other");
        std::fs::write(&other, "operator b second-token-of-the-file\n").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(names(&file), [None, Some("b".to_owned())]);
        std::fs::write(&path, "").unwrap();
        assert_eq!(names(&file), [None, None]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_file_cannot_be_looked_at_its_last_content_counts_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "operator a first-token-of-the-file\n").unwrap();
        // read each time, as within a tick, and from memory, as after it
        for tick in [LONGEST_TICK, Duration::ZERO] {
            let failing = Failing::default();
            let files = Box::new(failing.clone());
            let file = TokensFile { files, tick, check_validity: Duration::ZERO, ..TokensFile::new(path.clone()) };
            assert_eq!(names(&file), [Some("a".to_owned()), None]);
            failing.with(Some(Errno::MFILE));
            assert_eq!(names(&file), [Some("a".to_owned()), None]);
            advance(Duration::from_secs(59)).await;
            assert_eq!(names(&file), [Some("a".to_owned()), None]);
            advance(Duration::from_secs(1)).await;
            for _ in 0..2 {
                let error = file.authenticate("first-token-of-the-file").unwrap_err();
                assert!(error.to_string().contains("Too many open files"), "{error}");
                assert!(file.ready().is_err());
            }
            failing.with(None);
            assert_eq!(names(&file), [Some("a".to_owned()), None]);
            assert_eq!(file.ready(), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_replaced_in_two_steps_is_never_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "operator a first-token-of-the-file\n").unwrap();
        let file = TokensFile { check_validity: Duration::ZERO, ..TokensFile::new(path.clone()) };
        assert_eq!(names(&file), [Some("a".to_owned()), None]);
        std::fs::remove_file(&path).unwrap();
        advance(Duration::from_secs(4)).await;
        assert_eq!(names(&file), [Some("a".to_owned()), None]);
        // as an editor without a newline at the end, and then emptied: both count at once
        std::fs::write(&path, "operator b second-token-of-the-file").unwrap();
        assert_eq!(names(&file), [None, Some("b".to_owned())]);
        std::fs::write(&path, "").unwrap();
        assert_eq!(names(&file), [None, None]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(names(&file), [None, None], "an empty list is a list");
        advance(Duration::from_secs(5)).await;
        assert!(file.authenticate("second-token-of-the-file").is_err());
    }

    #[test]
    fn a_file_that_may_be_written_again_within_the_same_tick_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "operator a first-token-of-the-file\n").unwrap();
        let file = TokensFile::new(path);
        let (one, two) = (file.content().unwrap(), file.content().unwrap());
        assert!(!Arc::ptr_eq(&one, &two));
    }
}
