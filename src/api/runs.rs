//! Runs: `/cutover/…`.
//!
//! Does no work: a command goes to the engine, which answers at once. An accepted run continues when its caller has gone.

mod request;

use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use super::audit::Done;
use super::body::JsonBody;
use super::error::ApiError;
use super::page::{PageQuery, page};
use super::wire::{RunBody, RunList};
use super::{ApiState, headers};
use crate::domain::access::Principal;
use crate::domain::key::Keyed;
use crate::domain::run::{RunId, Trigger};
use crate::domain::spec::RunOptions;
use crate::engine::{Accepted, Ask, NotAccepted};
pub(super) use request::RunRequest;

/// How long to wait before looking at an accepted run, in seconds: a `noop` is done by then.
const LOOK_AGAIN: &str = "2";

/// The runs of a page, unless the caller says otherwise.
const PAGE: usize = 20;
/// The most runs of a page.
const LONGEST_PAGE: usize = 100;

/// Start a run
///
/// Brings mirrors in sync: creates, changes or syncs what is needed, and proves it by the refs of both sides. Needs the
/// role `operator`. The run continues when the caller hangs up. Follow it under `Location`, or let the answer wait for its
/// end with `Prefer: wait=60`. A run joins the work in flight on each of its mirrors. The same selection and options
/// return the run that is in flight, with `coalesced: true`, so that a retry is always safe. With an `Idempotency-Key` it
/// stays safe after the run has ended. With `dryRun` nothing is changed: the answer lists, for each mirror, the calls that
/// would be made and why. A dry run is not kept, and its key is ignored.
#[utoipa::path(
    post, path = "/cutover/mirror", operation_id = "startRun", tag = "runs",
    params(
        ("Prefer" = Option<String>, Header, nullable = false, example = "wait=60",
            description = "`wait=N`, N from 0 to 60: the answer comes when the run has ended, or after N seconds. Any \
                other preference is ignored. Hanging up cancels nothing."),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255, pattern = "^[!#-+.-~-]+$",
            example = "8e03978e-40d5-43dd-bc93-6894a57f9324",
            description = "The caller's name for this request. The same key with the same body gives the same run, \
                also after it has ended and after a restart, for 24 hours and at least as long as it is in flight. \
                1,024 keys are kept; those of ended runs go first. Bodies are compared as JSON; none is `{}`."),
    ),
    request_body(
        content = RunRequest, content_type = "application/json",
        description = "Which mirrors, and what may be done. Without a body, or with `{}`: all. At most 16 KiB.",
    ),
    responses(
        (
            status = 200, description = "The run has ended within the time that `Prefer` gave; or a dry run, whose \
                `id` is null and whose mirrors have a `plan`.", body = RunBody,
            headers(
                ("Location" = String, description = "The path of the run; absent for a dry run."),
                ("Preference-Applied" = String, description = "The preference that was met: `wait=N`."),
                ("Idempotency-Replayed" = bool, description = "`true`: the run was accepted by an earlier request with this key."),
            ),
        ),
        (
            status = 202, description = "Accepted: the run, new or joined.", body = RunBody,
            headers(
                ("Location" = String, description = "The path of the run."),
                ("Retry-After" = u32, description = "In how many seconds to look at it."),
                ("Preference-Applied" = String, description = "The preference that was met: `wait=N`, and the run went on for longer."),
                ("Idempotency-Replayed" = bool, description = "`true`: the run was accepted by an earlier request with this key."),
            ),
        ),
    ),
)]
pub(super) async fn start(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<RunRequest>,
) -> Result<Response, ApiError> {
    let body = request.unwrap_or_default();
    let request = body.fingerprint();
    let mut ask = Ask {
        mirrors: body.mirrors,
        options: RunOptions { on_legacy: body.on_legacy, accept_upstream: body.accept_upstream },
        key: None,
        requested_by: principal.name.clone(),
        trigger: Trigger::Api,
    };
    if body.dry_run == Some(true) {
        return Ok(Json(RunBody::dry(&state.engine.dry_run(ask).await?)).into_response());
    }
    let key = headers::key(&headers)?;
    ask.key = key.map(|key| Keyed { caller: principal.name, key, request });
    let mut accepted = state.engine.ask(ask).await?;
    let Some(wait) = headers::wait(&headers) else { return Ok(answer(&accepted, None)) };
    match tokio::time::timeout(wait, accepted.ended()).await {
        Ok(Some(run)) => {
            accepted.run = run;
            Ok(answer(&accepted, Some((wait, true))))
        }
        // the service is ending: not waited for, and the run goes on after the next start
        Ok(None) => Ok(answer(&accepted, None)),
        Err(_) => {
            // its state now, rather than the one in which it was accepted
            if let Ok(Some(run)) = state.engine.run(accepted.run.id).await {
                accepted.run = run;
            }
            Ok(answer(&accepted, Some((wait, false))))
        }
    }
}

/// The run as it was given; `waited`: for how long at most, and whether it has ended within.
fn answer(accepted: &Accepted, waited: Option<(Duration, bool)>) -> Response {
    let run = &accepted.run;
    let done = if accepted.coalesced { Done::Joined(run.id) } else { Done::Started(run.id) };
    let body = Json(RunBody::new(run, accepted.coalesced));
    let mut response = (Extension(done), body).into_response();
    let mut put = |name: HeaderName, text: String| {
        let value = HeaderValue::try_from(text).expect("paths and numbers are plain ASCII");
        response.headers_mut().insert(name, value);
    };
    put(header::LOCATION, format!("/cutover/runs/{}", run.id));
    if let Some((wait, _)) = waited {
        put(headers::PREFERENCE_APPLIED, format!("wait={}", wait.as_secs()));
    }
    if accepted.replayed {
        put(headers::IDEMPOTENCY_REPLAYED, "true".to_owned());
    }
    if waited.is_none_or(|(_, ended)| !ended) {
        put(header::RETRY_AFTER, LOOK_AGAIN.to_owned());
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    response
}

/// Cancel a run
///
/// Its mirrors that have not ended become `canceled`, and the work on them stops, unless another run waits for it. Gitea
/// gets no call: a clone that it has begun continues, as `note` then says, and the next run waits for it. Needs the role
/// `operator`.
#[utoipa::path(
    delete, path = "/cutover/runs/{id}", operation_id = "cancelRun", tag = "runs",
    params(("id" = uuid::Uuid, Path, description = "The run's id.")),
    responses((status = 200, description = "The run, which has ended.", body = RunBody)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let canceled = state.engine.cancel(named(id)?).await?;
    let done = Done::Canceled(canceled.run.id);
    Ok((Extension(done), Json(RunBody::canceled(&canceled.run, canceled.in_gitea))).into_response())
}

/// List runs
///
/// Newest first, a page at a time.
#[utoipa::path(
    get, path = "/cutover/runs", operation_id = "listRuns", tag = "runs",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "How many runs; 20 unless given."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description = "The `nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page of runs.", body = RunList)),
)]
pub(super) async fn list(State(state): State<ApiState>, uri: Uri) -> Result<Json<RunList>, ApiError> {
    let PageQuery { limit, after } = page(uri.query().unwrap_or_default(), 1..=LONGEST_PAGE, run_id)?;
    let limit = limit.unwrap_or(PAGE);
    // one more than is shown tells whether there is another page
    let mut runs = state.engine.runs(limit + 1, after).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next_cursor = runs.last().filter(|_| more).map(|run| run.id.to_string());
    Ok(Json(RunList { runs: runs.iter().map(|run| RunBody::new(run, false)).collect(), next_cursor }))
}

/// Read a run
#[utoipa::path(
    get, path = "/cutover/runs/{id}", operation_id = "getRun", tag = "runs",
    params(("id" = uuid::Uuid, Path, description = "The run's id.")),
    responses((status = 200, description = "The run.", body = RunBody)),
)]
pub(super) async fn get(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<RunBody>, ApiError> {
    let run = state.engine.run(named(id)?).await?.ok_or(NotAccepted::UnknownRun)?;
    Ok(Json(RunBody::new(&run, false)))
}

/// The run that a path names; any other text is an unknown run.
pub(super) fn named(id: Result<Path<String>, PathRejection>) -> Result<RunId, NotAccepted> {
    id.ok().and_then(|Path(id)| run_id(&id)).ok_or(NotAccepted::UnknownRun)
}

/// A run's id, in the one spelling that answers have.
fn run_id(text: &str) -> Option<RunId> {
    RunId::parse(text).filter(|id| id.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab0de-7c00-7000-8000-000000000001";

    #[test]
    fn an_id_has_one_spelling() {
        assert!(run_id(ID).is_some());
        for bad in ["", "x", &ID.to_uppercase(), &ID.replace('-', ""), &format!("{{{ID}}}"), "../status"] {
            assert!(run_id(bad).is_none(), "{bad}");
        }
    }
}
