//! Requests to the Kubernetes API server, and the kinds of their failures.
//!
//! Owns the headers, the limits and the retries: transient failures (a broken connection, 5xx, 429) are retried a few times
//! with growing pauses, as the platform's own clients do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use serde::de::DeserializeOwned;

use crate::domain::answer::{Trouble, TroubleKind};
use crate::domain::credential::{Credential, CredentialSource};
use crate::domain::problem::Code;
use crate::transport::{Call, Route, Transport, status_trouble};

/// The timeout of one request: the API server is in the same cluster.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer, in bytes: a `ConfigMap` has at most 1 MiB of data.
const LARGEST: usize = 3 * 1024 * 1024;

/// The pauses between attempts: each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A request to the API server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiRequest<'a> {
    /// The label in metrics: `kubernetes_…`.
    pub(super) operation: &'static str,
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// The media type and the content.
    pub(super) body: Option<(&'static str, &'a [u8])>,
    /// The number of attempts.
    pub(super) attempts: u32,
}

/// Why there is no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiServerError {
    /// The token of cutover-api's service account cannot be read.
    Credential(String),
    /// The API server denies the request (403), or does not accept the token (401).
    Denied(u16),
    /// The API server rejects the request.
    Refused(u16),
    /// No usable answer came back.
    Trouble(Trouble),
}

impl ApiServerError {
    /// The code of its problem.
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Credential(_) => Code::KubernetesCredential,
            Self::Denied(_) => Code::KubernetesDenied,
            Self::Refused(_) | Self::Trouble(_) => Code::KubernetesUnreachable,
        }
    }

    /// Whether a retry within seconds can help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Trouble(trouble) => match trouble.kind {
                TroubleKind::Connect
                | TroubleKind::Timeout
                | TroubleKind::AuthTimeout
                | TroubleKind::Cut
                | TroubleKind::ServerError
                | TroubleKind::Busy => true,
                TroubleKind::Dns
                | TroubleKind::Tls
                | TroubleKind::TooLarge
                | TroubleKind::Foreign
                | TroubleKind::NotReady
                | TroubleKind::Credential => false,
            },
            // another client wrote at the same moment
            Self::Refused(status) => *status == 409,
            Self::Credential(_) | Self::Denied(_) => false,
        }
    }
}

impl fmt::Display for ApiServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(what) => write!(f, "the token for the API server cannot be read: {what}"),
            Self::Denied(401) => {
                f.write_str("the API server does not accept the token of cutover-api's service account (401)")
            }
            Self::Denied(status) => write!(f, "the API server denies this to cutover-api's service account ({status})"),
            Self::Refused(status) => write!(f, "the API server answers {status}"),
            Self::Trouble(trouble) => write!(f, "no usable answer from the API server: {}", trouble.detail),
        }
    }
}

/// The cluster's API server; cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiServer {
    /// Scheme, host and port.
    url: String,
    credential: Arc<dyn CredentialSource>,
    transport: Arc<dyn Transport>,
}

impl ApiServer {
    /// The API server at `url`, which is scheme, host and port.
    #[must_use]
    pub fn new(url: String, credential: Arc<dyn CredentialSource>, transport: Arc<dyn Transport>) -> Self {
        Self { url, credential, transport }
    }

    /// Sends a request, with retries. An answer with one of the `expected` statuses is returned; any other is an error.
    pub(super) async fn send(
        &self,
        request: ApiRequest<'_>,
        expected: &[u16],
    ) -> Result<Response<Bytes>, ApiServerError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..request.attempts {
            match self.send_once(request, expected).await {
                Err(failure) if failure.is_transient() => {}
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.send_once(request, expected).await
    }

    async fn send_once(&self, request: ApiRequest<'_>, expected: &[u16]) -> Result<Response<Bytes>, ApiServerError> {
        let token = match self.credential.read() {
            Ok(Some(Credential::Token(token))) => token,
            Ok(Some(Credential::Basic { .. }) | None) => {
                return Err(ApiServerError::Credential("there is none".to_owned()));
            }
            Err(error) => return Err(ApiServerError::Credential(error.to_string())),
        };
        let unusable = |_| ApiServerError::Trouble(Trouble::not_sent(TroubleKind::Connect, "its address is invalid"));
        let mut http = Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.url, request.path))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, bearer(&token)?);
        if let Some((media_type, _)) = request.body {
            http = http.header(header::CONTENT_TYPE, media_type);
        }
        let body = request.body.map_or_else(Bytes::new, |(_, content)| Bytes::copy_from_slice(content));
        let call = Call {
            operation: request.operation,
            route: Route::Cluster,
            request: http.body(body).map_err(unusable)?,
            bundle: None,
            timeout: TIMEOUT,
            largest: LARGEST,
        };
        let response = self.transport.send(call).await.map_err(ApiServerError::Trouble)?;
        match response.status().as_u16() {
            status if expected.contains(&status) => Ok(response),
            status @ (401 | 403) => Err(ApiServerError::Denied(status)),
            429 | 500.. => Err(ApiServerError::Trouble(status_trouble(&response))),
            status => Err(ApiServerError::Refused(status)),
        }
    }
}

fn bearer(token: &secrecy::SecretString) -> Result<http::HeaderValue, ApiServerError> {
    use secrecy::ExposeSecret as _;
    let mut value = http::HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| ApiServerError::Credential("it is not valid in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses the JSON of an answer.
pub(super) fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ApiServerError> {
    serde_json::from_slice(response.body()).map_err(|_| {
        ApiServerError::Trouble(Trouble::maybe_sent(
            TroubleKind::Foreign,
            "the answer is not from a Kubernetes API server",
        ))
    })
}
