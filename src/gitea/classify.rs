//! Meaning of Gitea's answers: one function for each call, from status and message to an outcome.
//!
//! Owns the table, which has a row for each answer and never for a status class. A 422 to a migrate can be a failed DNS
//! lookup, a 500 a finished clone. Sends no request. Messages are matched only where Gitea 1.20 to 1.27 and Forgejo 7
//! to 16 agree on them. The message of a 404 is translated, so it is never matched.

mod conflicts;

use bytes::Bytes;
use http::{Response, header};

use super::wire::{WireError, WireOwner, WireRepository, WireVersion};
use crate::domain::answer::{
    CreateOrganisationAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer, Refusal, Repository, RepositoryAnswer,
    SyncAnswer, Trouble, TroubleKind,
};
use crate::domain::credential::Redactor;
use crate::domain::duration::GoDuration;
use crate::transport::{has_media_type, status_trouble};

pub(super) use conflicts::{ancestry, convert, delete, no_refs};

/// An answer, classified as far as is possible without knowing the call.
pub(super) enum Reply {
    /// Gitea's own answer, with its redacted message.
    Message { status: u16, message: String },
    /// A redirect to another name within Gitea.
    Renamed,
    /// A refusal that means the same for every call.
    Refused(Refusal),
    /// An answer that Gitea itself never gives.
    Trouble(Trouble),
}

/// Classifies an answer. `empty_is_fine`: 200 may have no body, as for a queued sync.
pub(super) fn parse_reply(response: &Response<Bytes>, redactor: &Redactor, empty_is_fine: bool) -> Reply {
    let status = response.status().as_u16();
    if (300..=399).contains(&status) {
        return if redirects_to_a_name(response) { Reply::Renamed } else { Reply::Trouble(foreign(response)) };
    }
    let nothing_is_fine = empty_is_fine && status == 200 && response.body().is_empty();
    if !nothing_is_fine && !has_media_type(response, "application/json") {
        return Reply::Trouble(foreign(response));
    }
    // Gitea never answers 429 or 502 to 504; a proxy that answers in JSON does.
    if matches!(status, 408 | 429 | 502..=504) {
        return Reply::Trouble(status_trouble(response));
    }
    let WireError { message, url } = words(response.body());
    // A 404 means that a repository is absent, so it must be Gitea's own. Every error of Gitea has a `url`.
    if status == 404 && url.is_none() {
        return Reply::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, "404 with JSON that is not Gitea's"));
    }
    // Other errors end a call, so they must be Gitea's own as well. Three have no `url`: the 401 and 403 of a refused
    // account, and Forgejo's 413 of a quota.
    if status >= 400 && url.is_none() && !matches!(status, 401 | 403 | 413) {
        return Reply::Trouble(other(status, "JSON that is not Gitea's"));
    }
    let message = redactor.redact(&message);
    match status {
        401 => Reply::Refused(Refusal::Unauthenticated { message }),
        403 if message.contains("required scope") => Reply::Refused(Refusal::Scope { message }),
        _ => Reply::Message { status, message },
    }
}

/// An answer in a form that Gitea's API never has.
fn foreign(response: &Response<Bytes>) -> Trouble {
    let status = response.status().as_u16();
    if matches!(status, 408 | 429 | 500..=599) {
        return status_trouble(response);
    }
    let what = if (300..=399).contains(&status) {
        "a redirect to another place"
    } else if has_media_type(response, "text/html") {
        "a web page"
    } else {
        "no JSON"
    };
    let installing = response.headers().contains_key(header::REFRESH);
    let hint = if installing { ", as on Gitea's installation page" } else { "" };
    let kind = if installing || status >= 400 { TroubleKind::NotReady } else { TroubleKind::Foreign };
    Trouble::maybe_sent(kind, format!("{status} with {what} instead of its API's JSON{hint}"))
}

/// Whether this is the redirect of a renamed repository or organisation: a path under Gitea's API.
fn redirects_to_a_name(response: &Response<Bytes>) -> bool {
    if !matches!(response.status().as_u16(), 301 | 307 | 308) {
        return false;
    }
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The address of a log-in page repeats the requested address in its query.
    let location = location.split(['?', '#']).next().unwrap_or_default();
    location.starts_with('/')
        && !location.starts_with("//")
        && (location.contains("/api/v1/repos/")
            || location.contains("/api/v1/orgs/")
            || location.contains("/api/v1/users/"))
}

/// The first JSON document of a body. One of Gitea's 403s holds two in a row.
fn words(body: &[u8]) -> WireError {
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<WireError>();
    documents.next().and_then(Result::ok).unwrap_or_default()
}

fn other(status: u16, message: &str) -> Trouble {
    let kind = if status >= 500 { TroubleKind::ServerError } else { TroubleKind::Foreign };
    let words = if message.is_empty() { String::new() } else { format!(": {message}") };
    Trouble::maybe_sent(kind, format!("it answers {status}{words}"))
}

/// JSON that does not describe what was requested: cut off, or another program's.
pub(super) fn describes_no(status: u16, what: &str) -> Trouble {
    Trouble::maybe_sent(TroubleKind::Foreign, format!("{status} with JSON that describes no {what}"))
}

/// The repository that an answer's body describes.
fn described(response: &Response<Bytes>) -> Option<Repository> {
    serde_json::from_slice::<WireRepository>(response.body()).ok()?.read()
}

/// Whether an answer's body describes an organisation or a user.
fn describes_an_owner(response: &Response<Bytes>) -> bool {
    serde_json::from_slice::<WireOwner>(response.body()).is_ok_and(|owner| owner.id > 0)
}

/// Meaning of an answer to `GET /version`.
pub(super) fn version(response: &Response<Bytes>, redactor: &Redactor) -> Result<String, Trouble> {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } => serde_json::from_slice::<WireVersion>(response.body())
            .map(|wire| wire.version)
            .map_err(|_| describes_no(response.status().as_u16(), "version")),
        Reply::Trouble(trouble) => Err(trouble),
        Reply::Message { status, message } => Err(other(status, &message)),
        Reply::Renamed | Reply::Refused(_) => {
            Err(Trouble::maybe_sent(TroubleKind::Foreign, "it does not report its version"))
        }
    }
}

/// Meaning of an answer to `GET /repos/{owner}/{repo}`.
pub(super) fn repository(response: &Response<Bytes>, redactor: &Redactor, asked: &str) -> RepositoryAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Trouble(trouble) => RepositoryAnswer::Trouble(trouble),
        Reply::Refused(refusal) => RepositoryAnswer::Refused(refusal),
        Reply::Renamed | Reply::Message { status: 404, .. } => RepositoryAnswer::Absent,
        Reply::Message { status: 403, message } => RepositoryAnswer::Refused(Refusal::Forbidden { message }),
        Reply::Message { status: 200, .. } => {
            let read = serde_json::from_slice::<WireRepository>(response.body()).ok();
            match read {
                // Gitea looks names up without regard to case. A different name is a different repository.
                Some(wire) if !wire.full_name.eq_ignore_ascii_case(asked) => RepositoryAnswer::Absent,
                Some(wire) => match wire.read() {
                    Some(repository) => RepositoryAnswer::Present(Box::new(repository)),
                    None => RepositoryAnswer::Trouble(describes_no(response.status().as_u16(), "repository")),
                },
                None => RepositoryAnswer::Trouble(describes_no(response.status().as_u16(), "repository")),
            }
        }
        Reply::Message { status, message } => RepositoryAnswer::Trouble(other(status, &message)),
    }
}

/// Meaning of an answer to `GET /orgs/{org}`.
///
/// `None`: no organisation that this user may see, so `GET /users/{name}` is next.
pub(super) fn organisation(response: &Response<Bytes>, redactor: &Redactor) -> Option<OwnerAnswer> {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } => Some(if describes_an_owner(response) {
            OwnerAnswer::Organisation
        } else {
            OwnerAnswer::Trouble(describes_no(response.status().as_u16(), "organisation"))
        }),
        Reply::Message { status: 404, .. } => None,
        // cutover-api works without the scope read:organization.
        Reply::Message { status: 403, .. } | Reply::Refused(Refusal::Scope { .. }) => Some(OwnerAnswer::NotShown),
        Reply::Renamed => Some(OwnerAnswer::Renamed),
        Reply::Refused(refusal) => Some(OwnerAnswer::Refused(refusal)),
        Reply::Trouble(trouble) => Some(OwnerAnswer::Trouble(trouble)),
        Reply::Message { status, message } => Some(OwnerAnswer::Trouble(other(status, &message))),
    }
}

/// Meaning of an answer to `GET /users/{name}`, after a 404 to `GET /orgs`.
pub(super) fn user(response: &Response<Bytes>, redactor: &Redactor) -> OwnerAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } if describes_an_owner(response) => OwnerAnswer::User,
        Reply::Message { status: 200, .. } => OwnerAnswer::Trouble(describes_no(response.status().as_u16(), "user")),
        // Without the scope read:user the answer is unknown. Creating the organisation shows whether the name is free.
        Reply::Message { status: 403 | 404, .. } | Reply::Refused(Refusal::Scope { .. }) => OwnerAnswer::Absent,
        Reply::Renamed => OwnerAnswer::Renamed,
        Reply::Refused(refusal) => OwnerAnswer::Refused(refusal),
        Reply::Trouble(trouble) => OwnerAnswer::Trouble(trouble),
        Reply::Message { status, message } => OwnerAnswer::Trouble(other(status, &message)),
    }
}

/// Meaning of an answer to `POST /orgs`.
pub(super) fn create_organisation(response: &Response<Bytes>, redactor: &Redactor) -> CreateOrganisationAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 201, .. } if describes_an_owner(response) => CreateOrganisationAnswer::Created,
        Reply::Message { status: 201, .. } => {
            CreateOrganisationAnswer::Unknown(describes_no(response.status().as_u16(), "organisation"))
        }
        Reply::Message { status: 422, message } if message.contains("already exists") => {
            CreateOrganisationAnswer::Taken
        }
        Reply::Message { status: 422, message } => CreateOrganisationAnswer::NameRefused { message },
        // The message differs: `%!s(<nil>)` up to Gitea 1.24 and in Forgejo, a sentence in later Gitea releases.
        Reply::Message { status: 403, .. } => CreateOrganisationAnswer::NotAllowed,
        Reply::Refused(refusal) => CreateOrganisationAnswer::Refused(refusal),
        Reply::Trouble(trouble) => CreateOrganisationAnswer::Unknown(trouble),
        Reply::Renamed => CreateOrganisationAnswer::Unknown(foreign(response)),
        Reply::Message { status, message } => CreateOrganisationAnswer::Unknown(other(status, &message)),
    }
}

/// Meaning of an answer to `POST /repos/migrate`.
pub(super) fn migrate(response: &Response<Bytes>, redactor: &Redactor) -> MigrateAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 201, .. } if described(response).is_some() => MigrateAnswer::Created,
        Reply::Message { status: 201, .. } => {
            MigrateAnswer::Unknown(describes_no(response.status().as_u16(), "repository"))
        }
        // Only an error of Gitea ends the clone.
        Reply::Message { status: status @ ..400, message } => MigrateAnswer::Unknown(other(status, &message)),
        Reply::Message { status: 403, message } => {
            if message.contains("not owner of organization") {
                MigrateAnswer::NotOwner
            } else if message.contains("not an organization") {
                MigrateAnswer::NotOrganisation
            } else if message.contains("pull mirrors") {
                MigrateAnswer::MirrorsDisabled
            } else if message.contains("disabled migrations") {
                MigrateAnswer::MigrationsDisabled
            } else {
                MigrateAnswer::Refused(Refusal::Forbidden { message })
            }
        }
        Reply::Message { status: 409, message } if message.contains("Files already exist") => MigrateAnswer::FilesExist,
        Reply::Message { status: 409, .. } => MigrateAnswer::Exists,
        Reply::Message { status: 413, message } => MigrateAnswer::LimitReached { message },
        Reply::Message { status: 422, message } => migrate_422(message),
        Reply::Message { status: 500, .. } => MigrateAnswer::ServerError,
        Reply::Message { status, message } => MigrateAnswer::Other { status, message },
        Reply::Refused(refusal) => MigrateAnswer::Refused(refusal),
        Reply::Trouble(trouble) => MigrateAnswer::Unknown(trouble),
        Reply::Renamed => MigrateAnswer::Unknown(foreign(response)),
    }
}

fn migrate_422(message: String) -> MigrateAnswer {
    let says = |words: &str| message.contains(words);
    // git's output comes first: it may contain any of the phrases below.
    if says("Migration failed:") && may_pass(&message) {
        MigrateAnswer::CloneBrokeOff { message }
    } else if says("Authentication failed:") || says("Migration failed:") || says("Remote visit required") {
        MigrateAnswer::CloneFailed { message }
    } else if says("Remote visit addressed") {
        // A rate limit of the forge's API, which Gitea calls only for services other than `git`.
        MigrateAnswer::CloneBrokeOff { message }
    } else if says("migration/cloning from") {
        // The message contains the host name, which may contain any of the phrases below.
        MigrateAnswer::UrlRefused { message }
    } else if says("user does not exist") {
        MigrateAnswer::OwnerMissing
    } else if says("disallowed hosts") {
        MigrateAnswer::HostNotAllowed
    } else if says("limit of") {
        MigrateAnswer::LimitReached { message }
    } else if says("reserved")
        || says("invalid characters")
        || says("pattern")
        || says("[RepoName]")
        || says("[RepoOwner]")
    {
        MigrateAnswer::NameRefused { message }
    } else if says("URL is invalid")
        || says("not allowed")
        || says("credentials")
        || says("local repositories")
        || says("local path")
    {
        MigrateAnswer::UrlRefused { message }
    } else {
        MigrateAnswer::Other { status: 422, message }
    }
}

/// Whether a clone failed for a temporary reason, by git's message: name resolution, a connection that failed or broke,
/// a 5xx.
fn may_pass(message: &str) -> bool {
    let fatal = message.find("fatal:").map_or(message, |at| &message[at..]);
    let anywhere =
        ["early EOF", "RPC failed", "unexpected disconnect", "hung up unexpectedly", "Empty reply from server"];
    let in_the_end = ["Could not resolve host", "Failed to connect", "Connection ", "timed out", "returned error: 5"];
    anywhere.iter().any(|words| message.contains(words)) || in_the_end.iter().any(|words| fatal.contains(words))
}

/// Meaning of an answer to `PATCH /repos/{owner}/{repo}`.
pub(super) fn patch(response: &Response<Bytes>, redactor: &Redactor) -> PatchAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } if described(response).is_some() => PatchAnswer::Done,
        Reply::Message { status: 200, .. } => {
            PatchAnswer::Unknown(describes_no(response.status().as_u16(), "repository"))
        }
        // Gitea up to 1.21; later releases answer 200.
        Reply::Message { status: 422, message } if message.contains("repo is not a mirror") => PatchAnswer::NotAMirror,
        Reply::Message { status: 422, message } => match message.split_once("below minimum interval: ") {
            Some((_, minimum)) => {
                let minimum = minimum.split_whitespace().next().and_then(|text| GoDuration::parse(text).ok());
                PatchAnswer::BelowMinimum { minimum }
            }
            None => PatchAnswer::Invalid { message },
        },
        Reply::Message { status: 500, .. } => PatchAnswer::ServerError,
        Reply::Message { status: 404, .. } | Reply::Renamed => PatchAnswer::Gone,
        Reply::Message { status: 403, message } => PatchAnswer::Refused(Refusal::Forbidden { message }),
        Reply::Refused(refusal) => PatchAnswer::Refused(refusal),
        Reply::Trouble(trouble) => PatchAnswer::Unknown(trouble),
        Reply::Message { status, message } => PatchAnswer::Unknown(other(status, &message)),
    }
}

/// Meaning of an answer to a `PATCH` of mirror settings. Gitea answers 200 for a regular repository and changes
/// nothing.
pub(super) fn patch_of_a_mirror(response: &Response<Bytes>, redactor: &Redactor) -> PatchAnswer {
    let answer = patch(response, redactor);
    let is_regular = || described(response).is_some_and(|repository| !repository.mirror);
    if answer == PatchAnswer::Done && is_regular() { PatchAnswer::NotAMirror } else { answer }
}

/// Meaning of an answer to `POST /repos/{owner}/{repo}/mirror-sync`.
pub(super) fn sync(response: &Response<Bytes>, redactor: &Redactor) -> SyncAnswer {
    // An intermediary followed the redirect of a renamed repository with a GET: 405 without a content type.
    if response.status() == 405 && response.body().is_empty() {
        return SyncAnswer::Gone;
    }
    match parse_reply(response, redactor, true) {
        Reply::Message { status: 200, .. } if response.body().is_empty() => SyncAnswer::Queued,
        Reply::Message { status: 400, message } if message.contains("disabled") => SyncAnswer::MirrorsDisabled,
        Reply::Message { status: 400, .. } => SyncAnswer::NotAMirror,
        Reply::Message { status: 413, message } => SyncAnswer::LimitReached { message },
        Reply::Message { status: 423, .. } => SyncAnswer::Archived,
        Reply::Message { status: 404 | 405, .. } | Reply::Renamed => SyncAnswer::Gone,
        Reply::Message { status: 403, message } => SyncAnswer::Refused(Refusal::Forbidden { message }),
        Reply::Refused(refusal) => SyncAnswer::Refused(refusal),
        Reply::Trouble(trouble) => SyncAnswer::Unknown(trouble),
        Reply::Message { status, message } => SyncAnswer::Unknown(other(status, &message)),
    }
}

#[cfg(test)]
mod tests;
