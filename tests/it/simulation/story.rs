//! A story: one service or two, a Gitea and an upstream ([`super::setting`]), the chaos, and the quiet after it in which
//! everything has to come right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use standin::Profile;

use super::chaos;
use super::oracle::{self, NEEDS_A_PERSON, Precious};
use super::rng::Rng;
use super::service::Sut;
use super::setting::{DEAD, GIT_TIMEOUT, Setting};
use super::shared::Shared;
use super::{OWNER, REPO};

/// A run's own limit, what it may be in the middle of then, and latency.
pub(super) const LONGEST_RUN: Duration = Duration::from_mins(30 + 15 + 2);

/// How long a new run may take once everything is well, beyond a clone.
const SOON: Duration = Duration::from_mins(1);

/// What one seed came to.
pub(super) struct Told {
    pub(super) profile: Profile,
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) changes: usize,
    pub(super) runs: usize,
    pub(super) succeeded: usize,
    pub(super) freshness: BTreeMap<String, u64>,
}

pub(super) struct Story {
    pub(super) setting: Setting,
    pub(super) rng: Rng,
    pub(super) shared: Arc<Shared>,
    pub(super) services: Vec<Sut>,
    pub(super) token: String,
    pub(super) precious: Precious,
    /// Runs that are under way, and whose.
    open: Vec<(usize, String)>,
    /// Tables that cannot be written, by service.
    pub(super) full: Vec<(usize, &'static str)>,
    runs: usize,
    succeeded: usize,
    /// How often each state of freshness was told.
    pub(super) freshness: BTreeMap<String, u64>,
}

/// Plays on paused time, on this thread alone.
pub(super) fn on_paused_time<T>(playing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let told = runtime.block_on(playing);
    runtime.shutdown_background();
    told
}

/// Plays a seed.
pub(super) fn play(seed: u64) -> Told {
    on_paused_time(async {
        let mut story = Story::drawn(seed).await;
        story.chaos().await;
        story.quiet().await;
        story.end()
    })
}

impl Story {
    /// With nothing played yet.
    pub(super) fn of(setting: Setting, rng: Rng, shared: Arc<Shared>, services: Vec<Sut>, token: String) -> Self {
        Self {
            setting,
            rng,
            shared,
            services,
            token,
            precious: Precious::new(),
            open: Vec::new(),
            full: Vec::new(),
            runs: 0,
            succeeded: 0,
            freshness: BTreeMap::new(),
        }
    }

    /// Somebody's content, which must be there for ever.
    pub(super) fn holds_dear(&mut self, name: &str) {
        let gitea = &self.shared.gitea;
        if let Some(view) = gitea.repository(OWNER, name) {
            self.precious.insert(view.id, gitea.heads_and_tags(OWNER, name));
        }
    }

    /// Asks one of the services for a run.
    pub(super) async fn ask(&mut self, rng: &mut Rng) {
        let who = usize::try_from(rng.below(self.services.len() as u64)).unwrap();
        self.shared.slot(self.services.len(), "").await;
        if let Some(id) = self.services[who].ask(self.setting.body).await
            && !self.open.contains(&(who, id.clone()))
        {
            self.runs += 1;
            self.open.push((who, id));
        }
    }

    /// Asks the first service for a run until it takes it, waits for its end, and judges it. Whatever was accepted is known
    /// to the next life, too.
    pub(super) async fn runs_to_its_end(&mut self) -> Value {
        let began = tokio::time::Instant::now();
        let id = loop {
            self.shared.slot(self.services.len(), "").await;
            if let Some(id) = self.services[0].ask(self.setting.body).await {
                break id;
            }
            self.pass(Duration::from_secs(1)).await;
        };
        loop {
            self.pass(Duration::from_millis(500)).await;
            if !self.services[0].runs() {
                continue;
            }
            match self.services[0].run(&id).await {
                Some(run) if !run["finishedAt"].is_null() => {
                    oracle::judge(&self.shared, 0, &run, &self.setting);
                    return run;
                }
                // it may just have died over the question
                None if self.shared.state().dead.is_empty() => {
                    self.shared.broken(&format!("the run {id} was accepted and is not known"));
                    return Value::Null;
                }
                _ if began.elapsed() > LONGEST_RUN => {
                    self.shared.broken(&format!("the run {id} does not end"));
                    return Value::Null;
                }
                _ => {}
            }
        }
    }

    async fn chaos(&mut self) {
        let events = 6 + self.rng.below(22);
        let mut first = self.rng.fork();
        self.ask(&mut first).await;
        for _ in 0..events {
            let pause = self.rng.pause();
            self.pass(pause).await;
            if self.rng.percent(60) {
                self.readers().await;
                // what they have started ends, or is in the middle of what comes next
                let pause = Duration::from_millis(self.rng.below(15_000));
                self.pass(pause).await;
                self.readers().await;
            }
            chaos::happens(self).await;
            self.look_at_runs().await;
        }
    }

    /// Lets time pass; a service that dies meanwhile is started again a little later.
    pub(super) async fn pass(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = self.shared.crashed.notified() => {}
                () = tokio::time::sleep_until(until) => break,
            }
            let who = self.shared.state().dead.pop();
            if let Some(who) = who {
                self.services[who].crash();
                let pause = self.rng.below(5_000);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                self.services[who].start().await;
            }
        }
        self.shared.slot(self.services.len(), "").await;
    }

    /// Judges what has ended. A service that has lost its journal knows nothing of its runs.
    async fn look_at_runs(&mut self) {
        let mut still_open = Vec::new();
        for (who, id) in std::mem::take(&mut self.open) {
            if !self.services[who].runs() {
                still_open.push((who, id));
                continue;
            }
            match self.services[who].run(&id).await {
                Some(run) if run["finishedAt"].is_null() => still_open.push((who, id)),
                Some(run) => {
                    self.succeeded += usize::from(run["status"] == "succeeded");
                    oracle::judge(&self.shared, who, &run, &self.setting);
                }
                None => {}
            }
        }
        self.open = still_open;
    }

    /// All faults off: what is under way ends, and a new run succeeds soon.
    async fn quiet(&mut self) {
        self.shared.note("-- all is well from here on");
        self.shared.state().crash = None;
        self.heal().await;
        let began = tokio::time::Instant::now();
        while !self.open.is_empty() {
            if began.elapsed() > LONGEST_RUN {
                let open = self.open.clone();
                self.shared.broken(&format!("runs do not end: {open:?}"));
                return;
            }
            self.pass(Duration::from_secs(5)).await;
            self.readers().await;
            self.look_at_runs().await;
        }
        self.stand_still().await;
        self.all_follow().await;
        // what was queued in Gitea has its time, a fetch that hangs too
        self.pass(GIT_TIMEOUT + Duration::from_mins(2)).await;
        for who in 0..self.services.len() {
            self.succeeds_soon(who).await;
        }
        oracle::judge_the_end(&self.shared, &self.precious, self.setting.prune);
        for service in &self.services {
            service.look_for_canaries();
        }
    }

    pub(super) async fn heal(&mut self) {
        let (gitea, upstream) = (self.shared.gitea.clone(), self.shared.upstream.clone());
        gitea.clear_faults();
        gitea.clear_hooks();
        gitea.restart();
        gitea.set_stuck_queue(false);
        gitea.set_migrate_delay(Duration::from_secs(2));
        gitea.set_sync_delay(Duration::from_millis(300));
        upstream.clear_faults();
        let refs = upstream.heads_and_tags("one");
        if !refs.contains_key("refs/heads/main") {
            upstream.commit("one", "main", 1);
        }
        self.make_room();
        self.know_the_token();
        let dead = std::mem::take(&mut self.shared.state().dead);
        for who in dead {
            self.services[who].crash();
        }
        for service in &mut self.services {
            service.start().await;
        }
    }

    pub(super) async fn succeeds_soon(&mut self, who: usize) {
        let placeholder = self.shared.gitea.repository(OWNER, REPO).is_some_and(|view| view.placeholder);
        let patience = SOON + if placeholder { DEAD + Duration::from_secs(30) } else { Duration::ZERO };
        let began = tokio::time::Instant::now();
        self.shared.slot(self.services.len(), "").await;
        let Some(id) = self.services[who].ask(self.setting.body).await else {
            self.shared.broken("a service that is well accepts no run");
            return;
        };
        self.runs += 1;
        let run = loop {
            self.pass(Duration::from_millis(200)).await;
            match self.services[who].run(&id).await {
                Some(run) if !run["finishedAt"].is_null() => break run,
                Some(_) if began.elapsed() < patience => {}
                now => {
                    self.shared.broken(&format!("a run is not over after {patience:?} without a fault: {now:?}"));
                    return;
                }
            }
        };
        oracle::judge(&self.shared, who, &run, &self.setting);
        let problem = run["mirrors"][0]["problem"]["error"].as_str().unwrap_or_default();
        if run["status"] == "succeeded" {
            self.succeeded += 1;
            oracle::judge_settings(&self.shared);
            self.stays_fresh(who).await;
        } else if !self.needs_a_person(problem) {
            self.shared.broken(&format!("without a fault a run does not succeed: {run}"));
        }
    }

    /// Whether a problem is one that only a person can solve, and Gitea really is in that state.
    fn needs_a_person(&self, problem: &str) -> bool {
        // Forgejo 11 forgets the password with which it cloned: that is said before it is asked to clone
        let forgets = self.setting.private && self.shared.gitea.profile() == Profile::Forgejo11;
        if problem.starts_with("upstream-credential") && forgets {
            return true;
        }
        let Some(view) = self.shared.gitea.repository(OWNER, REPO) else { return false };
        let ours = view.original_url == self.shared.upstream.url("one");
        let really = match problem {
            "not-a-mirror" => !view.mirror && self.setting.body == "{}",
            "broken-mirror" => view.placeholder && !view.cloning,
            "upstream-mismatch" => !ours,
            "ref-conflict" => self.setting.conflicts && !self.setting.prune,
            // or the mirror was made by somebody without our credential
            "sync-failing" | "upstream-credential-stale" => {
                forgets || self.setting.private && !self.made_by_us(view.id)
            }
            // more than half of what was last proven is gone: an operator has to look at that
            "upstream-suspect" => self.setting.empties || self.setting.conflicts,
            _ => return false,
        };
        really && (NEEDS_A_PERSON.contains(&problem) || matches!(problem, "sync-failing" | "upstream-suspect"))
    }

    fn made_by_us(&self, id: u64) -> bool {
        self.shared.state().makers.get(&id).is_some_and(|makers| !makers.is_empty())
    }

    pub(super) fn end(mut self) -> Told {
        for service in &mut self.services {
            service.crash();
        }
        let mut state = self.shared.state();
        Told {
            profile: self.shared.gitea.profile(),
            log: std::mem::take(&mut state.log),
            violations: std::mem::take(&mut state.violations),
            changes: state.changes,
            runs: self.runs,
            succeeded: self.succeeded,
            freshness: std::mem::take(&mut self.freshness),
        }
    }
}
