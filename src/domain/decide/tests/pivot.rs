//! The gate before everything that makes a mirror, where the platform is past its pivot.

use proptest::prelude::*;

use super::super::{Action, Look, Next, decide};
use super::properties::{any_history, any_observation};
use super::world::{World, mirror, refs, secs, upstream};
use crate::domain::answer::{LocalRefsAnswer, MigrateAnswer, OwnerAnswer, Repository};
use crate::domain::observation::{History, Observation};
use crate::domain::platform::PivotAnswer;
use crate::domain::problem::Code;
use crate::domain::spec::{Allowed, OnLegacy, PivotPolicy, Policy};
use crate::domain::tests::spec;

const GUARDED: PivotPolicy = PivotPolicy { without_status: Allowed::Refuse, syncing: Allowed::Allow };

fn past() -> PivotAnswer {
    PivotAnswer::Past { because: "cutoverComplete is true".into() }
}

fn guarded(mut world: World, pivot: PivotAnswer) -> World {
    world.policy.pivot = Some(GUARDED);
    world.pivot = pivot;
    world
}

#[test]
fn nothing_is_made_past_the_pivot_nor_where_nobody_knows() {
    let unreadable = PivotAnswer::Unreadable { why: "no answer".into() };
    for (pivot, code, retryable) in [
        (past(), Code::PastPivot, false),
        (PivotAnswer::NoStatus, Code::PivotUnknown, false),
        (unreadable, Code::PivotUnknown, true),
    ] {
        let mut world = guarded(World::empty(), pivot.clone());
        assert_eq!(world.fails(), code, "{pivot:?}");
        assert_eq!((world.problem().retryable, world.acts().len()), (retryable, 0));
    }
    assert_eq!(guarded(World::empty(), PivotAnswer::Before).succeeds(), "created");
    let mut world = guarded(World::empty(), PivotAnswer::NoStatus);
    world.policy.pivot = Some(PivotPolicy { without_status: Allowed::Allow, ..GUARDED });
    assert_eq!(world.succeeds(), "created");
}

#[test]
fn it_is_looked_at_just_before_each_thing_that_makes_a_mirror_and_at_no_other_time() {
    let mut world = guarded(World::empty(), PivotAnswer::Before);
    world.succeeds();
    let looks: Vec<_> = world.looks.iter().filter(|look| **look == Look::Pivot).collect();
    assert_eq!((looks.len(), &world.acts()[..2]), (2, &["create organisation".to_owned(), "migrate".to_owned()][..]));
    let mut world = guarded(World::with(mirror()), past());
    world.remembers_pruning();
    world.upstream = upstream(&[("heads/main", 'b')]);
    assert_eq!(world.succeeds(), "synced");
    assert!(!world.looks.contains(&Look::Pivot));
    let mut world = World::empty();
    world.pivot = past();
    assert_eq!(world.succeeds(), "created", "nobody has asked for a guard");
    assert!(!world.looks.contains(&Look::Pivot));
}

#[test]
fn a_pivot_that_is_passed_in_the_middle_stops_what_comes_next() {
    let mut world = guarded(World::empty(), PivotAnswer::Before);
    world.organisations.push_back(Box::new(|world| {
        world.pivot = past();
        world.create_organisation()
    }));
    assert_eq!(world.fails(), Code::PastPivot);
    assert_eq!(world.acts(), ["create organisation"]);
}

#[test]
fn a_legacy_repository_is_not_renamed_past_the_pivot_and_gets_its_name_back_when_that_comes_between() {
    let legacy = || {
        let mut world =
            World::with(Repository { mirror: false, interval: None, original_url: String::new(), ..mirror() });
        world.owner = OwnerAnswer::Organisation;
        world.history.options.on_legacy = Some(OnLegacy::RenameAside);
        world
    };
    let mut world = guarded(legacy(), past());
    assert_eq!(world.fails(), Code::PastPivot);
    assert!(world.acts().is_empty());

    let mut world = guarded(legacy(), PivotAnswer::Before);
    world.renames.push_back(Box::new(|world| {
        world.pivot = past();
        world.rename_aside("openova-legacy-x")
    }));
    assert_eq!(world.fails(), Code::PastPivot);
    assert_eq!(world.acts(), ["rename aside", "give back"]);
    assert_eq!(world.repository.as_ref().map(|repository| repository.id), Some(mirror().id));
}

#[test]
fn what_a_failed_migrate_left_stays_past_the_pivot() {
    let mut world = guarded(World::empty(), PivotAnswer::Before);
    world.owner = OwnerAnswer::Organisation;
    world.migrates.push_back(Box::new(|world| {
        world.make(None);
        world.local = LocalRefsAnswer::FolderGone;
        world.pivot = past();
        MigrateAnswer::CloneBrokeOff { message: "word".into() }
    }));
    assert_eq!(world.fails(), Code::PastPivot);
    assert_eq!(world.acts(), ["migrate"], "it is deleted only to be made anew");
}

#[test]
fn where_syncing_is_refused_a_mirror_that_this_run_has_made_is_still_kept_from_pruning() {
    let mut world = guarded(World::empty(), PivotAnswer::Before);
    world.owner = OwnerAnswer::Organisation;
    world.policy.pivot = Some(PivotPolicy { syncing: Allowed::Refuse, ..GUARDED });
    world.migrates.push_back(Box::new(|world| {
        world.pivot = past();
        world.migrate()
    }));
    assert_eq!(world.succeeds(), "created");
    assert!(!world.prunes);

    for refs_here in [[("heads/main", 'a')], [("heads/main", 'b')]] {
        let mut world = guarded(World::with(mirror()), past());
        world.policy.pivot = Some(PivotPolicy { syncing: Allowed::Refuse, ..GUARDED });
        world.local = refs(&refs_here);
        assert_eq!(world.fails(), Code::PastPivot, "found, and with pruning to be stopped");
        assert!(world.acts().is_empty() && world.took() < secs(5));
    }
}

fn any_pivot() -> impl Strategy<Value = Option<PivotAnswer>> {
    let unreadable = PivotAnswer::Unreadable { why: "no answer".into() };
    proptest::sample::select(vec![None, Some(past()), Some(PivotAnswer::NoStatus), Some(unreadable)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_row_of_the_table_goes_round_the_gate(
        seen in any_observation(),
        history in any_history(),
        pivot in any_pivot(),
        legacy in any::<bool>(),
    ) {
        let seen = Observation { pivot, ..seen };
        let mut history: History = history;
        history.options.on_legacy = legacy.then_some(OnLegacy::RenameAside);
        let policy = Policy { pivot: Some(GUARDED), ..Policy::default() };
        let next = decide(&spec(), &seen, &history, &policy);
        let makes = matches!(
            next,
            Next::Act(Action::CreateOrganisation | Action::Migrate { .. } | Action::Delete(_) | Action::RenameAside(_))
        );
        prop_assert!(!makes, "{next:?}");
    }
}
