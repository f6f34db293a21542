//! Interval, pruning and the default branch.

use std::time::Duration;

use super::world::{World, mirror, refs, secs, trouble, upstream, upstream_with_head};
use crate::domain::answer::{
    LocalRefsAnswer, PatchAnswer, Refusal, Repository, SyncAnswer, TroubleKind, UpstreamAnswer,
};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::{PruneCertainty, PruneMemory};
use crate::domain::observation::History;
use crate::domain::problem::Code;
use crate::domain::refs::Prune;
use crate::domain::spec::Policy;
use crate::domain::tests::spec;

fn interval(text: &str) -> GoDuration {
    GoDuration::parse(text).unwrap()
}

/// In sync, and its interval is another one.
fn slow() -> World {
    let mut world = World::with(Repository { interval: Some(interval("8h")), ..mirror() });
    world.remembers_pruning();
    world
}

#[test]
fn an_interval_that_differs_is_patched_once_and_read_back_three_seconds_later() {
    let mut world = slow();
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
    assert!(world.took() >= secs(3) && world.took() < secs(5), "{:?}", world.took());
}

#[test]
fn the_same_interval_in_other_words_is_the_same() {
    let mut world = World::with(Repository { interval: Some(interval("600s")), ..mirror() });
    world.remembers_pruning();
    assert_eq!(world.succeeds(), "noop");
}

#[test]
fn refs_come_before_settings() {
    let mut world = slow();
    world.upstream = upstream(&[("heads/main", 'b')]);
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["sync", "patch 10m0s keep"]);
}

#[test]
fn an_interval_that_a_running_sync_writes_back_is_patched_again() {
    let mut world = slow();
    world.begin_a_sync(secs(2));
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"; 2]);
    assert_eq!(world.repository.as_ref().unwrap().interval, Some(interval("10m")));
}

#[test]
fn an_answer_that_took_long_does_not_count_as_time_to_settle() {
    let mut world = slow();
    world.patches.push_back(Box::new(|world| {
        let answer = world.patch(world.spec.interval, Prune::Off);
        world.pass(secs(20));
        answer
    }));
    assert_eq!(world.succeeds(), "updated");
    assert!(world.took() >= secs(23), "{:?}", world.took());
}

#[test]
fn settings_that_never_stay_end_the_run() {
    let mut world = slow();
    for _ in 0..9 {
        world.patches.push_back(Box::new(|world| {
            world.later(1, |world| {
                world.end_a_sync();
                world.repository.as_mut().unwrap().interval = Some(interval("8h"));
            });
            world.patch(world.spec.interval, Prune::Off)
        }));
    }
    assert_eq!(world.fails(), Code::SettingsReverted);
    assert_eq!(world.acts(), ["patch 10m0s keep"; 6]);
}

#[test]
fn a_patch_that_is_taken_and_not_done_is_not_sent_in_a_hot_loop() {
    let mut world = slow();
    (0..9).for_each(|_| world.patches.push_back(Box::new(|_| PatchAnswer::Done)));
    assert_eq!(world.fails(), Code::SettingsReverted);
    assert_eq!(world.acts(), ["patch 10m0s keep"; 6]);
    assert!(world.took() >= secs(5), "{:?}", world.took());
}

#[test]
fn pruning_is_sent_once_more_after_a_move_and_then_never_again() {
    let mut world = World::with(mirror());
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
    assert!(matches!(world.remembered[..], [PruneCertainty::Sent { .. }]), "it may have been undone");

    world.pass(secs(60));
    world.next_run();
    assert_eq!(world.succeeds(), "noop", "nothing has moved since");

    world.begin_a_sync(secs(1));
    world.pass(secs(600));
    world.next_run();
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
    assert_eq!(world.remembered.last(), Some(&PruneCertainty::Known));

    for _ in 0..3 {
        world.begin_a_sync(secs(1));
        world.pass(secs(600));
        world.next_run();
        assert_eq!(world.succeeds(), "noop", "it is known for good");
    }
}

#[test]
fn pruning_that_a_running_sync_undoes_is_sent_until_it_stays() {
    let mut world = World::with(mirror());
    world.begin_a_sync(Duration::from_millis(500));
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep"; 2]);
    assert_eq!(world.remembered.last(), Some(&PruneCertainty::Known));
    assert!(!world.prunes);
}

#[test]
fn a_patch_that_was_not_done_settles_nothing_about_pruning() {
    let moved = mirror();
    let before = PruneCertainty::Sent { mirror_updated: moved.created_at - secs(60) };
    for (answer, settles) in [(PatchAnswer::Done, true), (PatchAnswer::ServerError, false)] {
        let pruning = Some(PruneMemory { repository: moved.id, prune: Prune::Off, certainty: before.clone() });
        let mut history = History { pruning, ..History::default() };
        history.patched(&spec(), &moved, answer);
        assert_eq!(history.patch.unwrap().settles_pruning, settles);
    }
}

#[test]
fn another_repository_of_the_same_name_is_one_of_which_nothing_is_known() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.repository.as_mut().unwrap().id += 1;
    assert_eq!(world.succeeds(), "updated");
}

#[test]
fn a_patch_that_fails_in_passing_is_sent_again_after_a_pause() {
    for answer in [
        PatchAnswer::ServerError,
        PatchAnswer::Gone,
        // it was none for a moment
        PatchAnswer::NotAMirror,
        PatchAnswer::Unknown(trouble(TroubleKind::Cut)),
    ] {
        let mut world = slow();
        world.patches.push_back(Box::new(move |_| answer));
        assert_eq!(world.succeeds(), "updated");
        assert!(world.time_of("patch 10m0s keep", 1) >= secs(1));
    }
    for (answer, code) in [
        (PatchAnswer::ServerError, Code::GiteaError),
        (PatchAnswer::NotAMirror, Code::GiteaError),
        (PatchAnswer::Unknown(trouble(TroubleKind::Timeout)), Code::GiteaUnreachable),
    ] {
        let mut world = slow();
        for _ in 0..9 {
            let answer = answer.clone();
            world.patches.push_back(Box::new(move |_| answer));
        }
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts().len(), 6);
    }
}

#[test]
fn a_patch_that_is_refused_for_good_is_sent_once() {
    let admin = Refusal::Forbidden { message: "user should be an owner or a collaborator with admin write".into() };
    for (answer, code) in [
        (PatchAnswer::BelowMinimum { minimum: Some(interval("15m")) }, Code::IntervalTooShort),
        (PatchAnswer::Invalid { message: "time: invalid duration".into() }, Code::SettingsRefused),
        (PatchAnswer::Refused(admin), Code::GiteaForbidden),
    ] {
        let mut world = slow();
        world.patches.push_back(Box::new(move |_| answer));
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts(), ["patch 10m0s keep"]);
    }
}

#[test]
fn gitea_minimum_is_named() {
    let mut world = slow();
    world.patches.push_back(Box::new(|_| PatchAnswer::BelowMinimum { minimum: Some(interval("15m")) }));
    world.fails();
    assert_eq!(world.problem().detail, "the interval 10m0s is below Gitea's minimum, 15m0s");
}

#[test]
fn a_sync_is_not_asked_for_before_gitea_has_taken_that_nothing_is_pruned() {
    let mut world = World::with(mirror());
    world.upstream = upstream(&[("heads/main", 'b')]);
    (0..9).for_each(|_| world.patches.push_back(Box::new(|_| PatchAnswer::ServerError)));
    assert_eq!(world.fails(), Code::GiteaError);
    assert!(!world.acts().contains(&"sync".to_owned()));
}

/// Upstream's `HEAD` is `trunk` now; Gitea has that branch.
fn renamed() -> World {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.upstream = upstream_with_head(&[("heads/main", 'a'), ("heads/trunk", 'b')], Some("trunk"));
    world.local = refs(&[("heads/main", 'a'), ("heads/trunk", 'b')]);
    world
}

#[test]
fn the_default_branch_follows_upstreams_head_by_a_patch_of_its_own_after_the_sync() {
    let mut world = renamed();
    world.local = refs(&[("heads/main", 'a')]);
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["sync", "default branch trunk"]);
}

#[test]
fn a_500_that_was_done_all_the_same_is_not_sent_again() {
    let mut world = renamed();
    world.branches.push_back(Box::new(|world| {
        world.set_branch("trunk");
        PatchAnswer::ServerError
    }));
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["default branch trunk"]);
}

#[test]
fn a_default_branch_that_gitea_knows_only_after_a_sync_is_sent_again_after_one() {
    let mut world = renamed();
    let nothing = || Box::new(|_: &mut World| PatchAnswer::Done);
    (0..3).for_each(|_| world.branches.push_back(nothing()));
    assert_eq!(world.succeeds(), "updated");
    let branch = "default branch trunk";
    assert_eq!(world.acts(), [branch, branch, branch, "sync", branch]);
    // one that does not end tells nothing new
    let mut world = renamed();
    (0..9).for_each(|_| world.branches.push_back(nothing()));
    world.syncs.push_back(Box::new(|_| SyncAnswer::Queued));
    assert_eq!(world.fails(), Code::DefaultBranchRefused);
    assert_eq!(world.acts(), [branch, branch, branch, "sync"]);
    assert!(world.took() >= Policy::default().sync);
}

#[test]
fn a_default_branch_that_gitea_never_takes_over_is_sent_three_times_before_a_sync_and_after_one() {
    for answer in [PatchAnswer::Done, PatchAnswer::ServerError] {
        let mut world = renamed();
        for _ in 0..9 {
            let answer = answer.clone();
            world.branches.push_back(Box::new(move |_| answer));
        }
        assert_eq!(world.fails(), Code::DefaultBranchRefused);
        let branch = "default branch trunk";
        assert_eq!(world.acts(), [branch, branch, branch, "sync", branch, branch, branch]);
        assert!(world.took() >= secs(2));
        let detail = &world.problem().detail;
        assert!(detail.contains("stays main") && detail.contains("is trunk"), "{detail}");
    }
}

#[test]
fn without_a_head_upstream_or_without_its_branch_here_the_default_branch_stays() {
    let mut world = renamed();
    world.upstream = upstream_with_head(&[("heads/main", 'a'), ("heads/trunk", 'b')], None);
    assert_eq!(world.succeeds(), "noop");

    let mut world = renamed();
    world.upstream = upstream_with_head(&[("heads/main", 'a')], Some("unborn"));
    assert_eq!(world.succeeds(), "noop");
}

#[test]
fn beside_an_upstream_that_is_down_only_a_wrong_interval_is_patched() {
    let mut world = slow();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Connect));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert_eq!(world.acts(), ["sync", "patch 10m0s keep"]);
    assert!(matches!(world.local, LocalRefsAnswer::List(_)));
}
