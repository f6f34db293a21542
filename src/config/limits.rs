//! The rules for `limits` and `observation`.
//!
//! Owns the bounds. The defaults are the policy's own.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::bytes;
use super::field::Field;
use super::report::{Report, Reported};
use super::settings::{LimitSettings, ObservationSettings};
use super::values::duration;
use crate::domain::duration::GoDuration;
use crate::domain::spec::Policy;

/// Gitea's own limit of a clone, `[git.timeout] MIGRATE`, by default.
const GITEA_CLONE_LIMIT: Duration = Duration::from_mins(10);

/// From a few thousand refs a side to some millions.
const REFS_BYTES: RangeInclusive<usize> = 1 << 20..=1 << 30;

const CONNECTIONS: usize = 256;

const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(2);

/// `limits` and `observation`: the policy, and how many connections may be open.
pub(super) fn limits(
    limits: &LimitSettings,
    observation: &ObservationSettings,
    report: &mut Report,
) -> Result<(Policy, usize), Reported> {
    let default = Policy::default();
    let mut between = |field: &Field<String>, bounds: RangeInclusive<Duration>| {
        field.check(report, |text| {
            let duration = duration(text).map_err(str::to_owned)?.get();
            if bounds.contains(&duration) {
                return Ok(duration);
            }
            let [least, most] = [*bounds.start(), *bounds.end()].map(GoDuration::new);
            Err(format!("write a duration between {least} and {most}"))
        })
    };
    let run = between(&limits.run, MINUTE..=LONGEST);
    let migrate = between(&limits.migrate, MINUTE..=LONGEST);
    let sync = between(&limits.sync, MINUTE..=LONGEST);
    let dead_placeholder = between(&limits.dead_placeholder, TEN_SECONDS..=LONGEST);
    let refs_time = between(&limits.refs_time, TEN_SECONDS..=Duration::from_mins(10));
    // a shorter one asks upstream at each read of the status; a longer one shows a status that is of no use
    let ttl = between(&observation.ttl, Duration::from_secs(5)..=Duration::from_hours(1));
    let heal_after = between(&observation.heal_after, MINUTE..=Duration::from_hours(30 * 24));
    let refs_bytes = limits.refs_bytes.or(report, default.refs_bytes, |text| {
        let size = bytes::parse(text).map_err(str::to_owned)?;
        if REFS_BYTES.contains(&size) {
            return Ok(size);
        }
        let [least, most] = [*REFS_BYTES.start(), *REFS_BYTES.end()].map(bytes::show);
        Err(format!("write a size between {least} and {most}"))
    });
    let connections = limits.connections.or(report, CONNECTIONS, |count| match usize::try_from(*count) {
        Ok(count @ 1..=65_536) => Ok(count),
        _ => Err("write a number between 1 and 65536"),
    });
    let policy = Policy {
        run: run?.unwrap_or(default.run),
        migrate: migrate?.unwrap_or(default.migrate),
        sync: sync?.unwrap_or(default.sync),
        dead_placeholder: dead_placeholder?.unwrap_or(default.dead_placeholder),
        refs_time: refs_time?.unwrap_or(default.refs_time),
        refs_bytes: refs_bytes?,
        observed_for: ttl?.unwrap_or(default.observed_for),
        heal_after: heal_after?,
        pivot: None,
    };
    if policy.dead_placeholder < GITEA_CLONE_LIMIT {
        let what = "Gitea lets a clone take 10m0s by default, so that one that still runs may count as dead";
        report.warn(&limits.dead_placeholder.location, what);
    }
    for (field, limit) in [(&limits.migrate, policy.migrate), (&limits.sync, policy.sync)] {
        if limit > policy.run {
            let run = GoDuration::new(policy.run);
            report.warn(&field.location, format!("this limit has no effect: a run ends after {run}"));
        }
    }
    Ok((policy, connections?))
}
