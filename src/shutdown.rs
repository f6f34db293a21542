//! The two stages of ending: soft (begin nothing new, hand back what waits) and hard (drop what is left).
//!
//! Owns the two signals and nothing else. Who listens decides what they mean for it.

use tokio_util::sync::CancellationToken;

/// Both stages; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Nothing has been asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything to come to its end.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Ends everything now.
    pub fn force(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits until the end is asked for.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Waits until everything has to end now.
    pub async fn forced(&self) {
        self.hard.cancelled().await;
    }
}
