//! What is worth telling somebody who does not watch: the edges of what is known of a mirror.
//!
//! Owns which changes are told, their one spelling, and the form in which they leave (`CloudEvents` 1.0). Tells an edge
//! once: a mirror that fails in the same way ten times has failed once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::names::MirrorName;
use super::problem::{Code, Problem};
use super::run::{Phase, RunId, labelled};
use super::spec::MirrorSpec;
use super::status::Facts;

labelled! {
    /// What is told.
    Kind {
        /// Refs were seen to differ from upstream's.
        Behind = "behind",
        /// After that, or after a failure, the refs are proven equal again.
        Fresh = "fresh",
        /// A run failed in a way that asking again can mend.
        RunFailed = "run-failed",
        /// A run failed in a way that asking again will not mend, or something was found that none has caused: a person
        /// has to change something.
        NeedsAttention = "needs-attention",
    }
}

/// The media type of what leaves.
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its name: the same however often it is sent.
    pub id: Uuid,
    /// The mirror that it is about.
    pub mirror: MirrorName,
    /// When it happened.
    pub at: Timestamp,
    /// What is sent, as it is signed.
    pub body: String,
}

/// What somebody has been told, or has reason to ask, and has not been told the end of: kept with what is known of the
/// mirror, so that an edge is told once, whatever comes between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is told, and ends, whatever the others are")]
pub struct Alarm {
    /// That it is behind.
    pub behind: bool,
    /// That its repository is gone, or empty.
    pub gone: bool,
    /// That it was found stopped in Gitea.
    pub stopped: bool,
    /// How the latest failure was, and whether asking again could have mended it.
    pub failed: Option<(Code, bool)>,
    /// A run could not verify the refs: that is told to whoever asked for it, and to nobody else.
    pub doubted: bool,
}

impl Alarm {
    fn is_on(&self) -> bool {
        *self != Self::default()
    }
}

/// What there is to tell of a mirror of which `before` was known, and now `after`, with what was told until now; that is
/// brought up to date in `after`. A mirror that does not follow is behind by intent, and so it is `fresh` by intent.
/// `attempted`: a run's end is between the two, and no observation; two ends may be of one instant.
#[must_use]
pub fn edges(before: &Facts, after: &mut Facts, follows: bool, attempted: bool) -> Vec<(Kind, Option<Problem>)> {
    let mut edges = Vec::new();
    let alarm = &mut after.alarm;
    if follows && after.behind.is_some() && !std::mem::replace(&mut alarm.behind, true) {
        edges.push((Kind::Behind, after.problem.clone()));
    }
    let gone = after.unknown.and_then(|unknown| unknown.code);
    let gone = gone.filter(|code| matches!(code, Code::RepositoryVanished | Code::BrokenMirror));
    let known_to_be_gone = alarm.gone;
    alarm.gone |= gone.is_some();
    if let Some(problem) = after.problem.as_ref().filter(|_| attempted && after.last_end == Some(Phase::Failed)) {
        let failed = Some((problem.code, problem.retryable));
        if std::mem::replace(&mut alarm.failed, failed) != failed {
            let kind = if problem.retryable { Kind::RunFailed } else { Kind::NeedsAttention };
            edges.push((kind, Some(problem.clone())));
        }
    } else if let Some(code) = gone.filter(|_| !known_to_be_gone) {
        edges.push((Kind::NeedsAttention, Some(lost(code))));
    }
    alarm.doubted |= attempted && after.last_end == Some(Phase::Unverified);
    let anew = after.proven_at != before.proven_at || (attempted && after.last_end == Some(Phase::Succeeded));
    let proven = anew && after.behind.is_none() && after.unknown.is_none();
    if follows && proven && alarm.is_on() {
        *alarm = Alarm::default();
        edges.push((Kind::Fresh, after.problem.clone()));
    }
    edges
}

/// What an observation has seen of a repository that is no mirror any more.
fn lost(code: Code) -> Problem {
    let detail = if code == Code::RepositoryVanished {
        "an observation found no repository where a proven mirror was"
    } else {
        "an observation found a repository without refs where a proven mirror was"
    };
    Problem::new(code, detail)
}

impl Notice {
    /// As it leaves; `problem`: what there is to be done about; `run`: the one that found it out, if none of our
    /// observations did.
    #[must_use]
    pub fn new(
        id: Uuid,
        (kind, problem): (Kind, Option<Problem>),
        spec: &MirrorSpec,
        facts: &Facts,
        run: Option<RunId>,
        at: Timestamp,
    ) -> Self {
        let problem = problem.map(|problem| {
            json!({
                "error": problem.code, "title": problem.code.title(), "detail": problem.detail,
                "remedy": problem.remedy, "retryable": problem.retryable,
            })
        });
        let behind = facts.behind.as_ref().map(|behind| json!({ "since": behind.since, "refs": behind.refs }));
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/mirrors/{}", spec.name),
            "type": format!("io.openova.cutover.mirror.{kind}"),
            "subject": spec.name,
            "time": at,
            "datacontenttype": "application/json",
            "data": {
                "mirror": spec.name,
                "upstream": spec.upstream.as_str(),
                "repository": spec.full_name(),
                "run": run,
                "provenAt": facts.proven_at,
                "commit": facts.gitea_commit,
                "behind": behind.unwrap_or(Value::Null),
                "problem": problem.unwrap_or(Value::Null),
            },
        });
        Self { id, mirror: spec.name.clone(), at, body: event.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::{Behind, Unknown};
    use crate::domain::tests::spec;

    /// Told one after the other, as it would be.
    struct Story {
        facts: Facts,
        second: i64,
    }

    impl Story {
        fn step(&mut self, follows: bool, change: impl FnOnce(&mut Facts, Timestamp)) -> Vec<String> {
            self.second += 60;
            let mut after = self.facts.clone();
            change(&mut after, Timestamp::from_second(self.second).unwrap());
            let attempted = after.last_attempt_at != self.facts.last_attempt_at;
            self.tell(after, follows, attempted)
        }

        fn tell(&mut self, mut after: Facts, follows: bool, attempted: bool) -> Vec<String> {
            let told = edges(&self.facts, &mut after, follows, attempted);
            self.facts = after;
            let word = |(kind, problem): (Kind, Option<Problem>)| match (kind, problem) {
                (Kind::RunFailed | Kind::NeedsAttention, Some(problem)) => format!("{kind} {}", problem.code),
                (kind, _) => kind.to_string(),
            };
            told.into_iter().map(word).collect()
        }
    }

    fn proven(facts: &mut Facts, now: Timestamp) {
        (facts.proven_at, facts.behind, facts.unknown) = (Some(now), None, None);
    }

    fn behind(facts: &mut Facts, now: Timestamp) {
        facts.behind = Some(Behind { since: now, refs: 2, ..Behind::default() });
    }

    fn blind(code: Code) -> impl FnOnce(&mut Facts, Timestamp) {
        move |facts, now| facts.unknown = Some(Unknown { since: now, code: Some(code) })
    }

    fn ended(phase: Phase, code: Option<Code>) -> impl FnOnce(&mut Facts, Timestamp) {
        move |facts, now| {
            (facts.last_attempt_at, facts.last_end) = (Some(now), Some(phase));
            facts.problem = code.map(|code| Problem::new(code, "x"));
            match code {
                None => proven(facts, now),
                // of our own making: it says nothing of the two sides
                Some(Code::StateUnavailable) => {}
                Some(code) => blind(code)(facts, now),
            }
        }
    }

    #[test]
    fn an_edge_is_told_once_and_its_end_is_too() {
        type Change = Box<dyn FnOnce(&mut Facts, Timestamp)>;
        let is = |change: fn(&mut Facts, Timestamp)| -> Change { Box::new(change) };
        let ends = |phase, code| -> Change { Box::new(ended(phase, code)) };
        let sees = |code| -> Change { Box::new(blind(code)) };
        let failed = |code| ends(Phase::Failed, Some(code));
        let mut story = Story { facts: Facts::default(), second: 0 };
        let follow = true;
        for (number, (follows, change, expected)) in [
            (follow, failed(Code::NotAMirror), "needs-attention not-a-mirror"),
            (follow, ends(Phase::Succeeded, None), "fresh"),
            (follow, ends(Phase::Succeeded, None), ""),
            (follow, is(behind), "behind"),
            (follow, is(behind), ""),
            (follow, failed(Code::GiteaError), "run-failed gitea-error"),
            (follow, failed(Code::GiteaError), ""),
            (follow, failed(Code::NotAMirror), "needs-attention not-a-mirror"),
            (follow, is(proven), "fresh"),
            // the latest run has failed all the same, and nobody is told of it again; but of the next that does
            (follow, sees(Code::UpstreamUnreachable), ""),
            (follow, is(proven), ""),
            (follow, failed(Code::NotAMirror), "needs-attention not-a-mirror"),
            (follow, ends(Phase::Unverified, Some(Code::UpstreamUnreachable)), ""),
            (follow, ends(Phase::Succeeded, None), "fresh"),
            (follow, ends(Phase::Unverified, Some(Code::UpstreamUnreachable)), ""),
            (follow, is(proven), "fresh"),
            // a full disk of ours is no proof of anything
            (follow, failed(Code::StateUnavailable), "run-failed state-unavailable"),
            (follow, is(proven), "fresh"),
            // the repository went, and a run that finds the same has nothing to add but itself
            (follow, sees(Code::RepositoryVanished), "needs-attention repository-vanished"),
            (follow, sees(Code::RepositoryVanished), ""),
            (follow, sees(Code::UpstreamUnreachable), ""),
            (follow, sees(Code::BrokenMirror), ""),
            (follow, failed(Code::BrokenMirror), "needs-attention broken-mirror"),
            (follow, ends(Phase::Succeeded, None), "fresh"),
            (follow, failed(Code::BrokenMirror), "needs-attention broken-mirror"),
            (follow, sees(Code::BrokenMirror), ""),
            (follow, is(proven), "fresh"),
            // what stands still drifts by intent, until it is to follow again
            (!follow, is(behind), ""),
            (!follow, is(proven), ""),
            (!follow, is(behind), ""),
            (follow, is(behind), "behind"),
            (!follow, is(proven), ""),
            (follow, is(proven), "fresh"),
            (!follow, sees(Code::RepositoryVanished), "needs-attention repository-vanished"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(story.step(follows, change).join(", "), expected, "step {number}");
        }
    }

    #[test]
    fn ends_of_one_instant_are_told_like_any_others() {
        let mut story = Story { facts: Facts::default(), second: 0 };
        for (phase, code, expected) in [
            (Phase::Succeeded, None, ""),
            (Phase::Failed, Some(Code::NotAMirror), "needs-attention not-a-mirror"),
            (Phase::Failed, Some(Code::GiteaError), "run-failed gitea-error"),
            (Phase::Succeeded, None, "fresh"),
        ] {
            let mut after = story.facts.clone();
            ended(phase, code)(&mut after, Timestamp::UNIX_EPOCH);
            assert_eq!(story.tell(after, true, true).join(", "), expected);
        }
    }

    #[test]
    fn what_leaves_is_a_cloud_event() {
        let at: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let facts = Facts { proven_at: Some(at), ..Facts::default() };
        let told = (Kind::NeedsAttention, Some(Problem::new(Code::NotAMirror, "x")));
        let notice = Notice::new(Uuid::nil(), told, &spec(), &facts, Some(RunId(Uuid::max())), at);
        let event: Value = serde_json::from_str(&notice.body).unwrap();
        for (member, value) in [
            ("specversion", "1.0"),
            ("id", "00000000-0000-0000-0000-000000000000"),
            ("source", "/mirrors/openova"),
            ("type", "io.openova.cutover.mirror.needs-attention"),
            ("subject", "openova"),
            ("time", "2026-11-23T09:00:00Z"),
            ("datacontenttype", "application/json"),
        ] {
            assert_eq!(event[member], value, "{member}");
        }
        assert_eq!(event["data"]["problem"]["error"], "not-a-mirror");
        assert_eq!(event["data"]["repository"], "openova/openova");
    }
}
