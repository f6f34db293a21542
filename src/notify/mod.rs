//! Telling somebody who does not watch: what the engine has left in the journal is sent, in order, until it is taken.
//!
//! Owns one task, one request at a time, and the pauses between tries. Nothing waits for it: a run writes what is to be
//! told with its own state and goes on. The receiver learns nothing that `/status` does not say, and what it answers is
//! not read. A redirect is not followed: it is a failure like any other.

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

/// How long the receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read, to be thrown away.
const LARGEST: usize = 64 * 1024;

/// The pauses between tries: each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// How long to wait when the journal itself cannot be read or written.
const NO_JOURNAL: Duration = Duration::from_secs(30);

/// Sends what there is to tell.
#[derive(Debug)]
pub struct Notifier {
    /// Where to.
    pub url: ReceiverUrl,
    /// Whether by the proxy of the environment.
    pub proxied: bool,
    /// Who signs; it gives `None` where nobody does.
    pub secret: Arc<dyn SecretSource>,
    /// Sends.
    pub transport: Arc<dyn Transport>,
    /// Holds what is to be told.
    pub journal: Journal,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The service's end.
    pub shutdown: Shutdown,
    /// Wakes it when there is more to tell.
    pub wake: Arc<Notify>,
}

impl Notifier {
    /// Sends until the service ends. What is on its way then is sent again by the next process, under the same id.
    pub async fn run(self) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            // once the service ends, nothing new is begun
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
                    tracing::warn!(%error, "What is to be told cannot be read from the journal");
                    tokio::time::sleep(NO_JOURNAL).await;
                    continue;
                }
            };
            if outbox.dropped > 0 {
                tracing::error!(
                    dropped = outbox.dropped,
                    "Gave up on notifications that were not taken for a day, or are too many"
                );
            }
            self.metrics.notifications("dropped", outbox.dropped);
            self.metrics.notifications_waiting(outbox.waiting);
            match outbox.next {
                None => self.wake.notified().await,
                Some(next) if next.next_at > now => {
                    let pause = Duration::try_from(next.next_at.duration_since(now)).unwrap_or_default();
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        // another mirror may have something to tell that need not wait
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
                tracing::info!(mirror, id, "A notification was taken");
                self.metrics.notifications("delivered", 1);
                self.journal.told(next.seq).await
            }
            Err(why) => {
                let pause = pause_after(next.tries);
                tracing::warn!(
                    mirror,
                    id,
                    tries = next.tries + 1,
                    "A notification was not taken: {why}; it is sent again in {} s",
                    pause.as_secs()
                );
                self.metrics.notifications("failed", 1);
                self.journal.not_told(next.seq, later(self.clock.now(), pause)).await
            }
        };
        if let Err(error) = written {
            // without this it would be sent again at once, for ever
            tracing::warn!(%error, "What became of a notification could not be written to the journal");
            tokio::time::sleep(NO_JOURNAL).await;
        }
    }

    /// One try. The text says why it failed, without a secret.
    async fn attempt(&self, next: &Waiting) -> Result<(), String> {
        let timestamp = self.clock.now().as_second();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header("webhook-id", &next.id)
            .header("webhook-timestamp", timestamp);
        if let Some(secrets) = self.secret.read() {
            // one that was to be signed does not leave without a signature
            let secret = secrets
                .good
                .first()
                .ok_or_else(|| secrets.bad.first().map_or_else(String::new, ToString::to_string))?;
            let signature = HeaderValue::try_from(sign(secret, &next.id, timestamp, &next.body));
            request = request.header("webhook-signature", signature.expect("base64 is plain ASCII"));
        }
        let request = request.body(Bytes::from(next.body.clone())).map_err(|_| "no request can be made of it")?;
        let route = if self.proxied { Route::Proxied } else { Route::Direct };
        let call = Call { operation: NOTIFICATION, route, request, bundle: None, timeout: TIMEOUT, largest: LARGEST };
        match self.transport.send(call).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("the receiver answers {}", answer.status().as_u16())),
            Err(trouble) => Err(trouble.detail),
        }
    }
}

/// The pause after so many tries and one more.
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
