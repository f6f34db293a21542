//! Reading where everything stands.
//!
//! Owns `/status…`. Answers from memory; a read never waits for the network. Freshness is judged to the second, so that
//! the whole answer is the same for all who ask within one while nothing has changed, and is made once.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Uri;
use jiff::Timestamp;

use super::ApiState;
use super::paging::{Page, page};
use super::problem::Refusal;
use super::representation::Whole;
use super::wire::{MirrorBody, StatusBody};
use crate::domain::status::Status;

/// The most mirrors of a page.
const LONGEST_PAGE: usize = 1_000;

/// A longer answer is made each time: keeping it would cost more memory than its few readers cost time.
const WORTH_KEEPING: usize = 256 * 1024;

/// The latest answer of `GET /status`.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Option<Made>>);

#[derive(Clone, Debug)]
struct Made {
    of: Arc<Status>,
    at: Timestamp,
    whole: Whole,
}

impl Latest {
    fn of(&self, status: &Arc<Status>, at: Timestamp) -> Whole {
        let kept = self.0.lock().expect("no code panics while holding this lock").clone();
        if let Some(made) = kept.filter(|made| Arc::ptr_eq(&made.of, status) && made.at == at) {
            return made.whole;
        }
        let whole = Whole::json(&StatusBody::new(status, at));
        let made = (whole.len() <= WORTH_KEEPING).then(|| Made { of: Arc::clone(status), at, whole: whole.clone() });
        *self.0.lock().expect("no code panics while holding this lock") = made;
        whole
    }
}

/// Now, to the second.
fn now(state: &ApiState) -> Timestamp {
    let now = state.clock.now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Read where everything stands
///
/// Every mirror, the latest run, Gitea as it was seen last, and the members that the platform's console reads. It is
/// answered at once with what was seen last; when that is old, both sides are observed anew for whoever asks next.
#[utoipa::path(
    get, path = "/status", operation_id = "getStatus", tag = "status",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "How many mirrors; all unless given."),
        ("cursor" = Option<String>, Query, description = "The `nextCursor` of the page before."),
    ),
    responses((status = 200, description = "Where everything stands.", body = StatusBody)),
)]
pub(super) async fn all(State(state): State<ApiState>, uri: Uri) -> Result<Response, Refusal> {
    let status = state.engine.status();
    let place = |name: &str| status.mirrors.iter().position(|mirror| mirror.spec.name.as_str() == name);
    let Page { limit, after } = page(uri.query().unwrap_or_default(), 1..=LONGEST_PAGE, place)?;
    if limit.is_none() && after.is_none() {
        state.engine.looked_at_all();
        return Ok(state.latest.of(&status, now(&state)).into());
    }
    let first = after.map_or(0, |after| after + 1);
    let end = limit.map_or(usize::MAX, |limit| first + limit).min(status.mirrors.len());
    state.engine.looked_at(status.mirrors[first..end].iter().map(|mirror| &mirror.spec.name));
    Ok(Whole::json(&StatusBody::page(&status, first..end, now(&state))).into())
}

/// Read where one mirror stands
#[utoipa::path(
    get, path = "/status/{name}", operation_id = "getMirrorStatus", tag = "status",
    params(("name" = String, Path, description = "The mirror's name.")),
    responses((status = 200, description = "Where the mirror stands.", body = MirrorBody)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<MirrorBody>, Refusal> {
    let unknown = || Refusal::not_found("no mirror of this name is configured");
    let Path(name) = name.map_err(|_| unknown())?;
    let status = state.engine.status();
    let mirror = status.mirrors.iter().find(|mirror| mirror.spec.name.as_str() == name).ok_or_else(unknown)?;
    state.engine.looked_at([&mirror.spec.name]);
    Ok(Json(MirrorBody::new(mirror, now(&state))))
}
