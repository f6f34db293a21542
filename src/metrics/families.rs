//! The one table of metric families, from which registration, rendering and `docs/metrics.md` come.
//!
//! Owns every name, type, label and help text. Holds no value.

use std::fmt::Write as _;

/// One family.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: FamilyKind,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug)]
pub enum FamilyKind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only goes up.
    Counter,
    /// A distribution, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl FamilyKind {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Answers come from memory and one journal. Few bounds, since every route has them all: with one mirror the
/// whole scrape stays below 450 series.
const ANSWERS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Migrate waits for Gitea's clone.
const CALLS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From a `noop` to the default limit of a run and beyond.
const RUNS: &[f64] = &[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];

macro_rules! families {
    ($($id:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(pub(super) const $id: Family = Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// Every family, in the order of the documentation.
        pub const FAMILIES: &[Family] = &[$($id),*];
    };
}

families! {
    BUILD_INFO = "cutover_build_info", FamilyKind::Gauge, ["version", "revision"],
        "Build of the running program; always 1.";

    MIRROR_PHASE = "cutover_mirror_phase", FamilyKind::Gauge, ["mirror", "phase"],
        "1 for the current phase of the mirror; `idle` without a run. The other phases are absent.";
    MIRROR_MODE = "cutover_mirror_mode", FamilyKind::Gauge, ["mirror", "mode"],
        "1 for the current mode of the mirror: follow, pinned, severed. The other modes are absent.";
    MIRROR_MODE_APPLIED = "cutover_mirror_mode_applied", FamilyKind::Gauge, ["mirror"],
        "1 if Gitea has the settings of the mode, 0 if they are not applied yet or could not be; absent if the mode was always `follow`.";
    MIRROR_FRESHNESS = "cutover_mirror_freshness", FamilyKind::Gauge, ["mirror", "state"],
        "1 for the current freshness, 0 for the other values: fresh, behind, unknown.";
    MIRROR_LAST_SUCCESS = "cutover_mirror_last_success_timestamp_seconds", FamilyKind::Gauge, ["mirror"],
        "Unix time of the last proof that the refs equal upstream's; absent if never proven.";
    MIRROR_LAST_RUN_SUCCESS = "cutover_mirror_last_run_success", FamilyKind::Gauge, ["mirror"],
        "1 if the latest attempt on the mirror succeeded, 0 if not; absent before the first attempt.";
    MIRROR_FAILURES = "cutover_mirror_consecutive_failures", FamilyKind::Gauge, ["mirror"],
        "Number of failed attempts in a row.";
    MIRROR_BEHIND_SINCE = "cutover_mirror_behind_since_timestamp_seconds", FamilyKind::Gauge, ["mirror"],
        "Unix time of the first observed difference since the last proof; absent unless the mirror is behind.";
    MIRROR_OBSERVED = "cutover_mirror_last_observation_timestamp_seconds", FamilyKind::Gauge, ["mirror"],
        "Unix time of the latest observation of both sides, by an attempt or after a status read, with any result; absent before the first.";
    MIRROR_INTERVAL = "cutover_mirror_interval_seconds", FamilyKind::Gauge, ["mirror"],
        "Configured interval at which Gitea pulls from upstream.";
    MIRROR_REFS = "cutover_mirror_refs", FamilyKind::Gauge, ["mirror", "side"],
        "Number of branches and tags at the latest observation, by side: upstream, gitea; absent before the first.";
    MIRROR_REFS_DIFFERING = "cutover_mirror_refs_differing", FamilyKind::Gauge, ["mirror"],
        "Number of refs in Gitea that differ from upstream, including missing ones; absent while unknown.";
    RUNS_TOTAL = "cutover_mirror_runs_total", FamilyKind::Counter, ["mirror", "status", "outcome"],
        "Ended attempts on a mirror, by status (succeeded, unverified, failed, canceled) and by outcome of a success, else `none`. Runs that share an attempt count once.";
    RUN_FAILURES = "cutover_mirror_run_failures_total", FamilyKind::Counter, ["reason"],
        "Failed attempts on a mirror, by the code of the problem.";
    RUN_DURATION = "cutover_mirror_run_duration_seconds", FamilyKind::Histogram(RUNS), ["outcome"],
        "Duration of an attempt on a mirror, by the outcome of a success, else by the status.";
    REWRITES = "cutover_mirror_rewrites_total", FamilyKind::Counter, [],
        "Proven attempts whose sync replaced the history of the tracked branch.";
    HEALS = "cutover_mirror_heals_total", FamilyKind::Counter, [],
        "Automatic resyncs: runs that cutover-api started because a mirror stayed behind.";
    OBSERVATIONS = "cutover_observations_total", FamilyKind::Counter, ["result"],
        "Ended observations, by result: fresh, behind, unknown. Attempts are not counted.";

    RUN_TIMEOUT = "cutover_run_timeout_seconds", FamilyKind::Gauge, [],
        "Time limit of a run (`limits.run`).";
    RUN_SINCE = "cutover_run_in_flight_since_timestamp_seconds", FamilyKind::Gauge, [],
        "Start time of the run that was accepted last, as a Unix time; absent unless it is in flight.";

    GITEA_UP = "cutover_gitea_up", FamilyKind::Gauge, [],
        "1 if Gitea's API gave a usable answer to the latest request, 0 if not; absent before the first.";
    GITEA_INFO = "cutover_gitea_info", FamilyKind::Gauge, ["flavour", "version"],
        "FamilyKind and version of the server, as reported by Gitea; always 1; absent until known.";
    GITEA_LAST_SUCCESS = "cutover_gitea_last_success_timestamp_seconds", FamilyKind::Gauge, [],
        "Unix time of the latest usable answer of Gitea's API; absent before the first.";
    GITEA_REQUESTS = "cutover_gitea_requests_total", FamilyKind::Counter, ["operation", "code"],
        "Requests to Gitea; `code` is the HTTP status, `error` without a complete response, `other` outside 100 to 599.";
    GITEA_DURATION = "cutover_gitea_request_duration_seconds", FamilyKind::Histogram(CALLS), ["operation"],
        "Duration of requests to Gitea, until the response was complete.";
    UPSTREAM_REQUESTS = "cutover_upstream_requests_total", FamilyKind::Counter, ["code"],
        "Requests to upstream; `code` as in cutover_gitea_requests_total.";

    KUBERNETES_REQUESTS = "cutover_kubernetes_requests_total", FamilyKind::Counter, ["operation", "code"],
        "Requests to the Kubernetes API server; `code` as in cutover_gitea_requests_total. Absent unless kubernetes.enabled.";
    PLATFORM_COMPLETE = "cutover_platform_cutover_complete", FamilyKind::Gauge, [],
        "1 if the platform's status ConfigMap says that its cutover is complete, 0 if not; absent until first read.";
    PLATFORM_WRITES = "cutover_platform_status_writes_total", FamilyKind::Counter, ["result"],
        "Successes to write to the platform's status ConfigMap, by result: written, failed.";

    HTTP_REQUESTS = "cutover_http_requests_total", FamilyKind::Counter, ["method", "route", "code"],
        "Answered requests, by matched route; `other` for unknown paths, `OTHER` for unusual methods, code `499` if the caller disconnected before the response.";
    HTTP_DURATION = "cutover_http_request_duration_seconds", FamilyKind::Histogram(ANSWERS), ["method", "route"],
        "Duration of requests, until the response headers were sent.";
    HTTP_IN_FLIGHT = "cutover_http_requests_in_flight", FamilyKind::Gauge, [],
        "Requests in progress, without event streams.";
    SSE_CONNECTIONS = "cutover_sse_connections", FamilyKind::Gauge, [],
        "Open event streams.";
    SSE_EVENTS = "cutover_sse_events_total", FamilyKind::Counter, ["event"],
        "Events, by kind, each counted once for all streams. Snapshots and the last event of a stream are counted per stream.";
    SSE_DISCONNECTS = "cutover_sse_disconnects_total", FamilyKind::Counter, ["reason"],
        "Closed event streams, by reason: client (the client disconnected), lagged (it was too slow), shutdown, ended (with its run).";
    AUTH_FAILURES = "cutover_auth_failures_total", FamilyKind::Counter, ["reason"],
        "Refused callers, by reason: missing (no credential), invalid (not accepted), forbidden (the role is not enough), unavailable (the tokens file cannot be read, or the token review failed).";
    WEBHOOKS = "cutover_webhooks_total", FamilyKind::Counter, ["vendor", "result"],
        "Received webhooks, by sender (github, gitlab, gitea, forgejo, bitbucket, generic) and result: started (a new run), joined (a run in flight), ignored, duplicate, refused (no valid signature), failed.";
    NOTIFICATIONS = "cutover_notifications_total", FamilyKind::Counter, ["result"],
        "Notifications, by result: delivered, failed (one attempt, to be repeated), dropped (not delivered for a day, or too many).";
    NOTIFICATIONS_WAITING = "cutover_notifications_pending", FamilyKind::Gauge, [],
        "Notifications that wait for delivery; 0 without a receiver.";
    JOURNAL_ROWS_UNREADABLE = "cutover_journal_rows_unreadable_total", FamilyKind::Counter, ["table"],
        "Unreadable rows of the journal, by table, each counted once per start. They are skipped and prove nothing. Should stay absent.";
    PANICS = "cutover_panics_total", FamilyKind::Counter, [],
        "Caught panics, in a request, a run or an observation; should stay 0.";
    CA_BUNDLES = "cutover_ca_bundle_usable", FamilyKind::Gauge, ["setting"],
        "1 if the CA file of the setting (gitea.caFile, mirrors[0].upstream.caFile, SSL_CERT_FILE) was usable at the last check, 0 if not; its last good content then stays in force. Absent before the first call that needs it.";

    PROCESS_START = "process_start_time_seconds", FamilyKind::Gauge, [],
        "Start time of the process, as a Unix time.";
    PROCESS_CPU = "process_cpu_seconds_total", FamilyKind::Counter, [],
        "User and system CPU time.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", FamilyKind::Gauge, [],
        "Resident memory size.";
    PROCESS_OPEN_FDS = "process_open_fds", FamilyKind::Gauge, [],
        "Open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", FamilyKind::Gauge, [],
        "Maximum number of open file descriptors; absent without a limit.";
}

/// The table as `docs/metrics.md`.
#[must_use]
pub fn table() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` answers in Prometheus's text format, without a token. This page is generated by `metrics::table()`.\n\n\
         - Unknown values are absent, not 0. Labelled counters appear after their first event.\n\
         - Timestamps are Unix seconds: compute ages in the query.\n\
         - Label values come from closed sets and from the configuration. No label has a URL, branch, commit, user or \
         error text.\n\n\
         | Name | Type | Labels | Help |\n|---|---|---|---|\n",
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{}` | {} | {} | {} |", family.name, family.kind.label(), labels.join(", "), family.help)
            .expect("writing to a String cannot fail");
    }
    page.push_str("\n## Buckets\n\n");
    for family in FAMILIES {
        if let FamilyKind::Histogram(bounds) = family.kind {
            let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
            writeln!(page, "- `{}`: {} s", family.name, bounds.join(", ")).expect("writing to a String cannot fail");
        }
    }
    page
}
