//! The limit on connections, by the number of files that the process may open.
//!
//! Owns how many file descriptors are reserved for everything else. Without them, a flood of connections would keep the
//! tokens file and the journal from being opened.

use rustix::process::{Resource, getrlimit};

use super::report::{Location, Report, Reported};

/// Reserved for the journal, the listener, the runtime, secret files and name resolution.
const OWN: u64 = 64;

/// Reserved for a mirror: both ref lists and Gitea's API are read at the same time.
const OF_A_MIRROR: u64 = 3;

/// The most mirrors that are read at the same time: one budget bounds all lists in memory.
const AT_ONCE: u64 = 64;

/// The fewest connections of a usable service: a quarter of them may be event streams.
const FEWEST: u64 = 16;

/// The number of files that this process may open; `None` is unlimited.
pub(super) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The configured connections, or fewer if there are not enough descriptors; too few for a usable service are a fault.
pub(super) fn fitting(
    connections: usize,
    mirrors: usize,
    limit: Option<u64>,
    report: &mut Report,
) -> Result<usize, Reported> {
    let Some(limit) = limit else { return Ok(connections) };
    let kept = OWN + OF_A_MIRROR * AT_ONCE.min(mirrors as u64);
    let fitting = limit.saturating_sub(kept);
    if connections as u64 <= fitting {
        return Ok(connections);
    }
    let location = Location::named("limits.connections");
    let raise = "raise the limit (`ulimit -n`, LimitNOFILE of systemd)";
    if fitting < FEWEST.min(connections as u64) {
        let needed = kept + FEWEST;
        return Err(report.fault(&location, format!("this process may open {limit} files and needs {needed}; {raise}")));
    }
    report.warn(
        &location,
        format!(
            "{fitting} are served, not {connections}: this process may open {limit} files, and {kept} are reserved for the \
             journal, Gitea and upstream; {raise}"
        ),
    );
    Ok(usize::try_from(fitting).unwrap_or(connections))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_journal_and_every_mirror() {
        for (connections, mirrors, limit, expected) in [
            (256, 1, Some(1_024), Some(256)),
            (256, 10_000, Some(512), Some(256)),
            (256, 64, Some(511), Some(255)),
            (256, 1, None, Some(256)),
            (65_536, 1, None, Some(65_536)),
            (256, 1, Some(323), Some(256)),
            (256, 1, Some(322), Some(255)),
            (4_096, 10, Some(1_024), Some(930)),
            (256, 1, Some(83), Some(16)),
            (256, 1, Some(82), None),
            (256, 1, Some(0), None),
            (2, 1, Some(69), Some(2)),
            (2, 1, Some(68), None),
        ] {
            let mut report = Report::default();
            let case = format!("{connections} {mirrors} {limit:?}");
            let served = fitting(connections, mirrors, limit, &mut report);
            assert_eq!(served.ok(), expected, "{case}");
            let said = report.finish(served);
            match expected {
                None => assert!(said.unwrap_err().to_string().contains("ulimit -n"), "{case}"),
                Some(fitting) => assert_eq!(said.unwrap().1.len(), usize::from(fitting != connections), "{case}"),
            }
        }
    }
}
