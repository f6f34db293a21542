//! Which webhooks are accepted, what they start, and what each answer says.

use std::net::IpAddr;

use axum::body::Body;
use cutover_api::api::Peer;
use http::{Method, Request, header};
use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};

use super::{Headers, NEXT, SECRET, SYNC, delivery, github, hex, hook_request, push};
use crate::world::{OPERATOR, World, story};

#[test]
fn a_push_is_synced_and_proven_by_the_run_that_the_answer_names() {
    story(async |mut world| {
        world.start_hooked().await;
        let commit = world.upstream.commit("one", "main", 1);
        let body = push(&commit);
        let answer = world.hook(&github(&body), body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let said = answer.json();
        let run = said["run"].as_str().unwrap();
        assert_eq!(said, json!({ "matched": ["one"], "reason": null, "run": run, "coalesced": false }));
        assert_eq!(answer.headers[header::LOCATION], format!("/cutover/runs/{run}"));
        assert_eq!(answer.headers[header::RETRY_AFTER], "2");
        let run = world.end_of(run).await;
        assert_eq!(
            (&run["status"], &run["trigger"], &run["requestedBy"]),
            (&"succeeded".into(), &"webhook".into(), &"github".into())
        );
        assert_eq!(run["mirrors"][0]["outcome"], "synced");
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit);
        world.assert_same_refs();
        assert_eq!(world.count(SYNC), 1);
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_webhooks_total{result=\"started\",vendor=\"github\"} 1"), "{metrics}");
    });
}

#[test]
fn each_forge_and_anything_that_can_sign_is_heard_under_its_name() {
    story(async |mut world| {
        world.start_hooked().await;
        let standard = |body: &str| {
            let now = "1795440861";
            let content = format!("msg_1.{now}.{body}");
            let digest = super::hmac(SECRET.as_bytes(), content.as_bytes());
            let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
            vec![
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", now.to_owned()),
                ("webhook-signature", format!("v1,{signature}")),
            ]
        };
        let plain = |body: &str| hex(SECRET, body.as_bytes());
        let hub = |body: &str| format!("sha256={}", plain(body));
        let cases: Vec<(&str, Headers, &str)> = vec![
            ("gitea", vec![("x-gitea-event", "push".into()), ("x-gitea-signature", plain("{}"))], "{}"),
            ("gitea", vec![("x-gitea-event", "push".into()), ("x-hub-signature-256", hub("{}"))], "{}"),
            ("forgejo", vec![("x-forgejo-event", "push".into()), ("x-forgejo-signature", plain("{}"))], "{}"),
            ("gitlab", vec![("x-gitlab-event", "Push Hook".into()), ("x-gitlab-token", SECRET.into())], "{}"),
            ("gitlab", [vec![("x-gitlab-event", "Tag Push Hook".into())], standard("{}")].concat(), "{}"),
            ("generic", vec![("x-cutover-signature", hub(""))], ""),
            ("generic", vec![("x-cutover-signature", hub("{\"ref\": \"main\"}"))], "{\"ref\": \"main\"}"),
        ];
        for (vendor, headers, body) in cases {
            let answer = world.hook(&headers, body).await;
            assert_eq!(answer.status, 202, "{vendor}: {answer:?}");
            let run = world.end_of(answer.json()["run"].as_str().unwrap()).await;
            assert_eq!((&run["requestedBy"], &run["status"]), (&vendor.into(), &"succeeded".into()));
        }
        let answer = world.hook(&standard("{}"), "{}").await;
        assert_eq!(answer.json()["reason"], "duplicate", "the id of a generic sender counts as well");
    });
}

/// What an answer to a signed delivery says, which leads to nothing.
async fn ignored(world: &World, headers: &[(&'static str, String)], body: &str) -> Value {
    let answer = world.hook(headers, body.to_owned()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!((&said["matched"], &said["coalesced"]), (&json!([]), &json!(false)), "{said}");
    said["reason"].clone()
}

#[test]
fn what_is_no_push_to_this_repository_is_answered_with_the_reason_and_begins_nothing() {
    story(async |mut world| {
        world.start_hooked().await;
        let runs = world.runs().await.len();
        for (event, body, reason) in [
            ("ping", "{\"zen\":\"Design for failure.\",\"hook_id\":1}", "ping"),
            ("issues", "{}", "event"),
            ("push", "{\"ref\":\"refs/heads/main\",\"repository\":{\"full_name\":\"somebody/else\"}}", "repository"),
            ("push", "{\"ref\":\"refs/pull/1/head\"}", "ref"),
            ("push", "{\"ref\":\"refs/heads/main\",\"before\":\"a\",\"after\":\"a\"}", "test"),
        ] {
            let mut headers = github(body);
            headers[0].1 = event.into();
            assert_eq!(ignored(&world, &headers, body).await, reason, "{event}");
        }
        assert_eq!(world.runs().await.len(), runs);
        assert!(world.changes().is_empty());
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_webhooks_total{result=\"ignored\",vendor=\"github\"} 5"), "{metrics}");
    });
}

#[test]
fn no_address_of_a_payload_is_ever_opened() {
    story(async |mut world| {
        world.start_hooked().await;
        world.upstream.clear_calls();
        let elsewhere = "http://169.254.169.254/latest";
        let body = json!({
            "ref": "refs/heads/main", "compare": elsewhere,
            "repository": { "full_name": "one", "clone_url": elsewhere, "url": elsewhere, "git_url": elsewhere },
        });
        let run = world.pushed(&body.to_string()).await;
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
        for call in world.upstream.calls() {
            assert!(call.path.starts_with("/one.git/"), "{call:?}");
        }
    });
}

#[test]
fn a_bad_signature_is_refused_with_one_answer_for_every_reason() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = push("x");
        let (right, wrong) = (hex(SECRET, body.as_bytes()), hex(NEXT, body.as_bytes()));
        let mut details = Vec::new();
        for headers in [
            vec![],
            vec![("x-hub-signature-256", format!("sha256={wrong}"))],
            vec![("x-hub-signature-256", format!("sha1={right}"))],
            vec![("x-hub-signature-256", format!("sha256={}", right.to_uppercase()))],
            vec![("x-hub-signature-256", String::new())],
            vec![
                ("x-hub-signature-256", format!("sha256={right}")),
                ("x-hub-signature-256", format!("sha256={right}")),
            ],
            vec![("x-gitlab-token", "guessed".into())],
            vec![("authorization", format!("Bearer {OPERATOR}"))],
        ] {
            let answer = world.hook(&headers, body.clone()).await;
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (401, "signature-invalid"), "{headers:?}");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Signature");
            details.push(answer.json()["detail"].clone());
        }
        details.dedup();
        assert_eq!(details.len(), 1, "{details:?}");
        let other = world.hook(&github(&body), format!("{body} ")).await;
        assert_eq!(other.problem(), "signature-invalid", "the body was changed on the way");
        assert!(world.changes().is_empty());
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_auth_failures_total{reason=\"missing\"} 2"), "{metrics}");
        assert!(metrics.contains("cutover_webhooks_total{result=\"refused\",vendor=\"gitlab\"} 1"), "{metrics}");
    });
}

#[test]
fn a_peer_that_guesses_is_slowed_down_and_its_good_deliveries_are_not() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = push("x");
        let send = async |signature: String| {
            let peer = Peer(IpAddr::from([10, 0, 0, 1]));
            let request = hook_request("/hooks/one", &[("x-hub-signature-256", signature)]).extension(peer);
            world.send(request.body(Body::from(body.clone())).unwrap()).await
        };
        for _ in 0..10 {
            assert_eq!(send("sha256=0".into()).await.status, 401);
        }
        let answer = send("sha256=0".into()).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem()), (429, "rate-limited"));
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        assert_eq!(send(format!("sha256={}", hex(SECRET, body.as_bytes()))).await.status, 202);
    });
}

#[test]
fn two_secrets_are_good_at_once_and_each_is_read_again_at_each_delivery() {
    story(async |mut world| {
        world.start_hooked().await;
        let signed = |secret: &str| vec![("x-hub-signature-256", format!("sha256={}", hex(secret, b"{}")))];
        assert_eq!(world.hook(&signed(NEXT), "{}").await.status, 401);
        std::fs::write(world.path("webhook-next"), NEXT).unwrap();
        for secret in [SECRET, NEXT] {
            assert_eq!(world.hook(&signed(secret), "{}").await.status, 202);
        }
        std::fs::remove_file(world.path("webhook")).unwrap();
        assert_eq!(world.hook(&signed(SECRET), "{}").await.status, 401);
        assert_eq!(world.hook(&signed(NEXT), "{}").await.status, 202);
        std::fs::write(world.path("webhook-next"), "too short").unwrap();
        let answer = world.hook(&signed("too short"), "{}").await;
        assert_eq!((answer.status.as_u16(), &*answer.problem()), (503, "webhook-secret"));
        assert!(!answer.text.contains(&world.path("webhook-next").display().to_string()), "{answer:?}");
    });
}

#[test]
fn a_mirror_that_takes_no_webhooks_or_does_not_exist_is_told_as_such() {
    story(async |mut world| {
        world.start().await;
        for (path, detail) in [
            ("/hooks/one", "the mirror one takes no webhooks"),
            ("/hooks/two", "no mirror of this name is configured"),
            ("/hooks/%ff", "no mirror of this name is configured"),
            ("/hooks/%2e%2e", "no mirror of this name is configured"),
            ("/hooks/on%C3%AB", "no mirror of this name is configured"),
            ("/hooks/one%2F..%2Fone", "no mirror of this name is configured"),
            ("/hooks/ONE", "no mirror of this name is configured"),
            ("/hooks/one/", "this service has no such path"),
            ("/hooks/", "this service has no such path"),
            ("/hooks/one/two", "this service has no such path"),
        ] {
            let request = hook_request(path, &github("{}")).body(Body::from("{}")).unwrap();
            let answer = world.send(request).await;
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (404, "not-found"), "{path}");
            assert_eq!(answer.json()["detail"], detail, "{path}");
        }
        world.crash();
        world.start_listening().await;
        let request = hook_request("/hooks/%6Fne", &github("{}")).body(Body::from("{}")).unwrap();
        assert_eq!(world.send(request).await.status, 202, "another spelling of the same path");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
            let request = Request::builder().method(&method).uri("/hooks/one").header(header::HOST, "localhost");
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.headers[header::ALLOW]),
                (405, &"POST,OPTIONS".parse().unwrap())
            );
        }
    });
}

#[test]
fn a_delivery_that_came_before_is_not_acted_on_again_also_after_a_restart() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = push("x");
        let first = world.hook(&delivery("d1", &body), body.clone()).await.json();
        for _ in 0..2 {
            let answer = world.hook(&delivery("d1", &body), body.clone()).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.json(),
                json!({ "matched": [], "reason": "duplicate", "run": first["run"], "coalesced": false })
            );
            world.end_of(first["run"].as_str().unwrap()).await;
        }
        world.crash();
        world.start_listening().await;
        assert_eq!(ignored(&world, &delivery("d1", &body), &body).await, "duplicate");
        let answer = world.hook(&delivery("d2", &body), body.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["coalesced"]), (202, &json!(false)));
        // without a name nothing tells one from another
        assert_eq!(world.hook(&github(&body), body.clone()).await.status, 202);
        assert_eq!(world.hook(&github(&body), body).await.status, 202);
    });
}

#[test]
fn a_delivery_whose_run_came_to_nothing_is_acted_on_when_it_is_sent_again() {
    story(async |mut world| {
        world.start_hooked().await;
        let commit = world.upstream.commit("one", "main", 1);
        let body = push(&commit);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        let first = world.hook(&delivery("d1", &body), body.clone()).await.json();
        assert_eq!(world.end_of(first["run"].as_str().unwrap()).await["status"], "failed");
        world.upstream.clear_faults();
        let again = world.hook(&delivery("d1", &body), body.clone()).await;
        assert_eq!(again.status, 202, "{again:?}");
        let run = again.json()["run"].as_str().unwrap().to_owned();
        assert_ne!(run, first["run"].as_str().unwrap());
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
        assert_eq!(ignored(&world, &delivery("d1", &body), &body).await, "duplicate");
        world.assert_same_refs();
    });
}

#[test]
fn a_webhook_does_not_ask_for_a_token_and_a_token_does_not_stand_in_for_a_signature() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = push("x");
        let mut headers = github(&body);
        headers.push(("authorization", "Bearer nonsense".into()));
        assert_eq!(world.hook(&headers, body).await.status, 202);
        let request = World::request(Method::POST, "/hooks/one").header(header::CONTENT_TYPE, "application/json");
        assert_eq!(world.send(request.body(Body::from("{}")).unwrap()).await.status, 401);
    });
}
