//! Wall time. Owns the one place that reads it, so that a test can set it; durations are tokio's business.

use std::fmt;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

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
        // milliseconds: nobody reads more of a time, and every one of ours is read by people
        let now = Timestamp::now();
        let whole = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
        now.round(whole).unwrap_or(now)
    }
}
