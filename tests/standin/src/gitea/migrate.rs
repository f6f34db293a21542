//! `POST /repos/migrate` after its checks: the row first, then a clone that goes on whatever becomes of the
//! caller, and a placeholder when it fails. The checks are in [`super::migrate_checks`].

use std::path::{Path, PathBuf};

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::Url;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::migrate_checks::Plan;
use super::patch::nanos;
use super::state::{Mirror, NewRepository};
use crate::duration;
use crate::fault;
use crate::git::{Output, blocking};
use crate::refs;

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
            if let Some(response) = gitea.carry_out(&job).await {
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
        Ok(state.add_repository(&new, self.inner.clock.second()))
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
            let leftover = folder.clone();
            // A real clone would have gone on in the folder that it had made.
            drop(blocking(move || std::fs::remove_dir_all(leftover)).await);
        }
        let cloned = self.clone_mirror(job, &folder).await;
        if self.life() != job.life {
            return None;
        }
        if self.state().by_id(job.id).is_none() {
            let leftover = folder.clone();
            drop(blocking(move || std::fs::remove_dir_all(leftover)).await);
            return Some(self.folder_was_deleted(&folder));
        }
        Some(match cloned {
            Ok(output) if output.ok => self.finish_migration(job, &folder).await,
            Ok(output) => self.clone_failed(job, &output),
            Err(_) => self.hidden_500().into(),
        })
    }

    /// The folder as git leaves it while it clones: there, and without refs.
    async fn pretend_to_clone(&self, folder: &Path) {
        let text = folder.to_string_lossy();
        let args = ["init", "-q", "--bare", "--template=", "-b", "master", &text];
        // Without it the placeholder merely looks as in its first moments.
        drop(self.inner.git.run(&self.inner.repositories(), &args).await);
    }

    async fn clone_mirror(&self, job: &Job, folder: &Path) -> std::io::Result<Output> {
        let follow = format!("http.followRedirects={}", self.follow_redirects());
        let text = folder.to_string_lossy();
        let address = self.keep_password(job)?;
        let helper = self.credential_helper(job.id);
        let mut args = vec!["-c", follow.as_str(), "-c", helper.as_str(), "clone"];
        args.extend(["--quiet", "--template=", "--mirror", "--", address.as_str(), &text]);
        let output = self.inner.git.run(&self.inner.repositories(), &args).await?;
        if self.inner.profile.forgets_password() {
            // Most clones need none.
            drop(std::fs::remove_file(self.password_file(job.id)));
        }
        if !output.ok {
            let leftover = folder.to_owned();
            // Git removes what it made, unless it was killed.
            drop(blocking(move || std::fs::remove_dir_all(leftover)).await);
            return Ok(output);
        }
        let add = ["config", "--add", "remote.origin.fetch", "+refs/tags/*:refs/tags/*"];
        self.inner.git.run(folder, &add).await?;
        Ok(output)
    }

    /// The address for git. Gitea leaves the password in it, and so in the mirror's configuration;
    /// Forgejo hands it to git from elsewhere, and git asks without it first.
    fn keep_password(&self, job: &Job) -> std::io::Result<Url> {
        let address = &job.plan.address;
        if !self.inner.profile.keeps_password_apart() || address.password().is_none() {
            return Ok(address.clone());
        }
        let (mut stored, mut named) = (address.clone(), address.clone());
        stored.set_path("");
        std::fs::write(self.password_file(job.id), format!("{stored}\n"))?;
        // Cannot fail: the address has a host.
        let _ = named.set_password(None);
        Ok(named)
    }

    fn password_file(&self, id: u64) -> PathBuf {
        self.inner.folder.path().join(format!("password-{id}"))
    }

    /// git's configuration for a password that is kept apart. Without one there is no such file, and git
    /// asks nobody else.
    pub(super) fn credential_helper(&self, id: u64) -> String {
        format!("credential.helper=store --file={}", self.password_file(id).display())
    }

    /// git's value for `http.followRedirects` on this server; `initial` is git's own default.
    pub(super) fn follow_redirects(&self) -> &'static str {
        if self.inner.profile.follows_redirects() { "initial" } else { "false" }
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
        let read = blocking(move || {
            let head = refs::head(&gitea.inner.git, &path).unwrap_or_default();
            Ok((gitea.branch_table(&path), head, super::repository::size_in_kib(&path)))
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
