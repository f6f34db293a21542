//! The HTTP API: routes, wire types, access, problems and their specification.
//!
//! Owns everything that a caller sees. A handler does no work: its future ends with its caller's connection, so it sends a
//! command to the engine and answers. No upstream address ever comes in here: mirrors are configuration. Called by `app`,
//! which owns the listener.

mod access;
mod attempts;
mod audit;
mod body;
mod compression;
mod docs;
mod error;
mod etag;
mod events;
mod gate;
mod headers;
mod hooks;
mod middleware;
mod modes;
mod origin;
mod page;
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
use gate::Gate;

pub use access::{Access, Authenticator};
pub use attempts::Peer;
pub use error::problem_page;
pub use events::Streams;
pub use hooks::{Hook, Hooks};
pub use origin::OriginPolicy;
pub use spec::openapi;

/// What the handlers work with; a handle that is cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

/// What is behind the handle.
pub struct Inner {
    engine: Engine,
    gate: Arc<Gate>,
    /// The webhooks of each mirror, by name.
    hooks: Hooks,
    /// The memory that bodies of webhooks share.
    hook_memory: hooks::SharedMemory,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// How many streams of events there may be.
    streams: Streams,
    /// Makes the OpenAPI specification.
    specification: fn() -> String,
}

impl ApiState {
    /// The state of a service that has answered nothing yet.
    #[must_use]
    pub fn new(
        engine: Engine,
        access: Access,
        origins: OriginPolicy,
        hooks: Hooks,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        streams: Streams,
    ) -> Self {
        let gate = Arc::new(Gate::new(access, origins, Arc::clone(&metrics)));
        let hook_memory = hooks::SharedMemory::default();
        let specification = spec::openapi;
        Self(Arc::new(Inner { engine, gate, hooks, hook_memory, metrics, clock, streams, specification }))
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
    let gate = Arc::clone(&state.gate);
    let (routes, specification) = spec::routes(&gate).split_for_parts();
    middleware::around(routes, gate, spec::methods(&specification)).with_state(state)
}
