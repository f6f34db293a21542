//! Requests to the API server, and how their failures are told apart.
//!
//! Owns the headers, the limits, and what is asked again: what passes by itself (a connection that breaks, 5xx, 429), a
//! few times and slower each time, as the platform's own clients do it.

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

/// How long one answer may take: the API server is in the next room.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A `ConfigMap` has at most a mebibyte of data, and some of JSON around it.
const LARGEST: usize = 3 * 1024 * 1024;

/// The pauses between the tries of a request: each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// For metrics: `kubernetes_…`.
    pub(super) operation: &'static str,
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// The media type and the content.
    pub(super) body: Option<(&'static str, &'a [u8])>,
    /// How often it is asked before it counts as failed.
    pub(super) tries: u32,
}

/// No usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Our own token cannot be read.
    Credential(String),
    /// The API server knows us and does not let us (403), or does not know us (401).
    Denied(u16),
    /// It understands the request and does not take it.
    Refused(u16),
    /// Nothing that can be used came back.
    Trouble(Trouble),
}

impl Failure {
    /// As a person is told.
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Credential(_) => Code::KubernetesCredential,
            Self::Denied(_) => Code::KubernetesDenied,
            Self::Refused(_) | Self::Trouble(_) => Code::KubernetesUnreachable,
        }
    }

    /// Whether it may pass by itself within seconds.
    fn passes(&self) -> bool {
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
            // somebody else has written at the same moment
            Self::Refused(status) => *status == 409,
            Self::Credential(_) | Self::Denied(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(what) => write!(f, "our own token for the API server cannot be read: {what}"),
            Self::Denied(401) => f.write_str("the API server does not accept our service account's token (401)"),
            Self::Denied(status) => write!(f, "the API server does not let our service account do this ({status})"),
            Self::Refused(status) => write!(f, "the API server answers {status}"),
            Self::Trouble(trouble) => write!(f, "the API server gives no usable answer: {}", trouble.detail),
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
    /// The one at `url`, which is scheme, host and port.
    #[must_use]
    pub fn new(url: String, credential: Arc<dyn CredentialSource>, transport: Arc<dyn Transport>) -> Self {
        Self { url, credential, transport }
    }

    /// Asks, and asks again what may pass. What it answers with one of `expected` is an answer; all else a failure.
    pub(super) async fn ask(&self, asked: Asked<'_>, expected: &[u16]) -> Result<Response<Bytes>, Failure> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..asked.tries {
            match self.ask_once(asked, expected).await {
                Err(failure) if failure.passes() => {}
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.ask_once(asked, expected).await
    }

    async fn ask_once(&self, asked: Asked<'_>, expected: &[u16]) -> Result<Response<Bytes>, Failure> {
        let token = match self.credential.read() {
            Ok(Some(Credential::Token(token))) => token,
            Ok(Some(Credential::Basic { .. }) | None) => return Err(Failure::Credential("there is none".to_owned())),
            Err(error) => return Err(Failure::Credential(error.to_string())),
        };
        let unusable = |_| Failure::Trouble(Trouble::not_sent(TroubleKind::Connect, "its address cannot be used"));
        let mut request = Request::builder()
            .method(asked.method)
            .uri(format!("{}{}", self.url, asked.path))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, bearer(&token)?);
        if let Some((media_type, _)) = asked.body {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let body = asked.body.map_or_else(Bytes::new, |(_, content)| Bytes::copy_from_slice(content));
        let call = Call {
            operation: asked.operation,
            route: Route::Cluster,
            request: request.body(body).map_err(unusable)?,
            bundle: None,
            timeout: TIMEOUT,
            largest: LARGEST,
        };
        let response = self.transport.send(call).await.map_err(Failure::Trouble)?;
        match response.status().as_u16() {
            status if expected.contains(&status) => Ok(response),
            status @ (401 | 403) => Err(Failure::Denied(status)),
            429 | 500.. => Err(Failure::Trouble(status_trouble(&response))),
            status => Err(Failure::Refused(status)),
        }
    }
}

fn bearer(token: &secrecy::SecretString) -> Result<http::HeaderValue, Failure> {
    use secrecy::ExposeSecret as _;
    let mut value = http::HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| Failure::Credential("it cannot stand in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What an answer says.
pub(super) fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Failure> {
    serde_json::from_slice(response.body()).map_err(|_| {
        Failure::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, "what answers there is not Kubernetes' API"))
    })
}
