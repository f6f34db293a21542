use std::convert::Infallible;

use axum::body::Body;
use futures_util::stream;
use http::HeaderValue;

use super::*;
use crate::api::modes::ModeRequest;
use crate::api::runs::RunRequest;
use crate::domain::mode::Mode;
use crate::domain::refs::Digest;
use crate::domain::spec::OnLegacy;

fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

fn json() -> HeaderMap {
    headers(&[(header::CONTENT_TYPE, "application/json")])
}

async fn read<T: Members>(headers: &HeaderMap, body: impl Into<Body>) -> Result<Option<T>, ApiError> {
    let mut request = Request::new(body.into());
    *request.headers_mut() = headers.clone();
    JsonBody::from_request(request, &()).await.map(|JsonBody(body)| body)
}

async fn code(headers: &HeaderMap, body: impl Into<Body>) -> Result<RunRequest, Code> {
    read(headers, body).await.map(Option::unwrap_or_default).map_err(|error| error.code())
}

/// The code and the detail of a refused body.
async fn refused<T: Members>(body: &str) -> (Code, String) {
    let error = read::<T>(&json(), body.to_owned()).await.err().unwrap();
    (error.code(), String::from_utf8(error.body("id")).unwrap())
}

/// A body whose length nobody has announced.
fn chunked(parts: &[&[u8]]) -> Body {
    let parts: Vec<_> = parts.iter().map(|part| Ok::<_, Infallible>(Bytes::copy_from_slice(part))).collect();
    Body::from_stream(stream::iter(parts))
}

const ALL: Result<RunRequest, Code> =
    Ok(RunRequest { mirrors: None, on_legacy: None, accept_upstream: None, dry_run: None });

fn some(names: &[&str]) -> RunRequest {
    RunRequest { mirrors: Some(names.iter().map(ToString::to_string).collect()), ..RunRequest::default() }
}

#[tokio::test]
async fn nothing_and_an_empty_object_ask_for_all() {
    for headers in [HeaderMap::new(), json(), headers(&[(header::CONTENT_TYPE, "text/plain")])] {
        assert_eq!(code(&headers, Body::empty()).await, ALL);
        assert_eq!(code(&headers, chunked(&[])).await, ALL);
    }
    assert_eq!(code(&json(), "{}").await, ALL);
    assert_eq!(code(&json(), " {\n} ").await, ALL);
    assert_eq!(code(&headers(&[(header::CONTENT_TYPE, "Application/JSON ; charset=utf-8")]), "{}").await, ALL);
    assert_eq!(code(&json(), r#"{"mirrors": ["a", "b"]}"#).await, Ok(some(&["a", "b"])));
    assert_eq!(code(&json(), chunked(&[b"{\"mirr", b"ors\":[\"a\"]}"])).await, Ok(some(&["a"])));
    assert_eq!(code(&json(), r#"{"mirrors": ["\u0061"]}"#).await, Ok(some(&["a"])));
}

#[tokio::test]
async fn every_option_is_read() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let body = format!(r#"{{"acceptUpstream": "{digest}", "onLegacy": "renameAside", "dryRun": false}}"#);
    let expected = RunRequest {
        mirrors: None,
        on_legacy: Some(OnLegacy::RenameAside),
        accept_upstream: Digest::parse(&digest),
        dry_run: Some(false),
    };
    assert_eq!(code(&json(), body).await, Ok(expected));
    let refuse = code(&json(), r#"{"onLegacy": "refuse", "dryRun": true}"#).await.unwrap();
    assert_eq!((refuse.on_legacy, refuse.dry_run), (Some(OnLegacy::Refuse), Some(true)));
}

#[tokio::test]
async fn bodies_are_the_same_as_json_or_not() {
    let of = |body: &'static str| async move { code(&json(), body).await.unwrap().fingerprint() };
    let empty = code(&HeaderMap::new(), Body::empty()).await.unwrap().fingerprint();
    assert_eq!(empty, of("{}").await);
    let one = of(r#"{"mirrors": ["a", "b"], "dryRun": false}"#).await;
    assert_eq!(one, of(r#"{ "dryRun":false,"mirrors":["\u0061","b"] }"#).await);
    for other in [
        "{}",
        r#"{"dryRun": false}"#,
        r#"{"mirrors": ["a", "b"]}"#,
        r#"{"mirrors": ["b", "a"], "dryRun": false}"#,
        r#"{"mirrors": ["a", "b"], "dryRun": true}"#,
        r#"{"mirrors": ["a", "b"], "dryRun": false, "onLegacy": "refuse"}"#,
    ] {
        assert_ne!(one, of(other).await, "{other}");
    }
}

#[tokio::test]
async fn every_wrong_body_has_its_code() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let cases: Vec<(Vec<u8>, Code)> = [
        ("{\"mirrors\":[\"a\"", Code::MalformedRequest),
        ("{'mirrors':['a']}", Code::MalformedRequest),
        ("{/*c*/}", Code::MalformedRequest),
        ("{\"mirrors\":[\"a\"],}", Code::MalformedRequest),
        ("{} {}", Code::MalformedRequest),
        ("{\"mirrors\":[NaN]}", Code::MalformedRequest),
        ("{\"mirrors\":[\"a\u{1}\"]}", Code::MalformedRequest),
        ("{\"mirrors\":[\"\\ud800\"]}", Code::MalformedRequest),
        ("\u{feff}{}", Code::MalformedRequest),
        (" ", Code::MalformedRequest),
        ("{\"admin\":true,", Code::MalformedRequest),
        ("[]", Code::InvalidField),
        ("null", Code::InvalidField),
        ("true", Code::InvalidField),
        ("\"x\"", Code::InvalidField),
        ("1", Code::InvalidField),
        ("-1.5", Code::InvalidField),
        ("{\"mirrors\":null}", Code::InvalidField),
        ("{\"mirrors\":\"a\"}", Code::InvalidField),
        ("{\"mirrors\":{\"a\":1}}", Code::InvalidField),
        ("{\"mirrors\":1}", Code::InvalidField),
        ("{\"mirrors\":[]}", Code::InvalidField),
        ("{\"mirrors\":[1]}", Code::InvalidField),
        ("{\"mirrors\":[\"a\",null]}", Code::InvalidField),
        ("{\"mirrors\":[[\"a\"]]}", Code::InvalidField),
        ("{\"mirrors\":[\"a\",\"a\"]}", Code::InvalidField),
        ("{\"mirrors\":[\"a\"],\"mirrors\":[\"b\"]}", Code::InvalidField),
        ("{\"admin\":true}", Code::UnknownField),
        ("{\"__proto__\":{}}", Code::UnknownField),
        ("{\"Mirrors\":[\"a\"]}", Code::UnknownField),
        ("{\"dry_run\":true}", Code::UnknownField),
        ("{\"dryRun\":\"yes\"}", Code::InvalidField),
        ("{\"dryRun\":null}", Code::InvalidField),
        ("{\"dryRun\":1}", Code::InvalidField),
        ("{\"dryRun\":true,\"dryRun\":true}", Code::InvalidField),
        ("{\"onLegacy\":\"Refuse\"}", Code::InvalidField),
        ("{\"onLegacy\":\"rename-aside\"}", Code::InvalidField),
        ("{\"onLegacy\":null}", Code::InvalidField),
        ("{\"onLegacy\":[\"refuse\"]}", Code::InvalidField),
        ("{\"onLegacy\":true}", Code::InvalidField),
        ("{\"acceptUpstream\":\"x\"}", Code::InvalidField),
        ("{\"acceptUpstream\":\"\"}", Code::InvalidField),
        ("{\"acceptUpstream\":{}}", Code::InvalidField),
        (
            "{\"acceptUpstream\":\"sha256:ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789\"}",
            Code::InvalidField,
        ),
        ("{\"a\":1,\"a\":2}", Code::UnknownField),
    ]
    .into_iter()
    .map(|(body, code)| (body.as_bytes().to_vec(), code))
    .chain([
        (b"{\"mirrors\":[\"\xff\"]}".to_vec(), Code::MalformedRequest),
        (deep(200).into_bytes(), Code::InvalidField),
        (deep(8_000).into_bytes(), Code::InvalidField),
        ("[".repeat(16_000).into_bytes(), Code::MalformedRequest),
        (format!("{{\"x\":{}}}", deep(8_000)).into_bytes(), Code::UnknownField),
        (format!("{{\"mirrors\":{}}}", deep(8_000)).into_bytes(), Code::InvalidField),
        (
            format!("{{\"mirrors\":{}}}", "{\"a\":".repeat(2_000) + "1" + &"}".repeat(2_000)).into_bytes(),
            Code::InvalidField,
        ),
    ])
    .collect();
    for (body, expected) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(code(&json(), body).await, Err(expected), "{shown}");
    }
}

#[tokio::test]
async fn a_number_out_of_range_is_refused_one_way_or_the_other() {
    for number in ["1e400", "-0", "1234567890123456789012345678901234567890"] {
        let refused = code(&json(), format!("{{\"mirrors\":[{number}]}}")).await;
        assert!(matches!(refused, Err(Code::InvalidField | Code::MalformedRequest)), "{number}");
    }
}

#[tokio::test]
async fn the_sixteenth_kibibyte_is_the_last() {
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert_eq!(code(&json(), padded(LARGEST)).await, ALL);
    assert_eq!(code(&json(), padded(LARGEST + 1)).await, Err(Code::ContentTooLarge));
    let (half, rest) = (vec![b' '; LARGEST], b"{}".as_slice());
    assert_eq!(code(&json(), chunked(&[&half, rest])).await, Err(Code::ContentTooLarge));
}

#[tokio::test]
async fn a_body_must_be_plain_json_and_that_is_seen_before_its_size() {
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""]
    {
        let headers = headers(&[(header::CONTENT_TYPE, media_type)]);
        assert_eq!(code(&headers, "{}").await, Err(Code::UnsupportedMediaType), "{media_type}");
        assert_eq!(code(&headers, "x".repeat(LARGEST + 1)).await, Err(Code::UnsupportedMediaType));
        assert_eq!(code(&headers, chunked(&[&vec![b'x'; LARGEST + 1]])).await, Err(Code::UnsupportedMediaType));
        assert_eq!(code(&headers, chunked(&[b"{}"])).await, Err(Code::UnsupportedMediaType));
    }
    assert_eq!(code(&HeaderMap::new(), "{}").await, Err(Code::UnsupportedMediaType));
    let mut packed = json();
    packed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(code(&packed, "{}").await, Err(Code::UnsupportedMediaType));
    packed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    assert_eq!(code(&packed, "{}").await, ALL);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    assert_eq!(code(&json(), never).await, Err(Code::RequestTimeout));
}

#[tokio::test]
async fn the_detail_names_the_member_and_never_the_value() {
    for (body, member) in [
        ("{\"dryRun\": \"hunter2\"}", "`dryRun`"),
        ("{\"mirrors\": \"hunter2\"}", "`mirrors`"),
        ("{\"mirrors\": [[\"hunter2\"]]}", "`mirrors`"),
        ("{\"onLegacy\": {\"hunter2\": 1}}", "`onLegacy`"),
        ("{\"acceptUpstream\": \"hunter2`\"}", "`acceptUpstream`"),
    ] {
        let (_, detail) = refused::<RunRequest>(body).await;
        assert!(detail.contains(member) && !detail.contains("hunter2"), "{body}: {detail}");
    }
    let long = format!("{{\"{}\": 1}}", "x".repeat(4_000));
    assert!(refused::<RunRequest>(&long).await.1.contains(&("x".repeat(40) + "…")));
}

#[tokio::test]
async fn a_unit_of_a_closed_set_is_a_text_and_no_object() {
    for body in ["{\"onLegacy\": {\"refuse\": null}}", "{\"onLegacy\": [\"refuse\", null]}"] {
        assert_eq!(code(&json(), body).await, Err(Code::InvalidField), "{body}");
    }
}

#[tokio::test]
async fn a_mode_is_read_with_its_reason_and_every_fault_is_named() {
    let mode = async |body: &'static str| read::<ModeRequest>(&json(), body).await.unwrap().unwrap();
    let asked = mode(r#"{"mode": "severed", "reason": "the freeze", "convert": true}"#).await;
    assert_eq!(asked, ModeRequest { mode: Mode::Severed, reason: Some("the freeze".into()), convert: true });
    let asked = mode(r#"{"mode": "follow", "convert": false}"#).await;
    assert_eq!(asked, ModeRequest { mode: Mode::Follow, reason: None, convert: false });
    assert!(read::<ModeRequest>(&json(), "").await.unwrap().is_none());
    let long = format!(r#"{{"mode": "pinned", "reason": "{}"}}"#, "ü".repeat(301));
    let deep = format!(r#"{{"reason": {}}}"#, "[".repeat(5_000) + &"]".repeat(5_000));
    for (text, code, part) in [
        ("{", Code::MalformedRequest, "not JSON"),
        ("[]", Code::InvalidField, "JSON object"),
        (r#"["pinned", null, false]"#, Code::InvalidField, "JSON object"),
        ("null", Code::InvalidField, "JSON object"),
        ("{}", Code::InvalidField, "`mode` is missing"),
        (r#"{"mode": "Pinned"}"#, Code::InvalidField, "`mode` must be"),
        (r#"{"mode": null}"#, Code::InvalidField, "`mode` must be"),
        (r#"{"mode": ["pinned"]}"#, Code::InvalidField, "`mode` must be"),
        (r#"{"mode": "pinned", "mode": "follow"}"#, Code::InvalidField, "duplicate field `mode`"),
        (r#"{"mode": "pinned", "reason": ""}"#, Code::InvalidField, "`reason`"),
        (r#"{"mode": "pinned", "reason": null}"#, Code::InvalidField, "`reason`"),
        (r#"{"mode": "pinned", "reason": "a\nb"}"#, Code::InvalidField, "`reason`"),
        (r#"{"mode": "pinned", "reason": 7}"#, Code::InvalidField, "`reason`"),
        (&long, Code::InvalidField, "`reason`"),
        (&deep, Code::InvalidField, "`reason`"),
        (r#"{"mode": "severed", "convert": "yes"}"#, Code::InvalidField, "`convert`"),
        (r#"{"mode": "severed", "convert": null}"#, Code::InvalidField, "`convert`"),
        (r#"{"mode": "pinned", "convert": true}"#, Code::InvalidField, "`severed` only"),
        (r#"{"mode": "pinned", "why": "x"}"#, Code::UnknownField, "`why`"),
    ] {
        let (found, body) = refused::<ModeRequest>(text).await;
        assert!(found == code && body.contains(part), "{text:.60}: {body}");
    }
}

#[tokio::test]
async fn a_body_that_is_packed_on_the_way_is_not_read() {
    for (coding, expected) in [("chunked", ALL), ("Chunked", ALL), ("gzip, chunked", Err(Code::MalformedRequest))] {
        let mut headers = json();
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static(coding));
        assert_eq!(code(&headers, chunked(&[])).await, expected, "{coding}");
    }
}
