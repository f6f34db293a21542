//! Spreads pauses, so that many who wait for the same thing do not come back at once.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

/// Between `least` and `most`. `salt` is what tells those who wait apart: who, and at which nanosecond. The
/// same salt spreads alike, so that a test on a clock of its own can be played again.
pub(super) fn spread(least: Duration, most: Duration, salt: impl Hash) -> Duration {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    let per_mille = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
    least + most.saturating_sub(least) * per_mille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_spread_between_its_bounds() {
        let (least, most) = (Duration::from_secs(4), Duration::from_secs(8));
        let pauses: Vec<_> = (0..200).map(|salt| spread(least, most, ("one", salt))).collect();
        assert!(pauses.iter().all(|one| (least..=most).contains(one)));
        assert!(pauses.iter().any(|one| one != &pauses[0]));
        assert_eq!(spread(least, most, ("one", 1)), pauses[1]);
        assert_eq!(spread(most, most, "one"), most);
    }
}
