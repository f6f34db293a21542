//! Every failure that reaches a person: one table of codes in one file, each with its title, status, remedy and whether
//! asking again can help.
//!
//! Owns the one list, in one file, from which the wire, the log, the metrics and the documentation take a problem's name. Holds no
//! secret and no raw text of anybody else's: `detail` is made of redacted words and cut at 300 characters.

mod meaning;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::refs::{Digest, RefName};

/// The most characters that a `detail` has: consoles show it verbatim.
pub const LONGEST_DETAIL: usize = 300;

macro_rules! codes {
    ($($variant:ident = $label:literal, $status:literal, $retryable:ident, $title:literal, $remedy:literal;)*) => {
        /// The stable name of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its one spelling.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// Whether asking again, with nothing changed, can help.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$variant => codes!(@ $retryable)),* }
            }

            /// A short name for a person.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
    (@ again) => { true };
    (@ change) => { false };
}

codes! {
    // what a caller did
    MalformedRequest = "malformed-request", 400, change, "The request cannot be read",
        "Send a well-formed request: an empty body, or a JSON object such as {\"mirrors\": [\"openova\"]}.";
    Unauthenticated = "unauthenticated", 401, change, "No valid credential",
        "Send the header `Authorization: Bearer TOKEN` with a token from the service's tokens file (--tokens-file), or, where kubernetes.enabled is true, with one of a service account that it lists (`kubectl create token`).";
    TokensUnreadable = "tokens-unreadable", 503, again, "The tokens file cannot be read",
        "Look at the file that --tokens-file (CUTOVER_TOKENS_FILE) names, and at cutover-api's log for what is wrong with it. Bring it back, readable by cutover-api's user; it is read again at each use, so nothing has to be restarted. Then ask again.";
    SignatureInvalid = "signature-invalid", 401, change, "No valid signature",
        "Give the webhook, where it is sent from, the very secret that stands in a file of the mirror's `webhook.secretFiles` (without its line end, 32 characters or more); docs/webhooks.md shows it for each forge. Where the signature holds a time, set both clocks right.";
    Forbidden = "forbidden", 403, change, "This caller's role does not allow it",
        "Use a token with the role `operator`, or have the first word of the token's line in the tokens file (--tokens-file) changed to `operator`; the file is read again at each use. For a token of Kubernetes, add its exact user name to kubernetes.operators (or, to read, kubernetes.viewers) and restart.";
    HostNotAllowed = "host-not-allowed", 421, change, "This host name is not served",
        "Call under a name of `server.hosts`, an IP literal or `localhost`; or add the name to `server.hosts` in the configuration and restart. Without authentication (--auth none) a name has to be listed there.";
    OriginNotAllowed = "origin-not-allowed", 403, change, "This page may not call the service",
        "Add the page's origin, exactly as its browser sends it (scheme, host, port), to `server.origins` in the configuration and restart cutover-api. For cutover-api's own page behind a proxy, use https or have the proxy pass `Host` on. Or call from outside a browser.";
    RateLimited = "rate-limited", 429, again, "Too many bad credentials from this address",
        "Wait as long as `Retry-After` says, and send a token of the tokens file (--tokens-file), or sign a webhook with its secret: callers with a good credential are never held up.";
    RequestTimeout = "request-timeout", 408, again, "The request did not arrive in time",
        "Send the whole body within 5 seconds of its head; an empty body asks for all configured mirrors.";
    UriTooLong = "uri-too-long", 414, change, "The address is too long",
        "Send at most 2,048 bytes of path and query: /openapi.json describes every parameter.";
    NotFound = "not-found", 404, change, "Nothing is here",
        "See /openapi.json for the paths of this service, /status for its mirrors, and /cutover/runs for the runs that are kept.";
    MethodNotAllowed = "method-not-allowed", 405, change, "This path has another method",
        "Use a method that the `Allow` header of this answer names.";
    ContentTooLarge = "content-too-large", 413, change, "The body is too large",
        "Send at most 16 KiB: an empty body asks for all configured mirrors.";
    UnsupportedMediaType = "unsupported-media-type", 415, change, "The body is not JSON",
        "Send `Content-Type: application/json` with the body, or no body at all.";
    InvalidField = "invalid-field", 422, change, "A member or a parameter is not as it should be",
        "Correct the member of the body, or the parameter, that `detail` names; /openapi.json describes each of them.";
    UnknownField = "unknown-field", 422, change, "The body has a member that is not known",
        "Leave the member out: a run has `mirrors`, `onLegacy`, `acceptUpstream` and `dryRun`, a mode `mode`, `reason` and `convert`, so spelled.";
    UnknownMirror = "unknown-mirror", 422, change, "No mirror of that name is configured",
        "Use a name that GET /status shows; mirrors are made in the service's configuration only.";
    IdempotencyKeyReused = "idempotency-key-reused", 422, change, "The key stands for another request",
        "Send a new Idempotency-Key with a new request; the same key only with the very body that it was first sent with.";
    RunConflict = "run-conflict", 409, again, "A run with other options is in flight",
        "Wait for the run that `detail` names, or take it out with DELETE /cutover/runs/{id}; or ask with the same `onLegacy` and `acceptUpstream`.";
    RunEnded = "run-ended", 409, change, "The run has ended already",
        "Nothing is left to take out: GET /cutover/runs/{id} shows how it ended.";
    ShuttingDown = "shutting-down", 503, again, "The service is ending",
        "Ask again in 5 seconds, as `Retry-After` says: accepted runs go on after the restart. When it stays, look whether the pod comes up again: `kubectl get pods`.";
    TooManyStreams = "too-many-streams", 503, again, "No more streams of events can be opened",
        "Close streams that nobody reads any more (`cutover_sse_connections` counts them) and ask again; or ask GET /status now and then; or raise `limits.connections` in the configuration, a quarter of which may be streams.";
    StateUnavailable = "state-unavailable", 503, again, "The journal cannot be written",
        "Look at the state directory (--state-dir): `df -h` for free space, `ls -l` for its rights, and the service's log for the cause; then ask again. Restart the service if the directory was deleted or replaced under it. Reads go on meanwhile.";
    WebhookSecret = "webhook-secret", 503, change, "No secret for webhooks can be read",
        "Put a secret of 32 characters or more into a file of the mirror's `webhook.secretFiles`, readable by this service (`openssl rand -hex 32` makes one); it is read again at each delivery.";
    Internal = "internal", 500, again, "The service made a mistake",
        "Ask again; when it stays, look for this answer's request id in the service's log and report it.";

    // reaching Kubernetes
    KubernetesUnreachable = "kubernetes-unreachable", 502, again, "The Kubernetes API server gives no usable answer",
        "Check that this pod may reach the API server (network policies; `kubectl get --raw=/readyz`), then ask again. The service's log has the cause. Callers with a token of the tokens file (--tokens-file) are let in meanwhile.";
    KubernetesDenied = "kubernetes-denied", 503, change, "Kubernetes does not let our service account do this",
        "Give the service's ServiceAccount the rights that docs/kubernetes.md lists, and look what it has: `kubectl auth can-i create tokenreviews.authentication.k8s.io --as=system:serviceaccount:NAMESPACE:NAME`.";
    KubernetesCredential = "kubernetes-credential", 503, change, "Our own token for Kubernetes cannot be read",
        "Mount the ServiceAccount's token into the pod (automountServiceAccountToken: true, or a projected volume) where kubernetes.tokenFile names it, readable by this service; it is read again at each use.";

    // reaching Gitea
    GiteaUnreachable = "gitea-unreachable", 502, again, "Gitea cannot be reached",
        "Check that Gitea runs (`kubectl -n gitea get pods`) and that GITEA_INTERNAL_URL (gitea.url) and the network policies let us reach it; then ask again.";
    GiteaDns = "gitea-dns", 502, again, "Gitea's host name does not resolve",
        "Check the host in GITEA_INTERNAL_URL (gitea.url) and the cluster's DNS: `kubectl -n gitea get svc`; then ask again.";
    GiteaTls = "gitea-tls", 502, again, "No TLS session with Gitea",
        "Compare what `detail` says with what Gitea sends (`openssl s_client -connect HOST:PORT -servername HOST`). Then correct Gitea's certificate, or put its issuer's certificate into the file of gitea.caFile (in the chart: caBundle). A changed file is read at the next call.";
    GiteaError = "gitea-error", 502, again, "Gitea answers with errors of its own",
        "Look into Gitea's own log at the time of this run (`kubectl -n gitea logs deploy/gitea --since=30m`); then ask again.";
    NotGitea = "not-gitea", 502, again, "What answers is not Gitea's API",
        "Check GITEA_INTERNAL_URL (gitea.url), path prefix included, and that no log-in page and no redirect stands before it; then ask again.";
    GiteaCredential = "gitea-credential", 503, change, "Our own credential for Gitea cannot be read",
        "Put a Gitea token into the file that GITEA_TOKEN_FILE (gitea.tokenFile) names, readable by this service; it is read again at each use.";
    GiteaAuth = "gitea-auth", 502, change, "Gitea does not accept our credential",
        "Make a new access token in Gitea (Settings, Applications) with the scopes write:repository and write:organization, and put it into the file that GITEA_TOKEN_FILE (gitea.tokenFile) names; it is read again at each use.";
    GiteaAuthTimeout = "gitea-auth-timeout", 502, again, "Gitea does not get done with checking our password",
        "Use an access token, which Gitea checks at once: put one with the scopes write:repository and write:organization into the file that GITEA_TOKEN_FILE (gitea.tokenFile; in the chart gitea.tokenSecretRef) names, and restart us; the token wins. Or look what Gitea waits for when it checks a password: a busy processor, LDAP, another source of authentication.";
    GiteaScope = "gitea-scope", 502, change, "Our token's scope does not reach",
        "Make a new access token in Gitea (Settings, Applications) with the scopes write:repository and write:organization, and put it into the file that GITEA_TOKEN_FILE (gitea.tokenFile) names.";
    GiteaForbidden = "gitea-forbidden", 502, change, "Gitea forbids it to our user",
        "Give the token's user administration rights on the repository: add it to the organisation's team Owners. If it is an owner already, look whether the token is limited to chosen repositories (Forgejo 15 and later: Settings, Applications); replace it by one that is not.";
    NotOrganisationOwner = "not-organisation-owner", 424, change, "Our user does not own the organisation",
        "Add the token's user to the organisation's team Owners in Gitea: a right to create repositories is not enough to migrate.";
    OrganisationNotAllowed = "organisation-not-allowed", 424, change, "Our user may not create the organisation",
        "Create the organisation in Gitea as an administrator and add the token's user to its team Owners, or allow it ([service] DEFAULT_ALLOW_CREATE_ORGANIZATION, [admin] DISABLE_REGULAR_ORG_CREATION).";
    OwnerUnavailable = "owner-unavailable", 424, change, "The owner's name is held by somebody else",
        "The name belongs to a user, to an organisation hidden from our token, or was renamed: choose another owner (GITEA_ORG, target.owner), or let the token's user see it.";
    NameRefused = "name-refused", 424, change, "Gitea refuses the name",
        "Choose another owner or repository name (GITEA_ORG, GITEA_REPO; target.owner, target.repo).";
    MirrorsDisabled = "mirrors-disabled", 424, change, "Mirrors are switched off in Gitea",
        "Set [mirror] ENABLED = true and [mirror] DISABLE_NEW_PULL = false in Gitea's app.ini, restart Gitea and ask again.";
    MigrationsDisabled = "migrations-disabled", 424, change, "Migrations are switched off in Gitea",
        "Set [repository] DISABLE_MIGRATIONS = false in Gitea's app.ini, restart Gitea and ask again.";
    RepositoryLimit = "repository-limit", 424, change, "A limit of Gitea is reached",
        "Raise the limit, restart Gitea and ask again: [repository] MAX_CREATION_LIMIT in its app.ini (the limit of one user: Site Administration, User Accounts), or, on Forgejo, the owner's quota ([quota]).";
    RepositoryFilesExist = "repository-files-exist", 424, change, "A folder without a repository is in the way",
        "As Gitea's administrator, look at Site Administration, Unadopted Repositories, and adopt or delete the folder; we delete nothing.";
    RepositoryFolderMissing = "repository-folder-missing", 424, change, "The repository's folder has another name",
        "1. On Gitea's host, in its repository root ([repository] ROOT in app.ini), move the folder that `detail` names back to the repository's name. 2. Start the run again.";
    RepositoryInvisible = "repository-invisible", 424, change, "A repository that we may not see has the name",
        "Give the token's user access to the repository in Gitea (as an administrator: Site Administration, Repositories), use a token that is not limited to public repositories (on Forgejo 15 and later also: not to chosen ones), or choose another name (GITEA_REPO, target.repo).";
    RepositoryVanished = "repository-vanished", 424, again, "The repository vanished while we worked",
        "Somebody deleted or renamed it in Gitea: find out who and why, then ask again.";
    HttpGitDisabled = "http-git-disabled", 424, change, "Gitea serves no git over HTTP",
        "Set [repository] DISABLE_HTTP_GIT = false in Gitea's app.ini and restart Gitea, or give the token's user the right to read the repository through the API: without one of the two nothing can be proven.";
    IntervalTooShort = "interval-too-short", 424, change, "The interval is shorter than Gitea allows",
        "Raise MIRROR_INTERVAL (interval) to Gitea's minimum, or lower [mirror] MIN_INTERVAL in Gitea's app.ini.";
    SettingsRefused = "settings-refused", 424, change, "Gitea refuses the mirror's settings",
        "Compare MIRROR_INTERVAL (interval) and the branch names of the configuration with what Gitea says in `detail`, correct them, restart us and ask again.";
    SettingsReverted = "settings-reverted", 424, again, "Gitea keeps writing the old settings back",
        "A sync that is running writes the old settings back when it ends: wait until Gitea has no sync of this repository under way, then ask again.";

    // upstream
    UpstreamCredential = "upstream-credential", 503, change, "Our own credential for upstream cannot be read",
        "Put the credential into the files that UPSTREAM_TOKEN_FILE, or UPSTREAM_USERNAME_FILE and UPSTREAM_PASSWORD_FILE, name, readable by this service.";
    UpstreamUnreachable = "upstream-unreachable", 502, again, "Upstream cannot be read for now",
        "Run `git ls-remote` on UPSTREAM_REPO_URL (upstream.url) from the pod's network. If what `detail` names is not upstream itself, check DNS, the egress policy and the proxy (HTTPS_PROXY). If upstream limits the rate of requests, give cutover-api a credential for it (upstream.tokenFile). Then retry; Gitea keeps what it has.";
    UpstreamTls = "upstream-tls", 502, change, "No TLS session with upstream",
        "Compare what `detail` says with what upstream sends (`openssl s_client -connect HOST:PORT -servername HOST`). Then correct upstream's certificate, or put its issuer's certificate into the file of the mirror's upstream.caFile (in the chart: caBundle). A changed file is read at the next call.";
    UpstreamLagging = "upstream-lagging", 503, again, "Upstream does not show a push yet",
        "Wait, then start another run: the push stays owed until upstream shows it, and counts as taken back after ten minutes. Run `git ls-remote` on UPSTREAM_REPO_URL (upstream.url) for the ref; if it stays at the old commit, check the forge's status page and any cache between it and cutover-api.";
    UpstreamRefused = "upstream-refused", 424, change, "Upstream does not show the repository",
        "Check UPSTREAM_REPO_URL (upstream.url), and upstream's credential (UPSTREAM_TOKEN_FILE, upstream.tokenFile). Many forges answer 401 or 404 for a repository that the credential may not read.";
    UpstreamSuspect = "upstream-suspect", 424, again, "Upstream's answer is not a sound list of refs",
        "Run `git ls-remote` on UPSTREAM_REPO_URL (upstream.url) and find out what answers there. Retry when it lists upstream's branches. If a shrunken list is right, accept it with `acceptUpstream` and this problem's `upstreamDigest`.";
    TooManyRefs = "too-many-refs", 424, change, "More branches and tags than fit",
        "Count them: `git ls-remote --heads --tags URL | wc -l`, on the side that `reason` names. Delete what nobody needs, such as branches of merged requests; or raise `limits.refsBytes` and the memory limit of the pod with it (docs/operate.md has the sum), and restart cutover-api.";
    UpstreamBranchMissing = "upstream-branch-missing", 424, change, "Upstream does not have the tracked branch",
        "Set UPSTREAM_BRANCH (upstream.branch) to a branch that `git ls-remote --heads` lists for upstream, and restart us.";
    UpstreamNotAllowed = "upstream-not-allowed", 424, change, "Gitea may not fetch from upstream's host",
        "Check that upstream's name resolves on Gitea's host: Gitea says the same of one that does not. Then allow it in Gitea's app.ini and restart Gitea: [migrations] ALLOWED_DOMAINS for a public host; for one with a private address [migrations] ALLOW_LOCALNETWORKS = true, which Gitea 1.27 wants whatever ALLOWED_DOMAINS says.";
    UpstreamUrlRefused = "upstream-url-refused", 424, change, "Gitea refuses upstream's address",
        "Set UPSTREAM_REPO_URL (upstream.url) to a plain https address without a credential.";
    UpstreamRedirects = "upstream-redirects", 424, change, "Gitea does not follow upstream's redirect",
        "Set UPSTREAM_REPO_URL (upstream.url) to the repository's final address, where nothing redirects: try `git ls-remote` with `-c http.followRedirects=false`.";
    UpstreamCredentialForgotten = "upstream-credential-forgotten", 424, change, "This Gitea forgets upstream's credential",
        "Forgejo 11 to 14 use it for the first clone and then forget it. Update Forgejo to 15 or later, or mirror an upstream that needs no credential.";
    UpstreamCredentialStale = "upstream-credential-stale", 424, change, "Gitea's credential for upstream no longer works",
        "Put the new credential into the mirror in Gitea (Settings, Mirror Settings, Authorization), or delete the mirror there and ask again: it is then made anew with ours.";

    // what stands in Gitea
    NotAMirror = "not-a-mirror", 409, change, "A regular repository has the name",
        "Gitea cannot turn it into a mirror. Ask with `onLegacy: renameAside` (or set it for the mirror): it is renamed, whole, and the mirror made in its place. Or rename it in Gitea yourself. We never delete it.";
    UpstreamMismatch = "upstream-mismatch", 409, change, "The mirror follows another upstream",
        "Compare UPSTREAM_REPO_URL (upstream.url) with the address that `detail` names; choose another GITEA_REPO (target.repo), or rename the other mirror in Gitea.";
    BrokenMirror = "broken-mirror", 409, change, "An unfinished migration holds the name",
        "Look at the repository in Gitea: if it is empty and no migration is running, delete it there and ask again. We delete nothing that is not proven to be ours.";
    Archived = "archived", 409, change, "The repository is archived",
        "Un-archive it in Gitea's web interface (Settings, Danger Zone): the API refuses that for mirrors.";
    ModeRefuses = "mode-refuses", 409, change, "The mirror does not follow upstream",
        "GET /status/{name} shows since when, by whose word and why. To follow again: PUT /mirrors/{name}/mode with {\"mode\": \"follow\"} as an operator; where the configuration says `severed`, set `mode: follow` there (mirrors[].mode) and restart us.";
    ConvertNotOffered = "convert-not-offered", 424, change, "This server does not convert mirrors",
        "Ask without `convert`, or convert the mirror by hand in Gitea's web interface (Settings, Danger Zone, Convert to Regular Repository). Forgejo offers it to programs since 13.";
    RefConflict = "ref-conflict", 409, change, "A local ref blocks one of upstream's",
        "git cannot hold both names. Set `prune: true` for this mirror until the local one is gone, or delete the local one in Gitea.";

    // where the platform stands
    PastPivot = "past-pivot", 409, change, "The platform has moved its source into this Gitea",
        "No mirror is made any more: the platform runs from what has this name. Look why it is not there, and restore the repository from a backup of Gitea; then ask again. A mirror that is there is still synced. What says so is in the ConfigMap that kubernetes.statusConfigMap names.";
    PivotUnknown = "pivot-unknown", 424, again, "Nobody knows where the platform stands",
        "Look at the ConfigMap that kubernetes.statusConfigMap names (`kubectl -n NAMESPACE get configmap NAME -o yaml`), and whether our ServiceAccount may get it (docs/kubernetes.md); then ask again. Where the platform's cutover is not installed, set kubernetes.absentStatus: allow and restart.";

    // what the work came to
    MigrateFailed = "migrate-failed", 424, change, "Gitea could not clone upstream",
        "Gitea's words are in `detail`: put the cause right. Where it left an unfinished repository of that name, delete that in Gitea. Then ask again.";
    DefaultBranchRefused = "default-branch-refused", 424, again, "Gitea does not take over the default branch",
        "Set the default branch in Gitea (Settings, Branches) to the one that `detail` names, then ask again.";
    GiteaGitBroken = "gitea-git-broken", 502, again, "Gitea cannot read its own copy",
        "Look whether the repository's unit Code is switched on (Settings, Units), into Gitea's log, and at the repository's folder on its disk: the API shows a mirror, git shows none.";
    SyncFailing = "sync-failing", 424, again, "Gitea's syncs end without bringing the refs",
        "Look into Gitea's log (or Site Administration, System Notices) for this repository: a credential, the address, a lock, or the allow list ([migrations] ALLOWED_DOMAINS, ALLOW_LOCALNETWORKS), which Gitea since 1.27 and Forgejo since 15 look at again with each sync. Put that right, then ask again.";
    GiteaQueueStuck = "gitea-queue-stuck", 502, again, "Gitea took the sync and never ran it",
        "In Gitea, Site Administration, Monitoring, Queues: look at the queue `mirror`, remove its items or restart Gitea, then ask again.";
    DeadlineExceeded = "deadline-exceeded", 504, again, "The run took longer than it may",
        "Ask again: the work goes on from what is there. When it stays, raise `limits.run` in the configuration, and look into Gitea's log for why its clone is slow.";
    RunCrashed = "run-crashed", 500, again, "The service ended again and again during the run",
        "Look how it ended: `kubectl describe pod` (OOMKilled) and `kubectl logs --previous`. Raise the memory limit where it was killed for its memory. Then start the run again.";
    Superseded = "superseded", 409, change, "The mirror is no longer configured",
        "The configuration changed while the run was under way. Ask for a mirror that GET /status shows, or put this one back into the configuration and restart.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.label() == label)
            .ok_or_else(|| serde::de::Error::custom("not a problem's code"))
    }
}

/// One failure, as a person and a program are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its code.
    pub code: Code,
    /// What happened here, at most [`LONGEST_DETAIL`] characters, without a secret.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether asking again, with nothing changed, can help.
    pub retryable: bool,
    /// Which kind of a code that has kinds, such as `empty` of `upstream-suspect`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Box<str>>,
    /// The digest of a list of upstream's refs that an operator may accept: of a shrunken one.
    #[serde(rename = "upstreamDigest", skip_serializing_if = "Option::is_none", default)]
    pub upstream_digest: Option<Box<Digest>>,
    /// The refs in Gitea that it is about, by name, where `detail` has no room for them: the first
    /// [`Problem::NAMED_REFS`].
    #[serde(skip_serializing_if = "<[_]>::is_empty", default)]
    pub refs: Box<[RefName]>,
}

impl Problem {
    /// How many refs are named: enough to see what would be lost, little enough to be kept with every run.
    pub const NAMED_REFS: usize = 100;

    /// A problem with the remedy of its code.
    #[must_use]
    pub fn new(code: Code, detail: impl AsRef<str>) -> Self {
        Self {
            code,
            detail: shorten(detail.as_ref()),
            remedy: code.remedy().to_owned(),
            retryable: code.retryable(),
            reason: None,
            upstream_digest: None,
            refs: Box::default(),
        }
    }

    /// The same, with the kind of the code.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same, with the digest of the list that may be accepted.
    #[must_use]
    pub fn acceptable(mut self, digest: Digest) -> Self {
        self.upstream_digest = Some(Box::new(digest));
        self
    }

    /// The same, with the refs that it is about.
    #[must_use]
    pub fn about<'a>(mut self, refs: impl IntoIterator<Item = &'a RefName>) -> Self {
        self.refs = refs.into_iter().take(Self::NAMED_REFS).cloned().collect();
        self
    }

    /// The same, with a remedy that fits better than the code's own.
    #[must_use]
    pub fn with_remedy(mut self, remedy: &str) -> Self {
        remedy.clone_into(&mut self.remedy);
        self
    }

    /// The same, after something that has to be said first.
    #[must_use]
    pub fn after(mut self, first: &str) -> Self {
        self.detail = shorten(&format!("{first}; {}", self.detail));
        self
    }

    /// The same, where asking again can help although the code in general says otherwise, or the reverse.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }
}

/// Cuts a text at [`LONGEST_DETAIL`] characters and lays it on one line, free of control characters.
fn shorten(text: &str) -> String {
    let mut line: String = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).fold(
        String::with_capacity(text.len().min(LONGEST_DETAIL)),
        |mut line, word| {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            line
        },
    );
    if let Some((end, _)) = line.char_indices().nth(LONGEST_DETAIL) {
        let keep = line[..end].char_indices().next_back().map_or(0, |(last, _)| last);
        line.truncate(keep);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_case_and_stands_once() {
        for (index, code) in Code::ALL.iter().enumerate() {
            let label = code.label();
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{label}");
            assert!(Code::ALL[..index].iter().all(|other| other.label() != label), "{label} twice");
            assert_eq!(serde_json::to_value(code).unwrap(), label);
            assert_eq!(serde_json::from_value::<Code>(label.into()).unwrap(), *code);
        }
    }

    #[test]
    fn every_remedy_says_what_to_do() {
        for code in Code::ALL {
            assert!(code.remedy().len() > 40 && code.remedy().ends_with(['.', ')', '}']), "{code}");
            assert!(!code.title().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn a_detail_is_one_line_of_at_most_300_characters() {
        let problem = Problem::new(Code::Internal, format!("a\r\n\tb \u{1b}[31m{}", "ü".repeat(400)));
        assert_eq!(problem.detail.chars().count(), LONGEST_DETAIL);
        assert!(problem.detail.starts_with("a b [31mü") && problem.detail.ends_with('…'));
        assert_eq!(Problem::new(Code::Internal, "x".repeat(300)).detail.len(), 300);
    }
}
