//! The store in memory against the one that is git: the same scenes on both, and every answer compared. What git does
//! with upstream's faulty answers is known from recordings of real servers (GITEA.md 15); here it is the model that
//! has to do the same.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use standin::{Gitea, Options, Profile, Reader, Upstream, UpstreamFault};
use tower::ServiceExt as _;

use crate::stage::Stage;

const MEMORY: &str = "127.0.0.1:9";

/// What one scene showed, in the order of its calls.
type Shown = Vec<String>;

impl Stage {
    fn in_memory(profile: Profile) -> Self {
        let options = Options { profile, git_timeout: Duration::from_secs(2), ..Options::default() };
        let upstream = Upstream::in_memory(SystemTime::UNIX_EPOCH, MEMORY);
        let gitea = Gitea::in_memory(options);
        gitea.reach(MEMORY, upstream.router());
        Self::over(gitea, upstream)
    }

    /// The ids of refs as what they stand for: the two stores make other ids of the same commits.
    fn refs(&self) -> String {
        let named = self.upstream.heads_and_tags("one");
        let name_of = |id: &String| named.iter().find(|(_, other)| *other == id).map_or("older", |(name, _)| name);
        let held = self.gitea.heads_and_tags("acme", "one");
        let held: Vec<String> = held.iter().map(|(name, id)| format!("{name}={}", name_of(id))).collect();
        held.join(" ")
    }

    async fn note(&self, shown: &mut Shown, what: &str) {
        let row = self.gitea.repository("acme", "one");
        let row = row.map(|row| {
            let synced = (row.mirror_updated, row.mirror_last_sync);
            (row.placeholder, row.empty, row.default_branch, row.branch_count, synced)
        });
        let head = self.gitea.head("acme", "one");
        let mut asked: Vec<String> =
            self.upstream.calls().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
        // in how many rounds git says what it has already is its own affair
        asked.dedup();
        shown.push(format!("{what}: refs {} row {row:?} head {head:?} asked {asked:?}", self.refs()));
        self.upstream.clear_calls();
        for service in ["/info/refs?service=git-upload-pack", "/git-upload-pack"] {
            let answer = self.git(service).await;
            shown.push(format!("{what}: {answer}"));
        }
    }

    /// Gitea's own git, asked in protocol v2 or v0, without what differs by nature: ids, the agent, the page.
    async fn git(&self, service: &str) -> String {
        let mut told = Vec::new();
        for protocol in ["version=2", ""] {
            let is_list = service == "/git-upload-pack";
            let request = http::Request::builder()
                .method(if is_list { "POST" } else { "GET" })
                .uri(format!("/acme/one.git{service}"))
                .header("git-protocol", protocol)
                .header("content-type", "application/x-git-upload-pack-request")
                .header("authorization", format!("token {}", self.token));
            if is_list && protocol.is_empty() {
                continue;
            }
            let body = "0014command=ls-refs\n0001000csymrefs\n0009peel\n000bunborn\n0014ref-prefix HEAD\n001bref-prefix refs/heads/\n001aref-prefix refs/tags/\n0000";
            let body = if is_list { body } else { "" };
            let response =
                self.gitea.router().oneshot(request.body(axum::body::Body::from(body)).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
            let kind = parts.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            let words: Vec<String> = body.split_inclusive([' ', '\n', '\0']).map(without_id).collect();
            told.push(format!("{} {kind:?} {:?}", parts.status, words.concat()));
        }
        told.join("; ")
    }

    /// Asks for a sync and lets it end.
    async fn synced(&self) -> u16 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let status = self.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await.0;
        tokio::time::sleep(Duration::from_secs(3)).await;
        status.as_u16()
    }
}

/// An object id becomes `ID`, git's version `GIT`.
fn without_id(word: &str) -> String {
    let end = word.trim_end_matches([' ', '\n', '\0']);
    let id = end
        .get(end.len().saturating_sub(40)..)
        .filter(|id| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    match (id, end.split_once("agent=git/")) {
        (Some(id), _) if id.bytes().any(|b| b != b'0') => word.replace(id, "ID"),
        // the length before it is that of another version
        (_, Some(_)) => "AGENT\n".to_owned(),
        _ => word.to_owned(),
    }
}

/// One profile of each kind of answer that concerns a folder or a redirect.
const KINDS: [Profile; 3] = [Profile::Gitea122, Profile::Gitea126, Profile::Forgejo11];

/// Plays a scene on both stores, and compares.
async fn both(profiles: &[Profile], scene: impl AsyncFn(&Stage, &mut Shown)) {
    for &profile in profiles {
        let mut told = Vec::new();
        for in_memory in [false, true] {
            // one after the other, so that the clocks of both begin at the same time
            let stage = if in_memory {
                Stage::in_memory(profile)
            } else {
                Stage::with_git_timeout(profile, Duration::from_secs(2))
            };
            let mut shown = Shown::new();
            scene(&stage, &mut shown).await;
            told.push(shown);
        }
        for (git, memory) in told[0].iter().zip(&told[1]) {
            assert_eq!(git, memory, "{}: git first, memory second", profile.name());
        }
        assert_eq!(told[0].len(), told[1].len());
    }
}

#[tokio::test(start_paused = true)]
async fn both_stores_follow_an_upstream_that_grows_moves_and_shrinks() {
    both(&KINDS, async |stage, shown| {
        let answer = stage.migrate("one").await;
        shown.push(format!("{} {}", answer.0, answer.1["default_branch"]));
        stage.note(shown, "migrated").await;
        for prune in [false, true] {
            stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": prune })).await;
            stage.upstream.commit("one", "main", 3);
            stage.upstream.force_push("one", "feature");
            stage.upstream.branch("one", "late", "main");
            stage.upstream.annotated_tag("one", "v2", "main", "two");
            stage.synced().await;
            stage.note(shown, "grown").await;
            stage.upstream.delete_ref("one", "refs/heads/late");
            stage.upstream.delete_ref("one", "refs/tags/v2");
            stage.upstream.orphan("one", "feature");
            stage.synced().await;
            stage.note(shown, "shrunken").await;
        }
        stage.upstream.branch("one", "trunk", "main");
        stage.upstream.set_head("one", "trunk");
        stage.synced().await;
        stage.note(shown, "renamed").await;
        let body = json!({ "default_branch": "trunk" });
        shown.push(stage.call("PATCH", "/api/v1/repos/acme/one", body).await.0.to_string());
        stage.note(shown, "followed").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_stores_believe_and_disbelieve_the_same_answers() {
    use UpstreamFault as F;
    let faults = [
        F::Empty200,
        F::OneLine200,
        F::EmptyPlain,
        F::Html,
        F::HtmlPage,
        F::EmptyV0,
        F::Drop,
        F::Status(401),
        F::Status(404),
        F::Status(503),
        F::Redirect,
        F::V0Only,
        F::Truncate(60),
        F::CutAfter(60),
    ];
    for fault in faults {
        let profiles = if matches!(fault, F::Redirect) { &KINDS[..] } else { &KINDS[1..2] };
        both(profiles, async |stage, shown| {
            stage.upstream.fault_for(Reader::Git, fault.clone());
            let answer = stage.migrate("one").await;
            shown.push(format!("{fault:?}: {} {}", answer.0, answer.1["empty"]));
            stage.note(shown, &format!("cloned {fault:?}")).await;
            stage.upstream.clear_faults();
            stage.call("DELETE", "/api/v1/repos/acme/one", Value::Null).await;
            shown.push(stage.migrate("one").await.0.to_string());
            for prune in [false, true] {
                stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": prune })).await;
                stage.upstream.commit("one", "main", 1);
                stage.upstream.fault_for(Reader::Git, fault.clone());
                stage.synced().await;
                stage.note(shown, &format!("synced {fault:?}, pruning {prune}")).await;
                stage.upstream.clear_faults();
                stage.synced().await;
                stage.note(shown, &format!("healed {fault:?}, pruning {prune}")).await;
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn both_stores_leave_out_a_ref_that_another_blocks_until_pruning_makes_room() {
    both(&KINDS, async |stage, shown| {
        stage.upstream.branch("one", "rel", "main");
        stage.migrate("one").await;
        stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": false })).await;
        stage.upstream.delete_ref("one", "refs/heads/rel");
        stage.upstream.branch("one", "rel/1", "main");
        stage.upstream.branch("one", "zeta", "main");
        stage.synced().await;
        stage.note(shown, "blocked").await;
        stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": true })).await;
        stage.synced().await;
        stage.note(shown, "room").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_stores_keep_a_legacy_repository_through_a_rename_and_tell_history_apart() {
    both(&KINDS, async |stage, shown| {
        stage.gitea.add_repository("acme", "one");
        stage.note(shown, "legacy").await;
        stage.gitea.commit("acme", "one", "work", "mine");
        stage.note(shown, "worked on").await;
        let renamed = stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "name": "one-legacy" })).await;
        shown.push(format!("{} {}", renamed.0, stage.gitea.heads_and_tags("acme", "one-legacy").len()));
        shown.push(stage.migrate("one").await.0.to_string());
        stage.note(shown, "beside").await;
        let old = stage.upstream.resolve("one", "main").unwrap();
        let next = stage.upstream.commit("one", "main", 2);
        stage.synced().await;
        let rewritten = stage.upstream.orphan("one", "main");
        stage.synced().await;
        for (a, b) in [(&next, &old), (&old, &next), (&rewritten, &next)] {
            let (status, body) = stage.get(&format!("/api/v1/repos/acme/one/compare/{a}...{b}")).await;
            shown.push(format!("{status} {}", body["total_commits"]));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_stores_clone_an_upstream_without_a_commit() {
    both(&KINDS, async |stage, shown| {
        for branch in stage.upstream.heads_and_tags("one").into_keys() {
            stage.upstream.delete_ref("one", &branch);
        }
        stage.upstream.delete_ref("one", "refs/pull/1/head");
        let answer = stage.migrate("one").await;
        shown.push(format!("{} {}", answer.0, answer.1["empty"]));
        stage.note(shown, "empty").await;
        stage.upstream.commit("one", "main", 1);
        stage.synced().await;
        stage.note(shown, "begun").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_clone_in_memory_that_hangs_is_ended_by_the_clock_of_the_test() {
    let stage = Stage::in_memory(Profile::Gitea126);
    stage.upstream.fault(UpstreamFault::Hang);
    let began = tokio::time::Instant::now();
    assert_eq!(stage.migrate("one").await.0, 500);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}
