//! A run that has not ended: who waits for it, and how new its proof has to be.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Accepted;
use super::deliveries::Owed;
use crate::domain::names::MirrorName;
use crate::domain::run::{End, Run};

/// How often a run is proven anew because it was asked for again after upstream had been read.
const PROVEN_ANEW: u32 = 3;

/// A run that has not ended.
pub(super) struct InFlight {
    pub(super) run: Arc<Run>,
    /// When it was asked for last: a proof must not be older.
    pub(super) asked_at: Timestamp,
    /// How often a proof was too old for it.
    pub(super) again: u32,
    /// What a webhook has told of that the proof should show.
    pub(super) owed: Option<Owed>,
    /// Told once, when it has.
    pub(super) ended: watch::Sender<Option<Arc<Run>>>,
}

impl InFlight {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self { asked_at: run.created_at, again: 0, owed: None, run, ended: watch::Sender::new(None) }
    }

    /// Whether an end of one of its mirrors is a proof from before it was asked for last. A few times it is proven
    /// anew; whoever asks without a pause would otherwise keep it from ever ending.
    pub(super) fn outlived(&self, mirror: &MirrorName, end: &End) -> bool {
        !self.is_tired()
            && self.run.part(mirror).is_some_and(|part| part.end.is_none())
            && end.evidence().is_some_and(|evidence| evidence.upstream_read_at() < self.asked_at)
    }

    /// Whether it is not proven anew any more. Who asks now is not answered by it.
    pub(super) fn is_tired(&self) -> bool {
        self.again >= PROVEN_ANEW
    }

    /// The run, for one more who asks.
    pub(super) fn given(&self) -> Accepted {
        let end = Some(self.ended.subscribe());
        Accepted { run: Arc::clone(&self.run), coalesced: true, replayed: false, end }
    }
}
