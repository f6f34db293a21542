//! The HTTP API: routes, wire types, access, problems and their specification.
//!
//! Owns everything that a caller of ours sees. A handler does no work: it sends a command to the engine and answers,
//! because its future ends with its caller's connection. No upstream address ever comes in here: mirrors are
//! configuration. Called by `app`, which owns the listener.

mod access;
mod asking;
mod attempts;
mod audit;
mod body;
mod docs;
mod edge;
mod hooks;
mod origin;
mod problem;
mod representation;
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
use edge::Edge;

pub use access::{Access, Authenticator};
pub use attempts::Peer;
pub use hooks::{Hook, Hooks};
pub use origin::Names;
pub use problem::problem_page;
pub use spec::openapi;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// Takes the commands.
    pub engine: Engine,
    /// Who is let in.
    pub access: Access,
    /// Under which names, and from which pages.
    pub names: Names,
    /// What upstream's webhooks are held to, by mirror.
    pub hooks: Arc<Hooks>,
    /// Counts, and is scraped.
    pub metrics: Arc<Metrics>,
    /// Tells how old a proof is.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// Every route of the service, ready to be served.
pub fn router(state: ApiState) -> Router {
    let edge = Arc::new(Edge::new(state.access.clone(), state.names.clone(), Arc::clone(&state.metrics)));
    let (routes, specification) = spec::routes(&edge).split_for_parts();
    edge::around(routes, edge, spec::methods(&specification)).with_state(state)
}
