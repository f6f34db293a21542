//! A stand-in, an upstream and a client, as the recorder had them: sends a request, waits on virtual time, looks into
//! the bare repositories. Must never look at the name of a scene, nor decide whether an answer is the right one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use standin::{Cut, Gitea, Options, Profile, Refs, Upstream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::line::{self, Request};
use crate::process::CLOSED;

/// How often the recorder looked, while it waited for something.
const LOOK: Duration = Duration::from_millis(500);

/// How long the recorder waited for something that did not come.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

pub(super) struct Stage {
    pub(super) gitea: Gitea,
    pub(super) upstream: Upstream,
    router: Router,
    headers: BTreeMap<&'static str, String>,
    /// Where upstream listens.
    address: String,
    /// The call that is under way while other steps are played.
    pub(super) running: Option<JoinHandle<Value>>,
    /// `mirror_updated` of the mirror that is watched, when a step last said to remember it.
    remembered: Option<Value>,
    /// The credentials that upstream was given, by the step that gave them.
    pub(super) received: Value,
    /// What went otherwise between the steps than it did with the recorder.
    pub(super) troubles: Vec<String>,
}

impl Stage {
    /// The accounts and the upstream that the recordings begin with.
    pub(super) fn new(profile: Profile) -> Self {
        let options = Options { profile, ..Options::default() };
        let upstream = Upstream::start(options.base);
        upstream.create_sample("one");
        upstream.create("void");
        let gitea = Gitea::new(options);
        gitea.add_user("root1", "root1-password", true);
        gitea.add_user("bot", "bot-password", false);
        gitea.add_user("other", "other-password", false);
        let usual = ["write:repository", "write:organization", "read:user"];
        let token = |user: &str, scopes: &[&str]| format!("token {}", gitea.add_token(user, scopes));
        let headers = BTreeMap::from([
            ("admin", basic("root1", "root1-password")),
            ("bot", token("bot", &usual)),
            ("bot (basic)", basic("bot", &gitea.add_token("bot", &usual))),
            ("other", token("other", &usual)),
            ("other (basic)", basic("other", &gitea.add_token("other", &usual))),
            ("repo-only", token("bot", &["write:repository"])),
            ("read-only", token("bot", &["read:repository"])),
            ("wrong", format!("token {}", "0".repeat(40))),
        ]);
        let address = upstream.url("one");
        let address = address.trim_start_matches("http://").trim_end_matches("/one.git").to_owned();
        let router = gitea.router();
        Self {
            gitea,
            upstream,
            router,
            headers,
            address,
            running: None,
            remembered: None,
            received: json!({}),
            troubles: Vec::new(),
        }
    }

    /// Sends a recorded request and answers what the recorder would have written of the response.
    pub(super) fn send(&self, request: &Request) -> impl Future<Output = Value> + Send + 'static {
        let body = request.body.bytes();
        let body = body.replace("127.0.0.1:PORT", CLOSED).replace("upstream.test:PORT", &self.address);
        let mut sent = http::Request::builder().method(request.method.as_str()).uri(&request.path);
        if let Some(authorization) = self.headers.get(request.auth.as_str()) {
            sent = sent.header("authorization", authorization);
        } else {
            assert!(request.auth.starts_with("none"), "there is no account `{}`", request.auth);
        }
        if request.is_git() {
            // The recorder sent a bare ls-refs in version 2, which has no other.
            if request.protocol.is_none_or(|version| version == 2) {
                sent = sent.header("git-protocol", "version=2");
            }
            sent = sent.header("content-type", "application/x-git-upload-pack-request");
        } else if !body.is_empty() {
            sent = sent.header("content-type", "application/json");
        }
        let sent = sent.body(Body::from(body)).expect("what was recorded is a request");
        let (router, is_git, address) = (self.router.clone(), request.is_git(), self.address.clone());
        async move {
            let Ok(response) = router.oneshot(sent).await;
            recorded(response, is_git, &address).await
        }
    }

    /// Sends a request and leaves after `patience`, as a client does that has a limit.
    pub(super) async fn send_within(&self, patience: Duration, request: &Request) -> Value {
        let answered = timeout(patience, self.send(request)).await;
        answered.unwrap_or_else(|_| json!({ "status": "timeout", "headers": null, "body": "" }))
    }

    /// Sends a request that goes on while other steps are played.
    pub(super) fn begin(&mut self, request: &Request) {
        self.running = Some(tokio::spawn(self.send(request)));
    }

    /// The answer to the request that was begun.
    pub(super) async fn end(&mut self) -> Value {
        let running = self.running.take().expect("a request was begun");
        running.await.expect("sending a request does not panic")
    }

    /// A call of the API by `bot` that the recording left out.
    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { line::Body::None } else { line::Body::Json(body) };
        let (method, path) = (method.to_owned(), format!("/api/v1/{path}"));
        self.send(&Request { method, path, auth: "bot".to_owned(), protocol: None, body }).await
    }

    /// Lets virtual time pass.
    pub(super) async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Waits until `seen` holds, at most for `patience`, and says whether it did.
    pub(super) async fn wait(&self, patience: Duration, mut seen: impl AsyncFnMut(&Self) -> bool) -> bool {
        let looks = patience.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            if seen(self).await {
                return true;
            }
            self.pass(LOOK).await;
        }
        seen(self).await
    }

    /// `mirror_updated` of a mirror of `acme`.
    async fn updated(&self, name: &str) -> Value {
        self.call("GET", &format!("repos/acme/{name}"), Value::Null).await["body"]["mirror_updated"].clone()
    }

    /// Remembers `mirror_updated`, for [`Self::moved`].
    pub(super) async fn remember(&mut self, name: &str) {
        self.remembered = Some(self.updated(name).await);
    }

    /// Whether `mirror_updated` is another than was remembered.
    pub(super) async fn moved(&self, name: &str) -> bool {
        self.remembered != Some(self.updated(name).await)
    }

    /// Waits until a repository of `acme` holds whatever upstream's `one` holds, and says whether it came to that.
    pub(super) async fn reaches_upstream(&self, name: &str) -> bool {
        let wanted = self.upstream.heads_and_tags("one");
        let full_name = format!("acme/{name}");
        let holds = async |stage: &Self| {
            let held = stage.refs(&full_name);
            wanted.iter().all(|(name, id)| held.get(name) == Some(id))
        };
        self.wait(PATIENCE, holds).await
    }

    /// The folder of a repository that has a row, whether or not it exists.
    pub(super) fn folder(&self, full_name: &str) -> Option<PathBuf> {
        let (owner, name) = full_name.split_once('/')?;
        Some(self.gitea.repository(owner, name)?.git_dir)
    }

    /// The heads and tags in the folder of a repository.
    pub(super) fn refs(&self, full_name: &str) -> Refs {
        let (owner, name) = full_name.split_once('/').expect("a full name has an owner");
        self.gitea.heads_and_tags(owner, name)
    }

    /// The advertisements that upstream was asked for.
    pub(super) fn advertisements(&self) -> usize {
        self.upstream.calls().iter().filter(|call| call.path.contains("/info/refs")).count()
    }
}

fn basic(user: &str, password: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    let mut coded = String::from("Basic ");
    for three in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let letter = char::from(ALPHABET[bits >> (18 - 6 * at) & 63]);
            coded.push(if at <= three.len() { letter } else { '=' });
        }
    }
    coded
}

/// What the recorder would have written: the headers it kept, JSON as JSON, any other body as text.
async fn recorded(response: Response, is_git: bool, upstream: &str) -> Value {
    if response.extensions().get::<Cut>().is_some() {
        return json!({ "status": "cut", "headers": null, "body": "" });
    }
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return json!({ "status": "cut", "headers": null, "body": "" });
    };
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let text = without_folder(&text.replace(upstream, "upstream.test:PORT"));
    let body = match serde_json::from_str::<Value>(&text) {
        Ok(value) if !is_git && (value.is_object() || value.is_array()) => value,
        _ if text.contains("<html") || text.contains("<!DOCTYPE") => "(an html page)".into(),
        _ => text.into(),
    };
    let headers = if is_git { Value::Null } else { headers(&head.headers) };
    json!({ "status": head.status.as_u16(), "headers": headers, "body": body })
}

/// The recordings cut off what lies before the repositories, too.
fn without_folder(text: &str) -> String {
    let Some(at) = text.find("/data/repositories") else {
        return text.to_owned();
    };
    let start = text[..at].rfind(' ').map_or(0, |space| space + 1);
    format!("{}{}", &text[..start], &text[at..])
}

fn headers(headers: &HeaderMap) -> Value {
    let kept = ["content-type", "location", "x-total-count"].into_iter();
    let kept = kept.filter_map(|name| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.into())));
    Value::Object(kept.collect::<Map<String, Value>>())
}

#[test]
fn basic_credentials_are_coded_as_in_the_rfc() {
    assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(basic("a", "b"), "Basic YTpi");
}
