//! The two stages of shutdown: soft (start nothing new, hand back what waits) and hard (drop the rest).
//!
//! Owns the two signals. Never decides what they mean; each listener does.

use tokio_util::sync::CancellationToken;

/// Signals of both stages; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Creates signals that are not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the soft stage.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Requests the hard stage.
    pub fn force(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether a shutdown was requested.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits for the soft stage.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Waits for the hard stage.
    pub async fn forced(&self) {
        self.hard.cancelled().await;
    }
}
