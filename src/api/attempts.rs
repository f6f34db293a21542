//! How often an address may present a bad credential.
//!
//! Owns the limit on bad credentials; a call without any is no attempt. A caller with a good token is never limited: behind
//! an ingress all callers have one address, and a limit on all of them would be a way to lock out the operator. The limit
//! bounds the work and the log lines that guessing costs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Who is at the other end of the connection; the listener leaves it in a request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Failures in a row that are answered as such.
const BURST: u32 = 10;

/// How long until one more is: ten a minute.
const ONE_MORE: Duration = Duration::from_secs(6);

/// Peers that are remembered; beyond that the one that is nearest to being forgotten is.
const PEERS: usize = 1_024;

/// The failures of every peer.
///
/// Kept for each peer is the moment at which all its failures will be forgotten: each moves it on by [`ONE_MORE`].
#[derive(Debug, Default)]
pub(super) struct Attempts {
    forgiven_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Attempts {
    /// One more failure; as an error, in how many seconds the next will be answered as such.
    pub(super) fn failed(&self, peer: IpAddr) -> Result<(), u32> {
        let (peer, now) = (network(peer), Instant::now());
        let mut peers = self.forgiven_at.lock().expect("no code panics while holding this lock");
        let until = peers.get(&peer).copied().filter(|until| *until > now).unwrap_or(now) + ONE_MORE;
        let over = (until - now).saturating_sub(ONE_MORE * BURST);
        if !over.is_zero() {
            return Err(u32::try_from(over.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX));
        }
        if peers.len() >= PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, until| *until > now);
            let first = peers.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            if let (Some(first), true) = (first, peers.len() >= PEERS) {
                peers.remove(&first);
            }
        }
        peers.insert(peer, until);
        Ok(())
    }
}

/// What one holder has: an IPv4 address, or an IPv6 network of 64 bits.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_are_answered_and_then_one_every_six_seconds() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            assert_eq!(attempts.failed(ip("10.0.0.1")), Ok(()));
        }
        assert_eq!(attempts.failed(ip("10.0.0.1")), Err(6));
        assert_eq!(attempts.failed(ip("::ffff:10.0.0.1")), Err(6));
        assert_eq!(attempts.failed(ip("10.0.0.2")), Ok(()));
        tokio::time::advance(Duration::from_millis(3_500)).await;
        assert_eq!(attempts.failed(ip("10.0.0.1")), Err(3));
        tokio::time::advance(Duration::from_millis(2_500)).await;
        assert_eq!(attempts.failed(ip("10.0.0.1")), Ok(()));
        assert_eq!(attempts.failed(ip("10.0.0.1")), Err(6));
        tokio::time::advance(Duration::from_mins(1)).await;
        for _ in 0..10 {
            assert_eq!(attempts.failed(ip("10.0.0.1")), Ok(()));
        }
        assert_eq!(attempts.failed(ip("10.0.0.1")), Err(6));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_holder_count_together_and_no_number_of_them_fills_the_memory() {
        let attempts = Attempts::default();
        for n in 0..10_u16 {
            assert_eq!(attempts.failed(ip(&format!("2001:db8::{n:x}"))), Ok(()));
        }
        assert_eq!(attempts.failed(ip("2001:db8::ffff")), Err(6));
        assert_eq!(attempts.failed(ip("2001:db8:0:1::1")), Ok(()));
        for n in 0..5_000_u32 {
            let _ = attempts.failed(IpAddr::V4(n.into()));
        }
        assert_eq!(attempts.forgiven_at.lock().unwrap().len(), PEERS);
        assert_eq!(attempts.failed(ip("2001:db8::1")), Err(6), "a peer that guesses is not the first to be forgotten");
    }
}
