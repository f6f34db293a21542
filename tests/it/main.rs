//! Tests that need more than one crate: the service, the stand-in Gitea, real git.

mod fidelity;
