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
mod events;
mod hooks;
mod modes;
mod origin;
mod paging;
mod problem;
mod representation;
mod runs;
mod service;
mod spec;
mod status;
mod wire;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::metrics::Metrics;
use edge::Edge;

pub use access::{Access, Authenticator};
pub use attempts::Peer;
pub use events::Streams;
pub use hooks::{Hook, Hooks};
pub use origin::Names;
pub use problem::problem_page;
pub use spec::openapi;

/// What the API works with: one for all requests, since every layer of every request takes a copy of the handle.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

/// What is behind the handle.
pub struct Inner {
    /// Takes the commands.
    engine: Engine,
    /// Who is let in.
    access: Access,
    /// Under which names, and from which pages.
    names: Names,
    /// What upstream's webhooks are held to, by mirror.
    hooks: Hooks,
    /// The memory that webhooks' bodies share.
    hook_room: hooks::Room,
    /// Counts, and is scraped.
    metrics: Arc<Metrics>,
    /// Tells how old a proof is.
    clock: Arc<dyn Clock>,
    /// How many streams of events there may be.
    streams: Streams,
}

impl ApiState {
    /// Everything, with nothing answered yet.
    #[must_use]
    pub fn new(
        engine: Engine,
        access: Access,
        names: Names,
        hooks: Hooks,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        streams: Streams,
    ) -> Self {
        let hook_room = hooks::Room::default();
        Self(Arc::new(Inner { engine, access, names, hooks, hook_room, metrics, clock, streams }))
    }
}

impl Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
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
