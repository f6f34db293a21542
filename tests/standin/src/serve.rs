//! Puts a router on a socket. Its own small accept loop instead of `axum::serve`, because a cut connection
//! must end without a byte sent, which takes an error from hyper's service.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::fault::{BrokenBody, Cut};
use crate::repeating::Repeating;

/// A router that listens. Dropping it stops it and breaks its connections.
#[derive(Debug)]
pub struct Served {
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Stops listening, breaks every connection, and waits for the thread if there is one.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The loop may be gone already, with its runtime.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

fn bind(address: SocketAddr) -> io::Result<(StdListener, Served, oneshot::Receiver<()>)> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let served = Served { url: format!("http://{address}"), address, stop: Some(stop), thread: None };
    Ok((listener, served, stopped))
}

/// Serves in the current runtime.
pub(crate) fn here(address: SocketAddr, router: Router) -> io::Result<Served> {
    let (listener, served, stopped) = bind(address)?;
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(accept(listener, router, Arc::default(), stopped));
    Ok(served)
}

/// Serves on a thread with a runtime, and so a clock, of its own.
pub(crate) fn in_background(address: SocketAddr, router: Router) -> io::Result<Served> {
    in_background_repeating(address, router, Arc::default())
}

/// The same; while `repeats` is set, new connections repeat answers.
pub(crate) fn in_background_repeating(
    address: SocketAddr,
    router: Router,
    repeats: Arc<AtomicBool>,
) -> io::Result<Served> {
    let (listener, mut served, stopped) = bind(address)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        runtime.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(listener, router, repeats, stopped).await;
            }
        });
        // Does not wait for a git that hangs.
        runtime.shutdown_background();
    };
    served.thread = Some(std::thread::Builder::new().name("standin".to_owned()).spawn(work)?);
    Ok(served)
}

async fn accept(listener: TcpListener, router: Router, repeats: Arc<AtomicBool>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Without it an answer's body waits for the head's acknowledgement.
                drop(stream.set_nodelay(true));
                let router = router.clone();
                let service = hyper::service::service_fn(move |request| answer(router.clone(), request));
                let stream = TokioIo::new(Repeating::new(stream, repeats.load(Ordering::Relaxed)));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
                connections.spawn(async move { drop(connection.await) });
            }
        }
    }
}

async fn answer(router: Router, request: http::Request<Incoming>) -> Result<Response, BrokenBody> {
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    if response.extensions().get::<Cut>().is_some() { Err(BrokenBody) } else { Ok(response) }
}
