//! Wall time. Owns the one place that reads it, so that a test can set it; durations are tokio's business.

use std::fmt;

use jiff::Timestamp;

/// Tells the wall time: for what people read. Nothing waits for it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
