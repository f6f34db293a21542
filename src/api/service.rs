//! The service itself: probes, metrics, the specification and the pages of problems. Open to every caller.

use std::sync::OnceLock;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::header;

use super::ApiState;
use super::error::{ApiError, problem_page};
use super::wire::{ProblemCode, Well};
use crate::domain::problem::Code;
use crate::metrics;

/// Check liveness
///
/// Answered from memory; says nothing about Gitea or upstream.
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "service", security(()),
    responses((status = 200, description = "The process is alive.", body = Well)),
)]
pub(super) async fn healthz() -> Json<Well> {
    Json(Well { status: "ok" })
}

/// Check readiness
///
/// Whether a run would be accepted now. The service stays ready while Gitea or upstream is down: the status and the alerts
/// are needed just then.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "service", security(()),
    responses((status = 200, description = "Runs would be accepted now.", body = Well)),
)]
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<Json<Well>, ApiError> {
    state.engine.ready().await?;
    state.gate.access.ready()?;
    Ok(Json(Well { status: "ok" }))
}

/// Read the metrics
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "service", security(()),
    responses((
        status = 200, description = "Every metric, in Prometheus's text format.",
        content_type = "text/plain; version=0.0.4; charset=utf-8", body = String,
    )),
)]
pub(super) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    state.engine.looked_at_all();
    let text = state.metrics.render(&state.engine.status(), state.clock.now());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

/// Read this specification
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = "service", security(()),
    responses((
        status = 200, description = "The OpenAPI 3.1 specification of this service.",
        content_type = "application/json", body = serde_json::Value,
    )),
)]
pub(super) async fn openapi(State(state): State<ApiState>) -> impl IntoResponse {
    static SPECIFICATION: OnceLock<String> = OnceLock::new();
    ([(header::CONTENT_TYPE, "application/json")], SPECIFICATION.get_or_init(state.specification).as_str())
}

/// Read a problem's page
///
/// The target of a problem's `type`: its name, whether a retry can help, what it means and what to do.
#[utoipa::path(
    get, path = "/problems/{code}", operation_id = "getProblem", tag = "service", security(()),
    params(("code" = ProblemCode, Path, description = "The `error` of a problem.")),
    responses((
        status = 200, description = "The problem, for a person, as Markdown; sent as plain text, which every browser shows.",
        content_type = "text/plain; charset=utf-8", body = String,
    )),
)]
pub(super) async fn problem(code: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let unknown = || ApiError::not_found("no problem of this name is known");
    let Path(label) = code.map_err(|_| unknown())?;
    let code = Code::ALL.iter().copied().find(|code| code.label() == label).ok_or_else(unknown)?;
    Ok(problem_page(code))
}
