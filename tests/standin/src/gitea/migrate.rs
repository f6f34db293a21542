//! `POST /repos/migrate` after its checks: the row first, then a clone that goes on whatever becomes of the
//! caller, and a placeholder when it fails. The checks are in [`super::migrate_checks`].

use std::path::{Path, PathBuf};

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::migrate_checks::Plan;
use super::patch::nanos;
use super::state::{Mirror, NewRepository};
use crate::call::{Done, Effect};
use crate::duration;
use crate::fault::{self, CallKind};
use crate::git::Output;
use crate::store::Remote;

/// What the end of a migration needs to know of its beginning.
struct Job {
    id: u64,
    plan: Plan,
    doer: Doer,
    life: u64,
}

impl Gitea {
    pub(super) async fn migrate(&self, doer: Option<&Doer>, body: &Bytes) -> Result<Response, Refusal> {
        let plan = self.plan(doer, body).await?;
        let doer = self.signed_in(doer)?.clone();
        let id = self.add_row(&plan)?;
        let (tell, told) = oneshot::channel();
        let job = Job { id, plan, doer, life: self.life() };
        let gitea = self.clone();
        // Gitea clones outside the request's context: a client that leaves ends nothing.
        tokio::spawn(async move {
            let ended = gitea.carry_out(&job).await;
            gitea.state().cloning.remove(&job.id);
            if let Some(response) = ended {
                // The client may have left.
                drop(tell.send(response));
            }
        });
        Ok(told.await.unwrap_or_else(|_| fault::cut()))
    }

    /// Looks and adds under one lock: of several migrations at once, one wins.
    fn add_row(&self, plan: &Plan) -> Result<u64, Refusal> {
        let mut state = self.state();
        if state.repository(&plan.owner.name, &plan.name).is_some() {
            return Err(self.error(StatusCode::CONFLICT, "The repository with the same name already exists."));
        }
        let new = NewRepository {
            owner: plan.owner.id,
            name: &plan.name,
            description: &plan.description,
            is_mirror: plan.mirror,
            private: plan.private,
            original_url: &plan.original_url,
        };
        let id = state.add_repository(&new, self.inner.clock.second());
        state.cloning.insert(id);
        let path = "/api/v1/repos/migrate".to_owned();
        state.done.push(Done { kind: CallKind::Migrate, path, body: plan.original_url.clone() });
        state.effects.push(Effect::Row(plan.name.clone()));
        Ok(id)
    }

    /// The whole clone phase. `None` when the server was killed meanwhile: the placeholder stays as it is.
    async fn carry_out(&self, job: &Job) -> Option<Response> {
        let folder = self.git_dir_of(&job.plan.owner.name, &job.plan.name);
        let delay = self.state().migrate_delay;
        if !delay.is_zero() {
            self.pretend_to_clone(&folder).await;
            tokio::time::sleep(delay).await;
            if self.life() != job.life {
                return None;
            }
            if self.state().by_id(job.id).is_none() {
                return Some(self.folder_was_deleted(&folder));
            }
            // A real clone would have gone on in the folder that it had made.
            self.remove_folder(&folder).await;
        }
        let cloned = self.clone_mirror(job, &folder).await;
        if self.life() != job.life {
            return None;
        }
        if self.state().by_id(job.id).is_none() {
            self.remove_folder(&folder).await;
            return Some(self.folder_was_deleted(&folder));
        }
        Some(match cloned {
            Ok(output) if output.ok => self.finish_migration(job, &folder).await,
            Ok(output) => self.clone_failed(job, &output),
            Err(_) => self.hidden_500().into(),
        })
    }

    /// Removes a folder, if it is there.
    pub(super) async fn remove_folder(&self, folder: &Path) {
        let (store, folder) = (self.inner.store.clone(), folder.to_owned());
        drop(self.inner.store.run(move || store.remove(&folder)).await);
    }

    /// The folder as git leaves it while it clones: there, and without refs.
    async fn pretend_to_clone(&self, folder: &Path) {
        let (store, folder) = (self.inner.store.clone(), folder.to_owned());
        // Without it the placeholder merely looks as in its first moments.
        drop(self.inner.store.run(move || store.init(&folder, "master")).await);
    }

    async fn clone_mirror(&self, job: &Job, folder: &Path) -> std::io::Result<Output> {
        let password_file = self.password_file(job.id);
        let remote = Remote {
            address: &job.plan.address,
            follow: self.inner.profile.follows_redirects(),
            password_file: &password_file,
            apart: self.inner.profile.keeps_password_apart(),
        };
        let output = self.inner.store.clone_mirror(&remote, folder).await?;
        if self.inner.profile.forgets_password() {
            self.inner.store.forget_password(&password_file, folder);
        }
        Ok(output)
    }

    pub(super) fn password_file(&self, id: u64) -> PathBuf {
        self.inner.folder().join(format!("password-{id}"))
    }

    fn clone_failed(&self, job: &Job, output: &Output) -> Response {
        if output.timed_out {
            return self.hidden_500().into();
        }
        let stderr = output.stderr.replace(job.plan.address.as_str(), &job.plan.original_url);
        self.clone_error(output.code, &stderr)
    }

    fn folder_was_deleted(&self, folder: &Path) -> Response {
        let stderr = format!(
            "error: could not lock config file {}/config: No such file or directory\n\
             fatal: could not set 'core.repositoryformatversion' to '0'\n",
            folder.display()
        );
        self.clone_error(128, &stderr)
    }

    /// Gitea tells failures of a clone apart by words in git's output.
    fn clone_error(&self, code: i32, stderr: &str) -> Response {
        let error = self.inner.profile.clone_error(code, stderr);
        let is_about_credentials =
            ["Authentication failed", "Bad credentials", "could not read Username"].iter().any(|w| error.contains(w));
        if is_about_credentials {
            self.unprocessable(&format!("Authentication failed: {error}.")).into()
        } else if error.contains("fatal:") {
            self.unprocessable(&format!("Migration failed: {error}.")).into()
        } else {
            self.hidden_500().into()
        }
    }

    /// Fills the rows from what was cloned. The interval is looked at last of all, when everything is
    /// there, and a bad one leaves a placeholder that holds every ref.
    async fn finish_migration(&self, job: &Job, folder: &Path) -> Response {
        let (gitea, path) = (self.clone(), folder.to_owned());
        let read = self.inner.store.run(move || {
            let head = gitea.inner.store.head(&path).unwrap_or_default();
            (gitea.branch_table(&path), head, gitea.inner.store.size(&path))
        });
        let Ok((branches, head, size)) = read.await else {
            return self.hidden_500().into();
        };
        let now = self.inner.clock.second();
        let interval = self.interval(&job.plan.interval);
        let row = {
            let mut state = self.state();
            let Some(row) = state.by_id_mut(job.id) else {
                return self.hidden_500().into();
            };
            row.branches = branches;
            row.queued_until = Some(self.queued_now());
            row.updated = now;
            if job.plan.mirror {
                let Some(interval) = interval else {
                    return self.hidden_500().into();
                };
                // Cron may take it at its very next tick, even with an interval of 0.
                let next = Some(Instant::now());
                row.mirror = Some(Mirror { interval, prune: true, updated: now, last_sync: None, next });
            }
            row.empty = row.branches.is_empty();
            row.default_branch = if row.empty { String::new() } else { head };
            row.clone()
        };
        // The row as it was before its size was written.
        let answer = self.json(StatusCode::CREATED, &self.repository_json(&row, Some(&job.doer)));
        if let Some(row) = self.state().by_id_mut(job.id) {
            row.size = size;
        }
        answer
    }

    /// The interval to keep; `None` for one that is no duration or too short.
    fn interval(&self, text: &str) -> Option<i64> {
        let settings = self.state().settings.clone();
        if text.is_empty() {
            return i64::try_from(settings.default_interval.as_nanos()).ok();
        }
        let interval = duration::parse(text).ok()?;
        (interval == 0 || i128::from(interval) >= nanos(settings.min_interval)).then_some(interval)
    }
}
