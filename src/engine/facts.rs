//! From what a driver saw last, and how it ended, to the facts that readers are shown.

use jiff::Timestamp;

use crate::domain;
use crate::domain::answer::{LocalRefsAnswer, RepositoryAnswer, UpstreamAnswer};
use crate::domain::observation::{History, Observation};
use crate::domain::problem::Code;
use crate::domain::refs::{ObjectId, RefList};
use crate::domain::run::End;
use crate::domain::spec::MirrorSpec;
use crate::domain::status::{Behind, Facts};

/// What a driver saw last of each side; `None`: not in this attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    upstream: Option<Side>,
    gitea: Option<Side>,
    repository: Identity,
    left_aside: Aside,
    differing: Option<u64>,
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
        Self { refs: count(list.len()), commit: list.commit_of(&spec.branch).cloned() }
    }
}

impl LastSeen {
    pub(super) fn upstream(&mut self, spec: &MirrorSpec, answer: &UpstreamAnswer) {
        if let UpstreamAnswer::List(list) = answer {
            self.upstream = Some(Side::of(spec, list));
        }
    }

    pub(super) fn local_refs(&mut self, spec: &MirrorSpec, answer: &LocalRefsAnswer, differing: Option<usize>) {
        if let LocalRefsAnswer::List(list) = answer {
            self.gitea = Some(Side::of(spec, list));
            self.differing = differing.map(count).or(self.differing);
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
pub(super) fn after(before: &Facts, seen: &LastSeen, end: &End, now: Timestamp) -> Facts {
    // a mirror that is not to follow was not looked at for how far it follows
    if end.problem().is_some_and(|problem| problem.code == Code::ModeRefuses) {
        let mut facts = before.clone();
        take_in(&mut facts, seen);
        return facts;
    }
    let mut facts = Facts {
        last_attempt_at: Some(now),
        last_end: Some(end.phase()),
        problem: end.problem().cloned(),
        ..before.clone()
    };
    take_in(&mut facts, seen);
    if let Some(side) = &seen.upstream {
        (facts.upstream_refs, facts.upstream_commit) = (Some(side.refs), side.commit.clone());
    }
    if let Some(side) = &seen.gitea {
        (facts.gitea_refs, facts.gitea_commit) = (Some(side.refs), side.commit.clone());
    }
    if let Some(refs) = seen.differing.filter(|refs| *refs > 0) {
        let since = before.behind.map_or(now, |behind| behind.since);
        facts.behind = Some(Behind { since, refs });
    }
    match end {
        End::Succeeded { evidence, .. } => {
            facts.proven_at = Some(evidence.proven_at());
            facts.proven_refs = Some(count(evidence.refs()));
            facts.proven_branches = evidence.branches().map(count);
            facts.behind = None;
            facts.consecutive_failures = 0;
        }
        End::Failed { .. } => {
            facts.consecutive_failures = before.consecutive_failures.saturating_add(1);
        }
        End::Unverified { .. } => {}
        // nothing was found out
        End::Canceled => return before.clone(),
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

fn count(refs: usize) -> u64 {
    u64::try_from(refs).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::Problem;

    #[test]
    fn a_repository_that_is_gone_has_no_id_and_one_that_was_not_looked_at_keeps_it() {
        let failed = End::Failed { problem: Problem::new(Code::UpstreamRefused, "x") };
        let before = Facts { gitea_id: Some(7), ..Facts::default() };
        assert_eq!(after(&before, &LastSeen::default(), &failed, Timestamp::UNIX_EPOCH).gitea_id, Some(7));
        let mut seen = LastSeen::default();
        seen.repository(&RepositoryAnswer::Absent);
        assert_eq!(after(&before, &seen, &failed, Timestamp::UNIX_EPOCH).gitea_id, None);
    }

    #[test]
    fn behind_begins_when_it_is_first_seen_and_lasts_until_a_proof() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let failed = End::Failed { problem: Problem::new(Code::SyncFailing, "x") };
        let seen = |differing| LastSeen { differing: Some(differing), ..LastSeen::default() };
        let first = after(&Facts::default(), &seen(3), &failed, at(10));
        let second = after(&first, &seen(5), &failed, at(20));
        assert_eq!(second.behind, Some(Behind { since: at(10), refs: 5 }));
        assert_eq!((second.consecutive_failures, second.last_attempt_at), (2, Some(at(20))));
        let blind = after(&second, &LastSeen::default(), &failed, at(30));
        assert_eq!(blind.behind, second.behind, "what was not looked at has not changed");
        assert_eq!(after(&blind, &seen(0), &End::Canceled, at(40)), blind);
    }
}
