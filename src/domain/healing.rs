//! When a mirror that is behind gets a run that nobody has asked for.
//!
//! Owns the rule: after it was seen behind for long enough, once, and then less and less often for as long as that
//! does not help. Starts nothing and reads no clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::status::Behind;

/// The longest pause between two such runs, unless a mirror's own measure is longer.
const LONGEST: Duration = Duration::from_hours(24);

/// What was tried for a mirror since it was last proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healing {
    /// How many runs were begun.
    pub runs: u32,
    /// When the latest was.
    pub begun_at: Timestamp,
    /// When the next one may be.
    pub not_before: Timestamp,
}

impl Healing {
    /// One more run is begun, where `after` is how long a mirror may be behind. The pause after it is twice that, and
    /// doubles with each.
    #[must_use]
    pub fn begun(before: Option<&Self>, after: Duration, now: Timestamp) -> Self {
        let runs = before.map_or(0, |before| before.runs).saturating_add(1);
        let pause = after.saturating_mul(2_u32.saturating_pow(runs)).min(LONGEST.max(after));
        Self { runs, begun_at: now, not_before: later(now, pause) }
    }

    /// A run has ended in what asking again does not mend: only a person can, and who does so asks for a run.
    #[must_use]
    pub fn in_vain(self, after: Duration, now: Timestamp) -> Self {
        Self { not_before: self.not_before.max(later(now, LONGEST.max(after))), ..self }
    }
}

/// Whether a run is due for a mirror that is behind.
#[must_use]
pub fn is_due(behind: &Behind, healing: Option<&Healing>, after: Duration, now: Timestamp) -> bool {
    let long_enough = length(behind.since, now).is_some_and(|behind| behind >= after);
    let rested = healing.is_none_or(|healing| {
        let left = length(now, healing.not_before);
        // a pause that is longer than any was written by a clock that has been set back since
        left.is_none_or(|left| left.is_zero() || left > LONGEST.max(after))
    });
    long_enough && rested
}

/// From one moment to a later one; `None`: it is earlier.
fn length(from: Timestamp, to: Timestamp) -> Option<Duration> {
    Duration::try_from(to.duration_since(from)).ok()
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_mins(20);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + minute * 60).unwrap()
    }

    fn behind() -> Behind {
        Behind { since: at(0), refs: 1, ..Behind::default() }
    }

    #[test]
    fn the_first_run_is_due_after_the_whole_time_and_the_next_ones_less_and_less_often() {
        let mut healing: Option<Healing> = None;
        let mut due = Vec::new();
        for minute in -5..5_000 {
            if is_due(&behind(), healing.as_ref(), AFTER, at(minute)) {
                due.push(minute);
                healing = Some(Healing::begun(healing.as_ref(), AFTER, at(minute)));
            }
        }
        assert_eq!(due, [20, 60, 140, 300, 620, 1_260, 2_540, 3_980], "the last pause is a day");
    }

    #[test]
    fn what_asking_again_does_not_mend_is_tried_again_after_a_day() {
        let healing = Healing::begun(None, AFTER, at(20)).in_vain(AFTER, at(21));
        assert!(!is_due(&behind(), Some(&healing), AFTER, at(24 * 60)));
        assert!(is_due(&behind(), Some(&healing), AFTER, at(21 + 24 * 60)));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting_for_years() {
        let years = 10 * 365 * 24 * 60;
        let healing = Healing::begun(None, AFTER, at(years));
        assert!(is_due(&behind(), Some(&healing), AFTER, at(30)));
        assert!(!is_due(&Behind { since: at(years), ..behind() }, None, AFTER, at(30)), "it is not behind for long");
        let forever = Healing::begun(None, Duration::MAX, Timestamp::MAX);
        assert_eq!(forever.not_before, Timestamp::MAX);
    }

    #[test]
    fn a_mirror_that_may_be_behind_for_weeks_is_not_healed_daily() {
        let weeks = Duration::from_hours(24 * 21);
        let healing = Healing::begun(None, weeks, at(0));
        assert_eq!(length(at(0), healing.not_before), Some(weeks));
    }
}
