//! `POST …/mirror-sync`, its queue, and the sync itself. The queue takes a repository once while it waits,
//! works one after the other, and tells nobody how a sync ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::gate::Asked;
use super::state::{Mirror, Repository};
use crate::call::Effect;

/// What a fetch left in the folder.
struct Fetched {
    ok: bool,
    changed: bool,
    branches: Vec<(String, String)>,
    size: u64,
    latest_commit: Option<Timestamp>,
}

impl Gitea {
    pub(super) fn mirror_sync(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "write:repository")?;
        let doer = self.signed_in(doer)?;
        self.may(doer, &repository, "user should have a permission to write to a repo")?;
        let full_name = self.state().full_name(&repository);
        if repository.archived.is_some()
            && let Some(text) = self.inner.profile.archived(repository.id, &full_name)
        {
            return Err(self.error(StatusCode::LOCKED, &text));
        }
        let settings = self.state().settings.clone();
        if settings.quota_exceeded && self.inner.profile.has_quota() {
            let owner = full_name.split('/').next().unwrap_or_default();
            let body = json!({ "message": "quota exceeded", "user_id": repository.owner, "username": owner });
            return Err(Refusal::from(self.json(StatusCode::PAYLOAD_TOO_LARGE, &body)));
        }
        if settings.mirror_feature_off {
            return Err(self.error(StatusCode::BAD_REQUEST, "Mirror feature is disabled"));
        }
        if repository.mirror.is_none() {
            // A placeholder, too, although it says `mirror: true`.
            return Err(self.error(StatusCode::BAD_REQUEST, "Repository is not a mirror"));
        }
        if self.enqueue(repository.id) {
            self.state().effects.push(Effect::Queued);
        }
        Ok(self.empty(StatusCode::OK))
    }

    /// Puts a repository into the queue, unless it waits there already. Whether it was put there.
    pub(super) fn enqueue(&self, id: u64) -> bool {
        let is_new = {
            let mut state = self.state();
            let is_new = !state.queue.contains(&id);
            if is_new {
                state.queue.push_back(id);
            }
            is_new
        };
        self.work();
        is_new
    }

    /// Starts the queue's worker, if there is work and nobody at it.
    pub(super) fn work(&self) {
        {
            let mut state = self.state();
            if state.working || state.stuck || state.down || state.queue.is_empty() {
                return;
            }
            state.working = true;
        }
        let (gitea, life) = (self.clone(), self.life());
        tokio::spawn(async move {
            loop {
                let delay = gitea.state().settings.queue_delay;
                gitea.inner.clock.sleep(delay).await;
                if gitea.life() != life {
                    return;
                }
                let id = {
                    let mut state = gitea.state();
                    let next = if state.stuck { None } else { state.queue.pop_front() };
                    state.working = next.is_some();
                    next
                };
                let Some(id) = id else { return };
                gitea.sync(id, life).await;
                if gitea.life() != life {
                    return;
                }
            }
        });
    }

    async fn sync(&self, id: u64, life: u64) {
        let (row, folder, delay) = {
            let state = self.state();
            let Some(row) = state.by_id(id).cloned() else {
                return;
            };
            let Some(owner) = state.account_of(row.owner) else {
                return;
            };
            let folder = self.git_dir_of(&owner.name, &row.name);
            (row, folder, state.sync_delay)
        };
        // The row as it was when the sync began: all of it is written back at the end.
        let Some(mirror) = row.mirror.clone() else {
            return;
        };
        // A kill ends the server and not its git, which goes on as an orphan.
        tokio::time::sleep(delay).await;
        let allowed = self.may_fetch(&row).await;
        let fetched = if allowed { self.fetch(id, &folder, mirror.prune).await } else { None };
        if self.life() != life {
            // The orphan has moved the refs, and nobody notes it.
            return;
        }
        match fetched {
            Some(fetched) if fetched.ok => self.sync_succeeded(&row, mirror, fetched),
            _ => self.sync_failed(id),
        }
    }

    /// The allow list of today, where a sync looks at it.
    async fn may_fetch(&self, row: &Repository) -> bool {
        if !self.inner.profile.looks_at_hosts_with_each_sync() {
            return true;
        }
        match Url::parse(&row.original_url) {
            Ok(address) => self.host_is_allowed(&address).await.is_ok(),
            Err(_) => false,
        }
    }

    async fn fetch(&self, id: u64, folder: &Path, prune: bool) -> Option<Fetched> {
        let look = |(gitea, folder): (Self, PathBuf)| {
            let store = gitea.inner.store.clone();
            self.inner.store.run(move || {
                let refs: Vec<_> = store.list(&folder, &[]).into_iter().map(|r| (r.name, r.id)).collect();
                (refs, gitea.branch_table(&folder), store.size(&folder), store.latest(&folder))
            })
        };
        let (before, ..) = look((self.clone(), folder.to_owned())).await.ok()?;
        let (follow, password_file) = (self.inner.profile.follows_redirects(), self.password_file(id));
        let ok = self.inner.store.fetch(&password_file, follow, folder, prune).await.ok()?.ok;
        let (after, branches, size, latest) = look((self.clone(), folder.to_owned())).await.ok()?;
        let latest_commit = latest.and_then(|second| Timestamp::from_second(second).ok());
        Some(Fetched { ok, changed: before != after, branches, size, latest_commit })
    }

    fn sync_succeeded(&self, begun: &Repository, mut mirror: Mirror, fetched: Fetched) {
        let now = self.inner.clock.second();
        let interval = u64::try_from(mirror.interval).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos);
        mirror.updated = now;
        mirror.last_sync = Some(now);
        mirror.next = interval.map(|interval| Instant::now() + self.inner.clock.scaled(interval));
        let mut state = self.state();
        // Renamed, converted or deleted meanwhile.
        let Some(row) = state.by_id_mut(begun.id).filter(|row| row.mirror.is_some()) else {
            return;
        };
        row.mirror = Some(mirror);
        row.branches = fetched.branches;
        row.size = fetched.size;
        if fetched.changed {
            match fetched.latest_commit {
                Some(latest) => row.updated = latest,
                None if self.inner.profile.wiped_mirror_is_updated_now() => row.updated = now,
                None => {}
            }
        }
        if row.empty && !row.branches.is_empty() {
            // Not upstream's HEAD: the configured default, else a usual name, else the first.
            let has = |name: &str| row.branches.iter().any(|(branch, _)| branch == name);
            let usual = ["main", "master"].into_iter().find(|name| has(name)).map(str::to_owned);
            row.default_branch =
                usual.or_else(|| row.branches.first().map(|(name, _)| name.clone())).unwrap_or_default();
            row.empty = false;
        }
    }

    /// A failed sync moves `mirror_updated`, and nothing else: not even the next one's time.
    fn sync_failed(&self, id: u64) {
        let now = self.inner.clock.second();
        if let Some(mirror) = self.state().by_id_mut(id).and_then(|row| row.mirror.as_mut()) {
            mirror.updated = now;
        }
    }
}
