//! The one driver of the suite: a service, a Gitea and an upstream, and what a test does with them.
//!
//! Gitea is the stand-in, in process and on paused time; or, given `CUTOVER_TEST_GITEA_URL` and
//! `CUTOVER_TEST_GITEA_TOKEN`, a real server over a socket and on real time, for the tests that say they run on both.

mod in_process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use cutover_api::app::{self, Service};
use cutover_api::clock::Clock;
use cutover_api::config;
use cutover_api::journal::Journal;
use cutover_api::shutdown::Shutdown;
use cutover_api::transport::{HttpTransport, Transport};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use standin::{Gitea, Options, Profile, Upstream};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub use in_process::InProcess;

/// Where the stand-in is found.
pub const GITEA: &str = "gitea.test:3000";

/// The operator's token.
pub const OPERATOR: &str = "operator-token-0123456789abcdef";

/// The viewer's token.
pub const VIEWER: &str = "viewer-token-0123456789abcdef";

/// Runs a test against the stand-in, on paused time.
pub fn story(test: impl AsyncFnOnce(World)) {
    story_on(Profile::Gitea126, test);
}

/// Runs a test against one profile of the stand-in, on paused time.
pub fn story_on(profile: Profile, test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { test(World::standin(profile)).await });
}

/// Runs a test against every profile of the stand-in, and against the real server if one is given.
pub fn story_everywhere(test: impl AsyncFn(World)) {
    if let Some((url, token)) = real_server() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { test(World::real(&url, &token)).await });
        return;
    }
    for profile in Profile::ALL {
        story_on(profile, async |world| test(world).await);
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
pub struct StoryClock {
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

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The code of the problem that this answer is.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        let body = self.json();
        for member in ["type", "title", "status", "detail", "error", "retryable", "remedy"] {
            assert!(body.get(member).is_some(), "a problem without `{member}`: {body}");
        }
        assert_eq!(body["status"], self.status.as_u16());
        body["error"].as_str().unwrap().to_owned()
    }
}

/// Everything that a test has in its hands.
pub struct World {
    /// `None`: a real server.
    standin: Option<Gitea>,
    pub upstream: Upstream,
    pub transport: Arc<dyn Transport>,
    pub in_process: InProcess,
    /// Secrets, tokens and state.
    pub folder: TempDir,
    pub clock: Arc<StoryClock>,
    pub gitea_url: String,
    pub gitea_token: String,
    /// The organisation of this story.
    pub owner: String,
    /// What goes into the configuration of the mirror `one` beside name, upstream and target.
    pub extra: String,
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
        let mut world = Self::over(Some(gitea), upstream, transport, in_process, base);
        world.gitea_url = format!("http://{GITEA}");
        world.gitea_token = token;
        world.owner = "openova".into();
        world.write_secrets();
        world
    }

    fn real(url: &str, token: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a real server has the real time")]
        let base = SystemTime::now();
        let upstream = Upstream::start(base);
        let transport = Arc::new(HttpTransport::new(None).unwrap());
        let mut world = Self::over(None, upstream, transport, InProcess::default(), base);
        url.trim_end_matches('/').clone_into(&mut world.gitea_url);
        token.clone_into(&mut world.gitea_token);
        let unique = uuid::Uuid::now_v7().simple().to_string();
        world.owner = format!("t{}", &unique[..20]);
        world.write_secrets();
        world
    }

    fn over(
        standin: Option<Gitea>,
        upstream: Upstream,
        transport: Arc<dyn Transport>,
        in_process: InProcess,
        base: SystemTime,
    ) -> Self {
        upstream.create_sample("one");
        Self {
            standin,
            upstream,
            transport,
            in_process,
            folder: TempDir::with_prefix("cutover-").unwrap(),
            clock: Arc::new(StoryClock::beginning_at(base)),
            gitea_url: String::new(),
            gitea_token: String::new(),
            owner: String::new(),
            extra: String::new(),
            service: None,
            shutdown: Shutdown::new(),
            journal: None,
        }
    }

    /// Whether Gitea is a real server.
    pub fn is_real(&self) -> bool {
        self.standin.is_none()
    }

    /// The stand-in.
    #[track_caller]
    pub fn gitea(&self) -> &Gitea {
        self.standin.as_ref().expect("this test runs on the stand-in only")
    }

    /// Where a file of this story is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_secrets(&self) {
        std::fs::write(self.path("gitea-token"), &self.gitea_token).unwrap();
        std::fs::write(self.path("tokens"), format!("operator ops {OPERATOR}\nviewer eyes {VIEWER}\n")).unwrap();
    }

    /// The configuration of the mirror `one`.
    pub fn yaml(&self) -> String {
        self.yaml_of(&[("one", "one", "one", &self.extra)])
    }

    /// A configuration: name, upstream repository, target repository, and more lines for each mirror.
    pub fn yaml_of(&self, mirrors: &[(&str, &str, &str, &str)]) -> String {
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
    pub async fn start(&mut self) {
        let yaml = self.yaml();
        self.start_with(&yaml).await;
    }

    /// Starts the service with a configuration, on the journal of the service before it, if there was one.
    pub async fn start_with(&mut self, yaml: &str) {
        std::fs::write(self.path("config.yaml"), yaml).unwrap();
        let options = config::Options {
            config: Some(self.path("config.yaml")),
            tokens_file: Some(self.path("tokens")),
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

    /// Ends the service as a crash does: nothing is waited for. The journal stays.
    pub fn crash(&mut self) {
        self.shutdown.force();
        self.service = None;
    }

    /// Asks the service to end, as SIGTERM does.
    pub fn begin_the_end(&self) {
        self.shutdown.begin();
    }

    /// Ends the service and forgets its journal.
    pub fn lose_the_journal(&mut self) {
        self.crash();
        self.journal = None;
    }

    /// Sends a request to the service.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let router = self.service.as_ref().expect("the service was started").router.clone();
        let Ok(response) = router.oneshot(request).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request as the operator.
    pub fn request(method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {OPERATOR}"))
    }

    /// `GET` as the operator.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Self::request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// `POST /cutover/mirror` with a JSON body.
    pub async fn post(&self, body: &Value) -> Answer {
        let request = Self::request(Method::POST, "/cutover/mirror").header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Asks for a run and gives its id.
    pub async fn ask(&self) -> String {
        let answer = self.post(&json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A run as it is now.
    pub async fn run_now(&self, id: &str) -> Value {
        let answer = self.get(&format!("/cutover/runs/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// Waits for the end of a run.
    pub async fn end_of(&self, id: &str) -> Value {
        loop {
            let run = self.run_now(id).await;
            if !matches!(run["status"].as_str(), Some("queued" | "running")) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the mirror `one` of a run is in a phase.
    pub async fn until_phase(&self, id: &str, phase: &str) {
        loop {
            let run = self.run_now(id).await;
            let now = run["mirrors"][0]["phase"].as_str().unwrap().to_owned();
            if now == phase {
                return;
            }
            assert!(run["finishedAt"].is_null(), "ended before {phase}: {run:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks for a run and waits for its end.
    pub async fn run(&self) -> Value {
        let id = self.ask().await;
        self.end_of(&id).await
    }

    /// Runs, and demands that it is proven with this outcome.
    #[track_caller]
    pub fn expect<'a>(&'a self, outcome: &'a str) -> impl Future<Output = Value> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let run = self.run().await;
            assert_eq!(run["mirrors"][0]["outcome"], outcome, "at {at}: {run:#}");
            assert_eq!(run["status"], "succeeded", "at {at}: {run:#}");
            run
        }
    }

    /// Runs, and demands that it fails with this problem.
    #[track_caller]
    pub fn expect_failure<'a>(&'a self, code: &'a str) -> impl Future<Output = Value> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let run = self.run().await;
            assert_eq!(run["mirrors"][0]["problem"]["error"], code, "at {at}: {run:#}");
            assert_eq!(run["status"], "failed", "at {at}: {run:#}");
            run["mirrors"][0]["problem"].clone()
        }
    }

    /// Calls that have changed something in the stand-in, such as `POST /api/v1/repos/migrate`.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.gitea().calls().into_iter();
        let changing = |call: &standin::Call| call.method != "GET" && !call.path.ends_with("/git-upload-pack");
        calls.filter(changing).map(|call| format!("{} {}", call.method, call.path)).collect()
    }

    /// How many calls of a kind the stand-in has received.
    pub fn count(&self, call: &str) -> usize {
        self.changes().iter().filter(|one| *one == call).count()
    }

    /// Calls Gitea's API as the service's user.
    pub async fn gitea_api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.gitea_url))
            .header(header::AUTHORIZATION, format!("token {}", self.gitea_token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        let call = cutover_api::transport::Call {
            operation: "test",
            route: cutover_api::transport::Route::Direct,
            request,
            timeout: Duration::from_secs(30),
            largest: 1 << 24,
        };
        let answer = self.transport.send(call).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// The repository `one` as Gitea shows it.
    pub async fn repository(&self) -> Value {
        let (status, body) = self.gitea_api(Method::GET, &format!("/repos/{}/one", self.owner), None).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}
