//! The beginnings of webhooks' bodies, kept until their signatures are known: bounded for each body, and for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of one body is kept at most: there a large push names its repository and refs.
const MOST: usize = 64 * 1024;

/// How much of each body is kept in any case: most forges name these before anything long.
const FIRST: usize = 4 * 1024;

/// How much of all bodies is kept beyond that: a sender without a signature must not fill the memory, and must not keep
/// out another.
const IN_SUM: usize = 2 * 1024 * 1024;

/// The step in which a body's share grows.
const STEP: usize = 4 * 1024;

/// The memory that all bodies share.
#[derive(Debug)]
pub(in crate::api) struct SharedMemory {
    free: AtomicUsize,
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self { free: AtomicUsize::new(IN_SUM) }
    }
}

impl SharedMemory {
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
pub(super) struct Prefix<'a> {
    pub(super) bytes: Vec<u8>,
    /// Whether nothing was left out.
    pub(super) whole: bool,
    memory: &'a SharedMemory,
    taken: usize,
}

impl<'a> Prefix<'a> {
    pub(super) const fn new(memory: &'a SharedMemory) -> Self {
        Self { bytes: Vec::new(), whole: true, memory, taken: 0 }
    }

    /// Keeps the next piece, or as much of it as there is memory for; nothing that comes after a gap.
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
        let grows = FIRST + self.taken < MOST && self.memory.take();
        self.taken += if grows { STEP } else { 0 };
        grows
    }
}

impl Drop for Prefix<'_> {
    fn drop(&mut self) {
        self.memory.give_back(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_bodies_hold_less_than_four_mebibytes_and_each_its_beginning() {
        let room = SharedMemory::default();
        let piece: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        let mut bodies: Vec<_> = (0..300).map(|_| Prefix::new(&room)).collect();
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
        let mut alone = Prefix::new(&room);
        for _ in 0..20 {
            alone.push(&piece);
        }
        assert_eq!((alone.bytes.len(), alone.whole), (MOST, false), "all of the room is there again");
        let mut small = Prefix::new(&room);
        small.push(&piece);
        assert_eq!((small.bytes.len(), small.whole), (5_000, true));
    }
}
