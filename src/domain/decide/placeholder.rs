//! A row that a migrate has left and not finished: `mirror:true` and no interval.
//!
//! A running clone, a killed one and a failed one look alike in the API. Over git, a folder that is gone at two looks
//! apart proves that nothing is being cloned. Until it is proven dead it is waited for; with the whole [`Proof`] that it
//! is ours it is deleted and made anew; without, it is left as it is.

use std::time::Duration;

use jiff::Timestamp;

use super::{Action, FEW_TRIES, Look, Next, Table, backoff, fail, failing, list, wait};
use crate::domain::answer::{DeleteAnswer, LocalRefsAnswer, MigrateAnswer, Repository};
use crate::domain::duration::GoDuration;
use crate::domain::observation::Migrate;
use crate::domain::problem::{Code, Problem};
use crate::domain::proof::{Case, GONE_FOR_GOOD, Proof, Unproven};
use crate::domain::run::Phase;

/// Between two deletions that did not take the placeholder away.
const BETWEEN_DELETIONS: Duration = Duration::from_secs(2);

impl Table<'_> {
    pub(super) fn placeholder(&self, repository: &Repository, date: Timestamp) -> Next {
        let migrate = self.history.migrate.as_ref().filter(|_| self.history.made(repository));
        if let Some(next) = migrate.and_then(|migrate| self.after_a_failed_clone(migrate)) {
            return next;
        }
        let local = match self.remains(date, repository) {
            Ok(local) => local,
            Err(next) => return next,
        };
        let proof = match self.proof(repository, date, local) {
            Ok(proof) => proof,
            Err(why) => return self.unproven(why, repository, date),
        };
        // an upstream from which nothing follows is no reason to change anything
        if let Err(next) = self.upstream() {
            return next;
        }
        let answered = migrate.and_then(|migrate| migrate.answer.as_ref());
        if answered == Some(&MigrateAnswer::ServerError)
            && self.history.deletes > 0
            && (!proof.held_refs() || self.history.without_interval)
        {
            return fail(failing::migrate_server_error(&self.spec.full_name()));
        }
        self.delete(proof)
    }

    /// Deletes it, or takes up the answer of the time before.
    pub(super) fn delete(&self, proof: Proof) -> Next {
        let Some(delete) = &self.history.delete else {
            return Next::Act(Action::Delete(proof));
        };
        if let Some(DeleteAnswer::Refused(refusal)) = &delete.answer {
            return fail(failing::refused(refusal));
        }
        if self.history.deletes >= FEW_TRIES {
            let name = self.spec.full_name();
            return fail(Problem::new(
                Code::BrokenMirror,
                format!(
                    "what a failed migration of ours left at {name} was deleted {FEW_TRIES} times, and is there again"
                ),
            ));
        }
        let since = self.history.since(delete.at);
        if since < BETWEEN_DELETIONS {
            return wait(Phase::Migrating, BETWEEN_DELETIONS.saturating_sub(since));
        }
        Next::Act(Action::Delete(proof))
    }

    /// What this run's own migrate was answered, where that ends the run or makes it wait. `None`: repair it.
    fn after_a_failed_clone(&self, migrate: &Migrate) -> Option<Next> {
        let answer = migrate.answer.as_ref()?;
        if let Some(problem) = failing::migrate(answer, &self.spec.full_name()) {
            return Some(fail(problem));
        }
        let MigrateAnswer::CloneBrokeOff { message } = answer else { return None };
        if migrate.at.is_some() && self.tries_are_used_up() {
            return Some(fail(failing::clone_broke_off(message)));
        }
        self.few_tries(migrate)
    }

    /// What git answers about it.
    fn remains(&self, date: Timestamp, repository: &Repository) -> Result<&LocalRefsAnswer, Next> {
        let Some(refs) = &self.seen.local_refs else {
            return Err(if self.is_old(repository, date) && self.history.intents.is_empty() {
                self.unproven(Unproven::NotOurs, repository, date)
            } else {
                Next::Look(Look::LocalRefs)
            });
        };
        match &refs.value {
            LocalRefsAnswer::Trouble(trouble) => Err(self.wait_for_gitea(trouble, self.history.git_troubles)),
            LocalRefsAnswer::Refused(refusal) => Err(fail(failing::refused(refusal))),
            answer @ (LocalRefsAnswer::FolderGone
            | LocalRefsAnswer::List(_)
            | LocalRefsAnswer::Oversize(_)
            | LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::Gone) => Ok(answer),
        }
    }

    pub(super) fn proof(
        &self,
        repository: &Repository,
        date: Timestamp,
        local: &LocalRefsAnswer,
    ) -> Result<Proof, Unproven> {
        let upstream = self.seen.upstream.as_ref().and_then(list).map(|seen| seen.value);
        let dated = self.seen.repository.as_ref().is_some_and(|seen| seen.dated);
        Proof::of(&Case {
            spec: self.spec,
            repository,
            date: Some(date).filter(|_| dated),
            intents: &self.history.intents,
            local,
            upstream,
            folder_gone_for: self.gone_for(),
            dead_after: self.policy.dead_placeholder,
        })
    }

    /// Short of proof: waited for while it may be alive, then told.
    fn unproven(&self, why: Unproven, repository: &Repository, date: Timestamp) -> Next {
        let age = self.age(repository, date);
        let gone_for = self.gone_for();
        let dead = age >= self.policy.dead_placeholder || gone_for >= GONE_FOR_GOOD;
        if why == Unproven::HoldsRefs && self.seen.upstream.is_none() {
            return Next::Look(Look::Upstream);
        }
        // its upstream does not answer us now: what it holds can be judged as soon as it does
        let judged = self.seen.upstream.as_ref().and_then(list).is_some();
        if why == Unproven::HoldsRefs
            && !judged
            && let Err(next) = self.upstream()
        {
            return next;
        }
        if !dead && why != Unproven::HoldsRefs {
            return wait(Phase::Migrating, backoff::polling(age, Duration::from_secs(2), Duration::from_secs(10)));
        }
        let name = self.spec.full_name();
        let seen = if gone_for >= GONE_FOR_GOOD {
            format!("no folder of it has been on Gitea's disk for {} s", gone_for.as_secs())
        } else {
            format!("it began {} ago and never ended", GoDuration::new(Duration::from_secs(age.as_secs())))
        };
        fail(Problem::new(
            Code::BrokenMirror,
            format!("{name} is what a migration left: {seen}. It is left alone: {}", why.label()),
        ))
    }

    fn is_old(&self, repository: &Repository, date: Timestamp) -> bool {
        self.age(repository, date) >= self.policy.dead_placeholder
    }

    /// How long ago the latest migrate began that it may be from.
    fn age(&self, repository: &Repository, date: Timestamp) -> Duration {
        let ours = self.history.intents.iter().filter_map(|intent| intent.gitea_date);
        let begun = ours.chain([repository.created_at]).max().unwrap_or(repository.created_at);
        Duration::try_from(date.duration_since(begun)).unwrap_or_default()
    }

    fn gone_for(&self) -> Duration {
        self.history.folder_gone_since.map_or(Duration::ZERO, |since| self.history.since(since))
    }
}
