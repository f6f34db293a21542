//! Request bodies in JSON: media type, size, JSON, members, in this order.
//!
//! Owns every way in which a body can be wrong. Reads nothing of a request that has not passed its gate, keeps at most
//! [`LARGEST`] bytes of it, and never repeats a value in an answer.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny};

use super::error::ApiError;
use crate::domain::problem::Code;

/// The most bytes of a body.
pub(super) const LARGEST: usize = 16 * 1024;

/// How long a body may take: one of this size arrives at once, or its sender is not sending.
pub(super) const ARRIVAL: Duration = Duration::from_secs(5);

/// A type that a body is read into.
pub(super) trait Members: DeserializeOwned {
    /// Each member's name, and what its value must be.
    const MEMBERS: &'static [(&'static str, &'static str)];

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&self) -> Result<(), &'static str>;
}

/// The extractor of a body; `None`: there is none.
pub(super) struct JsonBody<T>(pub(super) Option<T>);

impl<T: Members, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() { Ok(Self(None)) } else { parse(&bytes).map(|value| Self(Some(value))) }
    }
}

async fn bytes<S: Send + Sync>(mut request: Request, state: &S) -> Result<Bytes, ApiError> {
    let headers = request.headers().clone();
    check_coding(&headers)?;
    let announced = request.body().size_hint().lower();
    if announced > 0 {
        check_media_type(&headers)?;
    }
    if announced > LARGEST as u64 {
        return Err(too_large());
    }
    DefaultBodyLimit::max(LARGEST).apply(&mut request);
    let read = tokio::time::timeout(ARRIVAL, Bytes::from_request(request, state)).await.map_err(|_| too_slow())?;
    if read.as_ref().map_or(true, |bytes| !bytes.is_empty()) {
        check_media_type(&headers)?;
    }
    read.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => cut("the body ended too early"),
    })
}

/// Parses a body that is not empty. Twice: the first pass finds what is no JSON at all, however deep, without recursion.
fn parse<T: Members>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = str::from_utf8(bytes).map_err(|_| malformed("the body is not UTF-8"))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    // a derived struct would be read from a list as well
    if !text.trim_start().starts_with('{') {
        return Err(invalid("the body must be a JSON object"));
    }
    let value: T = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| wrong_member::<T>(&error))?;
    value.check().map_err(invalid)?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    malformed(&format!("the body is not JSON: line {}, column {}", error.line(), error.column()))
}

/// The error of a body whose syntax is right. Of serde's text only names of members are repeated: it holds values as well.
fn wrong_member<T: Members>(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    // half a surrogate pair is no text, which the first pass does not see
    if !error.inner().is_data() {
        return not_json(error.inner());
    }
    let text = error.inner().to_string();
    let quoted = |before: &str| text.strip_prefix(before)?.split_once('`').map(|(name, _)| name);
    let must_be = |name: &str| T::MEMBERS.iter().find(|(member, _)| *member == name).map(|(_, must)| *must);
    if let Some(name) = quoted("unknown field `") {
        return ApiError::new(Code::UnknownField, format!("unknown field `{}`", abridged(name)));
    }
    if let Some(name) = quoted("duplicate field `") {
        return invalid(format!("duplicate field `{name}`"));
    }
    if let Some(name) = quoted("missing field `") {
        return invalid(format!("`{name}` is missing; it must be {}", must_be(name).unwrap_or_default()));
    }
    let path = error.path().to_string();
    let name = path.split(['.', '[']).next().unwrap_or_default();
    match must_be(name) {
        Some(must) => invalid(format!("`{name}` must be {must}")),
        None => invalid("a member of the body is wrong"),
    }
}

/// No transfer coding but the one that every server takes.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(cut("the body comes in a transfer encoding other than chunked"));
    }
    Ok(())
}

pub(super) fn too_slow() -> ApiError {
    ApiError::new(Code::RequestTimeout, "the body did not arrive within 5 seconds of its head").hanging_up()
}

fn too_large() -> ApiError {
    ApiError::new(Code::ContentTooLarge, format!("the body has more than {LARGEST} bytes")).hanging_up()
}

pub(super) fn cut(detail: &str) -> ApiError {
    malformed(detail).hanging_up()
}

pub(super) fn malformed(detail: &str) -> ApiError {
    ApiError::new(Code::MalformedRequest, detail)
}

pub(super) fn invalid(detail: impl AsRef<str>) -> ApiError {
    ApiError::new(Code::InvalidField, detail)
}

/// Refuses a body that does not say that it is JSON: this also keeps out forms of a browser.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |detail: &str| Err(ApiError::new(Code::UnsupportedMediaType, detail).hanging_up());
    let text = |name| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap_or("?"));
        if all.next().is_some() { Some("?") } else { first }
    };
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        return refuse("a body must come as it is, without a content encoding");
    }
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        refuse("a body must have the media type application/json")
    }
}

/// A name that the caller wrote, which is repeated up to some length.
fn abridged(name: &str) -> String {
    const LONGEST: usize = 40;
    let shown: String = name.chars().take(LONGEST).collect();
    if shown.len() < name.len() { shown + "…" } else { shown }
}

/// Reads an optional member: absent or there, but not null.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a text by `parse`.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("another text"))
}

#[cfg(test)]
mod tests;
