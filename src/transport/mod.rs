//! The only place that sends HTTP, and the one seam that tests replace.
//!
//! Owns how a request leaves and how its answer or failure comes back: time limits, a cap on what is read, no redirect
//! ever followed, no request ever repeated, no connection ever used twice. Knows nothing of Gitea, git or mirrors, and never logs a header or a body. A failure
//! is told in the domain's one vocabulary, [`Trouble`], so that nobody has to translate it.

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

/// One request, with its limits.
#[derive(Debug)]
pub struct Call {
    /// What it is for, from a closed set: the label of metrics and logs.
    pub operation: &'static str,
    /// Which way it goes.
    pub route: Route,
    /// What is sent.
    pub request: http::Request<Bytes>,
    /// CA certificates that are trusted for this request, beside the system's.
    pub bundle: Option<Arc<Bundle>>,
    /// How long the whole answer may take.
    pub timeout: Duration,
    /// How many bytes of body are read at most.
    pub largest: usize,
}

/// Which way a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight: to Gitea, and from the command line to the service.
    Direct,
    /// Through the forward proxy of the environment ([`Proxies`]), if there is one: to upstream.
    Proxied,
    /// Straight, to the cluster's API server: its certificate is of the cluster's own authority, and no other counts.
    Cluster,
}

/// Sends requests.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request and reads its whole answer.
    ///
    /// # Errors
    /// [`Trouble`]: no whole answer. Dropping the future gives the request up; the other side may go on with it.
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>>;

    /// Sends one request whose answer is long or has no end, and gives its body piece by piece, as it arrives. `timeout`
    /// is for the head and for each piece, `largest` for nothing. A transport that knows only whole answers gives one
    /// piece.
    ///
    /// # Errors
    /// [`Trouble`]: no head of an answer.
    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let whole = self.send(call);
        whole.map(|answer| answer.map(|answer| answer.map(|body| stream::iter([Ok(body)]).boxed()))).boxed()
    }
}

/// A body as it comes.
pub type Pieces = BoxStream<'static, Result<Bytes, Trouble>>;

/// Is told of every request, when it has ended: of one that was streamed, once its body was read or given up.
pub trait Observer: Send + Sync {
    /// One request has ended: with a status, or without.
    fn sent(&self, operation: &'static str, status: Option<u16>, took: Duration);

    /// A CA bundle was looked at: whether it can be used now. If not, its last good content is in force.
    fn bundle(&self, setting: &str, usable: bool) {
        let _ = (setting, usable);
    }
}

/// A status that is an outage, a request to come again or none of the server's own, as trouble.
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

/// How long a server asks to be left alone: in seconds, or until a date, which counts from its own.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(date(headers)?)).unwrap_or_default())
}

/// The server's own time.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// Whether an answer says that it is of this media type, whatever its parameters.
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
    fn a_server_asks_to_be_left_alone_in_seconds_or_until_a_date_of_its_own_clock() {
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
