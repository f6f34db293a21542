//! What `POST /repos/migrate` checks before it makes anything, in Gitea's order. A refusal here leaves
//! nothing behind.

use std::net::{IpAddr, ToSocketAddrs};

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::state::Account;
use crate::git::blocking;

/// Longest name of a repository.
const LONGEST_NAME: usize = 100;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    clone_addr: String,
    #[serde(default)]
    repo_owner: String,
    #[serde(default)]
    uid: u64,
    #[serde(default)]
    repo_name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    mirror: bool,
    #[serde(default)]
    mirror_interval: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    auth_username: String,
    #[serde(default)]
    auth_password: String,
    #[serde(default)]
    auth_token: String,
}

/// A migration that may begin.
pub(super) struct Plan {
    pub(super) owner: Account,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) mirror: bool,
    pub(super) interval: String,
    pub(super) private: bool,
    /// The address with its credential, for git.
    pub(super) address: Url,
    /// The address without it, for everyone else.
    pub(super) original_url: String,
}

impl Gitea {
    pub(super) async fn plan(&self, doer: Option<&Doer>, body: &Bytes) -> Result<Plan, Refusal> {
        self.scope(doer, "write:repository")?;
        let doer = self.signed_in(doer)?;
        let wanted: Wanted = serde_json::from_slice(body).map_err(|error| self.unprocessable(&error.to_string()))?;
        self.bind(&wanted)?;
        let owner = self.target(doer, &wanted)?;
        let (address, original_url) = self.address(&wanted)?;
        self.host_is_allowed(&address).await?;
        let settings = self.state().settings.clone();
        if wanted.mirror && (settings.new_pull_disabled || settings.mirror_feature_off) {
            return Err(self.forbidden("the site administrator has disabled the creation of new pull mirrors"));
        }
        if settings.migrations_disabled {
            return Err(self.forbidden("the site administrator has disabled migrations"));
        }
        self.name_is_free(&owner, &wanted.repo_name, wanted.mirror)?;
        Ok(Plan {
            owner,
            name: wanted.repo_name,
            description: wanted.description,
            mirror: wanted.mirror,
            interval: wanted.mirror_interval,
            private: wanted.private || settings.force_private,
            address,
            original_url,
        })
    }

    fn bind(&self, wanted: &Wanted) -> Result<(), Refusal> {
        if wanted.clone_addr.is_empty() {
            return Err(self.unprocessable("[CloneAddr]: Required"));
        }
        let name = wanted.repo_name.as_str();
        let problem = if name.is_empty() {
            "[RepoName]: Required"
        } else if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            "[RepoName]: AlphaDashDot"
        } else if name.chars().count() > LONGEST_NAME {
            "[RepoName]: MaxSize"
        } else {
            return Ok(());
        };
        Err(self.unprocessable(problem))
    }

    /// Whose the repository shall be, and whether the caller may say so.
    fn target(&self, doer: &Doer, wanted: &Wanted) -> Result<Account, Refusal> {
        let state = self.state();
        let found = match (wanted.repo_owner.as_str(), wanted.uid) {
            ("", 0) => state.account_of(doer.id),
            ("", uid) => state.account_of(uid),
            (name, _) => state.account(name),
        };
        let Some(owner) = found.cloned() else {
            return Err(self.unprocessable(&self.inner.profile.no_such_user(wanted.uid, &wanted.repo_owner)));
        };
        if state.settings.quota_exceeded && self.inner.profile.has_quota() {
            let body = json!({ "message": "quota exceeded", "user_id": owner.id, "username": owner.name });
            return Err(Refusal::from(self.json(StatusCode::PAYLOAD_TOO_LARGE, &body)));
        }
        match (owner.is_org(), state.owns(doer.id, owner.id)) {
            (_, true) => Ok(owner),
            (false, false) => Err(self.forbidden("Given user is not an organization.")),
            (true, false) => Err(self.forbidden("Given user is not owner of organization.")),
        }
    }

    /// The address to clone, with and without its credential.
    fn address(&self, wanted: &Wanted) -> Result<(Url, String), Refusal> {
        let text = wanted.clone_addr.trim();
        if text.starts_with('/') || text.starts_with("file://") {
            return Err(self.unprocessable("You are not allowed to import local repositories."));
        }
        let profile = self.inner.profile;
        let parsed = Url::parse(text).ok().filter(Url::has_host);
        let Some(mut url) = parsed else {
            return Err(self.unprocessable(&profile.url_refused(text)));
        };
        if !matches!(url.scheme(), "http" | "https" | "git") {
            return Err(self.unprocessable(&profile.protocol_refused(url.host_str().unwrap_or_default())));
        }
        let has_userinfo = !url.username().is_empty() || url.password().is_some();
        if has_userinfo && !profile.takes_userinfo() {
            return Err(self.unprocessable("The URL contains credentials."));
        }
        let mut clean = url.clone();
        // Neither can fail: the address has a host.
        let _ = clean.set_username("");
        let _ = clean.set_password(None);
        if !wanted.auth_token.is_empty() {
            let _ = url.set_username("oauth2");
            let _ = url.set_password(Some(&wanted.auth_token));
        } else if !wanted.auth_username.is_empty() {
            // A password without a user is ignored.
            let _ = url.set_username(&wanted.auth_username);
            let _ = url.set_password(Some(&wanted.auth_password));
        }
        // Printing it anew would drop a port that is the scheme's own; Go keeps it.
        let original = if has_userinfo { clean.to_string() } else { text.to_owned() };
        Ok((url, original))
    }

    /// The allow list. A host that does not resolve counts as disallowed.
    pub(super) async fn host_is_allowed(&self, address: &Url) -> Result<(), Refusal> {
        let (local_allowed, blocked) = {
            let state = self.state();
            (state.settings.allow_local_networks, state.settings.blocked_hosts.clone())
        };
        let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_blocked = blocked.iter().any(|name| name.eq_ignore_ascii_case(&host));
        let addresses = if is_blocked { Vec::new() } else { resolve(host).await };
        let allowed = !addresses.is_empty() && (local_allowed || !addresses.iter().all(is_local));
        if allowed { Ok(()) } else { Err(self.unprocessable("You can not import from disallowed hosts.")) }
    }

    /// Whether a repository of this name can be made: limit, name, row, leftover files.
    pub(super) fn name_is_free(&self, owner: &Account, name: &str, is_mirror: bool) -> Result<(), Refusal> {
        {
            let state = self.state();
            let held = state.repositories.iter().filter(|r| r.owner == owner.id).count();
            if let Some(limit) = state.settings.creation_limit.filter(|limit| held >= *limit) {
                let text = format!("You have already reached your limit of {limit} repositories.");
                return Err(self.unprocessable(&text));
            }
        }
        self.name_is_allowed(name, true)?;
        if self.state().repository(&owner.name, name).is_some() {
            return Err(self.error(StatusCode::CONFLICT, "The repository with the same name already exists."));
        }
        let folder = self.git_dir_of(&owner.name, name);
        if self.inner.store.exists(&folder) {
            if !is_mirror || self.inner.profile.minds_leftover_files() {
                let text = "Files already exist for this repository. Adopt them or delete them.";
                return Err(self.error(StatusCode::CONFLICT, text));
            }
            self.inner.store.remove(&folder);
        }
        Ok(())
    }

    /// The names that Gitea keeps. On making a repository its texts speak of a username.
    pub(super) fn name_is_allowed(&self, name: &str, on_create: bool) -> Result<(), Refusal> {
        let pattern = ["*.git", "*.wiki", "*.rss", "*.atom"].into_iter().find(|p| name.ends_with(&p[1..]));
        let text = match (name, pattern) {
            ("." | "..", _) => self.inner.profile.dots_refused(name),
            ("-", _) if on_create => "The username '-' is reserved.".to_owned(),
            ("-", _) => "name is reserved [name: -]".to_owned(),
            (_, Some(pattern)) if on_create => {
                format!("The pattern '{pattern}' is not allowed in a username.")
            }
            (_, Some(pattern)) => format!("name pattern is not allowed [pattern: {pattern}]"),
            (_, None) => return Ok(()),
        };
        Err(self.unprocessable(&text))
    }
}

async fn resolve(host: String) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    // Never resolve by definition (RFC 6761); asking would only cost time.
    if host == "invalid" || host.ends_with(".invalid") {
        return Vec::new();
    }
    let found = blocking(move || Ok((host.as_str(), 80).to_socket_addrs()?.map(|a| a.ip()).collect())).await;
    found.unwrap_or_default()
}

fn is_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
