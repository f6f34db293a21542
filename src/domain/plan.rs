//! What a run would do, without doing it: [`decide`] itself, carried on over what was seen as if each call did what it
//! is for.
//!
//! Owns the assumptions: what the world looks like after each call. Nothing here is a proof: whoever shows a plan
//! shows no evidence with it, but where nothing at all would be called.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{
    AncestryAnswer, CreateOrganisationAnswer, DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer,
    Repository, RepositoryAnswer, SyncAnswer, UpstreamAnswer,
};
use super::decide::{Action, Look, Next, decide};
use super::evidence::Seen;
use super::names::MirrorName;
use super::observation::{History, Observation, RepositorySeen};
use super::platform::PivotAnswer;
use super::problem::Problem;
use super::refs::{ObjectId, Prune, RefList, RefName, compare};
use super::run::{End, Outcome, Phase, Status, Trigger};
use super::spec::{MirrorSpec, Policy};

/// No plan takes more decisions than a few dozen.
const ENOUGH: u32 = 500;

/// One call that would be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which: the same word as in the journal and the log.
    pub call: &'static str,
    /// What it is for, as a person is told.
    pub why: String,
}

/// What would become of one mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The mirror.
    pub name: MirrorName,
    /// The calls that would be made, in order.
    pub steps: Vec<Step>,
    /// How it would end; `None`: it would wait for something that nobody can foresee, in `phase`.
    pub end: Option<End>,
    /// Where it would stand.
    pub phase: Phase,
    /// What would be in the way.
    pub problem: Option<Problem>,
    /// Whether `end` was seen rather than assumed: nothing would be called.
    pub seen: bool,
}

impl Planned {
    /// One that cannot be done.
    #[must_use]
    pub fn failed(name: MirrorName, problem: Problem) -> Self {
        let end = Some(End::Failed { problem: problem.clone() });
        Self { name, steps: Vec::new(), end, phase: Phase::Failed, problem: Some(problem), seen: true }
    }

    /// What it would have done.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.as_ref().and_then(End::outcome)
    }
}

/// What would become of a request; it is shown and forgotten.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Who or what asked.
    pub trigger: Trigger,
    /// The name of the token that asked, or `anonymous`.
    pub requested_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the last look was over.
    pub finished_at: Timestamp,
    /// Its mirrors, in the order of the configuration, each once.
    pub mirrors: Vec<Planned>,
}

impl DryRun {
    /// Where the run would stand in the end.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.mirrors.iter().any(|mirror| mirror.end.is_none()) {
            return Status::Running;
        }
        Status::of_ended(&self.mirrors.iter().map(|mirror| mirror.phase))
    }
}

/// Plans from where everything that has to be looked at was looked at: the first decision that is no look.
#[must_use]
pub fn plan(spec: &MirrorSpec, seen: Observation, history: History, policy: &Policy) -> Planned {
    Assumed::new(spec, seen, history).plan(policy)
}

/// The world, as it would be.
struct Assumed<'a> {
    spec: &'a MirrorSpec,
    observation: Observation,
    history: History,
    repository: RepositoryAnswer,
    owner: Option<OwnerAnswer>,
    upstream: Option<Seen<UpstreamAnswer>>,
    local: Option<LocalRefsAnswer>,
    pivot: Option<PivotAnswer>,
    /// Gitea's clock.
    date: Timestamp,
    steps: Vec<Step>,
    /// Whether it is still the world that was seen.
    as_seen: bool,
}

impl<'a> Assumed<'a> {
    fn new(spec: &'a MirrorSpec, observation: Observation, history: History) -> Self {
        let (repository, date) = observation
            .repository
            .as_ref()
            .map_or((RepositoryAnswer::Absent, Timestamp::UNIX_EPOCH), |seen| (seen.answer.clone(), seen.date));
        Self {
            spec,
            repository,
            date,
            owner: observation.owner.clone(),
            upstream: observation.upstream.clone(),
            local: observation.local_refs.as_ref().map(|seen| seen.value.clone()),
            pivot: observation.pivot.clone(),
            observation,
            history,
            steps: Vec::new(),
            as_seen: true,
        }
    }

    fn plan(mut self, policy: &Policy) -> Planned {
        for _ in 0..ENOUGH {
            match decide(self.spec, &self.observation, &self.history, policy) {
                Next::Look(look) => {
                    if !self.look(look) {
                        return self.waits(Phase::Inspecting, None);
                    }
                }
                // somebody else's clone: how it ends is not for us to say
                Next::Wait(wait) if self.steps.is_empty() && wait.phase == Phase::Migrating => {
                    return self.waits(wait.phase, wait.because.map(|because| *because));
                }
                Next::Wait(wait) => self.pass(wait.pause.max(Duration::from_millis(1))),
                Next::Remember(memory) => self.history.pruning = Some(memory),
                Next::Act(action) => self.act(action),
                Next::GiveUp(problem) => self.history.gives_up(*problem),
                Next::End(end) => return self.ends(*end),
            }
        }
        self.waits(Phase::Inspecting, None)
    }

    fn waits(self, phase: Phase, problem: Option<Problem>) -> Planned {
        Planned { name: self.spec.name.clone(), steps: self.steps, end: None, phase, problem, seen: false }
    }

    fn ends(self, end: End) -> Planned {
        Planned {
            name: self.spec.name.clone(),
            phase: end.phase(),
            problem: end.problem().cloned(),
            seen: self.as_seen,
            steps: self.steps,
            end: Some(end),
        }
    }

    /// Shows what would be seen; `false`: that was never looked at, and nothing can be assumed of it.
    fn look(&mut self, look: Look) -> bool {
        match look {
            Look::Repository => {
                let seen = RepositorySeen { answer: self.repository.clone(), date: self.date, dated: true };
                self.history.saw_repository(&seen);
                self.observation.repository = Some(seen);
            }
            Look::Owner => {
                let Some(answer) = self.owner.clone() else { return false };
                self.history.saw_owner(&answer);
                self.observation.owner = Some(answer);
            }
            Look::Upstream => {
                let Some(seen) = self.upstream.clone() else { return false };
                self.history.saw_upstream(&seen.value);
                self.observation.upstream = Some(seen);
            }
            Look::LocalRefs | Look::LocalRefsByApi => {
                let Some(value) = self.local.clone() else { return false };
                let proven = self.differing() == Some(0);
                self.history.saw_local_refs(self.spec, &value, proven);
                self.observation.local_refs = Some(Seen { at: self.date, value });
            }
            Look::Ancestry => {
                let now = self.local_list().and_then(|list| list.commit_of(&self.spec.branch));
                let Some(now) = now else { return false };
                self.history.saw_ancestry(now, AncestryAnswer::Unknown);
            }
            Look::Pivot => {
                let Some(answer) = self.pivot.clone() else { return false };
                self.observation.pivot = Some(answer);
            }
            Look::Aside => self.observation.aside = Some(RepositoryAnswer::Absent),
            Look::AsideRefs => return false,
        }
        true
    }

    fn pass(&mut self, time: Duration) {
        self.as_seen = false;
        self.history.elapsed = self.history.elapsed.saturating_add(time);
        self.date = self.date.checked_add(time).unwrap_or(self.date);
        self.observation.forget();
    }

    fn act(&mut self, action: Action) {
        let why = self.why(&action);
        let call = match action {
            Action::CreateOrganisation => {
                self.owner = Some(OwnerAnswer::Organisation);
                self.history.created_organisation(CreateOrganisationAnswer::Created);
                "create_organisation"
            }
            Action::Migrate { interval: _ } => {
                self.history.sends_migrate(self.spec, self.date, true);
                self.history.migrated(MigrateAnswer::Created, Some(self.date));
                self.repository = RepositoryAnswer::Present(Box::new(self.migrated()));
                self.local = Some(LocalRefsAnswer::List(self.fetched()));
                "migrate"
            }
            Action::Delete(proof) => {
                self.history.deleted(&proof, Some(DeleteAnswer::Gone));
                self.frees_the_name();
                "delete_placeholder"
            }
            Action::RenameAside(aside) => {
                self.history.aside = Some(aside);
                self.history.renamed(PatchAnswer::Done);
                self.frees_the_name();
                "rename_aside"
            }
            Action::GiveBack(aside) => {
                self.history.aside = Some(aside);
                self.history.renamed(PatchAnswer::Done);
                "give_back"
            }
            Action::Patch { interval, prune: _ } => {
                if let RepositoryAnswer::Present(repository) = &mut self.repository {
                    repository.interval = Some(interval);
                    self.history.patched(self.spec, repository, PatchAnswer::Done);
                }
                "patch_settings"
            }
            Action::SetDefaultBranch(branch) => {
                if let RepositoryAnswer::Present(repository) = &mut self.repository {
                    branch.as_str().clone_into(&mut repository.default_branch);
                }
                self.history.patched_branch(PatchAnswer::Done);
                "patch_default_branch"
            }
            Action::Sync => {
                self.sync();
                "mirror_sync"
            }
        };
        self.steps.push(Step { call, why });
        self.pass(Duration::from_secs(1));
    }

    /// Nothing stands there any more; its owner is there, or nothing could have stood there.
    fn frees_the_name(&mut self) {
        self.repository = RepositoryAnswer::Absent;
        self.local = None;
        self.owner = Some(OwnerAnswer::Organisation);
    }

    fn sync(&mut self) {
        let digest = self.upstream_list().map(RefList::digest);
        let tracked = self.local_list().and_then(|list| list.commit_of(&self.spec.branch));
        let fetched = self.fetched();
        // what was lost before it is restored by it, and is held against no later look
        self.history.proven_refs = None;
        if let RepositoryAnswer::Present(repository) = &mut self.repository {
            self.history.synced(repository, SyncAnswer::Queued, digest, tracked);
            // it counts in whole seconds, and the next look is a second later
            repository.mirror_updated = self.date.max(repository.mirror_updated) + jiff::SignedDuration::from_secs(1);
        }
        self.local = Some(LocalRefsAnswer::List(fetched));
    }

    /// What Gitea would hold after a fetch, as far as it is looked at: a third list is not made for the refs that only
    /// Gitea has.
    fn fetched(&self) -> RefList {
        if let Some(upstream) = self.upstream_list() {
            return upstream.clone();
        }
        match self.local_list() {
            Some(local) if !local.is_empty() => local.clone(),
            // upstream does not answer us: all that is known is that the tracked branch has to be there
            Some(_) | None => {
                let tracked =
                    ObjectId::parse(&"0".repeat(40)).ok().map(|id| (RefName::of_branch(&self.spec.branch), id));
                RefList::complete(tracked, None)
            }
        }
    }

    fn migrated(&self) -> Repository {
        let head = self.upstream_list().and_then(RefList::head).unwrap_or(&self.spec.branch);
        Repository {
            id: u64::MAX,
            mirror: true,
            interval: Some(self.spec.interval),
            mirror_updated: self.date,
            last_sync: None,
            original_url: self.spec.upstream.to_string(),
            default_branch: head.to_string(),
            created_at: self.date,
            archived: false,
        }
    }

    fn upstream_list(&self) -> Option<&RefList> {
        self.upstream.as_ref()?.value.list()
    }

    fn local_list(&self) -> Option<&RefList> {
        self.local.as_ref()?.list()
    }

    /// How many refs are not as they must be, where both lists are known.
    fn differing(&self) -> Option<usize> {
        Some(compare(self.upstream_list()?, self.local_list()?, self.spec.prune).differing)
    }

    fn why(&self, action: &Action) -> String {
        let (spec, name) = (self.spec, self.spec.full_name());
        match action {
            Action::CreateOrganisation => format!("Gitea shows no organisation {}", spec.owner),
            Action::Delete(_) => format!("a failed migration of ours has left {name}, and nothing in it is lost"),
            Action::RenameAside(aside) => {
                format!("{name} is a regular repository: it is renamed, whole, to {}/{}", spec.owner, aside.name)
            }
            Action::GiveBack(aside) => format!("{}/{} gets its name back", spec.owner, aside.name),
            Action::Migrate { interval: _ } => {
                format!("Gitea has no repository {name}: it is made as a mirror of {}", spec.upstream)
            }
            Action::Patch { interval, prune } => {
                let seen = match &self.repository {
                    RepositoryAnswer::Present(repository) => repository.interval,
                    RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_) => None,
                };
                let asked = if *prune == Prune::Off { "off" } else { "on" };
                match seen {
                    Some(seen) if seen != *interval => format!(
                        "the interval of {name} is {seen} in Gitea and {interval} in the configuration; pruning is set {asked} with it"
                    ),
                    Some(_) | None => format!("pruning has to be {asked}, and Gitea does not show whether it is"),
                }
            }
            Action::SetDefaultBranch(branch) => {
                format!("upstream's HEAD names the branch {branch}, and Gitea's another")
            }
            Action::Sync => match self.differing() {
                Some(count) => {
                    let refs = if count == 1 { "ref is" } else { "refs are" };
                    format!("{count} of upstream's {refs} missing or different in {name}, or left over there")
                }
                None => format!("upstream does not answer us; Gitea is asked to fetch {name} by itself"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
