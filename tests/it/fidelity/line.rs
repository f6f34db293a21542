//! One line of a condensed transcript, and the files they stand in. Knows the names of the servers and the shape of
//! a request; must never know what an answer means (that is `condense`) nor how a scene is played (`scenes`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The address that the recordings give to upstream.
pub(super) const UPSTREAM: &str = "http://upstream.test:PORT";

/// The recorded servers that are replayed.
pub(super) const SERVERS: [&str; 6] =
    ["gitea-1.22", "gitea-1.24", "gitea-1.26", "gitea-1.27", "forgejo-11", "forgejo-16"];

/// The recorded servers under unusual settings: each scene is a server of its own, with one setting changed.
pub(super) const UNDER_SETTINGS: [&str; 2] = ["gitea-1.26.settings", "forgejo-16.settings"];

/// Every recording.
pub(super) fn recorded() -> impl Iterator<Item = &'static str> {
    SERVERS.into_iter().chain(UNDER_SETTINGS)
}

/// What was asked, what came back; or, without a request, what was observed beside the API.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(super) struct Line {
    pub(super) scene: String,
    pub(super) step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request>,
    pub(super) expected: Value,
}

/// A request as recorded, with the two bodies that recur spelt short.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) auth: String,
    /// The git protocol asked for; only in requests for git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<u64>,
    #[serde(default, skip_serializing_if = "Body::is_none")]
    pub(super) body: Body,
}

/// The body of a request.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    #[default]
    None,
    Json(Value),
    /// What a migrate differs in from [`usual_migrate`]; `null` is a member that was not sent.
    Migrate(Map<String, Value>),
    /// git's `ls-refs`, as [`LS_REFS`] has it.
    LsRefs,
}

impl Body {
    fn is_none(&self) -> bool {
        *self == Self::None
    }

    fn condense(body: &Value) -> Self {
        match body {
            Value::Null => Self::None,
            Value::Object(members) if members.contains_key("clone_addr") => {
                let usual = usual_migrate();
                let mut differs: Map<String, Value> = members
                    .iter()
                    .filter(|(k, v)| usual.get(*k) != Some(v))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                let unsent = usual.keys().filter(|k| !members.contains_key(*k));
                differs.extend(unsent.map(|k| (k.clone(), Value::Null)));
                Self::Migrate(differs)
            }
            other => Self::Json(other.clone()),
        }
    }

    /// The bytes that were sent.
    pub(super) fn bytes(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Json(value) => value.to_string(),
            Self::Migrate(differs) => {
                let mut members = usual_migrate();
                members.extend(differs.clone());
                members.retain(|_, value| !value.is_null());
                Value::Object(members).to_string()
            }
            Self::LsRefs => LS_REFS.to_owned(),
        }
    }
}

impl Request {
    /// The request of a recorded line.
    pub(super) fn condense(request: &Value) -> Self {
        let text = |key: &str| request[key].as_str().expect("a request has a method, a path and an auth").to_owned();
        let raw = request["raw"].as_str();
        assert!(raw.is_none_or(|raw| raw == LS_REFS), "the only raw request that was recorded is `LS_REFS`");
        Self {
            method: text("method"),
            path: text("path"),
            auth: text("auth"),
            protocol: request["protocol"].as_u64(),
            body: if raw.is_some() { Body::LsRefs } else { Body::condense(&request["body"]) },
        }
    }

    /// Whether this goes to a repository and not to the API.
    pub(super) fn is_git(&self) -> bool {
        self.protocol.is_some() || self.body == Body::LsRefs
    }
}

/// The one `ls-refs` request of the recordings.
pub(super) const LS_REFS: &str = "0014command=ls-refs\n0017object-format=sha1\n00010009peel\n000csymrefs\n000bunborn\n\
    001bref-prefix refs/heads/\n001aref-prefix refs/tags/\n0014ref-prefix HEAD\n0000";

/// The members that most recorded migrates have.
fn usual_migrate() -> Map<String, Value> {
    let Value::Object(members) = json!({
        "clone_addr": format!("{UPSTREAM}/one.git"), "repo_owner": "acme", "service": "git",
        "mirror": true, "mirror_interval": "10m0s", "private": false, "wiki": false, "lfs": false, "issues": false,
        "pull_requests": false, "labels": false, "milestones": false, "releases": false,
    }) else {
        unreachable!("the literal is an object")
    };
    members
}

/// The condensed transcript of a server, inside the clone.
pub(super) fn condensed_path(server: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{server}.jsonl"))
}

/// The folder of recordings beside the clone, where there is one.
pub(super) fn recordings() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/transcripts");
    folder.is_dir().then_some(folder)
}

/// The condensed transcript of a server.
pub(super) fn read(server: &str) -> Vec<Line> {
    let path = condensed_path(server);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a condensed line has the shape of `Line`")).collect()
}
