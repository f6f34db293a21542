//! `PATCH /repos/{owner}/{repo}`: name, default branch, archive and mirror settings, in Gitea's order. It is
//! no transaction there either: what came before a refusal has been done.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::gate::Asked;
use super::state::{Account, Repository};
use crate::call::Effect;
use crate::duration;

/// How long a change of a repository waits in the queue that takes each repository once.
const QUEUED_FOR: Duration = Duration::from_secs(1);

#[derive(Default, Deserialize)]
struct Patch {
    name: Option<String>,
    description: Option<String>,
    private: Option<bool>,
    default_branch: Option<String>,
    archived: Option<bool>,
    mirror_interval: Option<String>,
    enable_prune: Option<bool>,
}

impl Gitea {
    /// Kills the server in the middle of its next rename: the folder has the new name then, the row the old one.
    pub fn kill_in_next_rename(&self) {
        self.state().dies_in_rename = true;
    }

    /// Moves the folder of a repository on the disk, as an administrator does.
    ///
    /// # Panics
    ///
    /// When there is no such folder.
    pub fn move_folder(&self, owner: &str, from: &str, to: &str) {
        let moved = self.inner.store.rename(&self.git_dir_of(owner, from), &self.git_dir_of(owner, to));
        moved.expect("the folder is there");
    }

    pub(super) async fn patch_repository(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "write:repository")?;
        let doer = self.signed_in(doer)?;
        self.may(doer, &repository, "user should be an owner or a collaborator with admin write of a repository")?;
        let patch: Patch = if asked.body.is_empty() {
            Patch::default()
        } else {
            serde_json::from_slice(&asked.body).map_err(|error| self.unprocessable(&error.to_string()))?
        };
        let id = repository.id;
        let owner = self.state().account_of(repository.owner).cloned().ok_or_else(|| self.hidden_500())?;
        if let Some(name) = patch.name.as_deref().filter(|name| *name != repository.name) {
            self.rename(&owner, &repository, name).await?;
        }
        if let Some(branch) = patch.default_branch.as_deref() {
            self.change_default_branch(&owner, id, branch).await?;
        }
        self.change_basics(id, &patch);
        if let Some(archived) = patch.archived {
            self.archive(id, archived)?;
        }
        self.change_mirror(id, &patch)?;
        let row = self.state().by_id(id).cloned().ok_or_else(|| self.not_found())?;
        Ok(self.ok(&self.repository_json(&row, Some(doer))))
    }

    fn change_basics(&self, id: u64, patch: &Patch) {
        let now = self.inner.clock.second();
        let touches = self.inner.profile.patch_touches_updated_at();
        let mut state = self.state();
        let Some(row) = state.by_id_mut(id) else {
            return;
        };
        if let Some(description) = &patch.description {
            row.description.clone_from(description);
        }
        if let Some(private) = patch.private {
            row.private = private;
        }
        if touches {
            row.updated = now;
        }
    }

    /// Moves row and folder, and leaves a redirect at the old name.
    async fn rename(&self, owner: &Account, repository: &Repository, name: &str) -> Result<(), Refusal> {
        if !repository.name.eq_ignore_ascii_case(name) {
            self.name_is_allowed(name, false)?;
            let has_folder = self.inner.store.exists(&self.git_dir_of(&owner.name, name));
            if has_folder || self.state().repository(&owner.name, name).is_some() {
                let text = format!("repository already exists [uname: {}, name: {name}]", owner.name);
                return Err(self.unprocessable(&text));
            }
        }
        let (from, to) = (self.git_dir_of(&owner.name, &repository.name), self.git_dir_of(&owner.name, name));
        let store = self.inner.store.clone();
        let moved = self.inner.store.run(move || store.rename(&from, &to)).await;
        if let Err(error) = moved.and_then(|moved| moved) {
            // A placeholder whose folder is gone cannot be renamed.
            return Err(self.unprocessable(&format!("rename repository directory: {error}")));
        }
        if std::mem::take(&mut self.state().dies_in_rename) {
            self.kill();
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        state.redirects.remove(&(owner.id, name.to_lowercase()));
        if !repository.name.eq_ignore_ascii_case(name) {
            state.redirects.insert((owner.id, repository.name.to_lowercase()), repository.id);
        }
        if let Some(row) = state.by_id_mut(repository.id) {
            name.clone_into(&mut row.name);
        }
        state.effects.push(Effect::Renamed { from: repository.name.clone(), to: name.to_owned() });
        Ok(())
    }

    /// A branch that does not exist is silently ignored. Newer Gitea answers 500 to a change that was
    /// done, when the queue behind it still holds another change of this repository.
    async fn change_default_branch(&self, owner: &Account, id: u64, branch: &str) -> Result<(), Refusal> {
        let (folder, empty) = {
            let state = self.state();
            let row = state.by_id(id).ok_or_else(|| self.not_found())?;
            let exists = row.empty || row.branches.iter().any(|(name, _)| name == branch);
            if row.default_branch == branch || !exists {
                return Ok(());
            }
            (self.git_dir_of(&owner.name, &row.name), row.empty)
        };
        if !empty {
            let (store, branch) = (self.inner.store.clone(), branch.to_owned());
            let done = self.inner.store.run(move || store.set_head(&folder, &branch)).await;
            if !done.is_ok_and(|done| done) {
                return Err(self.hidden_500());
            }
        }
        let queue_is_taken = {
            let mut state = self.state();
            let may_refuse = state.settings.default_branch_500 && self.inner.profile.default_branch_can_answer_500();
            let row = state.by_id_mut(id).ok_or_else(|| self.not_found())?;
            branch.clone_into(&mut row.default_branch);
            let taken = row.queued_until.is_some_and(|until| Instant::now() < until);
            if !taken {
                row.queued_until = Some(Instant::now() + self.inner.clock.scaled(QUEUED_FOR));
            }
            state.effects.push(Effect::DefaultBranch(branch.to_owned()));
            taken && may_refuse
        };
        if queue_is_taken { Err(self.hidden_500()) } else { Ok(()) }
    }

    /// Notes that a change of a repository was queued just now.
    pub(super) fn queued_now(&self) -> Instant {
        Instant::now() + self.inner.clock.scaled(QUEUED_FOR)
    }

    fn archive(&self, id: u64, archived: bool) -> Result<(), Refusal> {
        let now = self.inner.clock.second();
        let mut state = self.state();
        let row = state.by_id_mut(id).ok_or_else(|| self.not_found())?;
        if row.is_mirror {
            return Err(self.unprocessable("repo is a mirror, cannot archive/un-archive"));
        }
        row.archived = archived.then_some(now);
        Ok(())
    }

    fn change_mirror(&self, id: u64, patch: &Patch) -> Result<(), Refusal> {
        let prune =
            patch.enable_prune.filter(|_| self.inner.profile.takes_pruning_alone() || patch.mirror_interval.is_some());
        if patch.mirror_interval.is_none() && prune.is_none() {
            return Ok(());
        }
        let speed_of = |nanos: u64| self.inner.clock.scaled(Duration::from_nanos(nanos));
        let mut state = self.state();
        let min = state.settings.min_interval;
        let row = state.by_id_mut(id).ok_or_else(|| self.not_found())?;
        if !row.is_mirror {
            return match self.inner.profile.settings_of_no_mirror() {
                Some(text) => Err(self.unprocessable(text)),
                None => Ok(()),
            };
        }
        let Some(mirror) = row.mirror.as_mut() else {
            return Err(self.error(StatusCode::INTERNAL_SERVER_ERROR, ""));
        };
        let before = (mirror.interval, mirror.prune);
        if let Some(text) = &patch.mirror_interval {
            let interval = duration::parse(text).map_err(|error| self.unprocessable(&error))?;
            if interval != 0 && i128::from(interval) < nanos(min) {
                let (interval, min) = (duration::print(interval), print(min));
                let text = format!("invalid mirror interval: {interval} is below minimum interval: {min}");
                return Err(self.unprocessable(&text));
            }
            mirror.interval = interval;
            // Every such PATCH puts Gitea's own next sync off by a whole interval.
            let wait = u64::try_from(interval).ok().filter(|nanos| *nanos > 0);
            mirror.next = wait.map(|nanos| Instant::now() + speed_of(nanos));
        }
        if let Some(prune) = prune {
            mirror.prune = prune;
        }
        if before != (mirror.interval, mirror.prune) {
            state.effects.push(Effect::Settings);
        }
        Ok(())
    }
}

pub(super) fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// A duration as Go prints it.
pub(super) fn print(value: Duration) -> String {
    duration::print(i64::try_from(value.as_nanos()).unwrap_or(i64::MAX))
}
