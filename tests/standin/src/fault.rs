//! What can be made to go wrong with an answer of the stand-in Gitea, and how a broken connection looks
//! in process. Holds no state: [`crate::Gitea::fault`] keeps the scripts.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;

/// The calls that faults and hooks tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Every call.
    Any,
    /// Every call of the API.
    Api,
    /// Every call of git.
    Git,
    /// `GET /api/v1/version`.
    Version,
    /// `GET /api/forgejo/v1/version`.
    ForgejoVersion,
    /// `GET /api/healthz`.
    Health,
    /// `GET /api/v1/settings/…`.
    Settings,
    /// `GET /api/v1/user`.
    CurrentUser,
    /// `GET /api/v1/users/{name}`.
    GetUser,
    /// `GET /api/v1/orgs/{org}`.
    GetOrg,
    /// `POST /api/v1/orgs`.
    CreateOrg,
    /// `POST /api/v1/orgs/{org}/repos`.
    CreateRepository,
    /// `POST /api/v1/repos/migrate`.
    Migrate,
    /// `GET /api/v1/repos/{owner}/{name}`.
    GetRepository,
    /// `PATCH /api/v1/repos/{owner}/{name}`.
    PatchRepository,
    /// `DELETE /api/v1/repos/{owner}/{name}`.
    DeleteRepository,
    /// `POST …/mirror-sync`.
    MirrorSync,
    /// `POST …/convert`.
    Convert,
    /// `GET …/branches`.
    Branches,
    /// `GET …/tags`.
    Tags,
    /// `GET …/git/refs`.
    GitRefs,
    /// `GET …/compare/{a}...{b}`.
    Compare,
    /// `GET …/commits`.
    Commits,
    /// `PUT …/contents/{path}`.
    PutContents,
    /// `GET /{owner}/{name}.git/info/refs`.
    InfoRefs,
    /// `POST /{owner}/{name}.git/git-upload-pack`.
    UploadPack,
    /// Anything else.
    Other,
}

impl CallKind {
    /// Whether a script for `self` concerns a call of kind `other`.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let is_git = matches!(other, Self::InfoRefs | Self::UploadPack);
        match self {
            Self::Any => true,
            Self::Git => is_git,
            Self::Api => !is_git && other != Self::Other,
            _ => self == other,
        }
    }
}

/// What happens to a call instead of, before or after Gitea's own answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers this, and does nothing.
    Status(u16, &'static str, String),
    /// Answers this with headers of the test's choice, and does nothing: a `Retry-After`, a redirect.
    Response {
        /// The status code.
        status: u16,
        /// Names and values; those that are no header are left out.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Answers 200 with a page of HTML, and does nothing: a proxy's login page.
    Html,
    /// Never answers, and does nothing.
    Hang,
    /// Waits, then goes on as ever.
    Delay(Duration),
    /// There is no connection to break: the call never arrives, and is in no record.
    Unreached(Unreached),
    /// Breaks the connection, and does nothing.
    CutBefore,
    /// Does its work, then breaks the connection.
    ExecuteThenCut,
    /// Does its work, then never answers.
    ExecuteThenHang,
    /// Does its work, then answers this.
    ExecuteThenStatus(u16, &'static str, String),
    /// A proxy's patience: Gitea's own answer if it comes in time, else 504 with a page, while Gitea
    /// goes on working.
    ProxyTimeout(Duration),
    /// Sends the head at once and the body after this long.
    Slow(Duration),
    /// Sends so many bytes of the body, then breaks the connection.
    Truncate(usize),
    /// Sends an empty body with Gitea's own status and headers.
    EmptyBody,
}

/// Marks an answer that stands for a connection broken before any of it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Cut;

/// Why a call does not arrive. Marks an answer that stands for it: only a transport in process can read that; over a
/// socket, where somebody has already taken the connection, it is a cut one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// Nobody takes the connection.
    Refused,
    /// The name does not resolve.
    NoSuchHost,
    /// No TLS session can be made: a certificate that nobody vouches for.
    NoTls,
}

/// The error of a body whose connection broke.
#[derive(Clone, Copy, Debug)]
pub struct BrokenBody;

impl std::fmt::Display for BrokenBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was cut")
    }
}

impl std::error::Error for BrokenBody {}

/// Sends `first` after `wait`, then ends, in an error when `broken`.
struct Staged {
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
    first: Option<Bytes>,
    broken: bool,
}

impl HttpBody for Staged {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BrokenBody>>> {
        if let Some(wait) = self.wait.as_mut() {
            std::task::ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        if let Some(bytes) = self.first.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
        }
        if self.broken {
            self.broken = false;
            return Poll::Ready(Some(Err(BrokenBody)));
        }
        Poll::Ready(None)
    }
}

/// Sends so many bytes at a time, each after a pause.
struct Trickling {
    left: Bytes,
    each: usize,
    pause: Duration,
    wait: Pin<Box<tokio::time::Sleep>>,
}

impl HttpBody for Trickling {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BrokenBody>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        std::task::ready!(self.wait.as_mut().poll(context));
        self.wait = Box::pin(tokio::time::sleep(self.pause));
        let each = self.each.min(self.left.len());
        let piece = self.left.split_to(each);
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }
}

/// The same answer, slowly.
pub(crate) async fn trickling(response: Response, each: usize, pause: Duration) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(left) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return cut();
    };
    let wait = Box::pin(tokio::time::sleep(pause));
    Response::from_parts(parts, Body::new(Trickling { left, each: each.max(1), pause, wait }))
}

/// The answer that stands for a cut connection.
pub(crate) fn cut() -> Response {
    let mut response = Response::new(Body::new(Staged { wait: None, first: None, broken: true }));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(Cut);
    response
}

/// The answer that stands for a call that does not arrive.
pub(crate) fn unreached(why: Unreached) -> Response {
    let mut response = cut();
    response.extensions_mut().insert(why);
    response
}

/// Any answer.
pub(crate) fn answer(status: u16, content_type: &str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// Any answer with any headers.
pub(crate) fn answer_with(status: u16, headers: &[(&'static str, String)], body: String) -> Response {
    let mut response = answer(status, "text/plain", body);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The page of a proxy in front of Gitea.
pub(crate) fn proxy_page(status: u16) -> Response {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Sign in");
    let page =
        format!("<html>\n<head><title>{status} {reason}</title></head>\n<body>\n<h1>{reason}</h1>\n</body>\n</html>\n");
    answer(status, "text/html", page)
}

/// Rewrites the body of a whole answer.
pub(crate) async fn with_body(response: Response, wait: Option<Duration>, keep: usize, broken: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return cut();
    };
    if broken || keep == 0 {
        // A length that is sent and not kept is what a cut connection looks like; an empty one is no cut.
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let first = bytes.slice(..keep.min(bytes.len()));
    let wait = wait.map(|wait| Box::pin(tokio::time::sleep(wait)));
    Response::from_parts(parts, Body::new(Staged { wait, first: Some(first), broken }))
}
