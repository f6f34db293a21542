//! A server, an upstream and a token, for the tests of this folder: sends a request, waits for a sync.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use standin::{Gitea, Options, Profile, Upstream};
use tower::ServiceExt;

const BASE: SystemTime = SystemTime::UNIX_EPOCH;

pub(crate) struct Stage {
    pub(crate) gitea: Gitea,
    pub(crate) upstream: Upstream,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) fn new(profile: Profile) -> Self {
        Self::with_git_timeout(profile, Options::default().git_timeout)
    }

    pub(crate) fn with_git_timeout(profile: Profile, git_timeout: Duration) -> Self {
        let gitea = Gitea::new(Options { profile, git_timeout, ..Options::default() });
        Self::over(gitea, Upstream::start(BASE))
    }

    /// On servers of either store.
    pub(crate) fn over(gitea: Gitea, upstream: Upstream) -> Self {
        gitea.add_user("bot", "secret", false);
        gitea.add_org("acme", "bot");
        let token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
        upstream.create_sample("one");
        Self { gitea, upstream, token }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("token {}", self.token));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.body(body).unwrap();
        self.gitea.router().oneshot(request).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.send(method, path, body).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call("GET", path, Value::Null).await
    }

    pub(crate) fn wanted(&self, name: &str) -> Value {
        json!({ "clone_addr": self.upstream.url("one"), "repo_owner": "acme", "repo_name": name, "service": "git",
                "mirror": true, "mirror_interval": "10m0s" })
    }

    pub(crate) async fn migrate(&self, name: &str) -> (StatusCode, Value) {
        self.call("POST", "/api/v1/repos/migrate", self.wanted(name)).await
    }

    pub(crate) async fn sync(&self) {
        let before = self.gitea.repository("acme", "one").unwrap().mirror_updated;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(self.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await.0, 200);
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.gitea.repository("acme", "one").unwrap().mirror_updated != before {
                return;
            }
        }
        panic!("the sync did not end");
    }
}
