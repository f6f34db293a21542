//! Which calls a run makes, how often and in which order, when Gitea misleads. Tests that need a fault of Gitea run on the
//! stand-in alone; the others also run on a real server.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{CallKind, Fault, Profile, Reader, UpstreamFault};

use crate::world::{Loss, World, story, story_anywhere, story_everywhere, story_on};

const MIGRATE: &str = "POST /api/v1/repos/migrate";
const ORGS: &str = "POST /api/v1/orgs";
const PATCH: &str = "PATCH /api/v1/repos/openova/one";
const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[test]
fn a_noop_changes_nothing_and_asks_at_most_six_times_rows_3_and_6() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.clear_calls();
        world.upstream.clear_calls();
        world.expect("noop").await;
        assert_eq!(world.changes(), Vec::<String>::new());
        let asked = world.calls().len() + world.upstream.calls().len();
        assert!(asked <= 6, "{asked} requests: {:?} {:?}", world.calls(), world.upstream.calls());
    });
}

#[test]
fn migrate_sends_what_the_platforms_job_sent_row_1() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let call = world.calls().into_iter().find(|call| call.path == "/api/v1/repos/migrate").unwrap();
        let body: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(
            body,
            json!({
                "clone_addr": world.upstream.url("one"), "repo_owner": "openova", "repo_name": "one", "service": "git",
                "mirror": true, "mirror_interval": "10m0s", "private": false, "wiki": false, "issues": false,
                "pull_requests": false, "labels": false, "milestones": false, "releases": false, "lfs": false,
            })
        );
        assert_eq!(world.changes(), [ORGS, MIGRATE, PATCH], "the organisation, the mirror, and pruning off");
    });
}

#[test]
fn pruning_is_switched_off_before_a_found_mirror_is_synced_and_known_after() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.lose_the_journal();
        world.start().await;
        world.upstream.commit("one", "main", 1);
        world.clear_calls();
        world.expect("updated").await;
        assert_eq!(world.changes(), [PATCH, SYNC, PATCH]);
        assert!(world.is_real() || world.gitea().repository("openova", "one").unwrap().enable_prune == Some(false));
        // known for good: no PATCH with the next sync
        world.upstream.commit("one", "main", 1);
        world.clear_calls();
        world.expect("synced").await;
        assert_eq!(world.changes(), [SYNC]);
    });
}

#[test]
fn a_sync_that_was_running_undoes_a_patch_and_the_patch_is_sent_again() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea_api(http::Method::PATCH, "/repos/openova/one", Some(json!({"mirror_interval": "8h"}))).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // somebody's sync takes four seconds; ours is patched meanwhile, and undone when it ends
        world.gitea().set_sync_delay(Duration::from_secs(4));
        world.gitea_api(http::Method::POST, "/repos/openova/one/mirror-sync", None).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.gitea().clear_calls();
        world.expect("updated").await;
        assert_eq!(world.count(PATCH), 2, "{:?}", world.changes());
        assert_eq!(world.repository().await["mirror_interval"], "10m0s");
        assert_eq!(world.gitea().repository("openova", "one").unwrap().enable_prune, Some(false));
    });
}

#[test]
fn an_interval_that_is_set_back_later_makes_the_next_run_patch_it() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let path = format!("/repos/{}/one", world.owner);
        for _ in 0..2 {
            world.gitea_api(http::Method::PATCH, &path, Some(json!({"mirror_interval": "1h"}))).await;
            world.expect("updated").await;
        }
        world.expect("noop").await;
    });
}

#[test]
fn a_migrate_whose_answer_is_lost_is_looked_up_and_not_sent_again_row_1() {
    story_everywhere(async |mut world| {
        world.lose(CallKind::Migrate, 0, Loss::Answer);
        world.start().await;
        world.expect("created").await;
        assert_eq!((world.count(ORGS), world.count(MIGRATE)), (1, 1));
    });
}

#[test]
fn a_migrate_that_outlives_our_patience_is_waited_for() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(minutes(17));
        world.start().await;
        let began = tokio::time::Instant::now();
        world.expect("created").await;
        assert_eq!(world.count(MIGRATE), 1);
        assert!(began.elapsed() >= minutes(17) && began.elapsed() < minutes(18), "{:?}", began.elapsed());
    });
}

#[test]
fn a_proxy_that_gives_up_in_mid_migrate_changes_nothing_about_it() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(minutes(5));
        world.gitea().fault(CallKind::Migrate, Fault::ProxyTimeout(minutes(1)));
        world.start().await;
        world.expect("created").await;
        assert_eq!(world.count(MIGRATE), 1);
    });
}

#[test]
fn a_migrate_that_never_reached_gitea_is_sent_again_with_an_intent_of_its_own() {
    story(async |mut world| {
        world.gitea().fault_once(CallKind::Migrate, Fault::CutBefore);
        world.start().await;
        world.expect("created").await;
        assert_eq!(world.count(MIGRATE), 2);
    });
}

#[test]
fn a_migrate_that_gitea_refuses_is_told_with_its_own_problem() {
    for (change, code) in [
        (
            Box::new(|settings: &mut standin::Settings| settings.new_pull_disabled = true)
                as Box<dyn Fn(&mut standin::Settings)>,
            "mirrors-disabled",
        ),
        (Box::new(|settings| settings.migrations_disabled = true), "migrations-disabled"),
        (Box::new(|settings| settings.creation_limit = Some(0)), "repository-limit"),
        (Box::new(|settings| settings.allow_local_networks = false), "upstream-not-allowed"),
        (Box::new(|settings| settings.regular_org_creation_disabled = true), "organisation-not-allowed"),
    ] {
        story(async |mut world| {
            world.gitea().configure(change);
            world.start().await;
            world.expect_failure(code).await;
            assert!(world.gitea().repository("openova", "one").is_none(), "{code}");
            let expected = match code {
                "upstream-not-allowed" => 3,
                "organisation-not-allowed" => 0,
                _ => 1,
            };
            assert_eq!(world.count(MIGRATE), expected, "{code}");
        });
    }
}

#[test]
fn an_organisation_that_is_not_ours_is_told_before_anything_is_made() {
    story(async |mut world| {
        world.gitea().add_org("openova", "root1");
        world.start().await;
        world.expect_failure("not-organisation-owner").await;
    });
}

#[test]
fn an_organisation_that_somebody_else_makes_meanwhile_is_taken_as_it_is_row_2() {
    story(async |mut world| {
        world.gitea().before_next(CallKind::CreateOrg, |gitea| gitea.add_org("openova", "bot"));
        world.start().await;
        world.expect("created").await;
    });
}

#[test]
fn a_name_that_a_user_holds_is_told() {
    story(async |mut world| {
        world.gitea().add_user("openova", "Passw0rd-test", false);
        world.start().await;
        world.expect_failure("owner-unavailable").await;
        assert_eq!(world.count(ORGS), 0);
    });
}

#[test]
fn a_token_without_the_scope_is_told_which_scope_is_missing() {
    story(async |mut world| {
        let token = world.gitea().add_token("bot", &["read:repository", "read:organization"]);
        std::fs::write(world.path("gitea-token"), token).unwrap();
        world.start().await;
        let problem = world.expect_failure("gitea-scope").await;
        assert!(problem["detail"].as_str().unwrap().contains("write:"), "{problem}");
    });
}

#[test]
fn a_placeholder_of_a_killed_gitea_is_waited_for_and_then_made_anew() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(minutes(5));
        world.start().await;
        let id = world.ask().await;
        while world.gitea().repository("openova", "one").is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        world.gitea().kill();
        world.gitea().restart();
        let began = tokio::time::Instant::now();
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "repaired", "{run:#}");
        assert!(began.elapsed() >= minutes(20), "{:?}", began.elapsed());
        assert_eq!(world.count(MIGRATE), 2);
    });
}

#[test]
fn a_sync_that_fails_in_gitea_is_told_after_the_second() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(401));
        world.gitea().clear_calls();
        world.expect_failure("sync-failing").await;
        assert_eq!(world.count(SYNC), 2);
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["freshness"]["state"], "behind", "{status:#}");
        world.upstream.clear_faults();
        world.expect("synced").await;
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["freshness"]["state"], "fresh", "{status:#}");
    });
}

#[test]
fn an_upstream_that_moves_while_gitea_syncs_is_no_failure() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        let id = world.ask().await;
        world.until_phase(&id, "syncing").await;
        world.upstream.commit("one", "main", 1);
        let run = world.end_of(&id).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
    });
}

#[test]
fn a_queue_that_never_runs_is_told_after_the_limit() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().set_stuck_queue(true);
        world.upstream.commit("one", "main", 1);
        let began = tokio::time::Instant::now();
        world.expect_failure("gitea-queue-stuck").await;
        assert!(began.elapsed() >= minutes(10), "{:?}", began.elapsed());
    });
}

#[test]
fn a_pinned_interval_that_we_did_not_set_is_kept() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let path = format!("/repos/{}/one", world.owner);
        world.gitea_api(http::Method::PATCH, &path, Some(json!({"mirror_interval": "0s"}))).await;
        world.clear_calls();
        world.expect_failure("mode-refuses").await;
        assert_eq!(world.changes(), Vec::<String>::new());
    });
}

/// A branch of Gitea's that upstream has no more, and below whose name upstream has another now.
async fn block(world: &mut World) {
    world.upstream.branch("one", "rel", "main");
    world.expect("created").await;
    world.upstream.commit("one", "main", 1);
    world.expect("synced").await;
    world.upstream.delete_ref("one", "refs/heads/rel");
    world.upstream.branch("one", "rel/1", "main");
    world.upstream.commit("one", "main", 1);
}

#[test]
fn a_local_branch_that_blocks_one_of_upstreams_is_named_by_every_server_and_its_remedy_makes_room() {
    story_everywhere(async |mut world| {
        world.start().await;
        block(&mut world).await;
        let problem = world.expect_failure("ref-conflict").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("refs/heads/rel/1") && detail.contains("refs/heads/rel,"), "{detail}");
        // the others were brought
        let main = world.gitea_refs().await["refs/heads/main"].clone();
        assert_eq!(main, world.upstream.heads_and_tags("one")["refs/heads/main"]);
        let yaml = world.yaml_of(&[("one", "one", "one", "prune: true")]);
        world.start_with(&yaml).await;
        let run = world.run().await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        world.start().await;
        let run = world.run().await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        world.expect("noop").await;
        assert!(!world.gitea_refs().await.contains_key("refs/heads/rel"));
        assert!(world.is_real() || world.gitea().repository("openova", "one").unwrap().enable_prune == Some(false));
    });
}

#[test]
fn a_blocked_branch_is_no_stale_credential_of_a_private_upstream() {
    for profile in [Profile::Gitea127, Profile::Gitea126] {
        story_on(profile, async |mut world| {
            world.upstream.require(Some(("oauth2", "s3cret-upstream-token")));
            let file = world.path("upstream-token");
            std::fs::write(&file, "s3cret-upstream-token").unwrap();
            let yaml =
                world.yaml().replace("branch: main }", &format!("branch: main, tokenFile: {} }}", file.display()));
            world.start_with(&yaml).await;
            block(&mut world).await;
            world.expect_failure("ref-conflict").await;
        });
    }
}

#[test]
fn a_private_upstream_is_read_and_migrated_with_the_credential_in_its_own_members() {
    story(async |mut world| {
        world.upstream.require(Some(("oauth2", "s3cret-upstream-token")));
        std::fs::write(world.path("upstream-token"), "s3cret-upstream-token\n").unwrap();
        let file = world.path("upstream-token");
        let yaml = world.yaml().replace("branch: main }", &format!("branch: main, tokenFile: {} }}", file.display()));
        world.start_with(&yaml).await;
        world.expect("created").await;
        let migrate = world.gitea().calls().into_iter().find(|call| call.path.ends_with("/migrate")).unwrap();
        let body: Value = serde_json::from_str(&migrate.body).unwrap();
        assert_eq!(body["auth_token"], "s3cret-upstream-token");
        assert!(!body["clone_addr"].as_str().unwrap().contains("s3cret"));
        std::fs::write(world.path("upstream-token"), "another-token-that-is-wrong").unwrap();
        let problem = world.expect_failure("upstream-refused").await;
        assert!(!problem.to_string().contains("another-token"), "{problem}");
        std::fs::remove_file(world.path("upstream-token")).unwrap();
        world.expect_failure("upstream-credential").await;
    });
}
