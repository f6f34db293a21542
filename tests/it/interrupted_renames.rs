//! A rename during which Gitea was killed: the folder has the new name, the database row the old one. The problem names the
//! folder and how to bring it back. Until then nothing is renamed or created.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{Profile, Reader, UpstreamFault};

use crate::world::{World, story_on};

const MIGRATE: &str = "POST /api/v1/repos/migrate";

async fn start_beside_a_legacy_repository(world: &mut World) {
    world.gitea().add_org("openova", "bot");
    world.gitea().add_repository("openova", "one");
    world.extra = "onLegacy: renameAside".into();
    world.start().await;
}

/// Starts Gitea again whenever it was killed.
fn keep_gitea_up(world: &World) {
    let gitea = world.gitea().clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            gitea.restart();
        }
    });
}

fn renames(world: &World) -> Vec<String> {
    let calls = world.gitea().calls().into_iter();
    calls.filter(|call| call.method == "PATCH" && call.body.contains("\"name\"")).map(|call| call.body).collect()
}

/// The new name in the body of a rename.
fn name_in(rename: &str) -> String {
    serde_json::from_str::<Value>(rename).unwrap()["name"].as_str().unwrap().to_owned()
}

#[track_caller]
fn demand_the_way_back(problem: &Value, from: &str, to: &str) {
    let (detail, remedy) = (problem["detail"].as_str().unwrap(), problem["remedy"].as_str().unwrap());
    let (from, to) = (format!("openova/{from}").to_lowercase(), format!("openova/{to}").to_lowercase());
    assert!(detail.contains(&format!("{from}.git")), "{problem}");
    for part in [&format!("`mv {from}.git {to}.git`"), &format!("({from}.wiki.git)"), "2. Start the run again."] {
        assert!(remedy.contains(part), "{problem}");
    }
    assert_eq!(problem["retryable"], false);
}

#[test]
fn a_rename_aside_that_gitea_did_not_survive_is_told_until_the_folder_is_back() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            start_beside_a_legacy_repository(&mut world).await;
            let held = world.gitea().heads_and_tags("openova", "one");
            keep_gitea_up(&world);
            world.gitea().kill_in_next_rename();
            let problem = world.expect_failure("repository-folder-missing").await;
            let sent = renames(&world);
            assert_eq!(sent.len(), 1, "{sent:?}");
            let aside = name_in(&sent[0]);
            demand_the_way_back(&problem, &aside, "one");
            // the next run is another one, as is the next process
            world.expect_failure("repository-folder-missing").await;
            world.crash();
            world.start().await;
            let problem = world.expect_failure("repository-folder-missing").await;
            demand_the_way_back(&problem, &aside, "one");
            assert_eq!((renames(&world).len(), world.count(MIGRATE)), (1, 0));
            world.gitea().move_folder("openova", &aside, "one");
            let run = world.expect("replaced").await;
            let kept = run["mirrors"][0]["keptAside"].as_str().unwrap().split_once('/').unwrap().1.to_owned();
            assert_eq!(world.gitea().heads_and_tags("openova", &kept), held);
        });
    }
}

#[test]
fn the_folders_of_a_repository_with_git_within_its_name_are_named_right() {
    story_on(Profile::Gitea126, async |mut world| {
        world.gitea().add_org("openova", "bot");
        world.gitea().add_repository("openova", "site.github.io");
        let yaml = world.yaml_of(&[("one", "one", "site.github.io", "onLegacy: renameAside")]);
        world.start_with(&yaml).await;
        keep_gitea_up(&world);
        world.gitea().kill_in_next_rename();
        let problem = world.expect_failure("repository-folder-missing").await;
        demand_the_way_back(&problem, &name_in(&renames(&world)[0]), "site.github.io");
    });
}

#[test]
fn a_folder_that_is_missing_after_such_a_rename_is_told_also_where_legacy_repositories_are_refused() {
    story_on(Profile::Gitea126, async |mut world| {
        start_beside_a_legacy_repository(&mut world).await;
        keep_gitea_up(&world);
        world.gitea().kill_in_next_rename();
        world.expect_failure("repository-folder-missing").await;
        world.crash();
        world.extra = String::new();
        world.start().await;
        world.expect_failure("repository-folder-missing").await;
        world.gitea().move_folder("openova", &name_in(&renames(&world)[0]), "one");
        world.expect_failure("not-a-mirror").await;
    });
}

#[test]
fn a_name_that_gitea_did_not_survive_giving_back_is_told_until_the_folder_is_back_and_nothing_is_made_over_it() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            start_beside_a_legacy_repository(&mut world).await;
            let held = world.gitea().heads_and_tags("openova", "one");
            world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
            keep_gitea_up(&world);
            world.gitea().before_next(standin::CallKind::Migrate, standin::Gitea::kill_in_next_rename);
            let problem = world.expect_failure("repository-folder-missing").await;
            let sent = renames(&world);
            assert_eq!(sent.len(), 2, "{sent:?}");
            let aside = name_in(&sent[0]);
            demand_the_way_back(&problem, "one", &aside);
            assert_eq!(world.get("/status/one").await.json()["leftAside"], format!("openova/{aside}"));
            world.upstream.clear_faults();
            world.expect_failure("repository-folder-missing").await;
            world.crash();
            world.start().await;
            let problem = world.expect_failure("repository-folder-missing").await;
            demand_the_way_back(&problem, "one", &aside);
            assert_eq!((renames(&world).len(), world.count(MIGRATE)), (2, 1));
            world.gitea().move_folder("openova", "one", &aside);
            let run = world.expect("created").await;
            assert_eq!(run["mirrors"][0]["keptAside"], json!(format!("openova/{aside}")));
            assert_eq!(world.gitea().heads_and_tags("openova", &aside), held);
        });
    }
}
