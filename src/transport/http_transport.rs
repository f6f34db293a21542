//! Real sockets, by reqwest.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::Response;
use tokio::time::Instant;

use super::{Call, Observer, Route, Transport};
use crate::domain::answer::{Trouble, TroubleKind};

/// How long a connection may take to come about. A cluster's network answers in milliseconds or not at all.
const CONNECT: Duration = Duration::from_secs(5);

/// Sends over real sockets: HTTP/1.1, TLS by rustls, the operating system's roots.
pub struct HttpTransport {
    direct: reqwest::Client,
    proxied: reqwest::Client,
    observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport whose every request is told to `observer`.
    ///
    /// # Errors
    /// When no TLS configuration can be made.
    pub fn new(observer: Option<Arc<dyn Observer>>) -> Result<Self, Trouble> {
        // a second call finds it installed already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { direct: client(Route::Direct)?, proxied: client(Route::Proxied)?, observer })
    }

    async fn attempt(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let client = match call.route {
            Route::Direct => &self.direct,
            Route::Proxied => &self.proxied,
        };
        let request = reqwest::Request::try_from(call.request)
            .map_err(|_| Trouble::not_sent(TroubleKind::Connect, "the request's address cannot be used"))?;
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sends")]
        let mut answer = client.execute(request).await.map_err(|error| trouble(&error))?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| trouble(&error))? {
            if body.len() + chunk.len() > call.largest {
                let detail = format!("the answer is larger than {} bytes", call.largest);
                return Err(Trouble::maybe_sent(TroubleKind::TooLarge, detail));
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = body.freeze();
        Ok(response)
    }
}

impl Transport for HttpTransport {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        Box::pin(async move {
            let (operation, limit, began) = (call.operation, call.timeout, Instant::now());
            let result = tokio::time::timeout(limit, self.attempt(call)).await.unwrap_or_else(|_| {
                Err(Trouble::maybe_sent(TroubleKind::Timeout, format!("no whole answer within {} s", limit.as_secs())))
            });
            if let Some(observer) = &self.observer {
                observer.sent(
                    operation,
                    result.as_ref().ok().map(|response| response.status().as_u16()),
                    began.elapsed(),
                );
            }
            result
        })
    }
}

fn client(route: Route) -> Result<reqwest::Client, Trouble> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .user_agent(concat!("cutover-api/", env!("CARGO_PKG_VERSION")))
            .http1_only();
        match route {
            Route::Direct => builder.no_proxy(),
            Route::Proxied => builder,
        }
    };
    // an image without a CA bundle makes the platform's verifier fail, even where no TLS is ever used
    builder().build().or_else(|_| builder().tls_certs_only(bundled_roots()).build()).map_err(|error| trouble(&error))
}

fn bundled_roots() -> Vec<reqwest::Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|root| reqwest::Certificate::from_der(root).ok())
        .collect()
}

/// Sorts an error of reqwest's. Its own text names the address and is not used.
fn trouble(error: &reqwest::Error) -> Trouble {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner);
        cause = inner.source();
    }
    let says = |words: &[&str]| {
        causes.iter().any(|cause| {
            let text = cause.to_string().to_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    let io = causes.iter().rev().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    let (kind, sent, detail) = if error.is_connect() {
        if says(&["dns error", "failed to lookup"]) {
            (TroubleKind::Dns, false, "the host name does not resolve")
        } else if says(&["certificate", "tls", "handshake", "invalid peer"]) {
            (TroubleKind::Tls, false, "no TLS session: the certificate is not accepted, or no TLS is spoken there")
        } else if io == Some(std::io::ErrorKind::ConnectionRefused) {
            (TroubleKind::Connect, false, "the connection is refused")
        } else if error.is_timeout() {
            (TroubleKind::Connect, false, "no connection within 5 s")
        } else {
            (TroubleKind::Connect, false, "no connection can be made")
        }
    } else if error.is_timeout() {
        (TroubleKind::Timeout, true, "no whole answer in time")
    } else if error.is_builder() {
        (TroubleKind::Connect, false, "the HTTP client cannot be set up")
    } else {
        (TroubleKind::Cut, true, "the connection broke before the whole answer was here")
    };
    if sent { Trouble::maybe_sent(kind, detail) } else { Trouble::not_sent(kind, detail) }
}
