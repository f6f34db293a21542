//! A regular repository where the mirror should be.

use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{
    LocalRefsAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer, Refusal, Repository, TroubleKind, UpstreamAnswer,
    UpstreamRefusal,
};
use crate::domain::problem::{Code, Problem};
use crate::domain::run::End;
use crate::domain::spec::OnLegacy;

const RENAMED: [&str; 3] = ["rename aside", "migrate", "patch 10m0s keep"];

fn legacy() -> World {
    let mut world = World::with(Repository { mirror: false, interval: None, original_url: String::new(), ..mirror() });
    world.owner = OwnerAnswer::Organisation;
    world.local = refs(&[("heads/main", 'a'), ("heads/ours", 'b'), ("tags/v1", 'c')]);
    world
}

fn renaming() -> World {
    let mut world = legacy();
    world.history.options.on_legacy = Some(OnLegacy::RenameAside);
    world
}

fn has_its_name_back(world: &World) -> bool {
    world.repository.as_ref().is_some_and(|repository| repository.id == mirror().id && !repository.mirror)
}

#[test]
fn it_is_refused_with_what_upstream_lacks_and_what_refs_do_not_tell() {
    let mut world = legacy();
    assert_eq!(world.fails(), Code::NotAMirror);
    let detail = &world.problem().detail;
    assert!(detail.contains("2 of its 3 refs: refs/heads/ours, refs/tags/v1"), "{detail}");
    assert!(detail.contains("issues"), "{detail}");
    let named: Vec<_> = world.problem().refs.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["refs/heads/ours", "refs/tags/v1"]);
    assert!(world.acts().is_empty());

    let long: Vec<_> = (0..150).map(|n| (format!("heads/{}{n:03}", "x".repeat(80)), 'b')).collect();
    let mut world = legacy();
    world.local = refs(&long.iter().map(|(name, id)| (name.as_str(), *id)).collect::<Vec<_>>());
    assert_eq!(world.fails(), Code::NotAMirror);
    let Problem { detail, refs, .. } = world.problem();
    assert!(detail.contains("150 of its 150 refs") && detail.chars().count() <= 300, "{detail}");
    assert_eq!((refs.len(), refs[99].as_str()), (100, &*format!("refs/{}", long[99].0)), "whole, and within bounds");

    for answer in [UpstreamAnswer::NotGit { detail: "x".into() }, UpstreamAnswer::Trouble(trouble(TroubleKind::Cut))] {
        let mut world = legacy();
        world.upstream = answer;
        assert_eq!(world.fails(), Code::NotAMirror, "what is wrong with Gitea is said whatever upstream does");
    }
}

#[test]
fn it_is_renamed_aside_when_a_run_or_the_configuration_says_so() {
    let mut by_configuration = legacy();
    by_configuration.spec.on_legacy = OnLegacy::RenameAside;
    for mut world in [renaming(), by_configuration] {
        assert_eq!(world.succeeds(), "replaced");
        assert_eq!(world.acts(), RENAMED);
        let name = world.aside.as_ref().unwrap().0.clone();
        assert!(name.starts_with("openova-legacy-20") && name.ends_with('Z'), "{name}");
        let notes = world.ended().and_then(End::notes).unwrap();
        assert_eq!(notes.kept_aside, Some(format!("openova/{name}")));
        assert!(notes.remarks[0].contains("hooks"), "{notes:?}");
        world.next_run();
        assert_eq!(world.succeeds(), "noop");
    }
    let mut refused = legacy();
    refused.spec.on_legacy = OnLegacy::RenameAside;
    refused.history.options.on_legacy = Some(OnLegacy::Refuse);
    assert_eq!(refused.fails(), Code::NotAMirror, "a run's word counts more");
}

#[test]
fn nothing_is_renamed_beside_an_upstream_that_is_not_whole_and_sound() {
    for (answer, code) in [
        (upstream(&[]), Code::UpstreamSuspect),
        (UpstreamAnswer::NotGit { detail: "x".into() }, Code::UpstreamSuspect),
        (UpstreamAnswer::Refused { why: UpstreamRefusal::Denied, detail: "x".into() }, Code::UpstreamRefused),
        (upstream(&[("heads/other", 'a')]), Code::UpstreamBranchMissing),
        (UpstreamAnswer::Trouble(trouble(TroubleKind::Connect)), Code::UpstreamUnreachable),
        (UpstreamAnswer::Trouble(trouble(TroubleKind::Tls)), Code::UpstreamTls),
    ] {
        let mut world = renaming();
        world.upstream = answer;
        assert_eq!(world.fails(), code);
        assert!(world.acts().is_empty(), "{code}");
    }
    let mut world = renaming();
    world.repository.as_mut().unwrap().archived = true;
    assert_eq!(world.fails(), Code::NotAMirror);
    assert!(world.acts().is_empty());
}

#[test]
fn a_migrate_that_fails_for_good_gives_the_name_back() {
    for (answer, code, acts) in [
        (MigrateAnswer::NotOwner, Code::NotOrganisationOwner, &["rename aside", "migrate", "give back"][..]),
        (MigrateAnswer::MirrorsDisabled, Code::MirrorsDisabled, &["rename aside", "migrate", "give back"]),
        (
            MigrateAnswer::CloneFailed { message: "fatal: not found".into() },
            Code::MigrateFailed,
            &["rename aside", "migrate", "delete", "give back"],
        ),
    ] {
        let mut world = renaming();
        world.migrates.push_back(Box::new(move |world| {
            if answer.ended_in_an_error() {
                world.make(None);
                world.local = LocalRefsAnswer::FolderGone;
            }
            answer
        }));
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts(), acts);
        assert!(has_its_name_back(&world));
        assert!(!world.problem().detail.contains("legacy-"), "{}", world.problem().detail);
    }
}

#[test]
fn what_cannot_be_undone_is_said_with_where_it_stands() {
    let mut world = renaming();
    world.migrates.push_back(Box::new(|world| {
        world.instead = Some(super::RepositoryAnswer::Refused(Refusal::Scope { message: "no".into() }));
        MigrateAnswer::NotOwner
    }));
    assert_eq!(world.fails(), Code::GiteaScope);
    assert!(
        world.problem().detail.starts_with("openova/openova is now openova/openova-legacy-"),
        "{:?}",
        world.problem()
    );
}

#[test]
fn a_rename_whose_answer_is_lost_is_looked_at_and_has_one_effect() {
    for done in [true, false] {
        let mut world = renaming();
        world.renames.push_back(Box::new(move |world| {
            if done {
                world.rename_aside("openova-legacy-20261118T110640Z");
            }
            PatchAnswer::Unknown(trouble(TroubleKind::Cut))
        }));
        assert_eq!(world.succeeds(), "replaced");
        let renames = world.acts().iter().filter(|act| *act == "rename aside").count();
        assert_eq!(renames, if done { 1 } else { 2 });
    }
}

#[test]
fn a_rename_that_gitea_refuses_changes_nothing() {
    let mut world = renaming();
    world.renames.push_back(Box::new(|_| PatchAnswer::Invalid { message: "repository already exists".into() }));
    assert_eq!(world.fails(), Code::NameRefused);
    assert_eq!(world.acts(), ["rename aside"]);
    assert!(has_its_name_back(&world));
}

#[test]
fn another_repository_that_takes_the_name_meanwhile_is_not_renamed_as_well() {
    let mut world = renaming();
    world.migrates.push_back(Box::new(|world| {
        world.repository = Some(Repository { id: 99, mirror: false, interval: None, ..mirror() });
        world.local = refs(&[]);
        MigrateAnswer::Exists
    }));
    assert_eq!(world.fails(), Code::NotAMirror);
    assert_eq!(world.acts(), ["rename aside", "migrate"]);
    assert!(world.problem().detail.contains("is now openova/openova-legacy-"), "{:?}", world.problem());
}

#[test]
fn a_deadline_gives_the_name_back_too() {
    let mut world = renaming();
    world.migrates.push_back(Box::new(|world| {
        world.pass(secs(2_000));
        MigrateAnswer::NotOwner
    }));
    assert_eq!(world.fails(), Code::DeadlineExceeded);
    assert!(has_its_name_back(&world));
}
