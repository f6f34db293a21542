//! What is read while the repository is looked at, and what of it counts.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{EarlyReads, Look, Purpose, early_owner, early_reads};
use super::world::{World, mirror, refs, secs, trouble, upstream, upstream_with_head};
use crate::domain::answer::{
    CreateOrganisationAnswer, OwnerAnswer, Refusal, Repository, RepositoryAnswer, SyncAnswer, TroubleKind,
};
use crate::domain::evidence::Seen;
use crate::domain::mode::Mode;
use crate::domain::observation::{GivingUp, History, Observation, RepositorySeen, Rest};
use crate::domain::problem::{Code, Problem};
use crate::domain::tests::spec;

const NONE: EarlyReads = EarlyReads { upstream: false, local_refs: None };
const UPSTREAM: EarlyReads = EarlyReads { upstream: true, local_refs: None };
const LOCAL: EarlyReads = EarlyReads { upstream: false, local_refs: Some(7) };
const BOTH: EarlyReads = EarlyReads { upstream: true, local_refs: Some(7) };

/// Of a mirror that was proven before.
fn proven() -> History {
    History { mirror: Some(7), ..History::default() }
}

fn seen(answer: RepositoryAnswer) -> RepositorySeen {
    RepositorySeen { answer, date: Timestamp::UNIX_EPOCH, dated: true }
}

fn present(repository: Repository) -> RepositorySeen {
    seen(RepositoryAnswer::Present(Box::new(repository)))
}

/// After these looks at the repository.
fn after(mut history: History, looks: &[RepositorySeen]) -> History {
    for look in looks {
        history.saw_repository(look);
    }
    history
}

fn placeholder() -> Repository {
    Repository { interval: None, ..mirror() }
}

/// A sync was asked for.
fn syncing(mut history: History) -> History {
    history.synced(&mirror(), SyncAnswer::Queued, None, None);
    history
}

#[test]
fn lists_are_read_early_where_they_will_be_needed_and_nothing_speaks_against_it() {
    let moved = Repository { mirror_updated: mirror().mirror_updated + jiff::SignedDuration::from_secs(9), ..mirror() };
    let away = || seen(RepositoryAnswer::Trouble(trouble(TroubleKind::Connect)));
    let absent = || seen(RepositoryAnswer::Absent);
    let rest = Some(Rest { left: secs(9), until: Timestamp::UNIX_EPOCH });
    let giving_up = || Some(GivingUp { since: Duration::ZERO, problem: Problem::new(Code::MigrateFailed, "x") });
    let table = vec![
        ("the first look at what was never proven", History::default(), UPSTREAM, NONE),
        ("the first look at what was proven", proven(), BOTH, BOTH),
        ("a severed mirror calls no upstream", History { mode: Mode::Severed, ..proven() }, LOCAL, LOCAL),
        ("upstream asks for rest", History { upstream_rest: rest, ..proven() }, LOCAL, LOCAL),
        ("upstream is in trouble", History { upstream_first_try: Some(secs(1)), ..proven() }, LOCAL, LOCAL),
        ("nobody has reached Gitea lately", History { gitea_unreachable: true, ..proven() }, NONE, NONE),
        ("Gitea is in trouble", after(proven(), &[away()]), NONE, NONE),
        ("it was in trouble and is well", after(proven(), &[away(), present(mirror())]), BOTH, BOTH),
        ("the name is free", after(proven(), &[absent()]), NONE, NONE),
        ("a clone is waited for", after(proven(), &[present(placeholder())]), NONE, NONE),
        (
            "a repository is in the way",
            after(proven(), &[present(Repository { mirror: false, ..mirror() })]),
            NONE,
            NONE,
        ),
        ("this run has seen a mirror", after(History::default(), &[absent(), present(mirror())]), BOTH, BOTH),
        ("it is being undone", History { giving_up: giving_up(), ..proven() }, NONE, NONE),
        ("a sync is under way", syncing(after(proven(), &[present(mirror())])), NONE, NONE),
        ("its end was not seen", after(syncing(proven()), &[present(mirror())]), NONE, NONE),
        ("its end was seen", after(syncing(proven()), &[present(mirror()), present(moved)]), BOTH, BOTH),
    ];
    for (what, history, run, observation) in table {
        let nothing = Observation::default();
        assert_eq!(early_reads(Purpose::Run, &nothing, &history), run, "{what}");
        assert_eq!(early_reads(Purpose::Observation, &nothing, &history), observation, "{what}, observed");
        assert_eq!(early_reads(Purpose::ModeChange, &nothing, &history), NONE, "{what}, and the mode is changed");
    }
}

#[test]
fn a_list_that_is_there_is_not_read_again() {
    let at = Timestamp::UNIX_EPOCH;
    let upstream = Some(Seen { at, value: upstream(&[("heads/main", 'a')]) });
    let mut seen = Observation { upstream, ..Observation::default() };
    assert_eq!(early_reads(Purpose::Run, &seen, &proven()), LOCAL);
    seen.local_refs = Some(Seen { at, value: refs(&[("heads/main", 'a')]) });
    assert_eq!(early_reads(Purpose::Run, &seen, &proven()), NONE);
}

#[test]
fn an_early_list_of_giteas_counts_for_the_mirror_that_was_expected_and_for_nothing_else() {
    let refused = RepositoryAnswer::Refused(Refusal::Unauthenticated { message: "bad".into() });
    let table = [
        ("the mirror", Some(present(mirror())), true),
        ("no answer yet", None, false),
        ("absent", Some(seen(RepositoryAnswer::Absent)), false),
        ("refused", Some(seen(refused)), false),
        ("trouble", Some(seen(RepositoryAnswer::Trouble(trouble(TroubleKind::Cut)))), false),
        ("a placeholder", Some(present(placeholder())), false),
        ("a regular repository", Some(present(Repository { mirror: false, ..mirror() })), false),
        ("another repository", Some(present(Repository { id: 8, ..mirror() })), false),
        (
            "another upstream",
            Some(present(Repository { original_url: "https://example.org/x".into(), ..mirror() })),
            false,
        ),
    ];
    for (what, repository, counts) in table {
        let seen = Observation { repository, ..Observation::default() };
        assert_eq!(BOTH.local_refs_count(&spec(), &seen), counts, "{what}");
        assert!(!UPSTREAM.local_refs_count(&spec(), &seen), "{what}: none was read");
    }
}

#[test]
fn the_owner_is_looked_at_early_where_the_name_is_free_or_was_before_its_owner_was_made() {
    let absent = || Some(seen(RepositoryAnswer::Absent));
    let away = RepositoryAnswer::Trouble(trouble(TroubleKind::Connect));
    let made = || {
        let mut history = after(History::default(), &[seen(RepositoryAnswer::Absent)]);
        history.created_organisation(CreateOrganisationAnswer::Created);
        history
    };
    let migrated = || {
        let mut history = made();
        history.sends_migrate(&spec(), Timestamp::UNIX_EPOCH, true);
        history
    };
    let giving_up = || {
        let mut history = History::default();
        history.gives_up(Problem::new(Code::MigrateFailed, "x"));
        history
    };
    let table = vec![
        ("before the first answer", None, History::default(), false),
        ("the name is free", absent(), History::default(), true),
        ("a mirror has it", Some(present(mirror())), History::default(), false),
        ("Gitea is in trouble", Some(seen(away.clone())), after(History::default(), &[seen(away)]), false),
        ("this run has made the owner", None, made(), true),
        ("and has looked at the name again", absent(), made(), true),
        ("a migrate was sent", absent(), migrated(), false),
        ("and the name is looked at again", None, migrated(), false),
        ("it is being undone", absent(), giving_up(), false),
    ];
    for (what, repository, history, early) in table {
        let seen = Observation { repository, ..Observation::default() };
        assert_eq!(early_owner(&seen, &history), early, "{what}");
        let seen = Observation { owner: Some(OwnerAnswer::Organisation), ..seen };
        assert!(!early_owner(&seen, &history), "{what}: it was looked at");
    }
}

#[test]
fn a_noop_on_a_mirror_that_was_proven_takes_one_request_s_time() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.history.mirror = Some(7);
    assert_eq!(world.succeeds(), "noop");
    assert_eq!(world.early_reads, [BOTH]);
    assert_eq!(world.looks, [Look::Repository, Look::Upstream, Look::LocalRefs]);
    assert_eq!(world.took(), Duration::from_millis(10));
}

#[test]
fn a_mirror_is_made_with_upstream_read_early_and_both_lists_once_its_pruning_was_sent() {
    let mut world = World::empty();
    assert_eq!(world.succeeds(), "created");
    let made = EarlyReads { upstream: true, local_refs: Some(8) };
    // absent; absent beside its new organisation; made; told not to prune
    assert_eq!(world.early_reads, [UPSTREAM, NONE, NONE, made]);
}

#[test]
fn a_repository_that_was_made_anew_is_judged_by_refs_that_were_read_after_it_was_seen() {
    let mut world = World::with(mirror());
    world.remembers_pruning();
    world.history.mirror = Some(6);
    // the one before it lacked what this one has
    world.local = refs(&[("heads/main", 'b')]);
    world.later(0, |world| world.local = refs(&[("heads/main", 'a')]));
    assert_eq!(world.succeeds(), "noop");
    assert_eq!(world.early_reads, [EarlyReads { upstream: true, local_refs: Some(6) }]);
}

#[test]
fn an_end_that_needs_no_list_does_not_take_one_into_account() {
    let mut world = World::with(Repository { archived: true, ..mirror() });
    world.history.mirror = Some(7);
    world.history.proven_refs = Some(9);
    world.upstream = upstream_with_head(&[], None);
    assert_eq!(world.fails(), Code::Archived);
    assert_eq!((world.early_reads.len(), world.history.lost), (1, None));
    assert_eq!(world.looks, [Look::Repository]);
}
