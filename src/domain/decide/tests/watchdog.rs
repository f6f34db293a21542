//! A sync that was asked for, and what is done when it brings nothing, never ends, or was lost.

use super::mirror::behind;
use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{PatchAnswer, RepositoryAnswer, SyncAnswer, Trouble, TroubleKind};
use crate::domain::duration::GoDuration;
use crate::domain::problem::Code;

#[test]
fn refs_that_are_proven_while_mirror_updated_never_moves_end_after_five_seconds() {
    let mut world = behind();
    world.syncs.push_back(Box::new(|world| {
        world.later(2, |world| world.local = refs(&[("heads/main", 'b')]));
        SyncAnswer::Queued
    }));
    assert_eq!(world.succeeds(), "synced");
    assert!(world.took() >= secs(7) && world.took() < secs(10), "{:?}", world.took());
}

#[test]
fn two_syncs_that_end_without_the_refs_are_failing() {
    let mut world = behind();
    for _ in 0..2 {
        world.syncs.push_back(Box::new(|world| {
            world.later(2, World::end_a_sync);
            SyncAnswer::Queued
        }));
    }
    assert_eq!(world.fails(), Code::SyncFailing);
    assert_eq!(world.acts(), ["sync", "sync"]);
    assert!(world.problem().detail.contains("1 refs still differ, refs/heads/main among them"));
}

#[test]
fn a_sync_that_ended_while_upstream_moved_on_is_no_failure() {
    let mut world = behind();
    for commit in ['c', 'd', 'e'] {
        world.syncs.push_back(Box::new(move |world| {
            world.later(1, move |world| {
                world.end_a_sync();
                world.upstream = upstream(&[("heads/main", commit)]);
            });
            SyncAnswer::Queued
        }));
    }
    assert_eq!(world.succeeds(), "synced");
    assert_eq!(world.acts(), ["sync"; 4]);
}

#[test]
fn a_queue_that_does_not_move_is_called_stuck_after_ten_minutes() {
    let mut world = behind();
    world.syncs.push_back(Box::new(|_| SyncAnswer::Queued));
    assert_eq!(world.fails(), Code::GiteaQueueStuck);
    assert_eq!(world.acts(), ["sync"]);
    assert!(world.took() >= secs(600) && world.took() < secs(610));
    assert!(world.problem().detail.ends_with("have moved for 10m0s"), "{}", world.problem().detail);
}

#[test]
fn a_queue_is_not_stuck_while_refs_move() {
    let mut world = behind();
    world.syncs.push_back(Box::new(|world| {
        world.later(400, |world| world.local = refs(&[("heads/main", 'a'), ("heads/big", 'c')]));
        SyncAnswer::Queued
    }));
    assert_eq!(world.fails(), Code::GiteaQueueStuck);
    assert!(world.took() >= secs(1_000) && world.took() < secs(1_010), "{:?}", world.took());
    assert_eq!(world.acts(), ["sync"]);
}

#[test]
fn a_sync_that_may_have_been_lost_with_its_server_is_asked_for_again_once() {
    for (kind, again) in [(TroubleKind::Connect, true), (TroubleKind::Busy, true), (TroubleKind::ServerError, false)] {
        let mut world = behind();
        world.syncs.push_back(Box::new(move |world| {
            world.later(60, move |world| world.instead = Some(RepositoryAnswer::Trouble(trouble(kind))));
            world.later(120, |world| world.instead = None);
            SyncAnswer::Queued
        }));
        if again {
            assert_eq!(world.succeeds(), "synced");
            assert_eq!(world.acts(), ["sync"; 2], "{kind:?}");
            assert!(world.time_of("sync", 1) >= secs(120), "{kind:?}");
        } else {
            assert_eq!(world.fails(), Code::GiteaQueueStuck);
            assert_eq!(world.acts(), ["sync"], "{kind:?}");
        }
    }
}

#[test]
fn a_sync_whose_answer_was_lost_is_asked_for_again_three_times_at_most() {
    let lost = |_: &mut World| SyncAnswer::Unknown(trouble(TroubleKind::ServerError));
    let mut world = behind();
    world.syncs.push_back(Box::new(lost));
    assert_eq!(world.succeeds(), "synced");
    assert_eq!(world.acts(), ["sync", "sync"]);
    assert!(world.time_of("sync", 1) >= secs(30));

    let mut world = behind();
    (0..3).for_each(|_| world.syncs.push_back(Box::new(lost)));
    assert_eq!(world.fails(), Code::GiteaError);
    assert_eq!(world.acts(), ["sync"; 3]);
}

#[test]
fn what_was_certainly_never_sent_is_nothing_that_this_run_did() {
    let unsent = || Trouble::not_sent(TroubleKind::Tls, "no word");
    let brings = |world: &mut World| world.later(2, |world| world.local = refs(&[("heads/main", 'b')]));
    let mut world = behind();
    world.syncs.push_back(Box::new(move |world| {
        brings(world);
        SyncAnswer::Unknown(unsent())
    }));
    assert_eq!(world.succeeds(), "noop", "somebody else had it synced");
    assert_eq!(world.acts(), ["sync"]);

    let mut world = behind();
    world.syncs.push_back(Box::new(move |world| {
        brings(world);
        SyncAnswer::Unknown(trouble(TroubleKind::Cut))
    }));
    assert_eq!(world.succeeds(), "synced", "it may have been this one");

    let mut world = World::with(mirror());
    world.remembers_pruning();
    let wanted = world.spec.interval;
    world.repository.as_mut().unwrap().interval = GoDuration::parse("20m").ok();
    world.patches.push_back(Box::new(move |world| {
        world.later(0, move |world| world.repository.as_mut().unwrap().interval = Some(wanted));
        PatchAnswer::Unknown(unsent())
    }));
    assert_eq!(world.succeeds(), "noop", "somebody else has set it back");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
}
