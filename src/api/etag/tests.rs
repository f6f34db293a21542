use std::convert::Infallible;
use std::io::Read as _;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use flate2::read::GzDecoder;
use futures_util::stream;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::api::compression;

const LONG: usize = 5_000;

/// Asks a service with a tagged route of a long body, one of a short one, and others without a tag.
async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let json = [("content-type", "application/json")];
    let routes = Router::new()
        .route("/status", get(move || async move { (json, "x".repeat(LONG)).into_response() }))
        .route("/status/{name}", get(move || async move { (json, "short").into_response() }))
        .route("/other", get(|| async { "y".repeat(LONG) }))
        .route(
            "/stream",
            get(|| async {
                let events = stream::iter([Ok::<_, Infallible>("data: 1")]);
                ([("content-type", "text/event-stream")], Body::from_stream(events))
            }),
        )
        .route("/image", get(|| async { ([("content-type", "image/png")], "z".repeat(LONG)) }))
        .route(
            "/cutover/runs",
            get(|| async { (StatusCode::BAD_REQUEST, [("content-type", "application/json")], "no") }),
        );
    let layered = routes.layer(from_fn(tag)).layer(compression::layer()).layer(from_fn(compression::normalise));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = layered.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn whoever_has_the_answer_already_gets_304_without_a_body() {
    let (status, headers, body) = ask("GET", "/status", &[]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, LONG));
    assert_eq!(headers["cache-control"], "no-cache");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/\"") && tag.len() == 28, "{tag}");
    let strong = tag.strip_prefix("W/").unwrap();
    let many = format!("\"a\", {tag} ,W/\"b\"");
    for has in [&*tag, strong, "*", &many] {
        for method in ["GET", "HEAD"] {
            let (status, headers, body) = ask(method, "/status", &[("if-none-match", has)]).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{method} {has}");
            assert_eq!(
                (headers["etag"].to_str().unwrap(), &headers["cache-control"]),
                (&*tag, &HeaderValue::from_static("no-cache"))
            );
            assert_eq!(headers["vary"], "accept-encoding");
            assert!(!headers.contains_key("content-type"), "{has}");
        }
    }
    let two = [("if-none-match", "\"a\""), ("if-none-match", &*tag)];
    assert_eq!(ask("GET", "/status", &two).await.0, StatusCode::NOT_MODIFIED);
    for has in ["\"a\"", "", "W/", "x\"", "w/\"a\""] {
        assert_eq!(ask("GET", "/status", &[("if-none-match", has)]).await.0, StatusCode::OK, "{has}");
    }
    assert_ne!(ask("GET", "/status/x", &[]).await.1["etag"], tag.as_str());
}

#[tokio::test]
async fn a_tag_is_only_on_what_was_found_where_tags_are_promised() {
    for path in ["/other", "/cutover/runs", "/nowhere"] {
        let (status, headers, _) = ask("GET", path, &[("if-none-match", "*")]).await;
        assert_ne!(status, StatusCode::NOT_MODIFIED, "{path}");
        assert!(!headers.contains_key("etag") && !headers.contains_key("cache-control"), "{path}");
    }
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    for headers in [&[][..], &[("accept-encoding", "gzip")]] {
        let (_, get, body) = ask("GET", "/status", headers).await;
        let (status, head, empty) = ask("HEAD", "/status", headers).await;
        assert_eq!((status, empty.len()), (StatusCode::OK, 0));
        assert_eq!((&head["etag"], &head["vary"]), (&get["etag"], &get["vary"]));
        assert_eq!(head.get("content-length"), get.get("content-length"));
        assert!(!body.is_empty() && headers.is_empty() == head.contains_key("content-length"));
    }
}

#[tokio::test]
async fn a_long_text_is_compressed_for_a_caller_that_accepts_gzip() {
    for path in ["/status", "/other"] {
        let (_, headers, body) = ask("GET", path, &[("accept-encoding", "br;q=1.0, gzip;q=0.8")]).await;
        assert_eq!(
            (&headers["content-encoding"], &headers["vary"]),
            (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
        );
        assert!(body.len() < LONG / 4);
        let mut plain = String::new();
        GzDecoder::new(&*body).read_to_string(&mut plain).unwrap();
        assert_eq!(plain.len(), LONG);
        let (_, headers, body) = ask("GET", path, &[]).await;
        assert_eq!((headers.get("content-encoding"), body.len()), (None, LONG));
        assert_eq!(headers["vary"], "accept-encoding", "a cache must know that it could have been compressed");
    }
    let (_, headers, body) = ask("GET", "/status/x", &[("accept-encoding", "gzip")]).await;
    assert_eq!((headers.get("content-encoding"), &*body), (None, &b"short"[..]));
    assert!(!ask("GET", "/image", &[("accept-encoding", "gzip")]).await.1.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_stream_is_never_compressed() {
    let (_, headers, body) = ask("GET", "/stream", &[("accept-encoding", "gzip")]).await;
    assert!(!headers.contains_key("content-encoding") && body == b"data: 1");
}

#[tokio::test]
async fn a_caller_that_accepts_nothing_gets_the_plain_answer() {
    for refuses in ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "br"] {
        let (status, headers, body) = ask("GET", "/status", &[("accept-encoding", refuses)]).await;
        assert_eq!((status, headers.get("content-encoding"), body.len()), (StatusCode::OK, None, LONG), "{refuses}");
    }
}
