//! A row that a migrate has left and not finished.

use super::super::Look;
use super::world::{World, mirror, refs, secs, trouble};
use crate::domain::answer::{LocalRefsAnswer, MigrateAnswer, OwnerAnswer, Refusal, Repository, TroubleKind};
use crate::domain::problem::Code;

/// Somebody's migrate began when the story does.
fn cloning() -> World {
    let mut world = World::with(mirror());
    world.make(None);
    world.local = refs(&[]);
    world
}

/// Our own migrate leaves a placeholder and that answer.
fn ours(answer: MigrateAnswer) -> World {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    world.migrates.push_back(Box::new(move |world| {
        world.make(None);
        world.local = LocalRefsAnswer::FolderGone;
        answer
    }));
    world
}

#[test]
fn a_migration_of_somebody_elses_is_waited_for_and_then_used() {
    let mut world = cloning();
    world.later(300, |world| {
        world.migrate();
    });
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
}

#[test]
fn a_placeholder_counts_as_broken_twenty_minutes_after_it_was_made() {
    let mut world = cloning();
    assert_eq!(world.fails(), Code::BrokenMirror);
    assert!(world.acts().is_empty());
    assert!(world.took() >= secs(1_200) && world.took() < secs(1_215), "{:?}", world.took());
}

#[test]
fn an_old_placeholder_is_broken_at_the_first_look() {
    let mut world = World::with(Repository { interval: None, ..mirror() });
    assert_eq!(world.fails(), Code::BrokenMirror);
    assert_eq!(world.looks, [Look::Repository]);
    assert!(world.problem().detail.contains("began 1h0m0s ago"), "{}", world.problem().detail);
}

#[test]
fn a_folder_that_is_gone_at_two_looks_thirty_seconds_apart_is_broken() {
    for local in [LocalRefsAnswer::FolderGone, LocalRefsAnswer::Trouble(trouble(TroubleKind::ServerError))] {
        let mut world = cloning();
        world.local = local;
        assert_eq!(world.fails(), Code::BrokenMirror);
        assert!(world.took() >= secs(30) && world.took() < secs(40), "{:?}", world.took());
        assert!(world.acts().is_empty());
    }
}

#[test]
fn a_folder_that_is_not_there_yet_is_no_proof() {
    let mut world = cloning();
    world.local = LocalRefsAnswer::FolderGone;
    world.later(20, |world| world.local = refs(&[]));
    world.later(40, |world| world.local = LocalRefsAnswer::FolderGone);
    world.later(60, |world| {
        world.migrate();
    });
    assert_eq!(world.succeeds(), "updated");
}

#[test]
fn a_proxys_answer_is_no_sign_of_a_folder_that_is_gone() {
    let mut world = cloning();
    world.local = LocalRefsAnswer::Trouble(trouble(TroubleKind::Busy));
    world.later(120, |world| {
        world.migrate();
    });
    assert_eq!(world.succeeds(), "updated");
}

#[test]
fn a_clone_of_ours_that_failed_says_so_at_once() {
    let clone_failed = MigrateAnswer::CloneFailed { message: "Migration failed: fatal: not found".into() };
    for (answer, words) in [(clone_failed, "fatal: not found"), (MigrateAnswer::ServerError, "MIN_INTERVAL")] {
        let mut world = ours(answer);
        assert_eq!(world.fails(), Code::MigrateFailed);
        assert_eq!(world.acts(), ["migrate"]);
        assert!(world.problem().detail.contains(words), "{}", world.problem().detail);
        assert!(world.took() < secs(5));
    }
}

#[test]
fn a_lost_clone_of_ours_whose_folder_is_gone_is_broken() {
    let mut world = ours(MigrateAnswer::Unknown(trouble(TroubleKind::Timeout)));
    assert_eq!(world.fails(), Code::BrokenMirror);
    assert_eq!(world.acts(), ["migrate"], "it is not sent again while the placeholder is there");
}

#[test]
fn an_intent_of_an_earlier_run_makes_the_twenty_minutes_count_from_there() {
    let mut world = cloning();
    world.history.earlier_intent = Some(world.date() + secs(300));
    assert_eq!(world.fails(), Code::BrokenMirror);
    assert!(world.took() >= secs(1_500), "{:?}", world.took());
}

#[test]
fn git_that_refuses_us_beside_a_placeholder_fails_with_what_to_do() {
    let mut world = cloning();
    world.local = LocalRefsAnswer::Refused(Refusal::Unauthenticated { message: "no".into() });
    assert_eq!(world.fails(), Code::GiteaAuth);
}
