//! What is remembered of pushes that deliveries name and upstream does not show yet.
//!
//! Owns nothing but these methods of [`History`]; how long that is waited for is decided elsewhere.

use std::time::Duration;

use super::History;
use crate::domain::evidence::Seen;
use crate::domain::refs::RefList;
use crate::domain::webhook::Pushes;

/// Upstream's list is older than a push that a delivery names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// When this run has first seen that.
    pub since: Duration,
    /// When upstream was last read.
    pub read_at: Duration,
    /// How often it was read since.
    pub readings: u32,
}

impl History {
    /// Takes note of the deliveries that have come so far.
    pub fn hears_of(&mut self, known: &Pushes) {
        let mut pushes = known.clone();
        pushes.learn(&self.pushes);
        self.pushes = pushes;
        self.note_lag();
    }

    /// Takes note of both lists, as they were seen last.
    pub fn saw_both(&mut self, upstream: &Seen<&RefList>, gitea: &RefList) {
        self.pushes.read(upstream.value, upstream.at, gitea);
        self.note_lag();
    }

    fn note_lag(&mut self) {
        if self.pushes.lagging().is_none() {
            self.lag = None;
        } else {
            self.lag.get_or_insert(Lag { since: self.elapsed, read_at: self.elapsed, readings: 0 });
        }
    }

    /// Takes note that upstream was read once more.
    pub(super) fn read_again(&mut self) {
        if let Some(lag) = &mut self.lag {
            (lag.read_at, lag.readings) = (self.elapsed, lag.readings + 1);
        }
    }
}
