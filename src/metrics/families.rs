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
    pub kind: Kind,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only goes up.
    Counter,
    /// A distribution, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
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

/// Our own answers come from memory and one journal. Few bounds, since every route has them all: with one mirror the
/// whole scrape stays below 450 series.
const ANSWERS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Making a mirror waits for Gitea's clone.
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
    BUILD_INFO = "cutover_build_info", Kind::Gauge, ["version", "revision"],
        "Build of the running program; always 1.";

    MIRROR_PHASE = "cutover_mirror_phase", Kind::Gauge, ["mirror", "phase"],
        "1 for the phase in which the mirror is; `idle` when nothing is under way. The other phases are absent.";
    MIRROR_MODE = "cutover_mirror_mode", Kind::Gauge, ["mirror", "mode"],
        "1 for how the mirror is run: follow, pinned, severed. The other modes are absent.";
    MIRROR_MODE_APPLIED = "cutover_mirror_mode_applied", Kind::Gauge, ["mirror"],
        "1 if Gitea was seen to stand as the mode says, 0 while that is being carried out or could not be; absent while the mode has never been another than `follow`.";
    MIRROR_FRESHNESS = "cutover_mirror_freshness", Kind::Gauge, ["mirror", "state"],
        "1 for what is known about the distance to upstream, 0 for the others: fresh, behind, unknown.";
    MIRROR_LAST_SUCCESS = "cutover_mirror_last_success_timestamp_seconds", Kind::Gauge, ["mirror"],
        "Unix time for which the refs were last proven equal to upstream's; absent if never.";
    MIRROR_LAST_RUN_SUCCESS = "cutover_mirror_last_run_success", Kind::Gauge, ["mirror"],
        "1 if the latest attempt ended with a proof, 0 if not; absent before the first.";
    MIRROR_FAILURES = "cutover_mirror_consecutive_failures", Kind::Gauge, ["mirror"],
        "How many attempts in a row have failed.";
    MIRROR_BEHIND_SINCE = "cutover_mirror_behind_since_timestamp_seconds", Kind::Gauge, ["mirror"],
        "Unix time at which refs were first seen to differ since the last proof; absent unless the mirror is behind.";
    MIRROR_OBSERVED = "cutover_mirror_last_observation_timestamp_seconds", Kind::Gauge, ["mirror"],
        "Unix time at which both sides were last looked at, by an attempt or because somebody read the status, whatever that came to; absent before.";
    MIRROR_INTERVAL = "cutover_mirror_interval_seconds", Kind::Gauge, ["mirror"],
        "How often Gitea is to ask upstream by itself, as configured.";
    MIRROR_REFS = "cutover_mirror_refs", Kind::Gauge, ["mirror", "side"],
        "Heads and tags as last seen, by side: upstream, gitea; absent until seen.";
    MIRROR_REFS_DIFFERING = "cutover_mirror_refs_differing", Kind::Gauge, ["mirror"],
        "Refs that are not as they must be, missing ones included; absent while nobody knows.";
    RUNS_TOTAL = "cutover_mirror_runs_total", Kind::Counter, ["mirror", "status", "outcome"],
        "Attempts on a mirror that have ended, however many runs waited for it, by how (succeeded, unverified, failed, canceled) and by what a success did; `none` without one.";
    RUN_FAILURES = "cutover_mirror_run_failures_total", Kind::Counter, ["reason"],
        "Attempts on a mirror that have failed, by the problem's code.";
    RUN_DURATION = "cutover_mirror_run_duration_seconds", Kind::Histogram(RUNS), ["outcome"],
        "How long an attempt on a mirror took, by what a success did, else by how it ended.";
    REWRITES = "cutover_mirror_rewrites_total", Kind::Counter, [],
        "Proven attempts whose sync replaced the history of the tracked branch.";
    HEALS = "cutover_mirror_heals_total", Kind::Counter, [],
        "Runs begun by the service itself, since a mirror was seen behind for too long.";
    OBSERVATIONS = "cutover_observations_total", Kind::Counter, ["result"],
        "Observations that have ended, by what they came to: fresh, behind, unknown. Attempts are not among them.";

    RUN_TIMEOUT = "cutover_run_timeout_seconds", Kind::Gauge, [],
        "The longest a run may take.";
    RUN_SINCE = "cutover_run_in_flight_since_timestamp_seconds", Kind::Gauge, [],
        "Unix time at which the run that was accepted last began; absent unless it is under way.";

    GITEA_UP = "cutover_gitea_up", Kind::Gauge, [],
        "1 if Gitea's API gave a usable answer to the latest request, 0 if not; absent before the first.";
    GITEA_INFO = "cutover_gitea_info", Kind::Gauge, ["flavour", "version"],
        "What Gitea says that it is; always 1; absent until it has said so.";
    GITEA_LAST_SUCCESS = "cutover_gitea_last_success_timestamp_seconds", Kind::Gauge, [],
        "Unix time of the latest usable answer of Gitea's API; absent before the first.";
    GITEA_REQUESTS = "cutover_gitea_requests_total", Kind::Counter, ["operation", "code"],
        "Requests to Gitea; `code` is the status, `error` if no whole answer came, `other` outside 100 to 599.";
    GITEA_DURATION = "cutover_gitea_request_duration_seconds", Kind::Histogram(CALLS), ["operation"],
        "How long requests to Gitea took, until the whole answer was here.";
    UPSTREAM_REQUESTS = "cutover_upstream_requests_total", Kind::Counter, ["code"],
        "Requests to upstream; `code` as in cutover_gitea_requests_total.";

    KUBERNETES_REQUESTS = "cutover_kubernetes_requests_total", Kind::Counter, ["operation", "code"],
        "Requests to the Kubernetes API server; `code` as in cutover_gitea_requests_total. Absent unless kubernetes.enabled.";
    PLATFORM_COMPLETE = "cutover_platform_cutover_complete", Kind::Gauge, [],
        "1 if the platform's status says that its cutover is complete, 0 if not; absent until it was read.";
    PLATFORM_WRITES = "cutover_platform_status_writes_total", Kind::Counter, ["result"],
        "Successes that the platform's status was told of, by what became of that: written, failed.";

    HTTP_REQUESTS = "cutover_http_requests_total", Kind::Counter, ["method", "route", "code"],
        "Requests answered, by matched route; `other` for unknown paths, `OTHER` for unusual methods, code `499` when the caller had gone before the answer.";
    HTTP_DURATION = "cutover_http_request_duration_seconds", Kind::Histogram(ANSWERS), ["method", "route"],
        "How long answers took, until their headers were sent.";
    HTTP_IN_FLIGHT = "cutover_http_requests_in_flight", Kind::Gauge, [],
        "Requests now being answered, without streams of events.";
    SSE_CONNECTIONS = "cutover_sse_connections", Kind::Gauge, [],
        "Open streams of events.";
    SSE_EVENTS = "cutover_sse_events_total", Kind::Counter, ["event"],
        "Events told, by kind, each once however many streams there are; snapshots and the last words of streams each time.";
    SSE_DISCONNECTS = "cutover_sse_disconnects_total", Kind::Counter, ["reason"],
        "Streams of events that are over: client (it has gone), lagged (it did not keep up), shutdown, ended (with its run).";
    AUTH_FAILURES = "cutover_auth_failures_total", Kind::Counter, ["reason"],
        "Refused callers: missing (no credential), invalid (not accepted), forbidden (the role does not reach), unavailable (our tokens cannot be read, or Kubernetes could not be asked).";
    WEBHOOKS = "cutover_webhooks_total", Kind::Counter, ["vendor", "result"],
        "Webhooks received, by what sent them (github, gitlab, gitea, forgejo, bitbucket, generic) and what became of them: started (a new run), joined (a run in flight), ignored, duplicate, refused (no good signature), failed.";
    NOTIFICATIONS = "cutover_notifications_total", Kind::Counter, ["result"],
        "What became of notifications: delivered, failed (one try, which is repeated), dropped (not taken for a day, or too many).";
    NOTIFICATIONS_WAITING = "cutover_notifications_pending", Kind::Gauge, [],
        "Notifications that wait to be taken; 0 where none are configured.";
    JOURNAL_ROWS_UNREADABLE = "cutover_journal_rows_unreadable_total", Kind::Counter, ["table"],
        "Rows of the journal that cannot be read, each once a start, by table; skipped, and proof of nothing. Should stay absent.";
    PANICS = "cutover_panics_total", Kind::Counter, [],
        "Panics caught: in answering a request, in a run or in an observation; should stay 0.";
    CA_BUNDLES = "cutover_ca_bundle_usable", Kind::Gauge, ["setting"],
        "1 if the file of CA certificates that a setting names (gitea.caFile, mirrors[0].upstream.caFile, SSL_CERT_FILE) could be used when it was last looked at, 0 if not: its last good content is then in force. Absent before the first call that needs it.";

    PROCESS_START = "process_start_time_seconds", Kind::Gauge, [],
        "Unix time at which the process was started.";
    PROCESS_CPU = "process_cpu_seconds_total", Kind::Counter, [],
        "User and system processor time used.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Kind::Gauge, [],
        "Resident memory.";
    PROCESS_OPEN_FDS = "process_open_fds", Kind::Gauge, [],
        "Open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", Kind::Gauge, [],
        "The most file descriptors that may be open; absent without a limit.";
}

/// The table as `docs/metrics.md`.
#[must_use]
pub fn table() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Generated from the program's own table by `metrics::table()`; a test compares the two. `GET /metrics` answers \
         in Prometheus's text\nformat, without a token.\n\n\
         A value that nobody knows is absent, never 0. Counters with labels are there once they have counted. Labels come from closed \
         sets and from\nthe configuration: no URL, branch, commit, user or error text is ever in one. Moments are Unix times; let the query \
         subtract.\n\n\
         | Name | Type | Labels | Help |\n|---|---|---|---|\n",
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{}` | {} | {} | {} |", family.name, family.kind.label(), labels.join(", "), family.help)
            .expect("writing to a String cannot fail");
    }
    page.push_str("\n## Buckets\n\n");
    for family in FAMILIES {
        if let Kind::Histogram(bounds) = family.kind {
            let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
            writeln!(page, "- `{}`: {} s", family.name, bounds.join(", ")).expect("writing to a String cannot fail");
        }
    }
    page
}
