//! Upstreams that answer nonsense, refuse, or do not answer us.

use super::super::Look;
use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{LocalRefsAnswer, Oversize, Trouble, TroubleKind, UpstreamAnswer, UpstreamRefusal};
use crate::domain::cause::Cause;
use crate::domain::evidence::{PruneCertainty, PruneMemory};
use crate::domain::problem::Code;
use crate::domain::refs::{BadRefName, Prune, RefName};
use crate::domain::url::UpstreamUrl;

/// Every answer from which nothing may follow.
fn unsound() -> Vec<(UpstreamAnswer, Code, Option<&'static str>)> {
    let not_git = |detail: &str| UpstreamAnswer::NotGit { detail: format!("upstream answers 200 with {detail}") };
    let refused = |why| UpstreamAnswer::Refused { why, detail: "no".into() };
    let moved = UpstreamUrl::parse("https://upstream.test/moved").unwrap();
    vec![
        (not_git("a web page"), Code::UpstreamSuspect, Some("not-git")),
        (not_git("an empty answer"), Code::UpstreamSuspect, Some("not-git")),
        (not_git("a list that breaks off before its end"), Code::UpstreamSuspect, Some("not-git")),
        (UpstreamAnswer::Oversize(Oversize::List(300_000)), Code::TooManyRefs, Some("upstream")),
        (UpstreamAnswer::Oversize(long_name()), Code::UpstreamSuspect, Some("name-too-long")),
        (upstream(&[]), Code::UpstreamSuspect, Some("empty")),
        (UpstreamAnswer::DumbHttp, Code::UpstreamSuspect, Some("dumb-http")),
        (refused(UpstreamRefusal::Denied), Code::UpstreamRefused, None),
        (refused(UpstreamRefusal::LogIn), Code::UpstreamRefused, Some("log-in")),
        (refused(UpstreamRefusal::Withdrawn), Code::UpstreamRefused, Some("withdrawn")),
        (refused(UpstreamRefusal::Redirect { to: None }), Code::UpstreamRefused, Some("redirect")),
        (refused(UpstreamRefusal::Redirect { to: Some(moved) }), Code::UpstreamRefused, Some("redirect")),
        (upstream(&[("heads/other", 'a'), ("tags/main", 'a')]), Code::UpstreamBranchMissing, None),
        (UpstreamAnswer::Trouble(trouble(TroubleKind::Credential)), Code::UpstreamCredential, None),
    ]
}

fn long_name() -> Oversize {
    match RefName::of(format!("refs/heads/{}", "x".repeat(256)).as_bytes()) {
        Err(BadRefName::TooLong(name)) => Oversize::Name(name),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_of_giteas_that_is_too_large_ends_the_run_and_says_whose_it_is() {
    for (oversize, code, reason) in
        [(Oversize::List(300_000), Code::TooManyRefs, "gitea"), (long_name(), Code::GiteaGitBroken, "name-too-long")]
    {
        let mut world = World::with(mirror());
        world.local = LocalRefsAnswer::Oversize(oversize);
        assert_eq!(world.fails(), code);
        let problem = world.problem();
        assert_eq!((problem.reason.as_deref(), problem.retryable), (Some(reason), false));
        assert!(!world.acts().iter().any(|act| *act == "sync"), "{:?}", world.acts());
    }
}

#[test]
fn nothing_is_made_of_an_upstream_that_answers_wrongly() {
    for (answer, code, reason) in unsound() {
        let mut world = World::empty();
        world.upstream = answer.clone();
        assert_eq!(world.fails(), code, "{answer:?}");
        assert_eq!(world.problem().reason.as_deref(), reason);
        assert!(world.acts().is_empty(), "{answer:?}");
        assert_eq!(world.looks, [Look::Repository, Look::Upstream], "it is asked once: {answer:?}");
    }
}

#[test]
fn a_remedy_names_the_new_address_only_of_the_same_host_and_only_what_can_pass_may_be_retried() {
    let problem = |answer| {
        let mut world = World::empty();
        world.upstream = answer;
        world.fails();
        world.problem().clone()
    };
    let redirect =
        |to| UpstreamAnswer::Refused { why: UpstreamRefusal::Redirect { to }, detail: "it redirects".into() };
    let moved = problem(redirect(Some(UpstreamUrl::parse("https://upstream.test/moved").unwrap())));
    assert_eq!(
        moved.remedy,
        "Set UPSTREAM_REPO_URL (upstream.url) to https://upstream.test/moved and restart cutover-api."
    );
    assert!(!problem(redirect(None)).remedy.contains("upstream.test"));
    assert!(!problem(UpstreamAnswer::DumbHttp).retryable, "it stays as it is");
    assert!(problem(UpstreamAnswer::NotGit { detail: "x".into() }).retryable);
}

#[test]
fn nothing_is_done_to_a_mirror_whose_upstream_answers_wrongly() {
    for (answer, code, _) in unsound() {
        for prune in [Prune::Off, Prune::On] {
            let mut world = World::with(mirror());
            world.spec.prune = prune;
            world.local = refs(&[("heads/main", 'b')]);
            world.upstream = answer.clone();
            assert_eq!(world.fails(), code, "{answer:?}");
            assert!(world.acts().is_empty(), "{answer:?}");
        }
    }
}

#[test]
fn an_upstream_that_turns_bad_in_mid_run_stops_the_run() {
    for (answer, code, _) in unsound() {
        let mut world = World::with(mirror());
        world.remembers_pruning();
        world.upstream = upstream(&[("heads/main", 'b')]);
        let told = answer.clone();
        world.syncs.push_back(Box::new(move |world| {
            world.upstream = told;
            world.later(2, World::end_a_sync);
            crate::domain::answer::SyncAnswer::Queued
        }));
        assert_eq!(world.fails(), code, "{answer:?}");
        assert_eq!(world.acts(), ["sync"], "{answer:?}");
    }
}

#[test]
fn an_upstream_that_does_not_answer_us_is_asked_five_times_within_a_minute() {
    for kind in [TroubleKind::Dns, TroubleKind::Connect, TroubleKind::Timeout, TroubleKind::Cut] {
        let mut world = World::with(mirror());
        world.remembers_sending();
        world.upstream = UpstreamAnswer::Trouble(trouble(kind));
        assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable, "{kind:?}");
        assert_eq!(world.looks.iter().filter(|look| **look == Look::Upstream).count(), 5, "{kind:?}");
        assert!(world.took() <= secs(60), "{kind:?}");
        assert!(world.acts().is_empty(), "pruning is not known to be off: {kind:?}");
        let waiting_for = world.waits[0].because.as_ref().map(|problem| problem.code);
        assert_eq!(waiting_for, Some(Code::UpstreamUnreachable));
    }
}

#[test]
fn an_upstream_whose_certificate_is_refused_is_tried_once_and_named_so() {
    let mut world = World::with(mirror());
    world.remembers_sending();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Tls).because(Cause::Expired));
    assert_eq!(world.stays_unverified(), Code::UpstreamTls);
    assert_eq!(world.looks.iter().filter(|look| **look == Look::Upstream).count(), 1);
    assert!(world.took() < secs(1));
    let mut world = World::with(mirror());
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Tls).because(Cause::Expired));
    world.local = refs(&[("heads/other", 'a')]);
    assert_eq!(world.fails(), Code::UpstreamTls);
    let problem = world.problem();
    assert_eq!((problem.reason.as_deref(), problem.retryable), (Some("expired"), false));
    assert!(problem.detail.contains("has no branch main") && problem.remedy.contains("Renew"), "{problem:?}");
}

#[test]
fn an_upstream_that_answers_at_the_third_try_is_used() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::ServerError));
    world.later(2, |world| world.upstream = upstream(&[("heads/main", 'a')]));
    assert_eq!(world.succeeds(), "noop");
}

#[test]
fn a_pause_that_upstream_asks_for_is_kept_within_the_minute_and_never_a_panic() {
    for (asked, tries) in [(20, 3), (61, 1), (u64::MAX, 1)] {
        let mut world = World::with(mirror());
        world.remembers_sending();
        world.upstream =
            UpstreamAnswer::Trouble(Trouble { retry_after: Some(secs(asked)), ..trouble(TroubleKind::Busy) });
        assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
        assert_eq!(world.looks.iter().filter(|look| **look == Look::Upstream).count(), tries, "{asked}");
        assert!(world.took() <= secs(60));
    }
}

#[test]
fn an_endless_pause_that_upstream_asks_for_later_on_is_no_panic_either() {
    let mut world = World::with(mirror());
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Cut));
    world.later(2, |world| {
        let busy = Trouble { retry_after: Some(secs(u64::MAX)), ..trouble(TroubleKind::Busy) };
        world.upstream = UpstreamAnswer::Trouble(busy);
    });
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
}

#[test]
fn a_sync_beside_an_upstream_that_we_cannot_read_needs_pruning_to_be_known_off() {
    let memory = |certainty| Some(PruneMemory { repository: mirror().id, prune: Prune::Off, certainty });
    let sent = PruneCertainty::Sent { mirror_updated: mirror().mirror_updated };
    for (pruning, prune, acts) in [
        // what has never been sent is sent: to stop pruning is safe whatever upstream does
        (None, Prune::Off, vec!["patch 10m0s keep"]),
        (memory(sent), Prune::Off, vec![]),
        (memory(PruneCertainty::Known), Prune::Off, vec!["sync"]),
        (None, Prune::On, vec![]),
    ] {
        let mut world = World::with(mirror());
        world.spec.prune = prune;
        world.history.pruning = pruning;
        world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Timeout));
        assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
        assert_eq!(world.acts(), acts);
    }
}

#[test]
fn pruning_that_is_wanted_and_known_allows_no_sync_beside_an_upstream_that_we_cannot_read() {
    let mut world = World::with(mirror());
    world.spec.prune = Prune::On;
    world.remembers_pruning();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Timeout));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert!(world.acts().is_empty());
}

#[test]
fn a_mirror_without_the_tracked_branch_is_not_healthy_enough_to_be_unverified() {
    for local in [refs(&[]), refs(&[("heads/other", 'a')])] {
        let mut world = World::with(mirror());
        world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Connect));
        world.local = local;
        assert_eq!(world.fails(), Code::UpstreamUnreachable);
        assert!(world.problem().detail.contains("has no branch main"));
        assert!(world.acts().is_empty());
    }
}

#[test]
fn a_sync_that_gitea_never_ends_beside_a_silent_upstream_is_waited_for_and_nothing_claimed() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Connect));
    world.syncs.push_back(Box::new(|_| crate::domain::answer::SyncAnswer::Queued));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert!(world.took() >= secs(600) && world.took() < secs(660), "{:?}", world.took());
    assert!(matches!(world.local, LocalRefsAnswer::List(_)));
}
