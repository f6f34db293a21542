//! How an answer that is ready is sent: in full, packed, or not at all because its reader has it already.
//!
//! Owns `ETag`, `If-None-Match`, `Cache-Control`, gzip and `Vary`. Looks at whole bodies only; never holds up a stream, and
//! never changes what an answer says. The tag is taken from the body, not from a revision of ours: how fresh a copy is
//! depends on the time as well.

use std::fmt::Write as _;
use std::io::Write as _;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

/// The routes whose answers have a tag.
pub(super) const TAGGED: [&str; 4] = ["/status", "/status/{name}", "/cutover/runs", "/cutover/runs/{id}"];

/// Below this, packing costs more than it saves: such an answer is one packet either way.
const WORTH_PACKING: u64 = 1_024;

/// A reader has to ask whether what it keeps still holds.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// What a request says of how it wants its answer.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The tags that the reader has, if the route knows tags.
    has: Option<Vec<HeaderValue>>,
    head_only: bool,
    packed: bool,
}

impl Wanted {
    /// Reads it. Where there is a tag, a `HEAD` goes on as a `GET`, since only a body has one.
    pub(super) fn of(request: &mut Request, route: Option<&str>) -> Self {
        let packed = accepts_gzip(request.headers());
        let tagged = route.is_some_and(|route| TAGGED.contains(&route));
        let head_only = tagged && request.method() == Method::HEAD;
        if head_only {
            *request.method_mut() = Method::GET;
        }
        let has = (tagged && request.method() == Method::GET)
            .then(|| request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect());
        Self { has, head_only, packed }
    }

    /// The answer as it is sent.
    pub(super) async fn applied(self, mut response: Response) -> Response {
        let tagged = self.has.is_some() && response.status() == StatusCode::OK;
        let packable = is_packable(&response);
        if packable {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if (tagged || packable && self.packed) && response.body().size_hint().exact().is_some() {
            response = self.reworked(response, tagged, packable).await;
        }
        if self.head_only {
            let length = response.body().size_hint().exact().filter(|_| response.status() != StatusCode::NOT_MODIFIED);
            if let Some(length) = length {
                response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn reworked(&self, response: Response, tagged: bool, packable: bool) -> Response {
        let (mut head, body) = response.into_parts();
        let whole = body.collect().await.expect("a body of known size is in memory").to_bytes();
        if tagged {
            let tag = tag(&whole);
            let known = self.has.iter().flatten().any(|has| names(has, &tag));
            head.headers.insert(header::ETAG, tag);
            head.headers.insert(header::CACHE_CONTROL, ASK_AGAIN);
            if known {
                head.status = StatusCode::NOT_MODIFIED;
                head.headers.remove(header::CONTENT_TYPE);
                head.headers.remove(header::CONTENT_LENGTH);
                return Response::from_parts(head, Body::empty());
            }
        }
        if !(packable && self.packed) {
            return Response::from_parts(head, Body::from(whole));
        }
        head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, Body::from(pack(&whole)))
    }
}

/// A text of some length. A stream of events has none, and is never held back to be packed.
fn is_packable(response: &Response) -> bool {
    let Some(media_type) = response.headers().get(header::CONTENT_TYPE) else { return false };
    let text = [&b"text/"[..], b"application/json", b"application/problem+json"];
    text.iter().any(|kind| media_type.as_bytes().starts_with(kind))
        && response.body().size_hint().exact().is_some_and(|length| length >= WORTH_PACKING)
        && !response.headers().contains_key(header::CONTENT_ENCODING)
}

/// The tag of a body: weak, since it is the same for the packed one.
fn tag(body: &Bytes) -> HeaderValue {
    let mut tag = String::from("W/\"");
    for byte in &Sha256::digest(body)[..12] {
        write!(tag, "{byte:02x}").expect("writing to a String cannot fail");
    }
    tag.push('"');
    HeaderValue::try_from(tag).expect("a tag is plain ASCII")
}

/// Whether one `If-None-Match` header names the tag, compared weakly. Our tags have no comma in them.
fn names(has: &HeaderValue, tag: &HeaderValue) -> bool {
    fn opaque(text: &str) -> &str {
        text.strip_prefix("W/").unwrap_or(text)
    }
    let (Ok(has), Ok(tag)) = (has.to_str(), tag.to_str()) else { return false };
    has.trim() == "*" || has.split(',').any(|one| opaque(one.trim()) == opaque(tag))
}

/// Whether the caller takes gzip. One that takes nothing at all gets the plain answer: a refusal would help nobody.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for one in all.flat_map(|list| list.split(',')) {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1").trim();
        let wanted = weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

fn pack(body: &Bytes) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests;
