//! The stand-in Gitea: its handle, its options and its settings. The handle is what tests and the demo
//! hold; how a request is answered lives in the modules below.
//!
//! Database rows are in [`state`], repositories are real bare ones in a temporary folder laid out as
//! Gitea's: `<owner>/<name>.git`.

mod answer;
mod auth;
mod cron;
mod dispatch;
mod fixtures;
mod gate;
mod git_http;
mod migrate;
mod migrate_checks;
mod misc;
mod owners;
mod patch;
mod refs_api;
mod repository;
mod route;
mod state;
mod sync;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use tempfile::TempDir;
use tokio::sync::watch;

pub use fixtures::View;

use crate::clock::Clock;
use crate::git::Git;
use crate::profile::Profile;
use crate::serve::{self, Served};
use crate::store::{Memory, Store};
use state::State;

/// How a stand-in is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which server to be.
    pub profile: Profile,
    /// The wall time at the start; it then runs with tokio's clock.
    pub base: SystemTime,
    /// Divides every delay of Gitea's own, such as the queue's. 1 is as real servers are.
    pub speed: u32,
    /// `ROOT_URL`, which appears inside answers.
    pub root_url: String,
    /// Time after which a git child is killed, as `[git.timeout]` does. Real time, since a child that hangs
    /// cannot be timed out in virtual time; tokio's in memory, where there is no child.
    pub git_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::Gitea126,
            base: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_440_861),
            speed: 1,
            root_url: "http://gitea.test:3000".to_owned(),
            git_timeout: Duration::from_secs(20),
        }
    }
}

/// What an operator would write into `app.ini`, and what befalls a server as a whole.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of app.ini")]
pub struct Settings {
    /// `[mirror] MIN_INTERVAL`.
    pub min_interval: Duration,
    /// `[mirror] DEFAULT_INTERVAL`.
    pub default_interval: Duration,
    /// `[mirror] ENABLED = false`: no migrate, no sync, no cron.
    pub mirror_feature_off: bool,
    /// `[mirror] DISABLE_NEW_PULL`.
    pub new_pull_disabled: bool,
    /// `[repository] DISABLE_MIGRATIONS`.
    pub migrations_disabled: bool,
    /// `[repository] DISABLE_HTTP_GIT`.
    pub http_git_disabled: bool,
    /// `[repository] FORCE_PRIVATE`.
    pub force_private: bool,
    /// `[repository] MAX_CREATION_LIMIT`.
    pub creation_limit: Option<usize>,
    /// `[migrations] ALLOW_LOCALNETWORKS`; on, because every upstream of a test is local.
    pub allow_local_networks: bool,
    /// `[migrations] BLOCKED_DOMAINS`: hosts that are refused whatever they are.
    pub blocked_hosts: Vec<String>,
    /// `[service] REQUIRE_SIGNIN_VIEW`.
    pub require_signin: bool,
    /// `[admin] DISABLE_REGULAR_ORG_CREATION`.
    pub regular_org_creation_disabled: bool,
    /// Forgejo's quota is used up for every owner.
    pub quota_exceeded: bool,
    /// Not installed yet: the install page answers everything.
    pub not_installed: bool,
    /// Maintenance mode, of Gitea 1.26 and later.
    pub maintenance: bool,
    /// How long a queued sync waits until it begins. Real servers: 0.5 to 2 s.
    pub queue_delay: Duration,
    /// `[cron.update_mirrors]`: the distance of its ticks. `None`: no cron.
    pub cron: Option<Duration>,
    /// How long the check of a password takes: a busy machine, LDAP. A token is found at once. `None`: no time.
    pub password_check: Option<Duration>,
    /// Answers 500 to a changed default branch while another change is queued, where the profile does.
    pub default_branch_500: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_mins(10),
            default_interval: Duration::from_hours(8),
            mirror_feature_off: false,
            new_pull_disabled: false,
            migrations_disabled: false,
            http_git_disabled: false,
            force_private: false,
            creation_limit: None,
            allow_local_networks: true,
            blocked_hosts: Vec::new(),
            require_signin: false,
            regular_org_creation_disabled: false,
            quota_exceeded: false,
            not_installed: false,
            maintenance: false,
            queue_delay: Duration::from_millis(500),
            cron: None,
            password_check: None,
            default_branch_500: true,
        }
    }
}

struct Inner {
    /// `None` in memory.
    folder: Option<TempDir>,
    store: Store,
    clock: Clock,
    profile: Profile,
    root_url: String,
    state: Mutex<State>,
    /// Counts the lives of the server: whatever was begun in an earlier one must change nothing.
    life: watch::Sender<u64>,
}

/// A handle on the stand-in; clones share everything.
#[derive(Clone)]
pub struct Gitea {
    inner: Arc<Inner>,
}

impl Gitea {
    /// A server without accounts or repositories.
    ///
    /// # Panics
    ///
    /// Without a writable folder for temporary files.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let folder = TempDir::with_prefix("gitea-").expect("tests need a folder for temporary files");
        let git = Git::new(folder.path(), options.git_timeout);
        let gitea = Self::over(options, Store::Git(git), Some(folder));
        std::fs::create_dir_all(gitea.inner.repositories()).expect("the folder is ours");
        gitea
    }

    /// A server without accounts or repositories whose refs are in memory. It fetches from those only that
    /// [`Gitea::reach`] names.
    #[must_use]
    pub fn in_memory(options: Options) -> Self {
        let memory = Memory::new(options.git_timeout);
        Self::over(options, Store::Memory(memory), None)
    }

    fn over(options: Options, store: Store, folder: Option<TempDir>) -> Self {
        let inner = Inner {
            store,
            clock: Clock::new(options.base, options.speed),
            profile: options.profile,
            root_url: options.root_url,
            state: Mutex::default(),
            life: watch::Sender::new(0),
            folder,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lets a server whose refs are in memory fetch from a router, found by host and port. A server with real
    /// git needs a socket, and ignores this.
    pub fn reach(&self, authority: &str, router: Router) {
        if let Store::Memory(memory) = &self.inner.store {
            memory.reach(authority, router);
        }
    }

    /// Which server this is.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.inner.profile
    }

    /// Now, by the stand-in's clock: what its `Date` headers say.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.inner.clock.system_time()
    }

    /// The server as a router, for calls in process.
    pub fn router(&self) -> Router {
        let gitea = self.clone();
        Router::new().fallback(move |request: Request| {
            let gitea = gitea.clone();
            async move { gitea.handle(request).await }
        })
    }

    /// Listens in the current runtime. Port 0 takes any.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub fn serve(&self, address: SocketAddr) -> io::Result<Served> {
        serve::here(address, self.router())
    }

    /// Listens from a thread with a runtime, and so a clock, of its own.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub fn serve_in_background(&self, address: SocketAddr) -> io::Result<Served> {
        serve::in_background(address, self.router())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no code panics while holding this lock")
    }

    fn life(&self) -> u64 {
        *self.inner.life.borrow()
    }

    fn git_dir_of(&self, owner: &str, name: &str) -> PathBuf {
        self.inner.repositories().join(owner.to_lowercase()).join(format!("{}.git", name.to_lowercase()))
    }
}

impl Inner {
    /// A name for the repositories alone in memory.
    fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new("/"), TempDir::path)
    }

    fn repositories(&self) -> PathBuf {
        self.folder().join("data").join("repositories")
    }
}
