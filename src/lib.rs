//! cutover-api keeps a proven copy of an upstream git repository in a cluster's own Gitea.
//!
//! ```text
//! main → app → api → engine ─┬→ gitea ─┬→ transport
//!                            └→ git  ──┘
//! every one of them → domain, which imports nothing of ours
//! ```
//!
//! Who may import whom is law, and a test (`tests/it/sources/layers.rs`) reads this table and the sources and holds one to the
//! other. A rule that is in the way of something better is changed here, with its reason.
//!
//! | module | may import, of ours | owns |
//! |---|---|---|
//! | `domain` | nothing | names, specs, refs and their comparison, observations, `decide`, problems, backoff |
//! | `transport` | `domain` | the only place that sends HTTP; it tells its failures in the domain's words |
//! | `clock` | nothing | wall time |
//! | `telemetry` | nothing | the log |
//! | `shutdown` | nothing | the two stages of ending |
//! | `config` | `domain`, `transport`, `telemetry` | options and files → a validated configuration; secrets re-read from files |
//! | `metrics` | `domain` | every metric family |
//! | `gitea` | `domain`, `transport` | the Gitea client, one outcome enum a call |
//! | `git` | `domain`, `transport` | the ref lister |
//! | `journal` | `domain` | what cannot be observed, on disk |
//! | `kube` | `domain`, `transport`, `clock` | Kubernetes: whose token it is, and the platform's status |
//! | `engine` | `domain`, `gitea`, `git`, `journal`, `metrics`, `clock`, `shutdown` | one driver a mirror, runs, the published status |
//! | `api` | `domain`, `engine`, `metrics`, `shutdown`, `clock` | routes, wire types, authentication, problems, OpenAPI |
//! | `cli` | `domain`, `config`, `transport` | the client commands: a client of the HTTP API |
//! | `notify` | `domain`, `transport`, `journal`, `metrics`, `clock`, `shutdown` | outbound notifications |
//! | `app` | everything | composition and exit codes |
//!
//! `config` asks `transport` whether a CA bundle and a proxy can be used, and `telemetry` what a filter of the log is, so that all
//! are faults at start. `api` reads the clock because freshness is a value as of now, `kube` because a token ends at a time. `engine` knows
//! the platform by a trait of `domain`, which `app` fills with `kube`. Outside: only `domain` knows no runtime, no HTTP, no
//! file and no clock; only `transport` holds an HTTP client; only `journal` holds SQLite; only `api` and `app` hold axum; only
//! `app` accepts connections.

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod git;
pub mod gitea;
pub mod journal;
pub mod kube;
pub mod metrics;
pub mod notify;
pub mod shutdown;
pub mod telemetry;
pub mod transport;
