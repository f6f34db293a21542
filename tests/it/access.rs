//! Who may do what, over HTTP: tokens, roles, and what a refusal gives away.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};

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
