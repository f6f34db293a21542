//! The gate before each route: host, origin, credential, role, in this order, before anything else of a request is read.
//!
//! Owns what a route needs of its caller, and how often an address may fail. Knows no route.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap};

use super::access::Access;
use super::attempts::{Attempts, Peer};
use super::error::ApiError;
use super::origin::OriginPolicy;
use crate::domain::access::{Principal, Role};
use crate::domain::problem::Code;
use crate::metrics::{AuthFailure, Metrics};

/// What every gate works with.
pub(super) struct Gate {
    pub(super) access: Access,
    pub(super) origins: OriginPolicy,
    pub(super) metrics: Arc<Metrics>,
    attempts: Attempts,
}

/// What a route needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A signature, which the route judges: it covers the body.
    Signature,
    /// A principal with at least this role.
    Role(Role),
}

/// The middleware of a route: a request passes with its [`Principal`], or is refused.
pub(super) async fn pass(
    State((gate, needs)): State<(Arc<Gate>, Needs)>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    gate.check_site(&request)?;
    let role = match needs {
        Needs::Nothing => return Ok(next.run(request).await),
        Needs::Signature => {
            let peer = peer(&request);
            return Ok(gate.signed(peer, next.run(request).await));
        }
        Needs::Role(role) => role,
    };
    let principal = gate.recognise(request.headers(), peer(&request)).await?;
    // the response gets the principal too, for the audit line
    if !principal.role.covers(role) {
        gate.metrics.auth_failure(AuthFailure::Forbidden);
        let detail = format!("this call needs the role {role}; this caller's is {}", principal.role);
        return Ok((Extension(principal), ApiError::new(Code::Forbidden, detail)).into_response());
    }
    request.extensions_mut().insert(principal.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(principal);
    Ok(response)
}

impl Gate {
    pub(super) fn new(access: Access, origins: OriginPolicy, metrics: Arc<Metrics>) -> Self {
        Self { access, origins, metrics, attempts: Attempts::default() }
    }

    /// Whether the request is for a host name that is served, and from a page that may send it.
    pub(super) fn check_site(&self, request: &Request) -> Result<(), ApiError> {
        self.origins.check(matches!(self.access, Access::Anonymous), request)
    }

    async fn recognise(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<Principal, ApiError> {
        self.access.authenticate(headers).await.map_err(|(failure, error)| {
            self.metrics.auth_failure(failure);
            // a call without a credential is no guess, nor is one of a caller whom Kubernetes knows or could not judge
            let presents = headers.contains_key(header::AUTHORIZATION);
            let guesses = presents && error.code() == Code::Unauthenticated;
            if guesses { self.rate_limited(peer, error) } else { error }
        })
    }

    /// A route that judges a signature leaves the reason for its refusal in the response's extensions.
    fn signed(&self, peer: Option<Peer>, response: Response) -> Response {
        let Some(failure) = response.extensions().get::<AuthFailure>().copied() else { return response };
        self.metrics.auth_failure(failure);
        match response.extensions().get::<ApiError>() {
            Some(error) if failure == AuthFailure::Invalid => self.rate_limited(peer, error.clone()).into_response(),
            _ => response,
        }
    }

    /// The same error, until its address has had too many of them.
    fn rate_limited(&self, peer: Option<Peer>, error: ApiError) -> ApiError {
        let Some(Peer(address)) = peer else { return error };
        match self.attempts.failed(address) {
            Ok(()) => error,
            Err(seconds) => ApiError::rate_limited(seconds),
        }
    }
}

/// The other end of the connection; `None`: the request came over no network.
fn peer(request: &Request) -> Option<Peer> {
    request.extensions().get().copied()
}
