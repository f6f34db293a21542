//! Streams over real sockets, on real time: a reader that goes, the end of the service, and the cap of connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use cutover_api::app::Ended;
use tokio::time::Instant;

use crate::http::stage::{OPERATOR, Setting, Stage};

/// A stream of everything, read up to its snapshot.
fn open(stage: &Stage) -> TcpStream {
    let mut stream = stage.connect();
    let request = format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let seen = read_until(&mut stream, "event: snapshot\n");
    assert!(seen.starts_with("HTTP/1.1 200 ") && seen.contains("\r\ntransfer-encoding: chunked\r\n"), "{seen}");
    stream
}

/// What comes up to a word, or to the end.
fn read_until(stream: &mut TcpStream, word: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(word) {
        let mut some = [0; 4_096];
        match stream.read(&mut some) {
            Ok(0) | Err(_) => break,
            Ok(count) => seen.push_str(&String::from_utf8_lossy(&some[..count])),
        }
    }
    seen
}

fn metric(stage: &Stage, series: &str) -> Option<String> {
    let text = stage.ask("GET", "/metrics", "", "").text();
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    Some(line.rsplit_once(' ')?.1.to_owned())
}

#[test]
fn events_arrive_as_they_happen_and_a_reader_that_goes_is_noticed() {
    let stage = Stage::set(Setting::default());
    let (mut stream, other) = (open(&stage), open(&stage));
    assert_eq!(metric(&stage, "cutover_sse_connections").as_deref(), Some("2"));
    assert_eq!(stage.ask("POST", "/cutover/mirror", "", "").status, 202);
    assert!(read_until(&mut stream, "event: run-ended\n").contains("event: phase\n"));
    drop((stream, other));
    let began = Instant::now();
    while metric(&stage, "cutover_sse_connections").as_deref() != Some("0") {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody noticed");
    }
    assert_eq!(metric(&stage, r#"cutover_sse_disconnects_total{reason="client"}"#).as_deref(), Some("2"));
}

#[test]
fn the_service_ends_in_time_while_streams_are_open_and_says_so_on_each() {
    let stage = Stage::set(Setting::default());
    let mut streams: Vec<_> = (0..64).map(|_| open(&stage)).collect();
    let began = Instant::now();
    assert_eq!(stage.end(), Ended::Clean);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for stream in &mut streams {
        let rest = read_until(stream, "no such word");
        assert!(rest.contains("event: shutdown\n") && rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    }
}

#[test]
fn at_the_cap_of_connections_silent_callers_make_room_and_open_streams_do_not() {
    let stage = Stage::set(Setting { yaml: "limits: { connections: 16 }\n", ..Setting::default() });
    let mut streams: Vec<_> = (0..4).map(|_| open(&stage)).collect();
    let _silent: Vec<_> = (0..40).map(|_| stage.connect()).collect();
    assert_eq!(stage.ask("GET", "/events", "", "").code(), "too-many-streams");
    assert_eq!(stage.ask("POST", "/cutover/mirror", "", "").status, 202);
    for stream in &mut streams {
        assert!(read_until(stream, "event: run-ended\n").contains("event: run-ended\n"));
    }
}
