//! The calls of a driver that change something in Gitea, and what the journal remembers of those of earlier processes.
//!
//! Each is written down as an intent before it is sent; if that cannot be done, nothing is sent. Decides nothing.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::driver::{Driver, Work};
use crate::domain::answer::{DeleteAnswer, MigrateAnswer, PatchAnswer, Repository, RepositoryAnswer, Sent, SyncAnswer};
use crate::domain::aside::{Aside, Rename};
use crate::domain::decide::Action;
use crate::domain::duration::GoDuration;
use crate::domain::mode;
use crate::domain::observation::{Delete, History, Migrate};
use crate::domain::proof::{Intended, Proof};
use crate::domain::refs::{Digest, ObjectId, RefList};
use crate::domain::run::Phase;
use crate::journal::{
    DEFAULT_BRANCH, DELETE, GIVE_BACK, Intent, IntentId, JournalError, KnownIntent, MIGRATE, RENAME_ASIDE, SETTINGS,
    SYNC,
};

/// A migrate's answer as the journal keeps it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatedAnswer {
    answer: MigrateAnswer,
    /// Gitea's `Date` with it.
    gitea_date: Option<Timestamp>,
}

impl DatedAnswer {
    /// Reads it; an earlier version kept the answer alone.
    fn read(kept: Value) -> (Option<MigrateAnswer>, Option<Timestamp>) {
        match serde_json::from_value::<Self>(kept.clone()) {
            Ok(Self { answer, gitea_date }) => (Some(answer), gitea_date),
            Err(_) => (serde_json::from_value(kept).ok(), None),
        }
    }
}

impl Driver {
    /// What the journal knows of this mirror: its pruning, what was last proven, and the calls of this run and of
    /// earlier ones that matter still.
    pub(super) async fn recall(&self) -> Result<History, JournalError> {
        let name = &self.spec.name;
        let remembered = self.around.remembered(&self.spec).await?;
        let mut history = History {
            mode: mode::standing(self.spec.mode, remembered.mode.as_ref()),
            mode_change: remembered.mode.filter(|change| change.counts(self.spec.mode)).map(Box::new),
            left_aside: remembered.facts.left_aside,
            pruning: remembered.pruning,
            // only one that was proven was a mirror of ours
            mirror: remembered.facts.gitea_id.filter(|_| remembered.facts.proven_at.is_some()),
            proven_refs: remembered.facts.proven_refs,
            proven_branches: remembered.facts.proven_branches,
            options: self.options.clone(),
            private_upstream: self.upstream_credential.read().is_ok_and(|credential| credential.is_some()),
            ..History::default()
        };
        let mut known = self.around.journal.intents(name.clone()).await?;
        known.reverse();
        for intent in known {
            match intent {
                // one that does not say what it was about may have been about anything
                Some(intent) if !intent.about.is_null() => self.recall_one(&intent, &mut history),
                Some(_) | None => history.forgot_a_call(),
            }
        }
        Ok(history)
    }

    /// Takes up one call, oldest first.
    fn recall_one(&self, intent: &KnownIntent, history: &mut History) {
        let ours = intent.run == self.run;
        // nothing is sent before that
        history.gitea_answered |= ours;
        // another name's calls are no part of this one's story: the configuration has changed
        let target = intent.about["target"].as_str().unwrap_or_default();
        if !target.eq_ignore_ascii_case(&self.spec.full_name()) {
            return;
        }
        match intent.kind.as_str() {
            MIGRATE => {
                let (answer, answered_at) = intent.answer.clone().map_or((None, None), DatedAnswer::read);
                if intent.answer.is_some() && answer.is_none() {
                    return history.forgot_a_call();
                }
                let gitea_date = intent.gitea_date;
                history.intents.push(Intended {
                    target: target.to_owned(),
                    gitea_date: Some(gitea_date).filter(|_| intent.about["ownClock"] != true),
                    answer: answer.clone(),
                    answered_at,
                    made_nothing: intent.about["madeNothing"] == true,
                });
                if ours {
                    history.migrate = Some(Migrate { gitea_date, at: None, answer });
                }
            }
            SYNC => {
                history.sync_asked = Some(intent.gitea_date);
                if ours && recalled(intent).is_none_or(|answer: SyncAnswer| answer.may_have_queued()) {
                    history.asked_for_a_sync(serde_json::from_value(intent.about["tracked"].clone()).ok());
                }
            }
            SETTINGS => {
                let answer: Option<PatchAnswer> = recalled(intent);
                history.may_have_patched |= ours && answer.as_ref().is_none_or(PatchAnswer::may_have_done);
                history.settings_sent = Some(intent.gitea_date);
                history.settings_in_doubt = answer.is_none_or(|answer| answer.is_unknown());
            }
            DELETE if ours => {
                if recalled(intent).is_none_or(|answer: DeleteAnswer| answer.may_have_deleted()) {
                    history.migrate = None;
                }
                history.without_interval |= intent.about["heldRefs"] == true;
                // it counts as one of the few, and its pause is over
                history.deletes += 1;
                history.delete = Some(Delete { at: std::time::Duration::ZERO, answer: None });
            }
            kind @ (RENAME_ASIDE | GIVE_BACK) => {
                let (aside, back) =
                    (serde_json::from_value::<Aside>(intent.about["aside"].clone()).ok(), kind == GIVE_BACK);
                let answer: Option<PatchAnswer> = recalled(intent);
                if let Some(aside) = aside.clone() {
                    history.settles(Rename { aside, back }, answer.as_ref());
                }
                if ours && back {
                    history.aside = history.aside.take().filter(|_| answer != Some(PatchAnswer::Done));
                } else if ours {
                    history.aside = aside;
                }
            }
            DEFAULT_BRANCH if ours => {
                let may_have_done = recalled(intent).is_none_or(|answer: PatchAnswer| answer.may_have_done());
                history.may_have_patched |= may_have_done;
            }
            // kinds of calls, not answers: another run's, or one of which nothing is recalled
            _ => {}
        }
    }

    pub(super) async fn act(&self, action: Action, work: &mut Work) -> Result<(), JournalError> {
        work.give_up_early_answers();
        work.looking = match &action {
            // it goes on after its answer
            Action::Sync => Phase::Syncing,
            Action::CreateOrganisation | Action::RenameAside(_) | Action::GiveBack(_) => Phase::Inspecting,
            Action::Delete(_) => Phase::Migrating,
            Action::Migrate { .. } | Action::Patch { .. } | Action::SetDefaultBranch(_) => Phase::Verifying,
        };
        match action {
            Action::CreateOrganisation => {
                self.enter(Phase::Migrating, None, work).await;
                let intent = self.intend("create_organisation", Value::Null, work).await?;
                let answer = self.around.gitea.create_organisation(&self.spec.owner, self.spec.visibility).await;
                self.answered(intent, &answer).await?;
                work.tick();
                work.history.created_organisation(answer);
                work.observation.forget();
            }
            Action::Migrate { interval } => self.migrate(interval, work).await?,
            Action::Delete(proof) => self.delete(proof, work).await?,
            Action::RenameAside(aside) => self.rename(RENAME_ASIDE, aside, work).await?,
            Action::GiveBack(aside) => self.rename(GIVE_BACK, aside, work).await?,
            Action::Patch { interval, prune } => {
                self.enter(Phase::Patching, None, work).await;
                let repository = Self::repository(work);
                let intent = self.intend(SETTINGS, Value::Null, work).await?;
                let answer = self.around.gitea.patch_settings(&self.spec, interval, prune).await;
                self.answered(intent, &answer).await?;
                work.tick();
                if let Some(repository) = repository {
                    work.history.patched(&self.spec, &repository, answer);
                }
                work.observation.forget();
            }
            Action::SetDefaultBranch(branch) => {
                self.enter(Phase::Patching, None, work).await;
                let intent = self.intend(DEFAULT_BRANCH, Value::Null, work).await?;
                let answer = self.around.gitea.patch_default_branch(&self.spec, &branch).await;
                self.answered(intent, &answer).await?;
                work.tick();
                work.history.patched_branch(answer);
                work.observation.forget();
            }
            Action::Sync => {
                self.enter(Phase::Syncing, None, work).await;
                let repository = Self::repository(work);
                let (upstream, tracked) = self.before_a_sync(work);
                let intent = self.intend(SYNC, json!({ "tracked": tracked }), work).await?;
                let answer = self.around.gitea.sync(&self.spec).await;
                self.answered(intent, &answer).await?;
                work.tick();
                if let Some(repository) = repository {
                    work.history.synced(&repository, answer, upstream, tracked);
                }
                work.observation.forget();
            }
        }
        Ok(())
    }

    async fn migrate(&self, interval: Option<GoDuration>, work: &mut Work) -> Result<(), JournalError> {
        self.enter(Phase::Migrating, None, work).await;
        let dated = work.observation.repository.as_ref().is_some_and(|seen| seen.dated);
        work.history.sends_migrate(&self.spec, self.gitea_date(work), dated);
        let intent = self.intend(MIGRATE, if dated { Value::Null } else { json!({ "ownClock": true }) }, work).await?;
        // a clone may take long, and upstream is read anew after it
        work.give_up_lists();
        let limit = self.around.policy.migrate;
        let (answer, gitea_date) =
            self.around.gitea.migrate(&self.spec, interval, &*self.upstream_credential, limit).await;
        self.answered(intent, &DatedAnswer { answer: answer.clone(), gitea_date }).await?;
        if let MigrateAnswer::Unknown(trouble) = &answer
            && trouble.sent == Sent::No
        {
            work.history.note_trouble(trouble);
        }
        work.history.migrated(answer, gitea_date);
        work.history.upstream_tries = 0;
        work.history.upstream_first_try = None;
        work.observation.forget_upstream();
        Ok(())
    }

    async fn delete(&self, proof: Proof, work: &mut Work) -> Result<(), JournalError> {
        self.enter(Phase::Migrating, None, work).await;
        let intent = self.intend(DELETE, json!(proof), work).await?;
        let answer = self.around.gitea.delete_placeholder(&self.spec, &proof).await;
        self.answered(intent, &answer).await?;
        work.tick();
        work.history.deleted(&proof, Some(answer));
        work.observation.forget();
        Ok(())
    }

    async fn rename(&self, kind: &'static str, aside: Aside, work: &mut Work) -> Result<(), JournalError> {
        self.enter(Phase::Patching, None, work).await;
        let intent = self.intend(kind, json!({ "aside": aside }), work).await?;
        let answer = if kind == RENAME_ASIDE {
            self.around.gitea.rename_aside(&self.spec, &aside).await
        } else {
            self.around.gitea.give_back(&self.spec, &aside).await
        };
        self.answered(intent, &answer).await?;
        work.tick();
        work.history.settles(Rename { aside: aside.clone(), back: kind == GIVE_BACK }, Some(&answer));
        work.history.aside = Some(aside);
        work.history.renamed(answer);
        work.observation.forget();
        Ok(())
    }

    pub(super) async fn intend(&self, kind: &'static str, about: Value, work: &Work) -> Result<IntentId, JournalError> {
        tracing::info!(run = %self.run, mirror = %self.spec.name, call = kind, "changing Gitea");
        let mut about = if about.is_object() { about } else { json!({}) };
        about["target"] = self.spec.full_name().into();
        let intent = Intent {
            run: self.run,
            mirror: self.spec.name.clone(),
            kind,
            written_at: self.around.clock.now(),
            gitea_date: self.gitea_date(work),
            about,
        };
        self.around.journal.intend(intent).await
    }

    pub(super) async fn answered(
        &self,
        intent: IntentId,
        answer: &(impl Serialize + Sync),
    ) -> Result<(), JournalError> {
        let answer = serde_json::to_value(answer).unwrap_or_default();
        self.around.journal.answered(intent, answer).await
    }

    fn gitea_date(&self, work: &Work) -> Timestamp {
        work.observation.repository.as_ref().map_or_else(|| self.around.clock.now(), |seen| seen.date)
    }

    /// The repository as it was last seen.
    fn repository(work: &Work) -> Option<Repository> {
        match &work.observation.repository.as_ref()?.answer {
            RepositoryAnswer::Present(repository) => Some((**repository).clone()),
            RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_) => None,
        }
    }

    /// Upstream's digest and the tracked branch's commit in Gitea, as they are before a sync.
    fn before_a_sync(&self, work: &Work) -> (Option<Digest>, Option<ObjectId>) {
        let upstream = work.observation.upstream.as_ref().and_then(|seen| seen.value.list());
        let local = work.observation.local_refs.as_ref().and_then(|seen| seen.value.list());
        (upstream.map(RefList::digest), local.and_then(|list| list.commit_of(&self.spec.branch)))
    }
}

/// What was answered, as far as it can be read; `None`: nobody knows.
fn recalled<T: DeserializeOwned>(intent: &KnownIntent) -> Option<T> {
    serde_json::from_value(intent.answer.clone()?).ok()
}
