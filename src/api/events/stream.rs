//! A stream's body: what the engine tells, as it is told, with a heartbeat in the silence between.
//!
//! Owns what ends a stream and what it then counts as. Makes a piece only when the connection has room for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::frame::Frame;
use super::{Format, frame, platform};
use crate::api::ApiState;
use crate::clock::Clock;
use crate::domain::event::Kind;
use crate::domain::names::MirrorName;
use crate::engine::{Feed, Over, Told};
use crate::metrics::{Disconnect, Metrics, OpenStream};

/// The longest silence: proxies close what is silent, and readers take it for dead.
const SILENCE: Duration = Duration::from_secs(10);

/// A reader that leaves so long what it could take has not gone in good order.
const UNREAD: Duration = Duration::from_secs(5);

pub(super) struct Stream {
    feed: Feed,
    format: Format,
    /// The mirror that is the platform's step: the first.
    step: Option<MirrorName>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    frame: Option<Frame>,
    greeted: bool,
    over: bool,
    /// When a piece was last asked for.
    asked: Instant,
    open: OpenStream,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    pub(super) fn new(feed: Feed, format: Format, state: &ApiState, permit: OwnedSemaphorePermit) -> Self {
        Self {
            feed,
            format,
            step: state.engine.status().mirrors.first().map(|mirror| mirror.spec.name.clone()),
            clock: Arc::clone(&state.clock),
            metrics: Arc::clone(&state.metrics),
            frame: None,
            greeted: false,
            over: false,
            asked: Instant::now(),
            open: state.metrics.stream_opened(),
            _permit: permit,
        }
    }

    pub(super) fn into_body(self) -> Body {
        let pieces = stream::unfold(self, |mut stream| async {
            let piece = stream.piece().await?;
            Some((Ok::<_, Infallible>(piece), stream))
        });
        Body::from_stream(pieces)
    }

    async fn piece(&mut self) -> Option<Bytes> {
        self.asked = Instant::now();
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(frame::GREETING.as_bytes()));
        }
        let silent_until = self.asked + SILENCE;
        loop {
            if let Some(piece) = self.frame.as_mut().and_then(Frame::next) {
                return Some(piece);
            }
            self.frame = None;
            if self.over {
                return None;
            }
            let Ok(told) = timeout_at(silent_until, self.feed.next()).await else {
                return Some(Bytes::from_static(frame::HEARTBEAT.as_bytes()));
            };
            self.frame = match told {
                Ok(told) => self.framed(&told),
                Err(over) => self.last_word(over),
            };
        }
    }

    fn framed(&self, told: &Told) -> Option<Frame> {
        match (told, self.format) {
            (Told::Event(event), Format::Own) => Some(Frame::event(event)),
            (Told::Event(event), Format::Platform) => platform::event(event, self.step.as_ref()?),
            (Told::Snapshot(snapshot), format) => {
                self.metrics.event_told(Kind::Snapshot);
                let now = self.clock.now();
                Some(match format {
                    Format::Own => Frame::snapshot(snapshot, now),
                    Format::Platform => platform::snapshot(snapshot, now),
                })
            }
        }
    }

    fn last_word(&mut self, over: Over) -> Option<Frame> {
        self.over = true;
        self.open.over = match over {
            Over::Ended => Disconnect::Ended,
            Over::Lagged => Disconnect::Lagged,
            Over::Shutdown => Disconnect::Shutdown,
        };
        (over == Over::Shutdown && self.format == Format::Own).then(|| {
            self.metrics.event_told(Kind::Shutdown);
            Frame::shutdown(self.clock.now())
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let unread = self.frame.is_some() || self.feed.has_waiting();
        if !self.over && unread && self.asked.elapsed() >= UNREAD {
            self.open.over = Disconnect::Lagged;
        }
    }
}
