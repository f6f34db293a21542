//! An in-process reader of an event stream. It reads only when the test asks for the next event.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::World;

/// What a stream has said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// An event.
    Event { id: Option<u64>, event: String, data: Value },
    /// A comment: somebody is there.
    Comment,
}

impl Heard {
    /// The kind of the event; empty: a comment.
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Event { event, .. } => event,
            Self::Comment => "",
        }
    }

    #[track_caller]
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Event { id: Some(id), .. } => *id,
            other => panic!("{other:?} has no id"),
        }
    }

    #[track_caller]
    pub(crate) fn data(&self) -> &Value {
        match self {
            Self::Event { data, .. } => data,
            Self::Comment => panic!("a comment has no data"),
        }
    }
}

/// How long a test waits for an event; a stream has a comment every 15 s, which is when this is looked at.
const PATIENCE: Duration = Duration::from_hours(3);

/// A reader.
pub(crate) struct Follower {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: BodyDataStream,
    text: String,
}

impl Follower {
    /// The next that the stream says; `None`: it has ended.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(heard) = read(&block) {
                    return Some(heard);
                }
                continue;
            }
            let piece = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> impl Future<Output = Heard> {
        let at = std::panic::Location::caller();
        async move {
            let began = Instant::now();
            loop {
                match self.next().await {
                    _ if began.elapsed() > PATIENCE => panic!("no event within {PATIENCE:?}, at {at}"),
                    Some(Heard::Comment) => {}
                    Some(event) => return event,
                    None => panic!("the stream has ended, at {at}"),
                }
            }
        }
    }

    /// Every event up to the first of a kind, with it.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Heard> {
        let mut all = vec![self.event().await];
        while all.last().unwrap().kind() != kind {
            all.push(self.event().await);
        }
        all
    }

    /// Every event up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Some(heard) = self.next().await {
            all.extend(Some(heard).filter(|heard| *heard != Heard::Comment));
        }
        all
    }
}

/// One block of a stream; `None`: it says nothing.
fn read(block: &str) -> Option<Heard> {
    let (mut id, mut event, mut data) = (None, String::new(), Vec::new());
    for line in block.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name {
            "" => return Some(Heard::Comment),
            "id" => id = Some(value.parse().unwrap()),
            "event" => value.clone_into(&mut event),
            "data" => data.push(value),
            "retry" => {}
            other => panic!("a line of a stream begins with {other:?}"),
        }
    }
    let data = data.join("\n");
    (!data.is_empty()).then(|| {
        let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
        Heard::Event { id, event, data }
    })
}

impl World {
    /// Opens a stream.
    pub(crate) async fn follow(&self, path: &str, last_event_id: Option<&str>) -> Follower {
        let mut request = Self::request(Method::GET, path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let router = self.service.as_ref().expect("the service was started").router.clone();
        let Ok(response) = router.oneshot(request.body(Body::empty()).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = body.into_data_stream();
        Follower { status: head.status, headers: head.headers, body, text: String::new() }
    }

    /// The value of a series.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text;
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }
}
