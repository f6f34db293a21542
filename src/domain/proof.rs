//! The proof that a repository is cutover-api's own placeholder and dead. Without one nothing is deleted.
//!
//! Owns [`Proof`] and its one constructor, which checks every condition. A proof allows the deletion of that one id,
//! after the repository was read once more. Never deletes anything.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::answer::{LocalRefsAnswer, MigrateAnswer, Repository};
use super::refs::{RefList, unequal};
use super::spec::MirrorSpec;

/// The least time between two observations of a missing folder. In a migrate's first moments the folder does not exist
/// yet.
pub const GONE_FOR_GOOD: Duration = Duration::from_secs(30);

/// A migrate that was journalled before it was sent, by a run that had just seen the name absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intended {
    /// `owner/repo`.
    pub target: String,
    /// Gitea's `Date` when the name was seen absent. Without one, the migrate proves nothing.
    pub gitea_date: Option<Timestamp>,
    /// Gitea's answer; `None` if it is unknown.
    pub answer: Option<MigrateAnswer>,
    /// Gitea's `Date` of that answer. Without one, an error does not prove that the migrate has ended.
    pub answered_at: Option<Timestamp>,
    /// Whether the name was still absent after an error. If so, a present row is from another migrate.
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

    /// Whether the error belongs to this row. A row created after the error is another program's, and may be alive.
    fn ended_with(&self, repository: &Repository) -> bool {
        self.ended() && self.answered_at.is_some_and(|date| repository.created_at <= date)
    }
}

/// A placeholder, with all that is known of its origin.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The configured mirror.
    pub spec: &'a MirrorSpec,
    /// The repository as Gitea shows it.
    pub repository: &'a Repository,
    /// Gitea's `Date` of that answer. Without one, no age is known.
    pub date: Option<Timestamp>,
    /// The journalled migrates, oldest first.
    pub intents: &'a [Intended],
    /// The placeholder's refs, or why they could not be read.
    pub local: &'a LocalRefsAnswer,
    /// Upstream's complete list, if it was just read.
    pub upstream: Option<&'a RefList>,
    /// For how long its folder has been missing.
    pub folder_gone_for: Duration,
    /// Age at which a placeholder counts as dead without further signs.
    pub dead_after: Duration,
}

/// Proof for one repository id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    repository: u64,
    held_refs: bool,
}

/// Reason why there is no proof: the first condition that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is not a placeholder.
    NoPlaceholder,
    /// Its address is not upstream's.
    OtherUpstream,
    /// No migrate of cutover-api can have created it.
    NotOurs,
    /// Gitea may still be cloning it.
    MayBeAlive,
    /// Its refs cannot be read.
    RefsUnknown,
    /// It has refs that upstream does not have at the same object.
    HoldsRefs,
}

impl Unproven {
    /// Returns the reason in words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoPlaceholder => "it is not a placeholder",
            Self::OtherUpstream => "its address is not upstream's",
            Self::NotOurs => "no migrate of cutover-api can have created it",
            Self::MayBeAlive => "Gitea may still be cloning it",
            Self::RefsUnknown => "its refs cannot be read",
            Self::HoldsRefs => "it has refs that upstream does not have at the same object",
        }
    }
}

impl Proof {
    /// Checks every condition.
    ///
    /// # Errors
    /// The first condition that fails.
    pub fn of(case: &Case<'_>) -> Result<Self, Unproven> {
        if !case.repository.mirror || case.repository.interval.is_some() {
            return Err(Unproven::NoPlaceholder);
        }
        if !case.spec.upstream.is_the_upstream_of(&case.repository.original_url) {
            return Err(Unproven::OtherUpstream);
        }
        // The latest possible migrate. An earlier one's placeholder was gone when the latest was journalled.
        let intent = case.intents.iter().rev().find(|intent| intent.can_have_made(case.spec, case.repository));
        let intent = intent.ok_or(Unproven::NotOurs)?;
        // Age of the row by Gitea's clock alone. The row may be much younger than a migrate that never arrived.
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

    /// The id of the only repository that may be deleted.
    #[must_use]
    pub const fn repository(&self) -> u64 {
        self.repository
    }

    /// Whether it had refs, all of which upstream has. If so, Gitea refused the interval after a complete clone.
    #[must_use]
    pub const fn held_refs(&self) -> bool {
        self.held_refs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::spec;

    /// The placeholder of a migrate that Gitea answered with an error.
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
    fn each_failed_condition_is_named() {
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
