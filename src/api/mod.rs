//! The HTTP API: routes, wire types, access, problems and their specification.
//!
//! Owns everything that a caller of ours sees. A handler does no work: it sends a command to the engine and answers,
//! because its future ends with its caller's connection. No upstream address ever comes in here: mirrors are
//! configuration. Called by `app`, which owns the listener.

mod access;
mod audit;
mod body;
mod edge;
mod problem;
mod runs;
mod service;
mod spec;
mod status;
mod wire;

use std::fmt;
use std::sync::Arc;

use axum::Router;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use edge::Edge;

pub use access::{Access, Authenticator};
pub use spec::openapi;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    engine: Engine,
    access: Access,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

impl ApiState {
    /// `engine` takes the commands; `access` says who is let in, and without authentication host names are checked;
    /// `metrics` are counted into and scraped; `clock` tells how old a proof is; once `shutdown` has begun, the service
    /// is not ready any more.
    #[must_use]
    pub fn new(
        engine: Engine,
        access: Access,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Self {
        Self { engine, access, metrics, clock, shutdown }
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// Every route of the service, ready to be served.
pub fn router(state: ApiState) -> Router {
    let edge = Arc::new(Edge { access: state.access.clone(), metrics: Arc::clone(&state.metrics) });
    let (routes, _) = spec::routes(&edge).split_for_parts();
    edge::around(routes, edge).with_state(state)
}
