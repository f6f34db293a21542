//! The HTTP contract over real sockets: framing, limits, bad input, and the commands of `docs/api.md`.

mod bad_input;
mod connections;
mod properties;
mod responses;
pub(crate) mod stage;
pub(crate) mod walkthrough;
