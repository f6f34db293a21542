//! The outermost layer: what every request goes through, whatever becomes of it.
//!
//! Owns the request's id, its metrics, the longest address, the body of every refusal, the headers that every answer
//! has, `OPTIONS`, the audit line and what a panic becomes. Takes no id from outside; never logs a header or a body.

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, ready};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tower::{Layer, Service};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use super::access::Access;
use super::attempts::Attempts;
use super::audit;
use super::events;
use super::origin::{self, Names};
use super::problem::Refusal;
use super::representation::Wanted;
use crate::domain::problem::Code;
use crate::metrics::Metrics;

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

/// What the layers need; known before there is an engine.
pub(super) struct Edge {
    pub(super) access: Access,
    pub(super) names: Names,
    pub(super) metrics: Arc<Metrics>,
    pub(super) attempts: Attempts,
    ids: Ids,
}

impl Edge {
    pub(super) fn new(access: Access, names: Names, metrics: Arc<Metrics>) -> Self {
        Self { access, names, metrics, attempts: Attempts::default(), ids: Ids::default() }
    }
}

/// Names requests: by the time, and by what no other process and no other request has. Nobody's access hangs on such an id,
/// so that the system need not be asked for randomness at each.
#[derive(Debug, Default)]
struct Ids {
    process: RandomState,
    given: AtomicU64,
}

impl Ids {
    #[expect(
        clippy::disallowed_methods,
        reason = "the id says when by the clock of the machine, whatever a test's clock says"
    )]
    fn next(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut rest = [0; 10];
        let (hash, count) = rest.split_at_mut(8);
        hash.copy_from_slice(&self.process.hash_one(number).to_be_bytes());
        count.copy_from_slice(&number.to_be_bytes()[6..]);
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid().to_string()
    }
}

/// The methods of every path, `OPTIONS` among them, as `Allow` has them.
pub(super) type Methods = BTreeMap<String, HeaderValue>;

/// Puts the layers around the routes.
pub(super) fn around<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    edge: Arc<Edge>,
    methods: Methods,
) -> Router<S> {
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
        .layer(Outermost { edge, methods: Arc::new(methods) })
}

async fn not_found() -> Refusal {
    Refusal::not_found("this service has no such path")
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(Code::MethodNotAllowed, "this path has other methods; the `Allow` header names them")
}

/// The outermost layer. A service of our own and no `from_fn`: it waits for nothing before it hands a request on, and so
/// has nothing to copy.
#[derive(Clone)]
struct Outermost {
    edge: Arc<Edge>,
    methods: Arc<Methods>,
}

/// What is inside of it, with it around.
#[derive(Clone)]
struct Surrounded<S> {
    inner: S,
    around: Outermost,
}

impl<S> Layer<S> for Outermost {
    type Service = Surrounded<S>;

    fn layer(&self, inner: S) -> Surrounded<S> {
        Surrounded { inner, around: self.clone() }
    }
}

impl<S> Service<Request> for Surrounded<S>
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Outermost { edge, methods } = &self.around;
        let id = edge.ids.next();
        let method = request.method().clone();
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let route = matched.as_ref().map(MatchedPath::as_str);
        let in_flight = match route {
            Some(route) if events::ROUTES.contains(&route) => edge.metrics.stream_requested(method.as_str(), route),
            _ => edge.metrics.request_received(method.as_str(), route),
        };
        let span = tracing::info_span!("request", request_id = %id);
        let allowed = edge.names.allowed(request.headers());
        let wanted = Wanted::of(&mut request, route);
        let methods = route.and_then(|route| methods.get(route)).cloned();
        let answering = match answer_at_once(edge, methods.as_ref(), &request) {
            Some(response) => Either::Left(ready(response)),
            None => Either::Right(span.in_scope(|| self.inner.call(request)).map(|Ok(answer)| answer.into_response())),
        };
        let edge = Arc::clone(edge);
        Box::pin(async move {
            let mut response = async {
                let mut response = answering.await;
                if let (Some(methods), StatusCode::METHOD_NOT_ALLOWED) = (methods, response.status()) {
                    response.headers_mut().insert(header::ALLOW, methods);
                }
                audit::write(&id, &method, &response);
                let (route, status) = (matched.as_ref().map_or("other", MatchedPath::as_str), response.status());
                tracing::debug!(%method, route, status = status.as_u16(), "Answered");
                response
            }
            .instrument(span)
            .await;
            if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
                *response.body_mut() = Body::from(refusal.body(&id));
            }
            let mut response = wanted.applied(response).await;
            edge.names.describe(allowed, response.headers_mut());
            finish(response.headers_mut(), &id);
            in_flight.answered(response.status().as_u16());
            Ok(response)
        })
    }
}

/// The answer to what no route has to judge; `methods` are those of the path, if it is one.
fn answer_at_once(edge: &Edge, methods: Option<&HeaderValue>, request: &Request) -> Option<Response> {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > LONGEST_URI {
        let detail = format!("the address has {length} bytes, and at most {LONGEST_URI} are read");
        return Some(Refusal::new(Code::UriTooLong, detail).hanging_up().into_response());
    }
    let methods = methods.filter(|_| request.method() == Method::OPTIONS)?;
    Some(options(edge, methods, request))
}

/// Which methods a path has, for everybody; to a page of a configured origin also what it may send.
fn options(edge: &Edge, methods: &HeaderValue, request: &Request) -> Response {
    let anonymous = matches!(edge.access, Access::Anonymous);
    // a browser refuses a page that may not ask when the answer does not name its origin
    if let Err(refusal) = edge.names.check(anonymous, request) {
        return refusal.into_response();
    }
    let mut answer = (StatusCode::NO_CONTENT, [(header::ALLOW, methods.clone())]).into_response();
    let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight && edge.names.allowed(request.headers()).is_some() {
        origin::describe_preflight(methods.clone(), answer.headers_mut());
    }
    answer
}

fn finish(headers: &mut HeaderMap, id: &str) {
    headers.reserve(ALWAYS.len() + 1);
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("a UUID is plain ASCII"));
}

#[cfg(test)]
mod tests;
