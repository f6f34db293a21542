//! The one driver of the suite: a service, a Gitea and an upstream, and what a test does with them.
//!
//! Gitea is the stand-in, in process and on paused time; or, given `CUTOVER_TEST_GITEA_URL` and
//! `CUTOVER_TEST_GITEA_TOKEN`, a real server over a socket and on real time, for the tests that say they run on both.

mod event_reader;
mod in_process;
mod recorder;
mod requests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use cutover_api::app::{self, Service};
use cutover_api::clock::Clock;
use cutover_api::config;
use cutover_api::journal::Journal;
use cutover_api::shutdown::Shutdown;
use cutover_api::transport::{HttpTransport, Transport};
use standin::{Gitea, Options, Profile, Upstream};
use tempfile::TempDir;

pub(crate) use event_reader::Heard;
pub(crate) use in_process::InProcess;
pub(crate) use recorder::{Loss, Sent};
pub(crate) use requests::{Answer, id, plan};

use recorder::Recorder;

/// Where the stand-in is found.
pub(crate) const GITEA: &str = "gitea.test:3000";

/// The operator's token.
pub(crate) const OPERATOR: &str = "operator-token-0123456789abcdef";

/// The viewer's token.
pub(crate) const VIEWER: &str = "viewer-token-0123456789abcdef";

/// Runs a test against the stand-in, on paused time.
pub(crate) fn story(test: impl AsyncFnOnce(World)) {
    story_on(Profile::Gitea126, test);
}

/// Runs a test against one profile of the stand-in, on paused time.
pub(crate) fn story_on(profile: Profile, test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { test(World::standin(profile)).await });
}

/// Runs a test against every profile of the stand-in, and against the real server if one is given.
pub(crate) fn story_everywhere(test: impl AsyncFn(World)) {
    if let Some((url, token)) = real_server() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { test(World::real(&url, &token)).await });
        return;
    }
    for profile in Profile::ALL {
        story_on(profile, async |world| test(world).await);
    }
}

/// Runs a test against one profile of the stand-in, or against the real server if one is given.
pub(crate) fn story_anywhere(test: impl AsyncFn(World)) {
    match real_server() {
        Some(_) => story_everywhere(test),
        None => story(async |world| test(world).await),
    }
}

/// The real server that the environment names.
fn real_server() -> Option<(String, String)> {
    let get = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let url = get("CUTOVER_TEST_GITEA_URL")?;
    let token = get("CUTOVER_TEST_GITEA_TOKEN").expect("CUTOVER_TEST_GITEA_TOKEN goes with CUTOVER_TEST_GITEA_URL");
    Some((url, token))
}

/// The wall clock of a story: it begins where the stand-in's does and goes with tokio's time.
#[derive(Debug)]
pub(crate) struct StoryClock {
    base: jiff::Timestamp,
    began: tokio::time::Instant,
}

impl StoryClock {
    fn beginning_at(base: SystemTime) -> Self {
        Self { base: base.try_into().unwrap(), began: tokio::time::Instant::now() }
    }
}

impl Clock for StoryClock {
    fn now(&self) -> jiff::Timestamp {
        self.base + jiff::SignedDuration::try_from(self.began.elapsed()).unwrap()
    }
}

/// Everything that a test has in its hands.
pub(crate) struct World {
    /// `None`: a real server.
    standin: Option<Gitea>,
    pub(crate) upstream: Upstream,
    pub(crate) transport: Arc<dyn Transport>,
    recorder: Arc<Recorder>,
    pub(crate) in_process: InProcess,
    /// Secrets, tokens and state.
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<StoryClock>,
    pub(crate) gitea_url: String,
    pub(crate) gitea_token: String,
    /// The organisation of this story.
    pub(crate) owner: String,
    /// What goes into the configuration of the mirror `one` beside name, upstream and target.
    pub(crate) extra: String,
    /// The service is started without the tokens file.
    pub(crate) without_tokens_file: bool,
    service: Option<Service>,
    shutdown: Shutdown,
    journal: Option<Journal>,
}

impl World {
    fn standin(profile: Profile) -> Self {
        let options = Options { profile, ..Options::default() };
        let base = options.base;
        let gitea = Gitea::new(options);
        gitea.add_user("root1", "Passw0rd-test", true);
        gitea.add_user("bot", "Passw0rd-test", false);
        let token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
        let upstream = Upstream::start(base);
        let in_process = InProcess::default()
            .at(GITEA, gitea.router())
            .at(&upstream.url("x").replace("http://", "").replace("/x.git", ""), upstream.router());
        let transport = Arc::new(in_process.clone());
        let address = (format!("http://{GITEA}"), token, "openova".to_owned());
        Self::over(Some(gitea), upstream, transport, in_process, base, address)
    }

    fn real(url: &str, token: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a real server has the real time")]
        let base = SystemTime::now();
        let upstream = Upstream::start(base);
        let transport = Arc::new(HttpTransport::new(None).unwrap());
        // whole: two of one millisecond differ in their last digits
        let owner = format!("t{}", uuid::Uuid::now_v7().simple());
        let address = (url.trim_end_matches('/').to_owned(), token.to_owned(), owner);
        Self::over(None, upstream, transport, InProcess::default(), base, address)
    }

    fn over(
        standin: Option<Gitea>,
        upstream: Upstream,
        transport: Arc<dyn Transport>,
        in_process: InProcess,
        base: SystemTime,
        (gitea_url, gitea_token, owner): (String, String, String),
    ) -> Self {
        upstream.create_sample("one");
        let recorder = Arc::new(Recorder::new(transport, &gitea_url, &owner));
        let world = Self {
            standin,
            upstream,
            transport: recorder.clone(),
            recorder,
            in_process,
            folder: TempDir::with_prefix("cutover-").unwrap(),
            clock: Arc::new(StoryClock::beginning_at(base)),
            gitea_url,
            gitea_token,
            owner,
            extra: String::new(),
            without_tokens_file: false,
            service: None,
            shutdown: Shutdown::new(),
            journal: None,
        };
        world.write_secrets();
        world
    }

    /// Whether Gitea is a real server.
    pub(crate) fn is_real(&self) -> bool {
        self.standin.is_none()
    }

    /// The stand-in.
    #[track_caller]
    pub(crate) fn gitea(&self) -> &Gitea {
        self.standin.as_ref().expect("this test runs on the stand-in only")
    }

    /// Where a file of this story is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_secrets(&self) {
        std::fs::write(self.path("gitea-token"), &self.gitea_token).unwrap();
        std::fs::write(self.path("tokens"), format!("operator ops {OPERATOR}\nviewer eyes {VIEWER}\n")).unwrap();
    }

    /// The configuration of the mirror `one`.
    pub(crate) fn yaml(&self) -> String {
        self.yaml_of(&[("one", "one", "one", &self.extra)])
    }

    /// A configuration: name, upstream repository, target repository, and more lines for each mirror.
    pub(crate) fn yaml_of(&self, mirrors: &[(&str, &str, &str, &str)]) -> String {
        let mut yaml = format!(
            "gitea:\n  url: {}\n  tokenFile: {}\nmirrors:\n",
            self.gitea_url,
            self.path("gitea-token").display()
        );
        for (name, upstream, repo, extra) in mirrors {
            let (url, owner) = (self.upstream.url(upstream), &self.owner);
            yaml += &format!(
                "  - name: {name}\n    upstream: {{ url: {url}, branch: main }}\n    target: {{ owner: {owner}, repo: {repo} }}\n"
            );
            for line in extra.lines() {
                yaml += &format!("    {line}\n");
            }
        }
        yaml
    }

    /// Starts the service with the mirror `one`.
    pub(crate) async fn start(&mut self) {
        let yaml = self.yaml();
        self.start_with(&yaml).await;
    }

    /// Starts the service with a configuration, on the journal of the service before it, if there was one.
    pub(crate) async fn start_with(&mut self, yaml: &str) {
        std::fs::write(self.path("config.yaml"), yaml).unwrap();
        let options = config::Options {
            config: Some(self.path("config.yaml")),
            tokens_file: (!self.without_tokens_file).then(|| self.path("tokens")),
            ..config::Options::default()
        };
        let loaded = config::load(&options, &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        let journal = self.journal.get_or_insert_with(|| Journal::in_memory().unwrap()).clone();
        self.shutdown = Shutdown::new();
        let transport = Arc::clone(&self.transport);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let metrics = app::metrics_for(&loaded.config);
        let service =
            app::assemble(&loaded.config, transport, clock, journal, metrics, self.shutdown.clone()).await.unwrap();
        self.service = Some(service);
    }

    /// Executes a statement in the journal that is kept on disk.
    pub(crate) fn tamper_with_the_journal(&self, statement: &str) {
        let file = self.path("state").join(cutover_api::journal::FILE);
        rusqlite::Connection::open(file).unwrap().execute_batch(statement).unwrap();
    }

    /// Opens the journal in a file before the service starts.
    pub(crate) fn keep_the_journal_on_disk(&mut self) {
        self.journal = Some(Journal::open(&self.path("state")).unwrap());
    }

    /// The same, where the disk may take nothing now.
    pub(crate) fn keep_the_journal_on_a_disk_that_may_be_full(&mut self) {
        self.journal = Some(Journal::open_or_wait(&self.path("state")).unwrap());
    }

    /// Ends the service as a crash does: nothing is waited for. The journal stays.
    pub(crate) fn crash(&mut self) {
        self.shutdown.force();
        self.service = None;
    }

    /// Asks the service to end, as SIGTERM does.
    pub(crate) fn begin_the_end(&self) {
        self.shutdown.begin();
    }

    /// Ends the service and forgets its journal.
    pub(crate) fn lose_the_journal(&mut self) {
        self.crash();
        self.journal = None;
    }
}
