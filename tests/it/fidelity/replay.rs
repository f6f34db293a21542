//! Plays a condensed transcript on the stand-in and collects every difference. Knows what is left out and why; must
//! never correct an answer before it is compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use standin::Profile;

use super::condense::Condenser;
use super::line::{self, Line};
use super::scenes;
use super::stage::Stage;

/// Steps that are not played: the servers (none: all), the scene, the step, the reason.
pub(super) const LEFT_OUT: &[(&[&str], &str, &str, &str)] = &[];

fn is_left_out(server: &str, line: &Line) -> bool {
    LEFT_OUT.iter().any(|(servers, scene, step, _)| {
        (servers.is_empty() || servers.contains(&server))
            && *scene == line.scene
            && *step == line.step
    })
}

/// One field in which the stand-in differs from the server that was recorded.
struct Difference {
    scene: String,
    step: String,
    field: String,
    recorded: String,
    standin: String,
}

/// What a replay came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) steps: usize,
    pub(super) left_out: usize,
    differences: Vec<Difference>,
}

impl Outcome {
    /// The differences, a line each; empty when there are none.
    pub(super) fn table(&self, server: &str) -> String {
        let mut table = String::new();
        for d in &self.differences {
            writeln!(
                table,
                "{server} | {} | {} | {} | recorded {} | stand-in {}",
                d.scene, d.step, d.field, d.recorded, d.standin
            )
            .expect("writing to a String cannot fail");
        }
        table
    }
}

/// Plays all scenes of one server.
pub(super) async fn replay(profile: Profile) -> Outcome {
    let server = profile.name();
    let lines = line::read(server);
    let mut stage = Stage::new(profile);
    let mut condenser = Condenser::default();
    let mut outcome = Outcome::default();
    for scene in lines.chunk_by(|a, b| a.scene == b.scene) {
        for line in scene {
            if is_left_out(server, line) {
                outcome.left_out += 1;
                continue;
            }
            scenes::before(&mut stage, line, scene).await;
            let played = scenes::play(&mut stage, line).await;
            let mut standin = match &line.request {
                Some(request) => condenser.response(request, &played.response),
                None => played.response,
            };
            let mut recorded = line.expected.clone();
            if let (Some(seen), Some((_, expected))) = (played.seen, scenes::awaited(&line.step)) {
                standin["seen"] = seen.into();
                recorded["seen"] = expected.into();
            }
            if let Some((repository, listed)) = listed(line) {
                recorded["folder"] = listed;
                standin["folder"] = condenser.names(stage.refs(&repository));
            }
            outcome.steps += 1;
            compare(line, &recorded, &standin, &mut outcome.differences);
        }
    }
    outcome
}

/// The heads and tags that a recorded list of references has, as they must be found in the repository's folder.
fn listed(line: &Line) -> Option<(String, Value)> {
    let request = line.request.as_ref().filter(|request| request.is_git())?;
    let body = &line.expected["body"];
    let full_name = request
        .path
        .trim_start_matches('/')
        .split(".git/")
        .next()?
        .to_owned();
    if body == "no references" || body.get("unborn").is_some() {
        return Some((full_name, json!({})));
    }
    let listed = body
        .as_object()?
        .iter()
        .filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"));
    let ids = listed.filter_map(|(name, shown)| {
        Some((name.clone(), shown.as_str()?.split(' ').next()?.into()))
    });
    Some((full_name, Value::Object(ids.collect())))
}

fn compare(line: &Line, recorded: &Value, standin: &Value, differences: &mut Vec<Difference>) {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    flatten("", recorded, &mut left);
    flatten("", standin, &mut right);
    let fields: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for field in fields {
        let (recorded, standin) = (left.get(field), right.get(field));
        if recorded != standin {
            let shown =
                |value: Option<&String>| value.cloned().unwrap_or_else(|| "nothing".to_owned());
            differences.push(Difference {
                scene: line.scene.clone(),
                step: line.step.clone(),
                field: field.clone(),
                recorded: shown(recorded),
                standin: shown(standin),
            });
        }
    }
}

/// Every leaf of a value under the path that leads to it.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(&path, value, leaves);
            }
        }
        leaf => {
            leaves.insert(path.to_owned(), leaf.to_string());
        }
    }
}
