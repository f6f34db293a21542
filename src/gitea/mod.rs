//! The Gitea client: one method for each call, one outcome enum for each answer.
//!
//! Owns the requests, Gitea's JSON and the meaning of its answers (`classify`). Every text of Gitea is redacted before
//! it leaves this module. Never decides, and retries only a request that was refused with a credential that has been
//! replaced since. A request that timed out with a password is followed by one without it, which names the cause.

#![warn(clippy::wildcard_enum_match_arm)]

mod classify;
mod conflicts;
mod refs;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::domain::answer::{
    CreateOrganisationAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer, RepositoryAnswer, SyncAnswer, Trouble,
    TroubleKind,
};
use crate::domain::credential::{Credential, CredentialSource, Redactor};
use crate::domain::duration::GoDuration;
use crate::domain::names::{BranchName, OwnerName};
use crate::domain::refs::Prune;
use crate::domain::spec::{MirrorSpec, Visibility};
use crate::domain::url::GiteaUrl;
use crate::transport::{Bundle, Call, Route, Transport, date};

/// Time limit of a read.
const READ: Duration = Duration::from_secs(10);

/// Time limit of a read with a password, whose check takes Gitea seconds on a busy machine.
///
/// Shorter than [`READ`], so that within an observation's limit there is time for [`WITHOUT_PASSWORD`].
const READ_WITH_PASSWORD: Duration = Duration::from_secs(8);

/// Time limit of the request without a password that follows a timeout.
const WITHOUT_PASSWORD: Duration = Duration::from_millis(1_500);

/// Time limit of a change, except a migrate.
const CHANGE: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes. The longest expected answer has some kilobytes.
const LARGEST: usize = 1024 * 1024;

/// Client for one Gitea, as one user.
#[derive(Clone, Debug)]
pub struct Client {
    url: GiteaUrl,
    transport: Arc<dyn Transport>,
    credential: Arc<dyn CredentialSource>,
    bundle: Option<Arc<Bundle>>,
}

/// An answer with the redactor that its texts must pass.
struct Answered {
    response: Response<Bytes>,
    redactor: Redactor,
}

/// A Gitea's name and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `gitea` or `forgejo`.
    pub flavour: &'static str,
    /// The version as Gitea prints it.
    pub version: String,
}

impl Client {
    /// Creates a client for the Gitea at `url`, as the user of `credential`.
    #[must_use]
    pub fn new(url: GiteaUrl, transport: Arc<dyn Transport>, credential: Arc<dyn CredentialSource>) -> Self {
        Self { url, transport, credential, bundle: None }
    }

    /// Trusts the CA certificates of a bundle in addition to the system's.
    #[must_use]
    pub fn trusting(mut self, bundle: Option<Arc<Bundle>>) -> Self {
        self.bundle = bundle;
        self
    }

    /// The address of Gitea.
    #[must_use]
    pub fn url(&self) -> &GiteaUrl {
        &self.url
    }

    /// The credential of this client, also used for git over HTTP.
    #[must_use]
    pub fn credential(&self) -> &dyn CredentialSource {
        &*self.credential
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn version(&self) -> Result<Version, Trouble> {
        let Answered { response, redactor } = self.send("version", Method::GET, "/version", None::<&()>, READ).await?;
        let version = classify::version(&response, &redactor)?;
        // Forgejo appends the Gitea version that it is compatible with.
        let flavour = if version.contains("+gitea-") { "forgejo" } else { "gitea" };
        let printable = |c: &char| c.is_ascii_graphic();
        Ok(Version { flavour, version: version.chars().filter(printable).take(64).collect() })
    }

    /// `GET /repos/{owner}/{repo}`, with the `Date` of the answer if it has one.
    pub async fn repository(&self, spec: &MirrorSpec) -> (RepositoryAnswer, Option<Timestamp>) {
        let path = format!("/repos/{}", spec.full_name());
        match self.send("get_repository", Method::GET, &path, None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => {
                (classify::repository(&response, &redactor, &spec.full_name()), date(response.headers()))
            }
            Err(trouble) => (RepositoryAnswer::Trouble(trouble), None),
        }
    }

    /// `GET /orgs/{org}`, then `GET /users/{name}` if there is no such organisation.
    pub async fn owner(&self, owner: &OwnerName) -> OwnerAnswer {
        let Answered { response, redactor } =
            match self.send("get_organisation", Method::GET, &format!("/orgs/{owner}"), None::<&()>, READ).await {
                Ok(answered) => answered,
                Err(trouble) => return OwnerAnswer::Trouble(trouble),
            };
        if let Some(answer) = classify::organisation(&response, &redactor) {
            return answer;
        }
        match self.send("get_user", Method::GET, &format!("/users/{owner}"), None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => classify::user(&response, &redactor),
            Err(trouble) => OwnerAnswer::Trouble(trouble),
        }
    }

    /// `POST /orgs`.
    pub async fn create_organisation(&self, owner: &OwnerName, visibility: Visibility) -> CreateOrganisationAnswer {
        let visibility = match visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
        };
        let body = wire::WireCreateOrganisation { username: owner.as_str(), visibility };
        match self.send("create_organisation", Method::POST, "/orgs", Some(&body), CHANGE).await {
            Ok(Answered { response, redactor }) => classify::create_organisation(&response, &redactor),
            Err(trouble) => CreateOrganisationAnswer::Unknown(trouble),
        }
    }

    /// `POST /repos/migrate`, with the `Date` of the answer if it has one.
    ///
    /// Gitea answers when the clone has ended. Dropping this future does not stop the clone. Without an interval Gitea
    /// uses its default.
    pub async fn migrate(
        &self,
        spec: &MirrorSpec,
        interval: Option<GoDuration>,
        upstream: &dyn CredentialSource,
        timeout: Duration,
    ) -> (MigrateAnswer, Option<Timestamp>) {
        let upstream = match upstream.read() {
            Ok(credential) => credential,
            Err(error) => {
                let trouble = Trouble::not_sent(TroubleKind::Credential, error.to_string());
                return (MigrateAnswer::Unknown(trouble), None);
            }
        };
        let (mut auth_token, mut auth_username, mut auth_password) = (None, None, None);
        match &upstream {
            Some(Credential::Token(token)) => auth_token = Some(token.expose_secret()),
            Some(Credential::Basic { username, password }) => {
                (auth_username, auth_password) = (Some(username.as_str()), Some(password.expose_secret()));
            }
            None => {}
        }
        let body = wire::WireMigrate {
            clone_addr: spec.upstream.as_str(),
            repo_owner: spec.owner.as_str(),
            repo_name: spec.repo.as_str(),
            service: "git",
            mirror: true,
            mirror_interval: interval.map(|interval| interval.to_string()),
            private: spec.visibility == Visibility::Private,
            wiki: false,
            issues: false,
            pull_requests: false,
            labels: false,
            milestones: false,
            releases: false,
            lfs: false,
            auth_token,
            auth_username,
            auth_password,
        };
        match self.send("migrate", Method::POST, "/repos/migrate", Some(&body), timeout).await {
            // git's messages repeat the clone address, and the credential may have been replaced since the request.
            Ok(Answered { response, redactor }) => {
                (classify::migrate(&response, &redactor.and_knowing(upstream.as_ref())), date(response.headers()))
            }
            Err(trouble) => (MigrateAnswer::Unknown(trouble), None),
        }
    }

    /// `PATCH` of interval and pruning.
    pub async fn patch_settings(&self, spec: &MirrorSpec, interval: GoDuration, prune: Prune) -> PatchAnswer {
        let body = wire::WireSettings { mirror_interval: interval.to_string(), enable_prune: prune.as_bool() };
        self.patch("patch_settings", spec, &body).await
    }

    /// `PATCH` of the default branch.
    pub async fn patch_default_branch(&self, spec: &MirrorSpec, branch: &BranchName) -> PatchAnswer {
        self.patch("patch_default_branch", spec, &wire::WireDefaultBranch { default_branch: branch.as_str() }).await
    }

    async fn patch(&self, operation: &'static str, spec: &MirrorSpec, body: &(impl Serialize + Sync)) -> PatchAnswer {
        let path = format!("/repos/{}", spec.full_name());
        match self.send(operation, Method::PATCH, &path, Some(body), CHANGE).await {
            Ok(Answered { response, redactor }) => classify::patch_of_a_mirror(&response, &redactor),
            Err(trouble) => PatchAnswer::Unknown(trouble),
        }
    }

    /// `POST /repos/{owner}/{repo}/mirror-sync`.
    pub async fn sync(&self, spec: &MirrorSpec) -> SyncAnswer {
        let path = format!("/repos/{}/mirror-sync", spec.full_name());
        match self.send("mirror_sync", Method::POST, &path, None::<&()>, CHANGE).await {
            Ok(Answered { response, redactor }) => classify::sync(&response, &redactor),
            Err(trouble) => SyncAnswer::Unknown(trouble),
        }
    }

    /// Sends a request, and repeats it if it was refused and the credential has been replaced since.
    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
        timeout: Duration,
    ) -> Result<Answered, Trouble> {
        let json = |body| Bytes::from(serde_json::to_vec(body).expect("our own wire types are always JSON"));
        let body = body.map(json);
        let mut used = self.read_credential()?;
        let mut known = Vec::new();
        loop {
            known.extend(used.clone());
            let request = self.request(&method, path, body.clone(), used.as_ref())?;
            let by_password = matches!(used, Some(Credential::Basic { .. }));
            let timeout = if by_password && timeout == READ { READ_WITH_PASSWORD } else { timeout };
            let call = Call {
                operation,
                route: Route::Direct,
                request,
                bundle: self.bundle.clone(),
                timeout,
                largest: LARGEST,
            };
            let response = match self.transport.send(call).await {
                // A call with a longer limit than a change times out for reasons of its own.
                Err(trouble) if by_password && trouble.kind == TroubleKind::Timeout && timeout <= CHANGE => {
                    return Err(self.timed_out_with_a_password(trouble).await);
                }
                answer => answer?,
            };
            if response.status() == 401
                && let Some(replaced) = self.replacement_of(used.as_ref())?
            {
                used = Some(replaced);
                continue;
            }
            return Ok(self.answered(response, known));
        }
    }

    /// The current credential, if it is not the one that was refused.
    fn replacement_of(&self, used: Option<&Credential>) -> Result<Option<Credential>, Trouble> {
        let now = self.read_credential()?;
        Ok(now.filter(|now| used.is_none_or(|used| !used.same_as(now))))
    }

    /// Distinguishes a Gitea that hangs in its password check from one that hangs altogether.
    async fn timed_out_with_a_password(&self, trouble: Trouble) -> Trouble {
        let Ok(request) = self.request(&Method::GET, "/version", None, None) else { return trouble };
        let call = Call {
            operation: "version",
            route: Route::Direct,
            request,
            bundle: self.bundle.clone(),
            timeout: WITHOUT_PASSWORD,
            largest: LARGEST,
        };
        let Ok(response) = self.transport.send(call).await else { return trouble };
        match classify::parse_reply(&response, &Redactor::knowing(&[]), false) {
            classify::Reply::Message { status: ..500, .. } | classify::Reply::Refused(_) => Trouble {
                kind: TroubleKind::AuthTimeout,
                detail: format!("{} with the user name and password, and an answer without them", trouble.detail),
                ..trouble
            },
            classify::Reply::Message { .. } | classify::Reply::Renamed | classify::Reply::Trouble(_) => trouble,
        }
    }

    fn read_credential(&self) -> Result<Option<Credential>, Trouble> {
        self.credential.read().map_err(|error| Trouble::not_sent(TroubleKind::Credential, error.to_string()))
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        credential: Option<&Credential>,
    ) -> Result<Request<Bytes>, Trouble> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.url))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(credential) = credential {
            let mut value = HeaderValue::from_str(credential.api_header().expose_secret()).map_err(|_| {
                Trouble::not_sent(
                    TroubleKind::Credential,
                    "the credential contains characters that headers do not allow",
                )
            })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request
            .body(body.unwrap_or_default())
            .map_err(|_| Trouble::not_sent(TroubleKind::Connect, "the request's address cannot be used"))
    }

    /// Pairs an answer with a redactor of every credential that was sent and of the current one.
    fn answered(&self, response: Response<Bytes>, mut known: Vec<Credential>) -> Answered {
        known.extend(self.credential.read().ok().flatten());
        Answered { response, redactor: Redactor::knowing(&known) }
    }
}
