//! Modes of mirrors: `/mirrors/{name}/mode`.
//!
//! Does no work: a mode change goes to the engine, which records it before this answers and applies it also when the
//! caller has gone.

mod request;

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, header};

use super::ApiState;
use super::audit::Done;
use super::body::{self, JsonBody};
use super::error::ApiError;
use super::wire::ModeBody;
use crate::domain::access::Principal;
use crate::domain::mode::Mode;
use crate::engine::{ModeWish, NotAccepted};
pub(super) use request::ModeRequest;

/// How long an answer waits for Gitea: setting the interval and reading it back takes some seconds.
const WAIT: Duration = Duration::from_secs(10);

/// In how many seconds to read the status of a mode that was not applied in time.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// Set a mirror's mode
///
/// `follow`: Gitea pulls from upstream on its own, and cutover-api checks and repairs it. `pinned`: the interval in Gitea
/// is set to `0s`, and no sync is requested; drift is shown, and neither repaired nor alerted on. `severed`: as pinned, and
/// upstream is not called at all. Runs on a mirror that does not follow fail with `mode-refuses`, also one in flight. Back
/// to `follow` restores the configured interval. Needs the role `operator`.
///
/// The mode change is recorded with its caller and reason, then applied in Gitea and read back: 200 when that is done,
/// else 202 after 10 seconds. Then it continues, and `problem` says what is in the way. The same mode again is 200 and
/// changes nothing; if it was not applied yet, that is tried again. The configuration's `mode` is in force until a mode is
/// set here, and again once it is changed in the configuration. A mirror that the configuration has severed can have no
/// other mode. `severed` by this call lasts as long as the journal: without it the mirror is `pinned`, which is what Gitea
/// shows. With `severed` only, `convert` makes the mirror a regular repository, for good; Forgejo offers that.
#[utoipa::path(
    put, path = "/mirrors/{name}/mode", operation_id = "setMode", tag = "modes",
    params(("name" = String, Path, description = "The mirror's name.")),
    request_body(content = ModeRequest, content_type = "application/json", description = "The mode, and why. At most 16 KiB."),
    responses(
        (status = 200, description = "The mode is set, in Gitea too.", body = ModeBody),
        (
            status = 202, description = "The mode is recorded, and not applied in Gitea yet.", body = ModeBody,
            headers(
                ("Location" = String, description = "The path of the mirror's status, which shows when it is applied."),
                ("Retry-After" = u32, description = "In how many seconds to look at it."),
            ),
        ),
    ),
)]
pub(super) async fn set(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    name: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody<ModeRequest>,
) -> Result<Response, ApiError> {
    let Path(mirror) = name.map_err(|_| NotAccepted::NoSuchMirror)?;
    let missing = || body::invalid("there is no body; send one such as {\"mode\": \"pinned\", \"reason\": \"…\"}");
    let asked = body.ok_or_else(missing)?;
    let wish = ModeWish { mirror, mode: asked.mode, reason: asked.reason, convert: asked.convert, by: principal.name };
    let set = state.engine.set_mode(wish).await?;
    // a caller that hangs up changes nothing: the mode is recorded
    let _ = tokio::time::timeout(WAIT, state.engine.mode_settled(&set.mirror)).await;
    let status = state.engine.status();
    let mirror = status.mirrors.iter().find(|one| one.spec.name == set.mirror).ok_or(NotAccepted::NoSuchMirror)?;
    let body = ModeBody::new(mirror);
    let applied = body.applied();
    let mut response = Json(body).into_response();
    if set.changed {
        let (mirror, mode): (_, Mode) = (set.mirror.clone(), asked.mode);
        response.extensions_mut().insert(Done::SetMode { mirror, mode, convert: asked.convert });
    }
    if !applied {
        *response.status_mut() = StatusCode::ACCEPTED;
        let place = HeaderValue::try_from(format!("/status/{}", set.mirror)).expect("names of mirrors are plain ASCII");
        response.headers_mut().insert(header::LOCATION, place);
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    Ok(response)
}
