//! Notifications: sends what is in the journal's outbox, in order, until the receiver accepts it.
//!
//! Owns one task, one request at a time, and the pauses between attempts. No run waits for it: a run writes its notifications
//! to the journal with its own state. The receiver gets nothing that `/status` does not show, and its answer is not read. A
//! redirect is not followed: it is a failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::domain::notice::MEDIA_TYPE;
use crate::domain::url::ReceiverUrl;
use crate::domain::webhook::{SecretSource, sign};
use crate::journal::{Journal, Waiting};
use crate::metrics::{Metrics, NOTIFICATION};
use crate::shutdown::Shutdown;
use crate::transport::{Call, Route, Transport};

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read, in bytes, before it is discarded.
const LARGEST: usize = 64 * 1024;

/// The pauses between attempts: each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// The pause when the journal cannot be read or written.
const NO_JOURNAL: Duration = Duration::from_secs(30);

/// Sends notifications.
#[derive(Debug)]
pub struct Notifier {
    /// The receiver.
    pub url: ReceiverUrl,
    /// Whether the proxy of the environment is used.
    pub proxied: bool,
    /// The signing secret; it reads as `None` where none is configured.
    pub secret: Arc<dyn SecretSource>,
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Has the outbox.
    pub journal: Journal,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Counts attempts.
    pub metrics: Arc<Metrics>,
    /// The end of the service.
    pub shutdown: Shutdown,
    /// Wakes it when the outbox has a new notification.
    pub wake: Arc<Notify>,
}

impl Notifier {
    /// Sends until the service ends. An interrupted request is sent again by the next process, with the same id.
    pub async fn run(self) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            // nothing new is sent once the service ends
            biased;
            () = shutdown.begun() => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        loop {
            let now = self.clock.now();
            let outbox = match self.journal.outbox(now, LONGEST_PAUSE).await {
                Ok(outbox) => outbox,
                Err(error) => {
                    tracing::warn!(%error, "notifications not readable from the journal");
                    tokio::time::sleep(NO_JOURNAL).await;
                    continue;
                }
            };
            if outbox.dropped > 0 {
                tracing::error!(dropped = outbox.dropped, "notifications dropped: undelivered for a day, or too many");
            }
            self.metrics.notifications("dropped", outbox.dropped);
            self.metrics.notifications_waiting(outbox.waiting);
            match outbox.next {
                None => self.wake.notified().await,
                Some(next) if next.next_at > now => {
                    let pause = Duration::try_from(next.next_at.duration_since(now)).unwrap_or_default();
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        // the notification of another mirror may be due already
                        () = self.wake.notified() => {}
                    }
                }
                Some(next) => self.send(&next).await,
            }
        }
    }

    async fn send(&self, next: &Waiting) {
        let (mirror, id) = (next.mirror.as_str(), next.id.as_str());
        let written = match self.attempt(next).await {
            Ok(()) => {
                tracing::info!(mirror, id, "notification delivered");
                self.metrics.notifications("delivered", 1);
                self.journal.told(next.seq).await
            }
            Err(why) => {
                let pause = pause_after(next.tries);
                let (attempts, retry_s) = (next.tries + 1, pause.as_secs());
                tracing::warn!(mirror, id, attempts, retry_s, error = why, "notification not delivered");
                self.metrics.notifications("failed", 1);
                self.journal.not_told(next.seq, later(self.clock.now(), pause)).await
            }
        };
        if let Err(error) = written {
            // without the pause it would be sent again and again
            tracing::warn!(%error, "delivery of a notification not written to the journal");
            tokio::time::sleep(NO_JOURNAL).await;
        }
    }

    /// Sends once. The error has no secret.
    async fn attempt(&self, next: &Waiting) -> Result<(), String> {
        let timestamp = self.clock.now().as_second();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header("webhook-id", &next.id)
            .header("webhook-timestamp", timestamp);
        if let Some(secrets) = self.secret.read() {
            // with a secret that cannot be read, nothing is sent unsigned
            let secret = secrets
                .good
                .first()
                .ok_or_else(|| secrets.bad.first().map_or_else(String::new, ToString::to_string))?;
            let signature = HeaderValue::try_from(sign(secret, &next.id, timestamp, &next.body));
            request = request.header("webhook-signature", signature.expect("base64 is plain ASCII"));
        }
        let request = request.body(Bytes::from(next.body.clone())).map_err(|_| "the request cannot be built")?;
        let route = if self.proxied { Route::Proxied } else { Route::Direct };
        let call = Call { operation: NOTIFICATION, route, request, bundle: None, timeout: TIMEOUT, largest: LARGEST };
        match self.transport.send(call).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("the receiver answers {}", answer.status().as_u16())),
            Err(trouble) => Err(trouble.detail),
        }
    }
}

/// The pause after a failed attempt that follows `tries` others.
fn pause_after(tries: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(tries.min(10))).min(LONGEST_PAUSE)
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let pauses: Vec<_> = (0..9).map(|tries| pause_after(tries).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
