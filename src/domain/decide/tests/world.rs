//! A world of plain data: a Gitea that does what the real ones were seen to do, an upstream, and a clock that moves
//! only when somebody waits. [`driver`] runs the loop in it.

mod driver;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::super::{EarlyReads, Look, Wait};
use crate::domain::answer::{
    AncestryAnswer, CreateOrganisationAnswer, DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer,
    Repository, RepositoryAnswer, SyncAnswer, Trouble, TroubleKind, UpstreamAnswer,
};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::{PruneCertainty, PruneMemory};
use crate::domain::names::BranchName;
use crate::domain::observation::History;
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::{ObjectId, Prune, RefList, RefName};
use crate::domain::run::End;
use crate::domain::spec::{MirrorSpec, Policy};
use crate::domain::tests::spec;

/// How long a request takes.
const REQUEST: Duration = Duration::from_millis(10);

/// From asking for a sync to its begin and to its end.
const QUEUE: Duration = Duration::from_millis(500);
const FETCH: Duration = Duration::from_secs(1);

/// When every story begins, by Gitea's clock; its mirrors were last synced an hour before.
const BEGIN: i64 = 1_795_000_000;

type Step<A> = Box<dyn FnOnce(&mut World) -> A>;

pub(super) struct World {
    pub(super) spec: MirrorSpec,
    pub(super) policy: Policy,
    pub(super) history: History,
    /// The repository in Gitea; `None`: absent.
    pub(super) repository: Option<Repository>,
    /// What a look at the repository is answered with instead.
    pub(super) instead: Option<RepositoryAnswer>,
    pub(super) owner: OwnerAnswer,
    pub(super) upstream: UpstreamAnswer,
    pub(super) local: LocalRefsAnswer,
    /// The same through its API.
    pub(super) by_api: LocalRefsAnswer,
    /// What Gitea's `enable_prune` really is.
    pub(super) prunes: bool,
    /// Answers to the next calls, in place of what a healthy Gitea does.
    pub(super) organisations: VecDeque<Step<CreateOrganisationAnswer>>,
    pub(super) migrates: VecDeque<Step<MigrateAnswer>>,
    pub(super) patches: VecDeque<Step<PatchAnswer>>,
    pub(super) branches: VecDeque<Step<PatchAnswer>>,
    pub(super) syncs: VecDeque<Step<SyncAnswer>>,
    pub(super) deletes: VecDeque<Step<DeleteAnswer>>,
    pub(super) renames: VecDeque<Step<PatchAnswer>>,
    /// What Gitea says of the tracked branch's move.
    pub(super) ancestry: AncestryAnswer,
    /// The legacy repository where it stands aside: its name there.
    pub(super) aside: Option<(String, Repository, LocalRefsAnswer)>,
    pub(super) pivot: crate::domain::platform::PivotAnswer,
    /// Below this an interval is refused.
    pub(super) minimum: Option<GoDuration>,
    pub(super) looks: Vec<Look>,
    /// What was read beside each look at the repository.
    pub(super) early_reads: Vec<EarlyReads>,
    pub(super) waits: Vec<Wait>,
    pub(super) remembered: Vec<PruneCertainty>,
    acts: Vec<(Duration, String)>,
    now: Duration,
    began: Duration,
    end: Option<End>,
    later: Vec<(Duration, Step<()>)>,
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn trouble(kind: TroubleKind) -> Trouble {
    Trouble::maybe_sent(kind, "no word")
}

pub(super) fn list(refs: &[(&str, char)], head: Option<&str>) -> RefList {
    let id = |c: char| ObjectId::parse(&c.to_string().repeat(40)).unwrap();
    let refs = refs.iter().map(|(name, c)| (RefName::parse(&format!("refs/{name}")).unwrap(), id(*c)));
    RefList::complete(refs, head.map(|head| BranchName::parse(head).unwrap()))
}

pub(super) fn refs(refs: &[(&str, char)]) -> LocalRefsAnswer {
    LocalRefsAnswer::List(list(refs, Some("main")))
}

pub(super) fn upstream(refs: &[(&str, char)]) -> UpstreamAnswer {
    UpstreamAnswer::List(list(refs, Some("main")))
}

pub(super) fn upstream_with_head(refs: &[(&str, char)], head: Option<&str>) -> UpstreamAnswer {
    UpstreamAnswer::List(list(refs, head))
}

/// A mirror that somebody made long ago.
pub(super) fn mirror() -> Repository {
    let hour_ago = Timestamp::from_second(BEGIN - 3_600).unwrap();
    Repository {
        id: 7,
        mirror: true,
        interval: Some(spec().interval),
        mirror_updated: hour_ago,
        last_sync: None,
        original_url: spec().upstream.to_string(),
        default_branch: "main".into(),
        created_at: hour_ago,
        archived: false,
    }
}

impl World {
    /// Gitea holds `repository`, with the refs that upstream has.
    pub(super) fn with(repository: Repository) -> Self {
        Self { repository: Some(repository), local: refs(&[("heads/main", 'a')]), ..Self::empty() }
    }

    /// Gitea holds nothing, not even the organisation.
    pub(super) fn empty() -> Self {
        Self {
            spec: spec(),
            policy: Policy::default(),
            history: History::default(),
            repository: None,
            instead: None,
            owner: OwnerAnswer::Absent,
            upstream: upstream(&[("heads/main", 'a')]),
            local: LocalRefsAnswer::Gone,
            by_api: LocalRefsAnswer::Gone,
            prunes: true,
            organisations: VecDeque::new(),
            migrates: VecDeque::new(),
            patches: VecDeque::new(),
            branches: VecDeque::new(),
            syncs: VecDeque::new(),
            deletes: VecDeque::new(),
            renames: VecDeque::new(),
            ancestry: AncestryAnswer::FastForward,
            aside: None,
            pivot: crate::domain::platform::PivotAnswer::Before,
            minimum: None,
            looks: Vec::new(),
            early_reads: Vec::new(),
            waits: Vec::new(),
            remembered: Vec::new(),
            acts: Vec::new(),
            now: Duration::ZERO,
            began: Duration::ZERO,
            end: None,
            later: Vec::new(),
        }
    }

    /// The journal knows for good that pruning is as configured.
    pub(super) fn remembers_pruning(&mut self) {
        let repository = self.repository.as_ref().unwrap().id;
        self.prunes = self.spec.prune.as_bool();
        self.history.pruning =
            Some(PruneMemory { repository, prune: self.spec.prune, certainty: PruneCertainty::Known });
    }

    /// The journal knows that pruning was sent, and no more.
    pub(super) fn remembers_sending(&mut self) {
        let Repository { id, mirror_updated, .. } = *self.repository.as_ref().unwrap();
        let certainty = PruneCertainty::Sent { mirror_updated };
        self.history.pruning = Some(PruneMemory { repository: id, prune: self.spec.prune, certainty });
    }

    /// Something happens that many seconds from now.
    pub(super) fn later(&mut self, seconds: u64, step: impl FnOnce(&mut Self) + 'static) {
        self.after(secs(seconds), step);
    }

    fn after(&mut self, pause: Duration, step: impl FnOnce(&mut Self) + 'static) {
        self.later.push((self.now + pause, Box::new(step)));
    }

    /// Time passes, and with it what was due.
    pub(super) fn pass(&mut self, pause: Duration) {
        let until = self.now + pause;
        while let Some(index) =
            (0..self.later.len()).filter(|index| self.later[*index].0 <= until).min_by_key(|index| self.later[*index].0)
        {
            let (at, step) = self.later.remove(index);
            self.now = self.now.max(at);
            step(self);
        }
        self.now = until;
    }

    /// Gitea's `Date`.
    pub(super) fn date(&self) -> Timestamp {
        Timestamp::from_second(BEGIN + i64::try_from(self.now.as_secs()).unwrap()).unwrap()
    }

    pub(super) fn acts(&self) -> Vec<String> {
        self.acts.iter().map(|(_, act)| act.clone()).collect()
    }

    /// When, in the run, an act was done for the `n`th time.
    pub(super) fn time_of(&self, act: &str, n: usize) -> Duration {
        let mut times = self.acts.iter().filter(|(_, done)| done == act).map(|(at, _)| at.saturating_sub(self.began));
        times.nth(n).unwrap_or_else(|| panic!("{act} was not done {} times", n + 1))
    }

    pub(super) fn took(&self) -> Duration {
        self.now.saturating_sub(self.began)
    }

    pub(super) fn problem(&self) -> &Problem {
        self.end.as_ref().and_then(End::problem).expect("it ended with a problem")
    }

    pub(super) fn ended(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub(super) fn remarks(&self) -> &[String] {
        self.end.as_ref().and_then(End::notes).map_or(&[], |notes| &notes.remarks)
    }

    /// Tells the story to its end, which is a success.
    pub(super) fn succeeds(&mut self) -> &'static str {
        match self.run() {
            End::Succeeded { outcome, evidence, .. } => {
                assert!(evidence.refs() > 0);
                outcome.label()
            }
            other @ (End::Unverified { .. } | End::Failed { .. } | End::Canceled) => {
                panic!("{other:?} {:?}", self.acts)
            }
        }
    }

    /// Tells the story to its end, which is a failure.
    pub(super) fn fails(&mut self) -> Code {
        match self.run() {
            End::Failed { problem } => problem.code,
            other @ (End::Unverified { .. } | End::Succeeded { .. } | End::Canceled) => {
                panic!("{other:?} {:?}", self.acts)
            }
        }
    }

    /// Tells the story to its end, which is no success and no failure.
    pub(super) fn stays_unverified(&mut self) -> Code {
        match self.run() {
            End::Unverified { problem } => problem.code,
            other @ (End::Failed { .. } | End::Succeeded { .. } | End::Canceled) => panic!("{other:?} {:?}", self.acts),
        }
    }

    /// Tells the story to its end, whatever that is.
    pub(super) fn ends(&mut self) {
        self.run();
    }

    /// What a healthy Gitea does.
    pub(super) fn create_organisation(&mut self) -> CreateOrganisationAnswer {
        self.owner = OwnerAnswer::Organisation;
        CreateOrganisationAnswer::Created
    }

    pub(super) fn migrate(&mut self) -> MigrateAnswer {
        self.clone_upstream(Some(self.spec.interval))
    }

    pub(super) fn clone_upstream(&mut self, interval: Option<GoDuration>) -> MigrateAnswer {
        self.local = if let UpstreamAnswer::List(list) = &self.upstream {
            LocalRefsAnswer::List(list.clone())
        } else {
            refs(&[("heads/main", 'a')])
        };
        self.migrate_with(interval)
    }

    fn migrate_with(&mut self, interval: Option<GoDuration>) -> MigrateAnswer {
        let interval = interval.unwrap_or_else(|| GoDuration::parse("8h").unwrap());
        if self.minimum.is_some_and(|minimum| interval.get() < minimum.get()) {
            self.make(None);
            return MigrateAnswer::ServerError;
        }
        self.make(Some(interval));
        MigrateAnswer::Created
    }

    /// A row of the repository, made now: `None` makes a placeholder.
    pub(super) fn make(&mut self, interval: Option<GoDuration>) {
        let now = self.date();
        self.repository = Some(Repository { id: 8, interval, mirror_updated: now, created_at: now, ..mirror() });
        self.prunes = true;
    }

    pub(super) fn delete(&mut self) -> DeleteAnswer {
        self.repository = None;
        self.local = LocalRefsAnswer::Gone;
        DeleteAnswer::Gone
    }

    pub(super) fn rename_aside(&mut self, name: &str) -> PatchAnswer {
        let local = std::mem::replace(&mut self.local, LocalRefsAnswer::Gone);
        self.aside = self.repository.take().map(|repository| (name.to_owned(), repository, local));
        PatchAnswer::Done
    }

    pub(super) fn give_back(&mut self) -> PatchAnswer {
        if let Some((_, repository, local)) = self.aside.take() {
            (self.repository, self.local) = (Some(repository), local);
        }
        PatchAnswer::Done
    }

    pub(super) fn patch(&mut self, interval: GoDuration, prune: Prune) -> PatchAnswer {
        if let Some(minimum) = self.minimum.filter(|minimum| interval.get() < minimum.get()) {
            return PatchAnswer::BelowMinimum { minimum: Some(minimum) };
        }
        self.repository.as_mut().unwrap().interval = Some(interval);
        self.prunes = prune.as_bool();
        PatchAnswer::Done
    }

    pub(super) fn set_branch(&mut self, branch: &str) -> PatchAnswer {
        self.repository.as_mut().unwrap().default_branch = branch.into();
        PatchAnswer::Done
    }

    pub(super) fn queue_a_sync(&mut self) -> SyncAnswer {
        self.after(QUEUE, |world| world.begin_a_sync(FETCH));
        SyncAnswer::Queued
    }

    /// A sync begins, and with it the settings are read that are written back when it ends.
    pub(super) fn begin_a_sync(&mut self, takes: Duration) {
        let (interval, prunes) = (self.repository.as_ref().unwrap().interval, self.prunes);
        self.after(takes, move |world| {
            if let UpstreamAnswer::List(upstream) = world.upstream.clone() {
                world.fetch(&upstream, prunes);
            }
            world.end_a_sync();
            world.repository.as_mut().unwrap().interval = interval;
            world.prunes = prunes;
        });
    }

    /// `mirror_updated` moves.
    pub(super) fn end_a_sync(&mut self) {
        let now = self.date();
        self.repository.as_mut().unwrap().mirror_updated = now;
    }

    fn fetch(&mut self, upstream: &RefList, prunes: bool) {
        let LocalRefsAnswer::List(local) = &self.local else { return };
        let stays: Vec<_> = local
            .iter()
            .filter(|one| upstream.find(one.bytes()).is_none() && !prunes)
            .map(|one| (one.name(), one.id()))
            .collect();
        // git cannot hold `a` beside `a/b`
        let blocked = |new: &RefName| {
            stays.iter().any(|(old, _)| {
                let (new, old) = (new.as_str(), old.as_str());
                new.starts_with(&format!("{old}/")) || old.starts_with(&format!("{new}/"))
            })
        };
        let comes = upstream.iter().map(|one| (one.name(), one.id())).filter(|(name, _)| !blocked(name));
        let all: Vec<_> = stays.iter().cloned().chain(comes).collect();
        self.local = LocalRefsAnswer::List(RefList::complete(all, local.head().cloned()));
    }
}
