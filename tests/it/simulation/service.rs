//! One service of a story: the program as `app` assembles it, its journal on a file that outlives it, its wall clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use cutover_api::app::{self, Service};
use cutover_api::clock::Clock;
use cutover_api::config;
use cutover_api::journal::{FILE, Journal};
use cutover_api::shutdown::Shutdown;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::life::Life;
use super::shared::Shared;
use super::wire::Wire;
use crate::world::World;

/// How long the work of a service may take to come to rest.
const TO_END: Duration = Duration::from_secs(1);

/// A wall clock that goes with tokio's time, and jumps when told to.
#[derive(Debug)]
pub(super) struct SimClock {
    base: Timestamp,
    began: Instant,
    /// Seconds.
    offset: AtomicI64,
}

impl SimClock {
    fn new(base: Timestamp) -> Self {
        Self { base, began: Instant::now(), offset: AtomicI64::new(0) }
    }

    pub(super) fn jump(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.offset.load(Ordering::Relaxed));
        self.base + SignedDuration::try_from(self.began.elapsed()).unwrap() + offset
    }
}

/// One of the services.
pub(super) struct Sut {
    pub(super) who: usize,
    shared: Arc<Shared>,
    pub(super) clock: Arc<SimClock>,
    folder: TempDir,
    yaml: String,
    journal: Option<(Journal, TempDir)>,
    running: Option<(Service, Shutdown, Arc<Life>)>,
    /// What must be in no answer.
    canaries: Vec<String>,
}

/// A folder in memory where there is one: a journal waits for the disk at each commit.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::with_prefix_in("sim-", memory) } else { TempDir::with_prefix("sim-") };
    made.unwrap()
}

impl Sut {
    /// `files` are secrets: a name, and what is in it. `yaml` names them as `{folder}/NAME`.
    pub(super) fn new(who: usize, shared: &Arc<Shared>, base: Timestamp, files: &[(&str, String)], yaml: &str) -> Self {
        let folder = scratch();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let yaml = yaml.replace("{folder}", &folder.path().display().to_string());
        std::fs::write(folder.path().join("config.yaml"), &yaml).unwrap();
        let words = files.iter().flat_map(|(_, content)| content.split_whitespace().map(str::to_owned));
        let canaries = words.filter(|word| word.len() >= 20).collect();
        let clock = Arc::new(SimClock::new(base));
        Self { who, shared: Arc::clone(shared), clock, folder, yaml, journal: None, running: None, canaries }
    }

    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Starts, on the journal of the life before. A journal that cannot be written stops the start.
    pub(super) async fn start(&mut self) {
        if self.runs() {
            return;
        }
        let options = config::Options {
            config: Some(self.folder.path().join("config.yaml")),
            tokens_file: Some(self.folder.path().join("tokens")),
            ..config::Options::default()
        };
        let loaded = config::load(&options, &|_| None).unwrap_or_else(|faults| panic!("{faults}\n{}", self.yaml));
        let (journal, _) = self.journal.get_or_insert_with(|| {
            let folder = scratch();
            let journal = Journal::open(folder.path()).unwrap();
            self.shared.watch(self.who, rusqlite::Connection::open(folder.path().join(FILE)).unwrap());
            (journal, folder)
        });
        let shutdown = Shutdown::new();
        let life = Arc::new(Life::new(self.who, &self.shared));
        let (shared, clock) = (Arc::clone(&self.shared), Arc::clone(&self.clock));
        let wire = Wire { who: self.who, shared, clock, life: Arc::clone(&life) };
        let metrics = app::metrics_for(&loaded.config);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let journal = journal.worked_by(Arc::clone(&life) as _);
        let assembled = app::assemble(&loaded.config, Arc::new(wire), clock, journal, metrics, shutdown.clone());
        tokio::select! {
            biased;
            () = life.ended() => shutdown.force(),
            assembled = assembled => match assembled {
                Ok(service) => self.running = Some((service, shutdown, life)),
                Err(error) => self.shared.note(&format!("s{} does not start: {error}", self.who)),
            },
        }
    }

    /// Ends as a process does that is killed.
    pub(super) fn crash(&mut self) {
        if let Some((service, shutdown, life)) = self.running.take() {
            life.end();
            shutdown.force();
            drop(service);
        }
    }

    /// Ends as a process does that gets a SIGTERM: within its time, and of itself.
    pub(super) async fn is_asked_to_end(&mut self) {
        let Some((service, shutdown, life)) = self.running.take() else { return };
        shutdown.begin();
        service.tasks.close();
        tokio::select! {
            biased;
            // it is killed meanwhile
            () = life.ended() => {}
            ended = tokio::time::timeout(TO_END, service.tasks.wait()) => {
                if ended.is_err() {
                    self.shared.broken(&format!("s{} has not ended {TO_END:?} after it was asked to", self.who));
                }
            }
        }
        life.end();
        shutdown.force();
    }

    /// Loses what the journal held.
    pub(super) fn lose_the_journal(&mut self) {
        self.crash();
        self.look_for_canaries();
        // a severed mirror is found pinned, if Gitea shows that at all
        self.shared.state().still.remove(&self.who);
        self.journal = None;
    }

    /// No secret is in the journal's files.
    pub(super) fn look_for_canaries(&self) {
        let Some((_, folder)) = &self.journal else { return };
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let text = String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned();
            self.demand_no_canary(&text, "the journal");
        }
    }

    fn demand_no_canary(&self, text: &str, place: &str) {
        if self.canaries.iter().any(|canary| text.contains(canary.as_str())) {
            self.shared.broken(&format!("a secret is in {place}: {text:.300}"));
        }
    }

    /// Asks the service; `None` when it does not run, or dies before it has answered.
    pub(super) async fn send(&self, method: Method, path: &str, body: &str) -> Option<(StatusCode, Value)> {
        let (service, _, life) = self.running.as_ref()?;
        let request = World::request(method, path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answered = async {
            let Ok(response) = service.router.clone().oneshot(request).await;
            let (parts, body) = response.into_parts();
            (parts, String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned())
        };
        let (parts, text) = tokio::select! {
            biased;
            // its connections break
            () = life.ended() => return None,
            answered = answered => answered,
        };
        self.demand_no_canary(&format!("{:?} {text}", parts.headers), path);
        Some((parts.status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Asks for a run and gives its id, if it was accepted.
    pub(super) async fn ask(&self, body: &str) -> Option<String> {
        let (status, run) = self.send(Method::POST, "/cutover/mirror", body).await?;
        self.shared.note(&format!("s{} POST /cutover/mirror -> {status}, joined {}", self.who, run["coalesced"]));
        (status == StatusCode::ACCEPTED).then(|| run["id"].as_str().unwrap().to_owned())
    }

    /// A run, if the service runs and knows it.
    pub(super) async fn run(&self, id: &str) -> Option<Value> {
        let (status, run) = self.send(Method::GET, &format!("/cutover/runs/{id}"), "").await?;
        (status == StatusCode::OK).then_some(run)
    }
}
