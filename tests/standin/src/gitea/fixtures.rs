//! What a test sets up before and looks at afterwards: accounts, repositories, settings, faults, the kill
//! switch, the record. Goes past the API on purpose; answers no request.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::state::{Kind, NewRepository, Repository, Script, State, Token};
use super::{Gitea, Settings};
use crate::call::{Call, Done, Effect};
use crate::fault::{CallKind, Fault};
use crate::refs::Refs;
use crate::store::NewCommits;

/// A repository as the database and the disk have it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct View {
    /// Stays over a rename; a repository made anew has another.
    pub id: u64,
    /// `owner/name`.
    pub full_name: String,
    /// What the API says: true for a placeholder, too.
    pub mirror: bool,
    /// `mirror: true` without a mirror row: a migrate that runs, failed, or died.
    pub placeholder: bool,
    /// Whether a migrate is filling it at this moment.
    pub cloning: bool,
    /// The mirror's interval.
    pub interval: Option<Duration>,
    /// Whether a sync prunes; the API cannot tell it.
    pub enable_prune: Option<bool>,
    /// As the row has it; `HEAD` in the folder is beside it.
    pub default_branch: String,
    /// When a sync last ended, well or not.
    pub mirror_updated: Option<SystemTime>,
    /// When a sync last ended well.
    pub mirror_last_sync: Option<SystemTime>,
    /// The address given to migrate, without its credential.
    pub original_url: String,
    /// Whether the API calls it private.
    pub private: bool,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether the API calls it empty.
    pub empty: bool,
    /// How many branches the branch table has, which a failed sync leaves behind what git holds.
    pub branch_count: usize,
    /// The bare repository's folder, which may be gone.
    pub git_dir: PathBuf,
}

impl Gitea {
    /// Adds a user with a password.
    pub fn add_user(&self, name: &str, password: &str, admin: bool) {
        let kind = Kind::User { password: password.to_owned(), admin };
        let now = self.inner.clock.second();
        self.state().add_account(name, kind, now);
    }

    /// Makes a token for a user, with scopes such as `write:repository`.
    ///
    /// # Panics
    ///
    /// When there is no such user.
    #[must_use]
    pub fn add_token(&self, user: &str, scopes: &[&str]) -> String {
        let mut state = self.state();
        let id = state.account(user).unwrap_or_else(|| panic!("no user {user}")).id;
        state.last_token += 1;
        // 40 hexadecimal digits, as a real one, and the same in every run.
        let token = format!(
            "{:040x}",
            u128::from(state.last_token).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) % (1 << 120)
        );
        state.tokens.insert(token.clone(), Token::of(id, scopes));
        token
    }

    /// Makes a token of the caller's choice.
    ///
    /// # Panics
    ///
    /// When there is no such user.
    pub fn set_token(&self, user: &str, token: &str, scopes: &[&str]) {
        let mut state = self.state();
        let id = state.account(user).unwrap_or_else(|| panic!("no user {user}")).id;
        state.tokens.insert(token.to_owned(), Token::of(id, scopes));
    }

    /// Revokes a token.
    pub fn remove_token(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// Adds a public organisation with one owner.
    ///
    /// # Panics
    ///
    /// When there is no such user.
    pub fn add_org(&self, name: &str, owner: &str) {
        self.add_org_of(name, owner, false);
    }

    /// Adds an organisation that only its owner sees.
    ///
    /// # Panics
    ///
    /// When there is no such user.
    pub fn add_private_org(&self, name: &str, owner: &str) {
        self.add_org_of(name, owner, true);
    }

    fn add_org_of(&self, name: &str, owner: &str, private: bool) {
        let now = self.inner.clock.second();
        let mut state = self.state();
        let id = state.account(owner).unwrap_or_else(|| panic!("no user {owner}")).id;
        state.add_account(name, Kind::Org { owners: vec![id], private }, now);
    }

    /// Adds a regular repository with a commit on `main`: a legacy one.
    ///
    /// # Panics
    ///
    /// When there is no such owner.
    pub fn add_repository(&self, owner: &str, name: &str) {
        let now = self.inner.clock.second();
        let id = {
            let mut state = self.state();
            let owner = state.account(owner).unwrap_or_else(|| panic!("no owner {owner}")).id;
            let new =
                NewRepository { owner, name, description: "", is_mirror: false, private: false, original_url: "" };
            state.add_repository(&new, now)
        };
        self.fill(id, "main", true);
    }

    /// Hides a repository from everybody who asks the API for it: its name stays taken.
    ///
    /// # Panics
    ///
    /// When there is no such repository.
    pub fn hide(&self, owner: &str, name: &str) {
        let mut state = self.state();
        let id = state.repository(owner, name).unwrap_or_else(|| panic!("no repository {owner}/{name}")).id;
        state.hidden.insert(id);
    }

    /// Archives a repository, or takes it out of the archive, as the web interface does: mirrors, too.
    pub fn archive_by_hand(&self, owner: &str, name: &str, archived: bool) {
        let now = self.inner.clock.second();
        self.change_row(owner, name, |row| row.archived = archived.then_some(now));
    }

    /// Makes a mirror a regular repository, as the web interface of every release does.
    pub fn convert_by_hand(&self, owner: &str, name: &str) {
        self.change_row(owner, name, |row| (row.is_mirror, row.mirror) = (false, None));
    }

    fn change_row(&self, owner: &str, name: &str, change: impl FnOnce(&mut Repository)) {
        let mut state = self.state();
        let id = state.repository(owner, name).unwrap_or_else(|| panic!("no repository {owner}/{name}")).id;
        if let Some(row) = state.by_id_mut(id) {
            change(row);
        }
    }

    /// Leaves a folder without a row, as an interrupted delete does.
    ///
    /// # Panics
    ///
    /// When the folder cannot be made.
    pub fn leave_folder(&self, owner: &str, name: &str) {
        self.inner.store.leave_folder(&self.git_dir_of(owner, name));
    }

    /// Changes settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state().settings);
    }

    /// How long a clone takes beyond git's own time. The row and an empty folder are there meanwhile.
    pub fn set_migrate_delay(&self, delay: Duration) {
        self.state().migrate_delay = delay;
    }

    /// How long a sync takes beyond git's own time, after it has read its row.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.state().sync_delay = delay;
    }

    /// A queue that takes everything and does nothing. Un-sticking needs a runtime.
    pub fn set_stuck_queue(&self, stuck: bool) {
        self.state().stuck = stuck;
        if !stuck {
            self.work();
        }
    }

    /// Makes every call of a kind go wrong, until [`Gitea::clear_faults`].
    pub fn fault(&self, kind: CallKind, fault: Fault) {
        self.state().scripts.push(Script { kind, repository: None, fault, once: false });
    }

    /// Makes the next call of a kind go wrong; several of them are used one call each, in order.
    pub fn fault_once(&self, kind: CallKind, fault: Fault) {
        self.state().scripts.push(Script { kind, repository: None, fault, once: true });
    }

    /// Makes the next call of a kind for a repository of this name go wrong.
    pub fn fault_once_at(&self, repository: &str, kind: CallKind, fault: Fault) {
        let repository = Some(repository.to_owned());
        self.state().scripts.push(Script { kind, repository, fault, once: true });
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        self.state().scripts.clear();
    }

    /// Does something just before the next call of a kind is answered: somebody else's organisation or
    /// repository between our look and our call, a deletion, a kill.
    pub fn before_next(&self, kind: CallKind, hook: impl FnOnce(&Self) + Send + 'static) {
        self.state().hooks.push((kind, Box::new(hook)));
    }

    /// Forgets what was to be done before some call.
    pub fn clear_hooks(&self) {
        self.state().hooks.clear();
    }

    /// Whether a user or an organisation has a name.
    #[must_use]
    pub fn has_owner(&self, name: &str) -> bool {
        self.state().account(name).is_some()
    }

    /// Puts a mirror into the queue, as a press of the web interface's button does. Needs a runtime.
    pub fn sync_now(&self, owner: &str, name: &str) {
        let id = self.state().repository(owner, name).filter(|row| row.mirror.is_some()).map(|row| row.id);
        if let Some(id) = id {
            self.enqueue(id);
        }
    }

    /// Somebody's migrate of a mirror, as the web interface does it; answers the status.
    ///
    /// # Panics
    ///
    /// When there is no such user.
    pub async fn migrate_as(&self, user: &str, owner: &str, name: &str, address: &str) -> u16 {
        let token = self.add_token(user, &["all"]);
        let body = json!({ "clone_addr": address, "repo_owner": owner, "repo_name": name, "mirror": true,
                           "mirror_interval": "10m0s" });
        let request = http::Request::post("/api/v1/repos/migrate").header("authorization", format!("token {token}"));
        let request = request.body(axum::body::Body::from(body.to_string())).expect("a request of our own making");
        self.handle(request).await.status().as_u16()
    }

    /// Kills the server: every connection breaks, a running migrate leaves its placeholder for ever, a
    /// running sync moves refs at most. What waits in the queue survives. Nobody is answered until
    /// [`Gitea::restart`].
    pub fn kill(&self) {
        {
            let mut state = self.state();
            state.down = true;
            state.working = false;
            state.cloning.clear();
        }
        self.inner.life.send_modify(|life| *life += 1);
    }

    /// Starts a killed server again. Needs a runtime when the queue holds something.
    pub fn restart(&self) {
        self.state().down = false;
        self.work();
    }

    /// Every request so far, git's included.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// What calls of the API have changed so far, whatever their callers were told.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state().effects.clone()
    }

    /// Forgets the requests so far, and what they have changed.
    pub fn clear_calls(&self) {
        let mut state = self.state();
        state.calls.clear();
        state.effects.clear();
        state.done.clear();
    }

    /// The changing calls so far that were carried out, in order.
    #[must_use]
    pub fn done(&self) -> Vec<Done> {
        self.state().done.clone()
    }

    /// How many syncs wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.state().queue.len()
    }

    /// A repository by its present name.
    #[must_use]
    pub fn repository(&self, owner: &str, name: &str) -> Option<View> {
        let state = self.state();
        let row = state.repository(owner, name)?;
        Some(self.view(&state, row))
    }

    /// Every repository.
    #[must_use]
    pub fn repositories(&self) -> Vec<View> {
        let state = self.state();
        state.repositories.iter().map(|row| self.view(&state, row)).collect()
    }

    fn view(&self, state: &State, row: &Repository) -> View {
        let mirror = row.mirror.as_ref();
        let full_name = state.full_name(row);
        let owner = full_name.split('/').next().unwrap_or_default();
        View {
            id: row.id,
            mirror: row.is_mirror,
            placeholder: row.is_mirror && mirror.is_none(),
            cloning: state.cloning.contains(&row.id),
            interval: mirror.and_then(|m| u64::try_from(m.interval).ok()).map(Duration::from_nanos),
            enable_prune: mirror.map(|m| m.prune),
            default_branch: row.default_branch.clone(),
            mirror_updated: mirror.map(|m| SystemTime::from(m.updated)),
            mirror_last_sync: mirror.and_then(|m| m.last_sync).map(SystemTime::from),
            original_url: row.original_url.clone(),
            private: row.private,
            archived: row.archived.is_some(),
            empty: row.empty,
            branch_count: row.branches.len(),
            git_dir: self.git_dir_of(owner, &row.name),
            full_name,
        }
    }

    /// Every head and tag that the folder of a repository holds.
    #[must_use]
    pub fn heads_and_tags(&self, owner: &str, name: &str) -> Refs {
        self.inner.store.heads_and_tags(&self.git_dir_of(owner, name))
    }

    /// The branch that `HEAD` in the folder of a repository names.
    #[must_use]
    pub fn head(&self, owner: &str, name: &str) -> Option<String> {
        self.inner.store.head(&self.git_dir_of(owner, name))
    }

    /// Sets a ref in the folder of a repository behind Gitea's back; `None` removes it.
    pub fn update_ref(&self, owner: &str, name: &str, reference: &str, target: Option<&str>) {
        self.inner.store.update_ref(&self.git_dir_of(owner, name), reference, target);
    }

    /// Adds a commit to a branch of a repository, as a push would, and answers its id.
    ///
    /// # Panics
    ///
    /// When there is no such repository.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the id is beside it")]
    pub fn commit(&self, owner: &str, name: &str, branch: &str, message: &str) -> String {
        let id = self.repository(owner, name).unwrap_or_else(|| panic!("no repository {owner}/{name}")).id;
        let folder = self.git_dir_of(owner, name);
        let reference = format!("refs/heads/{branch}");
        let start = self.inner.store.list(&folder, &[&reference]);
        self.inner.store.commit(
            &folder,
            &NewCommits {
                reference: &reference,
                start: start.first().map(|r| r.id.as_str()),
                committer: ("bot", "bot@example.test"),
                messages: &[message.to_owned()],
                date: crate::git::FIRST_COMMIT,
                file: ("local", message),
            },
        );
        self.refresh(id, &folder);
        if let Some(row) = self.state().by_id_mut(id) {
            row.empty = false;
        }
        self.heads_and_tags(owner, name).remove(&reference).unwrap_or_default()
    }
}
