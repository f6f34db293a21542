//! The gauges that follow from the status, computed at each scrape.
//!
//! Owns the way from a [`Status`] to series, in a registry that lives for one scrape: a value that is not known has no
//! series. Counts nothing and remembers nothing.

use jiff::Timestamp;
use prometheus::{CounterVec, GaugeVec, Registry};

use super::Metrics;
use super::families::{self, Family};
use super::process::Process;
use super::register::{opts, registered};
use crate::domain::mode::ModeChange;
use crate::domain::run::Phase;
use crate::domain::status::{Freshness, MirrorStatus, Status};

/// A registry of every computed family.
pub(super) fn registry(metrics: &Metrics, status: &Status, now: Timestamp) -> Registry {
    let registry = Registry::new();
    program(&registry, metrics);
    mirrors(&registry, status, now);
    let run = status.latest_run.as_ref().filter(|run| run.finished_at.is_none());
    one(&registry, &families::RUN_SINCE, run.and_then(|run| run.started_at).map(seconds));
    let gitea = &status.gitea;
    one(&registry, &families::GITEA_UP, gitea.reachable.map(truth));
    one(&registry, &families::GITEA_LAST_SUCCESS, gitea.last_answer_at.map(seconds));
    one(&registry, &families::PLATFORM_COMPLETE, status.cutover_complete.map(truth));
    let known = gitea.flavour.zip(gitea.version.as_deref());
    put(&registry, &families::GITEA_INFO, known.map(|(flavour, version)| ([flavour, version], Some(1.0))));
    registry
}

fn program(registry: &Registry, metrics: &Metrics) {
    let build = metrics.build.each_ref().map(String::as_str);
    put(registry, &families::BUILD_INFO, [(build, Some(1.0))]);
    one(registry, &families::RUN_TIMEOUT, Some(metrics.run_timeout.as_secs_f64()));
    let process = Process::read();
    one(registry, &families::PROCESS_START, process.start_time);
    one(registry, &families::PROCESS_RESIDENT, process.resident_bytes);
    one(registry, &families::PROCESS_OPEN_FDS, process.open_fds);
    one(registry, &families::PROCESS_MAX_FDS, process.max_fds);
    let cpu = CounterVec::new(opts(&families::PROCESS_CPU), &[]).expect("the table's names are valid");
    if let Some(seconds) = process.cpu_seconds {
        registered(registry, cpu).with_label_values::<&str>(&[]).inc_by(seconds);
    }
}

/// A mirror, and what is known of it now.
struct CurrentMirror<'a> {
    name: &'a str,
    status: &'a MirrorStatus,
    freshness: Freshness<'a>,
}

impl<'a> CurrentMirror<'a> {
    fn new(status: &'a MirrorStatus, now: Timestamp) -> Self {
        Self { name: status.spec.name.as_str(), status, freshness: status.freshness(now) }
    }
}

fn mirrors(registry: &Registry, status: &Status, now: Timestamp) {
    let all: Vec<_> = status.mirrors.iter().map(|mirror| CurrentMirror::new(mirror, now)).collect();
    let each = |family, value: fn(&CurrentMirror<'_>) -> Option<f64>| {
        put(registry, family, all.iter().map(|one| ([one.name], value(one))));
    };
    put(registry, &families::MIRROR_PHASE, all.iter().map(|one| ([one.name, one.status.phase.label()], Some(1.0))));
    put(registry, &families::MIRROR_MODE, all.iter().map(|one| ([one.name, one.status.mode.label()], Some(1.0))));
    each(&families::MIRROR_MODE_APPLIED, |one| one.status.mode_change.as_ref().map(|change| truth(is_applied(change))));
    let distances = all.iter().flat_map(|one| {
        Freshness::LABELS.map(|state| ([one.name, state], Some(truth(one.freshness.label() == state))))
    });
    put(registry, &families::MIRROR_FRESHNESS, distances);
    each(&families::MIRROR_LAST_SUCCESS, |one| one.status.facts.proven_at.map(seconds));
    each(&families::MIRROR_LAST_RUN_SUCCESS, |one| one.status.facts.last_end.map(|end| truth(end == Phase::Succeeded)));
    each(&families::MIRROR_FAILURES, |one| Some(f64::from(one.status.facts.consecutive_failures)));
    each(&families::MIRROR_BEHIND_SINCE, |one| match &one.freshness {
        Freshness::Behind { behind, .. } => Some(seconds(behind.since)),
        Freshness::Fresh | Freshness::Unknown { .. } => None,
    });
    each(&families::MIRROR_OBSERVED, |one| one.status.facts.observed_at.map(seconds));
    each(&families::MIRROR_INTERVAL, |one| Some(one.status.spec.interval.get().as_secs_f64()));
    let sides = all.iter().flat_map(|one| {
        let facts = &one.status.facts;
        [([one.name, "upstream"], facts.upstream_refs.map(count)), ([one.name, "gitea"], facts.gitea_refs.map(count))]
    });
    put(registry, &families::MIRROR_REFS, sides);
    each(&families::MIRROR_REFS_DIFFERING, |one| match &one.freshness {
        Freshness::Fresh => Some(0.0),
        Freshness::Behind { behind, .. } => Some(count(behind.refs)),
        Freshness::Unknown { .. } => None,
    });
}

fn is_applied(change: &ModeChange) -> bool {
    change.applied_at.is_some() && change.problem.is_none()
}

/// Registers a family of gauges; a series whose value is not known is left out.
fn put<'a, const LABELS: usize>(
    registry: &Registry,
    family: &Family,
    series: impl IntoIterator<Item = ([&'a str; LABELS], Option<f64>)>,
) {
    let gauges = registered(registry, GaugeVec::new(opts(family), family.labels).expect("the table's names are valid"));
    for (labels, value) in series {
        if let Some(value) = value {
            gauges.with_label_values(&labels).set(value);
        }
    }
}

/// Registers a family of one series without labels. A bare `Gauge` would show a value that is not known as 0.
fn one(registry: &Registry, family: &Family, value: Option<f64>) {
    put(registry, family, [([], value)]);
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// To the millisecond: that is exact in a float until long after all of this.
fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^53 for 285,000 years")]
    let milliseconds = at.as_millisecond() as f64;
    milliseconds / 1000.0
}

fn count(refs: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no repository has 2^53 refs")]
    let refs = refs as f64;
    refs
}
