//! From the engine's events to messages of a stream.
//!
//! Owns the name, the id and the data of each message. Decides nothing about a stream.

use axum::response::sse;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::wire::{
    FreshnessEvent, ModeEvent, PartEndEvent, PhaseEvent, RewriteEvent, RunBody, RunEvent, ShutdownEvent, SnapshotEvent,
    StatusBody,
};
use crate::domain::event::{Event, EventId, Kind, Recorded};
use crate::engine::Snapshot;

/// A message of this name with JSON data.
pub(super) fn message(id: Option<EventId>, name: &str, data: &impl Serialize) -> sse::Event {
    let message = sse::Event::default();
    let message = match id {
        Some(id) => message.id(id.to_string()),
        None => message,
    };
    message.event(name).json_data(data).expect("wire types have a JSON form")
}

/// The current state: of the run that is followed, else of everything.
pub(super) fn snapshot(snapshot: &Snapshot, now: Timestamp) -> sse::Event {
    // to the second, as `/status` has it
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let run = snapshot.run.as_ref().map(|run| RunBody::new(run, false));
    let status = run.is_none().then(|| StatusBody::new(&snapshot.status, second));
    let body = SnapshotEvent { at: now, missed: snapshot.missed, status, run };
    message(Some(snapshot.id), Kind::Snapshot.label(), &body)
}

/// One recorded event.
pub(super) fn event(recorded: &Recorded) -> sse::Event {
    let (at, name, id) = (recorded.at, recorded.event.kind().label(), Some(recorded.id));
    match &recorded.event {
        Event::RunAccepted(run) | Event::RunEnded(run) => {
            message(id, name, &RunEvent { at, run: RunBody::new(run, false) })
        }
        Event::Phase(entered) => message(id, name, &PhaseEvent::new(at, entered)),
        Event::MirrorEnded(ended) => message(id, name, &PartEndEvent::new(at, ended)),
        Event::Rewritten(rewrite) => message(id, name, &RewriteEvent::new(at, rewrite)),
        Event::Freshness(changed) => message(id, name, &FreshnessEvent::new(at, changed)),
        Event::Mode(changed) => message(id, name, &ModeEvent::new(at, changed)),
    }
}

/// The last message before the service ends. It has no id, so that the caller resumes after the event before it.
pub(super) fn shutdown(now: Timestamp) -> sse::Event {
    message(None, Kind::Shutdown.label(), &ShutdownEvent { at: now })
}
