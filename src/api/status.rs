//! Reading where everything stands.
//!
//! Owns `/status…`. Answers from memory; a read never waits for the network.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::ApiState;
use super::problem::Refusal;
use super::wire::{MirrorBody, StatusBody};

/// Read where everything stands
///
/// Every mirror, the latest run, Gitea as it was seen last, and the members that the platform's console reads.
#[utoipa::path(
    get, path = "/status", operation_id = "getStatus", tag = "status",
    responses((status = 200, description = "Where everything stands.", body = StatusBody)),
)]
pub(super) async fn all(State(state): State<ApiState>) -> Json<StatusBody> {
    Json(StatusBody::new(&state.engine.status(), state.clock.now()))
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
    Ok(Json(MirrorBody::new(mirror, state.clock.now())))
}
