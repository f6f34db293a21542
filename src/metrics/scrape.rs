//! The gauges that follow from what is known now: computed at each scrape, in one look at each mirror and then one pass
//! over the mirrors for each family.
//!
//! Owns the way from a [`Status`] to the lines of a text: with ten thousand mirrors there is nothing between the two that
//! would cost as much again. Counts nothing and remembers nothing.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::process::Process;
use super::{Family, Metrics, families};
use crate::domain::mode::ModeChange;
use crate::domain::run::Phase;
use crate::domain::status::{Freshness, MirrorStatus, Status};

/// What a scrape tells of one mirror. Each family is a pass over all of them: ten thousand statuses, a dozen times, would
/// be read from all over the memory, and these are read one after the other.
pub(super) struct Row {
    name: Box<str>,
    phase: &'static str,
    mode: &'static str,
    mode_applied: Option<f64>,
    freshness: &'static str,
    proven_at: Option<f64>,
    last_run_success: Option<f64>,
    failures: f64,
    behind_since: Option<f64>,
    observed_at: Option<f64>,
    interval: f64,
    upstream_refs: Option<f64>,
    gitea_refs: Option<f64>,
    differing: Option<f64>,
}

impl Row {
    /// Of one mirror, as of now.
    pub(super) fn new(mirror: &MirrorStatus, now: Timestamp) -> Self {
        let (facts, freshness) = (&mirror.facts, mirror.freshness(now));
        let applied = |change: &ModeChange| truth(change.applied_at.is_some() && change.problem.is_none());
        let (behind_since, differing) = match &freshness {
            Freshness::Fresh => (None, Some(0.0)),
            Freshness::Behind { behind, .. } => (Some(seconds(behind.since)), Some(count(behind.refs))),
            Freshness::Unknown { .. } => (None, None),
        };
        Self {
            name: mirror.spec.name.as_str().into(),
            phase: mirror.phase.label(),
            mode: mirror.mode.label(),
            mode_applied: mirror.mode_change.as_ref().map(applied),
            freshness: freshness.label(),
            proven_at: facts.proven_at.map(seconds),
            last_run_success: facts.last_end.map(|end| truth(end == Phase::Succeeded)),
            failures: f64::from(facts.consecutive_failures),
            behind_since,
            observed_at: facts.observed_at.map(seconds),
            interval: mirror.spec.interval.get().as_secs_f64(),
            upstream_refs: facts.upstream_refs.map(count),
            gitea_refs: facts.gitea_refs.map(count),
            differing,
        }
    }
}

/// Writes the series that one mirror has of a family.
pub(super) type OfMirror = fn(&mut Lines<'_>, &Row);

/// One computed family.
pub(super) struct Series {
    pub(super) family: &'static Family,
    pub(super) lines: Computed,
}

/// Where its lines come from.
pub(super) enum Computed {
    /// They are few, and written already.
    Few(String),
    /// Each mirror has its own, written when their turn comes.
    OfMirrors(OfMirror),
}

impl Series {
    fn few(family: &'static Family, write: impl FnOnce(&mut Lines<'_>)) -> Self {
        let mut text = String::new();
        write(&mut Lines::new(family, &mut text, false));
        Self { family, lines: Computed::Few(text) }
    }

    /// A family of one series without a label, if its value is known.
    fn with(family: &'static Family, value: Option<f64>) -> Self {
        Self::few(family, |lines| lines.put(&[], value))
    }
}

/// A family's lines, as they are written.
pub(super) struct Lines<'a> {
    family: &'static Family,
    text: &'a mut String,
    begun: bool,
}

impl<'a> Lines<'a> {
    /// A family's; whether some of them were `begun` in an earlier text.
    pub(super) const fn new(family: &'static Family, text: &'a mut String, begun: bool) -> Self {
        Self { family, text, begun }
    }

    /// Whether any has been written, here or before.
    pub(super) const fn begun(&self) -> bool {
        self.begun
    }

    /// How much text there is.
    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Adds a series, if its value is known.
    fn put(&mut self, labels: &[&str], value: Option<f64>) {
        let Some(value) = value else { return };
        let Family { name, help, kind, .. } = self.family;
        let written = if std::mem::replace(&mut self.begun, true) {
            Ok(())
        } else {
            writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {}", Escaped(help, false), kind.label())
        };
        self.text.push_str(name);
        let mut separator = '{';
        for (label, value) in self.family.labels.iter().zip(labels) {
            let _ = write!(self.text, "{separator}{label}=\"{}\"", Escaped(value, true));
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        written.and_then(|()| writeln!(self.text, " {value}")).expect("writing to a String cannot fail");
    }
}

/// A text in which what would end it early is escaped; in a label, that is a quotation mark as well.
struct Escaped<'a>(&'a str, bool);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let special = |c: char| matches!(c, '\\' | '\n') || self.1 && c == '"';
        let mut rest = self.0;
        while let Some(at) = rest.find(special) {
            f.write_str(&rest[..at])?;
            f.write_str(match &rest[at..=at] {
                "\n" => "\\n",
                "\"" => "\\\"",
                _ => "\\\\",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// Every computed family.
pub(super) fn families(metrics: &Metrics, status: &Status) -> Vec<Series> {
    let mut all = Vec::from(mirrors());
    all.extend(program(metrics));
    let run = status.latest_run.as_ref().filter(|run| run.finished_at.is_none());
    all.push(Series::with(&families::RUN_SINCE, run.and_then(|run| run.started_at).map(seconds)));
    let gitea = &status.gitea;
    all.push(Series::with(&families::GITEA_UP, gitea.reachable.map(truth)));
    all.push(Series::with(&families::GITEA_LAST_SUCCESS, gitea.last_answer_at.map(seconds)));
    all.push(Series::with(&families::PLATFORM_COMPLETE, status.cutover_complete.map(truth)));
    all.push(Series::few(&families::GITEA_INFO, |lines| {
        if let (Some(flavour), Some(version)) = (gitea.flavour, &gitea.version) {
            lines.put(&[flavour, version], Some(1.0));
        }
    }));
    all
}

fn program(metrics: &Metrics) -> [Series; 7] {
    let process = Process::read();
    [
        Series::few(&families::BUILD_INFO, |lines| {
            lines.put(&metrics.build.each_ref().map(String::as_str), Some(1.0));
        }),
        Series::with(&families::RUN_TIMEOUT, Some(metrics.run_timeout.as_secs_f64())),
        Series::with(&families::PROCESS_START, process.start_time),
        Series::with(&families::PROCESS_CPU, process.cpu_seconds),
        Series::with(&families::PROCESS_RESIDENT, process.resident_bytes),
        Series::with(&families::PROCESS_OPEN_FDS, process.open_fds),
        Series::with(&families::PROCESS_MAX_FDS, process.max_fds),
    ]
}

/// The families that have series of each mirror.
fn mirrors() -> [Series; 12] {
    const fn each(family: &'static Family, one: OfMirror) -> Series {
        Series { family, lines: Computed::OfMirrors(one) }
    }
    [
        each(&families::MIRROR_PHASE, |lines, row| lines.put(&[&row.name, row.phase], Some(1.0))),
        each(&families::MIRROR_MODE, |lines, row| lines.put(&[&row.name, row.mode], Some(1.0))),
        each(&families::MIRROR_MODE_APPLIED, |lines, row| lines.put(&[&row.name], row.mode_applied)),
        each(&families::MIRROR_FRESHNESS, |lines, row| {
            for state in Freshness::LABELS {
                lines.put(&[&row.name, state], Some(truth(row.freshness == state)));
            }
        }),
        each(&families::MIRROR_LAST_SUCCESS, |lines, row| lines.put(&[&row.name], row.proven_at)),
        each(&families::MIRROR_LAST_RUN_SUCCESS, |lines, row| lines.put(&[&row.name], row.last_run_success)),
        each(&families::MIRROR_FAILURES, |lines, row| lines.put(&[&row.name], Some(row.failures))),
        each(&families::MIRROR_BEHIND_SINCE, |lines, row| lines.put(&[&row.name], row.behind_since)),
        each(&families::MIRROR_OBSERVED, |lines, row| lines.put(&[&row.name], row.observed_at)),
        each(&families::MIRROR_INTERVAL, |lines, row| lines.put(&[&row.name], Some(row.interval))),
        each(&families::MIRROR_REFS, |lines, row| {
            lines.put(&[&row.name, "upstream"], row.upstream_refs);
            lines.put(&[&row.name, "gitea"], row.gitea_refs);
        }),
        each(&families::MIRROR_REFS_DIFFERING, |lines, row| lines.put(&[&row.name], row.differing)),
    ]
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
