//! The client of the HTTP API: a method for each call, and the exit code for each refusal.
//!
//! Prints nothing and retries nothing: the commands do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use super::args::{DEFAULT_URL, MirrorArgs, ServiceArgs};
use super::events::EventStream;
use super::wire::{self, ProblemView};
use super::{ExitStatus, events};
use crate::config::ConfiguredCredential;
use crate::domain::answer::Trouble;
use crate::domain::credential::{Credential, CredentialSource as _};
use crate::domain::names::MirrorName;
use crate::transport::{Call, Route, Transport};

/// The timeout of a call: the service answers without waiting for its work.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of a dry run: the service reads both sides first, for half a minute at most.
const DRY_RUN_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a stream may be silent: the service sends a keep-alive every 15 seconds.
const SILENCE: Duration = Duration::from_secs(20);

/// The largest answer, in bytes: the status of thousands of mirrors fits.
const LARGEST: usize = 16 * 1024 * 1024;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct CommandError {
    /// The exit code.
    pub(super) exit: ExitStatus,
    /// What happened, in one line.
    pub(super) what: String,
    /// The problem in the service's answer.
    pub(super) problem: Option<ProblemView>,
    /// Whether a retry can help.
    pub(super) retryable: bool,
}

impl CommandError {
    pub(super) fn new(exit: ExitStatus, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), problem: None, retryable: false }
    }

    pub(super) const fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

/// A client of one service.
#[derive(Debug)]
pub(super) struct ApiClient {
    base: String,
    token: Option<ConfiguredCredential>,
    transport: Arc<dyn Transport>,
}

impl ApiClient {
    /// A client for the service that the flags name.
    pub(super) fn new(service: &ServiceArgs, transport: Arc<dyn Transport>) -> Result<Self, CommandError> {
        // an empty variable counts as not set, since charts render such
        let token = service.token_file.clone().filter(|path| !path.as_os_str().is_empty());
        let token = token.map(ConfiguredCredential::token_file);
        Ok(Self { base: base(&service.url)?, token, transport })
    }

    /// `POST /cutover/mirror`. The idempotency key makes a retry safe.
    pub(super) async fn mirror(&self, args: &MirrorArgs, key: &str) -> Result<Value, CommandError> {
        let mut body = serde_json::Map::new();
        if !args.names.is_empty() {
            let mut once: Vec<&str> = Vec::new();
            for name in args.names.iter().map(MirrorName::as_str) {
                if !once.contains(&name) {
                    once.push(name);
                }
            }
            body.insert("mirrors".to_owned(), json!(once));
        }
        if let Some(on_legacy) = args.on_legacy {
            body.insert("onLegacy".to_owned(), json!(on_legacy.label()));
        }
        if let Some(digest) = &args.accept_upstream {
            body.insert("acceptUpstream".to_owned(), json!(digest.as_str()));
        }
        if args.dry_run {
            body.insert("dryRun".to_owned(), json!(true));
        }
        let body = Value::Object(body);
        let timeout = if args.dry_run { DRY_RUN_TIMEOUT } else { TIMEOUT };
        let request = Request::builder()
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        self.ask("cli-mirror", request, "/cutover/mirror", Bytes::from(body.to_string()), timeout).await
    }

    /// `GET /cutover/runs/{id}`.
    pub(super) async fn run(&self, id: &str) -> Result<Value, CommandError> {
        self.get("cli-run", &format!("/cutover/runs/{id}")).await
    }

    /// `GET /status` or `GET /status/{name}`.
    pub(super) async fn status(&self, name: Option<&MirrorName>) -> Result<Value, CommandError> {
        let path = name.map_or_else(|| "/status".to_owned(), |name| format!("/status/{name}"));
        self.get("cli-status", &path).await
    }

    /// Opens the event stream under a path, after the event with the last id; `None`: it cannot be opened, and polling is the
    /// alternative.
    pub(super) async fn events(&self, path: &str, after: Option<&str>) -> Option<EventStream> {
        let mut request = Request::builder()
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, events::MEDIA_TYPE)
            .header(header::CACHE_CONTROL, "no-store");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        if let Some(authorization) = self.authorization().ok()? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Bytes::new()).ok()?;
        let call = Call {
            operation: "cli-events",
            route: Route::Direct,
            request,
            bundle: None,
            timeout: SILENCE,
            largest: LARGEST,
        };
        EventStream::of(self.transport.stream(call).await.ok()?)
    }

    async fn get(&self, operation: &'static str, path: &str) -> Result<Value, CommandError> {
        self.ask(operation, Request::builder(), path, Bytes::new(), TIMEOUT).await
    }

    async fn ask(
        &self,
        operation: &'static str,
        request: http::request::Builder,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Value, CommandError> {
        let mut request = request.uri(format!("{}{path}", self.base)).header(header::ACCEPT, "application/json");
        if let Some(authorization) = self.authorization()? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body).map_err(|_| bad_url())?;
        let call = Call { operation, route: Route::Direct, request, bundle: None, timeout, largest: LARGEST };
        match self.transport.send(call).await {
            Ok(response) => sort(&response, &self.base),
            Err(trouble) => Err(unreachable(&trouble, &self.base)),
        }
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, CommandError> {
        let Some(source) = &self.token else { return Ok(None) };
        let read =
            source.read().map_err(|error| CommandError::new(ExitStatus::Usage, format!("The token: {error}.")))?;
        let Some(Credential::Token(token)) = read else { return Ok(None) };
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| CommandError::new(ExitStatus::Usage, "The token file holds no token."))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Calls a probe without a token; a 2xx is a success.
pub(super) async fn probe(url: &str, timeout: Duration, transport: &dyn Transport) -> Result<(), CommandError> {
    let base = base(url)?;
    let address =
        if ["/healthz", "/readyz"].iter().any(|end| base.ends_with(end)) { base } else { format!("{base}/healthz") };
    let request = Request::builder().uri(&address).body(Bytes::new()).map_err(|_| bad_url())?;
    let call =
        Call { operation: "cli-healthcheck", route: Route::Direct, request, bundle: None, timeout, largest: LARGEST };
    match transport.send(call).await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => {
            let what = format!("{address} answers {}.", response.status().as_u16());
            Err(CommandError::new(ExitStatus::Unreachable, what))
        }
        Err(trouble) => Err(unreachable(&trouble, &address)),
    }
}

fn base(url: &str) -> Result<String, CommandError> {
    let url = if url.is_empty() { DEFAULT_URL } else { url };
    let parsed = Url::parse(url).map_err(|_| bad_url())?;
    let plain = matches!(parsed.scheme(), "http" | "https")
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    if plain { Ok(parsed.as_str().trim_end_matches('/').to_owned()) } else { Err(bad_url()) }
}

fn bad_url() -> CommandError {
    let what = "--url (CUTOVER_URL) is an http or https address without a credential, such as http://127.0.0.1:8080.";
    CommandError::new(ExitStatus::Usage, what)
}

fn unreachable(trouble: &Trouble, base: &str) -> CommandError {
    let what = format!("The service at {base} is not reachable: {}.", trouble.detail);
    CommandError::new(ExitStatus::Unreachable, what).retryable()
}

fn sort(response: &Response<Bytes>, base: &str) -> Result<Value, CommandError> {
    let status = response.status().as_u16();
    let body: Option<Value> = serde_json::from_slice(response.body()).ok().filter(Value::is_object);
    if let (200 | 202, Some(value)) = (status, body.as_ref()) {
        return Ok(value.clone());
    }
    let problem: Option<ProblemView> =
        body.as_ref().and_then(wire::read).filter(|problem: &ProblemView| !problem.error.is_empty());
    let (exit, retryable) = match (status, &problem) {
        (401 | 403 | 409 | 421, problem) => {
            (ExitStatus::Refused, problem.as_ref().is_some_and(|problem| problem.retryable))
        }
        (429, _) => (ExitStatus::Refused, true),
        (400..=499, Some(problem)) => (ExitStatus::Usage, problem.retryable),
        // what the service lacks, such as a file or a right in the cluster, may be on its way
        (503, _) => (ExitStatus::Unreachable, true),
        (_, problem) => (ExitStatus::Unreachable, problem.as_ref().is_none_or(|problem| problem.retryable)),
    };
    let what = match (&problem, status) {
        (Some(_), _) => format!("The service at {base} answers {status}."),
        (None, 401) => format!("{base} requires a token (401); name its file with --token-file."),
        (None, _) => format!("{base} answers {status}: not a cutover-api server? Check --url (CUTOVER_URL)."),
    };
    Err(CommandError { exit, what, problem, retryable })
}
