//! Ids that sort by age: by the clock that people see, and by their order within one of its milliseconds.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::{ContextV7, Uuid};

use crate::domain::run::RunId;

/// Gives out ids, each above the one before, also when the clock is set back.
#[derive(Debug, Default)]
pub(super) struct Ids {
    context: Mutex<ContextV7>,
}

impl Ids {
    /// Ids above `latest`, which an earlier process may have given out.
    pub(super) fn above(latest: Option<RunId>) -> Self {
        let ids = Self::default();
        if let Some(latest) = latest.and_then(|latest| latest.0.get_timestamp()) {
            let (seconds, nanos) = latest.to_unix();
            // the millisecond after it: within the same one, the counter may begin below
            let after = Timestamp::new(i64::try_from(seconds).unwrap_or(i64::MAX), 0)
                .map(|second| second + jiff::SignedDuration::from_nanos(i64::from(nanos) + 1_000_000));
            if let Ok(after) = after {
                ids.next(after);
            }
        }
        ids
    }

    /// The next.
    pub(super) fn next(&self, now: Timestamp) -> RunId {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        RunId(Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_over_a_clock_that_is_set_back_and_over_a_restart() {
        let at = |millisecond: i64| Timestamp::from_millisecond(1_800_000_000_000 + millisecond).unwrap();
        let mut latest = None;
        for _ in 0..20 {
            let ids = Ids::above(latest);
            for now in [at(5), at(5), at(5), at(9), at(0), at(9)] {
                let next = ids.next(now);
                assert!(latest < Some(next), "{latest:?} {next}");
                assert_eq!(next.0.get_version_num(), 7);
                latest = Some(next);
            }
        }
    }
}
