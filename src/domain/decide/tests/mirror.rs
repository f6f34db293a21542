//! A mirror that is there: its refs, and the sync that brings them.

use jiff::SignedDuration;

use super::super::Look;
use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{LocalRefsAnswer, Refusal, Repository, SyncAnswer, TroubleKind};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::PruneCertainty;
use crate::domain::mode::{Mode, ModeChange, Source};
use crate::domain::problem::Code;
use crate::domain::refs::Prune;
use crate::domain::run::RunId;
use crate::domain::server::Server;

/// Upstream is one commit ahead; pruning is known to be off.
pub(super) fn behind() -> World {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.upstream = upstream(&[("heads/main", 'b')]);
    world
}

#[test]
fn a_noop_is_three_looks_and_nothing_else() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    assert_eq!(world.succeeds(), "noop");
    assert_eq!(world.looks, [Look::Repository, Look::Upstream, Look::LocalRefs]);
    assert!(world.acts().is_empty() && world.waits.is_empty());
}

#[test]
fn a_mirror_that_is_found_behind_stops_pruning_before_it_is_synced_and_again_after() {
    let mut world = behind();
    (world.history.pruning, world.prunes) = (None, true);
    world.local = refs(&[("heads/main", 'a'), ("heads/gone", 'c')]);
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["patch 10m0s keep", "sync", "patch 10m0s keep"]);
    assert!(matches!(
        world.remembered[..],
        [PruneCertainty::Sent { .. }, PruneCertainty::Sent { .. }, PruneCertainty::Known]
    ));
    assert!(world.took() >= world.time_of("patch 10m0s keep", 1) + secs(3));
    let LocalRefsAnswer::List(local) = &world.local else { panic!("gone") };
    assert_eq!(local.len(), 2, "what upstream has deleted is kept");
}

#[test]
fn where_pruning_is_known_a_sync_is_all_it_takes() {
    let mut world = behind();
    assert_eq!(world.succeeds(), "synced");
    assert_eq!(world.acts(), ["sync"]);
}

#[test]
fn extra_refs_are_kept_without_pruning_and_synced_away_with_it() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.local = refs(&[("heads/main", 'a'), ("heads/old", 'b')]);
    assert_eq!(world.succeeds(), "noop");

    let mut world = World::with(mirror());
    world.spec.prune = Prune::On;
    world.remembers_pruning();
    world.local = refs(&[("heads/main", 'a'), ("heads/old", 'b')]);
    assert_eq!(world.succeeds(), "synced");
}

#[test]
fn a_sync_is_not_asked_for_in_the_second_of_the_last_move() {
    let mut world = behind();
    world.end_a_sync();
    assert_eq!(world.succeeds(), "synced");
    let asked = world.time_of("sync", 0);
    assert!(asked >= secs(1) && asked < secs(2), "{asked:?}");
}

#[test]
fn a_clock_that_was_set_back_does_not_hold_up_a_sync() {
    let mut world = behind();
    let ahead = world.date() + secs(3_600);
    world.repository.as_mut().unwrap().mirror_updated = ahead;
    assert_eq!(world.succeeds(), "synced");
    assert!(world.took() < secs(10), "{:?}", world.took());
}

#[test]
fn a_sync_that_gitea_denies_for_a_mirror_it_shows_is_never_called_stuck() {
    for answer in [SyncAnswer::NotAMirror, SyncAnswer::Gone] {
        let mut world = behind();
        for _ in 0..3 {
            let answer = answer.clone();
            world.syncs.push_back(Box::new(move |_| answer));
        }
        assert_eq!(world.fails(), Code::GiteaError);
        assert_eq!(world.acts(), ["sync"; 3]);
        assert!(world.took() < secs(40), "{:?}", world.took());
    }
}

#[test]
fn a_sync_that_is_refused_for_good_fails_with_what_to_do() {
    let forbidden = Refusal::Forbidden { message: "user should have a permission to write to a repo".into() };
    for (answer, code) in [
        (SyncAnswer::MirrorsDisabled, Code::MirrorsDisabled),
        (SyncAnswer::Archived, Code::Archived),
        (SyncAnswer::LimitReached { message: "quota exceeded".into() }, Code::RepositoryLimit),
        (SyncAnswer::Refused(forbidden), Code::GiteaForbidden),
    ] {
        let mut world = behind();
        world.syncs.push_back(Box::new(move |_| answer));
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts(), ["sync"]);
    }
}

#[test]
fn a_ref_that_a_local_one_blocks_is_named_after_the_others_were_brought() {
    let mut world = behind();
    world.local = refs(&[("heads/main", 'a'), ("heads/rel", 'c')]);
    world.upstream = upstream(&[("heads/main", 'b'), ("heads/rel/1", 'd')]);
    assert_eq!(world.fails(), Code::RefConflict);
    assert_eq!(world.acts()[0], "sync");
    let LocalRefsAnswer::List(local) = &world.local else { panic!("gone") };
    assert!(local.iter().any(|one| one.id().as_str().starts_with('b')), "main was brought");
    let detail = &world.problem().detail;
    assert!(detail.contains("refs/heads/rel/1") && detail.contains("beside refs/heads/rel,"), "{detail}");
}

#[test]
fn where_only_blocked_refs_differ_no_sync_is_asked_for() {
    for (here, there) in [("heads/rel", "heads/rel/1"), ("heads/rel/1", "heads/rel")] {
        let mut world = World::with(mirror());
        world.remembers_pruning();
        world.local = refs(&[("heads/main", 'a'), (here, 'c')]);
        world.upstream = upstream(&[("heads/main", 'a'), (there, 'd')]);
        assert_eq!(world.fails(), Code::RefConflict);
        assert!(world.acts().is_empty());
    }
}

#[test]
fn names_that_only_begin_alike_do_not_block_each_other() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.local = refs(&[("heads/main", 'a'), ("heads/rel", 'c'), ("tags/rel", 'c')]);
    world.upstream = upstream(&[("heads/main", 'a'), ("heads/rel-1", 'd')]);
    assert_eq!(world.succeeds(), "synced");
}

#[test]
fn with_pruning_a_sync_makes_room_by_itself() {
    let mut world = World::with(mirror());
    world.spec.prune = Prune::On;
    world.remembers_pruning();
    world.local = refs(&[("heads/main", 'a'), ("heads/rel", 'c')]);
    world.upstream = upstream(&[("heads/main", 'a'), ("heads/rel/1", 'd')]);
    assert_eq!(world.succeeds(), "synced");
}

#[test]
fn a_git_that_fails_on_a_healthy_mirror_is_asked_a_few_times_and_then_named() {
    for answer in [
        LocalRefsAnswer::Trouble(trouble(TroubleKind::ServerError)),
        LocalRefsAnswer::FolderGone,
        LocalRefsAnswer::Gone,
    ] {
        let mut world = World::with(mirror());
        world.local = answer.clone();
        assert_eq!(world.fails(), Code::GiteaGitBroken, "{answer:?}");
        let pauses: Vec<_> = world.waits.iter().map(|wait| wait.pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000], "{answer:?}");
        assert!(world.acts().is_empty());
    }
}

#[test]
fn a_proxy_before_giteas_git_is_waited_for() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    let local = std::mem::replace(&mut world.local, LocalRefsAnswer::Trouble(trouble(TroubleKind::Busy)));
    world.later(300, move |world| world.local = local);
    assert_eq!(world.succeeds(), "noop");
    assert!(world.waits.len() < 20, "{} pauses in five minutes", world.waits.len());
}

#[test]
fn git_that_refuses_us_fails_with_what_to_do() {
    let refused = || Refusal::Unauthenticated { message: "git's request is not let in".into() };
    let mut world = World::with(mirror());
    world.local = LocalRefsAnswer::Refused(refused());
    assert_eq!(world.fails(), Code::GiteaAuth);
    assert!(world.acts().is_empty());

    let mut world = World::with(mirror());
    (world.local, world.by_api) = (LocalRefsAnswer::HttpGitDisabled, LocalRefsAnswer::Refused(refused()));
    assert_eq!(world.fails(), Code::GiteaAuth);
}

#[test]
fn an_interval_of_zero_is_ours_only_where_the_journal_and_the_last_sync_say_so() {
    let stopped = || {
        let mut world = World::with(Repository { interval: Some(GoDuration::ZERO), ..mirror() });
        world.remembers_pruning();
        world.history.mode_change = Some(Box::new(followed_again()));
        world
    };
    let updated = mirror().mirror_updated;
    let at = |seconds: i64| Some(updated + SignedDuration::from_secs(seconds));
    for (sent, ours) in
        [(None, false), (at(1), false), (at(0), false), (at(-1), true), (at(-600), true), (at(-601), false)]
    {
        let mut world = stopped();
        world.history.settings_sent = sent;
        if ours {
            assert_eq!(world.succeeds(), "updated", "{sent:?}");
        } else {
            assert_eq!(world.fails(), Code::ModeRefuses, "{sent:?}");
            assert!(world.acts().is_empty());
        }
    }
    let mut world = stopped();
    world.history.mode_change.as_mut().unwrap().applied_at = None;
    assert_eq!(world.succeeds(), "updated");
    // nobody has ever asked us to stop it
    let mut world = stopped();
    (world.history.mode_change, world.history.settings_sent) = (None, at(-1));
    assert_eq!(world.fails(), Code::ModeRefuses);
}

fn followed_again() -> ModeChange {
    ModeChange {
        id: RunId(uuid::Uuid::nil()),
        mode: Mode::Follow,
        source: Source::Api,
        by: None,
        reason: None,
        at: jiff::Timestamp::UNIX_EPOCH,
        configured: Mode::Follow,
        convert: false,
        applied_at: Some(jiff::Timestamp::UNIX_EPOCH),
        problem: None,
    }
}

#[test]
fn git_that_is_switched_off_is_read_through_the_api_and_that_is_said() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    (world.by_api, world.local) = (world.local.clone(), LocalRefsAnswer::HttpGitDisabled);
    assert_eq!(world.succeeds(), "noop");
    assert_eq!(world.looks, [Look::Repository, Look::Upstream, Look::LocalRefs, Look::LocalRefsByApi]);
    assert!(world.remarks().iter().any(|remark| remark.contains("through its API")), "{:?}", world.remarks());
}

#[test]
fn where_gitea_shows_when_a_sync_ended_well_one_failure_is_enough() {
    let mut world = behind();
    let before = Some(mirror().mirror_updated);
    world.repository.as_mut().unwrap().last_sync = before;
    world.syncs.push_back(Box::new(|world| {
        world.later(2, World::end_a_sync);
        SyncAnswer::Queued
    }));
    assert_eq!(world.fails(), Code::SyncFailing);
    assert_eq!(world.acts(), ["sync"]);
}

#[test]
fn a_sync_that_fails_beside_a_credential_that_works_for_us_names_the_credential() {
    for (version, code, words) in [
        ("1.26.4", Code::UpstreamCredentialStale, "Mirror Settings"),
        ("1.27.0", Code::UpstreamCredentialStale, "mirror_token"),
        ("11.0.15+gitea-1.22.0", Code::UpstreamCredentialForgotten, "Update Forgejo"),
        ("16.0.0+gitea-1.22.0", Code::UpstreamCredentialStale, "Mirror Settings"),
    ] {
        let mut world = behind();
        (world.history.private_upstream, world.history.server) = (true, Some(Server::parse(version)));
        for _ in 0..2 {
            world.syncs.push_back(Box::new(|world| {
                world.later(2, World::end_a_sync);
                SyncAnswer::Queued
            }));
        }
        assert_eq!(world.fails(), code, "{version}");
        assert!(world.problem().remedy.contains(words), "{version}: {}", world.problem().remedy);
    }
}

#[test]
fn upstream_is_read_anew_after_gitea_was_away() {
    let mut world = behind();
    world.local = LocalRefsAnswer::Trouble(trouble(TroubleKind::Connect));
    world.later(60, |world| {
        world.local = refs(&[("heads/main", 'a')]);
        world.upstream = upstream(&[]);
    });
    assert_eq!(world.fails(), Code::UpstreamSuspect);
    assert!(world.acts().is_empty(), "a list from before the outage is no ground for a sync");
}

#[test]
fn a_mirror_without_any_refs_is_synced_and_believed_only_with_its_refs() {
    let mut world = World::with(Repository { default_branch: String::new(), ..mirror() });
    world.remembers_pruning();
    world.local = refs(&[]);
    assert_eq!(world.succeeds(), "updated");
    assert_eq!(world.acts(), ["sync", "default branch main"]);
}
