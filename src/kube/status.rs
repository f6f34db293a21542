//! The platform's status: a `ConfigMap` of the platform's engine, in which cutover-api owns a few keys.
//!
//! Writes only those keys, by merge patch; a missing `ConfigMap` is created as the platform would. Writing is asynchronous:
//! only the latest success is written, and a failure fails no run.

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

use super::api_server::{ApiRequest, ApiServer, ApiServerError, read};
use crate::domain::platform::{PivotAnswer, Platform, PlatformStatus, Proven};

/// How long a reading is valid for `/status`.
const FRESH: Duration = Duration::from_secs(15);

/// How long after a failure the API server is not called again.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Like the platform's own clients: five attempts from 150 ms.
const ATTEMPTS: u32 = 5;

/// A reader of the status gets the last reading, and the next one tries again.
const ATTEMPTS_FOR_READERS: u32 = 1;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// The label by which the platform selects its objects.
const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "self-sovereign-cutover");

/// Receives the result of each write.
pub trait WriteObserver: Send + Sync {
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
    observer: Arc<dyn WriteObserver>,
    known: Mutex<Known>,
    writing: Mutex<Writing>,
}

/// The last reading.
#[derive(Debug, Default)]
struct Known {
    complete: Option<bool>,
    /// When it expires.
    until: Option<Instant>,
    reading: bool,
    /// The last error in the log, which is not logged again.
    trouble: Option<String>,
}

/// The next write.
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
    /// The `ConfigMap` with this namespace and name, which are valid.
    #[must_use]
    pub fn new(api_server: ApiServer, namespace: String, name: String, observer: Arc<dyn WriteObserver>) -> Self {
        let (known, writing) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inside { api_server, namespace, name, observer, known, writing }))
    }
}

impl Platform for StatusConfigMap {
    fn pivot(&self) -> Pin<Box<dyn Future<Output = PivotAnswer> + Send + '_>> {
        Box::pin(async {
            match self.0.read(ATTEMPTS).await {
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
                // the next reader gets the result
                let _ = inside.read(ATTEMPTS_FOR_READERS).await;
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

    /// Reads the status; `None`: the `ConfigMap` does not exist.
    async fn read(&self, attempts: u32) -> Result<Option<PlatformStatus>, ApiServerError> {
        let path = self.path();
        let request =
            ApiRequest { operation: "kubernetes_read_status", method: &Method::GET, path: &path, body: None, attempts };
        let status = match self.api_server.send(request, &[200, 404]).await {
            Ok(answer) if answer.status() == 404 => Ok(None),
            Ok(answer) => status_of(&answer).map(Some),
            Err(failure) => Err(failure),
        };
        self.note(&status);
        status
    }

    /// Keeps a reading. After a failure, the last one is kept.
    fn note(&self, status: &Result<Option<PlatformStatus>, ApiServerError>) {
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
                    tracing::warn!(path = %self.path(), error, detail = trouble, "platform status not readable");
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
                    path = %self.path(),
                    error = failure.code().label(),
                    detail = %failure,
                    remedy = failure.code().remedy(),
                    "platform status not written"
                );
            }
        }
    }

    async fn write(&self, proven: &Proven) -> Result<(), ApiServerError> {
        let keys = proven.keys();
        if self.patch(&keys).await? || self.create(&proven.first_status()).await? {
            return Ok(());
        }
        // another client created it in between
        if self.patch(&keys).await? { Ok(()) } else { Err(ApiServerError::Refused(404)) }
    }

    /// Patches the `ConfigMap`; `false`: it does not exist.
    async fn patch(&self, keys: &BTreeMap<String, String>) -> Result<bool, ApiServerError> {
        let (path, body) = (self.path() + "?fieldManager=cutover-api", json!({ "data": keys }));
        self.change("kubernetes_patch_status", &Method::PATCH, &path, (MERGE_PATCH, &body), 404).await
    }

    /// Creates the `ConfigMap`; `false`: it exists already.
    async fn create(&self, keys: &BTreeMap<String, String>) -> Result<bool, ApiServerError> {
        let path = format!("/api/v1/namespaces/{}/configmaps?fieldManager=cutover-api", self.namespace);
        let (label, value) = LABEL;
        let metadata = json!({ "name": self.name, "namespace": self.namespace, "labels": { label: value } });
        let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": keys });
        self.change("kubernetes_create_status", &Method::POST, &path, ("application/json", &body), 409).await
    }

    /// Sends a change; `false`: the answer was `otherwise`.
    async fn change(
        &self,
        operation: &'static str,
        method: &Method,
        path: &str,
        (media_type, body): (&'static str, &Value),
        otherwise: u16,
    ) -> Result<bool, ApiServerError> {
        let body = body.to_string();
        let request =
            ApiRequest { operation, method, path, body: Some((media_type, body.as_bytes())), attempts: ATTEMPTS };
        let answer = self.api_server.send(request, &[200, 201, otherwise]).await?;
        if answer.status() == otherwise {
            return Ok(false);
        }
        // the answer is the whole new status
        if let Ok(status) = status_of(&answer) {
            self.note(&Ok(Some(status)));
        }
        Ok(true)
    }
}

fn status_of(answer: &Response<bytes::Bytes>) -> Result<PlatformStatus, ApiServerError> {
    #[derive(Deserialize)]
    struct ConfigMap {
        kind: ConfigMapKind,
        #[serde(default)]
        data: Option<BTreeMap<String, String>>,
    }
    #[derive(Deserialize)]
    enum ConfigMapKind {
        ConfigMap,
    }
    let ConfigMap { kind: ConfigMapKind::ConfigMap, data } = read(answer)?;
    Ok(PlatformStatus(data.unwrap_or_default()))
}
