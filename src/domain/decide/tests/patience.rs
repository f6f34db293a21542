//! How long is waited: the end of the run, what is certainly not Gitea, and an upstream that asks to be left alone.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{Action, Awaited, Next, Wait, decide};
use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{
    OwnerAnswer, Repository, RepositoryAnswer, SyncAnswer, Trouble, TroubleKind, UpstreamAnswer,
};
use crate::domain::evidence::{PruneCertainty, PruneMemory, Seen};
use crate::domain::observation::{History, Observation, RepositorySeen, Rest, Streak};
use crate::domain::problem::Code;
use crate::domain::spec::Policy;
use crate::domain::tests::spec;

fn seen(answer: RepositoryAnswer) -> Observation {
    let repository = Some(RepositorySeen { answer, date: Timestamp::UNIX_EPOCH, dated: true });
    Observation { repository, ..Observation::default() }
}

#[test]
fn a_pause_leaves_time_for_a_last_look_and_the_one_after_that_look_ends_with_the_run() {
    for (asked, elapsed, pause) in [
        (0, 0, 500),
        (20, 0, 20_000),
        (57, 0, 57_000),
        (59, 0, 58_000),
        (300, 0, 58_000),
        (u64::MAX, 0, 58_000),
        (300, 57, 1_000),
        (300, 58, 2_000),
        (0, 58, 500),
        (300, 59, 1_000),
    ] {
        let policy = Policy { run: secs(60), ..Policy::default() };
        let busy = Trouble { retry_after: Some(secs(asked)), ..trouble(TroubleKind::Busy) };
        let history = History { elapsed: secs(elapsed), ..History::default() };
        let next = decide(&spec(), &seen(RepositoryAnswer::Trouble(busy)), &history, &policy);
        let Next::Wait(wait) = next else { panic!("{next:?}") };
        assert_eq!(wait.pause, Duration::from_millis(pause), "{asked} {elapsed}");
        assert!(wait.least == wait.pause || asked == 0, "{asked} {elapsed}");
    }
}

#[test]
fn a_run_of_a_minute_looks_again_just_before_its_end_whatever_is_waited_for() {
    for set in [
        (|world: &mut World| {
            let busy = Trouble { retry_after: Some(secs(300)), ..trouble(TroubleKind::Busy) };
            world.instead = Some(RepositoryAnswer::Trouble(busy));
        }) as fn(&mut World),
        // a clone that goes on, and a sync that brings nothing
        |world| {
            let created_at = world.date();
            world.repository = Some(Repository { interval: None, created_at, ..mirror() });
        },
        |world| {
            world.remembers_pruning();
            world.upstream = upstream(&[("heads/main", 'b')]);
            world.syncs.push_back(Box::new(|_| SyncAnswer::Queued));
        },
    ] {
        let mut world = World::with(mirror());
        world.policy = Policy { run: secs(60), ..Policy::default() };
        set(&mut world);
        world.fails();
        assert!((secs(60)..secs(61)).contains(&world.took()), "{:?}", world.took());
        let last: Duration =
            world.waits.iter().rev().take_while(|wait| wait.pause <= secs(2)).map(|wait| wait.pause).sum();
        assert!(last > Duration::ZERO, "{:?}", world.waits.last());
    }
}

#[test]
fn what_is_certainly_not_gitea_is_believed_after_two_minutes_of_nothing_else() {
    let (now, minute) = (secs(1_000), secs(60));
    let all = [
        (TroubleKind::Dns, None),
        (TroubleKind::Connect, None),
        (TroubleKind::Tls, Some(Code::GiteaTls)),
        (TroubleKind::Timeout, None),
        (TroubleKind::AuthTimeout, None),
        (TroubleKind::Cut, None),
        (TroubleKind::TooLarge, Some(Code::NotGitea)),
        (TroubleKind::Foreign, Some(Code::NotGitea)),
        (TroubleKind::NotReady, None),
        (TroubleKind::ServerError, None),
        (TroubleKind::Busy, None),
    ];
    for (kind, code) in all {
        for (lasted, answered) in [(2 * minute, false), (secs(119), false), (10 * minute, true)] {
            let history = History {
                elapsed: now,
                streak: Some(Streak { trouble: trouble(kind), count: 9, since: now.saturating_sub(lasted) }),
                gitea_answered: answered,
                ..History::default()
            };
            let next = decide(&spec(), &seen(RepositoryAnswer::Trouble(trouble(kind))), &history, &Policy::default());
            let expected = code.filter(|_| lasted == 2 * minute && !answered);
            match next {
                Next::Wait(wait) => assert_eq!((None, Awaited::Gitea), (expected, wait.awaited), "{kind:?} {lasted:?}"),
                Next::End(end) => {
                    let problem = end.problem().unwrap();
                    assert_eq!((Some(problem.code), problem.retryable), (expected, true), "{kind:?} {lasted:?}");
                    assert!(problem.detail.ends_with(", and nothing else for 2m0s"), "{}", problem.detail);
                }
                other @ (Next::Look(_) | Next::Act(_) | Next::Remember(_) | Next::GiveUp(_)) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn another_kind_of_trouble_or_an_answer_begins_the_two_minutes_anew() {
    let mut history = History::default();
    let mut note = |at, kind: Option<TroubleKind>| {
        history.elapsed = secs(at);
        match kind {
            Some(kind) => history.note_trouble(&trouble(kind)),
            None => history.saw_repository(&RepositorySeen {
                answer: RepositoryAnswer::Absent,
                date: Timestamp::UNIX_EPOCH,
                dated: true,
            }),
        }
        (history.streak.as_ref().map(|streak| (streak.count, streak.since)), history.gitea_answered)
    };
    assert_eq!(note(10, Some(TroubleKind::Tls)), (Some((1, secs(10))), false));
    assert_eq!(note(20, Some(TroubleKind::Tls)), (Some((2, secs(10))), false));
    assert_eq!(note(30, Some(TroubleKind::Foreign)), (Some((3, secs(30))), false));
    assert_eq!(note(40, Some(TroubleKind::Tls)), (Some((4, secs(40))), false));
    assert_eq!(note(50, None), (None, true));
    assert_eq!(note(60, Some(TroubleKind::Tls)), (Some((1, secs(60))), true));
}

/// Upstream is to be left alone for so long, in a run of half an hour that has taken no time yet.
fn resting(left: u64) -> Rest {
    let until = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(i64::try_from(left).unwrap());
    Rest { left: secs(left), until }
}

#[test]
fn nothing_that_sends_gitea_to_a_resting_upstream_is_done_before_its_pause_is_over() {
    let at = Timestamp::UNIX_EPOCH;
    let list = |commit| Some(Seen { at, value: upstream(&[("heads/main", commit)]) });
    let (upstream, owner) = (list('b'), Some(OwnerAnswer::Organisation));
    let absent = Observation { upstream: upstream.clone(), owner, ..seen(RepositoryAnswer::Absent) };
    let local_refs = Some(Seen { at, value: refs(&[("heads/main", 'a')]) });
    let behind = Observation { upstream, local_refs, ..seen(RepositoryAnswer::Present(Box::new(mirror()))) };
    let pruning = PruneMemory { repository: mirror().id, prune: spec().prune, certainty: PruneCertainty::Known };
    for (seen, act) in [(absent, "migrate"), (behind, "sync")] {
        let history = History { pruning: Some(pruning.clone()), ..History::default() };
        let next = decide(&spec(), &seen, &history, &Policy::default());
        assert!(matches!(next, Next::Act(Action::Migrate { .. } | Action::Sync)), "{act}: {next:?}");
        for (left, fits) in [(1, true), (1_700, true), (1_798, true), (1_799, false), (3_600, false)] {
            let history = History { upstream_rest: Some(resting(left)), ..history.clone() };
            match decide(&spec(), &seen, &history, &Policy::default()) {
                Next::Wait(wait) => {
                    assert!(fits && wait.awaited == Awaited::Upstream && wait.least >= secs(left), "{left}: {wait:?}");
                    assert!(wait.pause <= secs(1_798), "{wait:?}");
                }
                Next::End(end) => {
                    let problem = end.problem().unwrap();
                    assert!(!fits && problem.retryable, "{left}");
                    assert_eq!(
                        (problem.code, problem.reason.as_deref()),
                        (Code::UpstreamUnreachable, Some("rate-limit"))
                    );
                    let until = resting(left).until.to_string();
                    assert!(problem.detail.contains(&until), "{}", problem.detail);
                }
                other @ (Next::Look(_) | Next::Act(_) | Next::Remember(_) | Next::GiveUp(_)) => {
                    panic!("{left}: {other:?}")
                }
            }
        }
    }
}

#[test]
fn a_healthy_mirror_beside_a_resting_upstream_stays_unverified_and_its_settings_are_seen_to() {
    let unread = UpstreamAnswer::Trouble(Trouble { retry_after: Some(secs(3_600)), ..trouble(TroubleKind::Busy) });
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.upstream = unread.clone();
    world.history.upstream_rest = Some(resting(3_600));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert!(world.acts().is_empty() && world.took() < secs(5));
    // what has never been sent is sent: it sends Gitea nowhere
    let mut world = World::with(mirror());
    world.upstream = unread;
    world.history.upstream_rest = Some(resting(3_600));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
}

#[test]
fn a_mirror_that_needs_no_fetch_is_proven_beside_a_resting_upstream() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.history.upstream_rest = Some(resting(3_600));
    assert_eq!(world.succeeds(), "noop");
}

#[test]
fn a_pause_that_upstream_asks_for_beyond_the_run_is_not_begun() {
    let at = Timestamp::UNIX_EPOCH;
    let busy = Trouble { retry_after: Some(secs(40)), ..trouble(TroubleKind::Busy) };
    let mut seen = seen(RepositoryAnswer::Present(Box::new(mirror())));
    seen.upstream = Some(Seen { at, value: UpstreamAnswer::Trouble(busy) });
    seen.local_refs = Some(Seen { at, value: refs(&[("heads/main", 'a')]) });
    let policy = Policy { run: secs(60), ..Policy::default() };
    let history = |elapsed| History { elapsed: secs(elapsed), upstream_tries: 1, ..History::default() };
    let Next::Wait(wait) = decide(&spec(), &seen, &history(10), &policy) else { panic!() };
    assert_eq!((wait.least, wait.awaited), (secs(40), Awaited::Upstream));
    let next = decide(&spec(), &seen, &history(19), &policy);
    assert!(!matches!(next, Next::Wait(Wait { awaited: Awaited::Upstream, .. })), "{next:?}");
}
