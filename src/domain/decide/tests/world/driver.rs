//! The loop of `engine::driver`, over a world instead of sockets: what is taken note of, and when, is the same.

use std::time::Duration;

use jiff::Timestamp;

use super::super::super::{Action, EarlyReads, Look, Next, Purpose, decide, early_reads};
use super::{REQUEST, World, trouble};
use crate::domain::answer::{
    LocalRefsAnswer, MigrateAnswer, RepositoryAnswer, Sent, Trouble, TroubleKind, UpstreamAnswer,
};
use crate::domain::evidence::Seen;
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::refs::{Prune, compare};
use crate::domain::run::{End, Phase};

/// No state of the table needs more looks than there are things to look at, and one of them twice.
const MOST_LOOKS_WITHOUT_A_PAUSE: u32 = 5;

/// What was read while the repository was looked at: as it was just before its answer.
#[derive(Default)]
struct Early {
    reads: EarlyReads,
    at: Timestamp,
    upstream: Option<UpstreamAnswer>,
    local: Option<LocalRefsAnswer>,
}

impl World {
    /// A new run of the same service: it knows what the journal knows.
    pub(in super::super) fn next_run(&mut self) {
        let intents = std::mem::take(&mut self.history.intents);
        let (mut refs, mut branches) = (self.history.proven_refs, self.history.proven_branches);
        if let Some(End::Succeeded { evidence, .. }) = &self.end {
            refs = u64::try_from(evidence.refs()).ok();
            branches = evidence.branches().and_then(|branches| u64::try_from(branches).ok());
        }
        self.history = History {
            pruning: self.history.pruning.clone(),
            mirror: self.history.mirror.filter(|_| refs.is_some()),
            proven_refs: refs,
            proven_branches: branches,
            intents,
            private_upstream: self.history.private_upstream,
            server: self.history.server,
            ..History::default()
        };
        self.began = self.now;
        self.acts.clear();
        self.looks.clear();
        self.early_reads.clear();
        self.waits.clear();
        self.remembered.clear();
    }

    /// The driver's loop.
    pub(super) fn run(&mut self) -> End {
        let mut seen = Observation::default();
        let mut early = Early::default();
        let mut looks_without_a_pause = 0;
        let longest = self.policy.run + self.policy.migrate + Duration::from_mins(5);
        loop {
            self.tick();
            assert!(self.history.elapsed <= longest, "it should have ended");
            match decide(&self.spec, &seen, &self.history, &self.policy) {
                Next::Look(look) => {
                    looks_without_a_pause += 1;
                    assert!(looks_without_a_pause <= MOST_LOOKS_WITHOUT_A_PAUSE, "it looks and looks: {look:?}");
                    self.look(look, &mut seen, &mut early);
                }
                Next::Wait(wait) => {
                    early = Early::default();
                    looks_without_a_pause = 0;
                    assert!(wait.pause > Duration::ZERO, "a pause of nothing is a hot loop");
                    self.pass(wait.pause);
                    if wait.phase == Phase::Connecting {
                        seen.forget_upstream();
                    } else {
                        seen.forget();
                    }
                    self.waits.push(wait);
                }
                Next::Act(action) => {
                    early = Early::default();
                    looks_without_a_pause = 0;
                    assert!(self.acts.len() < 40, "it acts and acts: {:?}", self.acts);
                    self.act(&action, &mut seen);
                }
                Next::Remember(memory) => {
                    assert_ne!(self.history.pruning.as_ref(), Some(&memory), "it remembers what it knows");
                    self.remembered.push(memory.certainty.clone());
                    self.history.pruning = Some(memory);
                }
                Next::GiveUp(problem) => {
                    assert!(self.history.giving_up.is_none(), "it gives up once");
                    self.history.gives_up(*problem);
                    seen.forget();
                }
                Next::End(end) => {
                    self.end = Some((*end).clone());
                    return *end;
                }
            }
        }
    }

    fn tick(&mut self) {
        self.history.elapsed = self.took();
    }

    /// Reads the lists that are read while the repository is looked at.
    fn read_early(&mut self, seen: &Observation) -> Early {
        let reads = early_reads(Purpose::Run, seen, &self.history);
        self.early_reads.push(reads);
        let (upstream, local) = (self.upstream.clone(), self.local.clone());
        Early {
            reads,
            at: self.date(),
            upstream: Some(upstream).filter(|_| reads.upstream),
            local: Some(local).filter(|_| reads.local_refs.is_some()),
        }
    }

    fn look(&mut self, look: Look, seen: &mut Observation, early: &mut Early) {
        self.looks.push(look);
        let (mut upstream, mut local) = (None, None);
        if look == Look::Repository {
            *early = self.read_early(seen);
        } else if look == Look::Upstream {
            upstream = early.upstream.take();
        } else if look == Look::LocalRefs {
            local = early.local.take().filter(|_| early.reads.local_refs_count(&self.spec, seen));
        } else {
            *early = Early::default();
        }
        let read_at = early.at;
        if upstream.is_none() && local.is_none() {
            self.pass(REQUEST);
        }
        self.tick();
        match look {
            Look::Repository => {
                let answer = self.instead.clone().unwrap_or_else(|| match &self.repository {
                    Some(repository) => RepositoryAnswer::Present(Box::new(repository.clone())),
                    None => RepositoryAnswer::Absent,
                });
                let look = RepositorySeen { answer, date: self.date(), dated: true };
                self.history.saw_repository(&look);
                seen.repository = Some(look);
            }
            Look::Owner => {
                self.history.saw_owner(&self.owner);
                seen.owner = Some(self.owner.clone());
            }
            Look::Upstream => {
                let at = if upstream.is_some() { read_at } else { self.date() };
                let value = upstream.unwrap_or_else(|| self.upstream.clone());
                self.history.saw_upstream(&value);
                seen.upstream = Some(Seen { at, value });
                self.saw_both(seen);
            }
            Look::LocalRefs | Look::LocalRefsByApi => {
                let at = if local.is_some() { read_at } else { self.date() };
                self.history.refs_by_api = look == Look::LocalRefsByApi;
                let now = if self.history.refs_by_api { &self.by_api } else { &self.local };
                let value = local.unwrap_or_else(|| now.clone());
                let proven = match (seen.upstream.as_ref().map(|seen| &seen.value), &value) {
                    (Some(UpstreamAnswer::List(upstream)), LocalRefsAnswer::List(local)) => {
                        compare(upstream, local, self.spec.prune).differing == 0
                    }
                    _ => false,
                };
                self.history.saw_local_refs(&self.spec, &value, proven);
                seen.local_refs = Some(Seen { at, value });
                self.saw_both(seen);
            }
            Look::Ancestry => {
                let Some(LocalRefsAnswer::List(local)) = seen.local_refs.as_ref().map(|seen| &seen.value) else {
                    panic!("asked before the refs were seen")
                };
                let to = local.commit_of(&self.spec.branch).unwrap().clone();
                self.history.saw_ancestry(to, self.ancestry.clone());
            }
            Look::AsideRefs => {
                self.history.saw_aside_refs(&self.local);
                seen.aside_refs = Some(self.local.clone());
            }
            Look::Pivot => seen.pivot = Some(self.pivot.clone()),
            Look::Aside => {
                let there = self.aside.as_ref().map(|(_, repository, _)| Box::new(repository.clone()));
                seen.aside = Some(there.map_or(RepositoryAnswer::Absent, RepositoryAnswer::Present));
            }
        }
    }

    fn saw_both(&mut self, seen: &Observation) {
        let Observation { upstream: Some(upstream), local_refs: Some(local), .. } = seen else { return };
        if let (UpstreamAnswer::List(list), LocalRefsAnswer::List(local)) = (&upstream.value, &local.value) {
            self.history.saw_both(&Seen { at: upstream.at, value: list }, local);
        }
    }

    fn act(&mut self, action: &Action, seen: &mut Observation) {
        let seen_date = seen.repository.as_ref().expect("nothing is done unseen").date;
        let repository = match seen.repository.as_ref().map(|seen| &seen.answer) {
            Some(RepositoryAnswer::Present(repository)) => Some((**repository).clone()),
            _ => None,
        };
        self.pass(REQUEST);
        let began = self.now;
        let told = match action {
            Action::CreateOrganisation => {
                let step = self.organisations.pop_front().unwrap_or_else(|| Box::new(Self::create_organisation));
                let answer = step(self);
                self.tick();
                self.history.created_organisation(answer);
                seen.forget();
                "create organisation".to_owned()
            }
            Action::Migrate { interval } => {
                self.tick();
                let (spec, interval) = (self.spec.clone(), *interval);
                self.history.sends_migrate(&spec, seen_date, true);
                let healthy = move |world: &mut Self| world.clone_upstream(interval);
                let step = self.migrates.pop_front().unwrap_or_else(|| Box::new(healthy));
                let answer = step(self);
                if let MigrateAnswer::Unknown(Trouble { sent: Sent::No, .. }) = &answer {
                    self.history.note_trouble(&trouble(TroubleKind::Connect));
                }
                let date = self.date();
                self.history.migrated(answer, Some(date));
                (self.history.upstream_tries, self.history.upstream_first_try) = (0, None);
                seen.forget_upstream();
                if interval.is_some() { "migrate".to_owned() } else { "migrate without interval".to_owned() }
            }
            Action::Delete(proof) => {
                let there = self.repository.as_ref().expect("only what is there is deleted");
                assert_eq!(proof.repository(), there.id);
                let step = self.deletes.pop_front().unwrap_or_else(|| Box::new(Self::delete));
                let answer = step(self);
                self.tick();
                self.history.deleted(proof, Some(answer));
                seen.forget();
                "delete".to_owned()
            }
            Action::RenameAside(aside) => {
                let name = aside.name.to_string();
                let step = self.renames.pop_front().unwrap_or_else(|| Box::new(move |world| world.rename_aside(&name)));
                let answer = step(self);
                self.tick();
                self.history.aside = Some(aside.clone());
                self.history.renamed(answer);
                seen.forget();
                "rename aside".to_owned()
            }
            Action::GiveBack(aside) => {
                let step = self.renames.pop_front().unwrap_or_else(|| Box::new(Self::give_back));
                let answer = step(self);
                self.tick();
                self.history.aside = Some(aside.clone());
                self.history.renamed(answer);
                seen.forget();
                "give back".to_owned()
            }
            Action::Patch { interval, prune } => {
                let (interval, prune) = (*interval, *prune);
                let step =
                    self.patches.pop_front().unwrap_or_else(|| Box::new(move |world| world.patch(interval, prune)));
                let answer = step(self);
                self.tick();
                let spec = self.spec.clone();
                self.history.patched(&spec, &repository.expect("only what is there is patched"), answer);
                seen.forget();
                format!("patch {interval} {}", if prune == Prune::On { "prune" } else { "keep" })
            }
            Action::SetDefaultBranch(branch) => {
                let name = branch.to_string();
                let step = self.branches.pop_front().unwrap_or_else(|| Box::new(move |world| world.set_branch(&name)));
                let answer = step(self);
                self.tick();
                self.history.patched_branch(answer);
                seen.forget();
                format!("default branch {branch}")
            }
            Action::Sync => {
                let upstream = match seen.upstream.as_ref().map(|seen| &seen.value) {
                    Some(UpstreamAnswer::List(list)) => Some(list.digest()),
                    _ => None,
                };
                let tracked = match seen.local_refs.as_ref().map(|seen| &seen.value) {
                    Some(LocalRefsAnswer::List(list)) => list.commit_of(&self.spec.branch),
                    _ => None,
                };
                let step = self.syncs.pop_front().unwrap_or_else(|| Box::new(Self::queue_a_sync));
                let answer = step(self);
                self.tick();
                self.history.synced(&repository.expect("only what is there is synced"), answer, upstream, tracked);
                seen.forget();
                "sync".to_owned()
            }
        };
        self.acts.push((began, told));
    }
}
