//! A rename that Gitea did not survive. It moves the folder first and writes its row after; stopped in between, the row has
//! the old name and the folder the new one.
//!
//! Recognised by a rename of this service's whose end is not known, a regular repository that has its old name, and a missing
//! folder. Until the folder is back, nothing is renamed and nothing is made in its place.

use std::time::Duration;

use super::{Look, Next, Table, fail, wait};
use crate::domain::answer::{LocalRefsAnswer, Repository, RepositoryAnswer};
use crate::domain::names::RepoName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::Phase;

/// How long a folder has to be missing: a Gitea that is alive writes its row within moments.
const ROW_FOLLOWS: Duration = Duration::from_secs(10);

/// Between two looks at it.
const POLLING: Duration = Duration::from_secs(2);

impl Table<'_> {
    /// The repository that was to be renamed has its old name. `None`: it has its folder, too.
    pub(super) fn interrupted_rename(&self, repository: &Repository) -> Option<Next> {
        let rename = self.history.unsettled_rename.as_ref()?;
        if rename.back || rename.aside.repository != repository.id {
            return None;
        }
        let Some(refs) = &self.seen.local_refs else { return Some(Next::Look(Look::LocalRefs)) };
        self.without_folder(&refs.value, self.history.folder_gone_since, &self.spec.repo, &rename.aside.name)
    }

    /// Nothing has the name that was to be given back. `None`: the repository has its folder where it is.
    pub(super) fn interrupted_return(&self) -> Option<Next> {
        let rename = self.history.unsettled_rename.as_ref().filter(|rename| rename.back)?;
        match &self.seen.aside {
            None => Some(Next::Look(Look::Aside)),
            Some(RepositoryAnswer::Present(repository)) if repository.id == rename.aside.repository => {
                let Some(refs) = &self.seen.aside_refs else { return Some(Next::Look(Look::AsideRefs)) };
                self.without_folder(refs, self.history.aside_folder_gone_since, &rename.aside.name, &self.spec.repo)
            }
            Some(RepositoryAnswer::Trouble(trouble)) => Some(self.wait_for_gitea(trouble, self.troubles())),
            Some(RepositoryAnswer::Present(_) | RepositoryAnswer::Absent | RepositoryAnswer::Refused(_)) => None,
        }
    }

    fn without_folder(
        &self,
        refs: &LocalRefsAnswer,
        gone_since: Option<Duration>,
        row: &RepoName,
        folder: &RepoName,
    ) -> Option<Next> {
        match refs {
            LocalRefsAnswer::FolderGone => {
                let gone_for = gone_since.map_or(Duration::ZERO, |since| self.history.since(since));
                Some(if gone_for < ROW_FOLLOWS {
                    wait(Phase::Patching, POLLING)
                } else {
                    fail(self.folder_missing(row, folder))
                })
            }
            LocalRefsAnswer::Trouble(trouble) => Some(self.wait_for_gitea(trouble, self.history.git_troubles.max(1))),
            // where git is not served, nothing tells; Gitea refuses a rename without a folder
            LocalRefsAnswer::List(_)
            | LocalRefsAnswer::Oversize(_)
            | LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::Refused(_)
            | LocalRefsAnswer::Gone => None,
        }
    }

    fn folder_missing(&self, row: &RepoName, folder: &RepoName) -> Problem {
        // Gitea's folders have names in lower case
        let on_disk = |name: &RepoName| format!("{}/{name}", self.spec.owner).to_lowercase();
        let (from, to) = (on_disk(folder), on_disk(row));
        let detail =
            format!("Gitea was stopped while it renamed {}/{row}: its folder is now {from}.git", self.spec.owner);
        Problem::new(Code::RepositoryFolderMissing, detail).with_remedy(&format!(
            "1. On Gitea's host, in its repository root ([repository] ROOT in app.ini), move the folder back: `mv {from}.git {to}.git`, \
             and the folder of its wiki ({from}.wiki.git), if there is one. 2. Start the run again."
        ))
    }
}
