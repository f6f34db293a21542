//! pkt-lines, git's framing: four hexadecimal digits of length (which count themselves), then the data.
//!
//! Owns the reading of a body as it arrives. Holds at most one packet and the latest piece. Never allocates for a
//! length that has not arrived. Keeps the beginning of the body, from which callers describe a body that is not git's.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::domain::answer::Trouble;
use crate::transport::Pieces;

/// The longest packet: git's `LARGE_PACKET_MAX`.
const LONGEST: usize = 65_520;

/// Bytes of the body's beginning that are kept.
pub(super) const BEGINNING: usize = 4_096;

/// A pkt-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Data, without the line feed that may end it.
    Data(Bytes),
    /// `0000`: end of a message.
    Flush,
    /// `0001`: end of a section.
    Delimiter,
}

/// Reason why there is no next packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PacketError {
    /// The bytes are not a packet.
    NotPackets,
    /// The body ended within a packet.
    Cut,
    /// Reading the body failed.
    Trouble(Trouble),
}

/// Packets of a body.
pub(super) struct Packets {
    pieces: Pieces,
    /// Rest of the latest piece.
    piece: Bytes,
    beginning: Vec<u8>,
    taken: bool,
}

impl Packets {
    /// Creates a reader of this body.
    pub(super) fn of(pieces: Pieces) -> Self {
        // `beginning` reads past the end of a short body, which a stream allows only when fused.
        Self { pieces: pieces.fuse().boxed(), piece: Bytes::new(), beginning: Vec::new(), taken: false }
    }

    /// Reads the next packet; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Packet>, PacketError> {
        let digits = self.take(4).await?;
        if digits.is_empty() {
            return Ok(None);
        }
        let cut = if self.taken { PacketError::Cut } else { PacketError::NotPackets };
        if digits.len() < 4 {
            return Err(cut);
        }
        let length = std::str::from_utf8(&digits)
            .ok()
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or(PacketError::NotPackets)?;
        let packet = match length {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            4..=LONGEST => {
                let mut data = self.take(length - 4).await?;
                if data.len() < length - 4 {
                    return Err(cut);
                }
                if data.ends_with(b"\n") {
                    data.truncate(data.len() - 1);
                }
                Packet::Data(data)
            }
            _ => return Err(PacketError::NotPackets),
        };
        self.taken = true;
        Ok(Some(packet))
    }

    /// Whether the body has ended.
    pub(super) async fn have_ended(&mut self) -> Result<bool, Trouble> {
        Ok(self.piece.is_empty() && !self.refill().await?)
    }

    /// Whether no byte has arrived.
    pub(super) const fn are_empty(&self) -> bool {
        self.beginning.is_empty()
    }

    /// The first bytes of the body, up to [`BEGINNING`]; of a shorter body all. Read errors count as its end.
    pub(super) async fn beginning(&mut self) -> &[u8] {
        while self.beginning.len() < BEGINNING && self.refill().await.unwrap_or(false) {}
        &self.beginning
    }

    /// Takes `count` bytes; fewer at the end of the body.
    async fn take(&mut self, count: usize) -> Result<Bytes, PacketError> {
        if self.piece.len() >= count {
            return Ok(self.piece.split_to(count));
        }
        let mut joined = BytesMut::new();
        while joined.len() < count {
            if self.piece.is_empty() && !self.refill().await.map_err(PacketError::Trouble)? {
                break;
            }
            joined.extend_from_slice(&self.piece.split_to(self.piece.len().min(count - joined.len())));
        }
        Ok(joined.freeze())
    }

    /// Reads the next piece that is not empty; `false` at the end of the body.
    async fn refill(&mut self) -> Result<bool, Trouble> {
        while let Some(piece) = self.pieces.next().await {
            self.piece = piece?;
            let room = BEGINNING - self.beginning.len();
            self.beginning.extend_from_slice(&self.piece[..self.piece.len().min(room)]);
            if !self.piece.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Frames one line of a request.
pub(super) fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

#[cfg(test)]
pub(super) mod tests {
    use std::future::Future;

    use futures_util::{FutureExt as _, stream};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::answer::TroubleKind;

    /// A body that arrives in pieces of `each` bytes.
    pub(in crate::git) fn body(bytes: &[u8], each: usize) -> Packets {
        let pieces: Vec<_> = bytes.chunks(each).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Packets::of(stream::iter(pieces).boxed())
    }

    /// The result of a future that is ready.
    pub(in crate::git) fn at_once<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("nothing is waited for")
    }

    fn all(bytes: &[u8], each: usize) -> Result<Vec<Packet>, PacketError> {
        let mut packets = body(bytes, each);
        let mut seen = Vec::new();
        while let Some(packet) = at_once(packets.next())? {
            seen.push(packet);
        }
        Ok(seen)
    }

    fn data(text: &'static str) -> Packet {
        Packet::Data(Bytes::from(text))
    }

    #[test]
    fn packets_are_taken_one_by_one_however_they_arrive() {
        let bytes = b"000ahello\n0001000bworld!!0000";
        for each in 1..=bytes.len() {
            let seen = all(bytes, each).unwrap();
            assert_eq!(seen, [data("hello"), Packet::Delimiter, data("world!!"), Packet::Flush], "pieces of {each}");
        }
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for text in ["0002", "0003", "000", "zzzz", "+00a", "0010short", "fff1x", "<!DOCTYPE html>"] {
            assert_eq!(all(text.as_bytes(), 3), Err(PacketError::NotPackets), "{text}");
        }
        for text in ["0005a000", "0005a0010short"] {
            assert_eq!(all(text.as_bytes(), 3), Err(PacketError::Cut), "{text}");
        }
    }

    #[test]
    fn no_more_than_one_packet_is_held_beside_the_latest_piece() {
        let long = format!("{:04x}{}", LONGEST, "x".repeat(LONGEST - 4));
        let pieces = long.as_bytes().chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let for_ever = stream::iter(pieces.collect::<Vec<_>>()).chain(stream::pending()).boxed();
        let mut packets = Packets::of(for_ever);
        assert!(matches!(at_once(packets.next()), Ok(Some(Packet::Data(data))) if data.len() == LONGEST - 4));
        assert!(packets.beginning.len() <= BEGINNING && packets.piece.len() <= 1_000);
    }

    #[test]
    fn a_read_error_is_reported_and_is_not_the_end() {
        let trouble = Trouble::maybe_sent(TroubleKind::Cut, "x");
        let pieces = [Ok(Bytes::from_static(b"0000")), Err(trouble.clone())];
        let mut packets = Packets::of(stream::iter(pieces).boxed());
        assert_eq!(at_once(packets.next()), Ok(Some(Packet::Flush)));
        assert_eq!(at_once(packets.have_ended()), Err(trouble));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), each in 1_usize..20
        ) {
            if let Ok(packets) = all(&bytes, each) {
                prop_assert!(packets.len() <= 50);
            }
        }

        #[test]
        fn a_framed_line_is_read_back(text in "[ -~]{0,80}", each in 1_usize..20) {
            let framed = line(&text);
            prop_assert_eq!(all(framed.as_bytes(), each), Ok(vec![Packet::Data(Bytes::from(text))]));
        }
    }
}
