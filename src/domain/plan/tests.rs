use super::*;
use crate::domain::answer::{Trouble, TroubleKind};
use crate::domain::duration::GoDuration;
use crate::domain::names::BranchName;
use crate::domain::problem::Code;
use crate::domain::tests::spec;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn list(refs: &[(&str, char)]) -> RefList {
    let id = |c: char| ObjectId::parse(&c.to_string().repeat(40)).unwrap();
    let refs = refs.iter().map(|(name, c)| (RefName::parse(&format!("refs/{name}")).unwrap(), id(*c)));
    RefList::complete(refs, Some(BranchName::parse("main").unwrap()))
}

fn mirror() -> Repository {
    Repository {
        id: 7,
        mirror: true,
        interval: Some(spec().interval),
        mirror_updated: at(-3_600),
        original_url: spec().upstream.to_string(),
        default_branch: "main".into(),
        created_at: at(-7_200),
        last_sync: None,
        archived: false,
    }
}

struct Scene {
    repository: RepositoryAnswer,
    owner: OwnerAnswer,
    upstream: UpstreamAnswer,
    local: RefList,
}

impl Scene {
    fn with(repository: RepositoryAnswer) -> Self {
        let refs = list(&[("heads/main", 'a'), ("tags/v1", 'b')]);
        Self { repository, owner: OwnerAnswer::Absent, upstream: UpstreamAnswer::List(refs.clone()), local: refs }
    }

    fn plan(self) -> Planned {
        let observation = Observation {
            aside: None,
            aside_refs: None,
            pivot: None,
            repository: Some(RepositorySeen { answer: self.repository, date: at(0), dated: true }),
            owner: Some(self.owner),
            upstream: Some(Seen { at: at(0), value: self.upstream }),
            local_refs: Some(Seen { at: at(0), value: LocalRefsAnswer::List(self.local) }),
        };
        plan(&spec(), observation, History { upstream_tries: 1_000, ..History::default() }, &Policy::default())
    }
}

fn present(change: impl FnOnce(&mut Repository)) -> RepositoryAnswer {
    let mut repository = mirror();
    change(&mut repository);
    RepositoryAnswer::Present(Box::new(repository))
}

fn calls(planned: &Planned) -> Vec<&'static str> {
    planned.steps.iter().map(|step| step.call).collect()
}

#[test]
fn a_name_that_is_free_is_migrated_to() {
    let planned = Scene::with(RepositoryAnswer::Absent).plan();
    assert_eq!(calls(&planned), ["create_organisation", "migrate", "patch_settings"], "{planned:#?}");
    assert_eq!((planned.phase, planned.outcome(), planned.seen), (Phase::Succeeded, Some(Outcome::Created), false));
    assert_eq!(planned.steps[0].why, "Gitea shows no organisation openova");
    let ours = Scene { owner: OwnerAnswer::Organisation, ..Scene::with(RepositoryAnswer::Absent) }.plan();
    assert_eq!(calls(&ours), ["migrate", "patch_settings"]);
}

#[test]
fn a_mirror_that_is_found_stops_pruning_before_it_syncs() {
    let scene = Scene { local: list(&[("heads/main", 'c')]), ..Scene::with(present(|_| {})) };
    let planned = scene.plan();
    assert_eq!(calls(&planned), ["patch_settings", "mirror_sync", "patch_settings"], "{planned:#?}");
    assert_eq!(planned.outcome(), Some(Outcome::Updated));
    assert!(planned.steps[1].why.starts_with("2 of upstream's refs are"), "{planned:#?}");
}

#[test]
fn another_interval_is_named_with_both() {
    let eight = GoDuration::parse("8h").unwrap();
    let planned = Scene::with(present(|repository| repository.interval = Some(eight))).plan();
    assert!(planned.steps[0].why.contains("8h0m0s in Gitea and 10m0s"), "{planned:#?}");
    let branch = Scene::with(present(|repository| repository.default_branch = "old".into())).plan();
    assert!(calls(&branch).contains(&"patch_default_branch"), "{branch:#?}");
}

#[test]
fn what_would_fail_has_no_plan_and_its_problem() {
    let planned = Scene::with(present(|repository| repository.mirror = false)).plan();
    assert_eq!((calls(&planned), planned.phase), (vec![], Phase::Failed));
    assert_eq!(planned.problem.unwrap().code, Code::NotAMirror);
    let empty = Scene { upstream: UpstreamAnswer::List(list(&[])), ..Scene::with(RepositoryAnswer::Absent) }.plan();
    assert_eq!((calls(&empty), empty.problem.unwrap().code), (vec![], Code::UpstreamSuspect));
}

#[test]
fn a_clone_of_somebody_else_is_waited_for() {
    let planned = Scene::with(present(|repository| {
        repository.interval = None;
        repository.created_at = at(-60);
    }))
    .plan();
    assert_eq!((calls(&planned), planned.phase, &planned.end), (vec![], Phase::Migrating, &None), "{planned:#?}");
}

#[test]
fn without_upstreams_answer_it_would_end_unverified() {
    let away = UpstreamAnswer::Trouble(Trouble::not_sent(TroubleKind::Connect, "refused"));
    let planned = Scene { upstream: away.clone(), ..Scene::with(RepositoryAnswer::Absent) }.plan();
    assert_eq!(calls(&planned), ["create_organisation", "migrate", "patch_settings"], "{planned:#?}");
    assert_eq!(planned.phase, Phase::Unverified);
    let found = Scene { upstream: away, ..Scene::with(present(|_| {})) }.plan();
    assert_eq!((calls(&found), found.phase), (vec!["patch_settings"], Phase::Unverified), "{found:#?}");
}
