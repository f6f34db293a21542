//! Every kind of wrong request over a real socket, and what each is answered with: one table.
//!
//! An empty code stands for an answer of hyper's own, which has no body: what it refuses is no HTTP, or more of it than
//! is read before there is a request.

use std::io::Write as _;
use std::time::Duration;

use crate::http::stage::{OPERATOR, Reply, Setting, Stage, VIEWER};

/// A wrong request: what is sent, and the status and code that answer it. Status 0: the connection is closed.
struct Case {
    name: &'static str,
    sent: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn case(name: &'static str, sent: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case { name, sent: sent.into(), status, code }
}

/// A whole request with these header lines.
fn request(line: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend(body.as_ref());
    bytes
}

/// The header lines of the operator.
fn operator(headers: &str) -> String {
    format!("Authorization: Bearer {OPERATOR}\r\n{headers}")
}

/// `POST /cutover/mirror` with a body of this media type.
fn posted(media_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let media_type = if media_type.is_empty() { String::new() } else { format!("Content-Type: {media_type}\r\n") };
    let headers = operator(&format!("{media_type}Content-Length: {}\r\n", body.len()));
    request("POST /cutover/mirror", &headers, body)
}

fn json(body: impl AsRef<[u8]>) -> Vec<u8> {
    posted("application/json", body)
}

/// RELIABILITY's catalogue of bodies.
fn bodies() -> Vec<Case> {
    let (malformed, invalid, unknown) = ("malformed-request", "invalid-field", "unknown-field");
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    let deep = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let mut cases = vec![
        case(
            "no body, no media type",
            request("POST /cutover/mirror", &operator("Content-Length: 0\r\n"), ""),
            202,
            "",
        ),
        case("no length either", request("POST /cutover/mirror", &operator(""), ""), 202, ""),
        case("an empty body of JSON", json(""), 202, ""),
        case("an empty object", json("{}"), 202, ""),
        case("with a charset", posted("application/json; charset=utf-8", "{}"), 202, ""),
        case("16 KiB exactly", json(padded(16_384)), 202, ""),
        case("one byte more", json(padded(16_385)), 413, "content-too-large"),
        case("a mirror that is not configured", json("{\"mirrors\":[\"x\"]}"), 422, "unknown-mirror"),
        case("a form", posted("application/x-www-form-urlencoded", "owner=a"), 415, "unsupported-media-type"),
        case("a plain text", posted("text/plain", "{}"), 415, "unsupported-media-type"),
        case("a form of parts", posted("multipart/form-data; boundary=x", "--x--"), 415, "unsupported-media-type"),
        case("a body without a media type", posted("", "{}"), 415, "unsupported-media-type"),
        case("JSON by a near name", posted("application/jsonx", "{}"), 415, "unsupported-media-type"),
        case(
            "a packed body",
            request(
                "POST /cutover/mirror",
                &operator("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n"),
                "{}",
            ),
            415,
            "unsupported-media-type",
        ),
        case("200 deep", json(deep(200)), 422, unknown),
        case("4,000 deep", json(deep(4_000)), 422, unknown),
        case("invalid UTF-8", json(b"{\"mirrors\":[\"\xff\"]}"), 400, malformed),
        case("a lone surrogate", json("{\"mirrors\":[\"\\ud800\"]}"), 400, malformed),
        case("a control character", json("{\"mirrors\":[\"a\u{1}\"]}"), 400, malformed),
    ];
    for body in ["[]", "null", "true", "\"x\"", "1", "-0"] {
        cases.push(case("no object", json(body), 422, invalid));
    }
    for body in ["{\"mirrors\"", "{'mirrors':[]}", "{/*c*/}", "{\"mirrors\":[],}", "NaN", "{} {}", "{", "\u{feff}{}"] {
        cases.push(case("no JSON", json(body), 400, malformed));
    }
    for body in [
        "{\"mirrors\":1}",
        "{\"mirrors\":null}",
        "{\"mirrors\":\"openova\"}",
        "{\"mirrors\":[]}",
        "{\"mirrors\":[1]}",
        "{\"mirrors\":[null]}",
        "{\"mirrors\":[\"openova\",\"openova\"]}",
        "{\"mirrors\":[\"openova\"],\"mirrors\":[\"openova\"]}",
    ] {
        cases.push(case("a wrong value", json(body), 422, invalid));
    }
    for body in [
        "{\"admin\":true}",
        "{\"__proto__\":{}}",
        "{\"Mirrors\":[]}",
        "{\"owner\":\"a\"}",
        "{\"upstream\":\"http://x\"}",
    ] {
        cases.push(case("an unknown member", json(body), 422, unknown));
    }
    cases
}

/// Method, path, headers and framing.
fn requests() -> Vec<Case> {
    let plain = |line: &str| request(line, &operator(""), "");
    let to_post = |headers: &str| request("POST /cutover/mirror", &operator(headers), "");
    let chunked = |headers: &str, body: &str| {
        let headers = operator(&format!("Content-Type: application/json\r\n{headers}"));
        request("POST /cutover/mirror", &headers, body)
    };
    let raw = |bytes: &str| bytes.as_bytes().to_vec();
    let mut cases = vec![
        case("a long query", plain(&format!("GET /status?{}", "x".repeat(2_041))), 414, "uri-too-long"),
        case("the longest query", plain(&format!("GET /status?{}", "x".repeat(2_040))), 200, ""),
        case("an endless address", plain(&format!("GET /{}", "x".repeat(70_000))), 431, ""),
        case("too much in one header", to_post(&format!("X: {}\r\n", "x".repeat(16_500))), 431, ""),
        case("too many headers", to_post(&"X: y\r\n".repeat(70)), 431, ""),
        case("a good number of headers", to_post(&"X: y\r\n".repeat(50)), 202, ""),
        case("a query that is nobody's business", plain("GET /status?since=1'--&_method=DELETE"), 200, ""),
        case("a query of metrics", plain("GET /metrics?name[]=x"), 200, ""),
        case("another method by header", to_post("X-HTTP-Method-Override: DELETE\r\n"), 202, ""),
        case("no host", raw("GET /status HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "malformed-request"),
        case("two hosts", request("GET /healthz", "Host: localhost\r\n", ""), 400, "malformed-request"),
        case(
            "a viewer who asks",
            request("POST /cutover/mirror", &format!("Authorization: Bearer {VIEWER}\r\n"), ""),
            403,
            "forbidden",
        ),
        case("no credential", request("GET /status", "", ""), 401, "unauthenticated"),
        case("another scheme", request("GET /status", "Authorization: Basic b3A6b3A=\r\n", ""), 401, "unauthenticated"),
        case("a scheme alone", request("GET /status", "Authorization: Bearer\r\n", ""), 401, "unauthenticated"),
        case("two words", request("GET /status", "Authorization: Bearer a b\r\n", ""), 401, "unauthenticated"),
        case(
            "a long token",
            request("GET /status", &format!("Authorization: Bearer {}\r\n", "x".repeat(8_192)), ""),
            401,
            "unauthenticated",
        ),
        case("two credentials", request("GET /status", &operator(&operator("")), ""), 401, "unauthenticated"),
        case(
            "a token in the address",
            request(&format!("GET /status?access_token={OPERATOR}"), "", ""),
            401,
            "unauthenticated",
        ),
        case("chunks", chunked("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), 202, ""),
        case(
            "chunks and a length",
            chunked("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            202,
            "",
        ),
        case(
            "packed chunks",
            chunked("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            400,
            "malformed-request",
        ),
        case("chunks of no kind", chunked("Transfer-Encoding: xchunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), 400, ""),
        case(
            "a chunk of no size",
            chunked("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
            400,
            "malformed-request",
        ),
        case("a length that is none", to_post("Content-Length: x\r\n"), 400, ""),
        case("a negative length", to_post("Content-Length: -1\r\n"), 400, ""),
        case("two lengths", to_post("Content-Length: 1\r\nContent-Length: 2\r\n"), 400, ""),
        case("a folded header", to_post("X: a\r\n b\r\n"), 400, ""),
        case("a space before the colon", to_post("X : a\r\n"), 400, ""),
        case("a NUL in a header", to_post("X: a\0b\r\n"), 400, ""),
        case("no HTTP at all", raw("HELO mail.test\r\n\r\n"), 400, ""),
        case("zeros", vec![0; 65_536], 400, ""),
        case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, ""),
        case("HTTP/2 by prior knowledge", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, ""),
    ];
    for line in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "post", "BREW"] {
        cases.push(case("another method", plain(&format!("{line} /cutover/mirror")), 405, "method-not-allowed"));
    }
    for path in [
        "/cutover/mirror/",
        "//cutover/mirror",
        "/x/../cutover/mirror",
        "/cutover%2fmirror",
        "/CUTOVER/MIRROR",
        "/none",
    ] {
        cases.push(case("no such path", plain(&format!("POST {path}")), 404, "not-found"));
    }
    cases
}

/// What a browser sends for its pages.
fn pages() -> Vec<Case> {
    let to_post = |headers: &str| request("POST /cutover/mirror", &operator(headers), "");
    vec![
        case("an origin that is not ours", to_post("Origin: https://evil.test\r\n"), 403, "origin-not-allowed"),
        case("an origin that is none", to_post("Origin: null\r\n"), 403, "origin-not-allowed"),
        case("another site", to_post("Sec-Fetch-Site: cross-site\r\n"), 403, "origin-not-allowed"),
        case("a page of the same site", to_post("Sec-Fetch-Site: same-site\r\n"), 403, "origin-not-allowed"),
        case("our own page", to_post("Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n"), 202, ""),
        case(
            "our own page, behind a proxy that rewrites the host",
            to_post("Sec-Fetch-Site: same-origin\r\nOrigin: https://cutover.example.org\r\n"),
            202,
            "",
        ),
        case("our own page in an old browser", to_post("Origin: http://localhost:80\r\n"), 202, ""),
        case(
            "a forwarded host",
            to_post("Origin: https://evil.test\r\nX-Forwarded-Host: evil.test\r\n"),
            403,
            "origin-not-allowed",
        ),
        case("two origins", to_post("Origin: null\r\nOrigin: http://localhost\r\n"), 400, "malformed-request"),
        case("a read from any page", request("GET /status", &operator("Origin: https://evil.test\r\n"), ""), 200, ""),
    ]
}

#[test]
fn every_wrong_request_is_answered_as_the_table_says_and_the_service_goes_on_rows_14_17_and_52() {
    let stage = Stage::set(Setting::default());
    let mut wrong = Vec::new();
    for case in bodies().into_iter().chain(requests()).chain(pages()) {
        let reply = stage.say(&case.sent);
        let found = reply.as_ref().map_or((0, String::new()), |reply| {
            (reply.status, if reply.status < 300 { String::new() } else { reply.code() })
        });
        if found != (case.status, case.code.to_owned()) {
            wrong.push(format!("{}: {found:?} instead of {} {}: {:?}", case.name, case.status, case.code, reply));
        }
        if let Some(reply) = reply.filter(|reply| reply.status == 405) {
            assert_eq!(reply.header("allow"), Some("POST,OPTIONS"), "{}", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stage.ask("GET", "/readyz", "", "").status, 200);
    let metrics = stage.ask("GET", "/metrics", "", "").text();
    assert!(metrics.lines().any(|line| line == "cutover_panics_total 0"), "{metrics}");
    assert!(stage.end() == cutover_api::app::Ended::Clean);
}

#[test]
fn a_body_that_stops_half_way_is_not_waited_for_longer_than_five_seconds() {
    let stage = Stage::set(Setting::default());
    let headers = operator("Content-Type: application/json\r\nContent-Length: 20\r\n");
    let half = request("POST /cutover/mirror", &headers, "{\"mirr");

    let mut ended = stage.connect();
    ended.write_all(&half).unwrap();
    ended.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(Reply::read(&mut ended).is_none_or(|reply| reply.status == 400));

    let mut silent = stage.connect();
    silent.write_all(&half).unwrap();
    let began = tokio::time::Instant::now();
    let reply = Reply::read(&mut silent).unwrap();
    let took = began.elapsed();
    assert_eq!((reply.status, &*reply.code()), (408, "request-timeout"));
    assert!(took > Duration::from_millis(4_500) && took < Duration::from_millis(6_500), "{took:?}");

    let large = operator("Content-Type: application/json\r\nContent-Length: 10485760\r\n");
    let began = tokio::time::Instant::now();
    let reply = stage.say(request("POST /cutover/mirror", &large, "x".repeat(100_000))).unwrap();
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn whoever_fails_to_log_in_too_often_is_asked_to_wait_and_a_good_token_is_not() {
    let stage = Stage::set(Setting::default());
    let guess = || stage.say(request("GET /status", "Authorization: Bearer guess\r\n", "")).unwrap();
    for _ in 0..10 {
        assert_eq!(guess().status, 401);
    }
    for _ in 0..20 {
        assert_eq!(stage.say(request("GET /status", "", "")).unwrap().status, 401, "no credential is no guess");
    }
    let limited = guess();
    assert_eq!((limited.status, &*limited.code()), (429, "rate-limited"));
    let seconds: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&seconds), "{seconds}");
    assert_eq!(stage.ask("GET", "/status", "", "").status, 200);
    assert_eq!(stage.ask("GET", "/healthz", "", "").status, 200);
}

#[test]
fn without_tokens_only_names_that_cannot_be_made_to_point_here_are_served() {
    let named = |stage: &Stage, host: &str| {
        let reply = stage.say(format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).unwrap();
        (reply.status, if reply.status == 200 { String::new() } else { reply.code() })
    };
    let anonymous = Stage::set(Setting { anonymous: true, ..Setting::default() });
    for host in ["localhost:8080", "127.0.0.1", "[::1]:80"] {
        assert_eq!(named(&anonymous, host).0, 200, "{host}");
    }
    assert_eq!(named(&anonymous, "evil.test"), (421, "host-not-allowed".into()));
    let yaml = "server: { hosts: [cutover.example.org], origins: ['https://console.example.org'] }\n";
    let stage = Stage::set(Setting { yaml, ..Setting::default() });
    assert_eq!(named(&stage, "cutover.example.org:8080"), (401, "unauthenticated".into()));
    assert_eq!(named(&stage, "evil.test"), (421, "host-not-allowed".into()));
    let console = "Origin: https://console.example.org\r\n";
    let reply = stage.ask("POST", "/cutover/mirror", console, "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (202, Some("https://console.example.org")));
    let preflight =
        format!("{console}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n");
    let reply = stage.ask("OPTIONS", "/cutover/mirror", &preflight, "");
    assert_eq!((reply.status, reply.header("access-control-max-age")), (204, Some("600")));
}
