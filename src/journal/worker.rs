//! Who does the journal's work, which blocks: a commit waits for the disk.
//!
//! Owns the seam that tests replace, so that a process can end between any two uses of its journal. Knows nothing of
//! what the work is, and never leaves a piece half done.

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// One use of the journal. It tells its result to whoever asked for it.
pub type Piece = Box<dyn FnOnce() + Send>;

/// Does pieces of work.
pub trait Worker: fmt::Debug + Send + Sync {
    /// Does one, and comes back when it is done or has panicked.
    fn work(&self, piece: Piece) -> BoxFuture<'_, ()>;
}

/// The runtime's threads for work that blocks.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Worker for Threads {
    fn work(&self, piece: Piece) -> BoxFuture<'_, ()> {
        // a panic is told by the result that never comes
        tokio::task::spawn_blocking(piece).map(drop).boxed()
    }
}
