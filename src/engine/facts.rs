//! From what was seen last, and what it came to, to the facts that readers are shown: after a driver's end, and after
//! an observation.

use jiff::Timestamp;

use crate::domain;
use crate::domain::answer::{LocalRefsAnswer, RepositoryAnswer, UpstreamAnswer};
use crate::domain::decide::Finding;
use crate::domain::evidence::Evidence;
use crate::domain::observation::{History, Observation};
use crate::domain::problem::Code;
use crate::domain::refs::{Comparison, ObjectId, RefList};
use crate::domain::run::End;
use crate::domain::spec::MirrorSpec;
use crate::domain::status::{Behind, Facts, Unknown};
use crate::domain::webhook::Pushes;

/// What was seen last of each side; `None`: not in this attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    upstream: Option<Side>,
    gitea: Option<Side>,
    repository: Identity,
    left_aside: Aside,
    /// Since the epoch, and so of no meaning: it was seen now.
    differing: Option<Behind>,
    /// What became of the pushes that deliveries name.
    pub(super) pushes: Pushes,
}

/// Which repository has the name.
#[derive(Clone, Copy, Debug, Default)]
enum Identity {
    #[default]
    NotSeen,
    Gone,
    Id {
        id: u64,
        writable: bool,
    },
}

/// What stands under another name since a run has put it there.
#[derive(Clone, Debug, Default)]
enum Aside {
    #[default]
    AsItWas,
    Nothing,
    Left(domain::aside::Aside),
}

#[derive(Clone, Debug)]
struct Side {
    refs: u64,
    commit: Option<ObjectId>,
}

impl Side {
    fn of(spec: &MirrorSpec, list: &RefList) -> Self {
        Self { refs: count(list.len()), commit: list.commit_of(&spec.branch) }
    }
}

impl LastSeen {
    pub(super) fn upstream(&mut self, spec: &MirrorSpec, answer: &UpstreamAnswer) {
        if let UpstreamAnswer::List(list) = answer {
            self.upstream = Some(Side::of(spec, list));
        }
    }

    pub(super) fn local_refs(&mut self, spec: &MirrorSpec, answer: &LocalRefsAnswer, compared: Option<&Comparison>) {
        if let LocalRefsAnswer::List(list) = answer {
            self.gitea = Some(Side::of(spec, list));
            let differing = compared.map(|compared| Behind::by(Timestamp::UNIX_EPOCH, compared));
            self.differing = differing.or_else(|| self.differing.take());
        }
    }

    pub(super) fn repository(&mut self, answer: &RepositoryAnswer) {
        match answer {
            RepositoryAnswer::Present(repository) => {
                let writable = !repository.mirror && !repository.archived;
                self.repository = Identity::Id { id: repository.id, writable };
            }
            RepositoryAnswer::Absent => self.repository = Identity::Gone,
            RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_) => {}
        }
    }

    /// Whether Gitea has said what stands under the name.
    pub(super) const fn saw_the_repository(&self) -> bool {
        !matches!(self.repository, Identity::NotSeen)
    }

    /// Takes over what was seen of each side.
    fn into_sides_of(self, facts: &mut Facts) {
        take_in(facts, &self);
        facts.pushes.learn(&self.pushes);
        facts.pushes.settle();
        if let Some(side) = self.upstream {
            (facts.upstream_refs, facts.upstream_commit) = (Some(side.refs), side.commit);
        }
        if let Some(side) = self.gitea {
            (facts.gitea_refs, facts.gitea_commit) = (Some(side.refs), side.commit);
        }
    }
}

impl LastSeen {
    /// Takes note, at the end, of what is left under another name.
    pub(super) fn aside(&mut self, history: &History, observation: &Observation, end: &End) {
        let there = |id: u64| matches!(self.repository, Identity::Id { id: seen, .. } if seen == id);
        self.left_aside = match (end, &history.aside, &history.left_aside) {
            (End::Canceled, _, _) | (_, None, None) => Aside::AsItWas,
            (End::Failed { .. }, Some(aside), _) if !there(aside.repository) => Aside::Left(aside.clone()),
            // it has its name back; or a mirror has it, and the run says what became of the other
            (End::Failed { .. } | End::Unverified { .. }, Some(_), _) | (End::Succeeded { .. }, _, _) => Aside::Nothing,
            (End::Failed { .. } | End::Unverified { .. }, None, Some(left)) => match &observation.aside {
                Some(RepositoryAnswer::Present(seen)) if seen.id != left.repository => Aside::Nothing,
                Some(RepositoryAnswer::Absent) => Aside::Nothing,
                Some(RepositoryAnswer::Present(_) | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_))
                | None => Aside::AsItWas,
            },
        };
    }
}

/// The facts after an attempt.
pub(super) fn after(before: &Facts, mut seen: LastSeen, end: &End, now: Timestamp) -> Facts {
    // a mirror that is not to follow was not looked at for how far it follows
    if end.problem().is_some_and(|problem| problem.code == Code::ModeRefuses) {
        let mut facts = before.clone();
        take_in(&mut facts, &seen);
        return facts;
    }
    let mut facts = Facts {
        last_attempt_at: Some(now),
        last_end: Some(end.phase()),
        problem: end.problem().cloned(),
        ..before.clone()
    };
    if let Some(differing) = seen.differing.take().filter(|differing| differing.refs > 0) {
        facts.behind = Some(Behind { since: since(before, now), ..differing });
    }
    seen.into_sides_of(&mut facts);
    match end {
        End::Succeeded { evidence, .. } => proves(&mut facts, evidence, now),
        End::Failed { problem } | End::Unverified { problem } => {
            if matches!(end, End::Failed { .. }) {
                facts.consecutive_failures = before.consecutive_failures.saturating_add(1);
            }
            // a mistake, a crash or a full disk of our own says nothing about the two sides
            if !matches!(problem.code, Code::StateUnavailable | Code::Internal | Code::RunCrashed) {
                cannot_tell(&mut facts, Some(problem.code), now);
            }
        }
        // nothing was found out
        End::Canceled => return before.clone(),
    }
    if matches!(end, End::Succeeded { .. }) {
        facts.consecutive_failures = 0;
    }
    facts
}

/// What a look at the repository alone tells.
pub(super) fn take_in(facts: &mut Facts, seen: &LastSeen) {
    match &seen.left_aside {
        Aside::AsItWas => {}
        Aside::Nothing => facts.left_aside = None,
        Aside::Left(aside) => facts.left_aside = Some(aside.clone()),
    }
    (facts.gitea_id, facts.writable) = match seen.repository {
        Identity::NotSeen => (facts.gitea_id, facts.writable),
        Identity::Gone => (None, false),
        Identity::Id { id, writable } => (Some(id), writable),
    };
}

/// The facts after an observation. What the latest attempt came to stays as it is.
pub(super) fn observed(before: &Facts, seen: LastSeen, finding: &Finding, now: Timestamp) -> Facts {
    let mut facts = before.clone();
    seen.into_sides_of(&mut facts);
    match finding {
        Finding::Proven(evidence) => proves(&mut facts, evidence, now),
        Finding::Differing(comparison) => {
            (facts.behind, facts.unknown) = (Some(Behind::by(since(before, now), comparison)), None);
            facts.observed_at = Some(now);
        }
        Finding::Settings(evidence) => {
            // what was proven before stays the measure of what may have been lost since
            facts.proven_at = evidence.as_ref().map(|evidence| evidence.proven_at()).or(facts.proven_at);
            (facts.behind, facts.unknown) = (Some(Behind { since: since(before, now), ..Behind::default() }), None);
            facts.observed_at = Some(now);
        }
        Finding::Absent => {
            let code = before
                .proven_at
                .map(|_| if facts.gitea_id.is_none() { Code::RepositoryVanished } else { Code::BrokenMirror });
            facts.behind = None;
            cannot_tell(&mut facts, code, now);
        }
        Finding::Unknown(problem) => cannot_tell(&mut facts, Some(problem.code), now),
        Finding::NotAsked => facts.observed_at = Some(now),
    }
    facts
}

/// Whether two sets of facts tell a reader the same but for when it was seen.
pub(super) fn tell_the_same(one: &Facts, other: &Facts) -> bool {
    let timeless = |facts: &Facts| Facts { proven_at: None, observed_at: None, ..facts.clone() };
    one.proven_at.is_some() == other.proven_at.is_some() && timeless(one) == timeless(other)
}

fn proves(facts: &mut Facts, evidence: &Evidence, now: Timestamp) {
    facts.proven_at = Some(evidence.proven_at());
    facts.proven_refs = Some(count(evidence.refs()));
    facts.proven_branches = evidence.branches().map(count);
    (facts.behind, facts.unknown, facts.healing) = (None, None, None);
    facts.observed_at = Some(now);
}

fn cannot_tell(facts: &mut Facts, code: Option<Code>, now: Timestamp) {
    let since = facts.unknown.map_or(now, |unknown| unknown.since.min(now));
    facts.unknown = Some(Unknown { since, code });
    // it is found when nothing else differs
    if code == Some(Code::UpstreamLagging) {
        facts.behind = None;
    }
    facts.observed_at = Some(now);
}

/// Since when it is behind, if it is still so at `now`: a clock may have been set back since.
fn since(before: &Facts, now: Timestamp) -> Timestamp {
    before.behind.as_ref().map_or(now, |behind| behind.since.min(now))
}

fn count(refs: usize) -> u64 {
    u64::try_from(refs).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::Problem;
    use crate::domain::refs::{Difference, RefName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn differing(count: usize) -> Comparison {
        let one =
            |n| Difference { name: RefName::parse(&format!("refs/heads/{n}")).unwrap(), upstream: None, gitea: None };
        Comparison { differing: count, first: (0..count).map(one).collect(), only_in_gitea: 0 }
    }

    #[test]
    fn a_repository_that_is_gone_has_no_id_and_one_that_was_not_looked_at_keeps_it() {
        let failed = End::Failed { problem: Problem::new(Code::UpstreamRefused, "x") };
        let before = Facts { gitea_id: Some(7), ..Facts::default() };
        assert_eq!(after(&before, LastSeen::default(), &failed, Timestamp::UNIX_EPOCH).gitea_id, Some(7));
        let mut seen = LastSeen::default();
        seen.repository(&RepositoryAnswer::Absent);
        assert_eq!(after(&before, seen, &failed, Timestamp::UNIX_EPOCH).gitea_id, None);
    }

    #[test]
    fn behind_begins_when_it_is_first_seen_and_lasts_until_a_proof() {
        let failed = End::Failed { problem: Problem::new(Code::SyncFailing, "x") };
        let seen = |count| LastSeen { differing: Some(Behind::by(at(0), &differing(count))), ..LastSeen::default() };
        let first = after(&Facts::default(), seen(3), &failed, at(10));
        let second = after(&first, seen(5), &failed, at(20));
        let behind = second.behind.clone().unwrap();
        assert_eq!((behind.since, behind.refs, behind.differing.len()), (at(10), 5, 5));
        assert_eq!((second.consecutive_failures, second.last_attempt_at), (2, Some(at(20))));
        let blind = after(&second, LastSeen::default(), &failed, at(30));
        assert_eq!(blind.behind, second.behind, "what was not looked at has not changed");
        assert_eq!(after(&blind, seen(0), &End::Canceled, at(40)), blind);
    }

    #[test]
    fn an_observation_leaves_alone_what_the_latest_attempt_came_to() {
        let failed = End::Failed { problem: Problem::new(Code::SyncFailing, "x") };
        let before = after(&Facts::default(), LastSeen::default(), &failed, at(10));
        let now = observed(&before, LastSeen::default(), &Finding::Differing(differing(2)), at(20));
        assert_eq!((now.last_attempt_at, now.consecutive_failures), (Some(at(10)), 1));
        assert_eq!((now.problem.clone(), now.unknown), (before.problem, None));
        assert_eq!(now.behind.as_ref().map(|behind| (behind.since, behind.refs)), Some((at(20), 2)));
        let later = observed(&now, LastSeen::default(), &Finding::Differing(differing(3)), at(30));
        assert_eq!(later.behind.as_ref().map(|behind| (behind.since, behind.refs)), Some((at(20), 3)));
        assert!(!tell_the_same(&now, &later));
        let same = observed(&later, LastSeen::default(), &Finding::Differing(differing(3)), at(40));
        assert!(tell_the_same(&later, &same) && same.observed_at == Some(at(40)));
    }

    #[test]
    fn unknown_begins_when_it_is_first_so_whatever_the_reasons() {
        let trouble = |code| Finding::Unknown(Problem::new(code, "x"));
        let first = observed(&Facts::default(), LastSeen::default(), &trouble(Code::GiteaUnreachable), at(10));
        let second = observed(&first, LastSeen::default(), &trouble(Code::UpstreamUnreachable), at(20));
        assert_eq!(second.unknown, Some(Unknown { since: at(10), code: Some(Code::UpstreamUnreachable) }));
        let set_back = observed(&second, LastSeen::default(), &trouble(Code::UpstreamUnreachable), at(5));
        assert_eq!(set_back.unknown.map(|unknown| unknown.since), Some(at(5)), "nothing began in the future");
    }

    #[test]
    fn a_mirror_that_is_gone_is_not_behind_and_one_that_never_was_is_only_not_proven() {
        let mut seen = LastSeen::default();
        seen.repository(&RepositoryAnswer::Absent);
        let never = observed(&Facts::default(), seen.clone(), &Finding::Absent, at(10));
        assert_eq!(never.unknown, Some(Unknown { since: at(10), code: None }));
        let proven = Facts { proven_at: Some(at(1)), behind: Some(Behind::default()), ..Facts::default() };
        let gone = observed(&proven, seen, &Finding::Absent, at(10));
        assert_eq!((gone.behind, gone.unknown.unwrap().code), (None, Some(Code::RepositoryVanished)));
    }

    #[test]
    fn our_own_trouble_says_nothing_about_the_mirror() {
        for code in [Code::StateUnavailable, Code::Internal, Code::RunCrashed] {
            let end = End::Failed { problem: Problem::new(code, "x") };
            let facts = after(&Facts::default(), LastSeen::default(), &end, at(10));
            assert_eq!((facts.unknown, facts.observed_at, facts.consecutive_failures), (None, None, 1));
        }
    }
}
