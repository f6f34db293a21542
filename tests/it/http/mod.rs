//! The HTTP contract over real sockets: framing, limits, bad input, and the walk through the documentation.

mod bad_input;
mod connections;
mod properties;
mod reading;
pub(crate) mod stage;
pub(crate) mod walkthrough;
