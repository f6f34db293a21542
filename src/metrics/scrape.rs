//! The gauges that follow from what is known now: computed at each scrape, in one pass over the mirrors.
//!
//! Owns the way from a [`Status`] to series. Counts nothing and remembers nothing.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily};

use super::process::Process;
use super::{Family, Kind, Metrics, families};
use crate::domain::run::Phase;
use crate::domain::status::{Freshness, MirrorStatus, Status};

/// One family's series.
struct Series {
    family: &'static Family,
    metrics: Vec<Metric>,
}

impl Series {
    fn of(family: &'static Family) -> Self {
        Self { family, metrics: Vec::new() }
    }

    fn with(family: &'static Family, value: Option<f64>) -> MetricFamily {
        let mut series = Self::of(family);
        series.put(&[], value);
        series.done()
    }

    /// Adds a series, if its value is known.
    fn put(&mut self, labels: &[&str], value: Option<f64>) {
        let Some(value) = value else { return };
        let pairs = self.family.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        match self.family.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            Kind::Histogram(_) => unreachable!("no histogram is computed at a scrape"),
        }
        self.metrics.push(metric);
    }

    fn done(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.family.name.to_owned());
        family.set_help(self.family.help.to_owned());
        family.set_field_type(self.family.kind.proto());
        family.set_metric(self.metrics);
        family
    }
}

/// Every computed family; those without a series are empty.
pub(super) fn families(metrics: &Metrics, status: &Status, now: Timestamp) -> Vec<MetricFamily> {
    let mut all = mirrors(&status.mirrors, now);
    all.extend(program(metrics));
    let run = status.latest_run.as_ref().filter(|run| run.finished_at.is_none());
    all.push(Series::with(&families::RUN_SINCE, run.and_then(|run| run.started_at).map(seconds)));
    let gitea = &status.gitea;
    all.push(Series::with(&families::GITEA_UP, gitea.reachable.map(truth)));
    all.push(Series::with(&families::GITEA_LAST_SUCCESS, gitea.last_answer_at.map(seconds)));
    all.push(Series::with(&families::PLATFORM_COMPLETE, status.cutover_complete.map(truth)));
    if let (Some(flavour), Some(version)) = (gitea.flavour, &gitea.version) {
        let mut info = Series::of(&families::GITEA_INFO);
        info.put(&[flavour, version], Some(1.0));
        all.push(info.done());
    }
    all
}

fn program(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut build = Series::of(&families::BUILD_INFO);
    build.put(&metrics.build.each_ref().map(String::as_str), Some(1.0));
    let process = Process::read();
    vec![
        build.done(),
        Series::with(&families::RUN_TIMEOUT, Some(metrics.run_timeout.as_secs_f64())),
        Series::with(&families::PROCESS_START, process.start_time),
        Series::with(&families::PROCESS_CPU, process.cpu_seconds),
        Series::with(&families::PROCESS_RESIDENT, process.resident_bytes),
        Series::with(&families::PROCESS_OPEN_FDS, process.open_fds),
        Series::with(&families::PROCESS_MAX_FDS, process.max_fds),
    ]
}

fn mirrors(mirrors: &[Arc<MirrorStatus>], now: Timestamp) -> Vec<MetricFamily> {
    let mut phase = Series::of(&families::MIRROR_PHASE);
    let mut mode = Series::of(&families::MIRROR_MODE);
    let mut applied = Series::of(&families::MIRROR_MODE_APPLIED);
    let mut freshness = Series::of(&families::MIRROR_FRESHNESS);
    let mut last_success = Series::of(&families::MIRROR_LAST_SUCCESS);
    let mut last_run = Series::of(&families::MIRROR_LAST_RUN_SUCCESS);
    let mut failures = Series::of(&families::MIRROR_FAILURES);
    let mut behind = Series::of(&families::MIRROR_BEHIND_SINCE);
    let mut interval = Series::of(&families::MIRROR_INTERVAL);
    let mut refs = Series::of(&families::MIRROR_REFS);
    let mut differing = Series::of(&families::MIRROR_REFS_DIFFERING);
    for mirror in mirrors {
        let (name, facts, fresh) = (mirror.spec.name.as_str(), &mirror.facts, mirror.freshness(now));
        phase.put(&[name, mirror.phase.label()], Some(1.0));
        mode.put(&[name, mirror.mode.label()], Some(1.0));
        applied.put(&[name], mirror.mode_change.as_ref().map(|change| truth(change.applied_at.is_some())));
        for state in Freshness::LABELS {
            freshness.put(&[name, state], Some(truth(fresh.label() == state)));
        }
        last_success.put(&[name], facts.proven_at.map(seconds));
        last_run.put(&[name], facts.last_end.map(|end| truth(end == Phase::Succeeded)));
        failures.put(&[name], Some(f64::from(facts.consecutive_failures)));
        interval.put(&[name], Some(mirror.spec.interval.get().as_secs_f64()));
        refs.put(&[name, "upstream"], facts.upstream_refs.map(count));
        refs.put(&[name, "gitea"], facts.gitea_refs.map(count));
        match fresh {
            Freshness::Fresh => differing.put(&[name], Some(0.0)),
            Freshness::Behind(seen) => {
                differing.put(&[name], Some(count(seen.refs)));
                behind.put(&[name], Some(seconds(seen.since)));
            }
            Freshness::Unknown { .. } => {}
        }
    }
    [phase, mode, applied, freshness, last_success, last_run, failures, behind, interval, refs, differing]
        .map(Series::done)
        .into()
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
