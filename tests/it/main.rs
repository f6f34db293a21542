//! Tests that need more than one crate: the service, the stand-in Gitea, real git.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has nothing better to say than where it was")]
#![expect(clippy::format_push_string, reason = "configurations are written piece by piece")]

mod access;
mod backoff;
mod call_sequence;
mod cancellation;
mod chart;
mod conflicts;
mod console;
mod crashed_runs;
mod damaged_journal;
mod dry_runs;
mod early_reads;
mod events;
mod fidelity;
mod foreign_clones;
mod freshness;
mod full_disk;
mod generated;
mod gitea_refusals;
mod gitea_versions;
mod hooks;
mod http;
mod interrupted_renames;
mod kubernetes;
mod legacy_backups;
mod memory;
mod modes;
mod monitoring;
mod mutants;
mod notifications;
mod outages;
mod pages;
mod process;
mod proxies;
mod run_requests;
mod runs;
mod simulation;
mod sources;
mod startup;
mod state_directory;
mod tls;
mod unknown_outcomes;
mod upstream_answers;
mod upstream_history;
mod world;
