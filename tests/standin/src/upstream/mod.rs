//! A git server whose answers can be made wrong: the stand-in for the forge that is mirrored.
//!
//! Owns its bare repositories, its faults and its record of calls. One [`Upstream`] may be served over a
//! socket and in process at once; both see the same repositories. Never invents a ref list: a whole
//! answer is always its store's own.

mod http;
pub(crate) use http::{authorization, header_text};
mod repositories;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use tempfile::TempDir;

use crate::call::{Call, is_of_git};
use crate::clock::Clock;
use crate::fault::Unreached;
use crate::git::Git;
use crate::serve::{self, Served};
use crate::store::{Memory, Store};

/// Who is asking, by `User-Agent`: the `git` program (Gitea's children) or the service, which names itself after `git/…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Every reader.
    Everyone,
    /// Only the `git` program: what Gitea's clones and fetches get.
    Git,
    /// Everyone but the `git` program: what the service under test gets.
    Service,
}

/// What upstream answers instead of its refs.
#[derive(Clone, Debug)]
pub enum UpstreamFault {
    /// 200, git's own content type, nothing else.
    Empty200,
    /// 200, git's own content type, the service line and a flush.
    OneLine200,
    /// 200, `text/plain`, an empty body. Git takes it for a repository without refs.
    EmptyPlain,
    /// 200, one line of HTML without a newline. Git takes it for a repository without refs.
    Html,
    /// 200, an HTML page with line breaks.
    HtmlPage,
    /// A well-formed protocol v0 advertisement without refs.
    EmptyV0,
    /// There is no connection to break.
    Unreached(Unreached),
    /// Breaks the connection without an answer.
    Drop,
    /// This status with the body `no`; a 401 with a challenge, a 429 with `Retry-After`.
    Status(u16),
    /// This status with these headers, and the body `no`.
    Response(u16, Vec<(&'static str, String)>),
    /// This status with these headers and this body.
    Page(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Shows that it is git to anybody, and answers the second request with this status, as GitHub does to data centres.
    SecondRefused {
        /// The status.
        status: u16,
        /// Whether it gives its list by protocol v0, in one request.
        v0: bool,
    },
    /// These words as git's own error, in place of the list.
    GitError(&'static str),
    /// The right list, with an `Age` of so many seconds: out of a cache.
    Aged(u64),
    /// The right list of protocol v0, of a shallow repository.
    Shallow,
    /// The right list as a plain file: dumb HTTP.
    PlainFiles,
    /// Never answers.
    Hang,
    /// Waits, then goes on. By the clock of whoever serves: real time for what a socket in the background
    /// answers, a test's own for what is asked in process.
    Delay(Duration),
    /// Redirects (301) to the same repository under another path.
    Redirect,
    /// Speaks protocol v0 only.
    V0Only,
    /// The first bytes of the right answer, ended as if they were all.
    Truncate(usize),
    /// The first bytes of the right answer, then a broken connection.
    CutAfter(usize),
    /// The right answer in pieces of so many bytes, each after this pause. By the clock of whoever serves.
    Trickle(usize, Duration),
}

struct Script {
    repository: Option<String>,
    reader: Reader,
    fault: UpstreamFault,
    once: bool,
}

#[derive(Default)]
struct State {
    scripts: Vec<Script>,
    calls: Vec<Call>,
    credential: Option<(String, String)>,
    /// Repositories whose pushes some readers do not see yet.
    lags: Vec<(String, Reader)>,
    url: Option<String>,
    commits: i64,
}

struct Inner {
    /// `None` in memory.
    folder: Option<TempDir>,
    store: Store,
    clock: Clock,
    repeats: Arc<AtomicBool>,
    state: Mutex<State>,
}

/// A handle on the upstream server; clones share everything.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
    /// Outside of `inner`, which a request that never ends may hold: the last handle ends the thread, and
    /// with it that request.
    background: Arc<Mutex<Option<Served>>>,
}

/// Real time after which a git child of the server is killed.
const BACKEND_LIMIT: Duration = Duration::from_mins(1);

impl Upstream {
    /// An upstream without repositories, not yet listening. `base` is the wall time it starts at.
    ///
    /// # Panics
    ///
    /// Without a writable folder for temporary files.
    #[must_use]
    pub fn new(base: SystemTime) -> Self {
        let folder = TempDir::with_prefix("upstream-").expect("tests need a folder for temporary files");
        let git = Git::new(folder.path(), BACKEND_LIMIT);
        Self::over(base, Store::Git(git), Some(folder))
    }

    /// An upstream whose refs are in memory, for calls in process: `authority` is the host and port that its
    /// addresses name. Nothing listens there.
    #[must_use]
    pub fn in_memory(base: SystemTime, authority: &str) -> Self {
        // it serves, and fetches nothing
        let upstream = Self::over(base, Store::Memory(Memory::new(Duration::ZERO)), None);
        upstream.state().url = Some(format!("http://{authority}"));
        upstream
    }

    fn over(base: SystemTime, store: Store, folder: Option<TempDir>) -> Self {
        let inner =
            Inner { folder, store, clock: Clock::new(base, 1), repeats: Arc::default(), state: Mutex::default() };
        Self { inner: Arc::new(inner), background: Arc::default() }
    }

    /// An upstream that listens on a port of the loopback address, served by a thread of its own.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    #[must_use]
    pub fn start(base: SystemTime) -> Self {
        let upstream = Self::new(base);
        upstream.serve_in_background().expect("tests need a port of the loopback address");
        upstream
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no code panics while holding this lock")
    }

    /// Serves from a thread with a clock of its own until the last handle is dropped: what git children
    /// need while a test's time is paused. A second call changes nothing.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub fn serve_in_background(&self) -> io::Result<()> {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        if background.is_some() {
            return Ok(());
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let repeats = Arc::clone(&self.inner.repeats);
        let served = serve::in_background_repeating(address, self.router(), repeats)?;
        self.state().url = Some(served.url.clone());
        *background = Some(served);
        Ok(())
    }

    /// Serves in the current runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub fn serve(&self, address: SocketAddr) -> io::Result<Served> {
        let served = serve::here(address, self.router())?;
        self.state().url = Some(served.url.clone());
        Ok(served)
    }

    /// The server as a router, for calls in process. It answers for as long as a handle is there.
    pub fn router(&self) -> Router {
        http::router(Arc::downgrade(&self.inner))
    }

    /// The address of a repository, such as `http://127.0.0.1:40123/one.git`.
    ///
    /// # Panics
    ///
    /// Before anything was served.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let url = self.state().url.clone().expect("serve the upstream before asking for its address");
        format!("{url}/{name}.git")
    }

    /// Makes every answer wrong, for everyone, until [`Upstream::clear_faults`].
    pub fn fault(&self, fault: UpstreamFault) {
        self.fault_for(Reader::Everyone, fault);
    }

    /// Makes every answer wrong for one kind of reader, until [`Upstream::clear_faults`].
    pub fn fault_for(&self, reader: Reader, fault: UpstreamFault) {
        self.state().scripts.push(Script { repository: None, reader, fault, once: false });
    }

    /// Makes the next answer wrong for one kind of reader.
    pub fn fault_once(&self, reader: Reader, fault: UpstreamFault) {
        self.state().scripts.push(Script { repository: None, reader, fault, once: true });
    }

    /// Makes every answer about one repository wrong, until [`Upstream::clear_faults`].
    pub fn fault_at(&self, name: &str, reader: Reader, fault: UpstreamFault) {
        let repository = Some(name.to_owned());
        self.state().scripts.push(Script { repository, reader, fault, once: false });
    }

    /// From now on this reader sees a repository as it is now, whatever is pushed, until [`Upstream::catch_up`]: a forge
    /// some of whose servers lag behind.
    pub fn lag(&self, name: &str, reader: Reader) {
        self.inner.store.copy(&self.git_dir(name), &self.inner.git_dir(&lagging(name)));
        self.state().lags.push((name.to_owned(), reader));
    }

    /// Shows every reader a repository as it is.
    pub fn catch_up(&self, name: &str) {
        self.state().lags.retain(|(lagging, _)| lagging != name);
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        self.state().scripts.clear();
    }

    /// Sends, on each connection that is made from now on to what [`Upstream::serve_in_background`] serves, the answer before
    /// once more ahead of each answer but the first, as a proxy does that has lost count.
    pub fn repeat_answers(&self) {
        self.inner.repeats.store(true, Ordering::Relaxed);
    }

    /// Asks for Basic authentication with this user and password from now on; `None`: for nothing.
    pub fn require(&self, credential: Option<(&str, &str)>) {
        self.state().credential = credential.map(|(user, password)| (user.to_owned(), password.to_owned()));
    }

    /// Every request so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_calls(&self) {
        self.state().calls.clear();
    }

    /// The folder of a bare repository.
    #[must_use]
    pub fn git_dir(&self, name: &str) -> PathBuf {
        self.inner.git_dir(name)
    }
}

/// The name under which a repository is kept as it was.
fn lagging(name: &str) -> String {
    format!("{name}.lagging")
}

impl Reader {
    /// Whether a request with this `User-Agent` is this reader's.
    fn is(self, agent: &str) -> bool {
        let is_git = is_of_git(agent);
        match self {
            Self::Everyone => true,
            Self::Git => is_git,
            Self::Service => !is_git,
        }
    }
}

impl Inner {
    fn git_dir(&self, name: &str) -> PathBuf {
        let folder = self.folder.as_ref().map_or(Path::new("/"), TempDir::path);
        folder.join(format!("{name}.git"))
    }
}
