//! Git's smart HTTP as Gitea serves it: its own refusals and redirects, the special answers for a folder
//! that is gone, and for the rest git itself.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, StatusCode, header};

use super::Gitea;
use super::answer::{Refusal, bare, link, set};
use super::gate::Asked;
use crate::fault::CallKind;
use crate::git::{Backend, plain};
use crate::upstream::header_text;

const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";

impl Gitea {
    pub(super) async fn git_http(&self, asked: &Asked) -> Response {
        match self.git_folder(asked) {
            Ok(folder) if self.inner.store.exists(&folder) => self.inner.store.serve(backend(asked, folder)).await,
            Ok(_) => self.folder_is_gone(asked),
            Err(refused) => refused.into(),
        }
    }

    fn git_folder(&self, asked: &Asked) -> Result<std::path::PathBuf, Refusal> {
        let route = &asked.route;
        let headers = &asked.parts.headers;
        let settings = self.state().settings.clone();
        if settings.http_git_disabled {
            let text = "Interacting with repositories by HTTP protocol is not allowed";
            return Err(Refusal::from(plain(StatusCode::FORBIDDEN, text)));
        }
        let doer = self.doer(headers).map_err(|_| Refusal::from(unauthorized()))?;
        let state = self.state();
        let Some(owner) = state.account(&route.owner) else {
            return Err(Refusal::from(plain(StatusCode::NOT_FOUND, "Not found.\n")));
        };
        let Some(repository) = state.repository(&route.owner, &route.name) else {
            if let Some(renamed) = state.renamed(&route.owner, &route.name) {
                let path = asked.parts.uri.path();
                let tail = if path.ends_with("/info/refs") { "info/refs" } else { "git-upload-pack" };
                let query = asked.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let location = format!("/{}/{tail}{query}", state.full_name(renamed));
                return Err(Refusal::from(link(self.inner.profile.renamed(), &location)));
            }
            let refusal =
                if doer.is_some() { plain(StatusCode::NOT_FOUND, "Repository not found") } else { unauthorized() };
            return Err(Refusal::from(refusal));
        };
        match &doer {
            None if repository.private || settings.require_signin => {
                return Err(Refusal::from(unauthorized()));
            }
            Some(doer) if repository.private && !state.owns(doer.id, repository.owner) => {
                return Err(Refusal::from(plain(StatusCode::NOT_FOUND, "Repository not found")));
            }
            _ => {}
        }
        let content_type = header_text(headers, header::CONTENT_TYPE).unwrap_or_default();
        if route.kind == CallKind::UploadPack && content_type != REQUEST_TYPE {
            return Err(Refusal::from(bare(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "")));
        }
        if route.kind == CallKind::InfoRefs && asked.parts.uri.query() != Some("service=git-upload-pack") {
            return Err(Refusal::from(plain(StatusCode::FORBIDDEN, "mirror repository is read-only")));
        }
        Ok(self.git_dir_of(&owner.name, &repository.name))
    }

    /// No list and no flush: the traces of a git that found no repository.
    fn folder_is_gone(&self, asked: &Asked) -> Response {
        let is_list = asked.route.kind == CallKind::InfoRefs;
        if is_list && self.inner.profile.missing_folder_is_an_error() {
            let page =
                "<!DOCTYPE html>\n<html>\n<head><title>Internal Server Error</title></head>\n<body></body>\n</html>\n";
            return bare(StatusCode::INTERNAL_SERVER_ERROR, "text/html; charset=utf-8", page);
        }
        let (kind, body) =
            if is_list { ("advertisement", "001e# service=git-upload-pack\n0000") } else { ("result", "") };
        let mut response = Response::new(Body::from(body));
        set(&mut response, header::CONTENT_TYPE, &format!("application/x-git-upload-pack-{kind}"));
        set(&mut response, header::CACHE_CONTROL, "no-cache, max-age=0, must-revalidate");
        response
    }
}

fn unauthorized() -> Response {
    let mut response = plain(StatusCode::UNAUTHORIZED, "Unauthorized\n");
    set(&mut response, header::WWW_AUTHENTICATE, "Basic realm=\"Gitea\"");
    response
}

fn backend(asked: &Asked, folder: std::path::PathBuf) -> Backend {
    let headers = &asked.parts.headers;
    let is_list = asked.route.kind == CallKind::InfoRefs;
    Backend {
        folder,
        path_info: if is_list { "/info/refs" } else { "/git-upload-pack" },
        method: asked.parts.method.to_string(),
        query: asked.parts.uri.query().unwrap_or_default().to_owned(),
        content_type: header_text(headers, header::CONTENT_TYPE).unwrap_or_default(),
        content_encoding: header_text(headers, header::CONTENT_ENCODING),
        git_protocol: header_text(headers, HeaderName::from_static("git-protocol")),
        body: asked.body.clone(),
    }
}
