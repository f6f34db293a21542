//! What is held of webhooks' bodies before their signatures are known: bounded for each body, and for all of them in sum.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of one body is held at most: where a large push says which repository and refs it is of.
const MOST: usize = 64 * 1024;

/// How much of each body may be held whatever else is held: what most forges write before anything long.
const FIRST: usize = 4 * 1024;

/// How much is held of all bodies beyond that: a sender that signs nothing must not fill the memory, and must not keep
/// another from being heard.
const IN_SUM: usize = 2 * 1024 * 1024;

/// By how much a body's share grows.
const STEP: usize = 4 * 1024;

/// The memory that all bodies share.
#[derive(Debug)]
pub(in crate::api) struct Room {
    free: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self { free: AtomicUsize::new(IN_SUM) }
    }
}

impl Room {
    /// Takes a step's worth, if that is left.
    fn take(&self) -> bool {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(STEP)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The beginning of a body.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) bytes: Vec<u8>,
    /// Whether nothing was left out.
    pub(super) whole: bool,
    room: &'a Room,
    taken: usize,
}

impl<'a> Held<'a> {
    pub(super) const fn nothing_yet(room: &'a Room) -> Self {
        Self { bytes: Vec::new(), whole: true, room, taken: 0 }
    }

    /// Holds the next piece, or as much of it as there is room for; nothing that comes after a gap.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while self.whole && !piece.is_empty() {
            let here = (FIRST + self.taken - self.bytes.len()).min(piece.len());
            if here == 0 {
                self.whole = self.grow();
                continue;
            }
            // no more than is needed: a vector that doubles takes what nothing counts
            self.bytes.reserve_exact(here);
            self.bytes.extend_from_slice(&piece[..here]);
            piece = &piece[here..];
        }
    }

    fn grow(&mut self) -> bool {
        let grows = FIRST + self.taken < MOST && self.room.take();
        self.taken += if grows { STEP } else { 0 };
        grows
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_bodies_hold_less_than_four_mebibytes_and_each_its_beginning() {
        let room = Room::default();
        let piece: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        let mut bodies: Vec<_> = (0..300).map(|_| Held::nothing_yet(&room)).collect();
        for _ in 0..20 {
            for body in &mut bodies {
                body.push(&piece);
            }
        }
        let held: usize = bodies.iter().map(|body| body.bytes.capacity()).sum();
        assert!(held <= 4 * 1024 * 1024, "{held}");
        for body in &bodies {
            assert!(!body.whole && body.bytes.len() >= FIRST, "{}", body.bytes.len());
            let right = piece.iter().cycle().take(body.bytes.len());
            assert!(body.bytes.iter().eq(right), "what is held is the beginning, without a gap");
        }
        drop(bodies);
        let mut alone = Held::nothing_yet(&room);
        for _ in 0..20 {
            alone.push(&piece);
        }
        assert_eq!((alone.bytes.len(), alone.whole), (MOST, false), "all of the room is there again");
        let mut small = Held::nothing_yet(&room);
        small.push(&piece);
        assert_eq!((small.bytes.len(), small.whole), (5_000, true));
    }
}
