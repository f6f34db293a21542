//! The outermost layer: what every request goes through, whatever becomes of it.
//!
//! Owns the request's id, its metrics, the body of every refusal, the headers that every answer has, the audit line
//! and what a panic becomes. Takes no id from outside; never logs a header or a body.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use uuid::Uuid;

use super::access::Access;
use super::audit;
use super::problem::Refusal;
use crate::domain::problem::Code;
use crate::metrics::Metrics;

/// Names a request in its answer and in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every answer: nothing is kept by a cache, guessed at, sent on or run in a browser.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// What the layers need; known before there is an engine.
pub(super) struct Edge {
    pub(super) access: Access,
    pub(super) metrics: Arc<Metrics>,
}

/// Puts the layers around the routes.
pub(super) fn around<S: Clone + Send + Sync + 'static>(routes: Router<S>, edge: Arc<Edge>) -> Router<S> {
    let metrics = Arc::clone(&edge.metrics);
    let panicked = move |_: Box<dyn Any + Send>| {
        metrics.panicked();
        tracing::error!("A handler panicked; its request was answered with 500");
        Refusal::panicked().into_response()
    };
    // the method's fallback has to be there before the layers, so that these go around it as well
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(edge, answer))
}

async fn not_found() -> Refusal {
    Refusal::not_found("this service has no such path")
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(Code::MethodNotAllowed, "this path has other methods; the `Allow` header names them")
}

async fn answer(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let in_flight = edge.metrics.request_received(method.as_str(), route);
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = async {
        let response = next.run(request).await;
        audit::write(&id, &method, &response);
        tracing::debug!(method = %method, route = route.unwrap_or("other"), status = response.status().as_u16(), "Answered");
        response
    }
    .instrument(span)
    .await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        *response.body_mut() = Body::from(refusal.body(&id));
    }
    finish(response.headers_mut(), &id);
    in_flight.answered(response.status().as_u16());
    response
}

fn finish(headers: &mut HeaderMap, id: &str) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("a UUID is plain ASCII"));
}

#[cfg(test)]
mod tests;
