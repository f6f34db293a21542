//! The transport of tests: routers in this very process, found by host and port. On tokio's paused time a call that
//! waits an hour costs nothing, which over a socket it could not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use cutover_api::domain::answer::{Trouble, TroubleKind};
use cutover_api::transport::{Call, Observer, Pieces, Transport};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use http_body_util::BodyExt as _;
use standin::{Cut, Unreached};
use tower::ServiceExt as _;

/// Sends to routers.
#[derive(Clone, Default)]
pub(crate) struct InProcess {
    routers: Arc<Mutex<BTreeMap<String, Router>>>,
    observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl InProcess {
    /// Puts a router at an address such as `127.0.0.1:3000`.
    pub(crate) fn at(self, authority: &str, router: Router) -> Self {
        self.routers.lock().unwrap().insert(authority.to_owned(), router);
        self
    }

    /// Takes an address away: nobody takes connections there.
    pub(crate) fn down(&self, authority: &str) -> Option<Router> {
        self.routers.lock().unwrap().remove(authority)
    }

    /// Puts it back.
    pub(crate) fn up(&self, authority: &str, router: Router) {
        self.routers.lock().unwrap().insert(authority.to_owned(), router);
    }

    /// The head of an answer, and its body as it comes.
    async fn execute(&self, call: Call) -> Result<Response<Body>, Trouble> {
        let authority = call.request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let router = self.routers.lock().unwrap().get(&authority).cloned();
        let Some(router) = router else {
            return Err(Trouble::not_sent(TroubleKind::Connect, "the connection is refused"));
        };
        let (mut parts, body) = call.request.into_parts();
        // over a socket the request line has the path alone
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
        parts.headers.entry(http::header::HOST).or_insert_with(|| authority.parse().unwrap());
        let Ok(response) = router.oneshot(http::Request::from_parts(parts, Body::from(body))).await;
        match response.extensions().get::<Unreached>() {
            Some(Unreached::Refused) => {
                return Err(Trouble::not_sent(TroubleKind::Connect, "the connection is refused"));
            }
            Some(Unreached::NoSuchHost) => {
                return Err(Trouble::not_sent(TroubleKind::Dns, "the name does not resolve"));
            }
            Some(Unreached::NoTls) => {
                return Err(Trouble::not_sent(
                    TroubleKind::Tls,
                    "no TLS session: the certificate is of an unknown issuer",
                ));
            }
            None => {}
        }
        if response.extensions().get::<Cut>().is_some() {
            return Err(cut());
        }
        Ok(response)
    }

    async fn attempt(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let largest = call.largest;
        let (parts, body) = self.execute(call).await?.into_parts();
        let body = body.collect().await.map_err(|_| cut())?.to_bytes();
        if body.len() > largest {
            return Err(Trouble::maybe_sent(TroubleKind::TooLarge, "the answer is too large"));
        }
        Ok(Response::from_parts(parts, body))
    }
}

fn cut() -> Trouble {
    Trouble::maybe_sent(TroubleKind::Cut, "the connection broke before the answer was complete")
}

/// The largest piece in which a body arrives.
const PIECE: usize = 1_000;

/// A body in pieces, so that what reads it has to put them together.
fn pieces(body: Body) -> Pieces {
    let frames = body.into_data_stream().map(|frame| frame.map_err(|_| cut()));
    let split = |frame: Result<Bytes, Trouble>| {
        let pieces: Vec<_> = match frame {
            Ok(frame) => {
                (0..frame.len()).step_by(PIECE).map(|at| Ok(frame.slice(at..frame.len().min(at + PIECE)))).collect()
            }
            Err(trouble) => vec![Err(trouble)],
        };
        stream::iter(pieces)
    };
    frames.flat_map(split).boxed()
}

impl Transport for InProcess {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        Box::pin(async move {
            let (limit, operation) = (call.timeout, call.operation);
            let result = tokio::time::timeout(limit, self.attempt(call)).await.unwrap_or_else(|_| {
                Err(Trouble::maybe_sent(
                    TroubleKind::Timeout,
                    format!("no complete answer within {} s", limit.as_secs()),
                ))
            });
            if let Some(observer) = &self.observer {
                observer.sent(operation, result.as_ref().ok().map(|answer| answer.status().as_u16()), Duration::ZERO);
            }
            result
        })
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        Box::pin(async move {
            let operation = call.operation;
            let result = self.execute(call).await;
            if let Some(observer) = &self.observer {
                observer.sent(operation, result.as_ref().ok().map(|answer| answer.status().as_u16()), Duration::ZERO);
            }
            result.map(|answer| answer.map(pieces))
        })
    }
}
