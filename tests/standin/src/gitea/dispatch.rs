//! From a call to its handler, after what holds for all of them: installation, maintenance, credentials,
//! sign-in. Answers nothing else itself.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::json;

use super::Gitea;
use super::answer::{Refusal, bare, set};
use super::auth::Doer;
use super::gate::Asked;
use super::route;
use super::state::Repository;
use crate::call::Done;
use crate::fault::CallKind;

impl Gitea {
    pub(super) async fn dispatch(&self, asked: &Asked) -> Response {
        let kind = asked.route.kind;
        let settings = self.state().settings.clone();
        if settings.not_installed && kind != CallKind::Health && asked.parts.uri.path() != "/" {
            return not_installed();
        }
        if kind == CallKind::Health {
            return self.health(settings.not_installed);
        }
        if settings.maintenance {
            return bare(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "Service Unavailable\n");
        }
        if CallKind::Git.covers(kind) {
            return self.git_http(asked).await;
        }
        if asked.parts.uri.path() == "/" {
            return bare(
                StatusCode::OK,
                "text/html; charset=utf-8",
                "<!DOCTYPE html>\n<html><body>Gitea</body></html>\n",
            );
        }
        if kind == CallKind::Other {
            return if route::is_known(asked.parts.uri.path()) {
                // What a client gets that follows a redirect of a POST with a GET.
                self.empty(StatusCode::METHOD_NOT_ALLOWED)
            } else {
                self.unknown_route()
            };
        }
        if let Some(takes) = settings.password_check.filter(|_| self.checks_a_password(&asked.parts.headers)) {
            tokio::time::sleep(takes).await;
        }
        let doer = match self.doer(&asked.parts.headers) {
            Ok(doer) => doer,
            Err(refused) => return refused.into(),
        };
        if settings.require_signin && doer.is_none() {
            let body = json!({ "message": "Only signed in user is allowed to call APIs." });
            return self.json(StatusCode::FORBIDDEN, &body);
        }
        let response = match self.api(asked, doer.as_ref()).await {
            Ok(response) => response,
            Err(refused) => refused.into(),
        };
        self.note_done(asked, response.status());
        response
    }

    /// Takes note of a changing call that was carried out. A migrate's has been noted already: its row is there long before its
    /// answer.
    fn note_done(&self, asked: &Asked, status: StatusCode) {
        let kind = asked.route.kind;
        let changes = match kind {
            // of a changed default branch a server says that it failed although it was done
            CallKind::PatchRepository => status.is_success() || status == StatusCode::INTERNAL_SERVER_ERROR,
            CallKind::CreateOrg
            | CallKind::CreateRepository
            | CallKind::DeleteRepository
            | CallKind::MirrorSync
            | CallKind::Convert
            | CallKind::PutContents => status.is_success(),
            _ => false,
        };
        if changes {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            self.state().done.push(Done { kind, path: asked.parts.uri.path().to_owned(), body });
        }
    }

    /// One call of the API. An `Err` is an answer, too: the one of the check that refused.
    async fn api(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let route = &asked.route;
        match route.kind {
            CallKind::Version => Ok(self.version()),
            CallKind::ForgejoVersion => Ok(self.forgejo_version()),
            CallKind::Settings => Ok(self.settings_of(&route.rest)),
            CallKind::CurrentUser => self.current_user(doer),
            CallKind::GetUser => self.get_user(doer, &route.owner),
            CallKind::GetOrg => self.get_org(doer, &route.owner),
            CallKind::CreateOrg => self.create_org(doer, &asked.body),
            CallKind::CreateRepository => self.create_repository(doer, &route.owner, &asked.body).await,
            CallKind::Migrate => self.migrate(doer, &asked.body).await,
            CallKind::GetRepository => self.get_repository(asked, doer),
            CallKind::PatchRepository => self.patch_repository(asked, doer).await,
            CallKind::DeleteRepository => self.delete_repository(asked, doer).await,
            CallKind::MirrorSync => self.mirror_sync(asked, doer),
            CallKind::Convert => self.convert(asked, doer),
            CallKind::Branches => self.branches(asked, doer).await,
            CallKind::Tags => self.tags(asked, doer).await,
            CallKind::GitRefs => self.git_refs(asked, doer).await,
            CallKind::Compare => self.compare(asked, doer).await,
            CallKind::Commits => self.commits(asked, doer).await,
            CallKind::PutContents => self.put_contents(asked, doer),
            CallKind::Health
            | CallKind::InfoRefs
            | CallKind::UploadPack
            | CallKind::Any
            | CallKind::Api
            | CallKind::Git
            | CallKind::Other => Ok(self.unknown_route()),
        }
    }

    /// What Gitea does first for every path under a repository: the scope, the owner, the repository or
    /// the redirect it left, and whether the caller may see it.
    pub(super) fn assigned(&self, asked: &Asked, doer: Option<&Doer>, scope: &str) -> Result<Repository, Refusal> {
        self.scope(doer, scope)?;
        let (owner, name) = (asked.route.owner.as_str(), asked.route.name.as_str());
        let state = self.state();
        let Some(account) = state.account(owner) else {
            let error = format!("user redirect does not exist [name: {owner}]");
            return Err(self.not_found_in("GetUserByName", Some(&error)));
        };
        if let Some(repository) = state.repository(owner, name) {
            let visible = !repository.private || doer.is_some_and(|doer| state.owns(doer.id, account.id));
            let visible = visible && !state.hidden.contains(&repository.id);
            return if visible { Ok(repository.clone()) } else { Err(self.not_found()) };
        }
        let Some(renamed) = state.renamed(owner, name) else {
            return Err(self.not_found());
        };
        let base = format!("/api/v1/repos/{}", state.full_name(renamed));
        let asked_for = asked.parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        // All that follows owner and name, query included.
        let rest = asked_for.trim_start_matches('/').splitn(6, '/').nth(5).map(|rest| format!("/{rest}"));
        let location = format!("{base}{}", rest.unwrap_or_default());
        Err(self.moved(asked.parts.method == Method::GET, &location))
    }

    /// Refuses a user without the right to write to a repository, and a token that is limited to others.
    pub(super) fn may(&self, doer: &Doer, repository: &Repository, refusal: &str) -> Result<(), Refusal> {
        let state = self.state();
        let limited = doer.is_limited_to_others(&state.full_name(repository));
        let allowed = state.owns(doer.id, repository.owner) && !limited;
        drop(state);
        if allowed { Ok(()) } else { Err(self.forbidden(refusal)) }
    }
}

fn not_installed() -> Response {
    let page = "Not Found. <a href=\"/\">Go to default page</a>.";
    let mut response = bare(StatusCode::NOT_FOUND, "text/html; charset=utf-8", page);
    set(&mut response, http::header::REFRESH, "1; url=/");
    response
}
