//! Callers' connections, held against the number of files that the process may open.
//!
//! Owns how many descriptors are kept for everything else: without them neither the tokens file nor the journal could be
//! opened, and a flood of connections would lock every caller out.

use rustix::process::{Resource, getrlimit};

use super::report::{Place, Report, Reported};

/// For the journal, the listener, the runtime, files of secrets, and name servers.
const OWN: u64 = 64;

/// For each mirror: both lists of refs and Gitea's API are read at once.
const OF_A_MIRROR: u64 = 3;

/// As many mirrors are read at once, at most: the lists in memory are bounded in sum.
const AT_ONCE: u64 = 64;

/// The fewest connections with which there is a service: a quarter may be streams of events.
const FEWEST: u64 = 16;

/// How many files this process may open; `None`: any number.
pub(super) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// As many of the configured connections as there are descriptors for; too few for a service are a fault.
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
    let place = Place::named("limits.connections");
    let raise = "raise the limit (`ulimit -n`, LimitNOFILE of systemd)";
    if fitting < FEWEST.min(connections as u64) {
        let needed = kept + FEWEST;
        return Err(report.fault(&place, format!("this process may open {limit} files and needs {needed}; {raise}")));
    }
    report.warn(
        &place,
        format!(
            "{fitting} are served, not {connections}: this process may open {limit} files, of which {kept} are kept for the \
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
