//! How many connections there are, how long one may dawdle, and how they end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use cutover_api::app::Ended;
use tokio::time::Instant;

use crate::http::stage::{OPERATOR, Reply, Setting, Stage};

/// Whether the other side has closed, waiting at most so long.
fn closes_within(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).unwrap();
    loop {
        match stream.read(&mut [0; 1_024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n")
}

#[test]
fn half_a_head_is_closed_after_five_seconds_and_an_idle_connection_is_not() {
    let stage = Stage::set(Setting::default());
    let (mut silent, mut half, mut idle, mut later) =
        (stage.connect(), stage.connect(), stage.connect(), stage.connect());
    for stream in [&mut idle, &mut later] {
        stream.write_all(get("/healthz").as_bytes()).unwrap();
        assert_eq!(Reply::read(stream).unwrap().status, 200);
    }
    let began = Instant::now();
    half.write_all(b"GET /status HTTP/1.1\r\nHost: loc").unwrap();
    later.write_all(b"GET /status HTTP/1.1\r\nHost: loc").unwrap();
    for stream in [&mut half, &mut later] {
        assert!(closes_within(stream, Duration::from_secs(7)));
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4_500) && took < Duration::from_millis(6_500), "{took:?}");
    // longer than that without a byte, as in a proxy's pool
    assert!(!closes_within(&mut idle, Duration::from_millis(600)));
    for stream in [&mut silent, &mut idle] {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(get("/healthz").as_bytes()).unwrap();
        assert_eq!(Reply::read(stream).unwrap().status, 200);
    }
}

#[test]
fn a_connection_is_closed_after_its_thousandth_request() {
    let stage = Stage::set(Setting::default());
    let mut stream = stage.connect();
    for n in 1..=1_000 {
        stream.write_all(get("/healthz").as_bytes()).unwrap();
        let reply = Reply::read(&mut stream).unwrap();
        assert_eq!((reply.status, reply.header("connection").is_some()), (200, n == 1_000), "{n}");
    }
    assert!(closes_within(&mut stream, Duration::from_secs(1)));

    let mut pipelined = stage.connect();
    let mut writing = pipelined.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..10 {
            if writing.write_all(get("/healthz").repeat(1_000).as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    let _ = pipelined.read_to_end(&mut seen);
    writer.join().unwrap();
    let answers = String::from_utf8_lossy(&seen).matches("HTTP/1.1 200").count();
    assert!((1..=1_000).contains(&answers), "{answers}");
    assert_eq!(stage.ask("GET", "/healthz", "", "").status, 200);
}

#[test]
fn three_hundred_slow_and_silent_callers_do_not_hold_up_an_honest_one() {
    let stage = Stage::set(Setting::default());
    let half = format!(
        "POST /cutover/mirror HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let mut slow = Vec::new();
    for n in 0..300 {
        let mut stream = stage.connect();
        // nothing, half a head, or half a body; one may have been closed by then
        let _ = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /status HT"),
            _ => stream.write_all(half.as_bytes()),
        };
        slow.push(stream);
    }
    let mut took: Vec<_> = (0..100)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(stage.ask("GET", "/healthz", "", "").status, 200);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    assert!(took[98] <= Duration::from_millis(50), "p99 is {:?}", took[98]);
    // the oldest made room
    assert!(closes_within(&mut slow[0], Duration::from_millis(100)));
    // and one that keeps its connection keeps it, since it is heard of
    let mut honest = stage.connect();
    for stream in &mut slow {
        *stream = stage.connect();
        let sent = honest.write_all(get("/healthz").as_bytes()).is_ok();
        assert!(sent && Reply::read(&mut honest).is_some(), "an honest caller was closed while slow ones stayed");
    }
}

#[test]
fn the_number_of_connections_is_configured() {
    let stage = Stage::set(Setting { yaml: "limits: { connections: 16 }\n", ..Setting::default() });
    let mut streams: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    assert_eq!(stage.ask("GET", "/healthz", "", "").status, 200);
    let closed = streams.iter_mut().map(|stream| closes_within(stream, Duration::from_millis(50)));
    assert_eq!(closed.filter(|closed| *closed).count(), 5);
}

#[test]
fn at_the_end_idle_connections_are_closed_at_once_and_a_request_that_has_begun_is_answered() {
    let stage = Stage::set(Setting::default());
    let (mut silent, mut idle, mut busy) = (stage.connect(), stage.connect(), stage.connect());
    idle.write_all(get("/healthz").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).unwrap().status, 200);
    let head = format!(
        "POST /cutover/mirror HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
    );
    busy.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    stage.begin_the_end();
    assert!(closes_within(&mut silent, Duration::from_secs(1)) && closes_within(&mut idle, Duration::from_secs(1)));
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    busy.write_all(b"}").unwrap();
    let reply = Reply::read(&mut busy).unwrap();
    assert_eq!((reply.status, &*reply.code()), (503, "shutting-down"));
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert!(closes_within(&mut busy, Duration::from_secs(1)));
    assert_eq!(stage.end(), Ended::Clean);
    assert!(began.elapsed() < Duration::from_secs(3));
}
