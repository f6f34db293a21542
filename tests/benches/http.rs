//! Many identical requests at once.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
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
        (crate::bench::p99(took), runs.len())
    })
}
