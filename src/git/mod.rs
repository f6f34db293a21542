//! The ref lister: heads and tags of a repository over git's smart HTTP, the same code for upstream and for Gitea.
//!
//! Owns the two requests (`info/refs`, then `ls-refs` where the server speaks protocol v2) and what their answers mean
//! on either side. Reports; decides nothing, retries nothing, and never runs git.

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
use parse::{Advertisement, NotAList, Unread};
use pkt::Packets;

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const PAGE: &str = "text/html";

/// Forges choose between git and web pages by its beginning.
const USER_AGENT: &str = concat!("git/2.45.2 (cutover-api/", env!("CARGO_PKG_VERSION"), ")");

/// What is asked for below a repository's address.
const INFO_REFS: &str = "/info/refs";
const UPLOAD_PACK: &str = "/git-upload-pack";

/// Reads refs.
#[derive(Clone, Debug)]
pub struct Lister {
    transport: Arc<dyn Transport>,
    gitea_bundle: Option<Arc<Bundle>>,
    upstream_bundles: Arc<HashMap<UpstreamUrl, Arc<Bundle>>>,
}

/// What reading one side came to, before it is known which side it is.
enum Reading {
    List(RefList),
    Oversize(Oversize),
    /// A list out of a cache, which is told here.
    Stored(String),
    /// A status other than 200, with the beginning of the body.
    Status(Response<Bytes>),
    /// 200, and no list in it, with the beginning of the body.
    NotAList(NotAList, Response<Bytes>),
    /// What Gitea answers where a repository has no folder: a service named and nothing after it, or, to a server
    /// that has just said that it is git, an empty body.
    FolderGone(NotAList, Response<Bytes>),
    Trouble(Trouble),
}

impl Reading {
    fn unread(why: Unread, answer: Response<Bytes>) -> Self {
        match why {
            Unread::NotAList(why) => Self::NotAList(why, answer),
            Unread::Oversize(oversize) => Self::Oversize(oversize),
            Unread::Trouble(trouble) => Self::Trouble(trouble),
        }
    }
}

/// What the first request came to.
enum First {
    /// The server speaks protocol v2, and lists at the second request. `sha256`: its ids are SHA-256's.
    V2 {
        sha256: bool,
    },
    Ended(Reading),
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

    /// Upstream's list by one request, of a server that has shown that it is git and then refused to list: what it lets
    /// anybody see cannot be private, so that its refusal is passing.
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
        let detail = format!("{refusal}; it answered so to git's second request after it had allowed the first");
        UpstreamAnswer::Trouble(Trouble { retry_after, ..Trouble::maybe_sent(TroubleKind::Busy, detail) })
    }

    /// Gitea's heads and tags of a repository.
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
            Reading::Stored(detail) => LocalRefsAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Busy, detail)),
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
                    LocalRefsAnswer::Refused(Refusal::Unauthenticated { message: "git's request is not let in".into() })
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
        // status, headers and the beginning of the body: what an answer means that is no list
        let answer = with_beginning(answer, packets).await;
        First::Ended(match read {
            // a body that reads as git's under another name is what a proxy or a broken server sends
            Ok(_) if !is_gits => Reading::NotAList(NotAList::NotGit, answer),
            Ok(Advertisement::V0(list)) => fresh(list, &answer),
            Ok(Advertisement::NothingAfterService) => Reading::FolderGone(NotAList::NoEnd, answer),
            // that it speaks v2 is no list, and may come out of a cache
            Ok(Advertisement::V2 { sha256 }) => return First::V2 { sha256 },
            Err(why) => Reading::unread(why, answer),
        })
    }

    /// Gitea answers the first request for a repository without a folder with its page for a 500 (since 1.26), as it does
    /// for any trouble of its own; the second one tells them apart.
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
            Ok(_) | Err(Unread::NotAList(NotAList::Empty)) if !has_media_type(&answer, RESULT) => {
                Reading::NotAList(NotAList::NotGit, answer)
            }
            Ok(list) => fresh(list, &answer),
            Err(Unread::NotAList(NotAList::Empty)) => Reading::FolderGone(NotAList::Empty, answer),
            Err(why) => Reading::unread(why, answer),
        }
    }

    async fn send(
        &self,
        remote: &Remote,
        request: Result<Request<Bytes>, http::Error>,
        exchange: Exchange,
    ) -> Result<(Response<()>, Packets), Trouble> {
        let request = request.map_err(|_| {
            Trouble::not_sent(TroubleKind::Credential, "the credential holds characters that no header can carry")
        })?;
        let Remote { operation, route, .. } = *remote;
        let (bundle, timeout) = (remote.bundle.clone(), exchange.time());
        // the body is held to the limits of the reading, as it is read
        let call = Call { operation, route, request, bundle, timeout, largest: usize::MAX };
        let (head, pieces) = exchange.send(&*self.transport, call).await?.into_parts();
        Ok((Response::from_parts(head, ()), Packets::of(pieces)))
    }
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

/// The version of git's protocol that is asked for.
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
            // a list out of a cache proves nothing
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
    /// What an answer of upstream's to the request for `below` means.
    fn meaning(&self, url: &UpstreamUrl, below: &str, reading: Reading) -> UpstreamAnswer {
        let redactor = Redactor::knowing(&self.credential);
        let classified = |response: &Response<Bytes>| {
            let body = redactor.redact(&String::from_utf8_lossy(response.body()));
            Answer::new(url, below, response.status().as_u16(), response.headers(), &body).meaning()
        };
        let answer = match reading {
            Reading::List(list) => UpstreamAnswer::List(list),
            Reading::Oversize(oversize) => UpstreamAnswer::Oversize(oversize),
            Reading::Stored(detail) => UpstreamAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Busy, detail)),
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

/// The same without a secret, which may stand in a header.
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

/// A list, unless it comes out of a cache.
fn fresh(list: RefList, response: &Response<Bytes>) -> Reading {
    match rate::from_a_cache(response.headers()) {
        Some(detail) => Reading::Stored(detail),
        None => Reading::List(list),
    }
}

/// What was seen in an answer to the second request that a server cannot mean which has allowed the first to anybody. A proxy
/// that lets no POST pass gives such answers, too.
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
