//! Real sockets, by reqwest.

use std::error::Error as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::time::Instant;

use super::{Call, Observer, Pieces, Route, Transport};
use crate::domain::answer::{Trouble, TroubleKind};

/// How long a connection may take to come about. A cluster's network answers in milliseconds or not at all.
const CONNECT: Duration = Duration::from_secs(5);

/// Sends over real sockets: HTTP/1.1, TLS by rustls, the operating system's roots.
pub struct HttpTransport {
    direct: reqwest::Client,
    proxied: reqwest::Client,
    cluster: Option<Cluster>,
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
        Ok(Self { direct: client(Route::Direct)?, proxied: client(Route::Proxied)?, cluster: None, observer })
    }

    /// The same, and what goes by [`Route::Cluster`] trusts the authorities of this PEM file and no others. The file is
    /// looked at again at each use, since a cluster's authority may change while we run.
    #[must_use]
    pub fn trusting(mut self, authorities: PathBuf) -> Self {
        self.cluster = Some(Cluster { authorities, made: Mutex::default() });
        self
    }

    fn client(&self, call: &Call) -> Result<reqwest::Client, Trouble> {
        match (call.route, &self.cluster) {
            (Route::Direct, _) => Ok(self.direct.clone()),
            (Route::Proxied, _) => Ok(self.proxied.clone()),
            // a proxy of `kubectl` on this machine: there is no certificate to judge
            (Route::Cluster, _) if call.request.uri().scheme_str() == Some("http") => Ok(self.direct.clone()),
            (Route::Cluster, Some(cluster)) => cluster.client(),
            (Route::Cluster, None) => {
                Err(Trouble::not_sent(TroubleKind::Tls, "no file names the authorities of the cluster"))
            }
        }
    }

    /// The head of an answer.
    async fn execute(&self, call: Call) -> Result<reqwest::Response, Trouble> {
        let client = self.client(&call)?;
        let request = reqwest::Request::try_from(call.request)
            .map_err(|_| Trouble::not_sent(TroubleKind::Connect, "the request's address cannot be used"))?;
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sends")]
        client.execute(request).await.map_err(|error| trouble(&error))
    }

    async fn attempt(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let largest = call.largest;
        let mut answer = self.execute(call).await?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| trouble(&error))? {
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

/// The client for the cluster's API server.
struct Cluster {
    authorities: PathBuf,
    /// The content of the file for which the client was made, and the client.
    made: Mutex<Option<(Vec<u8>, reqwest::Client)>>,
}

impl Cluster {
    fn client(&self) -> Result<reqwest::Client, Trouble> {
        let unusable = |what: &str| {
            let detail = format!("the authorities in {} {what}", self.authorities.display());
            Trouble::not_sent(TroubleKind::Tls, detail)
        };
        let pem = fs::read(&self.authorities).map_err(|_| unusable("cannot be read"))?;
        let mut made = self.made.lock().expect("no code panics while holding this lock");
        if let Some((_, client)) = made.as_ref().filter(|(content, _)| *content == pem) {
            return Ok(client.clone());
        }
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| unusable("are not certificates"))?;
        if roots.is_empty() {
            return Err(unusable("are none"));
        }
        let client = builder(Route::Cluster)
            .tls_certs_only(roots)
            .build()
            .map_err(|_| unusable("are not certificates that can be trusted"))?;
        *made = Some((pem, client.clone()));
        Ok(client)
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

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        Box::pin(async move {
            let limit = call.timeout;
            let silent =
                move || Trouble::maybe_sent(TroubleKind::Timeout, format!("nothing came within {} s", limit.as_secs()));
            let observed = Observed::from(self.observer.clone(), call.operation);
            let answer = tokio::time::timeout(limit, self.execute(call)).await;
            let mut answer = answer.map_err(|_| silent())??;
            let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            let observed = observed.answered(status.as_u16());
            let pieces = stream::unfold(Some((answer, observed)), move |going_on| async move {
                let (mut answer, mut observed) = going_on?;
                let piece = tokio::time::timeout(limit, answer.chunk()).await;
                match piece.map_err(|_| silent()).and_then(|piece| piece.map_err(|error| trouble(&error))) {
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

/// Tells the observer of a streamed answer when it has been read, or is no longer wanted.
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

fn builder(route: Route) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        .user_agent(concat!("cutover-api/", env!("CARGO_PKG_VERSION")))
        .http1_only();
    match route {
        Route::Direct | Route::Cluster => builder.no_proxy(),
        Route::Proxied => builder,
    }
}

fn client(route: Route) -> Result<reqwest::Client, Trouble> {
    // an image without a CA bundle makes the platform's verifier fail, even where no TLS is ever used
    let built = builder(route).build().or_else(|_| builder(route).tls_certs_only(bundled_roots()).build());
    built.map_err(|error| trouble(&error))
}

fn bundled_roots() -> Vec<reqwest::Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|root| reqwest::Certificate::from_der(root).ok())
        .collect()
}

/// Whether rustls is what failed: by itself, or wrapped in I/O errors, whose `source` skips what they hold.
fn is_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    if cause.is::<rustls::Error>() {
        return true;
    }
    let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| is_tls(held))
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
        } else if causes.iter().any(|cause| is_tls(*cause)) {
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::domain::answer::Sent;

    async fn get(url: &str, timeout: Duration) -> Result<Response<Bytes>, Trouble> {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        let call = Call { operation: "test", route: Route::Direct, request, timeout, largest: 1_000 };
        HttpTransport::new(None).unwrap().send(call).await
    }

    /// A server that takes one connection, reads a little, says this, and hangs up.
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
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        let call =
            Call { operation: "test", route: Route::Direct, request, timeout: Duration::from_secs(10), largest: 99 };
        let trouble = HttpTransport::new(None).unwrap().send(call).await.unwrap_err();
        assert_eq!(trouble.kind, TroubleKind::TooLarge);
    }
}
