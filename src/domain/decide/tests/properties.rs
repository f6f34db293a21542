//! What holds whatever is seen and whatever was tried.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{Action, Awaited, Next, decide};
use super::world::{World, mirror, refs, trouble, upstream};
use crate::domain::answer::{
    CreateOrganisationAnswer, LocalRefsAnswer, MigrateAnswer, Oversize, OwnerAnswer, PatchAnswer, Refusal, Repository,
    RepositoryAnswer, SyncAnswer, Trouble, TroubleKind, UpstreamAnswer, UpstreamRefusal,
};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::{PruneCertainty, PruneMemory, Seen};
use crate::domain::observation::{
    BranchPatch, History, Migrate, Observation, Patch, RepositorySeen, Rest, Streak, Sync,
};
use crate::domain::proof::Intended;
use crate::domain::refs::Prune;
use crate::domain::run::End;
use crate::domain::spec::{MirrorSpec, Policy};
use crate::domain::tests::spec;

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![0..40_u64, 0..2_000_u64].prop_map(Duration::from_secs)
}

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    (0..4_000_i64).prop_map(|second| Timestamp::from_second(1_795_000_000 - 3_600 + second).unwrap())
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let kinds = vec![
        TroubleKind::Dns,
        TroubleKind::Tls,
        TroubleKind::AuthTimeout,
        TroubleKind::Cut,
        TroubleKind::Foreign,
        TroubleKind::ServerError,
        TroubleKind::Busy,
        TroubleKind::Credential,
    ];
    (proptest::sample::select(kinds), proptest::option::of(prop_oneof![0..100_u64, Just(u64::MAX)]))
        .prop_map(|(kind, seconds)| Trouble { retry_after: seconds.map(Duration::from_secs), ..trouble(kind) })
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    let message = || "word".to_owned();
    proptest::sample::select(vec![
        Refusal::Unauthenticated { message: message() },
        Refusal::Scope { message: message() },
        Refusal::Forbidden { message: message() },
    ])
}

fn any_repository() -> impl Strategy<Value = Repository> {
    let interval = proptest::sample::select(vec![None, Some("10m"), Some("10m"), Some("8h"), Some("0s")]);
    let branch = proptest::sample::select(vec!["main", "old"]);
    (0..9_u8, interval, any_timestamp(), any_timestamp(), branch, 7..9_u64).prop_map(
        |(odd, interval, mirror_updated, created_at, branch, id)| Repository {
            id,
            mirror: odd != 0,
            archived: odd == 1,
            last_sync: None,
            original_url: if odd == 2 { String::new() } else { mirror().original_url },
            interval: interval.map(|text| GoDuration::parse(text).unwrap()),
            mirror_updated,
            default_branch: branch.into(),
            created_at,
        },
    )
}

fn any_upstream() -> impl Strategy<Value = UpstreamAnswer> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            upstream(&[("heads/main", 'a')]),
            upstream(&[("heads/main", 'b'), ("heads/rel/1", 'c')]),
            upstream(&[("heads/other", 'b')]),
            upstream(&[]),
            UpstreamAnswer::Oversize(Oversize::List(3)),
            UpstreamAnswer::NotGit { detail: "a web page".into() },
            UpstreamAnswer::Refused { why: UpstreamRefusal::Denied, detail: "no".into() },
            UpstreamAnswer::DumbHttp,
        ]),
        1 => any_trouble().prop_map(UpstreamAnswer::Trouble),
    ]
}

fn any_local() -> impl Strategy<Value = LocalRefsAnswer> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            refs(&[("heads/main", 'a')]),
            refs(&[("heads/main", 'b'), ("heads/rel", 'c')]),
            refs(&[]),
            LocalRefsAnswer::FolderGone,
            LocalRefsAnswer::HttpGitDisabled,
            LocalRefsAnswer::Gone,
        ]),
        1 => any_trouble().prop_map(LocalRefsAnswer::Trouble),
        1 => any_refusal().prop_map(LocalRefsAnswer::Refused),
    ]
}

pub(super) fn any_observation() -> impl Strategy<Value = Observation> {
    let repository = prop_oneof![
        6 => any_repository().prop_map(|repository| RepositoryAnswer::Present(Box::new(repository))),
        3 => Just(RepositoryAnswer::Absent),
        1 => any_refusal().prop_map(RepositoryAnswer::Refused),
        1 => any_trouble().prop_map(RepositoryAnswer::Trouble),
    ];
    let repository =
        (repository, any_timestamp()).prop_map(|(answer, date)| RepositorySeen { answer, date, dated: true });
    let owner = prop_oneof![
        proptest::sample::select(vec![
            OwnerAnswer::Organisation,
            OwnerAnswer::User,
            OwnerAnswer::Absent,
            OwnerAnswer::NotShown,
            OwnerAnswer::Renamed,
        ]),
        any_refusal().prop_map(OwnerAnswer::Refused),
        any_trouble().prop_map(OwnerAnswer::Trouble),
    ];
    let some = |chance: f64| proptest::option::Probability::from(chance);
    (
        proptest::option::weighted(some(0.95), repository),
        proptest::option::weighted(some(0.8), owner),
        proptest::option::weighted(some(0.9), (any_timestamp(), any_upstream())),
        proptest::option::weighted(some(0.9), (any_timestamp(), any_local())),
    )
        .prop_map(|(repository, owner, upstream, local_refs)| Observation {
            repository,
            owner,
            upstream: upstream.map(|(at, value)| Seen { at, value }),
            local_refs: local_refs.map(|(at, value)| Seen { at, value }),
            aside: None,
            aside_refs: None,
            pivot: None,
        })
}

fn any_migrate_answer() -> impl Strategy<Value = MigrateAnswer> {
    let message = || "word".to_owned();
    prop_oneof![
        proptest::sample::select(vec![
            MigrateAnswer::Created,
            MigrateAnswer::Exists,
            MigrateAnswer::NotOwner,
            MigrateAnswer::OwnerMissing,
            MigrateAnswer::HostNotAllowed,
            MigrateAnswer::ServerError,
            MigrateAnswer::CloneFailed { message: message() },
        ]),
        any_trouble().prop_map(MigrateAnswer::Unknown),
    ]
}

fn any_patch_answer() -> impl Strategy<Value = PatchAnswer> {
    prop_oneof![
        3 => Just(PatchAnswer::Done),
        1 => Just(PatchAnswer::ServerError),
        1 => Just(PatchAnswer::NotAMirror),
        1 => Just(PatchAnswer::BelowMinimum { minimum: None }),
        1 => any_trouble().prop_map(PatchAnswer::Unknown),
    ]
}

fn any_sync() -> impl Strategy<Value = Sync> {
    let answer = prop_oneof![
        4 => Just(SyncAnswer::Queued),
        1 => Just(SyncAnswer::NotAMirror),
        1 => Just(SyncAnswer::Archived),
        1 => any_trouble().prop_map(SyncAnswer::Unknown),
    ];
    let maybe = || proptest::option::of(any_time());
    let times = (maybe(), maybe(), maybe());
    (any_time(), any_timestamp(), answer, times, any::<bool>(), any::<bool>(), 1..5_u32).prop_map(
        |(at, mirror_updated, answer, times, gitea_was_away, upstream_read_since, asks)| Sync {
            at,
            mirror_updated,
            last_sync: None,
            failed: false,
            answer,
            upstream: None,
            proven_at: times.0,
            refs_moved_at: times.1,
            moved_at: times.2,
            gitea_was_away,
            upstream_read_since,
            asks,
        },
    )
}

fn any_pruning() -> impl Strategy<Value = PruneMemory> {
    let certainty = prop_oneof![
        Just(PruneCertainty::Known),
        any_timestamp().prop_map(|mirror_updated| PruneCertainty::Sent { mirror_updated }),
    ];
    (7..9_u64, any::<bool>(), certainty).prop_map(|(repository, prune, certainty)| PruneMemory {
        repository,
        prune: Prune::from_bool(prune),
        certainty,
    })
}

pub(super) fn any_history() -> impl Strategy<Value = History> {
    let maybe = || proptest::option::of(any_time());
    let migrate = (any_timestamp(), maybe(), proptest::option::of(any_migrate_answer()))
        .prop_map(|(gitea_date, at, answer)| Migrate { gitea_date, at, answer });
    let patch = (any_time(), any_timestamp(), any_patch_answer(), any::<bool>()).prop_map(
        |(at, mirror_updated, answer, settles_pruning)| Patch { at, mirror_updated, answer, settles_pruning },
    );
    let branch = (any_time(), any_patch_answer()).prop_map(|(at, answer)| BranchPatch { at, answer });
    let organisation =
        prop_oneof![Just(CreateOrganisationAnswer::Created), any_trouble().prop_map(CreateOrganisationAnswer::Unknown)];
    let streak =
        (any_trouble(), 1..u32::MAX, any_time()).prop_map(|(trouble, count, since)| Streak { trouble, count, since });
    (
        (any_time(), proptest::option::of(streak), 0..9_u32, maybe(), proptest::option::of(organisation), 0..5_u32),
        (proptest::option::of(migrate), 0..5_u32, maybe(), maybe(), any_timestamp()),
        (proptest::option::of(patch), 0..8_u32, proptest::option::of(branch), 0..5_u32),
        (proptest::option::of(any_sync()), 0..5_u32, 0..4_u32, maybe(), proptest::option::of(any_pruning())),
        (any::<bool>(), proptest::option::weighted(0.2, (1..4_000_u64, any_timestamp()))),
    )
        .prop_map(|(first, second, third, fourth, fifth)| History {
            elapsed: first.0,
            streak: first.1,
            upstream_tries: first.2,
            upstream_first_try: first.3,
            organisation: first.4,
            organisations: first.5,
            migrate: second.0.clone(),
            migrates: second.1,
            first_migrate: second.2,
            absent_since: second.3,
            intents: vec![Intended {
                target: spec().full_name(),
                gitea_date: Some(second.4),
                answered_at: Some(second.4),
                answer: second.0.and_then(|migrate| migrate.answer),
                made_nothing: false,
            }],
            patch: third.0,
            patches: third.1,
            branch_patch: third.2,
            branch_patches: third.3,
            sync: fourth.0,
            syncs: fourth.1,
            barren_syncs: fourth.2,
            folder_gone_since: fourth.3,
            pruning: fourth.4,
            gitea_answered: fifth.0,
            upstream_rest: fifth.1.map(|(left, until)| Rest { left: Duration::from_secs(left), until }),
            ..History::default()
        })
}

fn any_spec() -> impl Strategy<Value = MirrorSpec> {
    any::<bool>().prop_map(|prune| MirrorSpec { prune: Prune::from_bool(prune), ..spec() })
}

/// Whether upstream was seen to say something from which nothing may follow.
fn upstream_is_unsound(seen: &Observation) -> bool {
    match seen.upstream.as_ref().map(|seen| &seen.value) {
        Some(
            UpstreamAnswer::Oversize(_)
            | UpstreamAnswer::NotGit { .. }
            | UpstreamAnswer::DumbHttp
            | UpstreamAnswer::Refused { .. },
        ) => true,
        Some(UpstreamAnswer::List(list)) => list.is_empty(),
        Some(UpstreamAnswer::Trouble(_)) | None => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_makes_it_panic_act_on_nonsense_or_claim_without_proof(
        spec in any_spec(), seen in any_observation(), history in any_history(),
    ) {
        let present = match seen.repository.as_ref().map(|seen| &seen.answer) {
            Some(RepositoryAnswer::Present(repository)) => Some(&**repository),
            _ => None,
        };
        let absent = matches!(seen.repository, Some(RepositorySeen { answer: RepositoryAnswer::Absent, .. }));
        let lists = matches!(
            (seen.upstream.as_ref().map(|seen| &seen.value), seen.local_refs.as_ref().map(|seen| &seen.value)),
            (Some(UpstreamAnswer::List(_)), Some(LocalRefsAnswer::List(_)))
        );
        match decide(&spec, &seen, &history, &Policy::default()) {
            Next::Act(action) => {
                // a mirror of our own making is told not to prune before upstream is looked at again
                let only_settings =
                    matches!(action, Action::Patch { .. }) && present.is_some_and(|present| history.made(present));
                prop_assert!(only_settings || !upstream_is_unsound(&seen), "{:?}", action);
                let sets = matches!(action, Action::Patch { .. } | Action::SetDefaultBranch(_));
                prop_assert!(sets || history.upstream_rest.is_none(), "{:?}", action);
                match action {
                    Action::Migrate { .. } | Action::CreateOrganisation => prop_assert!(absent),
                    Action::Delete(proof) => {
                        prop_assert!(present.is_some_and(|present| present.mirror && present.interval.is_none()));
                        prop_assert_eq!(present.map(|present| present.id), Some(proof.repository()));
                    }
                    Action::RenameAside(_) => prop_assert!(present.is_some_and(|present| !present.mirror)),
                    Action::GiveBack(_) => prop_assert!(absent),
                    Action::Patch { .. } | Action::SetDefaultBranch(_) => prop_assert!(
                        present.is_some_and(|present| present.mirror && present.interval.is_some())
                    ),
                    Action::Sync => {
                        prop_assert!(present.is_some_and(|present| present.mirror && present.interval.is_some()));
                        let known_off = history.pruning_of(present.unwrap(), Prune::Off) == Some(&PruneCertainty::Known);
                        prop_assert!(lists || known_off);
                        prop_assert!(spec.prune == Prune::On || !history.pruning_is_due(present.unwrap(), Prune::Off));
                    }
                }
            }
            Next::End(end) => match *end {
                End::Succeeded { evidence, .. } => {
                    prop_assert!(lists && present.is_some());
                    prop_assert!(evidence.refs() > 0);
                }
                End::Unverified { problem } | End::Failed { problem } => prop_assert!(!problem.detail.is_empty()),
                End::Canceled => prop_assert!(false, "nobody has taken it out"),
            },
            Next::Wait(wait) => {
                prop_assert!(wait.least > Duration::ZERO && wait.least <= wait.pause, "{:?}", wait);
                prop_assert!(wait.pause <= Policy::default().run.saturating_sub(history.elapsed), "{:?}", wait);
                prop_assert!(wait.awaited == Awaited::Upstream || wait.pause <= Duration::from_mins(5), "{:?}", wait);
            }
            Next::Look(_) | Next::Remember(_) | Next::GiveUp(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The world asserts on the way that it neither looks nor acts without end, and that it ends in time.
    #[test]
    fn every_story_ends(
        repository in proptest::option::of(any_repository()),
        (up, local) in (any_upstream(), any_local()),
        (later_up, later_local, at) in (any_upstream(), any_local(), 0..600_u64),
        migrates in proptest::collection::vec(any_migrate_answer(), 0..4),
        patches in proptest::collection::vec(any_patch_answer(), 0..8),
        prune in any::<bool>(),
    ) {
        let mut world = World::empty();
        world.spec.prune = Prune::from_bool(prune);
        (world.repository, world.upstream, world.local) = (repository, up, local);
        for answer in migrates {
            world.migrates.push_back(Box::new(move |_| answer));
        }
        for answer in patches {
            world.patches.push_back(Box::new(move |_| answer));
        }
        world.later(at, move |world| (world.upstream, world.local) = (later_up, later_local));
        world.ends();
    }
}
