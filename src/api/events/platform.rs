//! Events in the words of the platform's own stream.
//!
//! Owns the mapping. To the platform this service is one step of its cutover, and that step is the first mirror, as in
//! `/status`: events of other mirrors are left out. Nothing here ever says that the cutover is complete: the console goes by
//! an event's name, and has none beyond a step's progress.

use std::collections::BTreeMap;

use axum::response::sse;
use jiff::Timestamp;
use serde_json::Value;

use super::message;
use crate::api::wire::{PlatformEvent, STEP, StatusBody};
use crate::domain::event::{Event, Recorded};
use crate::domain::names::MirrorName;
use crate::domain::run::{End, Part, Phase};
use crate::engine::Snapshot;

const STARTED: &str = "cutover-started";
const STEP_STARTED: &str = "cutover-step-started";
const STEP_FINISHED: &str = "cutover-step-finished";
const STEP_FAILED: &str = "cutover-step-failed";
const STATUS: &str = "cutover-status";

/// The status, as the string map of the platform's own status: JSON in the event's message.
pub(super) fn snapshot(snapshot: &Snapshot, now: Timestamp) -> sse::Event {
    let message = serde_json::to_string(&map(&StatusBody::new(&snapshot.status, now)));
    let message = message.expect("a map of strings has a JSON form");
    let event = PlatformEvent { time: now, phase: STATUS, level: "info", message, step: None };
    message::message(Some(snapshot.id), STATUS, &event)
}

fn map(status: &StatusBody) -> BTreeMap<String, String> {
    let status = serde_json::to_value(status).expect("wire types have a JSON form");
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let own = ["state", "cutoverComplete", "failedStep", "lastError", "mirroredCommitSHA"];
    let mut map: BTreeMap<_, _> =
        own.into_iter().filter_map(|name| Some((name.to_owned(), text(&status[name])?))).collect();
    let times = ["startedAt", "finishedAt"].into_iter();
    map.extend(times.filter_map(|name| Some((format!("step.{STEP}.{name}"), text(&status["steps"][0][name])?))));
    map.insert(format!("step.{STEP}.result"), text(&status["steps"][0]["result"]).unwrap_or_default());
    map
}

/// An event of the mirror that is the step; `None`: it is of another mirror, or the platform has no name for it.
pub(super) fn event(recorded: &Recorded, step: &MirrorName) -> Option<sse::Event> {
    let (phase, level, message) = match &recorded.event {
        Event::RunAccepted(run) => {
            run.part(step)?;
            (STARTED, "info", format!("Run {} was accepted for {}.", run.id, run.requested_by))
        }
        Event::Phase(entered) if entered.mirror != *step => return None,
        Event::MirrorEnded(ended) if ended.part.name != *step => return None,
        Event::Phase(entered) => match &entered.waiting_for {
            Some(problem) => (
                STEP_STARTED,
                "warn",
                format!("{}: {}, waiting: {}: {}", entered.mirror, entered.phase, problem.code, problem.detail),
            ),
            None => (STEP_STARTED, "info", format!("{}: {}", entered.mirror, entered.phase)),
        },
        // the step lasts until the whole run has ended
        Event::MirrorEnded(ended) => {
            let (name, phase) = (&ended.part.name, ended.part.phase);
            match ended.part.end.as_ref().and_then(End::problem) {
                Some(problem) => {
                    let level = if matches!(ended.part.end, Some(End::Failed { .. })) { "error" } else { "warn" };
                    (STEP_STARTED, level, format!("{name}: {phase}: {}: {}", problem.code, problem.detail))
                }
                None => (STEP_STARTED, "info", format!("{name}: {phase}")),
            }
        }
        Event::RunEnded(run) => {
            // another mirror of the same run may have failed, which is not this step's result
            let Part { name, phase: ended, end } = run.part(step)?;
            let (phase, level) = match ended {
                Phase::Succeeded => (STEP_FINISHED, "info"),
                Phase::Unverified => (STEP_FINISHED, "warn"),
                // canceled, too: a console that waits for the step must learn that nothing more comes
                _ => (STEP_FAILED, "error"),
            };
            let why = end.as_ref().and_then(End::problem);
            let why = why.map(|problem| format!(": {}: {}", problem.code, problem.detail)).unwrap_or_default();
            (phase, level, format!("Run {}: {name}: {ended}{why}", run.id))
        }
        Event::Rewritten(_) | Event::Freshness(_) | Event::Mode(_) => return None,
    };
    let step = (phase != STARTED).then_some(STEP);
    let event = PlatformEvent { time: recorded.at, phase, level, message, step };
    Some(message::message(Some(recorded.id), phase, &event))
}
