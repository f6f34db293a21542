//! The only place that sends HTTP, and the seam that tests replace.
//!
//! Owns how a request is sent and how its answer or failure returns, with limits on time and size. Never follows a
//! redirect, never repeats a request, never reuses a connection, never logs a header or a body. Knows nothing of Gitea,
//! git or mirrors. Failures are the domain's [`Trouble`].

mod bundle;
mod clients;
mod exchange;
mod failure;
mod http_transport;
mod proxies;
mod tunnel;
mod verifier;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, Response, header};
use jiff::Timestamp;

use crate::domain::answer::{Sent, Trouble, TroubleKind};

pub use bundle::Bundle;
pub use clients::Outbound;
pub use exchange::Exchange;
pub use http_transport::HttpTransport;
pub use proxies::{Proxies, Proxy};

/// A request with its limits.
#[derive(Debug)]
pub struct Call {
    /// Name of the call, from a closed set; a label of metrics and logs.
    pub operation: &'static str,
    /// Route of the request.
    pub route: Route,
    /// The HTTP request.
    pub request: http::Request<Bytes>,
    /// CA certificates that this request trusts in addition to the system's.
    pub bundle: Option<Arc<Bundle>>,
    /// Time limit of the whole answer.
    pub timeout: Duration,
    /// Largest body that is read, in bytes.
    pub largest: usize,
}

/// Network path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Direct: to Gitea, and from the CLI to the service.
    Direct,
    /// Through the forward proxy of the environment ([`Proxies`]), if there is one: to upstream.
    Proxied,
    /// Direct, to the cluster's API server, whose certificate must be from the cluster's own CA.
    Cluster,
}

/// Sender of requests.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// [`Trouble`]: no whole answer. Dropping the future drops the request; the server may still process it.
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>>;

    /// Sends a request and returns the body of its answer piece by piece. For long or endless answers.
    ///
    /// `timeout` limits the head and each piece; `largest` is not used. A transport with only whole answers returns one
    /// piece.
    ///
    /// # Errors
    /// [`Trouble`]: no head of an answer.
    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let whole = self.send(call);
        whole.map(|answer| answer.map(|answer| answer.map(|body| stream::iter([Ok(body)]).boxed()))).boxed()
    }
}

/// A body, as it arrives.
pub type Pieces = BoxStream<'static, Result<Bytes, Trouble>>;

/// Receiver of a report for each request, when it has ended. A streamed request ends when its body is read or dropped.
pub trait Observer: Send + Sync {
    /// A request has ended, with a status or without one.
    fn sent(&self, operation: &'static str, status: Option<u16>, took: Duration);

    /// A CA bundle was read. If it is not usable, its last good content is in force.
    fn bundle(&self, setting: &str, usable: bool) {
        let _ = (setting, usable);
    }
}

/// Trouble of a status that means an outage, a request to retry later or a foreign answer.
#[must_use]
pub fn status_trouble(response: &Response<Bytes>) -> Trouble {
    let status = response.status().as_u16();
    let kind = match status {
        408 | 429 | 502..=504 => TroubleKind::Busy,
        500..=599 => TroubleKind::ServerError,
        _ => TroubleKind::Foreign,
    };
    Trouble {
        kind,
        detail: format!("it answers {status}"),
        sent: Sent::Maybe,
        retry_after: retry_after(response.headers()),
        cause: None,
    }
}

/// The pause that a server asks for: seconds, or a date, which is compared with the server's own `Date`.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(date(headers)?)).unwrap_or_default())
}

/// The server's `Date`.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// Whether an answer has this media type, with any parameters.
#[must_use]
pub fn has_media_type<T>(response: &Response<T>, wanted: &str) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_of_the_servers_clock() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (asked, date, pause) in [
            ("7", None, Some(7)),
            ("0", None, Some(0)),
            ("99999999999999999999", None, Some(u64::MAX)),
            ("+7", None, None),
            ("", None, None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(DATE), Some(120)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(DATE), Some(0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, None),
            ("soon", Some(DATE), None),
            ("-1", Some(DATE), None),
        ] {
            let mut response = Response::builder().status(429).header(header::RETRY_AFTER, asked);
            if let Some(date) = date {
                response = response.header(header::DATE, date);
            }
            let trouble = status_trouble(&response.body(Bytes::new()).unwrap());
            assert_eq!(trouble.retry_after, pause.map(Duration::from_secs), "{asked}");
            assert_eq!(trouble.kind, TroubleKind::Busy);
        }
    }
}
