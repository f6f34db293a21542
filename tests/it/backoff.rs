//! How long a run waits: no pause outlasts it, a new request looks at Gitea again at once, and a pause that upstream asks
//! for is kept, also by Gitea.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{CallKind, Fault, Reader, UpstreamFault};
use tokio::time::{Instant, sleep};

use crate::world::{World, story};

const MIGRATE: &str = "POST /api/v1/repos/migrate";
const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An answer of a proxy that asks to be left alone: for seconds, or until a date.
fn busy(retry_after: &str) -> Fault {
    Fault::Response { status: 503, headers: vec![("retry-after", retry_after.to_owned())], body: String::new() }
}

/// Upstream's answer to a caller that asks too much.
fn limited(retry_after: &str) -> UpstreamFault {
    UpstreamFault::Response(429, vec![("retry-after", retry_after.to_owned())])
}

/// How often Gitea was asked for the repository, and when the last time was, since `began`.
fn looks(world: &World, began: std::time::SystemTime) -> (usize, Duration) {
    let calls = world.gitea().calls();
    let looks: Vec<_> = calls.iter().filter(|call| call.path == "/api/v1/repos/openova/one").collect();
    (looks.len(), looks.last().map(|call| call.at.duration_since(began).unwrap()).unwrap_or_default())
}

/// How often the service has asked upstream.
fn reads(world: &World) -> usize {
    world.upstream.calls().iter().filter(|call| call.path.contains("/info/refs")).count()
}

fn now(world: &World) -> std::time::SystemTime {
    use cutover_api::clock::Clock as _;
    world.clock.now().into()
}

#[test]
fn no_pause_that_gitea_asks_for_outlasts_the_run_and_a_last_look_comes_before_its_end() {
    for asked in ["300", "7200", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        story(async |mut world| {
            world.gitea().fault(CallKind::GetRepository, busy(asked));
            let yaml = world.yaml() + "limits: { run: 1m }\n";
            world.start_with(&yaml).await;
            let (began, wall) = (Instant::now(), now(&world));
            let problem = world.expect_failure("gitea-error").await;
            assert!((secs(60)..secs(62)).contains(&began.elapsed()), "{asked}: {:?}", began.elapsed());
            let (count, last) = looks(&world, wall);
            assert!((2..10).contains(&count) && (secs(57)..secs(60)).contains(&last), "{asked}: {count} {last:?}");
            assert_eq!(problem["retryable"], true, "{problem:#}");
        });
    }
}

#[test]
fn a_gitea_that_is_back_just_before_the_deadline_is_seen() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.crash();
        world.gitea().fault(CallKind::Any, busy("300"));
        let yaml = world.yaml() + "limits: { run: 1m }\n";
        world.start_with(&yaml).await;
        let id = world.ask().await;
        sleep(secs(56)).await;
        world.gitea().clear_faults();
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], "noop");
    });
}

#[test]
fn a_pause_in_the_past_or_of_no_meaning_is_none() {
    for asked in ["0", "-1", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        story(async |mut world| {
            world.gitea().fault_once(CallKind::GetRepository, busy(asked));
            world.upstream.fault_once(Reader::Everyone, limited(asked));
            world.start().await;
            let began = Instant::now();
            world.expect("created").await;
            assert!(began.elapsed() < secs(8), "{asked}: {:?}", began.elapsed());
        });
    }
}

#[test]
fn a_mode_too_waits_for_gitea_no_longer_than_a_run_may_take() {
    story(async |mut world| {
        let yaml = world.yaml() + "limits: { run: 1m }\n";
        world.start_with(&yaml).await;
        world.expect("created").await;
        world.gitea().fault(CallKind::GetRepository, busy("300"));
        world.gitea().clear_calls();
        let wall = now(&world);
        world.put_mode("one", &json!({ "mode": "pinned" })).await;
        sleep(secs(61)).await;
        let status = world.get("/status/one").await.json();
        assert_eq!(status["phase"], "idle", "{status:#}");
        let (count, last) = looks(&world, wall);
        assert!(count >= 2 && last >= secs(57), "{count} {last:?}");
    });
}

#[test]
fn a_new_request_is_answered_by_a_new_look_at_gitea() {
    story(async |mut world| {
        world.gitea().fault(CallKind::GetRepository, busy("300"));
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        sleep(secs(60)).await;
        world.gitea().clear_faults();
        let began = Instant::now();
        assert_eq!(world.ask().await, id, "it joins");
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], "created");
        assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    });
}

#[test]
fn a_request_with_a_run_of_its_own_and_a_webhook_hurry_the_work_that_they_join() {
    story(async |mut world| {
        world.two().await;
        world.gitea().fault(CallKind::GetRepository, busy("300"));
        let first = world.post(&json!({ "mirrors": ["one"] })).await.json()["id"].as_str().unwrap().to_owned();
        world.until_phase(&first, "connecting").await;
        sleep(secs(60)).await;
        world.gitea().clear_faults();
        let began = Instant::now();
        let second = world.ask().await;
        assert_ne!(first, second);
        assert_eq!(world.end_of(&second).await["status"], "succeeded");
        assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    });
    story(async |mut world| {
        world.start_hooked().await;
        world.gitea().fault(CallKind::GetRepository, busy("300"));
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        sleep(secs(60)).await;
        world.gitea().clear_faults();
        let began = Instant::now();
        let body = json!({ "ref": "refs/heads/main", "repository": { "full_name": "one" } }).to_string();
        let headers = crate::hooks::github(&body);
        assert_eq!(world.hook(&headers, body).await.status, 202);
        assert_eq!(world.end_of(&id).await["status"], "succeeded");
        assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    });
}

#[test]
fn requests_without_a_pause_ask_gitea_once_in_ten_seconds() {
    story(async |mut world| {
        world.gitea().fault(CallKind::GetRepository, busy("300"));
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        sleep(secs(1)).await;
        world.gitea().clear_calls();
        let wall = now(&world);
        for _ in 0..400 {
            world.ask().await;
            sleep(Duration::from_millis(100)).await;
        }
        let (count, _) = looks(&world, wall);
        assert!((4..=5).contains(&count), "{count} looks in 40 s");
    });
}

#[test]
fn no_request_cuts_a_pause_short_that_upstream_asks_for() {
    story(async |mut world| {
        world.start().await;
        world.upstream.fault(limited("40"));
        let id = world.ask().await;
        world.until_phase(&id, "inspecting").await;
        sleep(secs(1)).await;
        world.upstream.clear_faults();
        let asked = reads(&world);
        for _ in 0..35 {
            world.ask().await;
            sleep(secs(1)).await;
        }
        assert_eq!(reads(&world), asked);
        assert_eq!(world.end_of(&id).await["status"], "succeeded");
    });
}

/// What certainly is not Gitea, or cannot be trusted to be, and how it is told.
fn certainly_wrong() -> Vec<(Fault, &'static str)> {
    let redirect = ("location", "https://login.example.org/".to_owned());
    vec![
        (Fault::Unreached(standin::Unreached::NoTls), "gitea-tls"),
        (Fault::Html, "not-gitea"),
        (Fault::Status(200, "application/json", "{}".into()), "not-gitea"),
        (Fault::Status(404, "application/json", r#"{"message":"no Route matched"}"#.into()), "not-gitea"),
        (Fault::Response { status: 302, headers: vec![redirect], body: String::new() }, "not-gitea"),
    ]
}

#[test]
fn what_is_certainly_not_gitea_is_believed_after_two_minutes_and_may_be_asked_again() {
    for (fault, code) in certainly_wrong() {
        story(async |mut world| {
            world.gitea().fault(CallKind::Any, fault);
            world.start().await;
            let began = Instant::now();
            let problem = world.expect_failure(code).await;
            assert!((secs(120)..secs(152)).contains(&began.elapsed()), "{:?}", began.elapsed());
            assert_eq!(problem["retryable"], true, "{problem:#}");
            assert_eq!(world.changes(), Vec::<String>::new());
        });
    }
}

#[test]
fn anything_else_in_between_begins_the_two_minutes_anew() {
    for (fault, code) in certainly_wrong() {
        story(async |mut world| {
            world.gitea().fault(CallKind::Any, fault.clone());
            world.start().await;
            let began = Instant::now();
            let id = world.ask().await;
            sleep(secs(80)).await;
            world.gitea().clear_faults();
            world.gitea().fault(CallKind::Any, Fault::CutBefore);
            sleep(secs(35)).await;
            world.gitea().clear_faults();
            world.gitea().fault(CallKind::Any, fault);
            let run = world.end_of(&id).await;
            assert_eq!(run["mirrors"][0]["problem"]["error"], code, "{run:#}");
            assert!((secs(230)..secs(300)).contains(&began.elapsed()), "{:?}", began.elapsed());
        });
    }
}

#[test]
fn what_may_be_a_gitea_on_its_way_up_is_waited_for_as_long_as_a_run_may_take() {
    for fault in [
        Fault::Response {
            status: 404,
            headers: vec![("content-type", "text/html".into()), ("refresh", "1; url=/".into())],
            body: "<html>Installation</html>".into(),
        },
        Fault::Status(404, "text/html", "<html>default backend - 404</html>".into()),
        Fault::Status(404, "text/plain", "404 page not found\n".into()),
        Fault::Status(403, "text/html", "<html>403 Forbidden</html>".into()),
        Fault::Status(502, "text/html", "<html>Bad Gateway</html>".into()),
        Fault::Status(500, "application/json", r#"{"message":"no"}"#.into()),
    ] {
        story(async |mut world| {
            world.gitea().fault(CallKind::Any, fault);
            world.start().await;
            let id = world.ask().await;
            sleep(secs(10 * 60)).await;
            let run = world.run_now(&id).await;
            assert_eq!(run["mirrors"][0]["phase"], "connecting", "{run:#}");
            world.gitea().clear_faults();
            assert_eq!(world.end_of(&id).await["status"], "succeeded");
        });
    }
}

#[test]
fn a_gitea_that_has_answered_in_this_run_is_waited_for_whatever_stands_in_its_place() {
    for (fault, _) in certainly_wrong() {
        story(async |mut world| {
            world.gitea().set_migrate_delay(secs(30));
            world.start().await;
            let id = world.ask().await;
            world.until_phase(&id, "migrating").await;
            world.gitea().fault(CallKind::Any, fault);
            sleep(secs(10 * 60)).await;
            let run = world.run_now(&id).await;
            assert_eq!(run["mirrors"][0]["phase"], "connecting", "{run:#}");
            world.gitea().clear_faults();
            assert_eq!(world.end_of(&id).await["status"], "succeeded");
        });
    }
}

#[test]
fn gitea_is_not_sent_to_an_upstream_that_asks_to_be_left_alone() {
    story(async |mut world| {
        world.start().await;
        // longer than the minute for which an upstream is tried
        world.upstream.fault(limited("300"));
        let (began, id) = (Instant::now(), world.ask().await);
        sleep(secs(1)).await;
        world.upstream.clear_faults();
        let asked = reads(&world);
        sleep(secs(298)).await;
        assert_eq!((world.count(MIGRATE), reads(&world)), (0, asked));
        let status = world.get("/status/one").await.json();
        assert_eq!(status["waitingFor"]["error"], "upstream-unreachable", "{status:#}");
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], "created");
        assert!(began.elapsed() < secs(350), "{:?}", began.elapsed());
    });
}

#[test]
fn a_pause_that_upstream_asks_for_beyond_the_end_of_the_run_ends_it_and_says_until_when() {
    for (asked, until) in [("3000", secs(3_000)), ("99999999999999999999", secs(3_600)), ("31536000", secs(3_600))] {
        story(async |mut world| {
            world.start().await;
            world.upstream.fault(limited(asked));
            let until = world.clock_in(until);
            let began = Instant::now();
            let problem = world.expect_failure("upstream-unreachable").await;
            assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
            assert!(problem["detail"].as_str().unwrap().contains(&until), "{until}: {problem:#}");
            assert_eq!(problem["retryable"], true);
            assert_eq!(world.count(MIGRATE), 0);
        });
    }
}

#[test]
fn a_mirror_beside_an_upstream_that_asks_to_be_left_alone_is_not_synced_and_stays_unverified() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().clear_calls();
        world.upstream.fault(limited("3000"));
        let began = Instant::now();
        let run = world.run().await;
        assert_eq!(run["status"], "unverified", "{run:#}");
        assert_eq!(run["mirrors"][0]["problem"]["error"], "upstream-unreachable");
        assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
        assert_eq!(world.changes(), Vec::<String>::new());
    });
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().clear_calls();
        world.upstream.commit("one", "main", 1);
        world.upstream.fault(limited("300"));
        let id = world.ask().await;
        sleep(secs(1)).await;
        world.upstream.clear_faults();
        sleep(secs(298)).await;
        assert_eq!(world.count(SYNC), 0);
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], "synced");
    });
}

/// Two mirrors that are behind, on one host; upstream limits the first of them.
async fn behind_on_one_host(world: &mut World) {
    world.two().await;
    assert_eq!(world.run().await["status"], "succeeded");
    world.upstream.commit("two", "main", 1);
    world.upstream.fault_at("one", Reader::Service, limited("300"));
    world.gitea().clear_calls();
    world.post(&json!({ "mirrors": ["one"] })).await;
    sleep(secs(1)).await;
    world.upstream.clear_faults();
}

#[test]
fn no_run_on_another_mirror_of_that_host_sends_gitea_there_either() {
    let sync = "POST /api/v1/repos/openova/two/mirror-sync";
    story(async |mut world| {
        behind_on_one_host(&mut world).await;
        let id = world.post(&json!({ "mirrors": ["two"] })).await.json()["id"].as_str().unwrap().to_owned();
        sleep(secs(297)).await;
        assert_eq!(world.count(sync), 0);
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], "synced");
    });
    // a resync that nobody has asked for is a run like any other
    story(async |mut world| {
        behind_on_one_host(&mut world).await;
        for _ in 0..290 {
            world.get("/status").await;
            sleep(secs(1)).await;
        }
        assert_eq!(world.count(sync), 0);
    });
}

#[test]
fn a_mirror_on_a_host_that_another_was_refused_by_is_proven_by_looks_alone() {
    story(async |mut world| {
        world.two().await;
        assert_eq!(world.run().await["status"], "succeeded");
        world.upstream.fault_at("one", Reader::Service, limited("300"));
        world.post(&json!({ "mirrors": ["one"] })).await;
        sleep(secs(1)).await;
        let began = Instant::now();
        let id = world.post(&json!({ "mirrors": ["two"] })).await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(world.end_of(&id).await["mirrors"][0]["outcome"], Value::from("noop"));
        assert!(began.elapsed() < secs(5));
    });
}
