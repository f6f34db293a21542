//! What Gitea and upstream can answer, as far as it makes a difference to us: one enum a call, and all of them in one file.
//!
//! Owns the vocabulary between the clients, which report, and [`decide`](super::decide), which concludes. Holds no
//! status codes beyond those that a person is told, and no text that has not passed the redactor.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::duration::GoDuration;
use super::refs::{RefList, RefName};
use super::url::UpstreamUrl;

/// No usable answer: nothing is known about the other side's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// What happened, for a person: short, without a secret.
    pub detail: String,
    /// Whether the request can have reached the other side.
    pub sent: Sent,
    /// How long the other side asks us to stay away.
    pub retry_after: Option<Duration>,
    /// Why no connection could be made, where that decides the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl Trouble {
    /// A request that never left.
    #[must_use]
    pub fn not_sent(kind: TroubleKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), sent: Sent::No, retry_after: None, cause: None }
    }

    /// A request that may have had its effect.
    #[must_use]
    pub fn maybe_sent(kind: TroubleKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), sent: Sent::Maybe, retry_after: None, cause: None }
    }

    /// The same, because of this.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }
}

/// Kinds of [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// The name does not resolve.
    Dns,
    /// Nobody takes the connection.
    Connect,
    /// No TLS session could be made.
    Tls,
    /// No whole answer in time.
    Timeout,
    /// No whole answer in time to a request with a password, from a Gitea that answers one without.
    AuthTimeout,
    /// The connection broke before the whole answer was here.
    Cut,
    /// More body than is read.
    TooLarge,
    /// A success, a redirect or JSON in a form that this server never gives: another program speaks.
    Foreign,
    /// An error in a form that this server never gives: a proxy that does not reach it, or its installer.
    NotReady,
    /// A 5xx of the server's own.
    ServerError,
    /// A 408, 429, 502, 503 or 504: asked to come again, or a proxy that does not reach the server.
    Busy,
    /// Our own credential file cannot be read.
    Credential,
}

impl TroubleKind {
    /// Whether a server that was started again looks like this meanwhile, to us or to a proxy before it.
    #[must_use]
    pub const fn may_be_a_restart(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Timeout | Self::Cut | Self::Busy | Self::NotReady => true,
            Self::Tls | Self::AuthTimeout | Self::TooLarge | Self::Foreign | Self::ServerError | Self::Credential => {
                false
            }
        }
    }

    /// Whether it shows that the address or the trust in it is wrong, and not only that the server is away.
    #[must_use]
    pub const fn is_certain(self) -> bool {
        match self {
            Self::Tls | Self::Foreign | Self::TooLarge => true,
            Self::Dns
            | Self::Connect
            | Self::Timeout
            | Self::AuthTimeout
            | Self::Cut
            | Self::NotReady
            | Self::ServerError
            | Self::Busy
            | Self::Credential => false,
        }
    }
}

/// Whether a request can have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sent {
    /// Certainly not.
    No,
    /// It may have.
    Maybe,
}

/// Gitea understood who asks and says no, whatever was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// 401: the credential is missing, unknown or revoked.
    Unauthenticated {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 403: the token's scope does not reach.
    Scope {
        /// Gitea's words, which name the scope that is missing.
        message: String,
    },
    /// Any other 403.
    Forbidden {
        /// Gitea's words, redacted.
        message: String,
    },
}

/// A repository as Gitea shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Stable over renames.
    pub id: u64,
    /// Set at once when a migrate begins, whatever becomes of it.
    pub mirror: bool,
    /// `None`: `""`, a placeholder. `0s`: Gitea never asks upstream by itself.
    pub interval: Option<GoDuration>,
    /// Whole seconds; moves when a sync ends, well or not.
    pub mirror_updated: Timestamp,
    /// Moves when a sync ends well, and only then; `None`: this server does not show it (Gitea does since 1.27).
    pub last_sync: Option<Timestamp>,
    /// Where it was migrated from.
    pub original_url: String,
    /// The branch that Gitea shows first.
    pub default_branch: String,
    /// When the row was made.
    pub created_at: Timestamp,
    /// Read-only for good.
    pub archived: bool,
}

impl Repository {
    /// Whether it is a mirror whose migration has ended.
    #[must_use]
    pub const fn is_finished_mirror(&self) -> bool {
        self.mirror && self.interval.is_some()
    }
}

/// `GET /repos/{owner}/{repo}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryAnswer {
    /// It is there.
    Present(Box<Repository>),
    /// A JSON 404, or the redirect of a renamed repository: nothing under this very name that we may see.
    Absent,
    /// No, whoever asks.
    Refused(Refusal),
    /// No usable answer.
    Trouble(Trouble),
}

/// `GET /orgs/{org}`, and `GET /users/{user}` where that says 404.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerAnswer {
    /// An organisation that we can see.
    Organisation,
    /// A user: migrate decides whether we may create there.
    User,
    /// Nobody of that name, or nobody that we may see.
    Absent,
    /// The token may not look: migrate decides.
    NotShown,
    /// The organisation was renamed: a redirect.
    Renamed,
    /// 401.
    Refused(Refusal),
    /// No usable answer.
    Trouble(Trouble),
}

/// `POST /orgs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreateOrganisationAnswer {
    /// 201.
    Created,
    /// 422: the name is taken, perhaps by whoever was quicker.
    Taken,
    /// 403 without a reason: this user may not create organisations.
    NotAllowed,
    /// 422: a name that Gitea does not take.
    NameRefused {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 401, or a scope that is missing.
    Refused(Refusal),
    /// Nobody knows whether it was made.
    Unknown(Trouble),
}

/// `POST /repos/migrate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MigrateAnswer {
    /// 201: the row is there and the clone has ended. It says nothing about refs.
    Created,
    /// 409: a repository of that name is there, or one that we may not see.
    Exists,
    /// 409: a folder of that name is on Gitea's disk, without a repository.
    FilesExist,
    /// 403: this user is no owner of the organisation.
    NotOwner,
    /// 403: the owner is another user.
    NotOrganisation,
    /// 403: `[mirror] ENABLED` or `DISABLE_NEW_PULL`.
    MirrorsDisabled,
    /// 403: `[repository] DISABLE_MIGRATIONS`.
    MigrationsDisabled,
    /// 422: nobody of the owner's name.
    OwnerMissing,
    /// 422: not on the allow list, or not resolved on Gitea's host.
    HostNotAllowed,
    /// 422: the address itself.
    UrlRefused {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 422 or 413: a quota.
    LimitReached {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 422: a name that Gitea does not take.
    NameRefused {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 422: the clone failed; a placeholder is left.
    CloneFailed {
        /// git's words, redacted.
        message: String,
    },
    /// 422: the clone failed for a reason that may pass, such as a name that did not resolve; a placeholder is left.
    CloneBrokeOff {
        /// git's words, redacted.
        message: String,
    },
    /// 500 with nothing said; a placeholder may be left.
    ServerError,
    /// Gitea's JSON says no in a way that this table does not know.
    Other {
        /// The status.
        status: u16,
        /// Gitea's words, redacted.
        message: String,
    },
    /// 401, or a scope that is missing.
    Refused(Refusal),
    /// Nobody knows whether it was begun, or has ended.
    Unknown(Trouble),
}

impl MigrateAnswer {
    /// Whether a row of the repository can be this migrate's: Gitea refuses some before it makes one.
    #[must_use]
    pub const fn may_have_made_a_row(&self) -> bool {
        match self {
            // an address is looked at again after the row was made
            Self::Created
            | Self::UrlRefused { .. }
            | Self::HostNotAllowed
            | Self::CloneFailed { .. }
            | Self::CloneBrokeOff { .. }
            | Self::ServerError
            | Self::Other { .. }
            | Self::Unknown(_) => true,
            Self::Exists
            | Self::FilesExist
            | Self::NotOwner
            | Self::NotOrganisation
            | Self::MirrorsDisabled
            | Self::MigrationsDisabled
            | Self::OwnerMissing
            | Self::LimitReached { .. }
            | Self::NameRefused { .. }
            | Self::Refused(_) => false,
        }
    }

    /// Whether Gitea itself said that this migrate, whose row was made, has ended and failed: nothing of it runs.
    #[must_use]
    pub const fn ended_in_an_error(&self) -> bool {
        match self {
            Self::CloneFailed { .. } | Self::CloneBrokeOff { .. } | Self::ServerError | Self::Other { .. } => true,
            // most of these are said before a row is made: a row that is there may be somebody else's, and alive
            Self::UrlRefused { .. }
            | Self::HostNotAllowed
            | Self::Created
            | Self::Exists
            | Self::FilesExist
            | Self::NotOwner
            | Self::NotOrganisation
            | Self::MirrorsDisabled
            | Self::MigrationsDisabled
            | Self::OwnerMissing
            | Self::LimitReached { .. }
            | Self::NameRefused { .. }
            | Self::Refused(_)
            | Self::Unknown(_) => false,
        }
    }
}

/// `PATCH /repos/{owner}/{repo}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchAnswer {
    /// 200. It says nothing about what was done.
    Done,
    /// 422: the interval is shorter than Gitea allows.
    BelowMinimum {
        /// The minimum, where Gitea's words name it: the one place where it can be seen.
        minimum: Option<GoDuration>,
    },
    /// Any other 422.
    Invalid {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 500: it may have been done all the same.
    ServerError,
    /// A mirror's settings were sent, and it is no mirror any more: 422, or 200 with a regular repository. Look again.
    NotAMirror,
    /// 404 or a redirect: look again.
    Gone,
    /// 401 or 403.
    Refused(Refusal),
    /// Nobody knows.
    Unknown(Trouble),
}

impl PatchAnswer {
    /// Whether Gitea may have done what was asked.
    #[must_use]
    pub fn may_have_done(&self) -> bool {
        match self {
            Self::Done | Self::ServerError => true,
            Self::Unknown(trouble) => trouble.sent == Sent::Maybe,
            Self::BelowMinimum { .. } | Self::Invalid { .. } | Self::NotAMirror | Self::Gone | Self::Refused(_) => {
                false
            }
        }
    }

    /// Whether nobody knows what was answered.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Done
            | Self::BelowMinimum { .. }
            | Self::Invalid { .. }
            | Self::ServerError
            | Self::NotAMirror
            | Self::Gone
            | Self::Refused(_) => false,
        }
    }
}

/// `POST /repos/{owner}/{repo}/mirror-sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncAnswer {
    /// 200: a place in a queue, at best.
    Queued,
    /// 400: no mirror row.
    NotAMirror,
    /// 400: `[mirror] ENABLED`.
    MirrorsDisabled,
    /// 423.
    Archived,
    /// 413.
    LimitReached {
        /// Gitea's words, redacted.
        message: String,
    },
    /// 404, 405 or a redirect: look again.
    Gone,
    /// 401 or 403.
    Refused(Refusal),
    /// 5xx, or no answer: asking again is safe, the queue is unique.
    Unknown(Trouble),
}

impl SyncAnswer {
    /// Whether Gitea may have queued one.
    #[must_use]
    pub fn may_have_queued(&self) -> bool {
        match self {
            Self::Queued => true,
            Self::Unknown(trouble) => trouble.sent == Sent::Maybe,
            Self::NotAMirror
            | Self::MirrorsDisabled
            | Self::Archived
            | Self::LimitReached { .. }
            | Self::Gone
            | Self::Refused(_) => false,
        }
    }
}

/// `POST /repos/{owner}/{repo}/convert`: a mirror becomes a regular repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConvertAnswer {
    /// 200.
    Done,
    /// 422: it is none.
    NotAMirror,
    /// A 404 that is not about the repository, or 405: this server has no such call.
    NotOffered,
    /// 404 or a redirect: look again.
    Gone,
    /// 401 or 403.
    Refused(Refusal),
    /// 5xx, or no answer.
    Unknown(Trouble),
}

/// `DELETE /repos/{owner}/{repo}` of a placeholder that is proven to be ours, after its id was read once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteAnswer {
    /// 204, or it was gone already.
    Gone,
    /// Something else stands there now: nothing was sent.
    Changed,
    /// 401 or 403.
    Refused(Refusal),
    /// 5xx, or no answer.
    Unknown(Trouble),
}

impl DeleteAnswer {
    /// Whether what was to be deleted may be gone by it.
    #[must_use]
    pub const fn may_have_deleted(&self) -> bool {
        match self {
            Self::Gone | Self::Unknown(_) => true,
            Self::Changed | Self::Refused(_) => false,
        }
    }
}

/// `GET /repos/{owner}/{repo}/commits`: whether a branch's old commit is an ancestor of its new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AncestryAnswer {
    /// It is.
    FastForward,
    /// It is not.
    Rewritten,
    /// Gitea cannot say: it no longer has the old commit, or denies the call.
    Unknown,
    /// No usable answer.
    Trouble(Trouble),
}

/// A list of refs that is git's, and larger than what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The list takes more memory than one may: so many refs fitted.
    List(usize),
    /// No forge holds a name of this length.
    Name(RefName),
}

/// Upstream's refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAnswer {
    /// A complete list.
    List(RefList),
    /// A list that is not held.
    Oversize(Oversize),
    /// An answer that is not git's, or not whole although nothing was cut: nothing may be concluded from it.
    NotGit {
        /// What was seen instead.
        detail: String,
    },
    /// The list of a server that serves plain files (dumb HTTP): Gitea can mirror it, and it cannot prove anything.
    DumbHttp,
    /// The repository is not shown, or not here.
    Refused {
        /// In which way.
        why: UpstreamRefusal,
        /// What was seen.
        detail: String,
    },
    /// No answer for now.
    Trouble(Trouble),
}

impl UpstreamAnswer {
    /// The list, if it is one.
    #[must_use]
    pub const fn list(&self) -> Option<&RefList> {
        match self {
            Self::List(list) => Some(list),
            Self::Oversize(_) | Self::NotGit { .. } | Self::DumbHttp | Self::Refused { .. } | Self::Trouble(_) => None,
        }
    }
}

/// How upstream refuses to show a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamRefusal {
    /// There is none at this address, or none for this credential.
    Denied,
    /// A page to log in at.
    LogIn,
    /// A redirect.
    Redirect {
        /// The repository's address there; `None`: it is none that may be recommended.
        to: Option<UpstreamUrl>,
    },
    /// Nobody is shown it: it was removed, closed, or is withheld by law.
    Withdrawn,
}

/// Gitea's refs, over git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalRefsAnswer {
    /// A complete list.
    List(RefList),
    /// A list that is not held.
    Oversize(Oversize),
    /// The answers of a repository whose folder is gone, or is not there yet.
    FolderGone,
    /// 403: `[repository] DISABLE_HTTP_GIT`.
    HttpGitDisabled,
    /// 401 although the API took the credential.
    Refused(Refusal),
    /// 404 or a redirect: look at the repository again.
    Gone,
    /// No usable answer.
    Trouble(Trouble),
}

impl LocalRefsAnswer {
    /// The list, if it is one.
    #[must_use]
    pub const fn list(&self) -> Option<&RefList> {
        match self {
            Self::List(list) => Some(list),
            Self::Oversize(_)
            | Self::FolderGone
            | Self::HttpGitDisabled
            | Self::Refused(_)
            | Self::Gone
            | Self::Trouble(_) => None,
        }
    }
}
