//! The `ETag` of answers that callers read again and again, and the 304 to a caller that has the answer already.
//!
//! Owns `ETag`, `If-None-Match` and `Cache-Control` of these routes. A tag is taken from the plain body, so that it is the
//! same for the compressed one, and not from a revision: how fresh a copy is depends on the time as well.

use std::fmt::Write as _;

use axum::body::{self, Body};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::error::ApiError;

/// The routes whose answers have a tag.
pub(super) const TAGGED: [&str; 4] = ["/status", "/status/{name}", "/cutover/runs", "/cutover/runs/{id}"];

/// The middleware: adds the tag to a 200, or answers 304.
pub(super) async fn tag(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !(reads && route.is_some_and(|route| TAGGED.contains(&route.as_str()))) {
        return next.run(request).await;
    }
    let known: Vec<_> = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(body) = body::to_bytes(body, usize::MAX).await else { return ApiError::panicked().into_response() };
    let tag = tag_of(&body);
    let matches = known.iter().any(|known| names(known, &tag));
    head.headers.insert(header::ETAG, tag);
    // a cache has to ask whether what it keeps still holds
    head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    head.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if matches {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

/// The tag of a body: weak, since it is the same for the compressed one.
fn tag_of(body: &[u8]) -> HeaderValue {
    let mut tag = String::from("W/\"");
    for byte in &Sha256::digest(body)[..12] {
        write!(tag, "{byte:02x}").expect("writing to a String cannot fail");
    }
    tag.push('"');
    HeaderValue::try_from(tag).expect("a tag is plain ASCII")
}

/// Whether one `If-None-Match` header names the tag, compared weakly. No tag of this service has a comma in it.
fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    fn opaque(text: &str) -> &str {
        text.strip_prefix("W/").unwrap_or(text)
    }
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.trim() == "*" || known.split(',').any(|one| opaque(one.trim()) == opaque(tag))
}

#[cfg(test)]
mod tests;
