//! One reading's requests over the network, and the limits that hold for all of them.
//!
//! Owns time: how long a reading may take, and how long an answer that has begun may be silent.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::time::{Instant, timeout_at};

use super::pkt::Packets;
use crate::domain::answer::{Trouble, TroubleKind};
use crate::transport::{Call, Pieces, Transport};

/// How long an answer that has begun may be silent. Before it begins a server may be at work on the list, and says
/// nothing: then only the limit on the whole counts.
const SILENCE: Duration = Duration::from_secs(10);

/// The limits of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long all requests together may take, to the last byte of the list.
    pub time: Duration,
    /// How many bytes of memory the list may take.
    pub bytes: usize,
}

/// A reading that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    limits: Limits,
    deadline: Instant,
}

impl Exchange {
    /// One that begins now.
    pub(super) fn begin(limits: Limits) -> Self {
        Self { limits, deadline: Instant::now() + limits.time }
    }

    /// How many bytes of memory the list may take.
    pub(super) const fn room(&self) -> usize {
        self.limits.bytes
    }

    /// How long a call may take whose body is held to the limits of the reading.
    pub(super) const fn time(&self) -> Duration {
        self.limits.time
    }

    /// The head of an answer, and its body as it arrives.
    pub(super) async fn send(&self, transport: &dyn Transport, call: Call) -> Result<(Response<()>, Packets), Trouble> {
        let answer = timeout_at(self.deadline, transport.stream(call)).await;
        let (head, pieces) = answer.map_err(|_| self.too_slow())??.into_parts();
        Ok((Response::from_parts(head, ()), Packets::of(self.in_time(pieces))))
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

/// An answer that is not read as a list: its head, and as much of its body as it takes to say what it is.
pub(super) async fn with_beginning(answer: Response<()>, mut packets: Packets) -> Response<Bytes> {
    let body = Bytes::copy_from_slice(packets.beginning().await);
    answer.map(|()| body)
}
