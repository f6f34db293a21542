//! Who may call: credentials and roles, checked before anything of a request is read.
//!
//! Owns the order: host, origin, credential, role. Holds no token: an [`Authenticator`] judges what is presented. Never logs
//! or answers with what was presented.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, ready};
use http::{HeaderMap, header};
use tower::{Layer, Service};

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
    /// The same as [`authenticate`](Self::authenticate), where that needs no waiting; `None`: it does.
    fn authenticate_at_once(&self, presented: &str) -> Option<Result<Principal, Stranger>>;

    /// Who presents this token. Comparing takes the same time for every token of ours.
    ///
    /// # Errors
    /// Why the caller is refused; no text in it holds a secret.
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Principal, Stranger>>;

    /// Whether callers can be recognised now, as far as that can be said without asking anybody else.
    ///
    /// # Errors
    /// Why they cannot be; no text in it holds a secret.
    fn ready(&self) -> Result<(), String>;
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

impl Access {
    /// Whether callers can be recognised now.
    pub(super) fn ready(&self) -> Result<(), Refusal> {
        match self {
            Self::Anonymous => Ok(()),
            Self::Tokens(authenticator) => authenticator.ready().map_err(tokens_unreadable),
        }
    }
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

/// Puts the gate before a route: a request gets through with its [`Principal`], or is refused.
#[derive(Clone)]
pub(super) struct Gate {
    edge: Arc<Edge>,
    needs: Needs,
}

/// A route behind its gate. A service of our own and no `from_fn`: every request comes through here, and most are let
/// through at once, for which nothing has to be copied.
#[derive(Clone)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Gate,
}

type Answer = Result<Response, Infallible>;

/// The route's own answer, or one that takes more than that.
type Answering<F> = Either<F, BoxFuture<'static, Answer>>;

impl Gate {
    pub(super) const fn new(edge: Arc<Edge>, needs: Needs) -> Self {
        Self { edge, needs }
    }

    /// Has the route answer whoever was recognised, if the role covers it.
    fn let_through<S>(
        &self,
        role: Role,
        known: Result<Principal, Refusal>,
        mut request: Request,
        inner: &mut S,
    ) -> Answering<S::Future>
    where
        S: Service<Request, Response = Response, Error = Infallible>,
        S::Future: Send + 'static,
    {
        let principal = match known {
            Ok(principal) => principal,
            Err(refusal) => {
                // who presents nothing does not guess, nor does one whom Kubernetes knows or about whom nobody could say
                let presents = request.headers().contains_key(header::AUTHORIZATION);
                let guesses = presents && refusal.code() == Code::Unauthenticated;
                return said(if guesses { slowed_down(&self.edge, peer(&request), refusal) } else { refusal });
            }
        };
        if !principal.role.covers(role) {
            self.edge.metrics.auth_failure(AuthFailure::Forbidden);
            let detail = format!("this call needs the role {role}; this caller's is {}", principal.role);
            let mut response = Refusal::new(Code::Forbidden, detail).into_response();
            response.extensions_mut().insert(principal);
            return said(response);
        }
        if request.method().is_safe() {
            request.extensions_mut().insert(principal);
            return Either::Left(inner.call(request));
        }
        request.extensions_mut().insert(principal.clone());
        let answering = inner.call(request);
        Either::Right(Box::pin(async move {
            let mut response = answering.await?;
            // for the audit line, which the outermost layer writes
            response.extensions_mut().insert(principal);
            Ok(response)
        }))
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone() }
    }
}

impl<S> Service<Request> for Gated<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let edge = &self.gate.edge;
        let anonymous = matches!(edge.access, Access::Anonymous);
        if let Err(refusal) = edge.names.check(anonymous, &request) {
            return said(refusal);
        }
        let role = match self.gate.needs {
            Needs::Nothing => return Either::Left(self.inner.call(request)),
            Needs::Signature => {
                let (edge, peer) = (Arc::clone(edge), peer(&request));
                let answering = self.inner.call(request);
                return Either::Right(Box::pin(async move { Ok(signed(&edge, peer, answering.await?)) }));
            }
            Needs::Role(role) => role,
        };
        if let Some(known) = recognise_at_once(edge, request.headers()) {
            return self.gate.let_through(role, known, request, &mut self.inner);
        }
        // the one that is ready is the one to be called
        let next = self.inner.clone();
        let (mut inner, gate) = (std::mem::replace(&mut self.inner, next), self.gate.clone());
        Either::Right(Box::pin(async move {
            let known = recognise(&gate.edge, request.headers()).await;
            gate.let_through(role, known, request, &mut inner).await
        }))
    }
}

/// An answer that no route was asked for.
fn said<F>(answer: impl IntoResponse) -> Answering<F> {
    Either::Right(ready(Ok(answer.into_response())).boxed())
}

/// A route that judges a signature says in its answer's extensions why it refused one.
fn signed(edge: &Edge, peer: Option<Peer>, response: Response) -> Response {
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

/// Who asks, where that can be told without asking anybody else; `None`: it cannot.
fn recognise_at_once(edge: &Edge, headers: &HeaderMap) -> Option<Result<Principal, Refusal>> {
    let authenticator = match &edge.access {
        Access::Anonymous => {
            return Some(Ok(Principal { name: "anonymous".to_owned(), role: Role::Operator }));
        }
        Access::Tokens(authenticator) => authenticator,
    };
    let Some(presented) = bearer(headers) else {
        let missing = !headers.contains_key(header::AUTHORIZATION);
        edge.metrics.auth_failure(if missing { AuthFailure::Missing } else { AuthFailure::Invalid });
        return Some(Err(Refusal::unauthenticated()));
    };
    let known = authenticator.authenticate_at_once(presented)?;
    Some(known.map_err(|stranger| refused(edge, stranger)))
}

/// Who asks, however long it takes to find out.
async fn recognise(edge: &Edge, headers: &HeaderMap) -> Result<Principal, Refusal> {
    if let (Access::Tokens(authenticator), Some(presented)) = (&edge.access, bearer(headers)) {
        return authenticator.authenticate(presented).await.map_err(|stranger| refused(edge, stranger));
    }
    Err(Refusal::unauthenticated())
}

/// Counts a stranger, and says what is said to one.
fn refused(edge: &Edge, stranger: Stranger) -> Refusal {
    let (reason, refusal) = match stranger {
        Stranger::Unknown => (AuthFailure::Invalid, Refusal::unauthenticated()),
        Stranger::Unreadable(why) => (AuthFailure::Unavailable, tokens_unreadable(why)),
        Stranger::NotListed { name } => {
            let detail = format!("Kubernetes knows this caller as {name}, and no list of this service has that name");
            (AuthFailure::Forbidden, Refusal::new(Code::Forbidden, detail))
        }
        Stranger::NotAsked { code, why } => {
            let detail = "nobody could say whose token this is; the service's log has the cause, under this request id";
            (AuthFailure::Unavailable, Refusal::new(code, detail).with_inside(why))
        }
    };
    edge.metrics.auth_failure(reason);
    refusal
}

fn tokens_unreadable(why: String) -> Refusal {
    let detail = "the tokens file cannot be read; cutover-api's log has the cause, under this request id";
    Refusal::new(Code::TokensUnreadable, detail).with_inside(why)
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
