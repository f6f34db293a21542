//! cutover-api keeps a proven copy of an upstream git repository in a cluster's own Gitea.
//!
//! ```text
//! main → app → api → engine ─┬→ gitea ─┬→ transport
//!                            └→ git  ──┘
//! every one of them → domain, which imports nothing of ours
//! ```
#![allow(dead_code, reason = "under construction")]
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod git;
pub mod gitea;
pub mod shutdown;
pub mod telemetry;
pub mod transport;
