//! Spreads pauses, so that many who wait for the same thing do not come back at once.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

/// Between half of `pause` and all of it. `salt` is what tells those who wait apart: who, and at which nanosecond. The
/// same salt spreads alike, so that a test on a clock of its own can be played again.
pub(super) fn spread(pause: Duration, salt: impl Hash) -> Duration {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    let per_mille = 500 + u32::try_from(hasher.finish() % 500).unwrap_or(0);
    pause * per_mille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_spread_over_its_upper_half() {
        let pause = Duration::from_secs(8);
        let pauses: Vec<_> = (0..200).map(|salt| spread(pause, ("one", salt))).collect();
        assert!(pauses.iter().all(|one| (pause / 2..=pause).contains(one)));
        assert!(pauses.iter().any(|one| one != &pauses[0]));
        assert_eq!(spread(pause, ("one", 1)), pauses[1]);
    }
}
