//! Whatever is sent, the answer is one of ours or of hyper's, nothing panics, and the service goes on.

use std::io::Write as _;
use std::net::Shutdown;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::http::stage::{OPERATOR, Reply, Setting, Stage};

/// Every header that this service or hyper looks at, and one that nobody does.
const HEADERS: [&str; 16] = [
    "Accept-Encoding",
    "Access-Control-Request-Method",
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Expect",
    "Host",
    "Idempotency-Key",
    "If-None-Match",
    "Origin",
    "Prefer",
    "Sec-Fetch-Site",
    "Transfer-Encoding",
    "X-Other",
];

fn runner(cases: u32) -> TestRunner {
    // what fails is shown whole; a file of seeds beside the sources would say nothing more
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

/// Sends bytes, and no more after them.
fn say(stage: &Stage, bytes: &[u8]) -> Option<Reply> {
    let mut stream = stage.connect();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    Reply::read(&mut stream)
}

fn is_well(stage: &Stage) {
    assert_eq!(stage.ask("GET", "/readyz", "", "").status, 200);
    let metrics = stage.ask("GET", "/metrics", "", "").text();
    assert!(metrics.lines().any(|line| line == "cutover_panics_total 0"), "{metrics}");
}

/// Something like a body: bytes, or JSON that is nearly one.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| value.to_string()),
        "\"[ -~]{0,12}\"",
        Just("\"openova\"".to_owned()),
        Just("\"\\ud800\"".to_owned()),
    ];
    let json = leaf.prop_recursive(6, 48, 4, |inner| {
        let name = prop_oneof![
            Just("mirrors".to_owned()),
            Just("onLegacy".to_owned()),
            Just("acceptUpstream".to_owned()),
            Just("dryRun".to_owned()),
            "[a-z]{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec((name, inner), 0..4).prop_map(|all| {
                let members: Vec<_> = all.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..2_000),
        4 => json.prop_map(String::into_bytes),
    ]
}

#[test]
fn any_body_is_a_run_or_a_problem() {
    let stage = Stage::set(Setting::default());
    runner(400)
        .run(&body(), |body| {
            let head = format!(
                "POST /cutover/mirror HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let reply = stage.say([head.as_bytes(), &body].concat()).expect("an answer");
            match reply.status {
                200 | 202 => assert!(reply.json()["mirrors"].is_array()),
                400 | 409 | 422 => assert!(!reply.code().is_empty(), "{reply:?}"),
                _ => panic!("{reply:?}"),
            }
            Ok(())
        })
        .unwrap();
    is_well(&stage);
}

#[test]
fn any_headers_get_an_answer_that_is_whole_and_no_5xx() {
    let stage = Stage::set(Setting::default());
    let value = prop_oneof![
        "[ -~]{0,40}",
        "[ -~\\t\u{80}-\u{ff}]{0,40}",
        Just("*".to_owned()),
        Just("close".to_owned()),
        Just("chunked".to_owned()),
        Just("gzip;q=0.5, *;q=0".to_owned()),
        Just(format!("Bearer {OPERATOR}")),
        Just("100-continue".to_owned()),
        Just("application/json".to_owned()),
        Just("https://evil.test".to_owned()),
        "[0-9]{1,24}",
    ];
    let headers = prop::collection::vec((prop::sample::select(&HEADERS[..]), value), 0..6);
    let line = prop::sample::select(
        &[
            "GET /status",
            "POST /cutover/mirror",
            "GET /cutover/runs?limit=1",
            "OPTIONS /status",
            "HEAD /status",
            "GET /docs",
        ][..],
    );
    runner(400)
        .run(&(line, headers, any::<bool>()), |(line, headers, with_token)| {
            let mut request = format!("{line} HTTP/1.1\r\nHost: localhost\r\n");
            if with_token {
                request += &format!("Authorization: Bearer {OPERATOR}\r\n");
            }
            for (name, value) in headers {
                request += &format!("{name}: {value}\r\n");
            }
            if let Some(reply) = say(&stage, (request + "\r\n").as_bytes()) {
                assert!(reply.status < 500 || reply.status == 501, "{reply:?}");
                if reply.status >= 400 && !line.starts_with("HEAD") {
                    reply.code();
                }
            }
            Ok(())
        })
        .unwrap();
    is_well(&stage);
}

#[test]
fn any_bytes_are_answered_or_the_connection_is_closed() {
    let stage = Stage::set(Setting::default());
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        "[A-Z]{1,8} /[ -~]{0,60} HTTP/1\\.[0-9]\r\n([A-Za-z-]{1,12}: ?[ -~]{0,20}\r\n){0,4}\r\n[ -~]{0,20}"
            .prop_map(String::into_bytes),
    ];
    runner(300)
        .run(&bytes, |bytes| {
            if let Some(reply) = say(&stage, &bytes) {
                assert!(reply.status < 500 || reply.status == 501, "{reply:?}");
            }
            Ok(())
        })
        .unwrap();
    is_well(&stage);
}
