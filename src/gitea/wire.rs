//! The JSON that cutover-api exchanges with Gitea. Only the members that it reads or writes; never used outside this
//! module.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::answer::Repository;
use crate::domain::duration::GoDuration;

/// `Repository`, without the members that cutover-api does not read.
#[derive(Debug, Deserialize)]
pub(super) struct WireRepository {
    id: u64,
    pub(super) full_name: String,
    mirror: bool,
    #[serde(default)]
    mirror_interval: String,
    mirror_updated: Timestamp,
    mirror_last_sync_at: Option<Timestamp>,
    #[serde(default)]
    original_url: String,
    #[serde(default)]
    default_branch: String,
    created_at: Timestamp,
    #[serde(default)]
    archived: bool,
}

impl WireRepository {
    /// Converts it; `None` for an interval that Gitea never prints.
    pub(super) fn read(self) -> Option<Repository> {
        let interval = match self.mirror_interval.as_str() {
            "" => None,
            text => Some(GoDuration::parse(text).ok()?),
        };
        Some(Repository {
            id: self.id,
            mirror: self.mirror,
            interval,
            mirror_updated: self.mirror_updated,
            last_sync: self.mirror_last_sync_at,
            original_url: self.original_url,
            default_branch: self.default_branch,
            created_at: self.created_at,
            archived: self.archived,
        })
    }
}

/// Whether Gitea reports the repository as not empty.
///
/// Gitea may report this later than the data arrives, so `false` proves nothing.
pub(super) fn is_filled(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Content {
        empty: bool,
    }
    serde_json::from_slice::<Content>(body).is_ok_and(|content| !content.empty)
}

/// `Organization` or `User`, reduced to what identifies it as one.
#[derive(Debug, Deserialize)]
pub(super) struct WireOwner {
    pub(super) id: u64,
}

/// An error of the API. Only administrators get the message of a 500.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireError {
    #[serde(default)]
    pub(super) message: String,
    /// Address of the API's description. Every error of Gitea has it, and hardly any other server's.
    pub(super) url: Option<String>,
}

/// Answer to `GET /version`.
#[derive(Debug, Deserialize)]
pub(super) struct WireVersion {
    pub(super) version: String,
}

/// Body of `POST /orgs`.
#[derive(Debug, Serialize)]
pub(super) struct WireCreateOrganisation<'a> {
    pub(super) username: &'a str,
    pub(super) visibility: &'static str,
}

/// Body of `POST /repos/migrate`: the members that the platform's Job sent, and the credential's own members.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "Gitea's API has them")]
pub(super) struct WireMigrate<'a> {
    pub(super) clone_addr: &'a str,
    pub(super) repo_owner: &'a str,
    pub(super) repo_name: &'a str,
    pub(super) service: &'static str,
    pub(super) mirror: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mirror_interval: Option<String>,
    pub(super) private: bool,
    pub(super) wiki: bool,
    pub(super) issues: bool,
    pub(super) pull_requests: bool,
    pub(super) labels: bool,
    pub(super) milestones: bool,
    pub(super) releases: bool,
    pub(super) lfs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_password: Option<&'a str>,
}

/// Body of a `PATCH` of interval and pruning. Gitea 1.20 and 1.21 read `enable_prune` only together with an interval.
#[derive(Debug, Serialize)]
pub(super) struct WireSettings {
    pub(super) mirror_interval: String,
    pub(super) enable_prune: bool,
}

/// Body of a `PATCH` of the default branch.
#[derive(Debug, Serialize)]
pub(super) struct WireDefaultBranch<'a> {
    pub(super) default_branch: &'a str,
}

/// Body of a `PATCH` of the name.
#[derive(Debug, Serialize)]
pub(super) struct WireName<'a> {
    pub(super) name: &'a str,
}

/// One ref of `/git/refs`.
#[derive(Debug, Deserialize)]
pub(super) struct WireRef {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) object: WireObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireObject {
    pub(super) sha: String,
}

/// One commit of `/commits`.
#[derive(Debug, Deserialize)]
pub(super) struct WireCommit {
    pub(super) sha: String,
}
