//! A regular repository where the mirror should be: refused with what it holds, or renamed aside when that is asked for.
//!
//! Renamed only beside a complete list of upstream's that was just read, and renamed back when the mirror cannot be made.
//! It is never pushed to and never deleted.

use std::time::Duration;

use jiff::Timestamp;

use super::{Action, FEW_TRIES, Look, Next, Table, fail, failing, wait};
use crate::domain::answer::{LocalRefsAnswer, PatchAnswer, Repository, RepositoryAnswer};
use crate::domain::aside::Aside;
use crate::domain::observation::{GivingUp, RepositorySeen};
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::{RefList, RefName};
use crate::domain::run::{End, Phase};
use crate::domain::spec::OnLegacy;

/// Between two tries to rename.
const BETWEEN_RENAMES: Duration = Duration::from_secs(2);

/// How long an undoing goes on beyond the run itself.
pub(super) const UNDOING: Duration = Duration::from_mins(2);

/// How many refs a detail names.
const NAMED: usize = 3;

impl Table<'_> {
    pub(super) fn legacy(&self, repository: &Repository, date: Timestamp) -> Next {
        if let Some(next) = self.interrupted_rename(repository) {
            return next;
        }
        let wanted = self.history.options.on_legacy.unwrap_or(self.spec.on_legacy);
        // one that this run has renamed, and whose name was taken by another, is no reason to rename that one, too
        let another = self.history.aside.as_ref().is_some_and(|aside| aside.repository != repository.id);
        match wanted {
            OnLegacy::RenameAside if !another => self.rename_aside(repository, date),
            OnLegacy::RenameAside | OnLegacy::Refuse => self.refuse(),
        }
    }

    /// Refused, with what would be lost from the canonical name if it went.
    fn refuse(&self) -> Next {
        let Some(upstream) = &self.seen.upstream else {
            return Next::Look(Look::Upstream);
        };
        let Some(local) = &self.seen.local_refs else {
            return Next::Look(Look::LocalRefs);
        };
        let name = self.spec.full_name();
        let mut lacking = Lacking::default();
        let holds = match &local.value {
            LocalRefsAnswer::HttpGitDisabled if !self.history.refs_by_api => return Next::Look(Look::LocalRefsByApi),
            LocalRefsAnswer::List(local) => match upstream.value.list() {
                Some(upstream) => {
                    lacking = Lacking::of(upstream, local);
                    lacking.in_words(local.len())
                }
                None => format!("it holds {} refs, and upstream's could not be read to compare them", local.len()),
            },
            LocalRefsAnswer::Oversize(_) => "it holds more refs than are compared".to_owned(),
            LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::FolderGone
            | LocalRefsAnswer::Gone
            | LocalRefsAnswer::Refused(_)
            | LocalRefsAnswer::Trouble(_) => "its refs could not be read".to_owned(),
        };
        let detail = format!(
            "{name} is a regular repository in Gitea, not a mirror; {holds}. Refs do not tell whether it has issues, \
             releases, hooks or keys"
        );
        fail(Problem::new(Code::NotAMirror, detail).about(&lacking.first))
    }

    fn rename_aside(&self, repository: &Repository, date: Timestamp) -> Next {
        let name = self.spec.full_name();
        if repository.archived {
            return fail(Problem::new(
                Code::NotAMirror,
                format!(
                    "{name} is a regular repository in Gitea, and archived: un-archive it there to have it renamed"
                ),
            ));
        }
        match self.upstream() {
            Err(next) => return next,
            Ok(Some(_)) => {}
            Ok(None) => {
                let first = format!("{name} is not renamed, since there is no list of upstream's to put in its place");
                return self.upstream_is_silent().map_or(Next::Look(Look::Upstream), |why| fail(why.after(&first)));
            }
        }
        if let Some(next) = self.forgotten_credential() {
            return next;
        }
        let known = self.history.aside.clone().filter(|aside| aside.repository == repository.id);
        let Some(aside) = known.or_else(|| Aside::new(repository.id, &self.spec.repo, date)) else {
            return fail(Problem::new(Code::NameRefused, format!("no name can be made to rename {name} to")));
        };
        match self.renaming(&name) {
            Some(next) => next,
            None => Next::Act(Action::RenameAside(aside)),
        }
    }

    /// A rename was sent and has not been done: what to do before the next. `None`: send it.
    fn renaming(&self, name: &str) -> Option<Next> {
        let rename = self.history.rename.as_ref()?;
        // what is refused after an earlier one of unknown outcome may be refused because that one is being done
        let for_good = self.history.renames == 1 || !matches!(rename.answer, PatchAnswer::Invalid { .. });
        if let Some(problem) = failing::rename(&rename.answer, name).filter(|_| for_good) {
            return Some(fail(problem));
        }
        if self.history.renames >= FEW_TRIES {
            return Some(fail(Problem::new(
                Code::GiteaError,
                format!("{FEW_TRIES} calls to rename {name} were answered, and it has its name still"),
            )));
        }
        let since = self.history.since(rename.at);
        (since < BETWEEN_RENAMES).then(|| wait(Phase::Patching, BETWEEN_RENAMES.saturating_sub(since)))
    }

    /// What an earlier run has left aside is told at each end, until it is not there any more or a mirror is proven in
    /// its place.
    pub(super) fn with_what_was_left(&self, next: Next) -> Next {
        let (Some(left), Next::End(end)) = (&self.history.left_aside, &next) else { return next };
        let place = match &self.seen.aside {
            None if **end != End::Canceled => return Next::Look(Look::Aside),
            Some(RepositoryAnswer::Present(repository)) if repository.id == left.repository => {
                format!("{}/{}", self.spec.owner, left.name)
            }
            // nobody can tell now
            Some(RepositoryAnswer::Trouble(_) | RepositoryAnswer::Refused(_)) => {
                format!("{}/{} (which cannot be looked at now)", self.spec.owner, left.name)
            }
            Some(RepositoryAnswer::Present(_) | RepositoryAnswer::Absent) | None => return next,
        };
        let name = self.spec.full_name();
        let told = format!("an earlier run renamed {name} to {place} and could not give its name back");
        let end = match (**end).clone() {
            End::Failed { problem } => End::Failed { problem: problem.after(&told) },
            End::Unverified { problem } => End::Unverified { problem: problem.after(&told) },
            End::Succeeded { outcome, evidence, mut notes } => {
                notes.remarks.push(format!("{told}: it stays there, since the mirror has its name now"));
                notes.kept_aside.get_or_insert(format!("{}/{}", self.spec.owner, left.name));
                End::Succeeded { outcome, evidence, notes }
            }
            End::Canceled => End::Canceled,
        };
        Next::End(Box::new(end))
    }

    /// Where it is, in words.
    pub(super) fn stands_aside(&self, aside: &Aside) -> String {
        format!("{} is now {}/{}", self.spec.full_name(), self.spec.owner, aside.name)
    }

    /// Takes away what our own migrate has left, and gives the legacy repository its name back.
    pub(super) fn undo(&self, aside: &Aside, giving_up: &GivingUp) -> Next {
        let stays_there = || fail(giving_up.problem.clone().after(&self.stands_aside(aside)));
        let Some(RepositorySeen { answer, date, .. }) = &self.seen.repository else {
            return Next::Look(Look::Repository);
        };
        let in_time = self.history.since(giving_up.since) < UNDOING;
        match answer {
            RepositoryAnswer::Present(repository) if repository.id == aside.repository => {
                fail(giving_up.problem.clone())
            }
            RepositoryAnswer::Trouble(trouble) if in_time => self.wait_for_gitea(trouble, self.troubles()),
            RepositoryAnswer::Absent if in_time && let Some(next) = self.interrupted_return() => next,
            RepositoryAnswer::Absent if in_time => match self.renaming(aside.name.as_str()) {
                None => Next::Act(Action::GiveBack(aside.clone())),
                Some(next @ Next::Wait(_)) => next,
                Some(Next::Look(_) | Next::Act(_) | Next::Remember(_) | Next::GiveUp(_) | Next::End(_)) => {
                    stays_there()
                }
            },
            RepositoryAnswer::Present(repository) if repository.mirror && repository.interval.is_none() && in_time => {
                let Some(local) = &self.seen.local_refs else {
                    return Next::Look(Look::LocalRefs);
                };
                match self.proof(repository, *date, &local.value).map(|proof| self.delete(proof)) {
                    Ok(next @ (Next::Act(_) | Next::Wait(_))) => next,
                    Ok(Next::Look(_) | Next::Remember(_) | Next::GiveUp(_) | Next::End(_)) => stays_there(),
                    // it may turn out to be dead within the time that is left
                    Err(_) => wait(Phase::Migrating, Duration::from_secs(5)),
                }
            }
            RepositoryAnswer::Present(_)
            | RepositoryAnswer::Absent
            | RepositoryAnswer::Refused(_)
            | RepositoryAnswer::Trouble(_) => stays_there(),
        }
    }

    /// Whether the legacy repository is where it was renamed to; `None` where it was not looked at.
    pub(super) fn seen_aside(&self, aside: &Aside) -> Option<bool> {
        self.seen.aside.as_ref().map(|answer| match answer {
            RepositoryAnswer::Present(repository) => repository.id == aside.repository,
            RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_) => false,
        })
    }
}

/// The branches and tags whose objects upstream does not show under any name.
#[derive(Default)]
struct Lacking {
    count: usize,
    /// The first of them: as many as a problem names.
    first: Vec<RefName>,
}

impl Lacking {
    fn of(upstream: &RefList, local: &RefList) -> Self {
        let mut lacking = Self::default();
        for one in local.without_objects_of(upstream) {
            lacking.count += 1;
            if lacking.first.len() < Problem::NAMED_REFS {
                lacking.first.push(one.name());
            }
        }
        lacking
    }

    /// The same for a person.
    fn in_words(&self, all: usize) -> String {
        if self.count == 0 {
            return format!("upstream shows the objects of all its {all} refs");
        }
        let shown = self.first.iter().take(NAMED).map(|name| name.as_str().chars().take(50).collect());
        let shown: Vec<String> = shown.collect();
        let more = if self.count > NAMED { ", …" } else { "" };
        format!("upstream lacks the objects of {} of its {all} refs: {}{more}", self.count, shown.join(", "))
    }
}
