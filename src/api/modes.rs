//! How mirrors are run: following upstream, pinned, severed.
//!
//! Owns `/mirrors/{name}/mode`. Does no work: the word goes to the engine, which writes it down before this answers and
//! carries it out whatever becomes of the caller.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, header};

use super::audit::Done;
use super::problem::Refusal;
use super::wire::{ModeBody, ModeRequest};
use super::{ApiState, body};
use crate::domain::access::Principal;
use crate::domain::mode::Mode;
use crate::engine::{ModeWish, NotAccepted};

/// How long an answer waits for Gitea: setting the interval and reading it back takes some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// When to look again, in seconds, at a mode that was not carried out meanwhile.
const LOOK_AGAIN: HeaderValue = HeaderValue::from_static("10");

/// Set a mirror's mode
///
/// `follow`: Gitea asks upstream by itself and we help. `pinned`: Gitea's interval is set to `0s` and it is asked for no
/// sync; that the copy drifts is shown, and neither healed nor alerted. `severed`: as pinned, and upstream is not called
/// at all. Runs on a mirror that does not follow fail with `mode-refuses`, also one that is under way. Back to `follow`
/// restores the configured interval. Needs the role `operator`.
///
/// The word is written down, with whose it is and why, and then carried out in Gitea and read back: 200 when that is
/// done, else 202 after 10 seconds; then it goes on, and `problem` says what is in the way. The same again is 200 and
/// changes nothing; if it was not carried out yet, that is tried anew. The configuration's `mode` counts until somebody
/// asks for another, and again once it is changed there; a mirror that the configuration has severed can be set to
/// nothing else. `severed` by this call lasts as long as the journal: one that is lost leaves the mirror `pinned`, which
/// is what Gitea shows. With `severed` only, `convert` makes the mirror a regular repository, for good; Forgejo offers
/// that.
#[utoipa::path(
    put, path = "/mirrors/{name}/mode", operation_id = "setMode", tag = "modes",
    params(("name" = String, Path, description = "The mirror's name.")),
    request_body(content = ModeRequest, content_type = "application/json", description = "How, and why. At most 16 KiB."),
    responses(
        (status = 200, description = "It is so: in Gitea, too.", body = ModeBody),
        (
            status = 202, description = "It is written down, and has not been carried out in Gitea yet.", body = ModeBody,
            headers(
                ("Location" = String, description = "The path of the mirror's status, which tells when it is."),
                ("Retry-After" = u32, description = "In how many seconds to look at it."),
            ),
        ),
    ),
)]
pub(super) async fn set(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let Path(mirror) = name.map_err(|_| NotAccepted::NoSuchMirror)?;
    let (head, body) = request.into_parts();
    let asked = body::read_mode(&head.headers, body).await?;
    let wish = ModeWish { mirror, mode: asked.mode, reason: asked.reason, convert: asked.convert, by: principal.name };
    let set = state.engine.set_mode(wish).await?;
    // whoever hangs up changes nothing: it is written down
    let _ = tokio::time::timeout(PATIENCE, state.engine.mode_settled(&set.mirror)).await;
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
        response.headers_mut().insert(header::RETRY_AFTER, LOOK_AGAIN);
    }
    Ok(response)
}
