//! An upstream that is shrunken, emptied or rewritten, and what a run does about it.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standin::{Profile, Reader, UpstreamFault};
use tokio::time::sleep;

use crate::world::{World, story_everywhere, story_on};

#[test]
fn an_upstream_that_has_lost_most_of_its_branches_is_told_with_a_digest_and_not_synced() {
    story_everywhere(async |mut world| {
        world.upstream.branches("one", "b", "main", 6);
        world.start().await;
        world.expect("created").await;
        for number in 0..5 {
            world.upstream.delete_ref("one", &format!("refs/heads/b{number}"));
        }
        world.upstream.commit("one", "main", 1);
        let before = world.repository().await["mirror_updated"].clone();
        let problem = world.expect_failure("upstream-suspect").await;
        assert_eq!((problem["reason"].as_str(), problem["retryable"].as_bool()), (Some("shrunken"), Some(true)));
        assert!(problem["upstreamDigest"].as_str().unwrap().starts_with("sha256:"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("3 of the 8"), "{problem}");
        assert_eq!(world.repository().await["mirror_updated"], before);
        // an operator accepts that very list, and no other
        let other = format!("sha256:{}", "0".repeat(64));
        for (digest, outcome) in [(json!(other), Value::Null), (problem["upstreamDigest"].clone(), json!("synced"))] {
            let answer = world.post(&json!({"acceptUpstream": digest})).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            let run = world.end_of(answer.json()["id"].as_str().unwrap()).await;
            assert_eq!(run["mirrors"][0]["outcome"], outcome, "{run:#}");
        }
        world.expect("noop").await;
    });
}

#[test]
fn whether_a_sync_rewrote_the_tracked_branch_is_told_on_every_server() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let rewritten = |run: &Value| run["mirrors"][0]["evidence"]["rewritten"].clone();
        world.upstream.commit("one", "main", 2);
        assert_eq!(rewritten(&world.expect("synced").await), false, "a fast-forward");
        assert_eq!(world.metric("cutover_mirror_rewrites_total").await, Some(0.0));
        world.upstream.force_push("one", "main");
        assert_eq!(rewritten(&world.expect("synced").await), true, "a commit replaced");
        world.upstream.orphan("one", "main");
        assert_eq!(rewritten(&world.expect("synced").await), true, "a history of its own");
        assert_eq!(world.metric("cutover_mirror_rewrites_total").await, Some(2.0), "what the alert reads");
        world.upstream.branch("one", "later", "main");
        assert_eq!(rewritten(&world.expect("synced").await), false, "the tracked branch stood still");
    });
}

/// What a server answers to `/compare` of old and new: how many commits the new one lacks, or a status. For a
/// fast-forward, a commit replaced, a history of its own.
fn compared(version: &str) -> [u16; 3] {
    let release = version.split(['+', '-']).next().unwrap().split('.').map(|number| number.parse().unwrap_or(0));
    let release: Vec<u16> = release.collect();
    match (version.contains("+gitea-"), release[0], release[1]) {
        (false, 1, 25 | 27..) | (true, 11, _) => [0, 1, 0],
        (false, 1, 26) => [0, 1, 500],
        _ => [404; 3],
    }
}

/// On a real server this says whether the stand-in still has its habits right.
#[test]
fn commits_tells_a_rewritten_history_where_compare_does_not() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let (_, version) = world.gitea_api(Method::GET, "/version", None).await;
        let version = version["version"].as_str().unwrap().to_owned();
        let upstream = world.upstream.clone();
        let moves: [(&str, &dyn Fn() -> String); 3] = [
            ("a fast-forward", &|| upstream.commit("one", "main", 2)),
            ("a commit replaced", &|| upstream.force_push("one", "main")),
            ("a history of its own", &|| upstream.orphan("one", "main")),
        ];
        let repository = format!("/repos/{}/one", world.owner);
        let commits = async |old: &str, new: &str| {
            let query = format!("sha={old}&not={new}&limit=1&stat=false&verification=false&files=false");
            world.gitea_api(Method::GET, &format!("{repository}/commits?{query}"), None).await
        };
        let mut old = upstream.resolve("one", "main").unwrap();
        for ((what, move_upstream), (compared, listed)) in
            moves.iter().zip(compared(&version).into_iter().zip([0, 1, 1]))
        {
            let new = move_upstream();
            world.expect("synced").await;
            let path = format!("{repository}/compare/{new}...{old}");
            let (status, body) = world.gitea_api(Method::GET, &path, None).await;
            let seen = if status == 200 { body["total_commits"].as_u64().unwrap().try_into().unwrap() } else { status };
            assert_eq!(seen, compared, "{version}: /compare after {what}: {body}");
            let (status, body) = commits(&old, &new).await;
            let ids: Vec<&str> =
                body.as_array().unwrap().iter().map(|commit| commit["sha"].as_str().unwrap()).collect();
            assert_eq!((status, ids), (200, vec![old.as_str(); listed]), "{version}: /commits after {what}");
            old = new;
        }
        let (status, body) = commits(&"1".repeat(40), &old).await;
        let unknown = if version.starts_with("1.2") && version.as_bytes()[3] < b'3' { 500 } else { 404 };
        assert_eq!(status, unknown, "{version}: an object that it does not have: {body}");
        let (status, body) = commits(&old, &"1".repeat(40)).await;
        assert_eq!(status, 500, "{version}: beside an object that it does not have: {body}");
    });
}

#[test]
fn refs_that_gitea_has_lost_are_restored_once_upstream_is_sound_and_pruning_is_stopped_again() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let path = format!("/repos/{}/one", world.owner);
        let body = json!({"mirror_interval": "10m0s", "enable_prune": true});
        assert_eq!(world.gitea_api(Method::PATCH, &path, Some(body)).await.0, 200);
        // it is in the same second that a sync's end is not seen
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        wipe(&world, &path).await;
        let run = world.expect("updated").await;
        let notes = run["mirrors"][0]["notes"].to_string();
        assert!(notes.contains("Gitea had 0 refs where 4 had been proven"), "{notes}");
        // and from now on the same costs nothing
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        wipe(&world, &path).await;
        world.expect("noop").await;
    });
}

/// A sync of Gitea's while upstream answers it with an empty list.
async fn wipe(world: &World, path: &str) {
    let before = world.repository().await["mirror_updated"].clone();
    world.upstream.fault_for(Reader::Git, UpstreamFault::EmptyV0);
    world.gitea_api(Method::POST, &format!("{path}/mirror-sync"), None).await;
    world.until(async || world.repository().await["mirror_updated"] != before).await;
    world.upstream.clear_faults();
}

#[test]
fn a_sync_that_failed_for_certain_is_told_after_the_first() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        // Gitea shows no time of a good sync before the first
        world.upstream.commit("one", "main", 1);
        world.expect("synced").await;
        let syncs = if world.repository().await["mirror_last_sync_at"].is_string() { 1 } else { 2 };
        world.upstream.commit("one", "main", 1);
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(401));
        world.clear_calls();
        world.expect_failure("sync-failing").await;
        assert_eq!(world.count("POST /api/v1/repos/openova/one/mirror-sync"), syncs, "{}", world.version().await);
    });
}

#[test]
fn what_a_run_did_before_a_crash_is_told_of_it_after() {
    story_on(Profile::Gitea126, async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.force_push("one", "main");
        world.gitea().set_sync_delay(Duration::from_secs(5));
        world.gitea().clear_calls();
        let id = world.ask().await;
        world.until(async || world.count("POST /api/v1/repos/openova/one/mirror-sync") != 0).await;
        world.crash();
        // Gitea goes on without us
        sleep(Duration::from_secs(20)).await;
        world.start().await;
        let run = world.end_of(&id).await;
        assert_eq!((&run["status"], &run["mirrors"][0]["outcome"]), (&json!("succeeded"), &json!("synced")), "{run:#}");
        assert_eq!(run["mirrors"][0]["evidence"]["rewritten"], true, "{run:#}");
        assert_eq!(world.count("POST /api/v1/repos/openova/one/mirror-sync"), 1);
    });
}
