//! What every request passes through before its route, and every answer after it.
//!
//! Owns the request's id, its metrics, the longest address, the body of every problem, the headers of every answer,
//! `OPTIONS`, the audit line and the answer to a panic. Takes no id from a caller; never logs a header or a body.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::ApiError;
use super::gate::Gate;
use super::{audit, compression, etag, events, origin};
use crate::domain::problem::Code;

/// Names a request in its answer and in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes of an address, path and query together.
const LONGEST_URI: usize = 2_048;

/// On every answer that does not say otherwise: nothing is kept by a cache, guessed at, sent on or run in a browser.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// The methods of every path, `OPTIONS` among them, as `Allow` has them.
pub(super) type Methods = BTreeMap<String, HeaderValue>;

/// The id of a request, in its extensions.
#[derive(Clone)]
struct RequestId(String);

/// Puts the layers around the routes.
pub(super) fn around<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    gate: Arc<Gate>,
    methods: Methods,
) -> Router<S> {
    let metrics = Arc::clone(&gate.metrics);
    let panicked = move |_: Box<dyn Any + Send>| {
        metrics.panicked();
        tracing::error!("handler panicked; its request was answered with 500");
        ApiError::panicked().into_response()
    };
    // the method's fallback has to be there before the layers, so that these go around it as well
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(etag::tag))
        .layer(from_fn_with_state((Arc::clone(&gate), Arc::new(methods)), answer))
        .layer(compression::layer())
        .layer(from_fn(compression::normalise))
        .layer(from_fn_with_state(gate, observe))
}

async fn not_found() -> ApiError {
    ApiError::not_found("this service has no such path")
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(Code::MethodNotAllowed, "this path has other methods; the `Allow` header names them")
}

/// The outermost layer: the id, the metrics and the headers of every answer.
async fn observe(
    State(gate): State<Arc<Gate>>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", request_id = %id);
    let method = request.method().as_str();
    let guard = match route.as_ref().map(MatchedPath::as_str) {
        Some(route) if events::ROUTES.contains(&route) => gate.metrics.stream_requested(method, route),
        route => gate.metrics.request_received(method, route),
    };
    let origin = gate.origins.allowed(request.headers());
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    gate.origins.describe(origin, headers);
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, HeaderValue::try_from(id).expect("a UUID is plain ASCII"));
    guard.answered(response.status().as_u16());
    response
}

/// The layer inside of compression: what needs no route, the body of a problem, and the log.
async fn answer(
    State((gate, methods)): State<(Arc<Gate>, Arc<Methods>)>,
    route: Option<MatchedPath>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let methods = route.as_ref().and_then(|route| methods.get(route.as_str()));
    let mut response = match answer_without_route(&gate, methods, &request) {
        Some(response) => response,
        None => next.run(request).await,
    };
    if let (Some(methods), StatusCode::METHOD_NOT_ALLOWED) = (methods, response.status()) {
        response.headers_mut().insert(header::ALLOW, methods.clone());
    }
    audit::write(&id, &method, &response);
    let (route, status) = (route.as_ref().map_or("other", MatchedPath::as_str), response.status());
    tracing::debug!(%method, route, status = status.as_u16(), "request answered");
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        *response.body_mut() = Body::from(error.body(&id));
    }
    response
}

/// The answer to a request that no route has to judge; `methods` are those of the path, if it is one.
fn answer_without_route(gate: &Gate, methods: Option<&HeaderValue>, request: &Request) -> Option<Response> {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > LONGEST_URI {
        let detail = format!("the address has {length} bytes, and at most {LONGEST_URI} are read");
        return Some(ApiError::new(Code::UriTooLong, detail).hanging_up().into_response());
    }
    let methods = methods.filter(|_| request.method() == Method::OPTIONS)?;
    Some(options(gate, methods, request).unwrap_or_else(ApiError::into_response))
}

/// The methods of a path, for every caller; to a page of a configured origin also what it may send.
fn options(gate: &Gate, methods: &HeaderValue, request: &Request) -> Result<Response, ApiError> {
    // a browser refuses a page that may not send the request when the answer does not name its origin
    gate.check_site(request)?;
    let mut answer = (StatusCode::NO_CONTENT, [(header::ALLOW, methods.clone())]).into_response();
    let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight && gate.origins.allowed(request.headers()).is_some() {
        origin::describe_preflight(methods.clone(), answer.headers_mut());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
