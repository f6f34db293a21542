//! Whole stories of one mirror, told against a pure world, and the properties that hold whatever is seen.
//!
//! [`world`] plays Gitea, upstream and the driver; each other file tells one part of the table.

mod absent;
mod early_reads;
mod guard;
mod legacy;
mod mirror;
mod patience;
mod pivot;
mod placeholder;
mod proof;
mod properties;
mod settings;
mod standing;
mod upstream;
mod watchdog;
mod world;

use std::time::Duration;

use super::{Awaited, Look, Next, decide};
use crate::domain::answer::{Refusal, RepositoryAnswer, Trouble, TroubleKind};
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::problem::Code;
use crate::domain::run::Phase;
use crate::domain::spec::Policy;
use crate::domain::tests::spec;
use world::{World, mirror, secs, trouble};

#[test]
fn the_first_look_is_at_the_repository() {
    let next = decide(&spec(), &Observation::default(), &History::default(), &Policy::default());
    assert_eq!(next, Next::Look(Look::Repository));
}

#[test]
fn a_gitea_that_does_not_answer_is_waited_for_slower_and_slower_and_then_named() {
    for (kind, code) in [
        (TroubleKind::Dns, Code::GiteaDns),
        (TroubleKind::Connect, Code::GiteaUnreachable),
        (TroubleKind::Timeout, Code::GiteaUnreachable),
        (TroubleKind::AuthTimeout, Code::GiteaAuthTimeout),
        (TroubleKind::Cut, Code::GiteaUnreachable),
        (TroubleKind::NotReady, Code::GiteaError),
        (TroubleKind::ServerError, Code::GiteaError),
        (TroubleKind::Busy, Code::GiteaError),
    ] {
        let mut world = World::with(mirror());
        world.instead = Some(RepositoryAnswer::Trouble(trouble(kind)));
        assert_eq!(world.fails(), code, "{kind:?}");
        assert!(world.took() >= world.policy.run && world.took() < world.policy.run + secs(60), "{kind:?}");
        assert_eq!(world.acts(), Vec::<String>::new());
        assert!(world.looks.len() < 80, "{} looks in half an hour", world.looks.len());
        assert!(world.waits.iter().all(|wait| wait.phase == Phase::Connecting && wait.awaited == Awaited::Gitea));
        assert_eq!(world.waits[0].because.as_ref().map(|problem| problem.code), Some(code));
    }
}

#[test]
fn our_own_credential_that_cannot_be_read_is_told_at_once() {
    let mut world = World::with(mirror());
    world.instead = Some(RepositoryAnswer::Trouble(trouble(TroubleKind::Credential)));
    assert_eq!(world.fails(), Code::GiteaCredential);
    assert!(world.took() < secs(1));
}

#[test]
fn a_gitea_that_comes_up_late_is_used_as_soon_as_it_answers() {
    let mut world = World::with(mirror());
    world.instead = Some(RepositoryAnswer::Trouble(trouble(TroubleKind::NotReady)));
    world.later(600, |world| world.instead = None);
    world.remembers_pruning();
    assert_eq!(world.succeeds(), "noop");
    assert!(world.took() < secs(640));
}

#[test]
fn a_pause_that_gitea_asks_for_is_kept_up_to_five_minutes() {
    for (asked, kept) in [(20, 20), (300, 300), (u64::MAX, 300)] {
        let busy = Trouble { retry_after: Some(secs(asked)), ..trouble(TroubleKind::Busy) };
        let answer = RepositoryAnswer::Trouble(busy);
        let repository = Some(RepositorySeen { answer, date: jiff::Timestamp::UNIX_EPOCH, dated: true });
        let seen = Observation { repository, ..Observation::default() };
        let Next::Wait(wait) = decide(&spec(), &seen, &History::default(), &Policy::default()) else {
            panic!("{asked}")
        };
        assert_eq!((wait.least, wait.pause), (secs(kept), secs(kept)));
    }
}

#[test]
fn what_gitea_refuses_ends_the_run_at_once() {
    let message = || "word".to_owned();
    for (refusal, code) in [
        (Refusal::Unauthenticated { message: message() }, Code::GiteaAuth),
        (Refusal::Scope { message: message() }, Code::GiteaScope),
        (Refusal::Forbidden { message: message() }, Code::GiteaForbidden),
    ] {
        let mut world = World::with(mirror());
        world.instead = Some(RepositoryAnswer::Refused(refusal));
        assert_eq!(world.fails(), code);
        assert_eq!(world.looks, [Look::Repository]);
    }
}

#[test]
fn a_repository_that_is_not_the_one_to_keep_is_left_alone() {
    let other = super::Repository { original_url: "https://example.org/x".into(), ..mirror() };
    let none = super::Repository { original_url: String::new(), ..mirror() };
    let archived = super::Repository { archived: true, ..mirror() };
    let pinned = super::Repository { interval: Some(super::GoDuration::ZERO), ..mirror() };
    for (repository, code) in [
        (other, Code::UpstreamMismatch),
        (none, Code::UpstreamMismatch),
        (archived, Code::Archived),
        (pinned, Code::ModeRefuses),
    ] {
        let mut world = World::with(repository);
        world.local = world::refs(&[("heads/main", 'b')]);
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts(), Vec::<String>::new(), "{code}");
        assert_eq!(world.looks, [Look::Repository], "{code}");
    }
}

#[test]
fn a_run_ends_at_its_deadline_and_says_what_was_in_the_way_then() {
    let policy = Policy { run: Duration::from_mins(1), ..Policy::default() };
    let mut world = World::with(mirror());
    world.make(None);
    world.policy = policy.clone();
    assert_eq!(world.fails(), Code::DeadlineExceeded);

    let mut world = World::with(mirror());
    world.make(None);
    world.policy = policy;
    world.later(50, |world| world.instead = Some(RepositoryAnswer::Trouble(trouble(TroubleKind::Dns))));
    assert_eq!(world.fails(), Code::GiteaDns);
    let detail = &world.problem().detail;
    assert!(detail.contains("when the run had taken 1m0s"), "{detail}");
}
