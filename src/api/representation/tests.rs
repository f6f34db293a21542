use std::convert::Infallible;
use std::io::Read as _;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get;
use flate2::read::GzDecoder;
use futures_util::stream;
use tower::ServiceExt as _;

use super::*;

const LONG: usize = 5_000;

/// A service with one tagged route of a long body, one of a short one, and one that has no tag.
async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let json = [("content-type", "application/json")];
    let routes = Router::new()
        .route("/status", get(move || async move { (json, "x".repeat(LONG)).into_response() }))
        .route("/status/{name}", get(move || async move { (json, "short").into_response() }))
        .route("/other", get(|| async { "y".repeat(LONG) }))
        .route("/stream", get(|| async { Body::from_stream(stream::iter([Ok::<_, Infallible>("data: 1")])) }))
        .route("/image", get(|| async { ([("content-type", "image/png")], "z".repeat(LONG)) }))
        .route(
            "/cutover/runs",
            get(|| async { (StatusCode::BAD_REQUEST, [("content-type", "application/json")], "no") }),
        );
    let layered =
        routes.layer(axum::middleware::from_fn(async |mut request: Request, next: axum::middleware::Next| {
            let route = request.extensions().get::<axum::extract::MatchedPath>().cloned();
            let wanted = Wanted::of(&mut request, route.as_ref().map(axum::extract::MatchedPath::as_str));
            wanted.applied(next.run(request).await).await
        }));
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
            assert_eq!((headers["etag"].to_str().unwrap(), &headers["cache-control"]), (&*tag, &ASK_AGAIN));
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
        assert_eq!(head["content-length"], body.len().to_string());
    }
}

#[tokio::test]
async fn a_long_text_is_packed_for_whoever_takes_that_and_says_so() {
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
        assert_eq!(headers["vary"], "accept-encoding", "a cache must know that it could have been packed");
    }
    let (_, headers, body) = ask("GET", "/status/x", &[("accept-encoding", "gzip")]).await;
    assert_eq!((headers.get("content-encoding"), headers.get("vary"), &*body), (None, None, &b"short"[..]));
    assert!(!ask("GET", "/image", &[("accept-encoding", "gzip")]).await.1.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_stream_is_never_packed() {
    let (_, headers, body) = ask("GET", "/stream", &[("accept-encoding", "gzip")]).await;
    assert!(!headers.contains_key("content-encoding") && body == b"data: 1");
}

#[test]
fn what_a_caller_takes_is_read_as_it_is_meant() {
    let takes = |values: &[&str]| {
        let headers = values.iter().map(|value| (header::ACCEPT_ENCODING, value.parse().unwrap())).collect();
        accepts_gzip(&headers)
    };
    for yes in [
        &["gzip"][..],
        &["GZIP"],
        &["gzip;q=0.1"],
        &["*"],
        &["br", "gzip"],
        &["deflate, gzip ; q=1"],
        &["identity;q=0, *"],
    ] {
        assert!(takes(yes), "{yes:?}");
    }
    for no in [&[][..], &[""], &["br"], &["gzip;q=0"], &["gzip;q=0, *"], &["*;q=0"], &["identity;q=0"], &["gzip;q=x"]] {
        assert!(!takes(no), "{no:?}");
    }
}
