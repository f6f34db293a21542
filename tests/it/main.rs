//! Tests that need more than one crate: the service, the stand-in Gitea, real git.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has nothing better to say than where it was")]
#![expect(clippy::format_push_string, reason = "configurations are written piece by piece")]

mod access;
mod asking;
mod chart;
mod conflicts;
mod console;
mod contract;
mod crashed_runs;
mod damaged_journal;
mod dry_runs;
mod early_reads;
mod events;
mod fidelity;
mod freshness;
mod full_disk;
mod generated;
mod guard;
mod hooks;
mod http;
mod interrupted_renames;
mod kubernetes;
mod left_aside;
mod main_job;
mod memory;
mod modes;
mod monitoring;
mod mutants;
mod not_ours;
mod notifications;
mod outages;
mod pages;
mod patience;
mod process;
mod proxies;
mod runs;
mod simulation;
mod sources;
mod start;
mod state_directory;
mod taking_out;
mod tls;
mod told;
mod unknown_outcomes;
mod upstream_answers;
mod world;
