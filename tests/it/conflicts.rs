//! Another repository at the mirror's name, and what a failed migrate leaves: nothing is lost.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Fault, Profile, Reader, UpstreamFault};

use crate::world::{World, story, story_anywhere, story_everywhere, story_on};

const MIGRATE: &str = "POST /api/v1/repos/migrate";
const DELETE: &str = "DELETE /api/v1/repos/openova/one";

/// Makes the organisation and a regular repository in the mirror's place, and answers its id.
pub(crate) async fn make_legacy(world: &World) -> Value {
    let (status, _) = world.gitea_api(Method::POST, "/orgs", Some(json!({"username": world.owner}))).await;
    assert_eq!(status, 201);
    let path = format!("/orgs/{}/repos", world.owner);
    let body = json!({"name": "one", "auto_init": true, "default_branch": "main"});
    let (status, legacy) = world.gitea_api(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 201);
    legacy["id"].clone()
}

/// Demands that a run has renamed the repository `id` aside, whole, and that this was the only effect on it.
pub(crate) async fn assert_kept_aside(world: &World, run: &Value, id: &Value) {
    let place = run["mirrors"][0]["keptAside"].as_str().unwrap_or_else(|| panic!("{run:#}"));
    assert!(place.starts_with(&format!("{}/one-legacy-", world.owner)) && place.ends_with('Z'), "{place}");
    assert!(run["mirrors"][0]["notes"].to_string().contains("issues"), "{run:#}");
    let (status, aside) = world.gitea_api(Method::GET, &format!("/repos/{place}"), None).await;
    assert_eq!((status, &aside["id"], &aside["mirror"]), (200, id, &json!(false)), "{aside}");
    assert_ne!(&world.repository().await["id"], id);
}

#[test]
fn a_regular_repository_is_refused_with_the_refs_that_upstream_lacks() {
    story_everywhere(async |mut world| {
        make_legacy(&world).await;
        world.start().await;
        let problem = world.expect_failure("not-a-mirror").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("lacks the objects of 1 of its 1 refs: refs/heads/main"), "{detail}");
        assert_eq!(problem["refs"], json!(["refs/heads/main"]));
        assert!(problem["remedy"].as_str().unwrap().contains("renameAside"), "{problem}");
    });
}

#[test]
fn a_regular_repository_is_renamed_aside_whole_and_the_mirror_made_in_its_place() {
    story_everywhere(async |mut world| {
        let id = make_legacy(&world).await;
        world.start().await;
        let plan = world.post(&json!({"onLegacy": "renameAside", "dryRun": true})).await.json();
        assert_eq!(plan["mirrors"][0]["outcome"], "replaced", "{plan:#}");
        assert_eq!(plan["mirrors"][0]["plan"][0]["call"], "rename_aside", "{plan:#}");
        let answer = world.post(&json!({"onLegacy": "renameAside"})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let run = world.end_of(answer.json()["id"].as_str().unwrap()).await;
        assert_eq!(run["mirrors"][0]["outcome"], "replaced", "{run:#}");
        assert_kept_aside(&world, &run, &id).await;
        let run = world.expect("noop").await;
        assert!(run["mirrors"][0].get("keptAside").is_none(), "{run:#}");
    });
}

#[test]
fn a_repository_gets_its_name_back_when_the_mirror_cannot_be_made() {
    story_everywhere(async |mut world| {
        let id = make_legacy(&world).await;
        world.extra = "onLegacy: renameAside".into();
        world.start().await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.expect_failure("migrate-failed").await;
        let back = world.repository().await;
        assert_eq!((&back["id"], &back["mirror"]), (&id, &json!(false)));
        world.upstream.clear_faults();
        let run = world.expect("replaced").await;
        assert_kept_aside(&world, &run, &id).await;
    });
}

#[test]
fn nothing_is_renamed_beside_an_upstream_that_answers_nonsense() {
    story_anywhere(async |mut world| {
        make_legacy(&world).await;
        world.extra = "onLegacy: renameAside".into();
        world.start().await;
        world.clear_calls();
        for (fault, code) in [
            (UpstreamFault::EmptyV0, "upstream-suspect"),
            (UpstreamFault::Html, "upstream-suspect"),
            (UpstreamFault::Status(404), "upstream-refused"),
            (UpstreamFault::Drop, "upstream-unreachable"),
        ] {
            world.upstream.fault(fault);
            world.expect_failure(code).await;
            world.upstream.clear_faults();
        }
        assert_eq!(world.changes(), Vec::<String>::new());
    });
}

#[test]
fn a_crash_at_any_call_of_a_rename_is_completed_at_the_next_start() {
    for kind in [CallKind::PatchRepository, CallKind::Migrate] {
        for fault in [Fault::Hang, Fault::ExecuteThenHang] {
            story(async |mut world| {
                let id = make_legacy(&world).await;
                world.extra = "onLegacy: renameAside".into();
                world.start().await;
                world.gitea().fault_once(kind, fault.clone());
                let run = world.ask().await;
                let method = if kind == CallKind::Migrate { "/migrate" } else { "PATCH" };
                world
                    .until_every(Duration::from_millis(10), async || {
                        world.changes().iter().any(|call| call.contains(method))
                    })
                    .await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                world.crash();
                world.start().await;
                let run = world.end_of(&run).await;
                assert_eq!(run["mirrors"][0]["outcome"], "replaced", "{kind:?} {fault:?} {run:#}");
                assert_kept_aside(&world, &run, &id).await;
            });
        }
    }
}

#[test]
fn a_crash_while_a_name_is_given_back_is_undone_or_completed_at_the_next_start() {
    for kind in [CallKind::DeleteRepository, CallKind::PatchRepository] {
        for fault in [Fault::Hang, Fault::ExecuteThenHang] {
            story(async |mut world| {
                let id = make_legacy(&world).await;
                world.extra = "onLegacy: renameAside".into();
                world.start().await;
                world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
                let run = world.ask().await;
                world.until_every(Duration::from_millis(1), async || world.count(MIGRATE) != 0).await;
                world.gitea().fault_once(kind, fault.clone());
                let method =
                    if kind == CallKind::DeleteRepository { "DELETE" } else { "PATCH /api/v1/repos/openova/one-" };
                world
                    .until_every(Duration::from_millis(10), async || {
                        world.changes().iter().any(|call| call.starts_with(method))
                    })
                    .await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                world.crash();
                world.start().await;
                let run = world.end_of(&run).await;
                assert_eq!(run["mirrors"][0]["problem"]["error"], "migrate-failed", "{kind:?} {fault:?} {run:#}");
                assert_eq!(world.repository().await["id"], id, "{kind:?} {fault:?}");
            });
        }
    }
}

#[test]
fn what_a_failed_clone_left_is_made_anew_by_the_next_run() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.expect_failure("migrate-failed").await;
        let left = world.repository().await;
        assert_eq!((left["mirror"].clone(), left["mirror_interval"].as_str()), (json!(true), Some("")));
        world.upstream.clear_faults();
        world.expect("repaired").await;
        assert_ne!(world.repository().await["id"], left["id"]);
        world.expect("noop").await;
    });
}

#[test]
fn a_clone_that_fails_in_passing_is_made_anew_within_the_run() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.upstream.fault_once(Reader::Git, UpstreamFault::Status(503));
        world.expect("repaired").await;
    });
}

#[test]
fn a_placeholder_that_we_have_not_made_is_never_deleted() {
    story_everywhere(async |mut world| {
        let (status, _) = world.gitea_api(Method::POST, "/orgs", Some(json!({"username": world.owner}))).await;
        assert_eq!(status, 201);
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        let body = json!({
            "clone_addr": world.upstream.url("one"), "repo_owner": world.owner, "repo_name": "one",
            "service": "git", "mirror": true,
        });
        assert_eq!(world.gitea_api(Method::POST, "/repos/migrate", Some(body)).await.0, 422);
        world.upstream.clear_faults();
        world.start().await;
        let problem = world.expect_failure("broken-mirror").await;
        assert!(
            problem["detail"].as_str().unwrap().contains("no migrate of cutover-api can have created it"),
            "{problem}"
        );
        assert_eq!(world.count(DELETE), 0);
    });
}

#[test]
fn a_placeholder_of_ours_is_not_deleted_by_a_service_that_has_lost_its_journal() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.expect_failure("migrate-failed").await;
        world.upstream.clear_faults();
        world.lose_the_journal();
        world.start().await;
        world.expect_failure("broken-mirror").await;
        assert_eq!(world.count(DELETE), 0);
    });
}

#[test]
fn an_interval_below_giteas_minimum_is_named_with_the_minimum_when_the_mirror_is_made() {
    story_everywhere(async |mut world| {
        world.extra = "interval: 5m".into();
        world.start().await;
        let problem = world.expect_failure("interval-too-short").await;
        assert!(problem["detail"].as_str().unwrap().contains("10m0s"), "{problem}");
        assert!(!world.gitea_refs().await.is_empty());
        assert!(world.is_real() || world.gitea().repository("openova", "one").unwrap().enable_prune == Some(false));
        world.extra = String::new();
        world.start().await;
        world.expect("updated").await;
    });
}

#[test]
fn git_over_http_switched_off_is_got_round_through_the_api_and_said() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.gitea().configure(|settings| settings.http_git_disabled = true);
            world.start().await;
            world.expect("created").await;
            world.upstream.commit("one", "main", 1);
            let run = world.expect("synced").await;
            assert!(run["mirrors"][0]["notes"].to_string().contains("through its API"), "{run:#}");
        });
    }
}

/// Starts the service for an upstream that wants this token.
async fn start_private(world: &mut World, token: &str) {
    world.upstream.require(Some(("oauth2", token)));
    std::fs::write(world.path("upstream-token"), token).unwrap();
    let file = world.path("upstream-token");
    let yaml = world.yaml().replace("branch: main }", &format!("branch: main, tokenFile: {} }}", file.display()));
    world.start_with(&yaml).await;
}

/// Whether Gitea uses upstream's credential for the first clone alone.
async fn forgets_credentials(world: &World) -> bool {
    let version = world.version().await;
    let major = version.split('.').next().unwrap().parse::<u32>().unwrap();
    version.contains("+gitea-") && (11..15).contains(&major)
}

#[test]
fn a_forgejo_that_forgets_upstreams_credential_is_told_before_a_mirror_is_made_there() {
    story_everywhere(async |mut world| {
        start_private(&mut world, "s3cret-upstream-token").await;
        if forgets_credentials(&world).await {
            world.expect_failure("upstream-credential-forgotten").await;
            assert_eq!(world.changes(), Vec::<String>::new());
        } else {
            world.expect("created").await;
            world.upstream.commit("one", "main", 1);
            world.expect("synced").await;
        }
    });
}

#[test]
fn a_credential_that_only_gitea_still_has_in_its_old_form_is_told_with_the_remedy_of_its_release() {
    story_everywhere(async |mut world| {
        if forgets_credentials(&world).await {
            return;
        }
        let version = world.version().await;
        let words = if version.starts_with("1.27") { "mirror_token" } else { "Mirror Settings" };
        start_private(&mut world, "s3cret-upstream-token").await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        world.upstream.require(Some(("oauth2", "another-upstream-token")));
        std::fs::write(world.path("upstream-token"), "another-upstream-token").unwrap();
        let problem = world.expect_failure("upstream-credential-stale").await;
        assert!(problem["remedy"].as_str().unwrap().contains(words), "{problem}");
        assert!(!problem.to_string().contains("upstream-token"), "{problem}");
    });
}
