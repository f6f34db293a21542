//! The gauges that follow from what is known now: computed at each scrape, in one pass over the mirrors for each family.
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

/// Writes the series that one mirror has of a family.
pub(super) type OfMirror = fn(&mut Lines<'_>, &str, &MirrorStatus, Timestamp);

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
        each(&families::MIRROR_PHASE, |lines, name, mirror, _| lines.put(&[name, mirror.phase.label()], Some(1.0))),
        each(&families::MIRROR_MODE, |lines, name, mirror, _| lines.put(&[name, mirror.mode.label()], Some(1.0))),
        each(&families::MIRROR_MODE_APPLIED, |lines, name, mirror, _| {
            let applied = |change: &ModeChange| truth(change.applied_at.is_some() && change.problem.is_none());
            lines.put(&[name], mirror.mode_change.as_ref().map(applied));
        }),
        each(&families::MIRROR_FRESHNESS, |lines, name, mirror, now| {
            let is = mirror.freshness(now).label();
            for state in Freshness::LABELS {
                lines.put(&[name, state], Some(truth(is == state)));
            }
        }),
        each(&families::MIRROR_LAST_SUCCESS, |lines, name, mirror, _| {
            lines.put(&[name], mirror.facts.proven_at.map(seconds));
        }),
        each(&families::MIRROR_LAST_RUN_SUCCESS, |lines, name, mirror, _| {
            lines.put(&[name], mirror.facts.last_end.map(|end| truth(end == Phase::Succeeded)));
        }),
        each(&families::MIRROR_FAILURES, |lines, name, mirror, _| {
            lines.put(&[name], Some(f64::from(mirror.facts.consecutive_failures)));
        }),
        each(&families::MIRROR_BEHIND_SINCE, |lines, name, mirror, now| {
            if let Freshness::Behind { behind, .. } = mirror.freshness(now) {
                lines.put(&[name], Some(seconds(behind.since)));
            }
        }),
        each(&families::MIRROR_OBSERVED, |lines, name, mirror, _| {
            lines.put(&[name], mirror.facts.observed_at.map(seconds));
        }),
        each(&families::MIRROR_INTERVAL, |lines, name, mirror, _| {
            lines.put(&[name], Some(mirror.spec.interval.get().as_secs_f64()));
        }),
        each(&families::MIRROR_REFS, |lines, name, mirror, _| {
            lines.put(&[name, "upstream"], mirror.facts.upstream_refs.map(count));
            lines.put(&[name, "gitea"], mirror.facts.gitea_refs.map(count));
        }),
        each(&families::MIRROR_REFS_DIFFERING, |lines, name, mirror, now| match mirror.freshness(now) {
            Freshness::Fresh => lines.put(&[name], Some(0.0)),
            Freshness::Behind { behind, .. } => lines.put(&[name], Some(count(behind.refs))),
            Freshness::Unknown { .. } => {}
        }),
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
