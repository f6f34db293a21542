//! Our connections: how many there are, and how they end.
//!
//! Owns the limits of framing, which have to be in force before there is a request to judge. Knows nothing of routes
//! and reads nothing of a request. What hyper refuses by itself (a head that is no HTTP, or longer than the buffer) is
//! answered by it, without a body.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::patience::{Patient, Requests};
use crate::api::Peer;
use crate::shutdown::Shutdown;

/// How long a connection may be idle, before its first request and between two. Longer than proxies keep one: nginx and
/// AWS 60 s, Go and Traefik 90 s, Google's load balancers 600 s. A proxy that still thinks the connection open sends its next
/// request into the closing one and answers its client with 502. The number of connections is bounded elsewhere.
const IDLE: Duration = Duration::from_secs(620);

/// The most bytes of a head: its line and all headers.
const LONGEST_HEAD: usize = 16 * 1024;

/// The most headers.
const MOST_HEADERS: usize = 64;

/// The most requests of one connection, so that no caller holds one for ever.
const MOST_REQUESTS: u32 = 1_000;

/// How long a connection that has sent nothing may stay once the end has begun: a request may be on its way.
const PARTING: Duration = Duration::from_millis(100);

/// How long to wait when the system gives no more sockets.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// What `accept` says of the connection that it would have given: it is gone, or a firewall forbids it (accept(2)).
const OF_ONE_CONNECTION: [Errno; 13] = [
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::TIMEDOUT,
    Errno::INTR,
    Errno::PERM,
    Errno::PROTO,
    Errno::NOPROTOOPT,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NONET,
    Errno::OPNOTSUPP,
];

/// There are no descriptors or no memory for one more.
const EXHAUSTED: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];

/// How often it is logged that no connection can be accepted, while that lasts.
const COMPLAINT: Duration = Duration::from_mins(1);

/// Serves until the end begins, then until every connection has ended.
pub(super) async fn serve(listener: TcpListener, router: Router, most: usize, shutdown: Shutdown) {
    let connections = Arc::new(Connections::new(most));
    let tasks = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    connections.accept_failed(&error).await;
                    continue;
                }
            },
            () = shutdown.begun() => break,
        };
        let place = tokio::select! {
            place = connections.place() => place,
            () = shutdown.begun() => break,
        };
        // answers are small and whole; holding them back for more to send gains nothing
        let _ = stream.set_nodelay(true);
        tasks.spawn(drive(stream, peer, router.clone(), place, shutdown.clone()));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// One connection, from its first byte to its last.
async fn drive<S>(stream: S, peer: SocketAddr, router: Router, place: Place, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let place = Arc::new(place);
    let service = service_fn(|request| answer(request, peer, router.clone(), Arc::clone(&place)));
    let connection = http1::Builder::new()
        // hyper's begins with the silence before the head; `Patient`'s with its first byte
        .header_read_timeout(None)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(Patient::new(stream, Arc::clone(&place.requests))), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // a connection that breaks is its caller's affair; there is nobody left to tell
        _ = connection.as_mut() => return,
        () = place.evicted.cancelled() => return,
        () = place.idle_for_too_long() => return,
        () = shutdown.begun() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.forced() => return,
        () = sleep(PARTING) => if place.is_silent() { return },
    }
    tokio::select! {
        _ = connection => {}
        () = shutdown.forced() => {}
    }
}

/// One request.
async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    place: Arc<Place>,
) -> Result<Response<Answer>, Infallible> {
    let last = place.requests.received() >= MOST_REQUESTS;
    let mut request = if request.body().is_end_stream() {
        place.stands(Stand::Answering);
        request.map(|_| Body::empty())
    } else {
        place.stands(Stand::Receiving);
        request.map(|body| Body::new(Arriving { body, place: Arc::clone(&place) }))
    };
    request.extensions_mut().insert(Peer(peer.ip()));
    let answering = Answering(place);
    let Ok(mut response) = router.oneshot(request).await;
    if last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer { body, _answering: answering }))
}

/// How far a connection is with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// There is no whole head.
    Silent,
    /// There is a head; the body is on its way.
    Receiving,
    /// The request is complete and is being answered.
    Answering,
}

/// An open connection, as the others see it.
#[derive(Debug)]
struct Open {
    stand: Stand,
    /// When its latest complete request was answered, or when it came.
    since: Instant,
    evict: CancellationToken,
}

/// Every open connection.
#[derive(Debug)]
struct Connections {
    most: usize,
    open: Mutex<Table>,
    /// One has ended, or may be closed now.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// When it was last logged that none can be accepted.
    complained: Option<Instant>,
    next: u64,
    open: BTreeMap<u64, Open>,
}

impl Connections {
    fn new(most: usize) -> Self {
        Self { most, open: Mutex::default(), changed: Notify::new() }
    }

    /// A place for one more connection. At the cap the one that has been longest without a complete request makes
    /// room; while all of them are being answered, the new one waits. An open stream is an answer: it is never closed
    /// for somebody else, and there are never so many that nobody else has a place (see `api`).
    async fn place(self: &Arc<Self>) -> Place {
        loop {
            if let Some(place) = self.try_place() {
                return place;
            }
            self.changed.notified().await;
        }
    }

    fn try_place(self: &Arc<Self>) -> Option<Place> {
        let mut table = self.table();
        if table.open.len() >= self.most {
            // until it is closed it counts: its descriptor is still in use
            if !table.open.values().any(|open| open.evict.is_cancelled()) {
                table.evict_one();
            }
            return None;
        }
        let (id, evicted) = (table.next, CancellationToken::new());
        table.next += 1;
        table.open.insert(id, Open { stand: Stand::Silent, since: Instant::now(), evict: evicted.clone() });
        Some(Place { id, requests: Arc::default(), evicted, connections: Arc::clone(self) })
    }

    /// No connection was accepted. One that broke before says nothing of the next. Otherwise the system has no descriptors
    /// or no memory for more: one connection is given back, and what is left is left to the others for a moment.
    async fn accept_failed(&self, error: &std::io::Error) {
        let errno = Errno::from_io_error(error);
        if errno.is_some_and(|errno| OF_ONE_CONNECTION.contains(&errno)) {
            return;
        }
        {
            let mut table = self.table();
            if table.complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
                table.complained = Some(Instant::now());
                tracing::warn!(%error, open = table.open.len(), "no connection can be accepted; idle ones make room");
            }
            if errno.is_some_and(|errno| EXHAUSTED.contains(&errno)) {
                table.evict_one();
            }
        }
        sleep(NO_SOCKETS).await;
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.open.lock().expect("no code panics while holding this lock")
    }
}

impl Table {
    fn evict_one(&self) {
        let waiting = self.open.values().filter(|open| open.stand != Stand::Answering && !open.evict.is_cancelled());
        if let Some(longest) = waiting.min_by_key(|open| open.since) {
            longest.evict.cancel();
        }
    }
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
struct Place {
    id: u64,
    requests: Arc<Requests>,
    evicted: CancellationToken,
    connections: Arc<Connections>,
}

impl Place {
    fn stands(&self, stand: Stand) {
        if let Some(open) = self.connections.table().open.get_mut(&self.id) {
            open.stand = stand;
            if stand == Stand::Silent {
                open.since = Instant::now();
            }
        }
        if stand == Stand::Silent {
            self.connections.changed.notify_one();
        }
    }

    /// Ends when there has been no request for [`IDLE`]. Looks again only when that could be so: a request costs nothing.
    async fn idle_for_too_long(&self) {
        loop {
            let since = self
                .connections
                .table()
                .open
                .get(&self.id)
                .filter(|open| open.stand == Stand::Silent)
                .map_or_else(Instant::now, |open| open.since);
            if since.elapsed() >= IDLE {
                return;
            }
            sleep_until(since + IDLE).await;
        }
    }

    fn is_silent(&self) -> bool {
        self.connections.table().open.get(&self.id).is_none_or(|open| open.stand == Stand::Silent)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.id);
        self.connections.changed.notify_one();
    }
}

/// A body on its way in; its end makes the request complete.
struct Arriving {
    body: Incoming,
    place: Arc<Place>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.place.stands(Stand::Answering);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body on its way out; with its end the request is answered.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Held as long as a request is being answered, whatever becomes of it.
struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.requests.answered();
        self.0.stands(Stand::Silent);
    }
}

#[cfg(test)]
mod tests;
