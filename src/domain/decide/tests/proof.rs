//! The proof before the one deletion: each condition is taken away, alone and with others, and nothing is deleted.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::{Action, Next, decide};
use super::world::{World, list, mirror, refs, secs, trouble};
use crate::domain::answer::{LocalRefsAnswer, MigrateAnswer, RepositoryAnswer, TroubleKind, UpstreamAnswer};
use crate::domain::evidence::Seen;
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::proof::Intended;
use crate::domain::refs::Prune;

/// Everything that has to hold; `false`: it is taken away.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own")]
struct Conditions {
    intended: bool,
    for_this_name: bool,
    by_a_call_that_makes_a_row: bool,
    with_a_row_to_show: bool,
    mirror: bool,
    unfinished: bool,
    same_address: bool,
    not_older: bool,
    no_refs_of_its_own: bool,
    readable: bool,
    dead: bool,
    upstream_is_sound: bool,
    /// Taken away: the row was made after Gitea had answered; without an answer that it was made only now.
    not_created_after_the_answer: bool,
    /// Taken away: the migrate is as old as ever, and the row is young.
    no_young_row_old_intent: bool,
    /// Taken away: neither Gitea's answer nor the look carries a date of its own.
    dated: bool,
}

impl Conditions {
    const ALL: [fn(&mut Self) -> &mut bool; 15] = [
        |c| &mut c.intended,
        |c| &mut c.for_this_name,
        |c| &mut c.by_a_call_that_makes_a_row,
        |c| &mut c.with_a_row_to_show,
        |c| &mut c.mirror,
        |c| &mut c.unfinished,
        |c| &mut c.same_address,
        |c| &mut c.not_older,
        |c| &mut c.no_refs_of_its_own,
        |c| &mut c.readable,
        |c| &mut c.dead,
        |c| &mut c.upstream_is_sound,
        |c| &mut c.not_created_after_the_answer,
        |c| &mut c.no_young_row_old_intent,
        |c| &mut c.dated,
    ];

    const fn whole() -> Self {
        Self {
            intended: true,
            for_this_name: true,
            by_a_call_that_makes_a_row: true,
            with_a_row_to_show: true,
            mirror: true,
            unfinished: true,
            same_address: true,
            not_older: true,
            no_refs_of_its_own: true,
            readable: true,
            dead: true,
            upstream_is_sound: true,
            not_created_after_the_answer: true,
            no_young_row_old_intent: true,
            dated: true,
        }
    }

    /// What is decided at the first look of a run over what such a placeholder shows.
    fn decided(self, why_dead: u8, remains: &LocalRefsAnswer, prune: Prune) -> Next {
        let world = World::with(mirror());
        let spec = crate::domain::spec::MirrorSpec { prune, ..world.spec.clone() };
        let date = world.date();
        let dead = self.dead && self.no_young_row_old_intent;
        let long_ago = SignedDuration::from_secs(1_300);
        let made = date - if dead && why_dead == 1 { long_ago } else { SignedDuration::from_secs(60) };
        let mut repository = mirror();
        repository.created_at = made;
        repository.mirror = self.mirror;
        repository.interval = if self.unfinished { None } else { repository.interval };
        if !self.same_address {
            repository.original_url = "https://example.org/another".into();
        }
        let told = MigrateAnswer::CloneFailed { message: "fatal: not found".into() };
        let told_before = !self.not_created_after_the_answer;
        let answer = match (self.by_a_call_that_makes_a_row, told_before || dead && why_dead == 0) {
            (false, _) => Some(MigrateAnswer::Exists),
            (true, true) => Some(told),
            (true, false) => None,
        };
        let answered_at = if told_before { made - SignedDuration::from_secs(1) } else { date };
        let mut intended = if self.no_young_row_old_intent { made } else { date - long_ago };
        if told_before {
            intended = answered_at;
        }
        if !self.not_older {
            intended = made + SignedDuration::from_secs(1);
        }
        let target = if self.for_this_name { spec.full_name() } else { "openova/another".into() };
        let intent = Intended {
            target,
            gitea_date: Some(intended).filter(|_| self.dated || why_dead != 2),
            answer,
            answered_at: Some(answered_at).filter(|_| self.dated),
            made_nothing: !self.with_a_row_to_show,
        };
        let elapsed = secs(100);
        let gone = if dead && why_dead == 2 { secs(60) } else { secs(90) };
        let history = History {
            elapsed,
            intents: if self.intended { vec![intent] } else { Vec::new() },
            folder_gone_since: Some(gone).filter(|_| matches!(remains, LocalRefsAnswer::FolderGone)),
            repository_id: Some(repository.id),
            ..History::default()
        };
        let local = if !self.no_refs_of_its_own {
            refs(&[("heads/main", 'a'), ("heads/somebodys", 'd')])
        } else if !self.readable {
            LocalRefsAnswer::HttpGitDisabled
        } else {
            remains.clone()
        };
        let upstream = if self.upstream_is_sound {
            UpstreamAnswer::List(list(&[("heads/main", 'a')], Some("main")))
        } else {
            UpstreamAnswer::List(list(&[], None))
        };
        let seen = Observation {
            repository: Some(RepositorySeen {
                answer: RepositoryAnswer::Present(Box::new(repository)),
                date,
                dated: self.dated,
            }),
            owner: None,
            upstream: Some(Seen { at: date, value: upstream }),
            local_refs: Some(Seen { at: date, value: local }),
            aside: None,
            aside_refs: None,
            pivot: None,
        };
        decide(&spec, &seen, &history, &world.policy)
    }
}

fn any_remains() -> impl Strategy<Value = LocalRefsAnswer> {
    proptest::sample::select(vec![
        LocalRefsAnswer::FolderGone,
        refs(&[]),
        refs(&[("heads/main", 'a')]),
        LocalRefsAnswer::Trouble(trouble(TroubleKind::ServerError)),
    ])
}

fn is_a_deletion(next: &Next) -> bool {
    matches!(next, Next::Act(Action::Delete(_)))
}

#[test]
fn the_whole_proof_deletes_whichever_way_it_is_known_to_be_dead() {
    for (why_dead, remains) in [
        (0, refs(&[])),
        (0, LocalRefsAnswer::FolderGone),
        (0, refs(&[("heads/main", 'a')])),
        (1, refs(&[])),
        (1, LocalRefsAnswer::FolderGone),
        (2, LocalRefsAnswer::FolderGone),
    ] {
        let next = Conditions::whole().decided(why_dead, &remains, Prune::Off);
        assert!(is_a_deletion(&next), "{why_dead} {remains:?}: {next:?}");
    }
}

#[test]
fn each_condition_alone_stops_it() {
    for condition in 0..Conditions::ALL.len() {
        for why_dead in 0..3 {
            for remains in [refs(&[]), LocalRefsAnswer::FolderGone, refs(&[("heads/main", 'a')])] {
                let mut conditions = Conditions::whole();
                *Conditions::ALL[condition](&mut conditions) = false;
                let next = conditions.decided(why_dead, &remains, Prune::Off);
                assert!(!is_a_deletion(&next), "{conditions:?} {why_dead} {remains:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn anything_short_of_the_whole_proof_deletes_nothing(
        lacking in proptest::collection::vec(0..Conditions::ALL.len(), 1..4),
        why_dead in 0..3_u8,
        remains in any_remains(),
        prune in any::<bool>(),
    ) {
        let mut conditions = Conditions::whole();
        for condition in lacking {
            *Conditions::ALL[condition](&mut conditions) = false;
        }
        let next = conditions.decided(why_dead, &remains, Prune::from_bool(prune));
        prop_assert!(!is_a_deletion(&next), "{:?}", conditions);
    }
}
