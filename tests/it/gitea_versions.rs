//! Creating, syncing and repairing a mirror on every Gitea: each test runs on all seven profiles of the stand-in, or on the
//! real server that `CUTOVER_TEST_GITEA_URL` and `CUTOVER_TEST_GITEA_TOKEN` name.

use http::Method;
use serde_json::json;
use standin::{Reader, UpstreamFault};

use crate::world::{World, story_everywhere};

/// What both sides hold, by their own answers to git.
async fn assert_equal_refs(world: &World, run: &serde_json::Value) {
    let upstream = world.upstream.heads_and_tags("one");
    let evidence = &run["mirrors"][0]["evidence"];
    assert_eq!(evidence["refs"], upstream.len(), "{run:#}");
    assert_eq!(evidence["upstreamDigest"], evidence["giteaDigest"]);
    assert_eq!(evidence["differing"], json!([]));
    assert_eq!(evidence["trackedBranch"], "main");
    assert_eq!(evidence["trackedCommit"], upstream["refs/heads/main"].as_str());
    for name in upstream.keys().filter_map(|name| name.strip_prefix("refs/heads/")) {
        let path = format!("/repos/{}/one/branches/{name}", world.owner);
        if world.is_real() {
            let (status, branch) = world.gitea_api(Method::GET, &path, None).await;
            assert_eq!(
                (status, branch["commit"]["id"].as_str()),
                (200, upstream.get(&format!("refs/heads/{name}")).map(String::as_str))
            );
        }
    }
    if !world.is_real() {
        let gitea = world.gitea().heads_and_tags(&world.owner, "one");
        for (name, id) in &upstream {
            assert_eq!(gitea.get(name), Some(id), "{name}");
        }
    }
}

#[test]
fn an_absent_repository_is_created_and_proven_and_then_nothing_is_changed_rows_1_2_and_6() {
    story_everywhere(async |mut world| {
        world.start().await;
        let run = world.expect("created").await;
        assert_equal_refs(&world, &run).await;
        let repository = world.repository().await;
        assert_eq!(repository["mirror"], true);
        assert_eq!(repository["mirror_interval"], "10m0s");
        assert_eq!(repository["original_url"].as_str().unwrap(), world.upstream.url("one"));
        for member in ["has_wiki", "has_issues"] {
            // what was not migrated is empty; whether the unit is shown is Gitea's setting
            assert!(repository[member].is_boolean());
        }
        let run = world.expect("noop").await;
        assert_equal_refs(&world, &run).await;
        assert_eq!(run["mirrors"][0]["evidence"]["rewritten"], false);
    });
}

#[test]
fn what_is_pushed_upstream_is_synced_and_proven_rows_3_and_5() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let commit = world.upstream.commit("one", "main", 3);
        world.upstream.branch("one", "later", "main");
        world.upstream.tag("one", "v9", "main");
        let run = world.expect("synced").await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit.as_str());
        assert_equal_refs(&world, &run).await;
        world.expect("noop").await;
    });
}

#[test]
fn a_force_push_and_a_moved_tag_are_followed() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.force_push("one", "main");
        world.upstream.tag("one", "moving", "main");
        world.expect("synced").await;
        world.upstream.commit("one", "main", 1);
        world.upstream.tag("one", "moving", "main");
        let run = world.expect("synced").await;
        assert_equal_refs(&world, &run).await;
    });
}

#[test]
fn a_branch_that_upstream_deletes_is_kept_and_counted_row_8() {
    story_everywhere(async |mut world| {
        world.upstream.branch("one", "doomed", "main");
        world.start().await;
        world.expect("created").await;
        world.upstream.delete_ref("one", "refs/heads/doomed");
        world.upstream.commit("one", "main", 1);
        let run = world.expect("synced").await;
        assert_eq!(run["mirrors"][0]["evidence"]["onlyInGitea"], 1);
        assert_equal_refs(&world, &run).await;
    });
}

#[test]
fn with_pruning_a_branch_that_upstream_deletes_goes() {
    story_everywhere(async |mut world| {
        world.extra = "prune: true".into();
        world.upstream.branch("one", "doomed", "main");
        world.start().await;
        world.expect("created").await;
        world.upstream.delete_ref("one", "refs/heads/doomed");
        let run = world.expect("synced").await;
        assert_eq!(run["mirrors"][0]["evidence"]["onlyInGitea"], 0);
        assert_equal_refs(&world, &run).await;
    });
}

#[test]
fn the_default_branch_follows_upstreams_head() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.branch("one", "trunk", "main");
        world.upstream.set_head("one", "trunk");
        world.expect("updated").await;
        assert_eq!(world.repository().await["default_branch"], "trunk");
        world.expect("noop").await;
    });
}

#[test]
fn an_interval_that_somebody_changed_is_set_back_and_read_back_row_3() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let path = format!("/repos/{}/one", world.owner);
        let (status, _) = world.gitea_api(Method::PATCH, &path, Some(json!({"mirror_interval": "8h"}))).await;
        assert_eq!(status, 200);
        world.expect("updated").await;
        assert_eq!(world.repository().await["mirror_interval"], "10m0s");
        world.expect("noop").await;
    });
}

#[test]
fn the_same_interval_in_other_words_is_no_difference() {
    story_everywhere(async |mut world| {
        world.extra = "interval: 600s".into();
        world.start().await;
        world.expect("created").await;
        assert_eq!(world.repository().await["mirror_interval"], "10m0s");
        world.expect("noop").await;
    });
}

#[test]
fn a_mirror_that_we_find_is_taken_over_and_stops_pruning_before_it_syncs() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        // another service, without a journal, finds it
        world.lose_the_journal();
        world.start().await;
        world.upstream.commit("one", "main", 1);
        let run = world.expect("updated").await;
        assert_equal_refs(&world, &run).await;
        world.expect("noop").await;
        // and what Gitea was told holds: upstream's answer that empties a pruning mirror costs nothing
        let before = world.upstream.heads_and_tags("one").len();
        world.upstream.fault_for(Reader::Git, UpstreamFault::EmptyV0);
        let path = format!("/repos/{}/one", world.owner);
        let updated = world.repository().await["mirror_updated"].clone();
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        world.gitea_api(Method::POST, &format!("{path}/mirror-sync"), None).await;
        world.until(async || world.repository().await["mirror_updated"] != updated).await;
        world.upstream.clear_faults();
        let run = world.run().await;
        assert_eq!(run["mirrors"][0]["evidence"]["refs"], before, "{run:#}");
    });
}

#[test]
fn a_regular_repository_of_the_name_is_refused_and_left_as_it_is_rows_4_and_7a() {
    story_everywhere(async |mut world| {
        let (status, _) = world.gitea_api(Method::POST, "/orgs", Some(json!({"username": world.owner}))).await;
        assert_eq!(status, 201);
        let path = format!("/orgs/{}/repos", world.owner);
        let (status, before) =
            world.gitea_api(Method::POST, &path, Some(json!({"name": "one", "auto_init": true}))).await;
        assert_eq!(status, 201);
        world.start().await;
        let problem = world.expect_failure("not-a-mirror").await;
        assert_eq!(problem["retryable"], false);
        let after = world.repository().await;
        assert_eq!((after["id"].clone(), after["mirror"].clone()), (before["id"].clone(), json!(false)));
    });
}

#[test]
fn a_mirror_of_another_upstream_is_refused_and_left_as_it_is() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.create_sample("two");
        let yaml = world.yaml_of(&[("one", "two", "one", "")]);
        world.start_with(&yaml).await;
        world.expect_failure("upstream-mismatch").await;
        assert_eq!(world.repository().await["original_url"].as_str().unwrap(), world.upstream.url("one"));
    });
}

#[test]
fn an_upstream_that_answers_nonsense_fails_the_run_and_changes_nothing() {
    story_everywhere(async |mut world| {
        world.start().await;
        let path = format!("/repos/{}/one", world.owner);
        for (fault, code) in [
            (UpstreamFault::Html, "upstream-suspect"),
            (UpstreamFault::HtmlPage, "upstream-suspect"),
            (UpstreamFault::Empty200, "upstream-suspect"),
            (UpstreamFault::EmptyPlain, "upstream-suspect"),
            (UpstreamFault::OneLine200, "upstream-suspect"),
            (UpstreamFault::EmptyV0, "upstream-suspect"),
            (UpstreamFault::Status(401), "upstream-refused"),
            (UpstreamFault::Status(403), "upstream-refused"),
            (UpstreamFault::Status(404), "upstream-refused"),
            (UpstreamFault::Redirect, "upstream-refused"),
        ] {
            world.upstream.fault(fault);
            world.expect_failure(code).await;
            world.upstream.clear_faults();
            assert_eq!(world.gitea_api(Method::GET, &path, None).await.0, 404);
            assert_eq!(world.gitea_api(Method::GET, &format!("/orgs/{}", world.owner), None).await.0, 404);
        }
        world.expect("created").await;
    });
}

#[test]
fn a_201_with_an_empty_mirror_is_not_believed_row_5() {
    story_everywhere(async |mut world| {
        world.start().await;
        // Gitea's git gets one line of HTML, which it takes for a repository without refs; we get the truth
        world.upstream.fault_for(Reader::Git, UpstreamFault::Html);
        let id = world.ask().await;
        world.until_phase(&id, "syncing").await;
        world.upstream.clear_faults();
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "created", "{run:#}");
        assert_equal_refs(&world, &run).await;
    });
}

#[test]
fn a_wrong_token_is_told_and_not_repeated() {
    story_everywhere(async |mut world| {
        std::fs::write(world.path("gitea-token"), "0123456789abcdef0123456789abcdef01234567").unwrap();
        world.start().await;
        let id = world.ask().await;
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["problem"]["error"], "gitea-auth", "{run:#}");
        for path in [format!("/cutover/runs/{id}"), "/status".into(), "/metrics".into()] {
            let text = world.get(&path).await.text;
            assert!(!text.contains("0123456789abcdef0123456789abcdef01234567"), "{text}");
        }
        // the file is read again at each use
        std::fs::write(world.path("gitea-token"), &world.gitea_token).unwrap();
        world.expect("created").await;
    });
}

#[test]
fn a_repository_that_does_not_exist_upstream_is_refused_before_anything_is_made() {
    story_everywhere(async |mut world| {
        let yaml = world.yaml_of(&[("one", "nothing", "one", "")]);
        world.start_with(&yaml).await;
        world.expect_failure("upstream-refused").await;
    });
}

#[test]
fn an_upstream_without_the_tracked_branch_is_told() {
    story_everywhere(async |mut world| {
        let yaml = world.yaml().replace("branch: main", "branch: nowhere");
        world.start_with(&yaml).await;
        world.expect_failure("upstream-branch-missing").await;
    });
}

#[test]
fn an_interval_below_giteas_minimum_is_told_with_the_minimum() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.extra = "interval: 5m".into();
        world.start().await;
        let problem = world.expect_failure("interval-too-short").await;
        assert!(problem["detail"].as_str().unwrap().contains("10m0s"), "{problem}");
    });
}

#[test]
fn a_failed_clone_is_told_in_gits_words_and_its_remains_are_made_anew_by_the_next_run() {
    story_everywhere(async |mut world| {
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.start().await;
        let problem = world.expect_failure("migrate-failed").await;
        assert!(problem["detail"].as_str().unwrap().contains("fatal:"), "{problem}");
        let left = world.repository().await;
        assert_eq!((&left["mirror"], &left["mirror_interval"]), (&json!(true), &json!("")), "{left:#}");
        world.upstream.clear_faults();
        if !world.is_real() {
            assert_eq!(world.count("POST /api/v1/repos/migrate"), 1);
            world.gitea().clear_calls();
        }
        let run = world.expect("repaired").await;
        assert_equal_refs(&world, &run).await;
        assert_ne!(world.repository().await["id"], left["id"]);
        if !world.is_real() {
            let again =
                ["DELETE /api/v1/repos/openova/one", "POST /api/v1/repos/migrate", "PATCH /api/v1/repos/openova/one"];
            assert_eq!(world.changes(), again);
        }
    });
}
