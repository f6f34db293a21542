//! Requests to cutover-api and to Gitea, and checks of the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use cutover_api::clock::Clock as _;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use standin::CallKind;
use tower::ServiceExt as _;

use super::recorder::is_change;
use super::{Loss, OPERATOR, Sent, World};

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The code of the problem that this answer is.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        let body = self.json();
        for member in ["type", "title", "status", "detail", "error", "retryable", "remedy"] {
            assert!(body.get(member).is_some(), "a problem without `{member}`: {body}");
        }
        assert_eq!(body["status"], self.status.as_u16());
        body["error"].as_str().unwrap().to_owned()
    }
}

/// The id of the run that an answer is.
#[track_caller]
pub(crate) fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The calls that are planned for the mirror of this place in a dry run.
#[track_caller]
pub(crate) fn plan(run: &Value, mirror: usize) -> Vec<&str> {
    run["mirrors"][mirror]["plan"].as_array().unwrap().iter().map(|step| step["call"].as_str().unwrap()).collect()
}

impl World {
    /// Sends a request to the service.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let router = self.service.as_ref().expect("the service was started").router.clone();
        let Ok(response) = router.oneshot(request).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request as the operator.
    pub(crate) fn request(method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {OPERATOR}"))
    }

    /// `GET` as the operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Self::request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// `POST /cutover/mirror` with a JSON body.
    pub(crate) async fn post(&self, body: &Value) -> Answer {
        let request = Self::request(Method::POST, "/cutover/mirror").header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// `POST /cutover/mirror` with a body as it is, and with more headers.
    pub(crate) async fn post_with(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Self::request(Method::POST, "/cutover/mirror");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// `PUT /mirrors/{name}/mode` with a JSON body.
    pub(crate) async fn put_mode(&self, mirror: &str, body: &Value) -> Answer {
        let request = Self::request(Method::PUT, &format!("/mirrors/{mirror}/mode"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Takes a run out.
    pub(crate) async fn cancel(&self, id: &str) -> Answer {
        let path = format!("/cutover/runs/{id}");
        self.send(Self::request(Method::DELETE, &path).body(Body::empty()).unwrap()).await
    }

    /// Starts the service with the mirrors `one` and `two`.
    pub(crate) async fn two(&mut self) {
        self.upstream.create_sample("two");
        let yaml = self.yaml_of(&[("one", "one", "one", ""), ("two", "two", "two", "")]);
        self.start_with(&yaml).await;
    }

    /// The latest runs.
    pub(crate) async fn runs(&self) -> Vec<Value> {
        self.get("/cutover/runs?limit=100").await.json()["runs"].as_array().unwrap().clone()
    }

    /// Asks for a run and gives its id.
    pub(crate) async fn ask(&self) -> String {
        let answer = self.post(&json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A run as it is now.
    pub(crate) async fn run_now(&self, id: &str) -> Value {
        let answer = self.get(&format!("/cutover/runs/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// Fails if a test has waited longer than any run may take: three hours of paused time, or 40 minutes.
    #[track_caller]
    pub(crate) fn demand_patience(&self, began: tokio::time::Instant, seen: &Value) {
        let limit = Duration::from_mins(if self.is_real() { 40 } else { 180 });
        assert!(began.elapsed() < limit, "nothing came within {limit:?}; last seen: {seen:#}");
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: impl AsyncFnMut() -> bool) {
        self.until_every(Duration::from_millis(100), what).await;
    }

    /// The same, where what comes next must come soon after.
    pub(crate) async fn until_every(&self, pause: Duration, mut what: impl AsyncFnMut() -> bool) {
        let began = tokio::time::Instant::now();
        while !what().await {
            self.demand_patience(began, &json!(self.changes()));
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits for the end of a run.
    pub(crate) async fn end_of(&self, id: &str) -> Value {
        let began = tokio::time::Instant::now();
        loop {
            let run = self.run_now(id).await;
            self.demand_patience(began, &run);
            if !matches!(run["status"].as_str(), Some("queued" | "running")) {
                return run;
            }
            // finer than anything that is measured, and no finer: half an hour is waited through in some stories
            let pause = began.elapsed() / 20;
            tokio::time::sleep(pause.clamp(Duration::from_millis(20), Duration::from_secs(1))).await;
        }
    }

    /// Waits until the mirror `one` of a run is in a phase.
    pub(crate) async fn until_phase(&self, id: &str, phase: &str) {
        let began = tokio::time::Instant::now();
        loop {
            let run = self.run_now(id).await;
            self.demand_patience(began, &run);
            let now = run["mirrors"][0]["phase"].as_str().unwrap().to_owned();
            if now == phase {
                return;
            }
            assert!(run["finishedAt"].is_null(), "ended before {phase}: {run:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks for a run and waits for its end.
    pub(crate) async fn run(&self) -> Value {
        let id = self.ask().await;
        self.end_of(&id).await
    }

    /// Runs, and demands that it is proven with this outcome.
    #[track_caller]
    pub(crate) fn expect<'a>(&'a self, outcome: &'a str) -> impl Future<Output = Value> + 'a {
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
    pub(crate) fn expect_failure<'a>(&'a self, code: &'a str) -> impl Future<Output = Value> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let run = self.run().await;
            assert_eq!(run["mirrors"][0]["problem"]["error"], code, "at {at}: {run:#}");
            assert_eq!(run["status"], "failed", "at {at}: {run:#}");
            run["mirrors"][0]["problem"].clone()
        }
    }

    /// The time in a while, to the second, as texts for people write it.
    pub(crate) fn clock_in(&self, pause: Duration) -> String {
        let then = self.clock.now() + jiff::SignedDuration::try_from(pause).unwrap();
        then.strftime("%Y-%m-%dT%H:%M").to_string()
    }

    /// The calls that the stand-in has received, or that the service has sent to a real server.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        let Some(gitea) = &self.standin else { return self.recorder.sent() };
        let sent = |call: standin::Call| Sent { method: call.method, path: call.path, body: call.body };
        gitea.calls().into_iter().map(sent).collect()
    }

    /// Forgets them.
    pub(crate) fn clear_calls(&self) {
        self.recorder.clear();
        if let Some(gitea) = &self.standin {
            gitea.clear_calls();
        }
    }

    /// Loses a call of the service on its way to Gitea, or the answer on its way back, after so many others of its kind.
    pub(crate) fn lose(&self, kind: CallKind, after: usize, loss: Loss) {
        self.recorder.lose(kind, after, loss);
    }

    /// Those of them that change something, such as `POST /api/v1/repos/migrate`.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changing = |call: &Sent| is_change(&call.method, &call.path);
        self.calls().into_iter().filter(changing).map(|call| format!("{} {}", call.method, call.path)).collect()
    }

    /// How many calls of a kind there were.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.changes().iter().filter(|one| *one == call).count()
    }

    /// Calls Gitea's API as the service's user.
    pub(crate) async fn gitea_api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
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
            bundle: None,
            timeout: Duration::from_secs(30),
            largest: 1 << 24,
        };
        let answer = self.transport.send(call).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// Gitea's heads and tags of the repository `one`, as its API shows them.
    pub(crate) async fn gitea_refs(&self) -> BTreeMap<String, String> {
        let (status, body) = self.gitea_api(Method::GET, &format!("/repos/{}/one/git/refs", self.owner), None).await;
        assert_eq!(status, 200, "{body}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        body.as_array().unwrap().iter().map(|one| (text(&one["ref"]), text(&one["object"]["sha"]))).collect()
    }

    /// The release of Gitea.
    pub(crate) async fn version(&self) -> String {
        self.gitea_api(Method::GET, "/version", None).await.1["version"].as_str().unwrap().to_owned()
    }

    /// The repository `one` as Gitea shows it.
    pub(crate) async fn repository(&self) -> Value {
        let (status, body) = self.gitea_api(Method::GET, &format!("/repos/{}/one", self.owner), None).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}
