//! What each code means: the sentence or two that stand on its page, above what to do.
//!
//! Owns no name and no number: those are the table's. The compiler demands a line here for every code of it.

use super::Code;

impl Code {
    /// What it means, for a person who has not read any code.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: a line for each code")]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::MalformedRequest => {
                "The request is not HTTP as this service reads it, or its body is not JSON. `detail` says where reading stopped. Nothing was done."
            }
            Self::Unauthenticated => {
                "The call needs a bearer token, and none came that the service's tokens file lists or that Kubernetes, where it is asked, accepts for us. The answer is the same for every reason; the log and `cutover_auth_failures_total` tell them apart. When the file itself cannot be read, everybody is answered so."
            }
            Self::Forbidden => {
                "The caller is known and may not do this: the role is `viewer`, which may read and may not ask for runs; or Kubernetes knows the user, and the service's configuration lists it neither as an operator nor as a viewer."
            }
            Self::TokensUnreadable => {
                "The file that lists the callers is missing or cannot be read, so nobody can say whose token this is. What it held before counts for 5 seconds when it is missing, and for a minute when the system cannot look at it (no file descriptors, a failing disk). That time is over. No token is shown to Kubernetes meanwhile, and no call is counted as a failed one."
            }
            Self::SignatureInvalid => {
                "A webhook came without a signature, or with one that no configured secret gives: another secret, a body that was changed on the way, a signature of another kind than HMAC-SHA256, or one whose time is more than 5 minutes from this service's. The answer is the same for every reason. Nothing of the body was looked at."
            }
            Self::HostNotAllowed => {
                "The `Host` of the request is not a name of this service. A page in somebody's browser can make a name of its own point here; so with `server.hosts` set, or without authentication, only the configured names, IP literals and `localhost` are served."
            }
            Self::OriginNotAllowed => {
                "A browser sent a changing request for a page of another origin, and that origin is not configured. Nothing was done: a page of another site must not start runs. Reads are answered whatever the origin."
            }
            Self::RateLimited => {
                "More than 10 calls with a token or a signature that is not good came from one address within a minute. Callers with a good one are answered all the same."
            }
            Self::RequestTimeout => {
                "The head of the request came, and its body did not within 5 seconds. Nothing was done."
            }
            Self::UriTooLong => {
                "Path and query have more than 2,048 bytes, and nothing of ours is called by such a name."
            }
            Self::NotFound => {
                "The path is none of this service's, or names a run, a mirror or a problem that it does not know. Runs are kept for a time and then forgotten."
            }
            Self::MethodNotAllowed => {
                "The path exists and has other methods; the `Allow` header of the answer names them."
            }
            Self::ContentTooLarge => {
                "The body has more than 16 KiB, or, for a webhook, more than 25 MiB. The rest of it was not read, and the connection was closed."
            }
            Self::UnsupportedMediaType => {
                "A body came that does not say that it is JSON, or that is packed. That also keeps out a form in somebody's browser."
            }
            Self::InvalidField => {
                "A member of the body, or a parameter of the query, has a value that it cannot have. `detail` names it. Nothing was done."
            }
            Self::UnknownField => {
                "The body has a member that this service does not know; a misspelled option must not be taken for its absence. No upstream address can be given in a request: mirrors are configuration."
            }
            Self::UnknownMirror => {
                "The request names a mirror that is not in the service's configuration. `detail` lists those that are."
            }
            Self::IdempotencyKeyReused => {
                "The same caller sent this `Idempotency-Key` before, within 24 hours, with a body that says something else. Nothing was done: one key is one request."
            }
            Self::RunConflict => {
                "A run on one of these mirrors is in flight with another `onLegacy` or `acceptUpstream`, and one piece of work cannot do both. `detail` names that run. Nothing was done."
            }
            Self::RunEnded => "The run that was to be taken out has ended already, so nothing of it is left to cancel.",
            Self::ShuttingDown => {
                "The service was told to end, and takes in nothing new. Accepted runs are written down and go on after the next start."
            }
            Self::TooManyStreams => {
                "Every stream of events holds a connection for as long as it is open, and those that may be held so are open now. All other calls are answered as ever."
            }
            Self::StateUnavailable => {
                "The journal in the state directory cannot be read or written, or was deleted or replaced under the service. So no run may be accepted: it could be lost. `/readyz` says the same, and the service's log has the cause."
            }
            Self::WebhookSecret => {
                "Webhooks are configured for the mirror, and none of the files that hold their secrets can be used: missing, not readable, empty, or shorter than 32 characters. The delivery was not looked at; the service's log names each file."
            }
            Self::Internal => {
                "A fault of the service itself. Only this request, or this mirror's part of the run, was given up; the service goes on, and `cutover_panics_total` counted it."
            }

            Self::KubernetesUnreachable => {
                "The Kubernetes API server was asked and did not answer, or with 429 or 5xx, or something else than its API answers there. While a caller's token is not in the tokens file, nobody can say whose it is: so it is not refused as unknown."
            }
            Self::KubernetesDenied => {
                "The Kubernetes API server answers our own service account with 401 or 403: it lacks a right, or its token is of another cluster."
            }
            Self::KubernetesCredential => {
                "The file with our own service account's token is missing, empty or not readable. The API server was not asked."
            }
            Self::GiteaUnreachable => {
                "No connection to Gitea came about, or it broke before an answer. The run waits and tries again by itself until its deadline."
            }
            Self::GiteaDns => {
                "The cluster's DNS knows no address for Gitea's host name. The run waits and tries again by itself until its deadline."
            }
            Self::GiteaTls => {
                "Gitea was reached, but no TLS session could be made. `detail` says why: the issuer of its certificate is not trusted, the certificate is for another name, has expired or is not valid yet, or no TLS is spoken on that port. `reason` has one word for it. Gitea's certificate is checked against the system's CA certificates and those in the file of `gitea.caFile`; a self-signed certificate is accepted when that very certificate is in the file. A run to which Gitea has not answered yet fails when it has seen nothing else for two minutes."
            }
            Self::GiteaError => {
                "Gitea, or a proxy before it, answers with 5xx, 429 or a web page in place of an error of its API's, as Gitea's installer does. The run waits and tries again by itself until its deadline."
            }
            Self::NotGitea => {
                "Something answers at Gitea's address and it is not Gitea's API: a log-in page, a redirect or another program. A run to which Gitea has not answered yet fails when it has seen nothing else for two minutes."
            }
            Self::GiteaCredential => {
                "The file with our token for Gitea is missing, empty or not readable. Gitea was not asked."
            }
            Self::GiteaAuth => {
                "Gitea answered 401: the token was revoked, mistyped or belongs to another Gitea, or its user is locked."
            }
            Self::GiteaAuthTimeout => {
                "A request with our user name and password got no answer in time, while Gitea answers one without them: so it hangs in the check of the password, which is slow on a busy machine and waits for LDAP or another source where one is configured. The run waits and tries again by itself until its deadline."
            }
            Self::GiteaScope => "Gitea knows the token, and its scopes do not reach for this call.",
            Self::GiteaForbidden => {
                "Gitea answered 403: the token is good, and its user may not do this: it lacks a right on the repository, the token is limited to other repositories, or its account is locked, not activated or has to change its password. Gitea's words are in `detail`."
            }
            Self::NotOrganisationOwner => {
                "Gitea lets only owners of an organisation migrate into it, and the token's user is not one."
            }
            Self::OrganisationNotAllowed => {
                "The organisation does not exist, and Gitea does not let the token's user create one."
            }
            Self::OwnerUnavailable => {
                "The configured owner's name cannot be ours in Gitea: a user has it, an organisation that our token may not see has it, or it redirects to a new name."
            }
            Self::NameRefused => {
                "Gitea does not allow the configured owner or repository name: it is reserved or has characters that Gitea refuses."
            }
            Self::MirrorsDisabled => {
                "Gitea's configuration forbids new pull mirrors (`DISABLE_NEW_PULL`), or all of them (`ENABLED`), those that are there included: so it cannot follow upstream by itself."
            }
            Self::MigrationsDisabled => "Gitea's configuration forbids migrations, which is how a mirror is made.",
            Self::RepositoryLimit => "Gitea refuses another repository for this owner: a limit or quota is reached.",
            Self::RepositoryFilesExist => {
                "There is a folder of this name on Gitea's disk that its database does not know, such as after a restored backup. Gitea makes no repository over it."
            }
            Self::RepositoryFolderMissing => {
                "Gitea renames a repository's folder first and writes the new name into its database after. It was stopped in between, while it renamed a repository for this service: the database has the old name, the folder the new one, and nothing of it can be read. Nothing is lost. Nothing is renamed or made there until the folder is back."
            }
            Self::RepositoryInvisible => {
                "Gitea says that the repository exists when it is made, and that it does not when it is read: our token may not see it. It was not touched."
            }
            Self::RepositoryVanished => {
                "The repository was there at the start of the run and was gone in the middle of it. We did not delete it."
            }
            Self::HttpGitDisabled => {
                "Gitea serves no git over HTTP, and its API, which is asked instead, does not show us the refs either. Without them nothing is proven, and nothing unproven is called a success."
            }
            Self::IntervalTooShort => "Gitea has a minimum for the interval of a mirror, and ours is below it.",
            Self::SettingsRefused => {
                "Gitea answered our change of the mirror's settings with a refusal; its words are in `detail`."
            }
            Self::SettingsReverted => {
                "We set the mirror's interval or pruning, Gitea said yes, and read back they were the old ones, more than once."
            }

            Self::UpstreamCredential => {
                "The file with our credential for upstream is missing, empty or not readable. Upstream was not asked."
            }
            Self::UpstreamUnreachable => {
                "Upstream gave no list of refs in 5 tries within a minute, for a reason that may pass. `detail` names what was seen: DNS, the connection, a time-out, a 5xx, a limit on the rate of requests, maintenance, the answer of a proxy or of a test for browsers, a list out of a cache, or a request that was refused just after upstream had allowed another. The run continued with Gitea alone. The mirror in Gitea may be well, but nothing proves it. Where its host limits requests and asks for none until after the end of the run (`reason` is `rate-limit`), Gitea is not sent there before, and the run ends at once."
            }
            Self::UpstreamTls => {
                "Upstream was reached, but no TLS session could be made. `detail` says why: the issuer of its certificate is not trusted, the certificate is for another name, has expired or is not valid yet, or no TLS is spoken on that port. `reason` has one word for it. Upstream is tried once in a run, and the run continues with Gitea alone: the mirror in Gitea may be well, but nothing proves it. Gitea fetches from upstream itself and has CA certificates of its own: a private CA must be added there, too."
            }
            Self::UpstreamLagging => {
                "A signed webhook named a new commit, and for a minute upstream went on listing the ref at the old one. Gitea equals that older list, so that nothing is proven about the push. Forges send webhooks before all of their servers show the push."
            }
            Self::UpstreamRefused => {
                "Upstream answered that it does not show the repository, or not at this address: 401, 403, 404, 410, 451, a redirect, a log-in page, or an error of its git that denies access. `reason` names three kinds: `redirect`, `log-in`, and `withdrawn` (removed, closed, or withheld by law). No redirect is followed, and only an address on the same host is recommended. Nothing was changed in Gitea."
            }
            Self::UpstreamRedirects => {
                "Upstream's address is not its final one: Gitea, or we, were answered with a redirect, and some releases of Gitea and Forgejo refuse to follow one. Nothing was changed."
            }
            Self::UpstreamCredentialForgotten => {
                "This release of Forgejo keeps an upstream's password for the first clone only and forgets it then: every later sync would fail in silence. So no mirror of a private upstream is made there."
            }
            Self::UpstreamCredentialStale => {
                "We can read upstream with our credential, and Gitea's syncs fail: Gitea keeps the credential that it was given when the mirror was made, and most often that one no longer works. Gitea does not tell the cause: where a new credential changes nothing, its log (or Site Administration, System Notices) does."
            }
            Self::UpstreamSuspect => {
                "Upstream answered with something that is no sound list of refs. `reason` says what: `not-git` (a web page, nothing, a cut list, an error that is not known), `empty` (no branch and no tag), `shrunken` (less than half of the branches last proven), or `dumb-http` (plain files, which Gitea can mirror and cutover-api cannot read; only this one is not retryable). A pruning mirror that syncs from such an answer can lose everything, so nothing was changed in Gitea. For a mirror without an earlier proof in the journal it is unknown whether upstream has lost branches before: the first proven run says so in its `notes`."
            }
            Self::TooManyRefs => {
                "The list of branches and tags of one side takes more memory than `limits.refsBytes` allows. `reason` says which side: `upstream` or `gitea`. It depends on this mirror alone, not on what else is read at the time. Nothing was compared and nothing was changed."
            }
            Self::UpstreamBranchMissing => "Upstream's list is sound, and the configured branch is not on it.",
            Self::UpstreamNotAllowed => {
                "Gitea's own rules do not let it fetch from upstream's host, or the name does not resolve where Gitea runs: it says the same of both."
            }
            Self::UpstreamUrlRefused => "Gitea does not take upstream's address as one that it can clone.",

            Self::NotAMirror => {
                "There is a regular repository at the mirror's name. It may hold somebody's work, so it is neither changed nor deleted, and Gitea cannot turn it into a mirror."
            }
            Self::UpstreamMismatch => {
                "There is a mirror at the name, and it follows another upstream than the configured one. It was not touched."
            }
            Self::BrokenMirror => {
                "What stands at the name looks like a migration that failed or is still running, and it cannot be proven that it is ours and dead. Only then would it be deleted and made anew."
            }
            Self::Archived => "The repository is archived in Gitea; archived mirrors do not sync.",
            Self::ModeRefuses => {
                "The mirror is `pinned` or `severed`: by a caller, by the configuration, or because its interval in Gitea was found to be 0s, which this service had not set, so that somebody stopped it on purpose. Gitea asks upstream for nothing then, and no run changes anything."
            }
            Self::ConvertNotOffered => {
                "Making a mirror a regular repository was asked for (`convert`), and the server in Gitea's place has no such call. Where it has been found out only then, the mirror is severed all the same."
            }
            Self::RefConflict => {
                "git keeps refs as paths: while `a` exists there can be no `a/b`. A ref that only Gitea has stands in the way of one that upstream has. Everything else was synced."
            }

            Self::PastPivot => {
                "The platform's cutover has come to the step at which its own source is this Gitea, or beyond it. A mirror that was made now would take the place of what the platform runs from; so nothing was made, renamed or deleted."
            }
            Self::PivotUnknown => {
                "A mirror would have to be made, which may not be done once the platform runs from this Gitea; and the platform's status, which would tell, is not there (`reason` is `absent`) or cannot be read (`unreadable`). So nothing was made, renamed or deleted."
            }

            Self::MigrateFailed => {
                "Gitea answered our migrate call with an error that is none of the others; its words are in `detail`."
            }
            Self::DefaultBranchRefused => {
                "All refs are proven, and Gitea did not make upstream's default branch its own."
            }
            Self::GiteaGitBroken => {
                "Gitea's API shows a healthy mirror, and its git serves no refs for it: the folder on its disk is missing or damaged."
            }
            Self::SyncFailing => {
                "Gitea took our syncs, ended them, and the refs are still not upstream's: its own git could not fetch."
            }
            Self::GiteaQueueStuck => {
                "Gitea took the sync into its queue, and nothing of it ran for as long as a sync may take."
            }
            Self::DeadlineExceeded => {
                "The run was given up at its deadline (`limits.run`). What Gitea has begun goes on, and the next run takes it up."
            }
            Self::RunCrashed => {
                "The process ended three times in a row without a shutdown (killed, out of memory, power), each time while this run was in flight, and the run changed nothing in Gitea in between. It may be what ends the process, so it is not resumed again. Nothing is known to be wrong with the mirror."
            }
            Self::Superseded => {
                "The service was started with a configuration that no longer has this mirror, while a run on it was waiting."
            }
        }
    }
}
