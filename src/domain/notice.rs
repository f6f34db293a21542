//! What is worth telling somebody who does not watch: the edges of what is known of a mirror.
//!
//! Owns which changes are told, their one spelling, and the form in which they leave (`CloudEvents` 1.0). Tells an edge
//! once: a mirror that fails in the same way ten times has failed once.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::names::MirrorName;
use super::problem::Code;
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
        /// A run failed in a way that asking again will not mend: a person has to change something.
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

/// What there is to tell of a mirror of which `before` was known, and now `after`.
#[must_use]
pub fn edges(before: &Facts, after: &Facts) -> Vec<Kind> {
    let mut edges = Vec::new();
    if before.behind.is_none() && after.behind.is_some() {
        edges.push(Kind::Behind);
    }
    let failed = |facts: &Facts| -> Option<(Code, bool)> {
        let problem = facts.problem.as_ref().filter(|_| facts.last_end == Some(Phase::Failed))?;
        Some((problem.code, problem.retryable))
    };
    if let Some(now) = failed(after).filter(|now| failed(before) != Some(*now)) {
        edges.push(if now.1 { Kind::RunFailed } else { Kind::NeedsAttention });
    }
    // that an observation could not tell for a moment is no doubt that anybody was told of
    let ended_badly = |facts: &Facts| matches!(facts.last_end, Some(Phase::Failed | Phase::Unverified));
    let doubted = |facts: &Facts| facts.behind.is_some() || facts.unknown.is_some() && ended_badly(facts);
    if doubted(before) && after.behind.is_none() && after.unknown.is_none() && after.proven_at.is_some() {
        edges.push(Kind::Fresh);
    }
    edges
}

impl Notice {
    /// As it leaves; `run`: the one that found it out, if none of our observations did.
    #[must_use]
    pub fn new(id: Uuid, kind: Kind, spec: &MirrorSpec, facts: &Facts, run: Option<RunId>, at: Timestamp) -> Self {
        let problem = facts.problem.as_ref().map(|problem| {
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
    use crate::domain::problem::Problem;
    use crate::domain::status::{Behind, Unknown};
    use crate::domain::tests::spec;

    fn ended(phase: Phase, problem: Option<Code>) -> Facts {
        let problem = problem.map(|code| Problem::new(code, "x"));
        let unknown =
            problem.as_ref().map(|problem| Unknown { since: Timestamp::UNIX_EPOCH, code: Some(problem.code) });
        let proven_at = problem.is_none().then_some(Timestamp::UNIX_EPOCH);
        Facts { last_end: Some(phase), problem, unknown, proven_at, ..Facts::default() }
    }

    #[test]
    fn an_edge_is_told_once_and_nothing_while_all_stays_as_it_is() {
        let at = Timestamp::UNIX_EPOCH;
        let never = Facts::default();
        let good = ended(Phase::Succeeded, None);
        let doubt = ended(Phase::Unverified, Some(Code::UpstreamUnreachable));
        let passing = ended(Phase::Failed, Some(Code::GiteaError));
        let lasting = ended(Phase::Failed, Some(Code::NotAMirror));
        let behind = Facts { behind: Some(Behind { since: at, refs: 2, ..Behind::default() }), ..good.clone() };
        let further = Facts { behind: Some(Behind { since: at, refs: 9, ..Behind::default() }), ..good.clone() };
        let both = Facts { behind: behind.behind.clone(), ..passing.clone() };
        let seen = Facts { unknown: None, proven_at: Some(at), ..passing.clone() };
        let blind = Facts { unknown: doubt.unknown, ..good.clone() };
        let gone = blind.clone();
        for (before, after, expected) in [
            (&never, &good, &[][..]),
            (&never, &lasting, &[Kind::NeedsAttention]),
            (&good, &good, &[]),
            (&good, &doubt, &[]),
            (&doubt, &good, &[Kind::Fresh]),
            (&good, &behind, &[Kind::Behind]),
            (&behind, &further, &[]),
            (&further, &good, &[Kind::Fresh]),
            (&good, &passing, &[Kind::RunFailed]),
            (&passing, &passing, &[]),
            (&passing, &lasting, &[Kind::NeedsAttention]),
            (&lasting, &doubt, &[]),
            (&lasting, &good, &[Kind::Fresh]),
            (&good, &both, &[Kind::Behind, Kind::RunFailed]),
            (&both, &behind, &[]),
            // an observation proves it, and the latest run has failed all the same
            (&passing, &seen, &[Kind::Fresh]),
            (&seen, &blind, &[]),
            (&gone, &behind, &[Kind::Behind]),
            (&behind, &gone, &[]),
        ] {
            assert_eq!(edges(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_leaves_is_a_cloud_event() {
        let at: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let facts = Facts { proven_at: Some(at), ..ended(Phase::Failed, Some(Code::NotAMirror)) };
        let notice = Notice::new(Uuid::nil(), Kind::NeedsAttention, &spec(), &facts, Some(RunId(Uuid::max())), at);
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
