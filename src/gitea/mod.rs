//! The Gitea client: one method a call, one outcome enum an answer.
//!
//! Owns the requests, Gitea's JSON and the table of what its answers mean (`classify`). Reports and decides nothing:
//! nothing is retried here but a request refused with a credential that has been replaced since it was read; one that
//! timed out with a password is followed by one without, which tells why. Every word of Gitea's passes the redactor before
//! it leaves this module.

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

/// How long a read may take.
const READ: Duration = Duration::from_secs(10);

/// How long a read with a password may take, whose check costs Gitea seconds on a busy machine. It leaves an observation,
/// which has as long as a read, the time to find out whether it is the password that Gitea does not get done with.
const READ_WITH_PASSWORD: Duration = Duration::from_secs(8);

/// How long Gitea has to show that it answers who sends no password.
const WITHOUT_PASSWORD: Duration = Duration::from_millis(1_500);

/// How long a change may take, except a migrate.
const CHANGE: Duration = Duration::from_secs(30);

/// The largest answer that is read: the longest one of those that we ask for has some kilobytes.
const LARGEST: usize = 1024 * 1024;

/// Talks to one Gitea as one user.
#[derive(Clone, Debug)]
pub struct Client {
    url: GiteaUrl,
    transport: Arc<dyn Transport>,
    credential: Arc<dyn CredentialSource>,
    bundle: Option<Arc<Bundle>>,
}

/// An answer with the one thing that may take its words out of this module.
struct Answered {
    response: Response<Bytes>,
    redactor: Redactor,
}

/// What Gitea says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `gitea` or `forgejo`.
    pub flavour: &'static str,
    /// As it prints it.
    pub version: String,
}

impl Client {
    /// A client for the Gitea at `url`, as whoever `credential` is.
    #[must_use]
    pub fn new(url: GiteaUrl, transport: Arc<dyn Transport>, credential: Arc<dyn CredentialSource>) -> Self {
        Self { url, transport, credential, bundle: None }
    }

    /// The same, trusting the CA certificates of a bundle beside the system's.
    #[must_use]
    pub fn trusting(mut self, bundle: Option<Arc<Bundle>>) -> Self {
        self.bundle = bundle;
        self
    }

    /// Where Gitea is.
    #[must_use]
    pub fn url(&self) -> &GiteaUrl {
        &self.url
    }

    /// The credential that this client uses, for git over HTTP.
    #[must_use]
    pub fn credential(&self) -> &dyn CredentialSource {
        &*self.credential
    }

    /// `GET /version`: what runs there.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn version(&self) -> Result<Version, Trouble> {
        let Answered { response, redactor } = self.send("version", Method::GET, "/version", None::<&()>, READ).await?;
        let version = classify::version(&response, &redactor)?;
        // Forgejo names the Gitea that it is compatible with
        let flavour = if version.contains("+gitea-") { "forgejo" } else { "gitea" };
        let printable = |c: &char| c.is_ascii_graphic();
        Ok(Version { flavour, version: version.chars().filter(printable).take(64).collect() })
    }

    /// `GET /repos/{owner}/{repo}`, and the `Date` of the answer where it has one.
    pub async fn repository(&self, spec: &MirrorSpec) -> (RepositoryAnswer, Option<Timestamp>) {
        let path = format!("/repos/{}", spec.full_name());
        match self.send("get_repository", Method::GET, &path, None::<&()>, READ).await {
            Ok(Answered { response, redactor }) => {
                (classify::repository(&response, &redactor, &spec.full_name()), date(response.headers()))
            }
            Err(trouble) => (RepositoryAnswer::Trouble(trouble), None),
        }
    }

    /// `GET /orgs/{org}`, and `GET /users/{name}` where there is no organisation of that name.
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

    /// `POST /repos/migrate`, which Gitea answers when the clone has ended. Dropping this future does not stop it.
    /// Without an interval Gitea takes its own default. With the answer comes its `Date`, where it has one.
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
            // git's words hold the address that it was given, and the credential may have been replaced meanwhile
            Ok(Answered { response, redactor }) => {
                (classify::migrate(&response, &redactor.and_knowing(upstream.as_ref())), date(response.headers()))
            }
            Err(trouble) => (MigrateAnswer::Unknown(trouble), None),
        }
    }

    /// `PATCH` interval and pruning.
    pub async fn patch_settings(&self, spec: &MirrorSpec, interval: GoDuration, prune: Prune) -> PatchAnswer {
        let body = wire::WireSettings { mirror_interval: interval.to_string(), enable_prune: prune.as_bool() };
        self.patch("patch_settings", spec, &body).await
    }

    /// `PATCH` the default branch.
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

    /// Sends one request; once more when it was refused with a credential that has been replaced meanwhile.
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
                // a call that may take longer than a change has another reason to
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

    /// The credential that is there now, where a request was refused with another one, or without one.
    fn replacement_of(&self, used: Option<&Credential>) -> Result<Option<Credential>, Trouble> {
        let now = self.read_credential()?;
        Ok(now.filter(|now| used.is_none_or(|used| !used.same_as(now))))
    }

    /// Tells a Gitea that hangs in the check of a password from one that hangs.
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
        match classify::sort(&response, &Redactor::knowing(&[]), false) {
            classify::Sorted::Said { status: ..500, .. } | classify::Sorted::Refused(_) => Trouble {
                kind: TroubleKind::AuthTimeout,
                detail: format!("{} with our user name and password, and an answer without them", trouble.detail),
                ..trouble
            },
            classify::Sorted::Said { .. } | classify::Sorted::Renamed | classify::Sorted::Trouble(_) => trouble,
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
                Trouble::not_sent(TroubleKind::Credential, "the credential holds characters that no header can carry")
            })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request
            .body(body.unwrap_or_default())
            .map_err(|_| Trouble::not_sent(TroubleKind::Connect, "the request's address cannot be used"))
    }

    /// An answer, and what has to be cut out of its words: every credential that was sent with the request, and every one
    /// that is there now.
    fn answered(&self, response: Response<Bytes>, mut known: Vec<Credential>) -> Answered {
        known.extend(self.credential.read().ok().flatten());
        Answered { response, redactor: Redactor::knowing(&known) }
    }
}
