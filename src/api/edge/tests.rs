use axum::routing::{get, post};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::api::access::{Authenticator, Needs, gate};
use crate::domain::access::{Principal, Role};
use crate::domain::status::{GiteaStatus, Status};

struct Known;

impl Authenticator for Known {
    fn authenticate(&self, presented: &str) -> Result<Option<Principal>, String> {
        let role = match presented {
            "op" => Role::Operator,
            "view" => Role::Viewer,
            "broken" => return Err("the file is gone".into()),
            _ => return Ok(None),
        };
        Ok(Some(Principal { name: presented.to_owned(), role }))
    }
}

fn edge(access: Access) -> Arc<Edge> {
    Arc::new(Edge { access, metrics: Arc::new(Metrics::new("1", "x", std::time::Duration::ZERO)) })
}

fn app(edge: &Arc<Edge>) -> Router {
    let gated = |needs| from_fn_with_state((Arc::clone(edge), needs), gate);
    let routes = Router::new()
        .route("/open", get(|| async { "well" }).route_layer(gated(Needs::Nothing)))
        .route("/read", get(|| async { "well" }).route_layer(gated(Needs::Role(Role::Viewer))))
        .route("/change", post(|| async { "well" }).route_layer(gated(Needs::Role(Role::Operator))))
        .route("/panics", get(|| async { panic!("secret") as () }).route_layer(gated(Needs::Nothing)));
    around(routes, Arc::clone(edge))
}

async fn ask(edge: &Arc<Edge>, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app(edge).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (head.status, head.headers, text)
}

#[tokio::test]
async fn every_answer_has_an_id_of_ours_and_the_headers_of_all_answers() {
    let edge = edge(Access::Tokens(Arc::new(Known)));
    for (method, path, status) in [
        ("GET", "/open", 200),
        ("GET", "/none", 404),
        ("TRACE", "/open", 405),
        ("GET", "/read", 401),
        ("GET", "/panics", 500),
    ] {
        let (found, headers, body) = ask(&edge, method, path, &[("x-request-id", "mine")]).await;
        assert_eq!(found, status, "{method} {path}");
        let id = Uuid::try_parse(headers[REQUEST_ID].to_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
        for (name, value) in ALWAYS {
            assert_eq!(headers[&name], value);
        }
        if status != 200 {
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(headers["content-length"], body.len().to_string(), "{method} {path}");
            assert_eq!((&problem["requestId"], &problem["status"]), (&id.to_string().into(), &status.into()));
        }
    }
}

#[tokio::test]
async fn the_path_and_the_method_come_before_the_host_and_the_host_before_the_credential() {
    let anonymous = edge(Access::Anonymous);
    let evil = [("host", "evil.test")];
    assert_eq!(ask(&anonymous, "GET", "/none", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "/read/", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "//read", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "/READ", &evil).await.0, 404);
    for method in ["GET", "PUT", "TRACE", "OPTIONS", "CONNECT", "post", "BREW"] {
        let (status, headers, _) = ask(&anonymous, method, "/change", &evil).await;
        assert_eq!(
            (status.as_u16(), headers.get("allow").map(HeaderValue::as_bytes)),
            (405, Some(&b"POST"[..])),
            "{method}"
        );
    }
    assert_eq!(ask(&anonymous, "POST", "/read", &evil).await.1["allow"], "GET,HEAD");
    assert_eq!(ask(&anonymous, "GET", "/open", &evil).await.0, 421);
    assert_eq!(ask(&anonymous, "POST", "/change", &evil).await.0, 421);
    assert_eq!(ask(&anonymous, "POST", "/change", &[]).await.0, 200);
    let tokens = edge(Access::Tokens(Arc::new(Known)));
    assert_eq!(ask(&tokens, "GET", "/read", &[("host", "a"), ("host", "b")]).await.0, 400);
}

#[tokio::test]
async fn a_refused_caller_learns_nothing_of_why() {
    let edge = edge(Access::Tokens(Arc::new(Known)));
    let mut bodies = Vec::new();
    for headers in [
        &[][..],
        &[("authorization", "Basic b3A6b3A=")],
        &[("authorization", "Bearer nobody")],
        &[("authorization", "Bearer broken")],
        &[("authorization", "Bearer op"), ("authorization", "Bearer op")],
    ] {
        let (status, answered, body) = ask(&edge, "POST", "/change", headers).await;
        assert_eq!((status.as_u16(), &answered["www-authenticate"]), (401, &HeaderValue::from_static("Bearer")));
        bodies.push(body.replace(answered[REQUEST_ID].to_str().unwrap(), ""));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let token = |token| [("authorization", token)];
    assert_eq!(ask(&edge, "POST", "/change", &token("Bearer view")).await.0, 403);
    assert_eq!(ask(&edge, "POST", "/change", &token("Bearer op")).await.0, 200);
    assert_eq!(ask(&edge, "GET", "/read", &token("bearer view")).await.0, 200);
    assert_eq!(ask(&edge, "GET", "/read?access_token=op", &[]).await.0, 401);
    assert_eq!(ask(&edge, "GET", "/open", &token("Bearer nobody")).await.0, 200);
}

#[tokio::test]
async fn what_was_answered_is_counted_by_matched_route() {
    let edge = edge(Access::Tokens(Arc::new(Known)));
    for (method, path) in
        [("GET", "/open?x=1"), ("GET", "/a/b"), ("BREW", "/open"), ("GET", "/panics"), ("GET", "/read")]
    {
        ask(&edge, method, path, &[]).await;
    }
    let status = Status { mirrors: vec![], latest_run: None, gitea: GiteaStatus::default() };
    let text = edge.metrics.render(&status, Timestamp::UNIX_EPOCH);
    for line in [
        r#"cutover_http_requests_total{code="200",method="GET",route="/open"} 1"#,
        r#"cutover_http_requests_total{code="404",method="GET",route="other"} 1"#,
        r#"cutover_http_requests_total{code="405",method="OTHER",route="/open"} 1"#,
        r#"cutover_http_requests_total{code="500",method="GET",route="/panics"} 1"#,
        r#"cutover_auth_failures_total{reason="missing"} 1"#,
        "cutover_panics_total 1",
        "cutover_http_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_panic_says_nothing_of_its_cause() {
    let (_, _, body) = ask(&edge(Access::Anonymous), "GET", "/panics", &[]).await;
    assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
}
