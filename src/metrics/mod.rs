//! Every metric family, and the text that Prometheus scrapes.
//!
//! Owns the counters and their names. Values of a [`Status`] are computed at each scrape, so that they cannot drift. A
//! value that is not known is absent, never 0. No label ever holds a URL, a branch, a commit, a person or a free text.

mod families;
mod http;
mod process;
mod register;
mod scrape;
mod streams;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use crate::domain::decide::Finding;
use crate::domain::run::{End, Outcome};
use crate::domain::status::Status;

use register::{counter, gauge, gauges, histogram};

pub use families::{FAMILIES, Family, FamilyKind, table};
pub use http::RequestGuard;
pub use streams::{Disconnect, OpenStream};

/// The media type of [`Metrics::render`], exactly: Prometheus 3 refuses a scrape whose type it cannot read.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The prefix of operations on upstream; operations without a prefix are on Gitea.
const UPSTREAM: &str = "upstream";

/// The operation of a notification, which has counters of its own.
pub const NOTIFICATION: &str = "notification";

/// The prefix of operations on the API server, which is no part of their label.
const KUBERNETES: &str = "kubernetes_";

/// Why a caller was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// No credential.
    Missing,
    /// One that is not accepted, or not a bearer token.
    Invalid,
    /// An accepted one whose role does not reach.
    Forbidden,
    /// The tokens file cannot be read, or Kubernetes could not be asked.
    Unavailable,
}

impl AuthFailure {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        }
    }
}

/// All counters; shared by all that count.
pub struct Metrics {
    registry: Registry,
    build: [String; 2],
    run_timeout: Duration,
    runs: IntCounterVec,
    run_failures: IntCounterVec,
    run_duration: HistogramVec,
    rewrites: IntCounterVec,
    heals: IntCounterVec,
    observations: IntCounterVec,
    gitea_requests: IntCounterVec,
    gitea_duration: HistogramVec,
    upstream_requests: IntCounterVec,
    kubernetes_requests: IntCounterVec,
    platform_writes: IntCounterVec,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    http_in_flight: IntGauge,
    sse_connections: IntGauge,
    sse_events: IntCounterVec,
    sse_disconnects: IntCounterVec,
    auth_failures: IntCounterVec,
    webhooks: IntCounterVec,
    notifications: IntCounterVec,
    notifications_waiting: IntGauge,
    journal_rows_unreadable: IntCounterVec,
    panics: IntCounterVec,
    ca_bundles: IntGaugeVec,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("build", &self.build).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing counted yet. `revision` is the commit of the build; `run_timeout` the longest a run may take.
    #[must_use]
    pub fn new(version: &str, revision: &str, run_timeout: Duration) -> Self {
        let registry = Registry::new();
        let new = Self {
            build: [version.to_owned(), revision.to_owned()],
            run_timeout,
            runs: counter(&registry, &families::RUNS_TOTAL),
            run_failures: counter(&registry, &families::RUN_FAILURES),
            run_duration: histogram(&registry, &families::RUN_DURATION),
            rewrites: counter(&registry, &families::REWRITES),
            heals: counter(&registry, &families::HEALS),
            observations: counter(&registry, &families::OBSERVATIONS),
            gitea_requests: counter(&registry, &families::GITEA_REQUESTS),
            gitea_duration: histogram(&registry, &families::GITEA_DURATION),
            upstream_requests: counter(&registry, &families::UPSTREAM_REQUESTS),
            kubernetes_requests: counter(&registry, &families::KUBERNETES_REQUESTS),
            platform_writes: counter(&registry, &families::PLATFORM_WRITES),
            http_requests: counter(&registry, &families::HTTP_REQUESTS),
            http_duration: histogram(&registry, &families::HTTP_DURATION),
            http_in_flight: gauge(&registry, &families::HTTP_IN_FLIGHT),
            sse_connections: gauge(&registry, &families::SSE_CONNECTIONS),
            sse_events: counter(&registry, &families::SSE_EVENTS),
            sse_disconnects: counter(&registry, &families::SSE_DISCONNECTS),
            auth_failures: counter(&registry, &families::AUTH_FAILURES),
            webhooks: counter(&registry, &families::WEBHOOKS),
            notifications: counter(&registry, &families::NOTIFICATIONS),
            notifications_waiting: gauge(&registry, &families::NOTIFICATIONS_WAITING),
            journal_rows_unreadable: counter(&registry, &families::JOURNAL_ROWS_UNREADABLE),
            panics: counter(&registry, &families::PANICS),
            ca_bundles: gauges(&registry, &families::CA_BUNDLES),
            registry,
        };
        for result in Finding::LABELS {
            new.observations.with_label_values(&[result]);
        }
        // families without labels are 0 from the start
        new.heals.with_label_values::<&str>(&[]);
        new.panics.with_label_values::<&str>(&[]);
        new.rewrites.with_label_values::<&str>(&[]);
        new
    }

    /// A request to another service has ended: with a status, or without a whole answer.
    pub fn request_sent(&self, operation: &str, status: Option<u16>, took: Duration) {
        let code = match status {
            None => "error".to_owned(),
            Some(status @ 100..=599) => status.to_string(),
            Some(_) => "other".to_owned(),
        };
        if operation.starts_with(UPSTREAM) {
            self.upstream_requests.with_label_values(&[&code]).inc();
        } else if let Some(operation) = operation.strip_prefix(KUBERNETES) {
            self.kubernetes_requests.with_label_values(&[operation, &code]).inc();
        } else if operation != NOTIFICATION {
            self.gitea_requests.with_label_values(&[operation, &code]).inc();
            self.gitea_duration.with_label_values(&[operation]).observe(took.as_secs_f64());
        }
    }

    /// An attempt on a mirror has ended, `took` after it began.
    pub fn part_ended(&self, mirror: &str, end: &End, took: Duration) {
        let status = end.phase().label();
        let outcome = end.outcome().map(Outcome::label);
        self.runs.with_label_values(&[mirror, status, outcome.unwrap_or("none")]).inc();
        self.run_duration.with_label_values(&[outcome.unwrap_or(status)]).observe(took.as_secs_f64());
        match end {
            End::Failed { problem } => self.run_failures.with_label_values(&[problem.code.label()]).inc(),
            End::Succeeded { evidence, .. } if evidence.rewritten() == Some(true) => {
                self.rewrites.with_label_values::<&str>(&[]).inc();
            }
            End::Succeeded { .. } | End::Unverified { .. } | End::Canceled => {}
        }
    }

    /// A row of this table of the journal cannot be read.
    pub fn journal_row_unreadable(&self, table: &str) {
        self.journal_rows_unreadable.with_label_values(&[table]).inc();
    }

    /// An observation has ended, with one of [`Finding::LABELS`].
    pub fn observed(&self, result: &'static str) {
        self.observations.with_label_values(&[result]).inc();
    }

    /// The service has started a run itself, to resync a mirror.
    pub fn heals(&self) {
        self.heals.with_label_values::<&str>(&[]).inc();
    }

    /// A success was written to the platform's status, or could not be.
    pub fn platform_status_written(&self, well: bool) {
        self.platform_writes.with_label_values(&[if well { "written" } else { "failed" }]).inc();
    }

    /// A caller was refused.
    pub fn auth_failure(&self, reason: AuthFailure) {
        self.auth_failures.with_label_values(&[reason.label()]).inc();
    }

    /// A webhook was received; `result` is one of those in the family's help.
    pub fn webhook(&self, vendor: &str, result: &str) {
        self.webhooks.with_label_values(&[vendor, result]).inc();
    }

    /// So many notifications have this result: one of those in the family's help.
    pub fn notifications(&self, result: &str, count: u64) {
        if count > 0 {
            self.notifications.with_label_values(&[result]).inc_by(count);
        }
    }

    /// So many notifications are pending.
    pub fn notifications_waiting(&self, count: u64) {
        self.notifications_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A CA bundle was read: whether it can be used now.
    pub fn ca_bundle(&self, setting: &str, usable: bool) {
        self.ca_bundles.with_label_values(&[setting]).set(i64::from(usable));
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        self.panics.with_label_values::<&str>(&[]).inc();
    }

    /// Every family that has a series, in Prometheus's text format.
    ///
    /// # Panics
    /// Never: every family has a name, a type and a series.
    #[must_use]
    pub fn render(&self, status: &Status, now: Timestamp) -> String {
        let mut families = self.registry.gather();
        families.extend(scrape::registry(self, status, now).gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families).expect("every family has a name, a type and a series")
    }
}

#[cfg(test)]
mod tests;
