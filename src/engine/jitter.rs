//! Spreads pauses at random, so that many who wait for the same thing do not come back at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Between half of `pause` and all of it. The standard library's hash keys are random enough to spread a crowd.
pub(super) fn spread(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1_000;
    let per_mille = 500 + u32::try_from(random / 2).unwrap_or(0);
    pause * per_mille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_spread_over_its_upper_half() {
        let pause = Duration::from_secs(8);
        let pauses: Vec<_> = (0..200).map(|_| spread(pause)).collect();
        assert!(pauses.iter().all(|one| (pause / 2..=pause).contains(one)));
        assert!(pauses.iter().any(|one| one != &pauses[0]));
    }
}
