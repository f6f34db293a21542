//! A stand-in Gitea and a faulty upstream, for cutover-api's tests and its demo.
//!
//! [`Gitea`] is an axum application that answers the calls cutover-api makes as six real servers were
//! seen to answer them ([`Profile`]), traps included. [`Upstream`] is a git server whose answers can be
//! made wrong. Both hold real bare repositories, made and served by the `git` program, so that what a
//! fetch does to a mirror is git's own doing and no model of it; or, made by [`Gitea::in_memory`] and
//! [`Upstream::in_memory`], refs in memory and no child process, for stories by the thousand.
//!
//! Both work over a socket on real time, and in process (`router()`) on tokio's paused time:
//!
//! * every delay is a [`tokio::time::sleep`], the wall clock is a base plus tokio's elapsed time;
//! * every git child runs inside [`tokio::task::spawn_blocking`], which keeps a paused clock from
//!   advancing while the child works. So the stand-in never makes a test wait in virtual time for git;
//! * Gitea's git children need a TCP port of upstream: [`Upstream::serve_in_background`] gives one from
//!   a thread with a clock of its own.
//!
//! A broken connection cannot be seen inside one process. An answer that stands for one carries the
//! extension [`Cut`] and a body that fails with [`BrokenBody`]: over the socket nothing at all is sent,
//! and an in-process transport maps the extension, or the body's error, to a cut connection.
//!
//! This crate must never be part of the release binary, and must never be told apart from a real
//! server by the code under test.

mod call;
mod clock;
pub mod duration;
mod fault;
mod git;
mod gitea;
mod profile;
mod refs;
mod repeating;
mod serve;
mod store;
mod upstream;

pub use call::{Call, Done, Effect};
pub use fault::{BrokenBody, CallKind, Cut, Fault, Unreached};
pub use gitea::{Gitea, Options, Settings, View};
pub use profile::Profile;
pub use refs::Refs;
pub use serve::Served;
pub use upstream::{Reader, Upstream, UpstreamFault};
