//! What a step must have done to the folder of a repository, by what was recorded of it: looked up in the folder
//! itself, not in the stand-in's answers. Must never judge: [`super::replay`] compares.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::condense::Condenser;
use super::line::{Body, Line};
use super::stage::Stage;

/// A recorded effect.
pub(super) struct Effect {
    full_name: String,
    kind: Kind,
    /// The folder before the step, which may lose it.
    folder: Option<PathBuf>,
}

enum Kind {
    /// These heads and tags, by the names that the recording gives to their ids.
    Holds(Value),
    /// The heads and tags of this repository of upstream's, id by id.
    AsUpstream(String),
    /// No folder at all.
    Gone,
}

impl Effect {
    /// The effect of a step, where the recording lets one know it. To be called before the step is played.
    pub(super) fn of(stage: &Stage, line: &Line) -> Option<Self> {
        let request = line.request.as_ref()?;
        let path = request.path.as_str();
        let (full_name, kind) = if request.is_git() {
            let full_name = path.trim_start_matches('/').split(".git/").next()?;
            (full_name.to_owned(), listed(&line.expected["body"])?)
        } else if let Body::Migrate(members) = &request.body {
            if line.expected["status"] != 201 {
                return None;
            }
            let full_name = line.expected["body"]["full_name"].as_str()?.to_owned();
            let cloned = members.get("clone_addr").and_then(Value::as_str).unwrap_or("/one.git");
            let cloned = cloned.rsplit('/').next()?.trim_end_matches(".git").to_owned();
            // Some answers of upstream's look like an empty repository, and are believed.
            let is_empty = line.expected["body"]["empty"] == true;
            (full_name, if is_empty { Kind::Holds(json!({})) } else { Kind::AsUpstream(cloned) })
        } else if request.method == "DELETE" && line.expected["status"] == 204 {
            (path.trim_start_matches("/api/v1/repos/").to_owned(), Kind::Gone)
        } else {
            return None;
        };
        let folder = stage.folder(&full_name);
        Some(Self { full_name, kind, folder })
    }

    /// What must be found in the folder, and what is.
    pub(super) fn look(&self, stage: &Stage, condenser: &mut Condenser) -> (Value, Value) {
        let folder = self.folder.clone().or_else(|| stage.folder(&self.full_name));
        let is_there = folder.is_some_and(|folder| folder.exists());
        let found = || stage.refs(&self.full_name);
        match &self.kind {
            Kind::Gone => ("gone".into(), if is_there { "there".into() } else { "gone".into() }),
            _ if !is_there => ("there".into(), "gone".into()),
            Kind::Holds(recorded) => (recorded.clone(), condenser.names(found())),
            Kind::AsUpstream(name) => (json!(stage.upstream.heads_and_tags(name)), json!(found())),
        }
    }
}

/// What a recorded answer to git says of the folder.
fn listed(body: &Value) -> Option<Kind> {
    if body.as_str().is_some_and(|kind| kind.starts_with("the folder is gone")) {
        return Some(Kind::Gone);
    }
    if body == "no references" || body.get("unborn").is_some() {
        return Some(Kind::Holds(json!({})));
    }
    let references = body.as_object()?.iter();
    let of_ours = references.filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"));
    let ids = of_ours.filter_map(|(name, shown)| Some((name.clone(), shown.as_str()?.split(' ').next()?.into())));
    Some(Kind::Holds(Value::Object(ids.collect())))
}
