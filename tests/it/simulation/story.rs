//! One seed's story: a Gitea, an upstream, one service or two, the chaos, and the quiet after it in which everything has
//! to come right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use standin::{CallKind, Fault, Gitea, Options, Profile, Upstream};

use super::chaos;
use super::oracle::{self, NEEDS_A_PERSON, Precious};
use super::rng::Rng;
use super::service::Sut;
use super::wire::Shared;
use super::{GITEA, OWNER, REPO, UPSTREAM};
use crate::world::{InProcess, OPERATOR, VIEWER};

/// A run's own limit, what it may be in the middle of then, and latency.
const LONGEST_RUN: Duration = Duration::from_mins(30 + 15 + 2);

/// How long a new run may take once everything is well, beyond a clone.
const SOON: Duration = Duration::from_mins(1);

/// When Gitea gives up on a child that hangs.
const GIT_TIMEOUT: Duration = Duration::from_mins(5);

/// A placeholder counts as dead after this; the shortest that is configurable would be told by the same rules.
const DEAD: Duration = Duration::from_mins(5);

const UPSTREAM_TOKEN: &str = "upstream-secret-5b1f0c9a7e";
const SCOPES: [&str; 3] = ["write:repository", "write:organization", "read:user"];

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

#[expect(clippy::struct_excessive_bools, reason = "each is a chance of its own")]
pub(super) struct Story {
    pub(super) rng: Rng,
    pub(super) shared: Arc<Shared>,
    pub(super) services: Vec<Sut>,
    pub(super) token: String,
    pub(super) precious: Precious,
    /// Whether upstream ever has refs that git cannot hold beside each other.
    pub(super) conflicts: bool,
    /// Whether upstream is ever emptied.
    pub(super) empties: bool,
    /// Whether anybody ever says how the mirror is to be run.
    pub(super) modes: bool,
    pub(super) prune: bool,
    private: bool,
    /// What every request asks for.
    body: &'static str,
    /// Runs that are under way, and whose.
    open: Vec<(usize, String)>,
    /// Tables that cannot be written, by service.
    pub(super) full: Vec<(usize, &'static str)>,
    runs: usize,
    succeeded: usize,
    /// How often each state of freshness was told.
    pub(super) freshness: BTreeMap<String, u64>,
}

/// Plays a seed.
pub(super) fn play(seed: u64) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        // one journal write at a time, in the order in which they were asked for
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let told = runtime.block_on(async {
        let mut story = Story::begin(seed).await;
        story.chaos().await;
        story.quiet().await;
        story.end()
    });
    runtime.shutdown_background();
    told
}

impl Story {
    async fn begin(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let profile = *rng.pick(&Profile::RECORDED);
        let (prune, twins, private) = (rng.percent(25), rng.percent(20), rng.percent(15));
        let options = Options { profile, git_timeout: GIT_TIMEOUT, ..Options::default() };
        let base = options.base;
        let (gitea, upstream) = (Gitea::in_memory(options), Upstream::in_memory(base, UPSTREAM));
        gitea.reach(UPSTREAM, upstream.router());
        gitea.add_user("bot", "Passw0rd-test", false);
        gitea.add_user("other", "Passw0rd-test", true);
        upstream.create_sample("one");
        upstream.create_sample("two");
        if private {
            upstream.require(Some(("oauth2", UPSTREAM_TOKEN)));
        }
        let token = gitea.add_token("bot", &SCOPES);
        let in_process = InProcess::default().at(GITEA, gitea.router()).at(UPSTREAM, upstream.router());
        let shared = Arc::new(Shared::new(gitea, upstream, in_process));
        let files = [
            ("gitea-token", token.clone()),
            ("tokens", format!("operator ops {OPERATOR}\nviewer eyes {VIEWER}\n")),
            ("upstream-token", UPSTREAM_TOKEN.to_owned()),
        ];
        let secret = if private { ", tokenFile: {folder}/upstream-token" } else { "" };
        let url = shared.upstream.url("one");
        let yaml = format!(
            "gitea:\n  url: http://{GITEA}\n  tokenFile: {{folder}}/gitea-token\nlimits: {{ deadPlaceholder: {}s }}\nmirrors:\n  \
             - name: one\n    prune: {prune}\n    upstream: {{ url: {url}, branch: main{secret} }}\n    \
             target: {{ owner: {OWNER}, repo: {REPO} }}\n",
            DEAD.as_secs(),
        );
        let count = if twins { 2 } else { 1 };
        let base = base.try_into().unwrap();
        let services = (0..count).map(|who| Sut::new(who, &shared, base, &files, &yaml)).collect();
        for who in 0..=count {
            shared.seed(who, rng.fork());
        }
        let (conflicts, empties, modes) = (rng.percent(15), rng.percent(15), rng.percent(30));
        let body = *rng.pick(&["{}", "{\"onLegacy\":\"renameAside\"}"]);
        let mut story = Self {
            rng,
            shared,
            services,
            token,
            precious: Precious::new(),
            conflicts,
            empties,
            modes,
            prune,
            private,
            body,
            open: Vec::new(),
            full: Vec::new(),
            runs: 0,
            succeeded: 0,
            freshness: BTreeMap::new(),
        };
        let line = format!("{}, pruning {prune}, twins {twins}, private {private}, {body}", profile.name());
        story.shared.note(&format!("seed {seed}: {line}"));
        story.furnish().await;
        for service in &mut story.services {
            service.start().await;
        }
        story
    }

    /// What stands in Gitea at the beginning.
    async fn furnish(&mut self) {
        let chance = self.rng.below(100);
        if chance < 45 {
            return;
        }
        self.shared.gitea.add_org(OWNER, "bot");
        self.shared.gitea.add_repository(OWNER, "bystander");
        self.holds_dear("bystander");
        let (address, kind) = match chance {
            45..=64 => return,
            65..=74 => {
                self.shared.gitea.add_repository(OWNER, REPO);
                self.holds_dear(REPO);
                self.shared.note("-- a regular repository has the name");
                return;
            }
            75..=79 => (self.shared.upstream.url("two"), "a mirror of another upstream"),
            80..=84 => {
                self.shared.gitea.fault_once(CallKind::Migrate, Fault::Delay(Duration::ZERO));
                (self.shared.upstream.url("none"), "somebody's failed migrate")
            }
            _ => (self.shared.upstream.url("one"), "somebody's mirror of our upstream"),
        };
        let status = self.shared.gitea.migrate_as("other", OWNER, REPO, &address).await;
        self.shared.note(&format!("-- {kind} has the name: {status}"));
        if kind != "somebody's mirror of our upstream" {
            self.holds_dear(REPO);
        }
        self.shared.look();
    }

    /// Somebody's content, which must be there for ever.
    pub(super) fn holds_dear(&mut self, name: &str) {
        let gitea = &self.shared.gitea;
        if let Some(view) = gitea.repository(OWNER, name) {
            self.precious.insert(view.id, gitea.heads_and_tags(OWNER, name));
        }
    }

    pub(super) fn know_the_token(&self) {
        self.shared.gitea.set_token("bot", &self.token, &SCOPES);
    }

    /// Asks one of the services for a run.
    pub(super) async fn ask(&mut self, rng: &mut Rng) {
        let who = usize::try_from(rng.below(self.services.len() as u64)).unwrap();
        self.shared.slot(self.services.len(), "").await;
        if let Some(id) = self.services[who].ask(self.body).await
            && !self.open.contains(&(who, id.clone()))
        {
            self.runs += 1;
            self.open.push((who, id));
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
                    oracle::judge(&self.shared, who, &run, self.prune);
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
        oracle::judge_the_end(&self.shared, &self.precious, self.prune);
        for service in &self.services {
            service.look_for_canaries();
        }
    }

    async fn heal(&mut self) {
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
        for service in &mut self.services {
            service.start().await;
        }
    }

    async fn succeeds_soon(&mut self, who: usize) {
        let placeholder = self.shared.gitea.repository(OWNER, REPO).is_some_and(|view| view.placeholder);
        let patience = SOON + if placeholder { DEAD + Duration::from_secs(30) } else { Duration::ZERO };
        let began = tokio::time::Instant::now();
        let Some(id) = self.services[who].ask(self.body).await else {
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
        oracle::judge(&self.shared, who, &run, self.prune);
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
        let forgets = self.private && self.shared.gitea.profile() == Profile::Forgejo11;
        if problem.starts_with("upstream-credential") && forgets {
            return true;
        }
        let Some(view) = self.shared.gitea.repository(OWNER, REPO) else { return false };
        let ours = view.original_url == self.shared.upstream.url("one");
        let really = match problem {
            "not-a-mirror" => !view.mirror && self.body == "{}",
            "broken-mirror" => view.placeholder && !view.cloning,
            "upstream-mismatch" => !ours,
            "ref-conflict" => self.conflicts && !self.prune,
            // or the mirror was made by somebody without our credential
            "sync-failing" | "upstream-credential-stale" => forgets || self.private && !self.made_by_us(view.id),
            // more than half of what was last proven is gone: an operator has to look at that
            "upstream-suspect" => self.empties || self.conflicts,
            _ => return false,
        };
        really && (NEEDS_A_PERSON.contains(&problem) || matches!(problem, "sync-failing" | "upstream-suspect"))
    }

    fn made_by_us(&self, id: u64) -> bool {
        self.shared.state().makers.get(&id).is_some_and(|makers| !makers.is_empty())
    }

    fn end(mut self) -> Told {
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
