//! One open stream: the engine's feed as messages, with a heartbeat in the silence between.
//!
//! Owns what ends a stream and what it then counts as. Makes a message only when the connection has room for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::{StreamFormat, message, platform};
use crate::api::ApiState;
use crate::clock::Clock;
use crate::domain::event::Kind;
use crate::domain::names::MirrorName;
use crate::engine::{Feed, Over, Told};
use crate::metrics::{Disconnect, Metrics, OpenStream};

/// The longest silence: proxies close a silent connection, and readers take it for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How soon a reader should come back when a stream has ended.
const RETRY: Duration = Duration::from_secs(2);

/// A reader that leaves a message untaken for this long counts as lagged when it goes.
const UNREAD: Duration = Duration::from_secs(5);

pub(super) struct Stream {
    feed: Feed,
    format: StreamFormat,
    /// The mirror that is the platform's step: the first.
    step: Option<MirrorName>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    greeted: bool,
    over: bool,
    /// When the connection last had room for a message.
    polled_at: Instant,
    open: OpenStream,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    pub(super) fn new(feed: Feed, format: StreamFormat, state: &ApiState, permit: OwnedSemaphorePermit) -> Self {
        Self {
            feed,
            format,
            step: state.engine.status().mirrors.first().map(|mirror| mirror.spec.name.clone()),
            clock: Arc::clone(&state.clock),
            metrics: Arc::clone(&state.metrics),
            greeted: false,
            over: false,
            polled_at: Instant::now(),
            open: state.metrics.stream_opened(),
            _permit: permit,
        }
    }

    /// The answer.
    pub(super) fn into_sse(self) -> Sse<impl futures_util::Stream<Item = Result<sse::Event, Infallible>> + Send> {
        let messages = stream::unfold(self, |mut stream| async {
            let message = stream.next().await?;
            Some((Ok(message), stream))
        });
        Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here"))
    }

    async fn next(&mut self) -> Option<sse::Event> {
        self.polled_at = Instant::now();
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(sse::Event::default().retry(RETRY));
        }
        while !self.over {
            let message = match self.feed.next().await {
                Ok(told) => self.message(&told),
                Err(over) => self.last_message(over),
            };
            if message.is_some() {
                return message;
            }
        }
        None
    }

    fn message(&self, told: &Told) -> Option<sse::Event> {
        match (told, self.format) {
            (Told::Event(event), StreamFormat::Own) => Some(message::event(event)),
            (Told::Event(event), StreamFormat::Platform) => platform::event(event, self.step.as_ref()?),
            (Told::Snapshot(snapshot), format) => {
                self.metrics.event_told(Kind::Snapshot);
                let now = self.clock.now();
                Some(match format {
                    StreamFormat::Own => message::snapshot(snapshot, now),
                    StreamFormat::Platform => platform::snapshot(snapshot, now),
                })
            }
        }
    }

    fn last_message(&mut self, over: Over) -> Option<sse::Event> {
        self.over = true;
        self.open.over = match over {
            Over::Ended => Disconnect::Ended,
            Over::Lagged => Disconnect::Lagged,
            Over::Shutdown => Disconnect::Shutdown,
        };
        (over == Over::Shutdown && self.format == StreamFormat::Own).then(|| {
            self.metrics.event_told(Kind::Shutdown);
            message::shutdown(self.clock.now())
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.over && self.feed.has_waiting() && self.polled_at.elapsed() >= UNREAD {
            self.open.over = Disconnect::Lagged;
        }
    }
}
