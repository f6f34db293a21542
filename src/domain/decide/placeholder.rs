//! A row that a migrate has left and not finished: `mirror:true` and no interval.
//!
//! A running clone, a killed one and a failed one look alike in the API. Over git, a folder that is gone at two looks
//! apart proves that nothing is being cloned. Until it is proven dead it is waited for; nothing is ever deleted here.

use std::time::Duration;

use jiff::Timestamp;

use super::{Look, Next, Table, backoff, fail, failing, wait};
use crate::domain::answer::{LocalRefsAnswer, MigrateAnswer, Repository, TroubleKind};
use crate::domain::duration::GoDuration;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::Phase;

/// Two looks at a missing folder have to be this far apart: in a migrate's first moments it is not there yet.
const GONE_FOR_GOOD: Duration = Duration::from_secs(30);

impl Table<'_> {
    pub(super) fn placeholder(&self, repository: &Repository, date: Timestamp) -> Next {
        let name = self.spec.full_name();
        let migrate = self.history.migrate.as_ref().filter(|_| self.history.made(repository));
        if let Some(answer) = migrate.and_then(|migrate| migrate.answer.as_ref()) {
            if let Some(problem) = failing::migrate(answer, &name) {
                return fail(problem);
            }
            if *answer == MigrateAnswer::ServerError {
                return fail(failing::migrate_server_error(&name));
            }
        }
        let begun = [migrate.map(|migrate| migrate.gitea_date), self.history.earlier_intent].into_iter().flatten();
        let begun = begun.chain([repository.created_at]).max().unwrap_or(repository.created_at);
        let age = Duration::try_from(date.duration_since(begun)).unwrap_or_default();
        if age >= self.policy.dead_placeholder {
            let age = GoDuration::new(Duration::from_secs(age.as_secs()));
            return fail(Problem::new(
                Code::BrokenMirror,
                format!("{name} is what a migration left that began {age} ago and never ended"),
            ));
        }
        match &self.seen.local_refs {
            None => return Next::Look(Look::LocalRefs),
            Some(refs) => match &refs.value {
                LocalRefsAnswer::Trouble(trouble) if trouble.kind != TroubleKind::ServerError => {
                    return Self::wait_for_gitea(trouble, self.history.git_troubles);
                }
                LocalRefsAnswer::Refused(refusal) => return fail(failing::refused(refusal)),
                LocalRefsAnswer::FolderGone | LocalRefsAnswer::Trouble(_) => {
                    let gone_for = self
                        .history
                        .folder_gone_since
                        .map_or(Duration::ZERO, |since| self.history.elapsed.saturating_sub(since));
                    if gone_for >= GONE_FOR_GOOD {
                        return fail(Problem::new(
                            Code::BrokenMirror,
                            format!(
                                "{name} is what a failed migration left: no folder of it has been on Gitea's disk for {} s",
                                gone_for.as_secs()
                            ),
                        ));
                    }
                }
                LocalRefsAnswer::List(_) | LocalRefsAnswer::HttpGitDisabled | LocalRefsAnswer::Gone => {}
            },
        }
        wait(Phase::Migrating, backoff::polling(age, Duration::from_secs(2), Duration::from_secs(10)))
    }
}
