//! Plays a condensed transcript on the stand-in and collects every difference. Knows what is left out and why; must
//! never correct an answer before it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use standin::Profile;

use super::condense::Condenser;
use super::effect::Effect;
use super::line::{self, Line};
use super::scenes;
use super::stage::Stage;

/// Steps that are not played: the servers (none: all), the scene, the step, the reason.
pub(super) const LEFT_OUT: &[(&[&str], &str, &str, &str)] = &[];

fn is_left_out(server: &str, line: &Line) -> bool {
    LEFT_OUT.iter().any(|(servers, scene, step, _)| {
        (servers.is_empty() || servers.contains(&server)) && *scene == line.scene && *step == line.step
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
        let rows = self.differences.iter().map(|d| [server, &d.scene, &d.step, &d.field, &d.recorded, &d.standin]);
        let head = ["server", "scene", "step", "field", "recorded", "stand-in"];
        let rows: Vec<[&str; 6]> = std::iter::once(head).chain(rows).collect();
        if rows.len() == 1 {
            return String::new();
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..head.len() - 1).map(width).collect();
        let mut table = String::new();
        for row in &rows {
            for (cell, width) in row.iter().zip(&widths) {
                write!(table, "{cell:width$} | ").expect("writing to a String cannot fail");
            }
            table.push_str(row[head.len() - 1]);
            table.push('\n');
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
        play(server, scene, &mut stage, &mut condenser, &mut outcome).await;
    }
    assert_eq!(outcome.steps + outcome.left_out, lines.len(), "every step is played or listed");
    outcome
}

/// Plays the scenes of one server under unusual settings, each on a stage of its own.
pub(super) async fn replay_settings(server: &str, profile: Profile) -> Outcome {
    let lines = line::read(server);
    let mut outcome = Outcome::default();
    for scene in lines.chunk_by(|a, b| a.scene == b.scene) {
        let (mut stage, mut condenser) = (Stage::new(profile), Condenser::default());
        stage.gitea.configure(scenes::setting_of(&scene[0].scene));
        play(server, scene, &mut stage, &mut condenser, &mut outcome).await;
    }
    assert_eq!(outcome.steps + outcome.left_out, lines.len(), "every step is played or listed");
    outcome
}

async fn play(server: &str, scene: &[Line], stage: &mut Stage, condenser: &mut Condenser, outcome: &mut Outcome) {
    for line in scene {
        if is_left_out(server, line) {
            outcome.left_out += 1;
            continue;
        }
        scenes::before(stage, line, scene).await;
        let effect = Effect::of(stage, line);
        let played = scenes::play(stage, line).await;
        let mut standin = match &line.request {
            Some(request) => condenser.response(request, &played.response),
            None => played.response,
        };
        let mut recorded = line.expected.clone();
        if let (Some(seen), Some((_, expected))) = (played.seen, scenes::awaited(&line.step)) {
            standin["seen"] = seen.into();
            recorded["seen"] = expected.into();
        }
        if let Some(effect) = effect {
            let (expected, found) = effect.look(stage, condenser);
            recorded["folder"] = expected;
            standin["folder"] = found;
        }
        outcome.steps += 1;
        outcome.differences.extend(stage.troubles.drain(..).map(|trouble| Difference {
            scene: line.scene.clone(),
            step: line.step.clone(),
            field: "before it".to_owned(),
            recorded: "nothing".to_owned(),
            standin: trouble,
        }));
        compare(line, &recorded, &standin, &mut outcome.differences);
    }
}

fn compare(line: &Line, recorded: &Value, standin: &Value, differences: &mut Vec<Difference>) {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    flatten("", recorded, &mut left);
    flatten("", standin, &mut right);
    let fields: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let is_same_answer = recorded["status"] == standin["status"];
    for field in fields {
        let (recorded, standin) = (left.get(field), right.get(field));
        // Of the bodies of two different answers, the message is all that helps.
        let is_noise = !is_same_answer && field.starts_with("body.") && field != "body.message";
        if recorded == standin || is_noise {
            continue;
        }
        let shown = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
        differences.push(Difference {
            scene: line.scene.clone(),
            step: line.step.clone(),
            field: field.clone(),
            recorded: shown(recorded),
            standin: shown(standin),
        });
    }
}

/// Every leaf of a value under the path that leads to it.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, leaves);
            }
        }
        leaf => {
            leaves.insert(path.to_owned(), leaf.to_string());
        }
    }
}

#[test]
fn a_difference_is_told_field_by_field() {
    let line: Line = serde_json::from_value(serde_json::json!({
        "scene": "migrate", "step": "get repo", "expected": { "status": 200, "body": { "mirror": true, "empty": false } }
    }))
    .unwrap();
    let mut outcome = Outcome::default();
    let standin = serde_json::json!({ "status": 200, "body": { "mirror": true, "empty": true, "size": 1 } });
    compare(&line, &line.expected, &standin, &mut outcome.differences);
    let standin = serde_json::json!({ "status": 404, "body": { "message": "not found" } });
    compare(&line, &line.expected, &standin, &mut outcome.differences);
    assert_eq!(
        outcome.table("gitea-1.26"),
        "server     | scene   | step     | field        | recorded | stand-in\n\
         gitea-1.26 | migrate | get repo | body.empty   | false    | true\n\
         gitea-1.26 | migrate | get repo | body.size    | nothing  | 1\n\
         gitea-1.26 | migrate | get repo | body.message | nothing  | \"not found\"\n\
         gitea-1.26 | migrate | get repo | status       | 200      | 404\n"
    );
    assert!(Outcome::default().table("gitea-1.26").is_empty());
}
