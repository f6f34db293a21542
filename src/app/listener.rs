//! Incoming connections: how many there are, and how they end.
//!
//! Owns the limits of framing, which are in force before there is a request to judge. Knows nothing of routes and reads
//! nothing of a request. What hyper itself refuses (a head that is no HTTP, or longer than the buffer) it answers without
//! a body.

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

use super::timed_stream::{RequestCount, TimedStream};
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

/// How long a silent connection may stay open once the shutdown has begun: a request may be on its way.
const LAST_REQUEST: Duration = Duration::from_millis(100);

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

/// How often a failure to accept is logged while it lasts.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// Serves until the shutdown begins, then until every connection has ended.
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
        let permit = tokio::select! {
            permit = connections.permit() => permit,
            () = shutdown.begun() => break,
        };
        // answers are small and whole; holding them back for more to send gains nothing
        let _ = stream.set_nodelay(true);
        tasks.spawn(drive(stream, peer, router.clone(), permit, shutdown.clone()));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// One connection, from its first byte to its last.
async fn drive<S>(stream: S, peer: SocketAddr, router: Router, permit: ConnectionPermit, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let permit = Arc::new(permit);
    let service = service_fn(|request| answer(request, peer, router.clone(), Arc::clone(&permit)));
    let connection = http1::Builder::new()
        // hyper's begins with the silence before the head; `TimedStream`'s with its first byte
        .header_read_timeout(None)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(TimedStream::new(stream, Arc::clone(&permit.requests))), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // a broken connection has no client left to answer
        _ = connection.as_mut() => return,
        () = permit.evicted.cancelled() => return,
        () = permit.idle_for_too_long() => return,
        () = shutdown.begun() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.forced() => return,
        () = sleep(LAST_REQUEST) => if permit.is_silent() { return },
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
    permit: Arc<ConnectionPermit>,
) -> Result<Response<ResponseBody>, Infallible> {
    let last = permit.requests.received() >= MOST_REQUESTS;
    let mut request = if request.body().is_end_stream() {
        permit.set_state(ConnectionState::Answering);
        request.map(|_| Body::empty())
    } else {
        permit.set_state(ConnectionState::Receiving);
        request.map(|body| Body::new(RequestBody { body, permit: Arc::clone(&permit) }))
    };
    request.extensions_mut().insert(Peer(peer.ip()));
    let guard = AnswerGuard(permit);
    let Ok(mut response) = router.oneshot(request).await;
    if last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| ResponseBody { body, _guard: guard }))
}

/// How far a connection is with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionState {
    /// There is no whole head.
    Silent,
    /// There is a head; the body is on its way.
    Receiving,
    /// The request is complete and is being answered.
    Answering,
}

/// An open connection, as the others see it.
#[derive(Debug)]
struct OpenConnection {
    state: ConnectionState,
    /// When its latest complete request was answered, or when it came.
    since: Instant,
    evict: CancellationToken,
}

/// Every open connection.
#[derive(Debug)]
struct Connections {
    most: usize,
    open: Mutex<ConnectionTable>,
    /// One has ended, or may be closed now.
    changed: Notify,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    /// When a failure to accept was last logged.
    logged_at: Option<Instant>,
    next: u64,
    open: BTreeMap<u64, OpenConnection>,
}

impl Connections {
    fn new(most: usize) -> Self {
        Self { most, open: Mutex::default(), changed: Notify::new() }
    }

    /// A permit for one more connection. At the limit the connection that has been longest without a complete request is
    /// closed; while all of them are being answered, the new one waits. An open stream is an answer: it is never closed for
    /// another connection, and streams are limited to a part of all connections (see `api`).
    async fn permit(self: &Arc<Self>) -> ConnectionPermit {
        loop {
            if let Some(permit) = self.try_permit() {
                return permit;
            }
            self.changed.notified().await;
        }
    }

    fn try_permit(self: &Arc<Self>) -> Option<ConnectionPermit> {
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
        table.open.insert(
            id,
            OpenConnection { state: ConnectionState::Silent, since: Instant::now(), evict: evicted.clone() },
        );
        Some(ConnectionPermit { id, requests: Arc::default(), evicted, connections: Arc::clone(self) })
    }

    /// No connection was accepted. One that broke before says nothing about the next. Otherwise the system has no
    /// descriptors or no memory for more: one connection is closed, and the next try comes after a pause.
    async fn accept_failed(&self, error: &std::io::Error) {
        let errno = Errno::from_io_error(error);
        if errno.is_some_and(|errno| OF_ONE_CONNECTION.contains(&errno)) {
            return;
        }
        {
            let mut table = self.table();
            if table.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                table.logged_at = Some(Instant::now());
                tracing::warn!(%error, open = table.open.len(), "accept failed");
            }
            if errno.is_some_and(|errno| EXHAUSTED.contains(&errno)) {
                table.evict_one();
            }
        }
        sleep(NO_SOCKETS).await;
    }

    fn table(&self) -> std::sync::MutexGuard<'_, ConnectionTable> {
        self.open.lock().expect("no code panics while holding this lock")
    }
}

impl ConnectionTable {
    fn evict_one(&self) {
        let waiting =
            self.open.values().filter(|open| open.state != ConnectionState::Answering && !open.evict.is_cancelled());
        if let Some(longest) = waiting.min_by_key(|open| open.since) {
            longest.evict.cancel();
        }
    }
}

/// The permit of one connection, released when dropped.
#[derive(Debug)]
struct ConnectionPermit {
    id: u64,
    requests: Arc<RequestCount>,
    evicted: CancellationToken,
    connections: Arc<Connections>,
}

impl ConnectionPermit {
    fn set_state(&self, state: ConnectionState) {
        if let Some(open) = self.connections.table().open.get_mut(&self.id) {
            open.state = state;
            if state == ConnectionState::Silent {
                open.since = Instant::now();
            }
        }
        if state == ConnectionState::Silent {
            self.connections.changed.notify_one();
        }
    }

    /// Ends when there has been no request for [`IDLE`]. Checks again only when that could be so: a request costs nothing.
    async fn idle_for_too_long(&self) {
        loop {
            let since = self
                .connections
                .table()
                .open
                .get(&self.id)
                .filter(|open| open.state == ConnectionState::Silent)
                .map_or_else(Instant::now, |open| open.since);
            if since.elapsed() >= IDLE {
                return;
            }
            sleep_until(since + IDLE).await;
        }
    }

    fn is_silent(&self) -> bool {
        self.connections.table().open.get(&self.id).is_none_or(|open| open.state == ConnectionState::Silent)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.id);
        self.connections.changed.notify_one();
    }
}

/// A request's body; its end makes the request complete.
struct RequestBody {
    body: Incoming,
    permit: Arc<ConnectionPermit>,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.permit.set_state(ConnectionState::Answering);
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

/// A response's body; with its end the request is answered.
struct ResponseBody {
    body: Body,
    _guard: AnswerGuard,
}

impl HttpBody for ResponseBody {
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

/// Held as long as a request is being answered, whatever its outcome.
struct AnswerGuard(Arc<ConnectionPermit>);

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        self.0.requests.answered();
        self.0.set_state(ConnectionState::Silent);
    }
}

#[cfg(test)]
mod tests;
