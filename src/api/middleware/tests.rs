use axum::routing::{get, post};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::api::access::{Access, Authenticator};
use crate::api::gate::{self, Needs};
use crate::api::origin::OriginPolicy;
use crate::domain::access::{Principal, Role, Stranger};
use crate::domain::status::{GiteaStatus, Status};
use crate::metrics::Metrics;

struct Known;

impl Authenticator for Known {
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Principal, Stranger>> {
        let role = match presented {
            "op" => Ok(Role::Operator),
            "view" => Ok(Role::Viewer),
            "broken" => Err(Stranger::Unreadable("the file is gone".into())),
            _ => Err(Stranger::Unknown),
        };
        Box::pin(async move { role.map(|role| Principal { name: presented.to_owned(), role }) })
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

fn gate(access: Access) -> Arc<Gate> {
    named(access, OriginPolicy::default())
}

fn named(access: Access, origins: OriginPolicy) -> Arc<Gate> {
    Arc::new(Gate::new(access, origins, Arc::new(Metrics::new("1", "x", std::time::Duration::ZERO))))
}

fn app(gate: &Arc<Gate>) -> Router {
    let gated = |needs| from_fn_with_state((Arc::clone(gate), needs), gate::pass);
    let routes = Router::new()
        .route("/open", get(|| async { "well" }).route_layer(gated(Needs::Nothing)))
        .route("/read", get(|| async { "well" }).route_layer(gated(Needs::Role(Role::Viewer))))
        .route("/change", post(|| async { "well" }).route_layer(gated(Needs::Role(Role::Operator))))
        .route("/panics", get(|| async { panic!("secret") as () }).route_layer(gated(Needs::Nothing)));
    let get = HeaderValue::from_static("GET,HEAD,OPTIONS");
    let methods = ["/open", "/read", "/panics"].map(|path| (path.to_owned(), get.clone()));
    let mut methods = Methods::from(methods);
    methods.insert("/change".to_owned(), HeaderValue::from_static("POST,OPTIONS"));
    around(routes, Arc::clone(gate), methods)
}

async fn ask(gate: &Arc<Gate>, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app(gate).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (head.status, head.headers, text)
}

#[tokio::test]
async fn every_answer_has_an_id_of_ours_and_the_headers_of_all_answers() {
    let gate = gate(Access::Tokens(Arc::new(Known)));
    for (method, path, status) in [
        ("GET", "/open", 200),
        ("GET", "/none", 404),
        ("TRACE", "/open", 405),
        ("GET", "/read", 401),
        ("GET", "/panics", 500),
    ] {
        let (found, headers, body) = ask(&gate, method, path, &[("x-request-id", "mine")]).await;
        assert_eq!(found, status, "{method} {path}");
        let id = uuid::Uuid::try_parse(headers[REQUEST_ID].to_str().unwrap()).unwrap();
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
    let anonymous = gate(Access::Anonymous);
    let evil = [("host", "evil.test")];
    assert_eq!(ask(&anonymous, "GET", "/none", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "/read/", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "//read", &evil).await.0, 404);
    assert_eq!(ask(&anonymous, "GET", "/READ", &evil).await.0, 404);
    for method in ["GET", "PUT", "TRACE", "CONNECT", "post", "BREW"] {
        let (status, headers, _) = ask(&anonymous, method, "/change", &evil).await;
        assert_eq!(
            (status.as_u16(), headers.get("allow").map(HeaderValue::as_bytes)),
            (405, Some(&b"POST,OPTIONS"[..])),
            "{method}"
        );
    }
    assert_eq!(ask(&anonymous, "POST", "/read", &evil).await.1["allow"], "GET,HEAD,OPTIONS");
    assert_eq!(ask(&anonymous, "GET", "/open", &evil).await.0, 421);
    assert_eq!(ask(&anonymous, "POST", "/change", &evil).await.0, 421);
    assert_eq!(ask(&anonymous, "POST", "/change", &[]).await.0, 200);
    let tokens = gate(Access::Tokens(Arc::new(Known)));
    assert_eq!(ask(&tokens, "GET", "/read", &[("host", "a"), ("host", "b")]).await.0, 400);
}

#[tokio::test]
async fn a_refused_caller_learns_nothing_of_why() {
    let gate = gate(Access::Tokens(Arc::new(Known)));
    let mut bodies = Vec::new();
    for headers in [
        &[][..],
        &[("authorization", "Basic b3A6b3A=")],
        &[("authorization", "Bearer nobody")],
        &[("authorization", "Bearer op"), ("authorization", "Bearer op")],
    ] {
        let (status, answered, body) = ask(&gate, "POST", "/change", headers).await;
        assert_eq!((status.as_u16(), &answered["www-authenticate"]), (401, &HeaderValue::from_static("Bearer")));
        bodies.push(body.replace(answered[REQUEST_ID].to_str().unwrap(), ""));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let token = |token| [("authorization", token)];
    let (status, _, body) = ask(&gate, "POST", "/change", &token("Bearer broken")).await;
    assert!(status == 503 && body.contains("tokens-unreadable") && !body.contains("the file is gone"), "{body}");
    assert_eq!(ask(&gate, "POST", "/change", &token("Bearer view")).await.0, 403);
    assert_eq!(ask(&gate, "POST", "/change", &token("Bearer op")).await.0, 200);
    assert_eq!(ask(&gate, "GET", "/read", &token("bearer view")).await.0, 200);
    assert_eq!(ask(&gate, "GET", "/read?access_token=op", &[]).await.0, 401);
    assert_eq!(ask(&gate, "GET", "/open", &token("Bearer nobody")).await.0, 200);
}

#[tokio::test]
async fn what_was_answered_is_counted_by_matched_route() {
    let gate = gate(Access::Tokens(Arc::new(Known)));
    for (method, path) in
        [("GET", "/open?x=1"), ("GET", "/a/b"), ("BREW", "/open"), ("GET", "/panics"), ("GET", "/read")]
    {
        ask(&gate, method, path, &[]).await;
    }
    let status = Status { mirrors: vec![], latest_run: None, gitea: GiteaStatus::default(), cutover_complete: None };
    let text = gate.metrics.render(&status, Timestamp::UNIX_EPOCH);
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
    let (_, _, body) = ask(&gate(Access::Anonymous), "GET", "/panics", &[]).await;
    assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
}

#[tokio::test]
async fn an_address_is_read_up_to_its_limit() {
    let gate = gate(Access::Anonymous);
    let (fits, over) = ("x".repeat(2_048 - "/open?".len()), "x".repeat(2_049 - "/open?".len()));
    assert_eq!(ask(&gate, "GET", &format!("/open?{fits}"), &[]).await.0, 200);
    let (status, headers, body) = ask(&gate, "GET", &format!("/open?{over}"), &[]).await;
    assert_eq!((status.as_u16(), &headers["connection"]), (414, &HeaderValue::from_static("close")));
    assert!(body.contains("uri-too-long"), "{body}");
}

#[tokio::test]
async fn a_page_of_a_configured_origin_is_told_what_it_may_send_and_read_and_others_are_not() {
    let console = "https://console.example.org";
    let origins = OriginPolicy { hosts: vec![], origins: vec![console.to_owned()] };
    let gate = named(Access::Tokens(Arc::new(Known)), origins);
    let asks = ("access-control-request-method", "POST");
    let (status, headers, _) = ask(&gate, "OPTIONS", "/change", &[("origin", console), asks]).await;
    assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (204, "POST,OPTIONS"));
    assert_eq!(headers["access-control-allow-origin"], console);
    assert_eq!(headers["access-control-allow-methods"], "POST,OPTIONS");
    assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert_eq!(
        (&headers["access-control-max-age"], &headers["vary"]),
        (&"600".parse().unwrap(), &"origin".parse().unwrap())
    );
    assert!(!headers.contains_key("access-control-allow-credentials"));

    // also a refusal, so that the page can show why
    let (status, headers, _) = ask(&gate, "POST", "/change", &[("origin", console)]).await;
    assert_eq!((status.as_u16(), headers["access-control-allow-origin"].to_str().unwrap()), (401, console));
    assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("retry-after"));
    assert!(!headers.contains_key("access-control-max-age"));

    for evil in ["https://evil.test", "null", "https://console.example.org.evil.test"] {
        let (status, headers, _) = ask(&gate, "OPTIONS", "/change", &[("origin", evil), asks]).await;
        assert_eq!(status, 204);
        let speaks = |headers: &HeaderMap| headers.keys().any(|name| name.as_str().starts_with("access-control"));
        assert!(!speaks(&headers), "{headers:?}");
        let (status, headers, body) =
            ask(&gate, "POST", "/change", &[("origin", evil), ("authorization", "Bearer op")]).await;
        assert_eq!((status.as_u16(), speaks(&headers)), (403, false), "{evil}");
        assert!(body.contains("origin-not-allowed"), "{body}");
        assert_eq!(headers["vary"], "origin");
    }
    assert_eq!(ask(&gate, "OPTIONS", "/none", &[]).await.0, 404);
    assert_eq!(ask(&gate, "GET", "/open", &[]).await.1["vary"], "origin");
}

#[tokio::test]
async fn without_configured_origins_options_names_the_methods_and_nothing_else() {
    let gate = gate(Access::Tokens(Arc::new(Known)));
    let headers = [("origin", "https://evil.test"), ("access-control-request-method", "POST")];
    let (status, headers, _) = ask(&gate, "OPTIONS", "/change", &headers).await;
    assert_eq!((status.as_u16(), &headers["allow"]), (204, &HeaderValue::from_static("POST,OPTIONS")));
    assert!(!headers.contains_key("vary") && !headers.contains_key("access-control-allow-origin"));
    assert_eq!(ask(&self::gate(Access::Anonymous), "OPTIONS", "/change", &[("host", "evil.test")]).await.0, 421);
}
