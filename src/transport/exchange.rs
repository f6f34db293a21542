//! The requests that read one list of refs, under one deadline.
//!
//! Owns the deadline of a reading, and how long an answer that has begun may be silent. Never parses a body.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::time::{Instant, timeout_at};

use super::{Call, Pieces, Transport};
use crate::domain::answer::{Trouble, TroubleKind};
use crate::domain::refs::ListLimits;

/// Longest silence of an answer that has begun.
///
/// Before that, a server may be computing the list, so only the deadline counts.
const SILENCE: Duration = Duration::from_secs(10);

/// A reading in progress.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    limits: ListLimits,
    deadline: Instant,
}

impl Exchange {
    /// Begins a reading now.
    #[must_use]
    pub fn begin(limits: ListLimits) -> Self {
        Self { limits, deadline: Instant::now() + limits.time }
    }

    /// Bytes of memory that the list may use.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limits.bytes
    }

    /// Time limit for a call of this reading.
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.limits.time
    }

    /// Sends a call, and returns the head of the answer and its body as it arrives.
    ///
    /// # Errors
    /// No head of an answer before the reading's deadline.
    pub async fn send(&self, transport: &dyn Transport, call: Call) -> Result<Response<Pieces>, Trouble> {
        let answer = timeout_at(self.deadline, transport.stream(call)).await;
        Ok(answer.map_err(|_| self.too_slow())??.map(|pieces| self.in_time(pieces)))
    }

    /// Fails a body that is silent for too long or does not end before the deadline.
    fn in_time(self, pieces: Pieces) -> Pieces {
        let next = move |pieces: Option<Pieces>| async move {
            let mut pieces = pieces?;
            let silent = Instant::now() + SILENCE;
            match timeout_at(silent.min(self.deadline), pieces.next()).await {
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
                Ok(end) => end.map(|trouble| (trouble, None)),
                Err(_) if self.deadline <= silent => Some((Err(self.too_slow()), None)),
                Err(_) => {
                    let detail = format!("the list of refs did not continue within {} s", SILENCE.as_secs());
                    Some((Err(Trouble::maybe_sent(TroubleKind::Timeout, detail)), None))
                }
            }
        };
        stream::unfold(Some(pieces), next).boxed()
    }

    fn too_slow(&self) -> Trouble {
        let detail = format!("no complete list of refs within {} s", self.limits.time.as_secs());
        Trouble::maybe_sent(TroubleKind::Timeout, detail)
    }
}
