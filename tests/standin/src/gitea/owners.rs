//! Users and organisations: reading both, making an organisation.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gitea;
use super::answer::Refusal;
use super::auth::Doer;
use super::state::{Account, Kind};
use crate::call::Effect;
use crate::clock::rfc3339;
use crate::profile::Profile;

/// Longest name of an account.
const LONGEST_NAME: usize = 40;

/// Names that Gitea keeps for its own paths; the ones somebody might try.
const RESERVED: [&str; 14] = [
    "admin",
    "api",
    "assets",
    "attachments",
    "avatars",
    "explore",
    "ghost",
    "issues",
    "login",
    "metrics",
    "notifications",
    "org",
    "repo",
    "user",
];

#[derive(Deserialize)]
struct CreateOrg {
    #[serde(default)]
    username: String,
    #[serde(default)]
    visibility: String,
}

impl Gitea {
    pub(super) fn current_user(&self, doer: Option<&Doer>) -> Result<Response, Refusal> {
        self.scope(doer, "read:user")?;
        let id = self.signed_in(doer)?.id;
        let state = self.state();
        let account = state.account_of(id).ok_or_else(|| self.hidden_500())?;
        Ok(self.ok(&self.user(account, true)))
    }

    pub(super) fn get_user(&self, doer: Option<&Doer>, name: &str) -> Result<Response, Refusal> {
        self.scope(doer, "read:user")?;
        let state = self.state();
        match state.account(name).filter(|account| Self::visible(doer, account)) {
            Some(account) => {
                let is_self = doer.is_some_and(|doer| doer.id == account.id);
                Ok(self.ok(&self.user(account, is_self)))
            }
            // The one 404 without `errors` in every version.
            None => Err(self.error(StatusCode::NOT_FOUND, &format!("user redirect does not exist [name: {name}]"))),
        }
    }

    pub(super) fn get_org(&self, doer: Option<&Doer>, name: &str) -> Result<Response, Refusal> {
        self.scope(doer, "read:organization")?;
        let state = self.state();
        let Some(org) = state.account(name).filter(|account| account.is_org()) else {
            let error = format!("user redirect does not exist [name: {name}]");
            return Err(self.not_found_in("GetOrgByName", Some(&error)));
        };
        if !Self::visible(doer, org) {
            return Err(self.not_found_in("HasOrgOrUserVisible", None));
        }
        Ok(self.ok(&self.org(org)))
    }

    pub(super) fn create_org(&self, doer: Option<&Doer>, body: &Bytes) -> Result<Response, Refusal> {
        self.scope(doer, "write:organization")?;
        let doer = self.signed_in(doer)?;
        let wanted: CreateOrg = serde_json::from_slice(body).map_err(|error| self.unprocessable(&error.to_string()))?;
        let name = wanted.username.as_str();
        if name.is_empty() {
            return Err(self.unprocessable("[UserName]: Required"));
        }
        if !is_account_name(name) {
            return Err(self.unprocessable("[UserName]: invalid username"));
        }
        if name.len() > LONGEST_NAME {
            return Err(self.unprocessable("[UserName]: MaxSize"));
        }
        let mut state = self.state();
        let is_admin = matches!(state.account_of(doer.id).map(|a| &a.kind), Some(Kind::User { admin: true, .. }));
        if state.settings.regular_org_creation_disabled && !is_admin {
            return Err(self.forbidden(self.inner.profile.org_refused()));
        }
        if RESERVED.contains(&name.to_lowercase().as_str()) {
            return Err(self.unprocessable(&format!("name is reserved [name: {name}]")));
        }
        if state.account(name).is_some() {
            return Err(self.unprocessable(&format!("user already exists [name: {name}]")));
        }
        let kind = Kind::Org { owners: vec![doer.id], private: wanted.visibility == "private" };
        let id = state.add_account(name, kind, self.inner.clock.second());
        state.effects.push(Effect::Organisation(name.to_owned()));
        let org = state.account_of(id).ok_or_else(|| self.hidden_500())?;
        Ok(self.json(StatusCode::CREATED, &self.org(org)))
    }

    /// Whether an organisation may be seen; a user always may.
    fn visible(doer: Option<&Doer>, account: &Account) -> bool {
        match &account.kind {
            Kind::User { .. } | Kind::Org { private: false, .. } => true,
            Kind::Org { owners, .. } => doer.is_some_and(|doer| owners.contains(&doer.id)),
        }
    }

    fn avatar(&self, account: &Account) -> String {
        format!("{}/avatars/{:032x}", self.inner.root_url, account.id)
    }

    fn org(&self, org: &Account) -> Value {
        let private = matches!(org.kind, Kind::Org { private: true, .. });
        let mut value = json!({
            "id": org.id, "name": org.name, "full_name": "", "email": "", "avatar_url": self.avatar(org),
            "description": "", "website": "", "location": "", "visibility": if private { "private" } else { "public" },
            "repo_admin_change_team_access": false, "username": org.name,
        });
        if self.inner.profile == Profile::Forgejo16 {
            value["created"] = json!(rfc3339(org.created));
        }
        value
    }

    /// An account as a user: an organisation has this shape, too.
    pub(super) fn user(&self, account: &Account, is_self: bool) -> Value {
        let (is_org, is_admin) = match &account.kind {
            Kind::User { admin, .. } => (false, *admin && is_self),
            Kind::Org { .. } => (true, false),
        };
        let private = matches!(account.kind, Kind::Org { private: true, .. });
        let email = if is_org { String::new() } else { format!("{}@example.test", account.name) };
        let mut value = json!({
            "id": account.id, "login": account.name, "login_name": "", "source_id": 0, "full_name": "",
            "email": email, "avatar_url": self.avatar(account),
            "html_url": format!("{}/{}", self.inner.root_url, account.name), "language": "", "is_admin": is_admin,
            "last_login": if is_org { "0001-01-01T00:00:00Z" } else { "1970-01-01T00:00:00Z" },
            "created": rfc3339(account.created), "restricted": false, "active": !is_org, "prohibit_login": false,
            "location": "", "website": "", "description": "",
            "visibility": if private { "private" } else { "public" },
            "followers_count": 0, "following_count": 0, "starred_repos_count": 0, "username": account.name,
        });
        if self.inner.profile.is_forgejo() {
            value["pronouns"] = json!("");
        }
        value
    }
}

/// Letters, digits, `-`, `_` and `.`; none of the three at an end or beside another.
fn is_account_name(name: &str) -> bool {
    let is_mark = |c: char| matches!(c, '-' | '_' | '.');
    let mut marked = true;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() && (!is_mark(c) || marked) {
            return false;
        }
        marked = is_mark(c);
    }
    !marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_name_begins_and_ends_with_a_letter_or_digit() {
        for (name, good) in [
            ("acme", true),
            ("a-b.c", true),
            ("-x", false),
            ("x-", false),
            ("a b", false),
            ("a--b", false),
            ("", false),
        ] {
            assert_eq!(is_account_name(name), good, "{name}");
        }
    }
}
