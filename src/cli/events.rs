//! The reader of the service's event stream (SSE).
//!
//! Owns the parser: unlike the crates for it, it bounds an event's size and reports keep-alives. A broken stream is no error
//! of a command: it is opened again, and where there is none, the command polls.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Response, StatusCode, header};
use serde_json::Value;

use crate::transport::Pieces;

/// The media type of a stream.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// The largest event, in bytes: a snapshot of thousands of mirrors fits.
const LARGEST: usize = 16 * 1024 * 1024;

/// The pause before a stream that ended is opened again.
pub(super) const RECONNECT: Duration = Duration::from_secs(2);

/// What a stream brings.
#[derive(Debug)]
pub(super) enum StreamItem {
    /// An event.
    Event(ServerEvent),
    /// A comment: the service is alive.
    KeepAlive,
}

/// An event.
#[derive(Debug, Default)]
pub(super) struct ServerEvent {
    pub(super) id: Option<String>,
    pub(super) kind: String,
    pub(super) data: Value,
}

/// An open stream.
pub(super) struct EventStream {
    pieces: Pieces,
    /// The rest of the last piece.
    piece: Bytes,
    /// The line so far.
    line: Vec<u8>,
    /// The lines so far of the next event.
    lines: Vec<String>,
    /// The bytes so far since the last event.
    size: usize,
}

impl EventStream {
    /// The stream in an answer, if it is one.
    pub(super) fn of(answer: Response<Pieces>) -> Option<Self> {
        let is_stream = answer.status() == StatusCode::OK
            && answer
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(MEDIA_TYPE.as_bytes()));
        is_stream.then(|| Self {
            pieces: answer.into_body(),
            piece: Bytes::new(),
            line: Vec::new(),
            lines: Vec::new(),
            size: 0,
        })
    }

    /// The next item; `None`: the stream has ended or broken. It may be dropped at any time and called again.
    pub(super) async fn next(&mut self) -> Option<StreamItem> {
        loop {
            let Some(end) = self.piece.iter().position(|byte| *byte == b'\n') else {
                self.line.extend_from_slice(&std::mem::take(&mut self.piece));
                self.piece = self.pieces.next().await?.ok()?;
                self.size += self.piece.len();
                if self.size > LARGEST {
                    return None;
                }
                continue;
            };
            self.line.extend_from_slice(&self.piece.split_to(end + 1));
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                self.size = 0;
                if let Some(event) = read(&std::mem::take(&mut self.lines)) {
                    return Some(StreamItem::Event(event));
                }
            } else if line.starts_with(':') {
                return Some(StreamItem::KeepAlive);
            } else {
                self.lines.push(line.to_owned());
            }
        }
    }
}

/// The event in these lines, if there is one: a `retry` line alone is none.
fn read(lines: &[String]) -> Option<ServerEvent> {
    let (mut event, mut data) = (ServerEvent::default(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            // it becomes the value of a header
            "id" if value.bytes().all(|c| c.is_ascii_graphic()) => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.kind),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = serde_json::from_str(&data.join("\n")).ok()?;
    Some(event)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;

    use super::*;

    fn answer(pieces: &[&'static str], kind: &str) -> Response<Pieces> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        Response::builder().header(header::CONTENT_TYPE, kind).body(stream::iter(pieces).boxed()).unwrap()
    }

    #[tokio::test]
    async fn events_are_read_wherever_they_are_cut() {
        let pieces = [
            "retry: 2000\n\n: still",
            " here\n\nid: 7\nev",
            "ent: phase\ndata: {\"a\":\ndata: 1}\r\n",
            "\nid: 8\n\ndata: x\n\n",
            "data: {}\n\nid: 9\ndata: {}\n",
        ];
        let mut events = EventStream::of(answer(&pieces, "text/event-stream; charset=utf-8")).unwrap();
        assert!(matches!(events.next().await, Some(StreamItem::KeepAlive)));
        let Some(StreamItem::Event(event)) = events.next().await else { panic!("an event") };
        assert_eq!((event.id.as_deref(), &*event.kind, event.data), (Some("7"), "phase", json!({"a": 1})));
        let Some(StreamItem::Event(event)) = events.next().await else { panic!("an event") };
        assert_eq!((event.id, &*event.kind, event.data), (None, "", json!({})));
        assert!(events.next().await.is_none(), "half an event is none");
        assert!(EventStream::of(answer(&[], "text/html")).is_none());
    }

    #[tokio::test]
    async fn an_event_that_does_not_end_breaks_the_stream() {
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&taken);
        let endless = stream::repeat_with(move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Bytes::from_static(&[b'x'; 4_096]))
        });
        let answer = Response::builder().header(header::CONTENT_TYPE, MEDIA_TYPE).body(endless.boxed()).unwrap();
        assert!(EventStream::of(answer).unwrap().next().await.is_none());
        assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), LARGEST / 4_096 + 1);
    }
}
