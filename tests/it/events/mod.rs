//! Event streams: their content, resumption, limits and end.

mod content;
mod limits;
mod resumption;
mod sockets;

use crate::world::Heard;

/// The kinds of events, one after the other.
fn kinds(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(Heard::kind).collect()
}

/// Demands that ids rise; a snapshot has that of the newest event that it knows of, which may have been told.
#[track_caller]
fn assert_rising(heard: &[Heard]) {
    let rises = |two: &[Heard]| two[0].id() < two[1].id() || two[1].kind() == "snapshot" && two[0].id() == two[1].id();
    assert!(heard.windows(2).all(rises), "{:?}", heard.iter().map(Heard::id).collect::<Vec<_>>());
}
