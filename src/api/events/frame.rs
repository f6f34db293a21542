//! From what is told to the bytes of a stream.
//!
//! Owns the framing. A frame is given piece by piece, each made when there is room for it: the status of ten thousand
//! mirrors is never held whole for a reader. Its JSON is one line up to [`AT_ONCE`] mirrors, and else has line ends
//! between its members, each line a `data` of its own, as the format has it.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::wire::{
    FreshnessEvent, MirrorBody, ModeEvent, PartBody, PartEndEvent, PhaseEvent, RewriteEvent, RunBody, RunEvent,
    ShutdownEvent, SnapshotEvent, StatusBody,
};
use crate::domain::event::{Event, EventId, Kind, Recorded};
use crate::domain::run::Run;
use crate::domain::status::Status;
use crate::engine::Snapshot;

/// The most mirrors in a line.
const AT_ONCE: usize = 64;

/// How an empty list of mirrors is written: the place for them.
const PLACE: &str = r#""mirrors":[]"#;

/// Asks the reader to come back this soon when a stream has ended, in milliseconds.
pub(super) const GREETING: &str = "retry: 2000\n\n";

/// A line that says nothing but that somebody is there.
pub(super) const HEARTBEAT: &str = ": still here\n\n";

/// What stands in a list of mirrors.
enum List {
    Mirrors(Arc<Status>, Timestamp),
    Parts(Arc<Run>),
}

impl List {
    fn len(&self) -> usize {
        match self {
            Self::Mirrors(status, _) => status.mirrors.len(),
            Self::Parts(run) => run.parts.len(),
        }
    }

    /// Some of them, with commas between.
    fn some(&self, from: usize, to: usize) -> String {
        let texts: Vec<String> = match self {
            Self::Mirrors(status, now) => {
                status.mirrors[from..to].iter().map(|mirror| json(&MirrorBody::new(mirror, *now))).collect()
            }
            Self::Parts(run) => run.parts[from..to].iter().map(|part| json(&PartBody::new(part))).collect(),
        };
        texts.join(",")
    }
}

/// An event on its way out.
pub(super) struct Frame {
    head: String,
    /// What stands before, between and after the lists.
    text: VecDeque<String>,
    lists: VecDeque<List>,
    /// How many of the first list have been given.
    given: usize,
    over: bool,
}

impl Frame {
    /// An event whose data is made at once.
    pub(super) fn whole(id: Option<EventId>, name: &str, data: &impl Serialize) -> Self {
        Self::with(id, name, &json(data), VecDeque::new())
    }

    /// One whose `data` has places for these lists.
    fn with(id: Option<EventId>, name: &str, data: &str, lists: VecDeque<List>) -> Self {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        let text = if lists.is_empty() {
            [data.to_owned()].into()
        } else {
            // a place within a text has its quotation marks escaped and is not taken for one
            let parts: VecDeque<&str> = data.splitn(lists.len() + 1, PLACE).collect();
            let last = parts.len() - 1;
            parts
                .into_iter()
                .enumerate()
                .map(|(n, part)| {
                    let (before, after) = (if n > 0 { "]" } else { "" }, if n < last { r#""mirrors":["# } else { "" });
                    format!("{before}{part}{after}")
                })
                .collect()
        };
        Self { head: format!("{id}event: {name}\n"), text, lists, given: 0, over: false }
    }

    /// Where things stand.
    pub(super) fn snapshot(snapshot: &Snapshot, now: Timestamp) -> Self {
        // to the second, as `/status` has it
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let mut body = SnapshotEvent { at: now, missed: snapshot.missed, status: None, run: None };
        let mut lists = VecDeque::new();
        if let Some(run) = &snapshot.run {
            body.run = Some(RunBody::without_mirrors(run));
            lists.push_back(List::Parts(Arc::clone(run)));
        } else {
            let status = &snapshot.status;
            body.status = Some(StatusBody::without_mirrors(status));
            lists.push_back(List::Mirrors(Arc::clone(status), second));
            lists.extend(status.latest_run.iter().map(|run| List::Parts(Arc::clone(run))));
        }
        Self::with(Some(snapshot.id), Kind::Snapshot.label(), &json(&body), lists)
    }

    /// What has happened.
    pub(super) fn event(recorded: &Recorded) -> Self {
        let (at, name) = (recorded.at, recorded.event.kind().label());
        let id = Some(recorded.id);
        match &recorded.event {
            Event::RunAccepted(run) | Event::RunEnded(run) => {
                let body = RunEvent { at, run: RunBody::without_mirrors(run) };
                Self::with(id, name, &json(&body), [List::Parts(Arc::clone(run))].into())
            }
            Event::Phase(entered) => Self::whole(id, name, &PhaseEvent::new(at, entered)),
            Event::MirrorEnded(ended) => Self::whole(id, name, &PartEndEvent::new(at, ended)),
            Event::Rewritten(rewrite) => Self::whole(id, name, &RewriteEvent::new(at, rewrite)),
            Event::Freshness(changed) => Self::whole(id, name, &FreshnessEvent::new(at, changed)),
            Event::Mode(changed) => Self::whole(id, name, &ModeEvent::new(at, changed)),
        }
    }

    /// The last word of a stream at the service's end. It has no number: the reader goes on from what it has.
    pub(super) fn shutdown(now: Timestamp) -> Self {
        Self::whole(None, Kind::Shutdown.label(), &ShutdownEvent { at: now })
    }

    /// The next piece; `None`: that was all.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let mut piece = std::mem::take(&mut self.head);
        if self.lists.iter().map(List::len).sum::<usize>() <= AT_ONCE && self.given == 0 {
            piece.push_str("data: ");
            while let Some(text) = self.text.pop_front() {
                piece.push_str(&text);
                if let Some(list) = self.lists.pop_front() {
                    piece.push_str(&list.some(0, list.len()));
                }
            }
            piece.push_str("\n\n");
            self.over = true;
            return Some(piece.into());
        }
        if self.given == 0 {
            line(&mut piece, &self.text.pop_front().unwrap_or_default());
        }
        let Some(list) = self.lists.front() else {
            piece.push('\n');
            self.over = true;
            return Some(piece.into());
        };
        let to = (self.given + AT_ONCE).min(list.len());
        if to > self.given {
            let comma = if to < list.len() { "," } else { "" };
            line(&mut piece, &(list.some(self.given, to) + comma));
        }
        self.given = to;
        if to == list.len() {
            self.lists.pop_front();
            self.given = 0;
        }
        Some(piece.into())
    }
}

fn line(piece: &mut String, text: &str) {
    piece.push_str("data: ");
    piece.push_str(text);
    piece.push('\n');
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our answers have a JSON form")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::domain::names::MirrorName;
    use crate::domain::problem::{Code, Problem};
    use crate::domain::run::{End, RunId, Trigger};
    use crate::domain::status::{GiteaStatus, MirrorStatus};
    use crate::domain::tests::spec;

    fn run(mirrors: usize) -> Arc<Run> {
        let names: Vec<_> = (0..mirrors).map(|n| MirrorName::parse(&format!("m{n}")).unwrap()).collect();
        let at = Timestamp::UNIX_EPOCH;
        let mut run = Run::accepted(RunId(Uuid::nil()), Trigger::Api, "ops".into(), at, names.clone());
        for name in &names {
            let problem = Problem::new(Code::NotAMirror, r#"somebody wrote "mirrors":[] there"#);
            run.end_part(name, &End::Failed { problem }, at);
        }
        Arc::new(run)
    }

    fn status(mirrors: usize) -> Arc<Status> {
        let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
        mirror.facts.problem = Some(Problem::new(Code::NotAMirror, r#"or "mirrors":[] here"#));
        let mirrors: Vec<_> = std::iter::repeat_with(|| Arc::new(mirror.clone())).take(mirrors).collect();
        let latest_run = (!mirrors.is_empty()).then(|| run(mirrors.len() + 3));
        Arc::new(Status { mirrors, latest_run, gitea: GiteaStatus::default(), cutover_complete: Some(true) })
    }

    /// The whole text, and its data as a reader puts it together.
    fn read(mut frame: Frame) -> (String, Value, usize) {
        let (mut text, mut longest) = (String::new(), 0);
        while let Some(piece) = frame.next() {
            longest = longest.max(piece.len());
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1, "{text:.300}");
        let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let data = serde_json::from_str(&data.join("\n")).unwrap_or_else(|error| panic!("{error}: {text:.2000}"));
        (text, data, longest)
    }

    #[test]
    fn a_snapshot_says_what_the_status_says_however_many_mirrors_there_are() {
        let now = Timestamp::UNIX_EPOCH;
        for mirrors in [0, 1, 30, 64, 65, 128, 129, 1_000] {
            let status = status(mirrors);
            let snapshot = Snapshot { id: EventId::new(7), missed: true, status: Arc::clone(&status), run: None };
            let (text, data, longest) = read(Frame::snapshot(&snapshot, now));
            assert!(text.starts_with("id: 7\nevent: snapshot\ndata: "), "{text:.80}");
            assert_eq!(data["missed"], true);
            assert_eq!(data["status"], serde_json::to_value(StatusBody::new(&status, now)).unwrap(), "{mirrors}");
            assert!(data.get("run").is_none());
            let lines = text.lines().filter(|line| line.starts_with("data: ")).count();
            assert_eq!(lines == 1, mirrors <= 30, "{mirrors}: {lines}");
            assert!(longest < 100_000, "a piece has {longest} bytes");
        }
    }

    #[test]
    fn a_run_is_told_as_it_is_read_elsewhere() {
        for mirrors in [1, 64, 65, 300] {
            let run = run(mirrors);
            let expected = serde_json::to_value(RunBody::new(&run, false)).unwrap();
            let at = Timestamp::UNIX_EPOCH;
            let recorded = Recorded { id: EventId::new(9), at, event: Event::RunEnded(Arc::clone(&run)) };
            let (text, data, _) = read(Frame::event(&recorded));
            assert!(text.starts_with("id: 9\nevent: run-ended\n"));
            assert_eq!((&data["run"], &data["at"]), (&expected, &"1970-01-01T00:00:00Z".into()));
            let snapshot = Snapshot { id: EventId::new(7), missed: false, status: status(0), run: Some(run) };
            assert_eq!(read(Frame::snapshot(&snapshot, at)).1["run"], expected);
        }
    }
}
