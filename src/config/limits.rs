//! The limits of the engine: how long things may take, and how old what is shown may be.
//!
//! Owns their bounds. Judges values, whatever they were written in.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::bytes;
use super::draft::{LimitsDraft, ObservationDraft};
use super::report::{Field, Report};
use super::rules::duration;
use crate::domain::duration::GoDuration;
use crate::domain::spec::Policy;

/// Gitea's own limit of a clone, `[git.timeout] MIGRATE`, by default.
const GITEA_CLONE_LIMIT: Duration = Duration::from_mins(10);

/// How much memory the refs of one side may take: from a few thousand refs to some millions.
const REFS_BYTES: RangeInclusive<usize> = 1 << 20..=1 << 30;

/// `limits` and `observation`.
pub(super) fn limits(
    draft: &LimitsDraft,
    observation: &ObservationDraft,
    report: &mut Report,
) -> Option<(Policy, usize)> {
    let default = Policy::default();
    let between = |field: &Field<String>, default: Duration, least: Duration, most: Duration, report: &mut Report| {
        field.or(
            report,
            || Some(default),
            |text| {
                let duration = duration(text).map_err(str::to_owned)?.get();
                if (least..=most).contains(&duration) {
                    Ok(duration)
                } else {
                    Err(format!("this is between {} and {}", GoDuration::new(least), GoDuration::new(most)))
                }
            },
        )
    };
    let (minute, longest) = (Duration::from_mins(1), Duration::from_hours(2));
    let run = between(&draft.run, default.run, minute, longest, report);
    let migrate = between(&draft.migrate, default.migrate, minute, longest, report);
    let sync = between(&draft.sync, default.sync, minute, longest, report);
    let dead = between(&draft.dead_placeholder, default.dead_placeholder, Duration::from_secs(10), longest, report);
    let refs_time =
        between(&draft.refs_time, default.refs_time, Duration::from_secs(10), Duration::from_mins(10), report);
    let refs_bytes = draft.refs_bytes.or(
        report,
        || Some(default.refs_bytes),
        |text| match bytes::parse(text) {
            Ok(size) if REFS_BYTES.contains(&size) => Ok(size),
            Ok(_) => Err(format!(
                "this is between {} and {}",
                bytes::show(*REFS_BYTES.start()),
                bytes::show(*REFS_BYTES.end())
            )),
            Err(wrong) => Err(wrong.to_owned()),
        },
    );
    // below a few seconds every reader would ask upstream; above an hour what is shown is of no use
    let ttl = between(&observation.ttl, default.observed_for, Duration::from_secs(5), Duration::from_hours(1), report);
    let month = Duration::from_hours(30 * 24);
    let heal_after = match &observation.heal_after {
        Field::Absent(_) => Some(None),
        given @ (Field::Given(..) | Field::Bad) => {
            between(given, minute, minute, month, report).map(|(_, after)| Some(after))
        }
    };
    let connections = draft.connections.or(
        report,
        || Some(256),
        |count| match usize::try_from(*count) {
            Ok(count @ 1..=65_536) => Ok(count),
            _ => Err("this is between 1 and 65536"),
        },
    );
    if let Some((place, dead)) = &dead
        && *dead < GITEA_CLONE_LIMIT
    {
        report.warn(
            place,
            "Gitea itself lets a clone take 10m0s by default: one that is still running may count as dead",
        );
    }
    if let Some((_, run)) = &run {
        for (place, limit) in [&migrate, &sync].into_iter().flatten() {
            if limit > run {
                report
                    .warn(place, format!("a run ends after {}, so that this is never reached", GoDuration::new(*run)));
            }
        }
    }
    let policy = Policy {
        run: run?.1,
        migrate: migrate?.1,
        sync: sync?.1,
        dead_placeholder: dead?.1,
        refs_time: refs_time?.1,
        refs_bytes: refs_bytes?.1,
        observed_for: ttl?.1,
        heal_after: heal_after?,
        pivot: None,
    };
    Some((policy, connections?.1))
}
