//! The transport of a simulated service: latency, the record, and every rule that concerns a single call. Each call
//! arrives and each answer returns in a millisecond of its own, so that the same seed plays the same story whatever
//! the machine's threads do. Never changes what is sent or answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use cutover_api::clock::Clock;
use cutover_api::domain::answer::Trouble;
use cutover_api::transport::{Call, Transport};
use futures_util::future::BoxFuture;
use http::{Method, Response};
use jiff::Timestamp;
use rusqlite::Connection;
use standin::{Gitea, Refs, Upstream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rng::Rng;
use super::{GITEA, OWNER, REPO, service::SimClock};
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
enum Shown {
    Nothing,
    Sound,
    /// It answered, and no list of branches.
    Nonsense,
    /// It did not answer.
    Silence,
}

/// Where a service is to be crashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashPoint {
    pub(super) who: usize,
    /// The how manieth changing call from now on.
    pub(super) call: usize,
    /// After its answer, before anybody has seen it; else before it is sent.
    pub(super) after: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) readings: Vec<Reading>,
    slots: BTreeSet<u128>,
    /// Who waits for a millisecond from when on, and what for; the last number tells two of the same apart.
    queue: BTreeSet<(u128, usize, String, u64)>,
    askers: u64,
    /// The millisecond that each asker has been given.
    served: BTreeMap<u64, u128>,
    rngs: BTreeMap<usize, Rng>,
    /// The last intent that was used up, of each service.
    last_intent: BTreeMap<usize, i64>,
    journals: BTreeMap<usize, Connection>,
    shown: BTreeMap<usize, Shown>,
    /// Services whose migrate is under way.
    migrating: BTreeSet<usize>,
    /// Who may have made a repository.
    pub(super) makers: BTreeMap<u64, BTreeSet<usize>>,
    /// Services whose mirror is pinned or severed.
    pub(super) still: BTreeMap<usize, &'static str>,
    /// Who changed something when, by that service's own clock.
    pub(super) changed: Vec<(usize, Timestamp)>,
    /// Every ref that the mirror was seen to hold, by the repository's id.
    pub(super) once_held: BTreeMap<u64, BTreeSet<String>>,
    pub(super) crash: Option<CrashPoint>,
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

/// One service's way to the network.
pub(super) struct Wire {
    pub(super) who: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<SimClock>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// Which intents may stand for a call.
fn kinds(method: &Method, path: &str, body: &str) -> &'static [&'static str] {
    match (method.as_str(), path) {
        ("POST", path) if path.ends_with("/orgs") => &["create_organisation"],
        ("POST", path) if path.ends_with("/migrate") => &["migrate"],
        ("POST", path) if path.ends_with("/mirror-sync") => &["mirror_sync"],
        ("PATCH", _) if body.contains("\"default_branch\"") => &["patch_default_branch"],
        ("PATCH", _) if body.contains("\"name\"") => &["rename", "rename_aside", "give_back", "rename_back"],
        ("PATCH", _) => &["patch_settings"],
        ("DELETE", _) => &["delete", "delete_placeholder", "repair"],
        _ => &[],
    }
}

impl Wire {
    /// No changing call without an intent of its own, written just before.
    fn intended(&self, method: &Method, path: &str, body: &str) {
        let mut state = self.shared.state();
        let newest = state.journals[&self.who].query_row(
            "SELECT seq, kind, answer IS NULL FROM intents ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)),
        );
        let before = state.last_intent.get(&self.who).copied().unwrap_or_default();
        let kinds = kinds(method, path, body);
        let why = match newest {
            Err(error) => Some(format!("no intent is in the journal ({error})")),
            Ok((seq, ..)) if seq <= before => Some("the newest intent was another call's".to_owned()),
            Ok((_, _, false)) => Some("the newest intent has its answer already".to_owned()),
            Ok((_, kind, _)) if !kinds.contains(&kind.as_str()) => Some(format!("the intent is one to {kind}")),
            Ok((seq, ..)) => {
                state.last_intent.insert(self.who, seq);
                None
            }
        };
        drop(state);
        if let Some(why) = why {
            self.shared.broken(&format!("{method} {path} without an intent: {why}"));
        }
    }

    /// A DELETE needs a placeholder of our own making that nothing is filling.
    fn may_delete(&self, path: &str) {
        let name = path.trim_start_matches("/api/v1/repos/");
        let views = self.shared.gitea.repositories();
        let Some(view) = views.iter().find(|view| view.full_name == name) else { return };
        let ours = self.shared.state().makers.get(&view.id).is_some_and(|makers| makers.contains(&self.who));
        if !view.placeholder || view.cloning || !ours {
            let (placeholder, cloning) = (view.placeholder, view.cloning);
            let what = format!("placeholder {placeholder}, being filled {cloning}, made by this service {ours}");
            self.shared.broken(&format!("DELETE of {name} ({}) without proof: {what}", view.id));
        }
    }

    /// No sync beside an upstream that answered wrongly, nor beside a silent one with pruning on.
    fn may_sync(&self) {
        let shown = self.shared.state().shown.get(&self.who).copied().unwrap_or(Shown::Nothing);
        let prunes = self.shared.gitea.repository(OWNER, REPO).and_then(|view| view.enable_prune) == Some(true);
        let risky = match shown {
            // that a sync which was running has written the old pruning back cannot be seen
            Shown::Sound => false,
            Shown::Silence => prunes,
            Shown::Nothing | Shown::Nonsense => true,
        };
        if risky {
            self.shared
                .broken(&format!("a sync was asked for beside an upstream that was {shown:?}, pruning {prunes}"));
        }
    }

    /// On a mirror that stands still nothing is fetched, and a severed one is not even looked at upstream.
    fn stands_still(&self, to_gitea: bool, changes: bool, path: &str) {
        let still = self.shared.state().still.get(&self.who).copied();
        let fetches = changes && (path.ends_with("/mirror-sync") || path.ends_with("/migrate"));
        if still.is_some() && fetches || still == Some("severed") && !to_gitea {
            self.shared.broken(&format!("{path} was called although the mirror is {still:?}"));
        }
    }

    fn understand(&self, result: &Result<Response<Bytes>, Trouble>, path: &str) {
        let shown = match result {
            Err(_) => Shown::Silence,
            Ok(answer) if answer.status().is_server_error() || answer.status() == 429 => Shown::Silence,
            Ok(answer) => {
                let text = String::from_utf8_lossy(answer.body());
                let git = answer.headers().get("content-type").is_some_and(|kind| {
                    kind.to_str().is_ok_and(|kind| kind.starts_with("application/x-git-upload-pack-"))
                });
                let lists = text.contains(" refs/heads/") && text.ends_with("0000");
                // only half of a reading: its other half decides
                let capabilities = path.contains("info/refs") && text.contains("version 2") && text.ends_with("0000");
                if answer.status() == 200 && git && (lists || capabilities) { Shown::Sound } else { Shown::Nonsense }
            }
        };
        self.shared.state().shown.insert(self.who, shown);
    }

    /// Whether this service ends here.
    fn crashes(&self, after: bool) -> bool {
        let mut state = self.shared.state();
        let Some(point) = state.crash.as_mut().filter(|point| point.who == self.who && point.after == after) else {
            return false;
        };
        if point.call > 0 {
            point.call -= 1;
            return false;
        }
        state.crash = None;
        true
    }

    fn changed(&self, path: &str) {
        let mut state = self.shared.state();
        state.changed.push((self.who, self.clock.now()));
        if path.ends_with("/migrate") {
            state.migrating.remove(&self.who);
        }
    }

    async fn dies(&self) {
        self.shared.note(&format!("s{} dies here", self.who));
        self.shared.state().dead.push(self.who);
        self.shared.crashed.notify_one();
        std::future::pending::<()>().await;
    }

    async fn through(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let (method, uri) = (call.request.method().clone(), call.request.uri().clone());
        let (path, body) = (uri.path().to_owned(), String::from_utf8_lossy(call.request.body()).into_owned());
        let to_gitea = uri.authority().is_some_and(|authority| authority == GITEA);
        let changes = to_gitea && method != Method::GET && !path.ends_with("/git-upload-pack");
        let reads = path.ends_with("/git-upload-pack") || path.ends_with("/info/refs");
        let asked = format!("{method} {uri} {body}");
        self.shared.slot(self.who, &asked).await;
        self.stands_still(to_gitea, changes, &path);
        if changes {
            self.intended(&method, &path, &body);
            if self.crashes(false) {
                self.dies().await;
            }
            self.shared.state().changes += 1;
            match method.as_str() {
                "DELETE" => self.may_delete(&path),
                _ if path.ends_with("/mirror-sync") => self.may_sync(),
                _ if path.ends_with("/migrate") => drop(self.shared.state().migrating.insert(self.who)),
                _ => {}
            }
        }
        let holds = || match (reads, to_gitea) {
            (true, true) => self.shared.gitea.heads_and_tags(OWNER, REPO),
            (true, false) => self.shared.upstream.heads_and_tags("one"),
            _ => Refs::new(),
        };
        let before = holds();
        let mut sending = self.shared.in_process.send(call);
        // a migrate makes its row at once, whoever waits for its end
        let early = futures_util::poll!(&mut sending);
        self.shared.look();
        let result = match early {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => sending.await,
        };
        self.shared.look();
        let held = [before, holds()];
        let what = match &result {
            Ok(answer) => answer.status().to_string(),
            Err(trouble) => format!("{:?}", trouble.kind),
        };
        let side = if to_gitea { "gitea" } else { "upstream" };
        self.shared.note(&format!("s{} {side:8} {method} {path} {body:.120?} -> {what}", self.who));
        if changes {
            self.changed(&path);
            if self.crashes(true) {
                self.dies().await;
            }
        }
        if reads && !to_gitea {
            self.understand(&result, &path);
        }
        self.shared.slot(self.who, &asked).await;
        if reads {
            let wall = self.clock.now();
            self.shared.state().readings.push(Reading { who: self.who, of_gitea: to_gitea, wall, held });
        }
        result
    }
}

impl Transport for Wire {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        Box::pin(self.through(call))
    }
}
