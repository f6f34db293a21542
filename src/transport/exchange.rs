//! The requests that read one list of refs, and the limits that hold for all of them together.
//!
//! Owns time: how long a reading may take, and how long an answer that has begun may be silent. Never looks into a body.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::time::{Instant, timeout_at};

use super::{Call, Pieces, Transport};
use crate::domain::answer::{Trouble, TroubleKind};
use crate::domain::refs::ListLimits;

/// How long an answer that has begun may be silent. Before it begins a server may be at work on the list, and says
/// nothing: then only the limit on the whole counts.
const SILENCE: Duration = Duration::from_secs(10);

/// A reading that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    limits: ListLimits,
    deadline: Instant,
}

impl Exchange {
    /// One that begins now.
    #[must_use]
    pub fn begin(limits: ListLimits) -> Self {
        Self { limits, deadline: Instant::now() + limits.time }
    }

    /// How many bytes of memory the list may take.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limits.bytes
    }

    /// How long a call may take whose body is held to the limits of the reading.
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.limits.time
    }

    /// The head of an answer, and its body as it arrives.
    ///
    /// # Errors
    /// No head of an answer before the reading's deadline.
    pub async fn send(&self, transport: &dyn Transport, call: Call) -> Result<Response<Pieces>, Trouble> {
        let answer = timeout_at(self.deadline, transport.stream(call)).await;
        Ok(answer.map_err(|_| self.too_slow())??.map(|pieces| self.in_time(pieces)))
    }

    /// A body that ends in trouble when it is silent for too long, or not all there in time.
    fn in_time(self, pieces: Pieces) -> Pieces {
        let next = move |pieces: Option<Pieces>| async move {
            let mut pieces = pieces?;
            let silent = Instant::now() + SILENCE;
            match timeout_at(silent.min(self.deadline), pieces.next()).await {
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
                Ok(end) => end.map(|trouble| (trouble, None)),
                Err(_) if self.deadline <= silent => Some((Err(self.too_slow()), None)),
                Err(_) => {
                    let detail = format!("nothing more of the list came within {} s", SILENCE.as_secs());
                    Some((Err(Trouble::maybe_sent(TroubleKind::Timeout, detail)), None))
                }
            }
        };
        stream::unfold(Some(pieces), next).boxed()
    }

    fn too_slow(&self) -> Trouble {
        let detail = format!("no whole list of refs within {} s", self.limits.time.as_secs());
        Trouble::maybe_sent(TroubleKind::Timeout, detail)
    }
}
