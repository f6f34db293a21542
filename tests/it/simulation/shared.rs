//! What all services of one story share: the servers, the record of what was asked and held, the milliseconds that are given
//! out, and where a service is to be crashed. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use standin::{CallKind, Gitea, Refs, Upstream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rng::Rng;
use super::{OWNER, REPO};
use crate::world::InProcess;

/// More than there ever are: two services and the story.
const WHO: u128 = 4;

/// A list of refs that a service was given, and what its server really held then.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) who: usize,
    pub(super) of_gitea: bool,
    pub(super) wall: Timestamp,
    /// Before and after the server answered.
    pub(super) held: [Refs; 2],
}

/// What upstream last was to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Sound,
    /// It answered, and no list of branches.
    Nonsense,
    /// It did not answer.
    Silence,
}

/// What a service may be crashed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A changing call.
    Call,
    /// A use of its journal.
    Journal,
}

/// Where a service is to be crashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashPoint {
    pub(super) who: usize,
    pub(super) place: Place,
    /// The how manieth of them from now on.
    pub(super) count: usize,
    /// Once it is done, before anybody has heard of that; else before.
    pub(super) after: bool,
}

/// A changing call that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) who: usize,
    /// Of its intent.
    pub(super) run: String,
    pub(super) intent: String,
    pub(super) kind: CallKind,
    /// How many changes Gitea had made until then.
    pub(super) from: usize,
    /// Whether Gitea had made this one when its answer was here, or was not.
    pub(super) done: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) readings: Vec<Reading>,
    pub(super) slots: BTreeSet<u128>,
    /// Who waits for a millisecond from when on, and what for; the last number tells two of the same apart.
    pub(super) queue: BTreeSet<(u128, usize, String, u64)>,
    pub(super) askers: u64,
    /// The millisecond that each asker has been given.
    pub(super) served: BTreeMap<u64, u128>,
    pub(super) rngs: BTreeMap<usize, Rng>,
    /// The last intent that was used up, of each service.
    pub(super) last_intent: BTreeMap<usize, i64>,
    pub(super) journals: BTreeMap<usize, Connection>,
    pub(super) shown: BTreeMap<usize, Shown>,
    /// Services whose migrate is under way.
    pub(super) migrating: BTreeSet<usize>,
    /// Who may have made a repository.
    pub(super) makers: BTreeMap<u64, BTreeSet<usize>>,
    /// Services whose mirror is pinned or severed.
    pub(super) still: BTreeMap<usize, &'static str>,
    /// Who changed something when, by that service's own clock.
    pub(super) changed: Vec<(usize, Timestamp)>,
    /// Every ref that the mirror was seen to hold, by the repository's id.
    pub(super) once_held: BTreeMap<u64, BTreeSet<String>>,
    pub(super) crash: Option<CrashPoint>,
    /// Of every use of the first service's journal, in order: whether it wrote anything.
    pub(super) uses: Vec<bool>,
    /// Every changing call that was sent.
    pub(super) sent: Vec<Sent>,
    /// Rows that somebody else's migrate has made.
    pub(super) strangers: BTreeSet<u64>,
    /// Services that do not know what became of a migrate: a later row may be theirs, as far as they can tell.
    pub(super) doubtful: BTreeSet<usize>,
    /// Services that have reached their point.
    pub(super) dead: Vec<usize>,
    pub(super) changes: usize,
}

/// What all services of one story share.
pub(super) struct Shared {
    pub(super) gitea: Gitea,
    pub(super) upstream: Upstream,
    pub(super) in_process: InProcess,
    pub(super) began: Instant,
    pub(super) crashed: Notify,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(gitea: Gitea, upstream: Upstream, in_process: InProcess) -> Self {
        let (began, crashed) = (Instant::now(), Notify::new());
        Self { gitea, upstream, in_process, began, crashed, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds a line to the record.
    pub(super) fn note(&self, line: &str) {
        let at = self.began.elapsed();
        self.state().log.push(format!("{:>11.3} {line}", at.as_secs_f64()));
    }

    /// A rule was broken.
    pub(super) fn broken(&self, rule: &str) {
        self.note(&format!("!! {rule}"));
        self.state().violations.push(rule.to_owned());
    }

    pub(super) fn seed(&self, who: usize, rng: Rng) {
        self.state().rngs.insert(who, rng);
    }

    /// Reads a journal from now on, from its beginning.
    pub(super) fn watch(&self, who: usize, journal: Connection) {
        let mut state = self.state();
        state.journals.insert(who, journal);
        state.last_intent.insert(who, 0);
    }

    /// Runs a statement on a journal behind its owner's back.
    pub(super) fn tamper(&self, who: usize, statement: &str) {
        self.state().journals[&who].execute_batch(statement).unwrap();
    }

    /// What SQLite says of a journal: another number once somebody else has written.
    pub(super) fn version(&self, who: usize) -> i64 {
        let read = |journal: &Connection| journal.query_row("PRAGMA data_version", [], |row| row.get(0));
        self.state().journals.get(&who).map_or(0, |journal| read(journal).unwrap())
    }

    /// Which runs have ended with what was read then: one driver's end is theirs. When they ended is no sign of it, since no
    /// run ends before it began, whatever its clock was set to meanwhile.
    pub(super) fn ended_with(&self, who: usize, read_at: &str) -> BTreeSet<String> {
        let state = self.state();
        let query = "SELECT run FROM parts WHERE instr(body, ?1) > 0";
        let mut statement = state.journals[&who].prepare_cached(query).unwrap();
        statement.query_map([read_at], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Whether one of these runs has asked for a sync and cannot know what became of that.
    pub(super) fn a_sync_was_lost(&self, who: usize, runs: &BTreeSet<String>) -> bool {
        let state = self.state();
        let query = "SELECT EXISTS (SELECT 1 FROM intents WHERE run = ?1 AND kind = 'mirror_sync' AND \
                     (answer IS NULL OR json_extract(answer, '$.Unknown.sent') = 'maybe'))";
        let mut statement = state.journals[&who].prepare_cached(query).unwrap();
        runs.iter().any(|run| statement.query_row([run], |row| row.get(0)).unwrap())
    }

    /// Whether a service ends here.
    pub(super) fn crashes(&self, who: usize, place: Place, after: bool) -> bool {
        let mut state = self.state();
        let here = |point: &&mut CrashPoint| point.who == who && point.place == place && point.after == after;
        let Some(point) = state.crash.as_mut().filter(here) else { return false };
        if point.count > 0 {
            point.count -= 1;
            return false;
        }
        state.crash = None;
        true
    }

    /// Waits for a millisecond that nobody else has. Which one does not depend on who asks first, since the machine's
    /// threads decide that: paused time moves on only when nothing is left to do, so all who ask in this millisecond
    /// stand in the queue by the next one, where they are served in the order of what they are about to do.
    pub(super) async fn slot(&self, who: usize, what: &str) {
        let (queued, asker) = {
            let mut state = self.state();
            state.askers += 1;
            let (queued, asker) = (self.began.elapsed().as_millis() + 1, state.askers);
            state.queue.insert((queued, who, what.to_owned(), asker));
            (queued, asker)
        };
        self.sleep_until(queued).await;
        self.serve(queued);
        let at = self.state().served.remove(&asker).unwrap();
        self.sleep_until(at).await;
    }

    /// Gives each of those who asked before a millisecond one of their own.
    fn serve(&self, before: u128) {
        let mut state = self.state();
        let later = state.queue.split_off(&(before + 1, 0, String::new(), 0));
        for (asked, who, _, asker) in std::mem::replace(&mut state.queue, later) {
            let wait = u128::from(state.rngs.get_mut(&who).map_or(1, |rng| 1 + rng.below(25)));
            let mut at = asked + wait;
            at += (who as u128 + WHO - at % WHO) % WHO;
            while !state.slots.insert(at) {
                at += WHO;
            }
            state.served.insert(asker, at);
        }
    }

    async fn sleep_until(&self, millisecond: u128) {
        tokio::time::sleep_until(self.began + Duration::from_millis(u64::try_from(millisecond).unwrap())).await;
    }

    /// Somebody migrates our upstream to the mirror's name, and waits for no answer.
    pub(super) async fn strange_clone(&self) {
        let (gitea, address) = (self.gitea.clone(), self.upstream.url("one"));
        tokio::spawn(async move { gitea.migrate_as("other", OWNER, REPO, &address).await });
        // nobody else does anything in this millisecond
        tokio::time::sleep(Duration::from_millis(1)).await;
        if let Some(view) = self.gitea.repository(OWNER, REPO) {
            self.state().strangers.insert(view.id);
        }
    }

    /// The mirror's repository, noted with what it holds.
    pub(super) fn look(&self) {
        let Some(view) = self.gitea.repository(OWNER, REPO) else { return };
        let held = self.gitea.heads_and_tags(OWNER, REPO);
        let mut state = self.state();
        if !state.makers.contains_key(&view.id) {
            let makers = state.migrating.clone();
            state.makers.insert(view.id, makers);
        }
        state.once_held.entry(view.id).or_default().extend(held.into_keys());
    }
}
