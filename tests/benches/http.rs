//! What our edge costs: the service beside a bare axum handler that returns the same bytes, on the same runtime, and
//! many identical requests at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::header::{HeaderMap, HeaderName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Connections that ask without a pause.
const AT_ONCE: usize = 16;

/// How long each side of a comparison is asked, and how often the sides take turns.
const TURN: Duration = Duration::from_millis(700);
const TURNS: usize = 4;

/// A request for a path.
fn request(method: &str, path: &str, token: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Sends a request on an open connection and reads the whole answer: its status and its length.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Option<(u16, usize)> {
    stream.write_all(request).await.ok()?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).ok()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
        if buffer.len() >= end + 4 + length {
            return Some((head.split(' ').nth(1)?.parse().ok()?, length));
        }
    }
}

/// Answers a second, from [`AT_ONCE`] connections that are opened again when they are closed.
async fn throughput(address: SocketAddr, request: &str) -> f64 {
    let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let askers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (count, over, request) = (Arc::clone(&count), Arc::clone(&over), request.to_owned());
            tokio::spawn(async move {
                let mut buffer = Vec::with_capacity(1 << 16);
                while !over.load(Ordering::Relaxed) {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    while !over.load(Ordering::Relaxed) {
                        match exchange(&mut stream, request.as_bytes(), &mut buffer).await {
                            Some((status, _)) => assert_eq!(status, 200),
                            None => break,
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(TURN).await;
    over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
    let count = count.load(Ordering::Relaxed) as f64;
    count / began.elapsed().as_secs_f64()
}

/// An answer in full, but for what hyper adds to any.
async fn answer_of(address: SocketAddr, request: &str) -> (HeaderMap, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut buffer = Vec::new();
    exchange(&mut stream, request.as_bytes(), &mut buffer).await.unwrap();
    let text = String::from_utf8(buffer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| !matches!(*name, "content-length" | "date"));
    let headers = headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    (headers.collect(), body.to_owned())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Our throughput of a path, the bare handler's, and the ratio of the two: the median of turns taken one after the other.
pub(crate) fn beside_a_bare_handler(service: SocketAddr, path: &str, token: &str) -> (f64, f64, f64) {
    let request = request("GET", path, token);
    let (headers, body) = runtime().block_on(answer_of(service, &request));
    // a runtime of its own, as the service has one
    let (tell, told) = std::sync::mpsc::channel();
    let route = path.to_owned();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let bare = std::thread::spawn(move || {
        runtime().block_on(async move {
            let answer = move || async move { (headers, body) };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().route(&route, get(answer));
            let serving = std::future::IntoFuture::into_future(axum::serve(listener, router));
            tokio::select! {
                _ = serving => {}
                _ = ended => {}
            }
        });
    });
    let address = told.recv().unwrap();
    let asking = runtime();
    let turns: Vec<_> = (0..TURNS)
        .map(|_| asking.block_on(async { (throughput(service, &request).await, throughput(address, &request).await) }))
        .collect();
    drop(end);
    bare.join().unwrap();
    let median = |values: Vec<f64>| crate::bench::median(values);
    (
        median(turns.iter().map(|turn| turn.0).collect()),
        median(turns.iter().map(|turn| turn.1).collect()),
        median(turns.iter().map(|turn| turn.0 / turn.1).collect()),
    )
}

/// So many identical POSTs over so many connections at once: the p99 in milliseconds, and how many runs they made.
pub(crate) fn identical_posts(service: SocketAddr, token: &str, connections: usize, each: usize) -> (f64, usize) {
    let request = request("POST", "/cutover/mirror", token);
    runtime().block_on(async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(service).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let askers: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                let request = request.clone();
                tokio::spawn(async move {
                    let (mut took, mut runs, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
                    for _ in 0..each {
                        let began = Instant::now();
                        let (status, _) = exchange(&mut stream, request.as_bytes(), &mut buffer).await.unwrap();
                        took.push(began.elapsed().as_secs_f64() * 1_000.0);
                        assert_eq!(status, 202);
                        let text = String::from_utf8_lossy(&buffer);
                        runs.extend(text.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned));
                    }
                    (took, runs)
                })
            })
            .collect();
        let (mut took, mut runs) = (Vec::new(), std::collections::BTreeSet::new());
        for asker in askers {
            let (some, of) = asker.await.unwrap();
            took.extend(some);
            runs.extend(of);
        }
        took.sort_by(f64::total_cmp);
        (took[took.len() * 99 / 100 - 1], runs.len())
    })
}
