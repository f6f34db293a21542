//! Who a caller is: the credential of a request, and who judges it.
//!
//! Owns how a bearer token is read. Holds no token: an [`Authenticator`] judges what is presented. Never logs or answers
//! with what was presented.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderMap, header};

use super::error::ApiError;
use crate::domain::access::{Principal, Role, Stranger};
use crate::domain::problem::Code;
use crate::metrics::AuthFailure;

/// The longest token that is judged; none that is known comes near it.
const LONGEST_TOKEN: usize = 4_096;

/// Judges what a caller presents.
pub trait Authenticator: Send + Sync {
    /// The owner of this token. Comparing takes the same time for every token of the tokens file.
    ///
    /// # Errors
    /// Why the caller is refused; no text in it holds a secret.
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Principal, Stranger>>;

    /// Whether callers can be recognised now, as far as that can be said without a request to another service.
    ///
    /// # Errors
    /// Why they cannot be; no text in it holds a secret.
    fn ready(&self) -> Result<(), String>;
}

/// How callers are authenticated.
#[derive(Clone)]
pub enum Access {
    /// Every caller is an operator named `anonymous`. Only the host names that are configured, `localhost` and IP literals
    /// are served then, since a page in a browser can make any other name resolve to this service.
    Anonymous,
    /// By a bearer token.
    Tokens(Arc<dyn Authenticator>),
}

impl Access {
    /// Whether callers can be recognised now.
    pub(super) fn ready(&self) -> Result<(), ApiError> {
        match self {
            Self::Anonymous => Ok(()),
            Self::Tokens(authenticator) => authenticator.ready().map_err(tokens_unreadable),
        }
    }

    /// The caller of a request with these headers, or how its refusal counts and what the caller gets.
    pub(super) async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, (AuthFailure, ApiError)> {
        let Self::Tokens(authenticator) = self else {
            return Ok(Principal { name: "anonymous".to_owned(), role: Role::Operator });
        };
        let Some(presented) = bearer(headers) else {
            let missing = !headers.contains_key(header::AUTHORIZATION);
            let failure = if missing { AuthFailure::Missing } else { AuthFailure::Invalid };
            return Err((failure, ApiError::unauthenticated()));
        };
        authenticator.authenticate(presented).await.map_err(refused)
    }
}

fn refused(stranger: Stranger) -> (AuthFailure, ApiError) {
    match stranger {
        Stranger::Unknown => (AuthFailure::Invalid, ApiError::unauthenticated()),
        Stranger::Unreadable(cause) => (AuthFailure::Unavailable, tokens_unreadable(cause)),
        Stranger::NotListed { name } => {
            let detail = format!("Kubernetes knows this caller as {name}, and no list of this service has that name");
            (AuthFailure::Forbidden, ApiError::new(Code::Forbidden, detail))
        }
        Stranger::NotAsked { code, why } => {
            let detail = "the owner of this token could not be looked up; the service's log has the cause, under this request id";
            (AuthFailure::Unavailable, ApiError::new(code, detail).with_cause(why))
        }
    }
}

fn tokens_unreadable(cause: String) -> ApiError {
    let detail = "the tokens file cannot be read; cutover-api's log has the cause, under this request id";
    ApiError::new(Code::TokensUnreadable, detail).with_cause(cause)
}

/// The one bearer token of a request, if it has exactly one and nothing else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let sound = !token.is_empty() && token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && sound).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn only_one_whole_bearer_token_is_one() {
        let long = format!("Bearer {}", "x".repeat(8_192));
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["Bearer abc"], Some("abc")),
            (&["bearer abc"], Some("abc")),
            (&["Bearer   abc"], Some("abc")),
            (&[], None),
            (&[""], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Bearer a b"], None),
            (&["Bearer a\tb"], None),
            (&["Bearer tökén"], None),
            (&["Basic YTpi"], None),
            (&["abc"], None),
            (&["Bearer a", "Bearer a"], None),
            (&[&long], None),
        ];
        for (values, expected) in cases {
            assert_eq!(bearer(&headers(&header::AUTHORIZATION, values)), *expected, "{values:?}");
        }
    }
}
