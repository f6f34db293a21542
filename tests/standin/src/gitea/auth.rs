//! Who is asking, and what their token may. Reads the header; what a call needs is said by its handler.

use http::{HeaderMap, StatusCode, header};

use super::Gitea;
use super::answer::Refusal;
use super::state::{Kind, Token};

/// Somebody who proved who they are.
#[derive(Clone, Debug)]
pub(super) struct Doer {
    pub(super) id: u64,
    /// The token's scopes; `None` for a password, which may everything.
    scopes: Option<Vec<String>>,
    /// The repositories that the token is limited to.
    repositories: Option<Vec<String>>,
}

impl Doer {
    /// Whether the token holds a scope, or the writing scope that includes a reading one.
    fn may(&self, scope: &str) -> bool {
        let Some(scopes) = &self.scopes else {
            return true;
        };
        let writing = scope.strip_prefix("read:").map(|area| format!("write:{area}"));
        scopes.iter().any(|held| held == "all" || held == scope || Some(held) == writing.as_ref())
    }

    /// Whether the token is limited to repositories other than this one.
    pub(super) fn is_limited_to_others(&self, full_name: &str) -> bool {
        self.repositories.as_ref().is_some_and(|names| !names.iter().any(|name| name == full_name))
    }
}

impl Gitea {
    /// Limits a token to repositories, named as `owner/name`.
    ///
    /// # Panics
    ///
    /// When there is no such token, or this server has no such limit.
    pub fn limit_token(&self, token: &str, repositories: &[&str]) {
        assert!(self.inner.profile.limits_tokens(), "{} limits no token to repositories", self.inner.profile.name());
        let names = repositories.iter().map(|&name| name.to_owned()).collect();
        self.state().tokens.get_mut(token).expect("a token of this server").repositories = Some(names);
    }

    /// Who sent these headers: somebody, nobody, or (an error) somebody with wrong credentials.
    pub(super) fn doer(&self, headers: &HeaderMap) -> Result<Option<Doer>, Refusal> {
        let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
        let found = if scheme.eq_ignore_ascii_case("basic") {
            let text = crate::upstream::authorization(headers).unwrap_or_default();
            let (name, password) = text.split_once(':').unwrap_or((text.as_str(), ""));
            self.by_password(name, password).or_else(|| self.by_token(password)).or_else(|| self.by_token(name))
        } else {
            self.by_token(rest.trim())
        };
        let wrong = || self.error(StatusCode::UNAUTHORIZED, &self.inner.profile.wrong_credentials(rest.trim()));
        found.map(Some).ok_or_else(wrong)
    }

    /// Whether somebody's password has to be checked: what is no token is taken for one.
    pub(super) fn checks_a_password(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")) {
            return false;
        }
        let text = crate::upstream::authorization(headers).unwrap_or_default();
        let (name, password) = text.split_once(':').unwrap_or((text.as_str(), ""));
        self.by_token(password).or_else(|| self.by_token(name)).is_none()
    }

    fn by_password(&self, name: &str, given: &str) -> Option<Doer> {
        let state = self.state();
        let account = state.account(name)?;
        match &account.kind {
            Kind::User { password, .. } if password == given => {
                Some(Doer { id: account.id, scopes: None, repositories: None })
            }
            Kind::User { .. } | Kind::Org { .. } => None,
        }
    }

    fn by_token(&self, token: &str) -> Option<Doer> {
        let Token { user, scopes, repositories } = self.state().tokens.get(token).cloned()?;
        Some(Doer { id: user, scopes: Some(scopes), repositories })
    }

    /// Lets pass whoever has the scope, and whoever has no token at all: that is the next check's.
    pub(super) fn scope(&self, doer: Option<&Doer>, scope: &str) -> Result<(), Refusal> {
        match doer {
            Some(doer) if !doer.may(scope) => {
                let has = doer.scopes.as_ref().map(|scopes| scopes.join(",")).unwrap_or_default();
                Err(self.forbidden(&self.inner.profile.missing_scope(scope, &has)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses whoever has not signed in.
    pub(super) fn signed_in<'a>(&self, doer: Option<&'a Doer>) -> Result<&'a Doer, Refusal> {
        doer.ok_or_else(|| self.error(StatusCode::UNAUTHORIZED, "token is required"))
    }
}
