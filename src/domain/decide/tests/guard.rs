//! The guard before a sync, refs that Gitea has lost, and histories that were rewritten.

use super::world::{World, mirror, refs, trouble, upstream};
use crate::domain::answer::{AncestryAnswer, TroubleKind};
use crate::domain::problem::Code;
use crate::domain::refs::{Digest, Prune};
use crate::domain::run::End;

/// Five branches were proven; upstream shows `left` of them now, and a new commit.
fn shrunk_to(left: usize) -> World {
    let names = ["heads/main", "heads/b", "heads/c", "heads/d", "heads/e"];
    let all: Vec<_> = names.iter().map(|name| (*name, 'a')).collect();
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.local = refs(&all);
    (world.history.proven_refs, world.history.proven_branches) = (Some(5), Some(5));
    let left: Vec<_> = names.iter().take(left).map(|name| (*name, 'b')).collect();
    world.upstream = upstream(&left);
    world
}

fn digest(world: &World) -> Digest {
    *world.problem().upstream_digest.clone().expect("a digest to accept")
}

#[test]
fn an_upstream_that_has_lost_more_than_half_of_its_branches_is_synced_only_when_that_is_accepted() {
    let mut world = shrunk_to(2);
    assert_eq!(world.fails(), Code::UpstreamSuspect);
    assert_eq!(world.problem().reason.as_deref(), Some("shrunken"));
    assert!(world.problem().detail.contains("2 of the 5"), "{}", world.problem().detail);
    assert!(world.acts().is_empty());

    let accepted = digest(&world);
    let mut world = shrunk_to(2);
    world.history.options.accept_upstream = Some(accepted.clone());
    assert_eq!(world.succeeds(), "synced");
    world.next_run();
    assert_eq!(world.succeeds(), "noop", "what was accepted is what was last proven");

    let mut world = shrunk_to(1);
    world.history.options.accept_upstream = Some(accepted);
    assert_eq!(world.fails(), Code::UpstreamSuspect, "that list and no other");
}

#[test]
fn a_smaller_loss_and_a_journal_that_knows_of_none_are_no_matter_of_the_guard() {
    let mut world = shrunk_to(3);
    assert_eq!(world.succeeds(), "synced");
    assert!(world.remarks().is_empty(), "{:?}", world.remarks());
    let mut world = shrunk_to(1);
    (world.history.proven_refs, world.history.proven_branches) = (None, None);
    assert_eq!(world.succeeds(), "synced");
    assert!(world.remarks()[0].starts_with("no earlier proof"), "an operator is told that it could not be guarded");
    world.next_run();
    assert_eq!(world.succeeds(), "noop");
    assert!(world.remarks().is_empty(), "{:?}", world.remarks());
}

#[test]
fn with_pruning_what_a_sync_would_delete_is_held_against_what_gitea_has() {
    let mut world = shrunk_to(2);
    (world.history.proven_refs, world.history.proven_branches) = (None, None);
    world.spec.prune = Prune::On;
    world.remembers_pruning();
    assert_eq!(world.fails(), Code::UpstreamSuspect);
    assert!(world.acts().is_empty());
    let accepted = digest(&world);
    world.next_run();
    world.history.options.accept_upstream = Some(accepted);
    assert_eq!(world.succeeds(), "synced");
}

#[test]
fn refs_that_gitea_has_lost_are_found_named_and_restored_after_pruning_was_stopped_again() {
    for left in [&[][..], &[("heads/main", 'a')]] {
        let mut world = shrunk_to(5);
        world.local = refs(left);
        world.prunes = true;
        assert_eq!(world.succeeds(), "updated");
        assert_eq!(world.acts()[..2], ["patch 10m0s keep", "sync"]);
        assert!(!world.prunes);
        assert!(world.remarks()[0].contains("where 5 had been proven"), "{:?}", world.remarks());
    }
}

#[test]
fn whether_history_was_rewritten_is_gitea_s_to_tell() {
    for (answer, rewritten) in [
        (AncestryAnswer::FastForward, Some(false)),
        (AncestryAnswer::Rewritten, Some(true)),
        (AncestryAnswer::Unknown, None),
        (AncestryAnswer::Trouble(trouble(TroubleKind::Cut)), None),
    ] {
        let mut world = World::with(mirror());
        world.remembers_pruning();
        world.upstream = upstream(&[("heads/main", 'b')]);
        world.ancestry = answer.clone();
        world.succeeds();
        assert_eq!(world.rewritten(), rewritten, "{answer:?}");
    }
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.ancestry = AncestryAnswer::Rewritten;
    world.succeeds();
    assert_eq!(world.rewritten(), Some(false), "no sync moved the branch");
}

impl World {
    fn rewritten(&self) -> Option<bool> {
        self.ended().and_then(End::evidence).expect("a success").rewritten()
    }
}
