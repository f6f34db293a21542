//! Who may call: credentials and roles, checked before anything of a request is read.
//!
//! Owns the order: host, origin, credential, role. Holds no token: an [`Authenticator`] judges what is presented. Never logs
//! or answers with what was presented.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};

use super::attempts::Peer;
use super::edge::Edge;
use super::problem::Refusal;
use crate::domain::access::{Principal, Role, Stranger};
use crate::domain::problem::Code;
use crate::metrics::AuthFailure;

/// No token that we know of comes near this length.
const LONGEST_TOKEN: usize = 4_096;

/// Judges what a caller presents.
pub trait Authenticator: Send + Sync {
    /// Who presents this token. Comparing takes the same time for every token of ours.
    ///
    /// # Errors
    /// Why the caller is refused; no text in it holds a secret.
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Principal, Stranger>>;
}

/// Who is let in.
#[derive(Clone)]
pub enum Access {
    /// Everybody, as an operator named `anonymous`. Of host names only IP literals, `localhost` and those that are
    /// configured are served then, since a name can be made to point here by a page in somebody's browser.
    Anonymous,
    /// Whoever presents a token.
    Tokens(Arc<dyn Authenticator>),
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A signature, which the route judges: it covers the body.
    Signature,
    /// A principal with at least this role.
    Role(Role),
}

/// Lets a request through to its route, with its [`Principal`], or refuses it.
pub(super) async fn gate(
    State((edge, needs)): State<(Arc<Edge>, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    let anonymous = matches!(edge.access, Access::Anonymous);
    if let Err(refusal) = edge.names.check(anonymous, &request) {
        return refusal.into_response();
    }
    let role = match needs {
        Needs::Nothing => return next.run(request).await,
        Needs::Signature => return signed(&edge, request, next).await,
        Needs::Role(role) => role,
    };
    let principal = match identify(&edge, request.headers()).await {
        Ok(principal) => principal,
        Err(refusal) => {
            // whoever presents nothing does not guess, nor does one whom Kubernetes knows or could not be asked about
            let presents = request.headers().contains_key(header::AUTHORIZATION);
            let guesses = presents && refusal.code() == Code::Unauthenticated;
            return if guesses { slowed_down(&edge, peer(&request), refusal) } else { refusal }.into_response();
        }
    };
    let mut response = if principal.role.covers(role) {
        request.extensions_mut().insert(principal.clone());
        next.run(request).await
    } else {
        edge.metrics.auth_failure(AuthFailure::Forbidden);
        let detail = format!("this call needs the role {role}; this caller's is {}", principal.role);
        Refusal::new(Code::Forbidden, detail).into_response()
    };
    // for the audit line, which the outermost layer writes
    response.extensions_mut().insert(principal);
    response
}

/// A route that judges a signature says in its answer's extensions why it refused one.
async fn signed(edge: &Edge, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let response = next.run(request).await;
    let Some(reason) = response.extensions().get::<AuthFailure>().copied() else { return response };
    edge.metrics.auth_failure(reason);
    match response.extensions().get::<Refusal>() {
        Some(refusal) if reason == AuthFailure::Invalid => slowed_down(edge, peer, refusal.clone()).into_response(),
        _ => response,
    }
}

/// Who is at the other end; `None`: the request came over no network.
fn peer(request: &Request) -> Option<Peer> {
    request.extensions().get().copied()
}

/// The same refusal, until its peer has had too many of them.
fn slowed_down(edge: &Edge, peer: Option<Peer>, refusal: Refusal) -> Refusal {
    let Some(Peer(peer)) = peer else { return refusal };
    match edge.attempts.failed(peer) {
        Ok(()) => refusal,
        Err(seconds) => Refusal::rate_limited(seconds),
    }
}

async fn identify(edge: &Edge, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let authenticator = match &edge.access {
        Access::Anonymous => return Ok(Principal { name: "anonymous".to_owned(), role: Role::Operator }),
        Access::Tokens(authenticator) => authenticator,
    };
    let refuse = |reason| {
        edge.metrics.auth_failure(reason);
        Refusal::unauthenticated()
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(refuse(AuthFailure::Missing));
    }
    let presented = bearer(headers).ok_or_else(|| refuse(AuthFailure::Invalid))?;
    match authenticator.authenticate(presented).await {
        Ok(principal) => Ok(principal),
        Err(Stranger::Unknown) => Err(refuse(AuthFailure::Invalid)),
        Err(Stranger::Unreadable(why)) => {
            tracing::error!(error = %why, "No caller can be let in: the tokens cannot be read");
            Err(refuse(AuthFailure::Unavailable))
        }
        Err(Stranger::NotListed { name }) => {
            edge.metrics.auth_failure(AuthFailure::Forbidden);
            let detail = format!("Kubernetes knows this caller as {name}, and no list of this service has that name");
            Err(Refusal::new(Code::Forbidden, detail))
        }
        Err(Stranger::NotAsked { code, why }) => {
            edge.metrics.auth_failure(AuthFailure::Unavailable);
            let detail = "nobody could say whose token this is; the service's log has the cause, under this request id";
            Err(Refusal::new(code, detail).with_inside(why))
        }
    }
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
