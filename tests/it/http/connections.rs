//! How many connections there are, how long one may dawdle, and how they end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use cutover_api::app::Ended;
use tokio::time::Instant;

use crate::http::stage::{OPERATOR, Reply, Setting, Stage, wait_for};

/// How long a test waits for a connection to be closed. Less than the 20 s after which a stalled body ends.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether the other side closes; a failure to do so is known once [`PATIENCE`] is over.
fn closes(stream: &mut TcpStream) -> bool {
    closes_within(stream, PATIENCE)
}

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
        assert!(closes(stream));
    }
    assert!(began.elapsed() > Duration::from_millis(4_500), "{:?}", began.elapsed());
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
    assert!(closes(&mut stream));

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
    let (stage, quiet) = (Stage::set(Setting::default()), Stage::set(Setting::default()));
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
    let time = |stage: &Stage| {
        let began = Instant::now();
        assert_eq!(stage.ask("GET", "/healthz", "", "").status, 200);
        began.elapsed()
    };
    // by turns, so that a loaded machine slows both
    let (mut alone, mut beside): (Vec<_>, Vec<_>) = (0..100).map(|_| (time(&quiet), time(&stage))).unzip();
    alone.sort_unstable();
    beside.sort_unstable();
    let limit = 5 * alone[89] + Duration::from_millis(5);
    assert!(beside[89] <= limit, "p90 beside slow callers is {:?}, without them {:?}", beside[89], alone[89]);
    // the oldest made room, and most of the others stayed: each honest call closes at most one
    assert!(closes(&mut slow[0]));
    let open = slow
        .iter_mut()
        .step_by(3)
        .filter_map(|silent| (!closes_within(silent, Duration::from_millis(1))).then_some(()));
    assert!(open.count() >= 50, "honest calls closed more connections than they need");
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
    let (oldest, others) = streams.split_at_mut(5);
    assert!(oldest.iter_mut().all(closes));
    assert!(!others.iter_mut().any(|stream| closes_within(stream, Duration::from_millis(50))));
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
    // its head has been read
    wait_for(|| {
        let metrics = stage.ask("GET", "/metrics", "", "").text();
        let in_flight = metrics.lines().find_map(|line| line.strip_prefix("cutover_http_requests_in_flight "));
        if in_flight == Some("2") { Ok(()) } else { Err(format!("{in_flight:?} requests in flight")) }
    });
    stage.begin_the_end();
    // while a request is under way
    assert!(closes(&mut silent) && closes(&mut idle));
    busy.write_all(b"}").unwrap();
    let reply = Reply::read(&mut busy).unwrap();
    assert_eq!((reply.status, &*reply.code()), (503, "shutting-down"));
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert!(closes(&mut busy));
    assert_eq!(stage.end(), Ended::Clean);
}
