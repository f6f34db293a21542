//! The transport over real sockets, by reqwest.
//!
//! Owns how a call becomes a request of the library, and reports each call to the observer. Never follows a redirect,
//! never repeats a request.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::time::Instant;
use url::Url;

use super::clients::{Clients, Outbound};
use super::failure::{Way, is_a_refused_tunnel, proxy_answered, trouble};
use super::{Bundle, Call, Observer, Pieces, Route, Transport, tunnel};
use crate::domain::answer::{Trouble, TroubleKind};

/// Transport over real sockets: HTTP/1.1, TLS by rustls.
pub struct HttpTransport {
    clients: Clients,
    observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Creates a transport from this process's environment. Settings that cannot be used fail only the requests that
    /// need them.
    ///
    /// # Errors
    /// No HTTP client can be created.
    pub fn new(observer: Option<Arc<dyn Observer>>) -> Result<Self, Trouble> {
        Self::with(Outbound::lenient(&|name| std::env::var(name).ok()), observer)
    }

    /// Creates a transport with these CA certificates and proxies, which reports each request to `observer`.
    ///
    /// # Errors
    /// No HTTP client can be created.
    pub fn with(outbound: Outbound, observer: Option<Arc<dyn Observer>>) -> Result<Self, Trouble> {
        Ok(Self { clients: Clients::new(outbound)?, observer })
    }

    /// Trusts only the CAs of this PEM file for [`Route::Cluster`].
    #[must_use]
    pub fn trusting(mut self, authorities: std::path::PathBuf) -> Self {
        self.clients.cluster = Some(authorities);
        self
    }

    /// Sends a call and returns the head of the answer.
    async fn execute(&self, call: Call) -> Result<reqwest::Response, Trouble> {
        let request = reqwest::Request::try_from(call.request)
            .map_err(|_| Trouble::not_sent(TroubleKind::Connect, "the request's address cannot be used"))?;
        let address = request.url().clone();
        let way = self.clients.way(call.route, &address);
        let client = self.client(call.route, call.bundle.as_ref(), &address)?;
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sends")]
        let result = client.execute(request).await;
        match (result, way.proxy) {
            // Only a proxy answers 407. Without a tunnel the library passes it on as the answer.
            (Ok(answer), Some(proxy)) if !way.tunnel && answer.status() == 407 => Err(proxy_answered(proxy, 407)),
            (Ok(answer), _) => Ok(answer),
            (Err(error), Some(proxy)) if is_a_refused_tunnel(&error) => {
                let (host, port) = (address.host_str().unwrap_or_default(), address.port_or_known_default());
                match tunnel::refusal(proxy, host, port.unwrap_or(443)).await {
                    Some(status) => Err(proxy_answered(proxy, status)),
                    None => Err(trouble(&error, way)),
                }
            }
            (Err(error), _) => Err(trouble(&error, way)),
        }
    }

    fn client(&self, route: Route, bundle: Option<&Arc<Bundle>>, to: &Url) -> Result<reqwest::Client, Trouble> {
        self.clients.client(route, bundle, to, &|setting, usable| {
            if let Some(observer) = &self.observer {
                observer.bundle(setting, usable);
            }
        })
    }

    async fn attempt(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let largest = call.largest;
        let mut answer = self.execute(call).await?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
            if body.len() + chunk.len() > largest {
                let detail = format!("the answer is larger than {largest} bytes");
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
                Err(Trouble::maybe_sent(
                    TroubleKind::Timeout,
                    format!("no complete answer within {} s", limit.as_secs()),
                ))
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

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        Box::pin(async move {
            let limit = call.timeout;
            let silent =
                move || Trouble::maybe_sent(TroubleKind::Timeout, format!("no data within {} s", limit.as_secs()));
            let observed = Observed::from(self.observer.clone(), call.operation);
            let answer = tokio::time::timeout(limit, self.execute(call)).await;
            let mut answer = answer.map_err(|_| silent())??;
            let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            let observed = observed.answered(status.as_u16());
            let pieces = stream::unfold(Some((answer, observed)), move |going_on| async move {
                let (mut answer, mut observed) = going_on?;
                let piece = tokio::time::timeout(limit, answer.chunk()).await;
                match piece.map_err(|_| silent()).and_then(|piece| piece.map_err(|error| broken(&error))) {
                    Ok(piece) => Some((Ok(piece?), Some((answer, observed)))),
                    Err(trouble) => {
                        observed.status = None;
                        Some((Err(trouble), None))
                    }
                }
            });
            let mut response = Response::new(pieces.boxed());
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            Ok(response)
        })
    }
}

/// Reports a streamed answer to the observer when its body has been read or dropped.
struct Observed {
    observer: Option<Arc<dyn Observer>>,
    operation: &'static str,
    began: Instant,
    status: Option<u16>,
}

impl Observed {
    fn from(observer: Option<Arc<dyn Observer>>, operation: &'static str) -> Self {
        Self { observer, operation, began: Instant::now(), status: None }
    }

    fn answered(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.sent(self.operation, self.status, self.began.elapsed());
        }
    }
}

/// The trouble of a body that broke off.
fn broken(error: &reqwest::Error) -> Trouble {
    trouble(error, Way { proxy: None, tunnel: false })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::domain::answer::Sent;

    async fn get(url: &str, timeout: Duration) -> Result<Response<Bytes>, Trouble> {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        let call = Call { operation: "test", route: Route::Direct, request, bundle: None, timeout, largest: 1_000 };
        HttpTransport::new(None).unwrap().send(call).await
    }

    /// A server that accepts one connection, reads a little, sends `says` and closes it.
    fn server(says: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            if let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.read(&mut [0; 1_024]);
                let _ = stream.write_all(says);
            }
        });
        port
    }

    #[tokio::test]
    async fn every_failure_is_sorted_by_what_it_is_and_whether_the_request_can_have_arrived() {
        // no service may have it, so that every connection is refused
        let free = 1;
        let plain = server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let cut = server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        let silent = server(b"");
        let large = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
        for (url, kind, sent) in [
            ("http://no-such-host.invalid/".to_owned(), TroubleKind::Dns, Sent::No),
            (format!("http://127.0.0.1:{free}/"), TroubleKind::Connect, Sent::No),
            (format!("https://127.0.0.1:{plain}/"), TroubleKind::Tls, Sent::No),
            (format!("http://127.0.0.1:{cut}/"), TroubleKind::Cut, Sent::Maybe),
            (format!("http://127.0.0.1:{silent}/"), TroubleKind::Cut, Sent::Maybe),
            (format!("http://127.0.0.1:{large}/"), TroubleKind::Cut, Sent::Maybe),
        ] {
            let trouble = get(&url, Duration::from_secs(10)).await.unwrap_err();
            assert_eq!((trouble.kind, trouble.sent), (kind, sent), "{url}: {trouble:?}");
            assert!(!trouble.detail.contains("127.0.0.1"), "{trouble:?}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let port = server(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        let answer = get(&format!("http://127.0.0.1:{port}/"), Duration::from_secs(10)).await.unwrap();
        assert_eq!(answer.status(), 301);
    }

    #[tokio::test]
    async fn a_body_beyond_the_cap_is_not_read() {
        let port = server(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
            0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
        );
        let request = http::Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).unwrap();
        let timeout = Duration::from_secs(10);
        let call = Call { operation: "test", route: Route::Direct, request, bundle: None, timeout, largest: 99 };
        let trouble = HttpTransport::new(None).unwrap().send(call).await.unwrap_err();
        assert_eq!(trouble.kind, TroubleKind::TooLarge);
    }
}
