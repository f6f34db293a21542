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
use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;

use crate::domain::answer::{LocalRefsAnswer, Refusal, Trouble, TroubleKind, UpstreamAnswer};
use crate::domain::credential::{Credential, CredentialSource, Redactor};
use crate::domain::names::{OwnerName, RepoName};
use crate::domain::refs::RefList;
use crate::domain::url::{GiteaUrl, UpstreamUrl};
use crate::transport::{Bundle, Call, Route, Transport, has_media_type, status_trouble};
use parse::{Advertisement, NotAList};

/// How long one of the two requests may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest list that is read: about half a million refs.
const LARGEST: usize = 64 * 1024 * 1024;

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

/// What reading one side came to, before it is known which side it is.
enum Reading {
    List(RefList),
    /// A status other than 200.
    Status(Response<Bytes>),
    /// 200, and no list in it.
    NotAList(NotAList),
    /// What Gitea answers where a repository has no folder: a service named and nothing after it, or, to a server
    /// that has just said that it is git, an empty body.
    FolderGone(NotAList),
    Trouble(Trouble),
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
    pub async fn upstream(&self, url: &UpstreamUrl, credential: &dyn CredentialSource) -> UpstreamAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return UpstreamAnswer::Trouble(trouble),
        };
        let redactor = Redactor::knowing(&credential);
        let bundle = self.upstream_bundles.get(url).cloned();
        let remote =
            Remote { base: url.join(""), route: Route::Proxied, operation: "upstream_refs", credential, bundle };
        match self.read(&remote).await {
            Reading::List(list) => UpstreamAnswer::List(list),
            Reading::Trouble(trouble) if trouble.kind == TroubleKind::TooLarge => {
                UpstreamAnswer::NotGit { detail: format!("upstream: {}", trouble.detail) }
            }
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
    ) -> LocalRefsAnswer {
        let credential = match read(credential) {
            Ok(credential) => credential,
            Err(trouble) => return LocalRefsAnswer::Trouble(trouble),
        };
        let base = format!("{url}/{owner}/{repo}.git");
        let bundle = self.gitea_bundle.clone();
        let remote = Remote { base, route: Route::Direct, operation: "gitea_refs", credential, bundle };
        match self.read(&remote).await {
            Reading::List(list) => LocalRefsAnswer::List(list),
            Reading::FolderGone(_) => LocalRefsAnswer::FolderGone,
            Reading::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
            Reading::NotAList(why) => {
                let kind = if why == NotAList::NoEnd { TroubleKind::Cut } else { TroubleKind::Foreign };
                LocalRefsAnswer::Trouble(Trouble::maybe_sent(kind, format!("its git answers 200 with {why}")))
            }
            Reading::Status(response) => match response.status().as_u16() {
                500 if has_media_type(&response, PAGE) && self.finds_no_folder(&remote).await => {
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

    async fn read(&self, remote: &Remote) -> Reading {
        let get = remote.request(&Method::GET, "/info/refs?service=git-upload-pack", Bytes::new());
        let response = match self.send(remote, get).await {
            Ok(response) => response,
            Err(trouble) => return Reading::Trouble(trouble),
        };
        if response.status() != 200 {
            return Reading::Status(response);
        }
        let sha256 = match parse::advertisement(response.body()) {
            // a body that reads as git's under another name is what a proxy or a broken server sends
            Ok(_) if !has_media_type(&response, ADVERTISEMENT) => {
                return Reading::NotAList(NotAList::NotGit);
            }
            Ok(Advertisement::V0(list)) => return Reading::List(list),
            Ok(Advertisement::NothingAfterService) => return Reading::FolderGone(NotAList::NoEnd),
            Ok(Advertisement::V2 { sha256 }) => sha256,
            Err(why) => return Reading::NotAList(why),
        };
        self.list(remote, sha256).await
    }

    /// Gitea answers the first request for a repository without a folder with its page for a 500 (since 1.26), as it does
    /// for any trouble of its own; the second one tells them apart.
    async fn finds_no_folder(&self, remote: &Remote) -> bool {
        matches!(self.list(remote, false).await, Reading::FolderGone(_))
    }

    async fn list(&self, remote: &Remote, sha256: bool) -> Reading {
        let post = remote.request(&Method::POST, "/git-upload-pack", parse::ls_refs_request(sha256).into());
        let response = match self.send(remote, post).await {
            Ok(response) => response,
            Err(trouble) => return Reading::Trouble(trouble),
        };
        if response.status() != 200 {
            return Reading::Status(response);
        }
        match parse::ls_refs(response.body()) {
            Ok(_) | Err(NotAList::Empty) if !has_media_type(&response, RESULT) => Reading::NotAList(NotAList::NotGit),
            Ok(list) => Reading::List(list),
            Err(NotAList::Empty) => Reading::FolderGone(NotAList::Empty),
            Err(why) => Reading::NotAList(why),
        }
    }

    async fn send(
        &self,
        remote: &Remote,
        request: Result<Request<Bytes>, http::Error>,
    ) -> Result<Response<Bytes>, Trouble> {
        let request = request.map_err(|_| {
            Trouble::not_sent(TroubleKind::Credential, "the credential holds characters that no header can carry")
        })?;
        let call = Call {
            operation: remote.operation,
            route: remote.route,
            request,
            bundle: remote.bundle.clone(),
            timeout: TIMEOUT,
            largest: LARGEST,
        };
        self.transport.send(call).await
    }
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
