//! Counters of event streams.
//!
//! Owns the guard that counts a stream as long as it is open, and how it ended.

use std::sync::Arc;

use super::Metrics;
use crate::domain::event::Kind;

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// Its reader has gone.
    Client,
    /// Its reader did not keep up.
    Lagged,
    /// The service is ending.
    Shutdown,
    /// The run that it followed has ended.
    Ended,
}

impl Disconnect {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Lagged => "lagged",
            Self::Shutdown => "shutdown",
            Self::Ended => "ended",
        }
    }
}

/// An open stream. Dropped without another reason, its reader has gone.
#[derive(Debug)]
pub struct OpenStream {
    metrics: Arc<Metrics>,
    /// Why it is over.
    pub over: Disconnect,
}

impl Metrics {
    /// A stream has been opened.
    #[must_use]
    pub fn stream_opened(self: &Arc<Self>) -> OpenStream {
        self.sse_connections.inc();
        OpenStream { metrics: Arc::clone(self), over: Disconnect::Client }
    }

    /// An event was sent.
    pub fn event_told(&self, kind: Kind) {
        self.sse_events.with_label_values(&[kind.label()]).inc();
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.metrics.sse_connections.dec();
        self.metrics.sse_disconnects.with_label_values(&[self.over.label()]).inc();
    }
}
