//! Pauses between attempts.
//!
//! Owns their lengths. Never adds jitter: this module is pure, so its callers do.

use std::time::Duration;

/// The longest pause between two attempts, and therefore the longest time until a recovered dependency is noticed.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Pause before attempt `count + 1`: half a second, doubling, at most [`LONGEST`].
#[must_use]
pub fn exponential(count: u32) -> Duration {
    let doublings = count.saturating_sub(1).min(10);
    (Duration::from_millis(500) * 2_u32.pow(doublings)).min(LONGEST)
}

/// Pause while polling something that has taken `since`: a tenth of that, within bounds.
///
/// A quick result is noticed quickly, and a slow one is not polled often.
#[must_use]
pub fn polling(since: Duration, shortest: Duration, longest: Duration) -> Duration {
    (since / 10).clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_thirty_seconds() {
        let pauses: Vec<u128> = (1..=9).map(|count| exponential(count).as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(exponential(u32::MAX), LONGEST);
    }

    #[test]
    fn polling_slows_down_with_what_it_polls_for() {
        let pause = |since| polling(Duration::from_secs(since), Duration::from_secs(2), Duration::from_secs(10));
        assert_eq!(
            (pause(0), pause(50), pause(900)),
            (Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10))
        );
    }
}
