//! What the recorder did between the steps, and how the steps are played that are no plain request. The recordings do
//! not say it: it is inferred from the names of scenes and steps and from the references seen afterwards. Must never
//! look at the server's profile: the recorder treated all servers alike.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{Settings, UpstreamFault};

use super::line::{Body, Line, Request};
use super::stage::{PATIENCE, Stage};

/// Longer than a date of Gitea's is exact, so that the next change is seen as one.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the slow scenes take.
const SLOW: Duration = Duration::from_secs(8);

/// The fault that a scene is played with, by what its name says of upstream.
fn fault_of(scene: &str) -> Option<UpstreamFault> {
    let mut said = scene;
    for start in ["migrate that fails: upstream answers ", "mirror-sync, prune off, ", "mirror-sync, "] {
        said = said.strip_prefix(start).unwrap_or(said);
    }
    let fault = match said.trim_end_matches(" from upstream") {
        "mirror-sync that fails: upstream gone" | "404" => UpstreamFault::Status(404),
        "401" => UpstreamFault::Status(401),
        "403" => UpstreamFault::Status(403),
        "500" | "a 500" => UpstreamFault::Status(500),
        "empty200" | "an empty 200" => UpstreamFault::Empty200,
        "oneline200" | "one line and a flush" => UpstreamFault::OneLine200,
        "html" | "a 200 with one line of html and no newline" => UpstreamFault::Html,
        "html-page" | "a 200 with an html page" => UpstreamFault::HtmlPage,
        "empty-plain" | "an empty 200 of type text/plain" => UpstreamFault::EmptyPlain,
        "drop" | "upstream cuts the connection" => UpstreamFault::Drop,
        "an empty 200 from upstream, protocol v0" | "a valid, empty advertisement" => UpstreamFault::EmptyV0,
        "upstream answers with a redirect" => UpstreamFault::Redirect,
        _ => return None,
    };
    Some(fault)
}

/// The one setting that a scene's name says was changed.
pub(super) fn setting_of(scene: &str) -> fn(&mut Settings) {
    match scene.strip_prefix("settings: ") {
        Some("mirror-disabled") => |settings| settings.mirror_feature_off = true,
        Some("new-pull-disabled") => |settings| settings.new_pull_disabled = true,
        Some("migrations-disabled") => |settings| settings.migrations_disabled = true,
        Some("private-instance") => |settings| settings.require_signin = true,
        Some("force-private") => |settings| settings.force_private = true,
        Some("http-git-disabled") => |settings| settings.http_git_disabled = true,
        Some("local-networks-refused") => |settings| settings.allow_local_networks = false,
        Some("min-interval-1h") => |settings| settings.min_interval = Duration::from_hours(1),
        Some("regular-org-off") => |settings| settings.regular_org_creation_disabled = true,
        Some("not-installed") => |settings| settings.not_installed = true,
        _ => panic!("{scene}: which setting is this?"),
    }
}

/// Does what the recorder did before a step. `scene` has the lines of the scene.
pub(super) async fn before(stage: &mut Stage, line: &Line, scene: &[Line]) {
    if line.scene.starts_with("settings: ") {
        return before_under_a_setting(stage, line).await;
    }
    match fault_of(&line.scene) {
        Some(fault) => before_with_fault(stage, line, fault).await,
        None if line.scene.contains("sync") || line.scene.contains("upstream") => {
            before_with_sync(stage, line).await;
        }
        None => before_others(stage, line, scene).await,
    }
}

/// Scenes in which upstream answers wrongly: it does so from the call that is to meet it to the end of the scene, or
/// to the migrate that is to succeed.
async fn before_with_fault(stage: &mut Stage, line: &Line, fault: UpstreamFault) {
    let upstream = stage.upstream.clone();
    match (line.scene.as_str(), line.step.as_str()) {
        ("mirror-sync that fails: upstream gone", "before") => {}
        ("upstream answers with a redirect", "before") => {
            upstream.commit("one", "main", 1);
        }
        // The scene before left a fault behind, and may have cost the mirror its references.
        (_, "before") => heal(stage).await,
        (_, "sync") => {
            stage.remember("one").await;
            stage.pass(PAUSE).await;
            upstream.clear_faults();
            upstream.fault(fault);
        }
        (_, "migrate") => {
            upstream.clear_faults();
            upstream.fault(fault);
        }
        (_, "migrate after delete") => upstream.clear_faults(),
        _ => {}
    }
}

async fn before_with_sync(stage: &mut Stage, line: &Line) {
    let upstream = stage.upstream.clone();
    match (line.scene.as_str(), line.step.as_str()) {
        // The scene before switched pruning off; the faults to come do cost references.
        ("mirror-sync", "no token") => patch(stage, json!({ "enable_prune": true })).await,
        ("mirror-sync", "sync") => {
            upstream.commit("one", "main", 1);
            stage.pass(PAUSE).await;
        }
        ("force-push, moved tag, deleted branch upstream, prune on", "sync") => {
            upstream.clear_faults();
            upstream.force_push("one", "main");
            upstream.tag("one", "v1", "main");
            upstream.delete_ref("one", "refs/heads/feature");
        }
        ("deleted branch upstream, prune off", "sync") => {
            upstream.branch("one", "extra", "main");
            heal(stage).await;
            patch(stage, json!({ "enable_prune": false })).await;
            upstream.delete_ref("one", "refs/heads/extra");
            upstream.commit("one", "main", 1);
        }
        ("three syncs asked for at once", "before") => heal(stage).await,
        ("three syncs asked for at once", "sync 1") => {
            upstream.commit("one", "main", 1);
            upstream.clear_calls();
            stage.gitea.set_sync_delay(SLOW);
        }
        ("three syncs asked for at once", "while it runs") => stage.pass(PAUSE).await,
        ("three syncs asked for at once", "when all is over: which interval stands?") => {
            stage.pass(3 * SLOW).await;
            stage.gitea.set_sync_delay(Duration::ZERO);
        }
        ("upstream renames its default branch", "sync") => {
            upstream.branch("one", "trunk", "main");
            upstream.set_head("one", "trunk");
        }
        (_, "refs after" | "extra is still there?" | "default_branch after") => {
            if !stage.reaches_upstream("one").await {
                stage.troubles.push("the sync did not bring what upstream has".to_owned());
            }
            stage.pass(PAUSE).await;
        }
        ("upstream renames its default branch", "HEAD after") => upstream.set_head("one", "main"),
        ("migrate a private upstream", "no credentials" | "auth_token") => {
            upstream.clear_calls();
            upstream.require(Some(("oauth2", "s3cret-token")));
        }
        ("migrate a private upstream", "auth_username, auth_password") => {
            upstream.clear_calls();
            upstream.require(Some(("joe", "s3cret-pass")));
        }
        ("migrate a private upstream", "sync of a private mirror") => {
            upstream.require(Some(("oauth2", "s3cret-token")));
            upstream.commit("one", "main", 1);
        }
        ("the server is killed with a sync asked for", "sync") => {
            upstream.commit("one", "main", 1);
            stage.gitea.set_sync_delay(SLOW);
        }
        ("the server is killed with a sync asked for", "sync again") => {
            stage.gitea.set_sync_delay(Duration::ZERO);
        }
        _ => {}
    }
}

async fn before_others(stage: &mut Stage, line: &Line, scene: &[Line]) {
    match (line.scene.as_str(), line.step.as_str()) {
        // The step before set ten years, this one answers ten minutes.
        ("patch a mirror", "enable_prune false") => {
            patch(stage, json!({ "mirror_interval": "10m0s" })).await;
        }
        ("slow migrate: seen while it runs, client leaves", "client leaves after 2 s") => {
            stage.upstream.require(None);
            stage.gitea.set_migrate_delay(SLOW);
        }
        ("slow migrate: deleted while it runs", "delete while running") => {
            begin(stage, scene, "migrate (answer came after the delete)").await;
        }
        ("slow migrate: deleted while it runs", "migrate after that")
        | ("the server is killed while it migrates", "migrate after delete") => {
            stage.gitea.set_migrate_delay(Duration::ZERO);
        }
        ("the server is killed while it migrates", "while running") => {
            stage.gitea.set_migrate_delay(SLOW);
            begin(stage, scene, "migrate (server killed meanwhile)").await;
        }
        ("the server is killed while it migrates", "8 s after restart") => stage.pass(SLOW).await,
        _ => {}
    }
}

async fn before_under_a_setting(stage: &mut Stage, line: &Line) {
    match line.step.as_str() {
        "mirror-sync" => {
            stage.upstream.commit("one", "main", 1);
            stage.pass(PAUSE).await;
        }
        "after the sync" => {
            if !stage.reaches_upstream("one").await {
                stage.troubles.push("the sync did not bring what upstream has".to_owned());
            }
            stage.pass(PAUSE).await;
        }
        _ => {}
    }
}

/// Sends the request of a later step, and lets it run for as long as the recorder did.
async fn begin(stage: &mut Stage, scene: &[Line], step: &str) {
    let line = scene.iter().find(|line| line.step == step).expect("the scene has the step");
    stage.begin(line.request.as_ref().expect("the step is a request"));
    stage.pass(PAUSE).await;
}

async fn patch(stage: &mut Stage, body: Value) {
    let answer = stage.call("PATCH", "repos/acme/one", body).await;
    if answer["status"] != 200 {
        stage.troubles.push(format!("a change between the steps was refused: {answer}"));
    }
}

/// Ends the fault of the scene before, and waits for a sync that brings `acme/one` what upstream has.
async fn heal(stage: &mut Stage) {
    stage.upstream.clear_faults();
    stage.pass(PAUSE).await;
    stage.remember("one").await;
    stage.call("POST", "repos/acme/one/mirror-sync", Value::Null).await;
    let moved = stage.wait(PATIENCE, async |stage| stage.moved("one").await).await;
    let healed = moved && stage.reaches_upstream("one").await;
    if !healed {
        stage.troubles.push("a sync between the scenes did not bring what upstream has".to_owned());
    }
}

/// What a step came to: the recorder's response, and whether what the step waited for was seen.
pub(super) struct Played {
    pub(super) response: Value,
    pub(super) seen: Option<bool>,
}

/// Plays a step.
pub(super) async fn play(stage: &mut Stage, line: &Line) -> Played {
    let Some(request) = &line.request else {
        return Played { response: json!({ "note": observe(stage, line).await }), seen: None };
    };
    let seen = match awaited(&line.step) {
        Some((condition, _)) => Some(wait(stage, line, condition).await),
        None => None,
    };
    let response = match (line.scene.as_str(), line.step.as_str()) {
        (_, "client leaves after 2 s") => stage.send_within(Duration::from_secs(2), request).await,
        (_, "migrate (answer came after the delete)") => stage.end().await,
        (_, "migrate (server killed meanwhile)") => {
            stage.gitea.kill();
            let response = stage.end().await;
            stage.gitea.restart();
            response
        }
        ("migrate a private upstream", "auth_token" | "auth_username, auth_password") => {
            let response = stage.send(request).await;
            let mut given: Vec<String> =
                stage.upstream.calls().into_iter().filter_map(|call| call.authorization).collect();
            given.sort();
            given.dedup();
            let key = if line.step == "auth_token" { "auth_token" } else { "basic" };
            stage.received[key] = json!(given);
            response
        }
        _ => stage.send(request).await,
    };
    Played { response, seen }
}

/// Splits the name of a step that says whether something was seen.
pub(super) fn awaited(step: &str) -> Option<(&str, bool)> {
    match step.rsplit_once(": ")? {
        (condition, "True") => Some((condition, true)),
        (condition, "False") => Some((condition, false)),
        _ => None,
    }
}

/// Waits for what the name of a step says.
async fn wait(stage: &mut Stage, line: &Line, condition: &str) -> bool {
    match condition {
        "after; mirror_updated moved" | "after the failed sync; mirror_updated moved" => {
            stage.wait(PATIENCE, async |stage| stage.moved("one").await).await
        }
        "after; refs equal" => {
            stage.reaches_upstream("one").await && stage.upstream.heads_and_tags("one") == stage.refs("acme/one")
        }
        "after; refs reached upstream" => stage.reaches_upstream("one").await,
        "later; finished although the client left" => {
            let interval = async |stage: &Stage| {
                let answer = stage.call("GET", "repos/acme/slow", Value::Null).await;
                answer["body"]["mirror_interval"].clone()
            };
            stage.wait(2 * SLOW, async |stage| interval(stage).await != "").await
        }
        "after restart; refs reached upstream by themselves" => {
            // Long enough for the queue to have begun, and for git not to be through.
            stage.pass(PAUSE).await;
            stage.gitea.kill();
            stage.gitea.restart();
            stage.reaches_upstream("killed").await
        }
        "after that; reached" => stage.reaches_upstream("killed").await,
        _ => panic!("{}, {}: what does this step wait for?", line.scene, line.step),
    }
}

/// What the recorder observed beside the API.
async fn observe(stage: &mut Stage, line: &Line) -> Value {
    match line.step.as_str() {
        "advertisements that upstream was asked for" => stage.advertisements().into(),
        "what upstream received" => stage.received.clone(),
        "private sync" => {
            let reached = stage.reaches_upstream("priv-token").await;
            json!({ "reached": reached })
        }
        "four calls, their status codes" => four_migrates(stage).await,
        _ => panic!("{}, {}: what was observed here?", line.scene, line.step),
    }
}

async fn four_migrates(stage: &mut Stage) -> Value {
    let members = [("repo_name".to_owned(), "twice".into())].into_iter().collect();
    let request = Request {
        method: "POST".to_owned(),
        path: "/api/v1/repos/migrate".to_owned(),
        auth: "bot".to_owned(),
        protocol: None,
        body: Body::Migrate(members),
    };
    let calls: Vec<_> = (0..4).map(|_| tokio::spawn(stage.send(&request))).collect();
    let mut statuses = Vec::new();
    for call in calls {
        let answer = call.await.expect("sending a request does not panic");
        statuses.push(answer["status"].as_u64().unwrap_or_default());
    }
    statuses.sort_unstable();
    json!(statuses)
}
