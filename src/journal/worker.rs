//! Worker for the journal's uses, which block because a commit waits for the disk.
//!
//! Owns the seam where tests end a process between two uses of its journal. Knows nothing of the work, and never leaves
//! a piece half done.

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// One use of the journal, which sends its result to its caller.
pub type Piece = Box<dyn FnOnce() + Send>;

/// Worker that runs pieces.
pub trait Worker: fmt::Debug + Send + Sync {
    /// Runs a piece; returns when it is done or has panicked.
    fn work(&self, piece: Piece) -> BoxFuture<'_, ()>;
}

/// The runtime's threads for blocking work.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Worker for Threads {
    fn work(&self, piece: Piece) -> BoxFuture<'_, ()> {
        // The caller notices a panic by its missing result.
        tokio::task::spawn_blocking(piece).map(drop).boxed()
    }
}
