//! The ref lister: heads and tags of a repository over git's smart HTTP, for upstream and for Gitea.
//!
//! Owns the two requests and the meaning of their answers on either side. The requests are `info/refs` and, if the
//! server speaks protocol v2, `ls-refs`. Never decides, never retries, never runs git.

mod classify;
mod page;
mod parse;
mod pkt;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;

use crate::domain::answer::{
    LocalRefsAnswer, Oversize, Refusal, Trouble, TroubleKind, UpstreamAnswer, UpstreamRefusal,
};
use crate::domain::credential::{Credential, CredentialSource, Redactor};
use crate::domain::names::{OwnerName, RepoName};
use crate::domain::refs::{ListLimits, RefList};
use crate::domain::url::{GiteaUrl, UpstreamUrl};
use crate::transport::{Bundle, Call, Exchange, Route, Transport, has_media_type, status_trouble};
use classify::Answer;
use parse::{Advertisement, NotAList, ReadError};
use pkt::Packets;

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const PAGE: &str = "text/html";

/// Begins with `git/`: forges choose between git and web pages by that.
const USER_AGENT: &str = concat!("git/2.45.2 (cutover-api/", env!("CARGO_PKG_VERSION"), ")");

/// Path of the first request, relative to the repository's address.
const INFO_REFS: &str = "/info/refs";
const UPLOAD_PACK: &str = "/git-upload-pack";

/// Client for git's smart HTTP that reads refs.
#[derive(Clone, Debug)]
pub struct Lister {
    transport: Arc<dyn Transport>,
    gitea_bundle: Option<Arc<Bundle>>,
    upstream_bundles: Arc<HashMap<UpstreamUrl, Arc<Bundle>>>,
}

/// Result of reading one side, before the side's own rules apply.
enum Reading {
    List(RefList),
    Oversize(Oversize),
    /// A list from a cache; the text describes it.
    Cached(String),
    /// A status other than 200, with the beginning of the body.
    Status(Response<Bytes>),
    /// Status 200 without a list, with the beginning of the body.
    NotAList(NotAList, Response<Bytes>),
    /// Gitea's answer for a repository without a folder.
    ///
    /// To the first request that is a service name and nothing after it, to the second an empty body.
    FolderGone(NotAList, Response<Bytes>),
    Trouble(Trouble),
}

impl Reading {
    fn failed(why: ReadError, answer: Response<Bytes>) -> Self {
        match why {
            ReadError::NotAList(why) => Self::NotAList(why, answer),
            ReadError::Oversize(oversize) => Self::Oversize(oversize),
            ReadError::Trouble(trouble) => Self::Trouble(trouble),
        }
    }
}

/// Result of the first request.
enum First {
    /// The server speaks protocol v2, so a second request lists. `sha256`: its object ids are SHA-256.
    V2 {
        sha256: bool,
    },
    Ended(Reading),
}

impl Lister {
    /// Creates a lister over `transport`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, gitea_bundle: None, upstream_bundles: Arc::default() }
    }

    /// Trusts these CA certificates in addition to the system's: one bundle for Gitea, and one for each upstream that
    /// has its own.
    #[must_use]
    pub fn trusting(mut self, gitea: Option<Arc<Bundle>>, upstreams: HashMap<UpstreamUrl, Arc<Bundle>>) -> Self {
        (self.gitea_bundle, self.upstream_bundles) = (gitea, Arc::new(upstreams));
        self
    }

    /// Reads upstream's heads and tags.
    pub async fn upstream(
        &self,
        url: &UpstreamUrl,
        credential: &dyn CredentialSource,
        limits: ListLimits,
    ) -> UpstreamAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return UpstreamAnswer::Trouble(trouble),
        };
        let bundle = self.upstream_bundles.get(url).cloned();
        let remote =
            Remote { base: url.join(""), route: Route::Proxied, operation: "upstream_refs", credential, bundle };
        let exchange = Exchange::begin(limits);
        match self.first(&remote, Protocol::V2, exchange).await {
            First::Ended(reading) => remote.meaning(url, INFO_REFS, reading),
            First::V2 { sha256 } => {
                let reading = self.list(&remote, sha256, exchange).await;
                let is_gits = matches!(reading, Reading::NotAList(NotAList::Refused(_), _));
                let answer = remote.meaning(url, UPLOAD_PACK, reading);
                match contradiction(&answer) {
                    Some(detail) if remote.credential.is_none() && !is_gits => {
                        self.upstream_by_v0(url, &remote, detail, exchange).await
                    }
                    Some(_) | None => answer,
                }
            }
        }
    }

    /// Reads upstream's list by protocol v0, in one request.
    ///
    /// For a server that answered the first v2 request and refused the second. What it shows to unauthenticated callers
    /// is public, so the refusal is temporary.
    async fn upstream_by_v0(
        &self,
        url: &UpstreamUrl,
        remote: &Remote,
        refusal: &str,
        exchange: Exchange,
    ) -> UpstreamAnswer {
        let retry_after = match self.first(remote, Protocol::V0, exchange).await {
            First::V2 { .. } => None,
            First::Ended(reading) => match remote.meaning(url, INFO_REFS, reading) {
                list @ (UpstreamAnswer::List(_) | UpstreamAnswer::Oversize(_)) => return list,
                UpstreamAnswer::Trouble(trouble) => trouble.retry_after,
                UpstreamAnswer::NotGit { .. } | UpstreamAnswer::DumbHttp | UpstreamAnswer::Refused { .. } => None,
            },
        };
        let detail = format!("{refusal}; it refuses git's second request after allowing the first");
        UpstreamAnswer::Trouble(Trouble { retry_after, ..Trouble::maybe_sent(TroubleKind::Busy, detail) })
    }

    /// Reads a repository's heads and tags in Gitea.
    pub async fn gitea(
        &self,
        url: &GiteaUrl,
        owner: &OwnerName,
        repo: &RepoName,
        credential: &dyn CredentialSource,
        limits: ListLimits,
    ) -> LocalRefsAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return LocalRefsAnswer::Trouble(trouble),
        };
        let base = format!("{url}/{owner}/{repo}.git");
        let bundle = self.gitea_bundle.clone();
        let remote = Remote { base, route: Route::Direct, operation: "gitea_refs", credential, bundle };
        let exchange = Exchange::begin(limits);
        match self.read(&remote, exchange).await {
            Reading::List(list) => LocalRefsAnswer::List(list),
            Reading::Oversize(oversize) => LocalRefsAnswer::Oversize(oversize),
            Reading::FolderGone(..) => LocalRefsAnswer::FolderGone,
            Reading::Cached(detail) => LocalRefsAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Busy, detail)),
            Reading::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
            Reading::NotAList(why, _) => {
                let kind = if why == NotAList::NoEnd { TroubleKind::Cut } else { TroubleKind::Foreign };
                LocalRefsAnswer::Trouble(Trouble::maybe_sent(kind, format!("its git answers 200 with {why}")))
            }
            Reading::Status(response) => match response.status().as_u16() {
                500 if has_media_type(&response, PAGE) && self.finds_no_folder(&remote, exchange).await => {
                    LocalRefsAnswer::FolderGone
                }
                401 => {
                    LocalRefsAnswer::Refused(Refusal::Unauthenticated { message: "git's request was denied".into() })
                }
                403 => LocalRefsAnswer::HttpGitDisabled,
                404 | 300..=399 => LocalRefsAnswer::Gone,
                _ => LocalRefsAnswer::Trouble(status_trouble(&response)),
            },
        }
    }

    async fn read(&self, remote: &Remote, exchange: Exchange) -> Reading {
        match self.first(remote, Protocol::V2, exchange).await {
            First::V2 { sha256 } => self.list(remote, sha256, exchange).await,
            First::Ended(reading) => reading,
        }
    }

    async fn first(&self, remote: &Remote, protocol: Protocol, exchange: Exchange) -> First {
        let get = remote.request(&Method::GET, "/info/refs?service=git-upload-pack", protocol, Bytes::new());
        let (answer, mut packets) = match self.send(remote, get, exchange).await {
            Ok(answer) => answer,
            Err(trouble) => return First::Ended(Reading::Trouble(trouble)),
        };
        if answer.status() != 200 {
            return First::Ended(Reading::Status(with_beginning(answer, packets).await));
        }
        let read = parse::advertisement(&mut packets, exchange.room()).await;
        let is_gits = has_media_type(&answer, ADVERTISEMENT);
        // The meaning of an answer without a list needs status, headers and the beginning of the body.
        let answer = with_beginning(answer, packets).await;
        First::Ended(match read {
            // A proxy or a broken server sends git's bytes with another media type.
            Ok(_) if !is_gits => Reading::NotAList(NotAList::NotGit, answer),
            Ok(Advertisement::V0(list)) => fresh(list, &answer),
            Ok(Advertisement::NothingAfterService) => Reading::FolderGone(NotAList::NoEnd, answer),
            // Only a list must not come from a cache; the protocol version may.
            Ok(Advertisement::V2 { sha256 }) => return First::V2 { sha256 },
            Err(why) => Reading::failed(why, answer),
        })
    }

    /// Whether a 500 means that the repository has no folder.
    ///
    /// Since 1.26 Gitea answers the first request for such a repository with its error page. Any internal error has the
    /// same page. The second request distinguishes the two.
    async fn finds_no_folder(&self, remote: &Remote, exchange: Exchange) -> bool {
        matches!(self.list(remote, false, exchange).await, Reading::FolderGone(..))
    }

    async fn list(&self, remote: &Remote, sha256: bool, exchange: Exchange) -> Reading {
        let post = remote.request(&Method::POST, UPLOAD_PACK, Protocol::V2, parse::ls_refs_request(sha256).into());
        let (answer, mut packets) = match self.send(remote, post, exchange).await {
            Ok(answer) => answer,
            Err(trouble) => return Reading::Trouble(trouble),
        };
        if answer.status() != 200 {
            return Reading::Status(with_beginning(answer, packets).await);
        }
        let read = parse::ls_refs(&mut packets, exchange.room()).await;
        let answer = with_beginning(answer, packets).await;
        match read {
            Ok(_) | Err(ReadError::NotAList(NotAList::Empty)) if !has_media_type(&answer, RESULT) => {
                Reading::NotAList(NotAList::NotGit, answer)
            }
            Ok(list) => fresh(list, &answer),
            Err(ReadError::NotAList(NotAList::Empty)) => Reading::FolderGone(NotAList::Empty, answer),
            Err(why) => Reading::failed(why, answer),
        }
    }

    async fn send(
        &self,
        remote: &Remote,
        request: Result<Request<Bytes>, http::Error>,
        exchange: Exchange,
    ) -> Result<(Response<()>, Packets), Trouble> {
        let request = request.map_err(|_| {
            Trouble::not_sent(TroubleKind::Credential, "the credential contains characters that headers do not allow")
        })?;
        let Remote { operation, route, .. } = *remote;
        let (bundle, timeout) = (remote.bundle.clone(), exchange.time());
        // The reading limits the body while it arrives.
        let call = Call { operation, route, request, bundle, timeout, largest: usize::MAX };
        let (head, pieces) = exchange.send(&*self.transport, call).await?.into_parts();
        Ok((Response::from_parts(head, ()), Packets::of(pieces)))
    }
}

/// Reads as much of the body as is needed to describe an answer that is not a list.
async fn with_beginning(answer: Response<()>, mut packets: Packets) -> Response<Bytes> {
    let body = Bytes::copy_from_slice(packets.beginning().await);
    answer.map(|()| body)
}

/// The repository to read, with the credential.
struct Remote {
    base: String,
    route: Route,
    operation: &'static str,
    credential: Option<Credential>,
    bundle: Option<Arc<Bundle>>,
}

/// The requested version of git's protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    V0,
    V2,
}

impl Remote {
    fn request(
        &self,
        method: &Method,
        below: &str,
        protocol: Protocol,
        body: Bytes,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{below}", self.base))
            .header(header::USER_AGENT, USER_AGENT)
            // A list from a cache proves nothing.
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::PRAGMA, "no-cache")
            .header(header::ACCEPT, if *method == Method::GET { "*/*" } else { RESULT });
        if protocol == Protocol::V2 {
            request = request.header("git-protocol", "version=2");
        }
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

impl Remote {
    /// Returns the meaning of upstream's answer to the request for `below`.
    fn meaning(&self, url: &UpstreamUrl, below: &str, reading: Reading) -> UpstreamAnswer {
        let redactor = Redactor::knowing(&self.credential);
        let classified = |response: &Response<Bytes>| {
            let body = redactor.redact(&String::from_utf8_lossy(response.body()));
            Answer::new(url, below, response.status().as_u16(), response.headers(), &body).meaning()
        };
        let answer = match reading {
            Reading::List(list) => UpstreamAnswer::List(list),
            Reading::Oversize(oversize) => UpstreamAnswer::Oversize(oversize),
            Reading::Cached(detail) => UpstreamAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Busy, detail)),
            Reading::Trouble(trouble) if trouble.kind == TroubleKind::Credential => UpstreamAnswer::Trouble(trouble),
            Reading::Trouble(trouble) => {
                UpstreamAnswer::Trouble(Trouble { detail: format!("Upstream: {}", trouble.detail), ..trouble })
            }
            Reading::NotAList(NotAList::Refused(words), _) => classify::git_error(&redactor.redact(&words)),
            Reading::NotAList(why @ (NotAList::NoEnd | NotAList::BadLine), response)
            | Reading::FolderGone(why @ NotAList::NoEnd, response) => match classified(&response) {
                UpstreamAnswer::DumbHttp => UpstreamAnswer::DumbHttp,
                _ => UpstreamAnswer::NotGit { detail: format!("Upstream answers 200 with {why}") },
            },
            Reading::Status(response) | Reading::NotAList(_, response) | Reading::FolderGone(_, response) => {
                classified(&response)
            }
        };
        redacted(answer, &redactor)
    }
}

/// Removes secrets, which a server may repeat in a header.
fn redacted(answer: UpstreamAnswer, redactor: &Redactor) -> UpstreamAnswer {
    match answer {
        UpstreamAnswer::NotGit { detail } => UpstreamAnswer::NotGit { detail: redactor.redact(&detail) },
        UpstreamAnswer::Refused { why, detail } => UpstreamAnswer::Refused { why, detail: redactor.redact(&detail) },
        UpstreamAnswer::Trouble(trouble) => {
            UpstreamAnswer::Trouble(Trouble { detail: redactor.redact(&trouble.detail), ..trouble })
        }
        UpstreamAnswer::List(_) | UpstreamAnswer::Oversize(_) | UpstreamAnswer::DumbHttp => answer,
    }
}

/// A list, unless it comes from a cache.
fn fresh(list: RefList, response: &Response<Bytes>) -> Reading {
    match rate::from_a_cache(response.headers()) {
        Some(detail) => Reading::Cached(detail),
        None => Reading::List(list),
    }
}

/// Returns the detail of an answer to the second request that contradicts the first.
///
/// The server allowed the first request to unauthenticated callers. A proxy that blocks POST also gives such answers.
fn contradiction(answer: &UpstreamAnswer) -> Option<&str> {
    match answer {
        UpstreamAnswer::Refused { why: UpstreamRefusal::Denied | UpstreamRefusal::LogIn, detail }
        | UpstreamAnswer::Trouble(Trouble { kind: TroubleKind::Foreign, detail, .. }) => Some(detail),
        UpstreamAnswer::List(_)
        | UpstreamAnswer::Oversize(_)
        | UpstreamAnswer::NotGit { .. }
        | UpstreamAnswer::DumbHttp
        | UpstreamAnswer::Refused { .. }
        | UpstreamAnswer::Trouble(_) => None,
    }
}

fn read(source: &dyn CredentialSource) -> Result<Option<Credential>, Trouble> {
    source.read().map_err(|error| Trouble::not_sent(TroubleKind::Credential, error.to_string()))
}
