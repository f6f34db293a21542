//! Response headers that a reader relies on: `ETag`, compression, pages, and the counters of requests.

use crate::http::stage::{Setting, Stage};

/// Runs once, so that there is something to read, and gives the run's path.
fn after_a_run(stage: &Stage) -> String {
    let run = stage.ask("POST", "/cutover/mirror", "", "");
    let path = run.header("location").unwrap().to_owned();
    stage.end_of(&path);
    path
}

#[test]
fn whoever_keeps_the_status_or_a_run_learns_by_its_tag_whether_it_still_holds() {
    let stage = Stage::set(Setting::default());
    let run = after_a_run(&stage);
    for path in ["/status", "/status/openova", "/cutover/runs", "/cutover/runs?limit=1", &run] {
        let first = stage.ask("GET", path, "", "");
        assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")), "{path}");
        let tag = first.header("etag").unwrap();
        let again = stage.ask("GET", path, &format!("If-None-Match: {tag}\r\n"), "");
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
        assert!(again.header("x-request-id").is_some() && again.header("content-type").is_none());
        let other = stage.ask("GET", path, "If-None-Match: \"x\"\r\n", "");
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
        let head = stage.ask("HEAD", path, &format!("If-None-Match: {tag}\r\n"), "");
        assert_eq!((head.status, head.header("etag")), (304, Some(tag)), "{path}");
    }
    let tag = stage.ask("GET", "/status", "", "").header("etag").unwrap().to_owned();
    stage.upstream.commit("openova", "main", 1);
    after_a_run(&stage);
    assert_eq!(stage.ask("GET", "/status", &format!("If-None-Match: {tag}\r\n"), "").status, 200);
    for path in ["/status/nowhere", "/healthz", "/metrics", "/openapi.json", "/problems/internal"] {
        let answer = stage.ask("GET", path, "If-None-Match: *\r\n", "");
        assert_eq!((answer.header("etag"), answer.header("cache-control")), (None, Some("no-store")), "{path}");
    }
}

#[test]
fn a_long_answer_is_compressed_for_a_caller_that_accepts_gzip() {
    let stage = Stage::set(Setting::default());
    for path in ["/openapi.json", "/metrics", "/docs"] {
        let plain = stage.ask("GET", path, "", "");
        let packed = stage.ask("GET", path, "Accept-Encoding: gzip\r\n", "");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!((packed.header("vary"), plain.header("vary")), (Some("accept-encoding"), Some("accept-encoding")));
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len() / 2, "{path}");
    }
}

#[test]
fn the_type_of_a_problem_leads_to_its_page_and_the_pages_need_no_other_server() {
    let stage = Stage::set(Setting::default());
    let problem = stage.ask("GET", "/nowhere", "", "").json();
    let page = stage.ask("GET", problem["type"].as_str().unwrap(), "", "");
    assert_eq!(page.status, 200);
    assert!(page.text().contains(problem["remedy"].as_str().unwrap()), "{}", page.text());

    let docs = stage.ask("GET", "/docs", "", "");
    assert_eq!((docs.status, docs.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = docs.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let html = docs.text();
    for needed in ["/cutover/mirror", "startRun", "unknown-mirror", "Problem"] {
        assert!(html.contains(needed), "{needed}");
    }
    for loads in ["<script", "src=", "<link", "@import", "url(", "style="] {
        assert!(!html.contains(loads), "the page has {loads}");
    }
}

#[test]
fn what_was_asked_is_counted_by_matched_route_and_a_scanner_makes_no_series() {
    let stage = Stage::set(Setting::default());
    let run = after_a_run(&stage);
    for path in ["/a", "/b/c", "/status/x", "/status/y", "/problems/z", "/status?x=1", &run] {
        stage.ask("GET", path, "", "");
    }
    stage.ask("BREW", "/status", "", "");
    stage.ask("OPTIONS", "/status", "", "");
    let metrics = stage.ask("GET", "/metrics", "", "").text();
    for line in [
        r#"cutover_http_requests_total{code="404",method="GET",route="other"} 2"#,
        r#"cutover_http_requests_total{code="404",method="GET",route="/status/{name}"} 2"#,
        r#"cutover_http_requests_total{code="404",method="GET",route="/problems/{code}"} 1"#,
        r#"cutover_http_requests_total{code="405",method="OTHER",route="/status"} 1"#,
        r#"cutover_http_requests_total{code="204",method="OPTIONS",route="/status"} 1"#,
        r#"cutover_http_requests_total{code="202",method="POST",route="/cutover/mirror"} 1"#,
        "cutover_http_requests_in_flight 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("/b/c") && !metrics.contains("BREW") && !metrics.contains("x=1"));
    let id = run.rsplit('/').next().unwrap();
    assert!(!metrics.contains(id));
    assert!(
        metrics.contains(r#"cutover_http_request_duration_seconds_count{method="GET",route="/cutover/runs/{id}"}"#)
    );
}
