//! A scripted API server: the four calls that this service makes, refused as a real one would refuse them.
//!
//! It knows one service account, ours, and lets it do what the chart's Role lets it do: create token reviews, get and
//! patch one `ConfigMap`, create `ConfigMaps` in its namespace. It holds to content types, resource versions and
//! audiences, and can be told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// Where it is found.
pub(crate) const API_SERVER: &str = "kubernetes.test:6443";

/// The audience of the API server itself.
const OWN_AUDIENCE: &str = "https://kubernetes.default.svc";

/// The namespace and the name of the platform's status.
pub(crate) const NAMESPACE: &str = "catalyst";
pub(crate) const NAME: &str = "self-sovereign-cutover-status";

/// How a call is answered in place of what it asks for.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A status with Kubernetes' own body.
    Status(u16),
    /// A page, as a proxy gives it.
    Page,
    /// What is asked for, late.
    Slow(Duration),
}

/// A call that came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) what: String,
    pub(crate) body: Value,
    pub(crate) answered: u16,
    pub(crate) at: Instant,
}

#[derive(Debug)]
struct Account {
    user: String,
    audiences: Vec<String>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Our service account's token; an empty one is nobody's.
    ours: String,
    accounts: BTreeMap<String, Account>,
    status: Option<Value>,
    version: u64,
    /// What our role does not have, such as `patch configmaps`.
    denied: Vec<String>,
    faults: VecDeque<(String, Fault)>,
    /// It does not look at audiences, as servers before 1.12 and some proxies.
    audience_unaware: bool,
    /// Somebody else creates the `ConfigMap` just before we do.
    race: bool,
    calls: Vec<Call>,
}

/// The server; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Inside>>);

impl ApiServer {
    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inside) -> T) -> T {
        what(&mut self.0.lock().unwrap())
    }

    /// Our service account has this token from now on.
    pub(crate) fn our_token_is(&self, token: &str) {
        self.with(|inside| token.clone_into(&mut inside.ours));
    }

    /// Somebody has this token; no audience: the API server's own.
    pub(crate) fn account(&self, token: &str, user: &str, audiences: &[&str]) {
        let audiences = if audiences.is_empty() { &[OWN_AUDIENCE] } else { audiences };
        let audiences = audiences.iter().map(ToString::to_string).collect();
        self.with(|inside| inside.accounts.insert(token.to_owned(), Account { user: user.to_owned(), audiences }));
    }

    /// Nobody has this token any more.
    pub(crate) fn revoke(&self, token: &str) {
        self.with(|inside| inside.accounts.remove(token));
    }

    /// The platform's status is this from now on.
    pub(crate) fn status_is(&self, data: &Value) {
        self.with(|inside| {
            inside.version += 1;
            inside.status = Some(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": NAME, "namespace": NAMESPACE, "resourceVersion": inside.version.to_string() },
                "data": data,
            }));
        });
    }

    /// There is no status.
    pub(crate) fn no_status(&self) {
        self.with(|inside| inside.status = None);
    }

    /// The data of the status.
    #[track_caller]
    pub(crate) fn data(&self) -> Map<String, Value> {
        self.with(|inside| inside.status.clone()).expect("there is a status")["data"].as_object().unwrap().clone()
    }

    /// The whole `ConfigMap`.
    pub(crate) fn status(&self) -> Option<Value> {
        self.with(|inside| inside.status.clone())
    }

    /// Our role does not have this.
    pub(crate) fn deny(&self, what: &str) {
        self.with(|inside| inside.denied.push(what.to_owned()));
    }

    /// Our role has all that the chart gives it.
    pub(crate) fn allow_again(&self) {
        self.with(|inside| inside.denied.clear());
    }

    pub(crate) fn ignore_audiences(&self) {
        self.with(|inside| inside.audience_unaware = true);
    }

    pub(crate) fn race_for_the_status(&self) {
        self.with(|inside| inside.race = true);
    }

    /// The next calls of this kind, such as `create tokenreviews`, are answered so, each once.
    pub(crate) fn fail(&self, what: &str, faults: &[Fault]) {
        self.with(|inside| inside.faults.extend(faults.iter().map(|fault| (what.to_owned(), fault.clone()))));
    }

    /// The calls of a kind, so far.
    pub(crate) fn calls(&self, what: &str) -> Vec<Call> {
        self.with(|inside| inside.calls.iter().filter(|call| call.what == what).cloned().collect())
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.calls(what).len()
    }

    pub(crate) fn forget_calls(&self) {
        self.with(|inside| inside.calls.clear());
    }
}

async fn answer(
    State(server): State<ApiServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::of(&method, &uri);
    let what = asked.what();
    let fault = server.with(|inside| {
        let place = inside.faults.iter().position(|(which, _)| *which == what);
        place.and_then(|place| inside.faults.remove(place)).map(|(_, fault)| fault)
    });
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let response = match fault {
        Some(Fault::Status(status)) => Answer::status(status, "Scripted", "it is told to"),
        Some(Fault::Page) => Answer { status: 200, body: None },
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            server.with(|inside| inside.answer(&asked, &headers, &body))
        }
        None => server.with(|inside| inside.answer(&asked, &headers, &body)),
    };
    server.with(|inside| inside.calls.push(Call { what, body, answered: response.status, at: Instant::now() }));
    response.into_response()
}

/// A verb on a resource, as RBAC sees it.
struct Asked {
    verb: &'static str,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Asked {
    fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
        let verb = match method.as_str() {
            "GET" => "get",
            "POST" => "create",
            "PATCH" => "patch",
            "PUT" => "update",
            "DELETE" => "delete",
            _ => "other",
        };
        let own = |text: &&str| (*text).to_owned();
        match &parts[..] {
            ["api", "v1", "namespaces", namespace, resource, name @ ..] => {
                Self { verb, resource: own(resource), namespace: Some(own(namespace)), name: name.first().map(own) }
            }
            ["apis", "authentication.k8s.io", "v1", "tokenreviews"] => {
                Self { verb, resource: "tokenreviews".into(), namespace: None, name: None }
            }
            _ => Self { verb, resource: uri.path().to_owned(), namespace: None, name: None },
        }
    }

    fn what(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }

    /// What the chart's `ClusterRole` and Role allow.
    fn is_in_the_role(&self) -> bool {
        let here = self.namespace.as_deref() == Some(NAMESPACE);
        match (self.verb, self.resource.as_str()) {
            ("create", "tokenreviews") => true,
            ("get" | "patch", "configmaps") => here && self.name.as_deref() == Some(NAME),
            ("create", "configmaps") => here && self.name.is_none(),
            _ => false,
        }
    }
}

struct Answer {
    status: u16,
    /// `None`: a page.
    body: Option<Value>,
}

impl Answer {
    fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    fn status(status: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
            "message": message, "code": status,
        });
        Self::json(status, body)
    }

    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap();
        match self.body {
            Some(body) => (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
            None => (status, [(header::CONTENT_TYPE, "text/html")], "<html>Please log in</html>").into_response(),
        }
    }
}

impl Inside {
    fn answer(&mut self, asked: &Asked, headers: &HeaderMap, body: &Value) -> Answer {
        let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if self.ours.is_empty() || presented != format!("Bearer {}", self.ours) {
            return Answer::status(401, "Unauthorized", "Unauthorized");
        }
        if !asked.is_in_the_role() || self.denied.contains(&asked.what()) {
            let message = format!("cannot {} in the namespace {:?}", asked.what(), asked.namespace);
            return Answer::status(403, "Forbidden", &message);
        }
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let wanted = match asked.verb {
            "patch" => "application/merge-patch+json",
            "create" => "application/json",
            _ => "",
        };
        if media_type != wanted {
            return Answer::status(415, "UnsupportedMediaType", "the body of the request was in an unknown format");
        }
        match (asked.verb, asked.resource.as_str()) {
            ("create", "tokenreviews") => self.review(body),
            ("get", _) => self.status.clone().map_or_else(Self::not_found, |status| Answer::json(200, status)),
            ("patch", _) => self.patch(body),
            _ => self.create(body),
        }
    }

    fn not_found() -> Answer {
        Answer::status(404, "NotFound", &format!("configmaps {NAME:?} not found"))
    }

    fn review(&self, body: &Value) -> Answer {
        if body["kind"] != "TokenReview" || body["apiVersion"] != "authentication.k8s.io/v1" {
            return Answer::status(400, "BadRequest", "no kind and apiVersion of a TokenReview");
        }
        let asked_for: Vec<String> = serde_json::from_value(body["spec"]["audiences"].clone()).unwrap_or_default();
        let target = if asked_for.is_empty() { vec![OWN_AUDIENCE.to_owned()] } else { asked_for };
        let known = body["spec"]["token"].as_str().and_then(|token| self.accounts.get(token));
        let status = match known {
            None => json!({ "user": {}, "error": "[invalid bearer token, token lookup failed]" }),
            Some(account) if self.audience_unaware => {
                json!({ "authenticated": true, "user": { "username": account.user } })
            }
            Some(account) => {
                let common: Vec<_> = account.audiences.iter().filter(|one| target.contains(one)).collect();
                if common.is_empty() {
                    let error = format!("[invalid bearer token, token audiences are invalid for {target:?}]");
                    json!({ "user": {}, "error": error })
                } else {
                    let groups = ["system:serviceaccounts", "system:authenticated"];
                    let user = json!({ "username": account.user, "uid": "u", "groups": groups });
                    json!({ "authenticated": true, "user": user, "audiences": common })
                }
            }
        };
        let mut review = body.clone();
        review["metadata"] = json!({ "creationTimestamp": null });
        review["status"] = status;
        Answer::json(201, review)
    }

    fn patch(&mut self, body: &Value) -> Answer {
        let Some(status) = &mut self.status else { return Self::not_found() };
        let given = &body["metadata"]["resourceVersion"];
        if !given.is_null() && *given != status["metadata"]["resourceVersion"] {
            return Answer::status(409, "Conflict", "the object has been modified");
        }
        if body["data"]
            .as_object()
            .is_some_and(|data| data.values().any(|value| !value.is_string() && !value.is_null()))
        {
            return Answer::status(422, "Invalid", "data: the values of a ConfigMap are texts");
        }
        merge(status, body);
        self.version += 1;
        status["metadata"]["resourceVersion"] = self.version.to_string().into();
        Answer::json(200, status.clone())
    }

    fn create(&mut self, body: &Value) -> Answer {
        if std::mem::take(&mut self.race) {
            self.version += 1;
            let version = self.version.to_string();
            self.status = Some(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": NAME, "namespace": NAMESPACE, "resourceVersion": version },
                "data": { "cutoverComplete": "false", "cutoverStartedAt": "2026-01-01T00:00:00Z" },
            }));
        }
        if self.status.is_some() {
            return Answer::status(409, "AlreadyExists", &format!("configmaps {NAME:?} already exists"));
        }
        if body["kind"] != "ConfigMap" || body["metadata"]["name"] != NAME || body["metadata"]["namespace"] != NAMESPACE
        {
            return Answer::status(422, "Invalid", "this is not the ConfigMap of this path");
        }
        self.version += 1;
        let mut made = body.clone();
        made["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.status = Some(made.clone());
        Answer::json(201, made)
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
