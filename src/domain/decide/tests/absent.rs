//! Nothing of that name.

use super::super::Look;
use super::world::{World, mirror, refs, secs, trouble, upstream};
use crate::domain::answer::{
    CreateOrganisationAnswer, MigrateAnswer, OwnerAnswer, Refusal, RepositoryAnswer, Trouble, TroubleKind,
    UpstreamAnswer,
};
use crate::domain::evidence::PruneCertainty;
use crate::domain::problem::Code;

fn scope() -> Refusal {
    Refusal::Scope { message: "required=[write:organization]".into() }
}

#[test]
fn an_absent_name_gets_its_organisation_its_mirror_and_its_settings() {
    let mut world = World::empty();
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["create organisation", "migrate", "patch 10m0s keep"]);
    assert_eq!(world.remembered, [PruneCertainty::Known]);
    assert!(!world.prunes);
    assert!(world.took() < secs(1), "nothing of it needs a pause: {:?}", world.waits);
}

#[test]
fn upstream_is_looked_at_before_anything_is_made() {
    let mut world = World::empty();
    world.succeeds();
    assert_eq!(world.looks[..3], [Look::Repository, Look::Upstream, Look::Owner]);
}

#[test]
fn an_owner_that_is_there_or_not_shown_is_migrated_to() {
    for owner in [OwnerAnswer::Organisation, OwnerAnswer::User, OwnerAnswer::NotShown] {
        let mut world = World::empty();
        world.owner = owner;
        assert_eq!(world.succeeds(), "created");
        assert_eq!(world.acts(), ["migrate", "patch 10m0s keep"]);
    }
}

#[test]
fn an_owner_that_cannot_be_used_changes_nothing() {
    let unauthenticated = Refusal::Unauthenticated { message: "token is required".into() };
    for (owner, code) in
        [(OwnerAnswer::Renamed, Code::OwnerUnavailable), (OwnerAnswer::Refused(unauthenticated), Code::GiteaAuth)]
    {
        let mut world = World::empty();
        world.owner = owner;
        assert_eq!(world.fails(), code);
        assert_eq!(world.acts(), Vec::<String>::new());
    }
}

#[test]
fn trouble_with_the_owner_is_waited_for_slower_and_slower() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Trouble(trouble(TroubleKind::ServerError));
    world.later(120, |world| world.owner = OwnerAnswer::Organisation);
    assert_eq!(world.succeeds(), "created");
    assert!(world.waits.len() < 12, "{} pauses in two minutes", world.waits.len());
}

#[test]
fn an_organisation_made_by_somebody_quicker_is_as_good() {
    let mut world = World::empty();
    world.organisations.push_back(Box::new(|world| {
        world.owner = OwnerAnswer::Organisation;
        CreateOrganisationAnswer::Taken
    }));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["create organisation", "migrate", "patch 10m0s keep"]);
}

#[test]
fn an_organisation_that_cannot_be_made_fails_with_what_to_do() {
    let unauthenticated = Refusal::Unauthenticated { message: "token is required".into() };
    let busy = Trouble::maybe_sent(TroubleKind::Busy, "it answers 503");
    for (answer, code, times) in [
        (CreateOrganisationAnswer::Taken, Code::OwnerUnavailable, 1),
        (CreateOrganisationAnswer::NotAllowed, Code::OrganisationNotAllowed, 1),
        (CreateOrganisationAnswer::NameRefused { message: "reserved".into() }, Code::NameRefused, 1),
        (CreateOrganisationAnswer::Refused(unauthenticated), Code::GiteaAuth, 1),
        (CreateOrganisationAnswer::Unknown(busy), Code::GiteaError, 3),
        (CreateOrganisationAnswer::Created, Code::OwnerUnavailable, 3),
    ] {
        let mut world = World::empty();
        for _ in 0..times {
            let answer = answer.clone();
            world.organisations.push_back(Box::new(move |_| answer));
        }
        assert_eq!(world.fails(), code, "{answer:?}");
        assert_eq!(world.acts(), vec!["create organisation"; times], "{answer:?}");
    }
}

#[test]
fn a_lost_answer_of_the_organisation_is_looked_up_before_it_is_asked_for_again() {
    let mut world = World::empty();
    world.organisations.push_back(Box::new(|world| {
        world.create_organisation();
        CreateOrganisationAnswer::Unknown(trouble(TroubleKind::Cut))
    }));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["create organisation", "migrate", "patch 10m0s keep"]);
}

#[test]
fn a_token_that_may_not_create_organisations_goes_on_to_migrate_which_decides() {
    let refuse = || Box::new(|_: &mut World| CreateOrganisationAnswer::Refused(scope()));
    let mut world = World::empty();
    world.organisations.push_back(refuse());
    assert_eq!(world.succeeds(), "created");

    let mut world = World::empty();
    world.organisations.push_back(refuse());
    world.migrates.push_back(Box::new(|_| MigrateAnswer::OwnerMissing));
    assert_eq!(world.fails(), Code::GiteaScope);
    assert_eq!(world.acts(), ["create organisation", "migrate"]);
}

#[test]
fn a_migrate_that_is_refused_for_good_is_sent_once() {
    let message = || "word".to_owned();
    for (answer, code) in [
        (MigrateAnswer::Exists, Code::RepositoryInvisible),
        (MigrateAnswer::FilesExist, Code::RepositoryFilesExist),
        (MigrateAnswer::NotOwner, Code::NotOrganisationOwner),
        (MigrateAnswer::NotOrganisation, Code::OwnerUnavailable),
        (MigrateAnswer::MirrorsDisabled, Code::MirrorsDisabled),
        (MigrateAnswer::MigrationsDisabled, Code::MigrationsDisabled),
        (MigrateAnswer::UrlRefused { message: message() }, Code::UpstreamUrlRefused),
        (MigrateAnswer::LimitReached { message: message() }, Code::RepositoryLimit),
        (MigrateAnswer::NameRefused { message: message() }, Code::NameRefused),
        (MigrateAnswer::Other { status: 400, message: message() }, Code::MigrateFailed),
        (MigrateAnswer::Refused(scope()), Code::GiteaScope),
        (MigrateAnswer::Created, Code::RepositoryVanished),
    ] {
        let mut world = World::empty();
        world.owner = OwnerAnswer::Organisation;
        let told = answer.clone();
        world.migrates.push_back(Box::new(move |_| told));
        assert_eq!(world.fails(), code, "{answer:?}");
        assert_eq!(world.acts(), ["migrate"], "{answer:?}");
    }
}

#[test]
fn a_migrate_that_may_fail_in_passing_is_sent_three_times_within_thirty_seconds() {
    for (answer, code) in [
        (MigrateAnswer::HostNotAllowed, Code::UpstreamNotAllowed),
        (MigrateAnswer::OwnerMissing, Code::OwnerUnavailable),
        (MigrateAnswer::ServerError, Code::MigrateFailed),
    ] {
        let mut world = World::empty();
        world.owner = OwnerAnswer::Organisation;
        for _ in 0..3 {
            let answer = answer.clone();
            world.migrates.push_back(Box::new(move |_| answer));
        }
        assert_eq!(world.fails(), code, "{answer:?}");
        assert_eq!(world.acts(), ["migrate"; 3], "{answer:?}");
        assert!(world.time_of("migrate", 1) >= secs(10) && world.took() < secs(30), "{answer:?}");
    }
}

#[test]
fn a_hiccup_of_dns_on_giteas_host_is_got_over() {
    let mut world = World::empty();
    world.migrates.push_back(Box::new(|_| MigrateAnswer::HostNotAllowed));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["create organisation", "migrate", "migrate", "patch 10m0s keep"]);
}

#[test]
fn a_lost_migrate_is_looked_up_and_not_sent_again_while_its_placeholder_is_there() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    world.migrates.push_back(Box::new(|world| {
        world.pass(secs(60));
        world.make(None);
        world.local = refs(&[]);
        world.later(400, |world| {
            world.migrate();
        });
        MigrateAnswer::Unknown(trouble(TroubleKind::Busy))
    }));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["migrate", "patch 10m0s keep"]);
    assert!(world.took() < secs(480), "{:?}", world.took());
}

#[test]
fn a_lost_migrate_whose_name_stays_absent_is_sent_again_three_times_at_most() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    for _ in 0..3 {
        world.migrates.push_back(Box::new(|_| MigrateAnswer::Unknown(trouble(TroubleKind::Cut))));
    }
    assert_eq!(world.fails(), Code::MigrateFailed);
    assert!(world.problem().retryable);
    assert_eq!(world.acts(), ["migrate"; 3]);
    assert!(world.time_of("migrate", 1) > secs(5), "{:?}", world.time_of("migrate", 1));
}

#[test]
fn a_migrate_that_never_left_is_sent_again_when_gitea_is_back() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    world.migrates.push_back(Box::new(|world| {
        world.instead = Some(RepositoryAnswer::Trouble(trouble(TroubleKind::Connect)));
        world.later(60, |world| world.instead = None);
        MigrateAnswer::Unknown(Trouble::not_sent(TroubleKind::Connect, "refused"))
    }));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["migrate", "migrate", "patch 10m0s keep"]);
}

#[test]
fn a_201_with_an_empty_mirror_is_not_believed_row_5() {
    let mut world = World::empty();
    world.migrates.push_back(Box::new(|world| {
        world.migrate();
        world.local = refs(&[]);
        MigrateAnswer::Created
    }));
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts()[..4], ["create organisation", "migrate", "patch 10m0s keep", "sync"]);
}

#[test]
fn a_mirror_that_somebody_else_made_meanwhile_is_not_claimed_as_created() {
    for answer in [MigrateAnswer::Exists, MigrateAnswer::NotOwner] {
        let mut world = World::empty();
        world.owner = OwnerAnswer::Organisation;
        world.migrates.push_back(Box::new(move |world| {
            world.migrate();
            answer
        }));
        assert_eq!(world.succeeds(), "updated");
        assert!(matches!(world.remembered[..], [PruneCertainty::Sent { .. }]), "{:?}", world.remembered);
    }
}

#[test]
fn after_a_restart_the_runs_own_mirror_is_found_and_not_made_again() {
    let mut world = World::with(mirror());
    world.make(Some(world.spec.interval));
    let gitea_date = world.date();
    world.history.migrate = Some(crate::domain::observation::Migrate { gitea_date, at: None, answer: None });
    assert_eq!(world.succeeds(), "created");
    assert_eq!(world.acts(), ["patch 10m0s keep"]);
}

#[test]
fn after_a_restart_an_absent_name_is_watched_before_a_migrate_is_sent_again() {
    let mut world = World::empty();
    world.owner = OwnerAnswer::Organisation;
    let gitea_date = world.date();
    world.history.migrate = Some(crate::domain::observation::Migrate { gitea_date, at: None, answer: None });
    assert_eq!(world.succeeds(), "created");
    assert!(world.time_of("migrate", 0) > secs(5));
}

#[test]
fn gitea_clones_alone_where_only_we_do_not_reach_upstream() {
    let mut world = World::empty();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Connect));
    assert_eq!(world.stays_unverified(), Code::UpstreamUnreachable);
    assert_eq!(world.acts(), ["create organisation", "migrate", "patch 10m0s keep"]);
    assert!(world.took() < secs(120));
}

#[test]
fn an_upstream_that_comes_back_after_the_clone_makes_it_a_success() {
    let mut world = World::empty();
    world.upstream = UpstreamAnswer::Trouble(trouble(TroubleKind::Timeout));
    world.migrates.push_back(Box::new(|world| {
        world.upstream = upstream(&[("heads/main", 'a'), ("tags/v1", 'b')]);
        world.migrate()
    }));
    assert_eq!(world.succeeds(), "created");
}
