//! The ref lister: heads and tags of a repository over git's smart HTTP, the same code for upstream and for Gitea.
//!
//! Owns the two requests (`info/refs`, then `ls-refs` where the server speaks protocol v2) and what their answers mean
//! on either side. Reports; decides nothing, retries nothing, and never runs git.

mod parse;
mod pkt;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout_at};

use crate::domain::answer::{LocalRefsAnswer, Oversize, Refusal, Trouble, TroubleKind, UpstreamAnswer};
use crate::domain::credential::{Credential, CredentialSource, Redactor};
use crate::domain::names::{OwnerName, RepoName};
use crate::domain::refs::RefList;
use crate::domain::url::{GiteaUrl, UpstreamUrl};
use crate::transport::{Bundle, Call, Pieces, Route, Transport, has_media_type, status_trouble};
use parse::{Advertisement, NotAList, Unread};
use pkt::Packets;

/// How long an answer that has begun may be silent. Before it begins a server may be at work on the list, and says
/// nothing: then only the limit on the whole counts.
const SILENCE: Duration = Duration::from_secs(10);

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const PAGE: &str = "text/html";

/// Reads refs.
#[derive(Clone, Debug)]
pub struct Lister {
    transport: Arc<dyn Transport>,
    gitea_bundle: Option<Arc<Bundle>>,
    upstream_bundles: Arc<HashMap<UpstreamUrl, Arc<Bundle>>>,
}

/// The limits of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long both requests together may take, to the last byte of the list.
    pub time: Duration,
    /// How many bytes of memory the list may take.
    pub bytes: usize,
}

/// What reading one side came to, before it is known which side it is.
enum Reading {
    List(RefList),
    Oversize(Oversize),
    /// A status other than 200, with the beginning of the body.
    Status(Response<Bytes>),
    /// 200, and no list in it.
    NotAList(NotAList),
    /// What Gitea answers where a repository has no folder: a service named and nothing after it, or, to a server
    /// that has just said that it is git, an empty body.
    FolderGone(NotAList),
    Trouble(Trouble),
}

impl From<Unread> for Reading {
    fn from(why: Unread) -> Self {
        match why {
            Unread::NotAList(why) => Self::NotAList(why),
            Unread::Oversize(oversize) => Self::Oversize(oversize),
            Unread::Trouble(trouble) => Self::Trouble(trouble),
        }
    }
}

impl Lister {
    /// A lister over `transport`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, gitea_bundle: None, upstream_bundles: Arc::default() }
    }

    /// The same, trusting the CA certificates of a bundle beside the system's: one for Gitea, and one for each upstream
    /// that has one.
    #[must_use]
    pub fn trusting(mut self, gitea: Option<Arc<Bundle>>, upstreams: HashMap<UpstreamUrl, Arc<Bundle>>) -> Self {
        (self.gitea_bundle, self.upstream_bundles) = (gitea, Arc::new(upstreams));
        self
    }

    /// Upstream's heads and tags.
    pub async fn upstream(
        &self,
        url: &UpstreamUrl,
        credential: &dyn CredentialSource,
        limits: Limits,
    ) -> UpstreamAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return UpstreamAnswer::Trouble(trouble),
        };
        let redactor = Redactor::knowing(&credential);
        let bundle = self.upstream_bundles.get(url).cloned();
        let remote =
            Remote { base: url.join(""), route: Route::Proxied, operation: "upstream_refs", credential, bundle };
        match self.read(&remote, limits).await {
            Reading::List(list) => UpstreamAnswer::List(list),
            Reading::Oversize(oversize) => UpstreamAnswer::Oversize(oversize),
            Reading::Trouble(trouble) => UpstreamAnswer::Trouble(trouble),
            Reading::NotAList(why) => {
                UpstreamAnswer::NotGit { detail: redactor.redact(&format!("upstream answers 200 with {why}")) }
            }
            Reading::FolderGone(why) => UpstreamAnswer::NotGit { detail: format!("upstream answers 200 with {why}") },
            Reading::Status(response) => upstream_status(&response),
        }
    }

    /// Gitea's heads and tags of a repository.
    pub async fn gitea(
        &self,
        url: &GiteaUrl,
        owner: &OwnerName,
        repo: &RepoName,
        credential: &dyn CredentialSource,
        limits: Limits,
    ) -> LocalRefsAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return LocalRefsAnswer::Trouble(trouble),
        };
        let base = format!("{url}/{owner}/{repo}.git");
        let bundle = self.gitea_bundle.clone();
        let remote = Remote { base, route: Route::Direct, operation: "gitea_refs", credential, bundle };
        match self.read(&remote, limits).await {
            Reading::List(list) => LocalRefsAnswer::List(list),
            Reading::Oversize(oversize) => LocalRefsAnswer::Oversize(oversize),
            Reading::FolderGone(_) => LocalRefsAnswer::FolderGone,
            Reading::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
            Reading::NotAList(why) => {
                let kind = if why == NotAList::NoEnd { TroubleKind::Cut } else { TroubleKind::Foreign };
                LocalRefsAnswer::Trouble(Trouble::maybe_sent(kind, format!("its git answers 200 with {why}")))
            }
            Reading::Status(response) => match response.status().as_u16() {
                500 if has_media_type(&response, PAGE) && self.finds_no_folder(&remote, limits).await => {
                    LocalRefsAnswer::FolderGone
                }
                401 => {
                    LocalRefsAnswer::Refused(Refusal::Unauthenticated { message: "git's request is not let in".into() })
                }
                403 => LocalRefsAnswer::HttpGitDisabled,
                404 | 300..=399 => LocalRefsAnswer::Gone,
                _ => LocalRefsAnswer::Trouble(status_trouble(&response)),
            },
        }
    }

    async fn read(&self, remote: &Remote, limits: Limits) -> Reading {
        let deadline = Instant::now() + limits.time;
        let get = remote.request(&Method::GET, "/info/refs?service=git-upload-pack", Bytes::new());
        let (answer, mut packets) = match self.send(remote, get, limits, deadline).await {
            Ok(answer) => answer,
            Err(trouble) => return Reading::Trouble(trouble),
        };
        if answer.status() != 200 {
            return Reading::Status(with_beginning(answer, packets).await);
        }
        let sha256 = match parse::advertisement(&mut packets, limits.bytes).await {
            // a body that reads as git's under another name is what a proxy or a broken server sends
            Ok(_) if !has_media_type(&answer, ADVERTISEMENT) => return Reading::NotAList(NotAList::NotGit),
            Ok(Advertisement::V0(list)) => return Reading::List(list),
            Ok(Advertisement::NothingAfterService) => return Reading::FolderGone(NotAList::NoEnd),
            Ok(Advertisement::V2 { sha256 }) => sha256,
            Err(why) => return why.into(),
        };
        self.list(remote, sha256, limits, deadline).await
    }

    /// Gitea answers the first request for a repository without a folder with its page for a 500 (since 1.26), as it does
    /// for any trouble of its own; the second one tells them apart.
    async fn finds_no_folder(&self, remote: &Remote, limits: Limits) -> bool {
        matches!(self.list(remote, false, limits, Instant::now() + limits.time).await, Reading::FolderGone(_))
    }

    async fn list(&self, remote: &Remote, sha256: bool, limits: Limits, deadline: Instant) -> Reading {
        let post = remote.request(&Method::POST, "/git-upload-pack", parse::ls_refs_request(sha256).into());
        let (answer, mut packets) = match self.send(remote, post, limits, deadline).await {
            Ok(answer) => answer,
            Err(trouble) => return Reading::Trouble(trouble),
        };
        if answer.status() != 200 {
            return Reading::Status(with_beginning(answer, packets).await);
        }
        match parse::ls_refs(&mut packets, limits.bytes).await {
            Ok(_) | Err(Unread::NotAList(NotAList::Empty)) if !has_media_type(&answer, RESULT) => {
                Reading::NotAList(NotAList::NotGit)
            }
            Ok(list) => Reading::List(list),
            Err(Unread::NotAList(NotAList::Empty)) => Reading::FolderGone(NotAList::Empty),
            Err(why) => why.into(),
        }
    }

    /// The head of an answer, and its body as it arrives.
    async fn send(
        &self,
        remote: &Remote,
        request: Result<Request<Bytes>, http::Error>,
        limits: Limits,
        deadline: Instant,
    ) -> Result<(Response<()>, Packets), Trouble> {
        let request = request.map_err(|_| {
            Trouble::not_sent(TroubleKind::Credential, "the credential holds characters that no header can carry")
        })?;
        let Remote { operation, route, .. } = *remote;
        let bundle = remote.bundle.clone();
        // the body is held to the limits of the reading, as it is read
        let call = Call { operation, route, request, bundle, timeout: limits.time, largest: usize::MAX };
        let answer = timeout_at(deadline, self.transport.stream(call)).await;
        let (head, pieces) = answer.map_err(|_| too_slow(limits.time))??.into_parts();
        Ok((Response::from_parts(head, ()), Packets::of(in_time(pieces, limits.time, deadline))))
    }
}

/// A body that ends in trouble when it is silent for too long, or not all there in time.
fn in_time(pieces: Pieces, whole: Duration, deadline: Instant) -> Pieces {
    let next = move |pieces: Option<Pieces>| async move {
        let mut pieces = pieces?;
        let silent = Instant::now() + SILENCE;
        match timeout_at(silent.min(deadline), pieces.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(end) => end.map(|trouble| (trouble, None)),
            Err(_) if deadline <= silent => Some((Err(too_slow(whole)), None)),
            Err(_) => {
                let detail = format!("nothing more of the list came within {} s", SILENCE.as_secs());
                Some((Err(Trouble::maybe_sent(TroubleKind::Timeout, detail)), None))
            }
        }
    };
    stream::unfold(Some(pieces), next).boxed()
}

fn too_slow(limit: Duration) -> Trouble {
    Trouble::maybe_sent(TroubleKind::Timeout, format!("no whole list of refs within {} s", limit.as_secs()))
}

/// An answer that is not read as a list: its head, and as much of its body as it takes to say what it is.
async fn with_beginning(answer: Response<()>, mut packets: Packets) -> Response<Bytes> {
    let body = Bytes::copy_from_slice(packets.beginning().await);
    answer.map(|()| body)
}

/// Where to read, and as whom.
struct Remote {
    base: String,
    route: Route,
    operation: &'static str,
    credential: Option<Credential>,
    bundle: Option<Arc<Bundle>>,
}

impl Remote {
    fn request(&self, method: &Method, below: &str, body: Bytes) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{below}", self.base))
            .header("git-protocol", "version=2")
            .header(header::ACCEPT, if *method == Method::GET { "*/*" } else { RESULT });
        if *method == Method::POST {
            request = request.header(header::CONTENT_TYPE, REQUEST);
        }
        if let Some(credential) = &self.credential {
            let mut value = HeaderValue::from_str(credential.git_header().expose_secret())?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(body)
    }
}

fn read(source: &dyn CredentialSource) -> Result<Option<Credential>, Trouble> {
    source.read().map_err(|error| Trouble::not_sent(TroubleKind::Credential, error.to_string()))
}

fn upstream_status(response: &Response<Bytes>) -> UpstreamAnswer {
    let status = response.status().as_u16();
    let refused = |detail: &str| UpstreamAnswer::Refused { status, detail: detail.into() };
    // forges throttle with a 403, too, and then say when to come again
    let throttled = status == 403 && response.headers().contains_key(header::RETRY_AFTER);
    match status {
        300..=399 => refused("it redirects to another address, which we do not follow; give the final one"),
        401 => refused("the repository does not exist, is private, or the credential is not accepted"),
        403 if !throttled => refused("the credential may not read the repository"),
        404 | 410 => refused("there is no such repository, or the credential may not see it"),
        403 | 408 | 429 | 500..=599 => {
            let trouble = status_trouble(response);
            UpstreamAnswer::Trouble(Trouble {
                kind: if throttled { TroubleKind::Busy } else { trouble.kind },
                ..trouble
            })
        }
        _ => UpstreamAnswer::NotGit { detail: format!("upstream answers {status}, which git never does") },
    }
}
