//! Tests that need more than one crate: the service, the stand-in Gitea, real git.

mod contract;
mod fidelity;
mod layers;
mod main_job;
mod outages;
mod runs;
mod world;
