//! The stand-in against itself: in process on paused time, and over a socket. What real servers answered
//! is compared elsewhere, with their transcripts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod behaviour;
mod settings;
mod stage;
mod stores;
