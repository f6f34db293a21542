//! Repositories as such: reading, deleting, converting, and making a regular one. Renaming and the other
//! changes are in [`super::patch`].

use std::path::Path;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::gate::Asked;
use super::state::NewRepository;
use crate::call::Effect;
use crate::store::NewCommits;

#[derive(Deserialize)]
struct CreateRepository {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    auto_init: bool,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    default_branch: String,
}

impl Gitea {
    pub(super) fn get_repository(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        Ok(self.ok(&self.repository_json(&repository, doer)))
    }

    /// Removes row and folder at once, and does not stop a clone that is running into that folder.
    pub(super) async fn delete_repository(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "write:repository")?;
        let doer = self.signed_in(doer)?;
        let owner = self.state().account_of(repository.owner).cloned().ok_or_else(|| self.hidden_500())?;
        if self.inner.profile.delete_needs_owner_scope() {
            self.scope(Some(doer), if owner.is_org() { "write:organization" } else { "write:user" })?;
        }
        self.may(doer, &repository, "user should be the owner of the repo")?;
        {
            let mut state = self.state();
            state.remove_repository(repository.id);
            state.effects.push(Effect::Deleted(repository.id));
        }
        let folder = self.git_dir_of(&owner.name, &repository.name);
        // A folder that was never made is what DELETE of a placeholder meets.
        self.remove_folder(&folder).await;
        Ok(self.empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn convert(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        if !self.inner.profile.can_convert() {
            return Ok(self.unknown_route());
        }
        let repository = self.assigned(asked, doer, "write:repository")?;
        let doer = self.signed_in(doer)?;
        self.may(doer, &repository, "user should be the owner of the repo")?;
        if repository.mirror.is_none() {
            return Err(self.unprocessable("Repository is not a mirror"));
        }
        let changed = {
            let mut state = self.state();
            let row = state.by_id_mut(repository.id).ok_or_else(|| self.not_found())?;
            row.is_mirror = false;
            row.mirror = None;
            let row = row.clone();
            state.effects.push(Effect::Converted);
            row
        };
        Ok(self.ok(&self.repository_json(&changed, Some(doer))))
    }

    pub(super) fn put_contents(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "write:repository")?;
        self.signed_in(doer)?;
        if !repository.is_mirror {
            // Writing to a regular repository is no call of ours.
            return Err(self.not_found());
        }
        let full_name = self.state().full_name(&repository);
        let (status, message) = self.inner.profile.mirror_is_read_only(&full_name);
        Err(self.error(status, &message))
    }

    /// Makes a regular repository, for an organisation or for whoever asks.
    pub(super) async fn create_repository(
        &self,
        doer: Option<&Doer>,
        owner: &str,
        body: &Bytes,
    ) -> Result<Response, Refusal> {
        self.scope(doer, if owner.is_empty() { "write:user" } else { "write:organization" })?;
        let doer = self.signed_in(doer)?;
        let wanted: CreateRepository =
            serde_json::from_slice(body).map_err(|error| self.unprocessable(&error.to_string()))?;
        let owner = {
            let state = self.state();
            let account = if owner.is_empty() { state.account_of(doer.id) } else { state.account(owner) };
            let account = account.cloned().ok_or_else(|| self.not_found())?;
            if !state.owns(doer.id, account.id) {
                return Err(self.forbidden("Given user is not allowed to create repository in organization."));
            }
            account
        };
        self.name_is_free(&owner, &wanted.name, true)?;
        let branch = if wanted.default_branch.is_empty() { "main" } else { wanted.default_branch.as_str() };
        let id = self.state().add_repository(
            &NewRepository {
                owner: owner.id,
                name: &wanted.name,
                description: &wanted.description,
                is_mirror: false,
                private: wanted.private,
                original_url: "",
            },
            self.inner.clock.second(),
        );
        let (gitea, branch) = (self.clone(), branch.to_owned());
        let made = self.inner.store.run(move || gitea.fill(id, &branch, wanted.auto_init));
        made.await.map_err(|_| self.hidden_500())?;
        let row = self.state().by_id(id).cloned().ok_or_else(|| self.hidden_500())?;
        Ok(self.json(StatusCode::CREATED, &self.repository_json(&row, Some(doer))))
    }

    /// Makes the folder of a regular repository, with a first commit or without. Blocks.
    pub(super) fn fill(&self, id: u64, branch: &str, with_commit: bool) {
        let folder = {
            let state = self.state();
            let Some(row) = state.by_id(id) else { return };
            let owner = state.account_of(row.owner).map_or("", |account| account.name.as_str());
            self.git_dir_of(owner, &row.name)
        };
        self.inner.store.init(&folder, branch);
        if with_commit {
            self.inner.store.commit(
                &folder,
                &NewCommits {
                    reference: &format!("refs/heads/{branch}"),
                    start: None,
                    committer: ("bot", "bot@example.test"),
                    messages: &["Initial commit\n".to_owned()],
                    date: crate::git::FIRST_COMMIT,
                    file: ("README.md", "# legacy\n"),
                },
            );
        }
        self.refresh(id, &folder);
        if let Some(row) = self.state().by_id_mut(id) {
            branch.clone_into(&mut row.default_branch);
            row.empty = !with_commit;
        }
    }

    /// Reads the branch table and the size anew from git. Blocks.
    pub(super) fn refresh(&self, id: u64, folder: &Path) {
        let branches = self.branch_table(folder);
        let size = self.inner.store.size(folder);
        if let Some(row) = self.state().by_id_mut(id) {
            row.branches = branches;
            row.size = size;
        }
    }

    /// Branch names and commits as git holds them. Blocks.
    pub(super) fn branch_table(&self, folder: &Path) -> Vec<(String, String)> {
        let heads = self.inner.store.list(folder, &["refs/heads"]);
        heads.into_iter().map(|r| (r.name.trim_start_matches("refs/heads/").to_owned(), r.id)).collect()
    }
}
