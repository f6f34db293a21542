//! Calls that only conflicts and mode changes need: delete a placeholder, rename a legacy repository, convert a mirror.
//!
//! Owns the one `DELETE` of this program, which requires a [`Proof`]. Each change reads the repository's id just before
//! it is sent. Never decides which repository to change.

use http::Method;

use super::{Answered, CHANGE, Client, READ, classify, wire};
use crate::domain::answer::{AncestryAnswer, ConvertAnswer, DeleteAnswer, PatchAnswer, Repository, RepositoryAnswer};
use crate::domain::aside::Aside;
use crate::domain::names::RepoName;
use crate::domain::proof::Proof;
use crate::domain::refs::ObjectId;
use crate::domain::spec::MirrorSpec;

impl Client {
    /// `DELETE` of the placeholder that `proof` names, if it still exists and is still a placeholder.
    pub async fn delete_placeholder(&self, spec: &MirrorSpec, proof: &Proof) -> DeleteAnswer {
        let path = format!("/repos/{}", spec.full_name());
        let (there, filled) = match self.send("get_repository", Method::GET, &path, None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => {
                (classify::repository(&response, &redactor, &spec.full_name()), wire::is_filled(response.body()))
            }
            Err(trouble) => return DeleteAnswer::Unknown(trouble),
        };
        let there = match there {
            RepositoryAnswer::Present(repository) => repository,
            RepositoryAnswer::Absent => return DeleteAnswer::Gone,
            RepositoryAnswer::Refused(refusal) => return DeleteAnswer::Refused(refusal),
            RepositoryAnswer::Trouble(trouble) => return DeleteAnswer::Unknown(trouble),
        };
        // Until its migrate has ended, Gitea reports a placeholder as empty, even when its folder already has git data.
        if there.id != proof.repository() || !there.mirror || there.interval.is_some() || filled {
            return DeleteAnswer::Changed;
        }
        match self.send("delete_placeholder", Method::DELETE, &path, None::<&()>, CHANGE).await {
            Ok(Answered { response, redactor }) => classify::delete(&response, &redactor),
            Err(trouble) => DeleteAnswer::Unknown(trouble),
        }
    }

    /// `PATCH` of a legacy repository's name to its backup name.
    pub async fn rename_aside(&self, spec: &MirrorSpec, aside: &Aside) -> PatchAnswer {
        let is_legacy = |repository: &Repository| repository.id == aside.repository && !repository.mirror;
        self.rename(spec, &spec.repo, &aside.name, is_legacy).await
    }

    /// `PATCH` of a legacy repository's name from its backup name to its former name.
    pub async fn give_back(&self, spec: &MirrorSpec, aside: &Aside) -> PatchAnswer {
        let is_legacy = |repository: &Repository| repository.id == aside.repository;
        self.rename(spec, &aside.name, &spec.repo, is_legacy).await
    }

    /// `POST /repos/{owner}/{repo}/convert`: makes the mirror a regular repository, which cannot be undone.
    pub async fn convert(&self, spec: &MirrorSpec) -> ConvertAnswer {
        let path = format!("/repos/{}/convert", spec.full_name());
        match self.send("convert", Method::POST, &path, None::<&()>, CHANGE).await {
            Ok(Answered { response, redactor }) => classify::convert(&response, &redactor),
            Err(trouble) => ConvertAnswer::Unknown(trouble),
        }
    }

    async fn rename(
        &self,
        spec: &MirrorSpec,
        from: &RepoName,
        to: &RepoName,
        is_it: impl Fn(&Repository) -> bool,
    ) -> PatchAnswer {
        match self.at(spec, from).await {
            RepositoryAnswer::Present(repository) if is_it(&repository) => {}
            RepositoryAnswer::Present(_) | RepositoryAnswer::Absent => return PatchAnswer::Gone,
            RepositoryAnswer::Refused(refusal) => return PatchAnswer::Refused(refusal),
            RepositoryAnswer::Trouble(trouble) => return PatchAnswer::Unknown(trouble),
        }
        let path = format!("/repos/{}/{from}", spec.owner);
        match self.send("rename", Method::PATCH, &path, Some(&wire::WireName { name: to.as_str() }), CHANGE).await {
            Ok(Answered { response, redactor }) => classify::patch(&response, &redactor),
            Err(trouble) => PatchAnswer::Unknown(trouble),
        }
    }

    /// `GET /repos/{owner}/{repo}` of another repository of the mirror's owner.
    pub async fn at(&self, spec: &MirrorSpec, repo: &RepoName) -> RepositoryAnswer {
        let name = format!("{}/{repo}", spec.owner);
        match self.send("get_repository", Method::GET, &format!("/repos/{name}"), None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => classify::repository(&response, &redactor, &name),
            Err(trouble) => RepositoryAnswer::Trouble(trouble),
        }
    }

    /// `GET /repos/{owner}/{repo}/commits`: whether `old` is an ancestor of `new`.
    ///
    /// `/compare` cannot be used. For unrelated histories some servers answer as for a fast-forward. For a mirror many
    /// answer nothing.
    pub async fn ancestry(&self, spec: &MirrorSpec, old: &ObjectId, new: &ObjectId) -> AncestryAnswer {
        let query = format!("sha={old}&not={new}&limit=1&stat=false&verification=false&files=false");
        let path = format!("/repos/{}/commits?{query}", spec.full_name());
        match self.send("list_commits", Method::GET, &path, None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => classify::ancestry(&response, old, &redactor),
            Err(trouble) => AncestryAnswer::Trouble(trouble),
        }
    }
}

#[cfg(test)]
mod tests;
