//! The platform's status: a `ConfigMap` that its engine owns and that we read, and write a few keys of.
//!
//! Owns the etiquette: only our own keys, by merge patch; where there is none, it is made as the platform would. What is
//! written is written behind a run's back: the latest success counts, and failing to write it fails nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::api_server::{ApiServer, Asked, Failure, read};
use crate::domain::platform::{PivotAnswer, Platform, PlatformStatus, Proven};

/// How long what was read counts for `/status`.
const FRESH: Duration = Duration::from_secs(15);

/// How long the API server is left alone after it gave no answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// As the platform's own clients: five steps from 150 ms.
const TRIES: u32 = 5;

/// A reader has what was read before; whoever comes next asks again.
const TRIES_FOR_READERS: u32 = 1;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// By which the platform finds its things.
const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "self-sovereign-cutover");

/// Is told what became of writing.
pub trait Observer: Send + Sync {
    /// The status was written, or could not be.
    fn written(&self, well: bool);
}

/// The `ConfigMap` of that name; cheap to clone.
#[derive(Clone)]
pub struct StatusConfigMap(Arc<Inside>);

struct Inside {
    api_server: ApiServer,
    namespace: String,
    name: String,
    observer: Arc<dyn Observer>,
    known: Mutex<Known>,
    writing: Mutex<Writing>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Known {
    complete: Option<bool>,
    /// Until when it is not read again.
    until: Option<Instant>,
    reading: bool,
    /// The trouble with reading that was logged, so that it is logged once.
    trouble: Option<String>,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Writing {
    waiting: Option<Proven>,
    at_work: bool,
}

impl fmt::Debug for StatusConfigMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusConfigMap({}/{})", self.0.namespace, self.0.name)
    }
}

impl StatusConfigMap {
    /// The one of that namespace and name, which have been checked.
    #[must_use]
    pub fn new(api_server: ApiServer, namespace: String, name: String, observer: Arc<dyn Observer>) -> Self {
        let (known, writing) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inside { api_server, namespace, name, observer, known, writing }))
    }
}

impl Platform for StatusConfigMap {
    fn pivot(&self) -> Pin<Box<dyn Future<Output = PivotAnswer> + Send + '_>> {
        Box::pin(async {
            match self.0.read(TRIES).await {
                Ok(Some(status)) => status.pivot(),
                Ok(None) => PivotAnswer::NoStatus,
                Err(failure) => PivotAnswer::Unreadable { why: failure.to_string() },
            }
        })
    }

    fn cutover_complete(&self) -> Option<bool> {
        let mut known = self.0.known();
        let old = known.until.is_none_or(|until| until <= Instant::now());
        if let (true, false, Ok(runtime)) = (old, known.reading, Handle::try_current()) {
            known.reading = true;
            let inside = Arc::clone(&self.0);
            runtime.spawn(async move {
                // what it was is noted inside; a reader who comes later finds it
                let _ = inside.read(TRIES_FOR_READERS).await;
                inside.known().reading = false;
            });
        }
        known.complete
    }

    fn proven(&self, proven: Proven) {
        let mut writing = self.0.writing();
        writing.waiting = Some(proven);
        if let (false, Ok(runtime)) = (writing.at_work, Handle::try_current()) {
            writing.at_work = true;
            runtime.spawn(Arc::clone(&self.0).write_what_waits());
        }
    }
}

impl Inside {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no code panics while holding this lock")
    }

    fn writing(&self) -> std::sync::MutexGuard<'_, Writing> {
        self.writing.lock().expect("no code panics while holding this lock")
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{}", self.namespace, self.name)
    }

    /// The status now; `None`: there is none.
    async fn read(&self, tries: u32) -> Result<Option<PlatformStatus>, Failure> {
        let path = self.path();
        let asked = Asked { operation: "kubernetes_read_status", method: &Method::GET, path: &path, body: None, tries };
        let status = match self.api_server.ask(asked, &[200, 404]).await {
            Ok(answer) if answer.status() == 404 => Ok(None),
            Ok(answer) => status_of(&answer).map(Some),
            Err(failure) => Err(failure),
        };
        self.note(&status);
        status
    }

    /// Keeps what was read. What could not be read is as it was known before.
    fn note(&self, status: &Result<Option<PlatformStatus>, Failure>) {
        let mut known = self.known();
        let now = Instant::now();
        match status {
            Ok(status) => {
                known.complete = Some(status.as_ref().is_some_and(PlatformStatus::is_complete));
                (known.until, known.trouble) = (Some(now + FRESH), None);
            }
            Err(failure) => {
                let trouble = failure.to_string();
                if known.trouble.as_ref() != Some(&trouble) {
                    let error = failure.code().label();
                    tracing::warn!(status = %self.path(), error, "The platform's status cannot be read: {trouble}");
                }
                (known.until, known.trouble) = (Some(now + AFTER_TROUBLE), Some(trouble));
            }
        }
    }

    async fn write_what_waits(self: Arc<Self>) {
        loop {
            let next = {
                let mut writing = self.writing();
                let next = writing.waiting.take();
                writing.at_work = next.is_some();
                next
            };
            let Some(proven) = next else { return };
            let written = self.write(&proven).await;
            self.observer.written(written.is_ok());
            if let Err(failure) = written {
                tracing::warn!(
                    status = %self.path(),
                    error = failure.code().label(),
                    remedy = failure.code().remedy(),
                    "The platform was not told of a success: {failure}"
                );
            }
        }
    }

    async fn write(&self, proven: &Proven) -> Result<(), Failure> {
        let keys = proven.keys();
        if self.patch(&keys).await? || self.create(&proven.first_status()).await? {
            return Ok(());
        }
        // somebody else has made it between the two
        if self.patch(&keys).await? { Ok(()) } else { Err(Failure::Refused(404)) }
    }

    /// Whether there was one to patch.
    async fn patch(&self, keys: &BTreeMap<String, String>) -> Result<bool, Failure> {
        let (path, body) = (self.path() + "?fieldManager=cutover-api", json!({ "data": keys }));
        self.change("kubernetes_patch_status", &Method::PATCH, &path, (MERGE_PATCH, &body), 404).await
    }

    /// Whether it was made: it may be there already.
    async fn create(&self, keys: &BTreeMap<String, String>) -> Result<bool, Failure> {
        let path = format!("/api/v1/namespaces/{}/configmaps?fieldManager=cutover-api", self.namespace);
        let (label, value) = LABEL;
        let metadata = json!({ "name": self.name, "namespace": self.namespace, "labels": { label: value } });
        let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": keys });
        self.change("kubernetes_create_status", &Method::POST, &path, ("application/json", &body), 409).await
    }

    /// Whether it was changed; `false`: the answer was `otherwise`.
    async fn change(
        &self,
        operation: &'static str,
        method: &Method,
        path: &str,
        (media_type, body): (&'static str, &Value),
        otherwise: u16,
    ) -> Result<bool, Failure> {
        let body = body.to_string();
        let asked = Asked { operation, method, path, body: Some((media_type, body.as_bytes())), tries: TRIES };
        let answer = self.api_server.ask(asked, &[200, 201, otherwise]).await?;
        if answer.status() == otherwise {
            return Ok(false);
        }
        // the answer is the whole status, and as fresh as can be
        if let Ok(status) = status_of(&answer) {
            self.note(&Ok(Some(status)));
        }
        Ok(true)
    }
}

fn status_of(answer: &Response<bytes::Bytes>) -> Result<PlatformStatus, Failure> {
    #[derive(Deserialize)]
    struct ConfigMap {
        kind: Kind,
        #[serde(default)]
        data: Option<BTreeMap<String, String>>,
    }
    #[derive(Deserialize)]
    enum Kind {
        ConfigMap,
    }
    let ConfigMap { kind: Kind::ConfigMap, data } = read(answer)?;
    Ok(PlatformStatus(data.unwrap_or_default()))
}
