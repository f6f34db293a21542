//! The proof that a repository is a placeholder of ours, and dead: without one nothing is ever deleted.
//!
//! Owns [`Proof`] and its one constructor, which checks every condition. Whoever holds a proof may delete that id, and
//! nothing else, after having read it once more. Deletes nothing itself.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::answer::{LocalRefsAnswer, MigrateAnswer, Repository};
use super::refs::{RefList, unequal};
use super::spec::MirrorSpec;

/// Two looks at a missing folder have to be this far apart: in a migrate's first moments it is not there yet.
pub const GONE_FOR_GOOD: Duration = Duration::from_secs(30);

/// A migrate that was written down before it was sent, by a run that had just seen the name absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intended {
    /// `owner/repo`.
    pub target: String,
    /// Gitea's `Date` when the name was seen absent; `None`: it told none, and the migrate proves nothing.
    pub gitea_date: Option<Timestamp>,
    /// What Gitea answered; `None`: nobody knows.
    pub answer: Option<MigrateAnswer>,
    /// Gitea's `Date` with that answer; without one an error is no sign that anything has ended.
    pub answered_at: Option<Timestamp>,
    /// The name was still absent after an error: a row that is there now is not this migrate's.
    pub made_nothing: bool,
}

impl Intended {
    fn can_have_made(&self, spec: &MirrorSpec, repository: &Repository) -> bool {
        self.target.eq_ignore_ascii_case(&spec.full_name())
            && self.gitea_date.is_some_and(|date| repository.created_at >= date)
            && !self.made_nothing
            && self.answer.as_ref().is_none_or(MigrateAnswer::may_have_made_a_row)
            && !(self.ended() && self.answered_at.is_some_and(|date| repository.created_at > date))
    }

    fn ended(&self) -> bool {
        self.answer.as_ref().is_some_and(MigrateAnswer::ended_in_an_error)
    }

    /// An error is about what was there when Gitea said it: a later row is somebody else's, and may be alive.
    fn ended_with(&self, repository: &Repository) -> bool {
        self.ended() && self.answered_at.is_some_and(|date| repository.created_at <= date)
    }
}

/// A placeholder, and all that is known about where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What is configured.
    pub spec: &'a MirrorSpec,
    /// The repository as Gitea shows it.
    pub repository: &'a Repository,
    /// Gitea's `Date` with it; `None`: it told none, and nothing is proven by age.
    pub date: Option<Timestamp>,
    /// Migrates that are known, oldest first.
    pub intents: &'a [Intended],
    /// What its git answers.
    pub local: &'a LocalRefsAnswer,
    /// Upstream's complete list, if it was just read.
    pub upstream: Option<&'a RefList>,
    /// For how long its folder has been seen gone.
    pub folder_gone_for: Duration,
    /// How long after it was made a placeholder is dead whatever else is seen.
    pub dead_after: Duration,
}

/// The proof: of one id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    repository: u64,
    held_refs: bool,
}

/// Why there is none: the first condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is no placeholder.
    NoPlaceholder,
    /// Its address is not upstream's.
    OtherUpstream,
    /// No migrate of ours can have made it.
    NotOurs,
    /// It may still be being cloned.
    MayBeAlive,
    /// What it holds cannot be read.
    RefsUnknown,
    /// It holds refs that upstream does not have with the same object.
    HoldsRefs,
}

impl Unproven {
    /// In words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoPlaceholder => "it is no placeholder",
            Self::OtherUpstream => "its address is not upstream's",
            Self::NotOurs => "no migration that we have written down can have made it",
            Self::MayBeAlive => "it may still be being cloned",
            Self::RefsUnknown => "what it holds cannot be read",
            Self::HoldsRefs => "it holds refs that upstream does not show with the same object",
        }
    }
}

impl Proof {
    /// Checks every condition.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn of(case: &Case<'_>) -> Result<Self, Unproven> {
        if !case.repository.mirror || case.repository.interval.is_some() {
            return Err(Unproven::NoPlaceholder);
        }
        if !case.spec.upstream.is_the_upstream_of(&case.repository.original_url) {
            return Err(Unproven::OtherUpstream);
        }
        // the latest that can have made it: an earlier one's placeholder was gone when that one was written down
        let intent = case.intents.iter().rev().find(|intent| intent.can_have_made(case.spec, case.repository));
        let intent = intent.ok_or(Unproven::NotOurs)?;
        // the row's own age, by Gitea's clock alone: it may be much younger than a migrate of ours that never arrived
        let age = case.date.map(|date| date.duration_since(case.repository.created_at));
        let age = age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        let dead =
            intent.ended_with(case.repository) || case.folder_gone_for >= GONE_FOR_GOOD || age >= case.dead_after;
        if !dead {
            return Err(Unproven::MayBeAlive);
        }
        let held_refs = match case.local {
            LocalRefsAnswer::FolderGone => false,
            LocalRefsAnswer::List(list) => {
                let nothing = RefList::default();
                let upstream = case.upstream.unwrap_or(&nothing);
                if unequal(upstream, list).any(|unequal| unequal.gitea.is_some()) {
                    return Err(Unproven::HoldsRefs);
                }
                !list.is_empty()
            }
            LocalRefsAnswer::Oversize(_)
            | LocalRefsAnswer::Trouble(_)
            | LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::Refused(_)
            | LocalRefsAnswer::Gone => return Err(Unproven::RefsUnknown),
        };
        Ok(Self { repository: case.repository.id, held_refs })
    }

    /// The one repository that it allows to be deleted.
    #[must_use]
    pub const fn repository(&self) -> u64 {
        self.repository
    }

    /// Whether it held refs, all of which upstream has: Gitea has refused its interval then, after a whole clone.
    #[must_use]
    pub const fn held_refs(&self) -> bool {
        self.held_refs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::spec;

    /// The placeholder of a migrate of ours that Gitea has answered with an error.
    fn repository() -> Repository {
        let made = "2026-11-23T13:34:21Z".parse().unwrap();
        Repository {
            id: 7,
            mirror: true,
            archived: false,
            interval: None,
            mirror_updated: made,
            last_sync: None,
            original_url: spec().upstream.as_str().to_owned(),
            default_branch: "main".into(),
            created_at: made,
        }
    }

    fn proof_of(repository: &Repository, local: &LocalRefsAnswer) -> Result<Proof, Unproven> {
        let spec = spec();
        let made = "2026-11-23T13:34:21Z".parse().unwrap();
        let intent = Intended {
            target: spec.full_name(),
            gitea_date: Some(made),
            answer: Some(MigrateAnswer::CloneFailed { message: "fatal: not found".into() }),
            answered_at: Some(made),
            made_nothing: false,
        };
        Proof::of(&Case {
            spec: &spec,
            repository,
            date: Some(made),
            intents: &[intent],
            local,
            upstream: None,
            folder_gone_for: Duration::ZERO,
            dead_after: Duration::from_mins(20),
        })
    }

    #[test]
    fn each_thing_that_speaks_against_it_is_named() {
        let gone = LocalRefsAnswer::FolderGone;
        assert_eq!(proof_of(&repository(), &gone).map(|proof| proof.repository()), Ok(7));
        let no_mirror = Repository { mirror: false, ..repository() };
        assert_eq!(proof_of(&no_mirror, &gone), Err(Unproven::NoPlaceholder));
        let finished = Repository { interval: Some(spec().interval), ..repository() };
        assert_eq!(proof_of(&finished, &gone), Err(Unproven::NoPlaceholder));
        let anothers = Repository { original_url: "https://example.org/another".into(), ..repository() };
        assert_eq!(proof_of(&anothers, &gone), Err(Unproven::OtherUpstream));
        let older = Repository { created_at: repository().created_at - Duration::from_secs(1), ..repository() };
        assert_eq!(proof_of(&older, &gone), Err(Unproven::NotOurs));
        let later = Repository { created_at: repository().created_at + Duration::from_secs(1), ..repository() };
        assert_eq!(proof_of(&later, &gone), Err(Unproven::NotOurs));
        assert_eq!(proof_of(&repository(), &LocalRefsAnswer::HttpGitDisabled), Err(Unproven::RefsUnknown));
    }
}
