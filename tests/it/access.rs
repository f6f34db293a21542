//! Authentication and roles over HTTP, and what a refusal reveals.

use std::time::Duration;

use axum::body::Body;
use cutover_api::api::Peer;
use http::{Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::time::advance;

use crate::world::{Answer, OPERATOR, VIEWER, World, story};

async fn with(world: &World, method: Method, path: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_viewer_reads_and_an_operator_also_runs() {
    story(async |mut world| {
        world.start().await;
        for path in ["/status", "/status/one", "/cutover/runs"] {
            assert_eq!(with(&world, Method::GET, path, Some(&bearer(VIEWER))).await.status, StatusCode::OK, "{path}");
        }
        let refused = with(&world, Method::POST, "/cutover/mirror", Some(&bearer(VIEWER))).await;
        assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
        let accepted = with(&world, Method::POST, "/cutover/mirror", Some(&bearer(OPERATOR))).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED);
        assert_eq!(accepted.json()["requestedBy"], "ops");
    });
}

#[test]
fn whatever_is_no_valid_token_gets_the_same_401() {
    story(async |mut world| {
        world.start().await;
        let almost = &OPERATOR[..OPERATOR.len() - 1];
        let long = "x".repeat(8_192);
        let mut bodies = Vec::new();
        for value in [
            None,
            Some("Basic b3BzOng=".to_owned()),
            Some("Bearer".to_owned()),
            Some("Bearer ".to_owned()),
            Some("Bearer a b".to_owned()),
            Some(bearer(almost)),
            Some(bearer(&OPERATOR.to_uppercase())),
            Some(bearer(&long)),
        ] {
            let answer = with(&world, Method::GET, "/status", value.as_deref()).await;
            assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
            assert!(answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
            let mut body = answer.json();
            body["requestId"] = serde_json::Value::Null;
            bodies.push(body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "a refusal says nothing about its reason: {bodies:#?}");
        let query = format!("/status?access_token={OPERATOR}");
        assert_eq!(with(&world, Method::GET, &query, None).await.status, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn what_is_open_is_open_and_everything_else_is_not_rows_13_and_49() {
    story(async |mut world| {
        world.start_listening().await;
        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/problems/not-a-mirror"] {
            assert_eq!(with(&world, Method::GET, path, None).await.status, StatusCode::OK, "{path}");
        }
        // every route of the specification asks for a token, or a webhook's for a signature, unless it is one of those
        let specification = with(&world, Method::GET, "/openapi.json", None).await.json();
        for (path, operations) in specification["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                if operation["security"].as_array().is_some_and(Vec::is_empty) || !operation["operationId"].is_string()
                {
                    continue;
                }
                let path = path.replace("{id}", "01a20929-7e8f-7e29-b937-42f47070b35d").replace("{name}", "one");
                let path = path.replace("{mirror}", "one");
                let open = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/problems", "/docs"];
                if open.iter().any(|prefix| path.starts_with(prefix)) {
                    continue;
                }
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let answer = with(&world, method.clone(), &path, None).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            }
        }
    });
}

#[test]
fn tokens_are_read_anew_and_may_be_kept_as_digests() {
    story(async |mut world| {
        world.start().await;
        let digest = format!("{:x}", Sha256::digest("a-second-operator-token"));
        let tokens = format!("# two at once\noperator ops {OPERATOR}\noperator second sha256:{digest}\n");
        std::fs::write(world.path("tokens"), tokens).unwrap();
        for token in [OPERATOR, "a-second-operator-token"] {
            assert_eq!(with(&world, Method::GET, "/status", Some(&bearer(token))).await.status, StatusCode::OK);
        }
        for token in [VIEWER, digest.as_str(), &format!("sha256:{digest}")] {
            let answer = with(&world, Method::GET, "/status", Some(&bearer(token))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
        std::fs::write(world.path("tokens"), "").unwrap();
        let answer = with(&world, Method::GET, "/status", Some(&bearer(OPERATOR))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "an emptied file lets nobody in");
        std::fs::remove_file(world.path("tokens")).unwrap();
        let answer = with(&world, Method::GET, "/status", Some(&bearer(OPERATOR))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "nor does a missing one");
    });
}

#[test]
fn a_tokens_file_that_cannot_be_read_is_an_outage_and_no_callers_fault() {
    story(async |mut world| {
        world.start().await;
        // as the listener does it: failed attempts are counted by address
        let ask = async |world: &World, token: &str| {
            let mut request = Request::builder().uri("/status").header(header::HOST, "localhost");
            request = request.header(header::AUTHORIZATION, bearer(token));
            let request = request.extension(Peer([192, 0, 2, 1].into())).body(Body::empty()).unwrap();
            world.send(request).await
        };
        let ready = async |world: &World| with(world, Method::GET, "/readyz", None).await;
        assert_eq!(ask(&world, VIEWER).await.status, StatusCode::OK);
        let tokens = std::fs::read(world.path("tokens")).unwrap();
        std::fs::remove_file(world.path("tokens")).unwrap();
        advance(Duration::from_secs(4)).await;
        assert_eq!(ask(&world, VIEWER).await.status, StatusCode::OK, "a replacement may be under way");
        assert_eq!(ready(&world).await.status, StatusCode::OK);
        advance(Duration::from_secs(5)).await;
        for token in std::iter::repeat_n("an-unknown-token", 30).chain([VIEWER]) {
            let refused = ask(&world, token).await;
            assert_eq!(
                (refused.status, refused.problem().as_str()),
                (StatusCode::SERVICE_UNAVAILABLE, "tokens-unreadable")
            );
            assert_eq!(
                (&refused.json()["retryable"], &refused.headers[header::RETRY_AFTER]),
                (&true.into(), &"5".parse().unwrap())
            );
            assert!(!refused.text.contains(world.path("tokens").to_str().unwrap()), "{}", refused.text);
        }
        assert_eq!(ready(&world).await.problem(), "tokens-unreadable");
        // without a token there is nothing to judge
        assert_eq!(with(&world, Method::GET, "/status", None).await.problem(), "unauthenticated");
        assert_eq!(with(&world, Method::GET, "/healthz", None).await.status, StatusCode::OK);

        std::fs::write(world.path("tokens"), &tokens).unwrap();
        assert_eq!(ask(&world, VIEWER).await.status, StatusCode::OK, "what can be read counts at once");
        assert_eq!(ready(&world).await.status, StatusCode::OK);
        let unknown = ask(&world, "an-unknown-token").await;
        assert_eq!(unknown.problem(), "unauthenticated", "none of the calls before was counted");
        std::fs::write(world.path("tokens"), "").unwrap();
        assert_eq!(ask(&world, VIEWER).await.problem(), "unauthenticated", "also when it is empty");
        assert_eq!(ready(&world).await.status, StatusCode::OK);
    });
}

#[test]
fn many_clients_behind_one_address_share_failures_but_no_good_token_is_refused_for_them() {
    story(async |mut world| {
        world.start().await;
        let ask = async |world: &World, method: Method, token: &str| {
            let path = if method == Method::GET { "/status" } else { "/cutover/mirror" };
            let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
            request = request.header(header::AUTHORIZATION, bearer(token)).header("x-forwarded-for", "198.51.100.7");
            world.send(request.extension(Peer([192, 0, 2, 1].into())).body(Body::empty()).unwrap()).await
        };
        for attempt in 0..40 {
            let refused = ask(&world, Method::GET, "a-bad-neighbours-token").await;
            let expected = if attempt < 10 { "unauthenticated" } else { "rate-limited" };
            assert_eq!(refused.problem(), expected, "{attempt}");
            assert_eq!(ask(&world, Method::GET, VIEWER).await.status, StatusCode::OK, "{attempt}");
        }
        assert_eq!(ask(&world, Method::POST, OPERATOR).await.status, StatusCode::ACCEPTED);
    });
}

#[test]
fn every_answer_carries_a_request_id_and_the_security_headers() {
    story(async |mut world| {
        world.start().await;
        for (path, authorization) in [
            ("/status", Some(bearer(VIEWER))),
            ("/status", None),
            ("/nowhere", None),
            ("/healthz", None),
            ("/metrics", None),
        ] {
            let answer = with(&world, Method::GET, path, authorization.as_deref()).await;
            for name in [
                "x-request-id",
                "cache-control",
                "x-content-type-options",
                "referrer-policy",
                "content-security-policy",
            ] {
                assert!(answer.headers.contains_key(name), "{path} without {name}: {:?}", answer.headers);
            }
            if answer.status.is_client_error() {
                assert_eq!(answer.json()["requestId"].as_str(), answer.headers["x-request-id"].to_str().ok(), "{path}");
            }
        }
    });
}
