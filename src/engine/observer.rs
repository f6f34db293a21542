//! One observation: each side is asked once, within `limits.refsTime`, and nothing is changed, waited for or tried again.
//!
//! Owns that limit for what is no list: a list has its own. The looks are a driver's own, and what they come to is the domain's to say. The journal is asked for
//! one thing: whether an interval of `0s` may be ours.

use tokio::time::{Instant, timeout};

use super::driver::{Driver, Work};
use super::facts::LastSeen;
use crate::domain::decide::{Finding, Look, Purpose, Standing, observe, standing, too_slow};
use crate::domain::observation::History;
use crate::domain::spec::Mode;
use crate::domain::status::Facts;

/// What an observation came to.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) finding: Finding,
    /// Whether it is run in Gitea as its mode says.
    pub(super) standing: Standing,
    pub(super) seen: LastSeen,
}

/// What an observation has to know of the mirror beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    mode: Mode,
    repository: Option<u64>,
    refs: Option<u64>,
    branches: Option<u64>,
}

impl Known {
    pub(super) fn of(mode: Mode, facts: &Facts) -> Self {
        // only one that was proven was a mirror of ours
        let repository = facts.gitea_id.filter(|_| facts.proven_at.is_some());
        Self { mode, repository, refs: facts.proven_refs, branches: facts.proven_branches }
    }
}

/// Observes a mirror with the looks of a driver that nobody listens to.
pub(super) async fn one(driver: &Driver, known: Known) -> Observed {
    let history = History::without_patience(known.refs, known.branches);
    let history = History { mode: known.mode, mirror: known.repository, ..history };
    let mut work = Work::beginning(Instant::now(), Purpose::Observation, history);
    let (mut mode, mut standing) = (known.mode, Standing::AsSaid);
    let finding = loop {
        work.tick();
        work.history.hears_of(&driver.pushes.borrow());
        match observe(&driver.spec, mode, &work.observation, &work.history, known.repository) {
            Ok(finding) => break finding,
            Err(look @ (Look::Upstream | Look::LocalRefs)) => driver.look(look, &mut work).await,
            Err(look) => {
                if timeout(driver.around.policy.refs_time, driver.look(look, &mut work)).await.is_err() {
                    if look == Look::Repository {
                        driver.around.note_gitea(false, driver.around.clock.now()).await;
                    }
                    break too_slow();
                }
                if look == Look::Repository {
                    standing = how_it_stands(driver, &work).await;
                    // what it comes to is as it will be told: of a mirror that has been stopped
                    if standing == Standing::Stopped {
                        mode = Mode::Pinned;
                    }
                }
            }
        }
    };
    work.seen.pushes = work.history.pushes;
    Observed { finding, standing, seen: work.seen }
}

/// What the repository shows of how the mirror is run.
async fn how_it_stands(driver: &Driver, work: &Work) -> Standing {
    let policy = &driver.around.policy;
    let first = standing(&driver.spec, &work.observation, &work.history, policy);
    if first != Standing::Stopped {
        return first;
    }
    // rare enough to ask the journal, which knows what we have sent: the same rule as a run's, by the same dates
    match driver.recall().await {
        Ok(history) => standing(&driver.spec, &work.observation, &history, policy),
        // nothing is found that could not be written down
        Err(_) => Standing::AsSaid,
    }
}
