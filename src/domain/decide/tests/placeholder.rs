//! A row that a migrate has left and not finished.

use super::super::Look;
use super::world::{World, mirror, refs, secs, trouble};
use crate::domain::answer::{
    DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer, Refusal, Repository, TroubleKind,
};
use crate::domain::duration::GoDuration;
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
    let mut world = cloning();
    world.local = LocalRefsAnswer::FolderGone;
    assert_eq!(world.fails(), Code::BrokenMirror);
    assert!(world.took() >= secs(30) && world.took() < secs(40), "{:?}", world.took());
    assert!(world.acts().is_empty());
}

#[test]
fn an_error_of_giteas_git_is_no_folder_that_is_gone() {
    let mut world = cloning();
    world.local = LocalRefsAnswer::Trouble(trouble(TroubleKind::ServerError));
    world.later(600, |world| {
        world.migrate();
    });
    assert_eq!(world.succeeds(), "updated");
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
fn a_clone_of_ours_that_failed_for_good_says_so_at_once_and_the_next_run_makes_it_anew() {
    let mut world = ours(MigrateAnswer::CloneFailed { message: "Migration failed: fatal: not found".into() });
    assert_eq!(world.fails(), Code::MigrateFailed);
    assert_eq!(world.acts(), ["migrate"]);
    assert!(world.problem().detail.contains("fatal: not found"), "{}", world.problem().detail);
    assert!(world.took() < secs(5));
    world.next_run();
    assert_eq!(world.succeeds(), "repaired");
    assert_eq!(world.acts(), ["delete", "migrate", "patch 10m0s keep"]);
}

#[test]
fn a_long_failure_keeps_what_git_said_last() {
    let message = format!("Migration failed: clone error: {} fatal: repository not found", "Cloning… ".repeat(60));
    let mut world = ours(MigrateAnswer::CloneFailed { message });
    world.fails();
    let detail = &world.problem().detail;
    assert!(detail.contains("Migration failed: … fatal: repository not found"), "{detail}");
}

#[test]
fn a_clone_that_may_fail_in_passing_is_made_anew_three_times_within_thirty_seconds() {
    let broke_off =
        || MigrateAnswer::CloneBrokeOff { message: "Migration failed: fatal: Could not resolve host".into() };
    let mut world = ours(broke_off());
    assert_eq!(world.succeeds(), "repaired");
    assert_eq!(world.acts(), ["migrate", "delete", "migrate", "patch 10m0s keep"]);

    let mut world = ours(broke_off());
    for _ in 0..2 {
        world.migrates.push_back(Box::new(move |world| {
            world.make(None);
            world.local = LocalRefsAnswer::FolderGone;
            broke_off()
        }));
    }
    assert_eq!(world.fails(), Code::MigrateFailed);
    assert!(world.problem().retryable && world.problem().detail.contains("resolve"), "{:?}", world.problem());
    assert_eq!(world.acts(), ["migrate", "delete", "migrate", "delete", "migrate"]);
    assert!(world.took() < secs(30), "{:?}", world.took());
}

#[test]
fn a_500_without_refs_is_tried_once_more() {
    let mut world = ours(MigrateAnswer::ServerError);
    world.migrates.push_back(Box::new(|world| {
        world.make(None);
        world.local = refs(&[]);
        MigrateAnswer::ServerError
    }));
    assert_eq!(world.fails(), Code::MigrateFailed);
    assert!(world.problem().detail.contains("[git.timeout] MIGRATE"), "{}", world.problem().detail);
    assert_eq!(world.acts(), ["migrate", "delete", "migrate"]);
}

#[test]
fn an_interval_that_gitea_refuses_after_the_clone_is_named_with_its_minimum_and_pruning_stops() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    world.minimum = Some(GoDuration::parse("1h").unwrap());
    assert_eq!(world.fails(), Code::IntervalTooShort);
    assert!(world.problem().detail.contains("1h0m0s"), "{}", world.problem().detail);
    assert_eq!(world.acts()[..4], ["migrate", "delete", "migrate without interval", "patch 10m0s keep"]);
    assert!(!world.prunes, "the mirror that is left prunes nothing");
}

#[test]
fn a_lost_clone_of_ours_whose_folder_is_gone_is_made_anew() {
    let mut world = ours(MigrateAnswer::Unknown(trouble(TroubleKind::Timeout)));
    assert_eq!(world.succeeds(), "repaired");
    assert_eq!(world.acts(), ["migrate", "delete", "migrate", "patch 10m0s keep"]);
    assert!(world.time_of("delete", 0) >= secs(30), "{:?}", world.time_of("delete", 0));
}

#[test]
fn a_killed_clone_of_ours_is_made_anew_after_twenty_minutes() {
    let mut world = ours(MigrateAnswer::Unknown(trouble(TroubleKind::Cut)));
    world.later(1, |world| world.local = refs(&[]));
    assert_eq!(world.succeeds(), "repaired");
    assert!(world.time_of("delete", 0) >= secs(1_200), "{:?}", world.time_of("delete", 0));
}

#[test]
fn a_deletion_whose_answer_is_lost_is_looked_at_and_has_one_effect() {
    let clone_failed = || MigrateAnswer::CloneFailed { message: "fatal: not found".into() };
    let mut world = ours(clone_failed());
    world.fails();
    world.next_run();
    world.deletes.push_back(Box::new(|world| {
        world.delete();
        DeleteAnswer::Unknown(trouble(TroubleKind::Cut))
    }));
    assert_eq!(world.succeeds(), "repaired");
    assert_eq!(world.acts(), ["delete", "migrate", "patch 10m0s keep"]);

    let mut world = ours(clone_failed());
    world.fails();
    world.next_run();
    world.deletes.push_back(Box::new(|_| DeleteAnswer::Unknown(trouble(TroubleKind::Timeout))));
    assert_eq!(world.succeeds(), "repaired");
    assert_eq!(world.acts(), ["delete", "delete", "migrate", "patch 10m0s keep"]);
}

#[test]
fn a_deletion_that_gitea_refuses_is_told() {
    let mut world = ours(MigrateAnswer::CloneFailed { message: "fatal: not found".into() });
    world.fails();
    world.next_run();
    let message = "required scope".to_owned();
    world.deletes.push_back(Box::new(|_| DeleteAnswer::Refused(Refusal::Scope { message })));
    assert_eq!(world.fails(), Code::GiteaScope);
    assert_eq!(world.acts(), ["delete"]);
}

#[test]
fn nothing_is_deleted_beside_an_upstream_that_answers_wrongly() {
    let mut world = ours(MigrateAnswer::CloneFailed { message: "fatal: not found".into() });
    world.fails();
    world.next_run();
    world.upstream = super::world::upstream(&[]);
    assert_eq!(world.fails(), Code::UpstreamSuspect);
    assert!(world.acts().is_empty());
}

#[test]
fn git_that_refuses_us_beside_a_placeholder_fails_with_what_to_do() {
    let mut world = cloning();
    world.local = LocalRefsAnswer::Refused(Refusal::Unauthenticated { message: "no".into() });
    assert_eq!(world.fails(), Code::GiteaAuth);
}
