//! Streams of events (`text/event-stream`): everything, or one run.
//!
//! Owns `/events` and `/cutover/runs/{id}/events`: their parameters, how many streams there are, and where one begins.
//! Events come from the engine; nothing is collected here for a reader that does not read.

mod message;
mod platform;
mod stream;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use tokio::sync::Semaphore;
use url::form_urlencoded;

use self::stream::Stream;
use super::ApiState;
use super::error::ApiError;
use super::runs::named;
use super::wire::EventBody;
use crate::domain::event::EventId;
use crate::domain::problem::Code;
use crate::domain::run::RunId;
use crate::engine::Place;

/// The paths that answer with streams.
pub(super) const ROUTES: [&str; 2] = ["/events", "/cutover/runs/{id}/events"];

/// The last event that a reader has.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells nginx, and proxies that understand the same header, not to buffer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How many streams there may be.
#[derive(Clone)]
pub struct Streams(Arc<Semaphore>);

impl Streams {
    /// So many at a time, and at least one.
    #[must_use]
    pub fn at_most(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.max(1))))
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streams").field(&self.0.available_permits()).finish()
    }
}

/// The vocabulary of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StreamFormat {
    /// This service's own.
    #[default]
    Own,
    /// That of the platform's own stream.
    Platform,
}

/// Follow everything
///
/// A stream of events (SSE). It begins with a `snapshot` of the status. Then comes each change: of runs (`run-accepted`,
/// `run-ended`), of their mirrors (`phase`, `mirror-ended`, `rewritten`) and of what is known of each mirror (`freshness`,
/// `mode`). Ids rise. To resume, send the last id as `Last-Event-ID`, also after a restart; if some of the events since are
/// no longer kept (10,000 are), a `snapshot` with `missed: true` comes instead. A comment comes at least every 15 seconds.
/// A reader that does not keep up is disconnected. When the service ends, `shutdown` comes last.
#[utoipa::path(
    get, path = "/events", operation_id = "followEvents", tag = "events",
    params(
        ("format" = Option<String>, Query, nullable = false, pattern = "^(own|platform)$", description = "`platform`: with the event names and the payload of the platform's own stream."),
        ("Last-Event-ID" = Option<String>, Header, nullable = false, example = "4711", description = "The `id` of the last event that the caller has. With an unknown id the stream begins with a snapshot."),
    ),
    responses((status = 200, description = "The stream. The `data` of each event is one of these, as its `event` says.",
        content_type = "text/event-stream", body = EventBody)),
)]
pub(super) async fn all(
    State(state): State<ApiState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    open(&state, &method, None, &uri, &headers).await
}

/// Follow a run
///
/// The stream of one run (SSE): a `snapshot` of it, its events, and `run-ended` last, after which the stream ends.
/// Otherwise as the stream of everything. A run that has ended has the same stream; a caller whose `Last-Event-ID` is its
/// end already gets 204, at which a browser stops reconnecting.
#[utoipa::path(
    get, path = "/cutover/runs/{id}/events", operation_id = "followRun", tag = "events",
    params(
        ("id" = uuid::Uuid, Path, description = "The run's id."),
        ("format" = Option<String>, Query, nullable = false, pattern = "^(own|platform)$", description = "`platform`: with the event names and the payload of the platform's own stream."),
        ("Last-Event-ID" = Option<String>, Header, nullable = false, example = "4711", description = "The `id` of the last event that the caller has. With an unknown id the stream begins with a snapshot."),
    ),
    responses(
        (status = 200, description = "The stream. The `data` of each event is one of these, as its `event` says.",
            content_type = "text/event-stream", body = EventBody),
        (status = 204, description = "The run has ended, and the caller has its last event."),
    ),
)]
pub(super) async fn of_run(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    open(&state, &method, Some(named(id)?), &uri, &headers).await
}

async fn open(
    state: &ApiState,
    method: &Method,
    run: Option<RunId>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let format = format(uri.query().unwrap_or_default())?;
    let permit = Arc::clone(&state.streams.0).try_acquire_owned().map_err(|_| {
        ApiError::new(
            Code::TooManyStreams,
            "as many streams of events are open as there may be; nothing else is held up",
        )
    })?;
    // the platform's stream begins with the status at each connection
    let place = Place { run, after: last_event_id(headers), always_snapshot: format == StreamFormat::Platform };
    let mut feed = state.engine.follow(place).await?;
    if feed.is_over().await {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let unbuffered = [(X_ACCEL_BUFFERING, "no")];
    // a request for the head alone opens no stream
    if method == Method::HEAD {
        return Ok((unbuffered, Sse::new(futures_util::stream::empty::<Result<_, Infallible>>())).into_response());
    }
    Ok((unbuffered, Stream::new(feed, format, state, permit).into_sse()).into_response())
}

/// The last event that the caller has. An unknown id still says that the caller has seen something, and is treated as an
/// id that is no longer kept.
fn last_event_id(headers: &HeaderMap) -> Option<EventId> {
    let mut all = headers.get_all(LAST_EVENT_ID).iter();
    let given = all.next()?;
    // a browser that has none sends none, or an empty one
    if given.is_empty() {
        return None;
    }
    let one = given.to_str().ok().filter(|_| all.next().is_none()).and_then(EventId::parse);
    Some(one.unwrap_or(EventId::UNKNOWN))
}

/// Reads a query; unknown parameters are ignored.
fn format(query: &str) -> Result<StreamFormat, ApiError> {
    let mut format = None;
    for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "format") {
        let given = match &*value {
            "own" => StreamFormat::Own,
            "platform" => StreamFormat::Platform,
            _ => return Err(ApiError::new(Code::InvalidField, "`format` must be `own` or `platform`")),
        };
        if format.replace(given).is_some() {
            return Err(ApiError::new(Code::InvalidField, "`format` may be given once"));
        }
    }
    Ok(format.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_format_is_one_of_two_and_stands_once() {
        for (query, expected) in [
            ("", StreamFormat::Own),
            ("format=own", StreamFormat::Own),
            ("x=1&format=platform", StreamFormat::Platform),
        ] {
            assert_eq!(format(query).unwrap(), expected, "{query}");
        }
        for bad in ["format=", "format=Platform", "format=own&format=own"] {
            assert_eq!(format(bad).unwrap_err().code(), Code::InvalidField, "{bad}");
        }
    }

    #[test]
    fn an_id_that_is_none_of_ours_stands_for_one_that_is_not_known() {
        let of = |values: &[&'static [u8]]| {
            let values = values.iter().map(|value| (LAST_EVENT_ID, HeaderValue::from_bytes(value).unwrap()));
            last_event_id(&values.collect())
        };
        assert_eq!((of(&[]), of(&[b""])), (None, None));
        assert_eq!(of(&[b"17"]), Some(EventId::new(17)));
        for bad in [&[&b"x"[..]][..], &[b"-1"], &[b"\xff"], &[b"1", b"1"], &[b"99999999999999999999"]] {
            assert_eq!(of(bad), Some(EventId::UNKNOWN), "{bad:?}");
        }
    }
}
