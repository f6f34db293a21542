//! `GET /status` and `GET /status/{name}`.
//!
//! Answers from the published status; a read never waits for the network. Freshness is judged to the second, so that the
//! answer, and with it its `ETag`, stays the same within one while nothing has changed.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::Uri;
use jiff::Timestamp;

use super::ApiState;
use super::error::ApiError;
use super::page::{PageQuery, page};
use super::wire::{MirrorBody, StatusBody};

/// The most mirrors of a page.
const LONGEST_PAGE: usize = 1_000;

/// Now, to the second.
fn now(state: &ApiState) -> Timestamp {
    let now = state.clock.now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Read the status
///
/// Every mirror, the latest run, Gitea as last seen, and the members that the platform's console reads. The answer comes
/// at once, from what was seen last. When that is old, both sides are observed again for the next read.
#[utoipa::path(
    get, path = "/status", operation_id = "getStatus", tag = "status",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "How many mirrors; all unless given."),
        ("cursor" = Option<String>, Query, description = "The `nextCursor` of the page before."),
    ),
    responses((status = 200, description = "The status.", body = StatusBody)),
)]
pub(super) async fn all(State(state): State<ApiState>, uri: Uri) -> Result<Json<StatusBody>, ApiError> {
    let status = state.engine.status();
    let place = |name: &str| status.mirrors.iter().position(|mirror| mirror.spec.name.as_str() == name);
    let PageQuery { limit, after } = page(uri.query().unwrap_or_default(), 1..=LONGEST_PAGE, place)?;
    if limit.is_none() && after.is_none() {
        state.engine.looked_at_all();
        return Ok(Json(StatusBody::new(&status, now(&state))));
    }
    let first = after.map_or(0, |after| after + 1);
    let end = limit.map_or(usize::MAX, |limit| first + limit).min(status.mirrors.len());
    state.engine.looked_at(status.mirrors[first..end].iter().map(|mirror| &mirror.spec.name));
    Ok(Json(StatusBody::page(&status, first..end, now(&state))))
}

/// Read the status of a mirror
#[utoipa::path(
    get, path = "/status/{name}", operation_id = "getMirrorStatus", tag = "status",
    params(("name" = String, Path, description = "The mirror's name.")),
    responses((status = 200, description = "The status of the mirror.", body = MirrorBody)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<MirrorBody>, ApiError> {
    let unknown = || ApiError::not_found("no mirror of this name is configured");
    let Path(name) = name.map_err(|_| unknown())?;
    let status = state.engine.status();
    let mirror = status.mirrors.iter().find(|mirror| mirror.spec.name.as_str() == name).ok_or_else(unknown)?;
    state.engine.looked_at([&mirror.spec.name]);
    Ok(Json(MirrorBody::new(mirror, now(&state))))
}
