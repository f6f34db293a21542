//! Wall time.
//!
//! Owns the one place that reads it, so that a test can set it. Never measures durations; tokio's clock does.

use std::fmt;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// Source of wall time for timestamps that people read. Nothing waits for it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        // Milliseconds are enough for people, who are the only readers.
        let now = Timestamp::now();
        let whole = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
        now.round(whole).unwrap_or(now)
    }
}
