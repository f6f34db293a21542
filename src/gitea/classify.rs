//! What each of Gitea's answers means: one function a call, from status and words to an outcome.
//!
//! Owns the table, which is per answer and never per status class: a migrate's 422 can be a hiccup of DNS, a 500 a
//! finished clone. Pure: no request is sent from here. Words are matched only where releases 1.20 to 1.27 and Forgejo
//! 7 to 16 agree on them; the text of a 404 is translated, so it never is.

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

/// An answer, sorted as far as it can be without knowing the call.
pub(super) enum Sorted {
    /// Gitea's own answer, with its words, redacted.
    Said { status: u16, message: String },
    /// A redirect to another name of Gitea's.
    Renamed,
    /// No, whoever asks.
    Refused(Refusal),
    /// None of Gitea's answers.
    Trouble(Trouble),
}

/// Sorts an answer. `empty_is_fine`: 200 without a body, which is all that a queued sync gets.
pub(super) fn sort(response: &Response<Bytes>, redactor: &Redactor, empty_is_fine: bool) -> Sorted {
    let status = response.status().as_u16();
    if (300..=399).contains(&status) {
        return if redirects_to_a_name(response) { Sorted::Renamed } else { Sorted::Trouble(foreign(response)) };
    }
    let nothing_is_fine = empty_is_fine && status == 200 && response.body().is_empty();
    if !nothing_is_fine && !has_media_type(response, "application/json") {
        return Sorted::Trouble(foreign(response));
    }
    // Gitea produces no 429 and no 502 to 504; a proxy that answers in JSON does
    if matches!(status, 408 | 429 | 502..=504) {
        return Sorted::Trouble(status_trouble(response));
    }
    let WireError { message, url } = words(response.body());
    // absence is concluded from a 404 alone, so it has to be Gitea's own, whose every error names its description
    if status == 404 && url.is_none() {
        return Sorted::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, "404 with JSON that is not Gitea's"));
    }
    // an end of a call is concluded from the others, so they do as well; a refused account's 401 and 403, and Forgejo's
    // 413 of a quota, have none
    if status >= 400 && url.is_none() && !matches!(status, 401 | 403 | 413) {
        return Sorted::Trouble(other(status, "JSON that is not Gitea's"));
    }
    let message = redactor.redact(&message);
    match status {
        401 => Sorted::Refused(Refusal::Unauthenticated { message }),
        403 if message.contains("required scope") => Sorted::Refused(Refusal::Scope { message }),
        _ => Sorted::Said { status, message },
    }
}

/// An answer in a form that Gitea's API never gives.
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
    let hint = if installing { ", which is what Gitea's installation page does" } else { "" };
    let kind = if installing || status >= 400 { TroubleKind::NotReady } else { TroubleKind::Foreign };
    Trouble::maybe_sent(kind, format!("{status} with {what} where its API answers in JSON{hint}"))
}

/// A renamed repository or organisation: a relative address under the API. Any other redirect is not Gitea's.
fn redirects_to_a_name(response: &Response<Bytes>) -> bool {
    if !matches!(response.status().as_u16(), 301 | 307 | 308) {
        return false;
    }
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // a log-in page's address carries the one that was asked for, behind a question mark
    let location = location.split(['?', '#']).next().unwrap_or_default();
    location.starts_with('/')
        && !location.starts_with("//")
        && (location.contains("/api/v1/repos/")
            || location.contains("/api/v1/orgs/")
            || location.contains("/api/v1/users/"))
}

/// The first JSON document in a body: one of Gitea's 403s has two, one behind the other.
fn words(body: &[u8]) -> WireError {
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<WireError>();
    documents.next().and_then(Result::ok).unwrap_or_default()
}

fn other(status: u16, message: &str) -> Trouble {
    let kind = if status >= 500 { TroubleKind::ServerError } else { TroubleKind::Foreign };
    let words = if message.is_empty() { String::new() } else { format!(": {message}") };
    Trouble::maybe_sent(kind, format!("it answers {status}{words}"))
}

/// An answer that is JSON, and does not describe what was asked for: another program's, or cut off.
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

/// `GET /version`.
pub(super) fn version(response: &Response<Bytes>, redactor: &Redactor) -> Result<String, Trouble> {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => serde_json::from_slice::<WireVersion>(response.body())
            .map(|wire| wire.version)
            .map_err(|_| describes_no(response.status().as_u16(), "version")),
        Sorted::Trouble(trouble) => Err(trouble),
        Sorted::Said { status, message } => Err(other(status, &message)),
        Sorted::Renamed | Sorted::Refused(_) => {
            Err(Trouble::maybe_sent(TroubleKind::Foreign, "it does not tell its version"))
        }
    }
}

/// `GET /repos/{owner}/{repo}`.
pub(super) fn repository(response: &Response<Bytes>, redactor: &Redactor, asked: &str) -> RepositoryAnswer {
    match sort(response, redactor, false) {
        Sorted::Trouble(trouble) => RepositoryAnswer::Trouble(trouble),
        Sorted::Refused(refusal) => RepositoryAnswer::Refused(refusal),
        Sorted::Renamed | Sorted::Said { status: 404, .. } => RepositoryAnswer::Absent,
        Sorted::Said { status: 403, message } => RepositoryAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Said { status: 200, .. } => {
            let read = serde_json::from_slice::<WireRepository>(response.body()).ok();
            match read {
                // names are looked up whatever their case; another name is another repository
                Some(wire) if !wire.full_name.eq_ignore_ascii_case(asked) => RepositoryAnswer::Absent,
                Some(wire) => match wire.read() {
                    Some(repository) => RepositoryAnswer::Present(Box::new(repository)),
                    None => RepositoryAnswer::Trouble(describes_no(response.status().as_u16(), "repository")),
                },
                None => RepositoryAnswer::Trouble(describes_no(response.status().as_u16(), "repository")),
            }
        }
        Sorted::Said { status, message } => RepositoryAnswer::Trouble(other(status, &message)),
    }
}

/// `GET /orgs/{org}`; `None`: no organisation that we can see, so `GET /users/{name}` is next.
pub(super) fn organisation(response: &Response<Bytes>, redactor: &Redactor) -> Option<OwnerAnswer> {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => Some(if describes_an_owner(response) {
            OwnerAnswer::Organisation
        } else {
            OwnerAnswer::Trouble(describes_no(response.status().as_u16(), "organisation"))
        }),
        Sorted::Said { status: 404, .. } => None,
        // the scope read:organization is not among those that the sequence needs
        Sorted::Said { status: 403, .. } | Sorted::Refused(Refusal::Scope { .. }) => Some(OwnerAnswer::NotShown),
        Sorted::Renamed => Some(OwnerAnswer::Renamed),
        Sorted::Refused(refusal) => Some(OwnerAnswer::Refused(refusal)),
        Sorted::Trouble(trouble) => Some(OwnerAnswer::Trouble(trouble)),
        Sorted::Said { status, message } => Some(OwnerAnswer::Trouble(other(status, &message))),
    }
}

/// `GET /users/{name}`, after `GET /orgs` said 404.
pub(super) fn user(response: &Response<Bytes>, redactor: &Redactor) -> OwnerAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } if describes_an_owner(response) => OwnerAnswer::User,
        Sorted::Said { status: 200, .. } => OwnerAnswer::Trouble(describes_no(response.status().as_u16(), "user")),
        // without the scope read:user nobody can tell; creating the organisation finds out
        Sorted::Said { status: 403 | 404, .. } | Sorted::Refused(Refusal::Scope { .. }) => OwnerAnswer::Absent,
        Sorted::Renamed => OwnerAnswer::Renamed,
        Sorted::Refused(refusal) => OwnerAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => OwnerAnswer::Trouble(trouble),
        Sorted::Said { status, message } => OwnerAnswer::Trouble(other(status, &message)),
    }
}

/// `POST /orgs`.
pub(super) fn create_organisation(response: &Response<Bytes>, redactor: &Redactor) -> CreateOrganisationAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 201, .. } if describes_an_owner(response) => CreateOrganisationAnswer::Created,
        Sorted::Said { status: 201, .. } => {
            CreateOrganisationAnswer::Unknown(describes_no(response.status().as_u16(), "organisation"))
        }
        Sorted::Said { status: 422, message } if message.contains("already exists") => CreateOrganisationAnswer::Taken,
        Sorted::Said { status: 422, message } => CreateOrganisationAnswer::NameRefused { message },
        // Gitea up to 1.24 and Forgejo print `%!s(<nil>)` here, later ones a sentence
        Sorted::Said { status: 403, .. } => CreateOrganisationAnswer::NotAllowed,
        Sorted::Refused(refusal) => CreateOrganisationAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => CreateOrganisationAnswer::Unknown(trouble),
        Sorted::Renamed => CreateOrganisationAnswer::Unknown(foreign(response)),
        Sorted::Said { status, message } => CreateOrganisationAnswer::Unknown(other(status, &message)),
    }
}

/// `POST /repos/migrate`.
pub(super) fn migrate(response: &Response<Bytes>, redactor: &Redactor) -> MigrateAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 201, .. } if described(response).is_some() => MigrateAnswer::Created,
        Sorted::Said { status: 201, .. } => {
            MigrateAnswer::Unknown(describes_no(response.status().as_u16(), "repository"))
        }
        // only a no of Gitea's is an end of the clone
        Sorted::Said { status: status @ ..400, message } => MigrateAnswer::Unknown(other(status, &message)),
        Sorted::Said { status: 403, message } => {
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
        Sorted::Said { status: 409, message } if message.contains("Files already exist") => MigrateAnswer::FilesExist,
        Sorted::Said { status: 409, .. } => MigrateAnswer::Exists,
        Sorted::Said { status: 413, message } => MigrateAnswer::LimitReached { message },
        Sorted::Said { status: 422, message } => migrate_422(message),
        Sorted::Said { status: 500, .. } => MigrateAnswer::ServerError,
        Sorted::Said { status, message } => MigrateAnswer::Other { status, message },
        Sorted::Refused(refusal) => MigrateAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => MigrateAnswer::Unknown(trouble),
        Sorted::Renamed => MigrateAnswer::Unknown(foreign(response)),
    }
}

fn migrate_422(message: String) -> MigrateAnswer {
    let says = |words: &str| message.contains(words);
    // what git said comes first: it may hold any of the words below
    if says("Migration failed:") && may_pass(&message) {
        MigrateAnswer::CloneBrokeOff { message }
    } else if says("Authentication failed:") || says("Migration failed:") || says("Remote visit required") {
        MigrateAnswer::CloneFailed { message }
    } else if says("Remote visit addressed") {
        // a limit of the forge's API, which is asked for another service than `git` only
        MigrateAnswer::CloneBrokeOff { message }
    } else if says("migration/cloning from") {
        // names the host, which may hold any of the words below, too
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

/// Whether a clone failed for a reason that may pass, by git's words: a name that did not resolve, a connection that
/// was not taken or broke, a 5xx.
fn may_pass(message: &str) -> bool {
    let fatal = message.find("fatal:").map_or(message, |at| &message[at..]);
    let anywhere =
        ["early EOF", "RPC failed", "unexpected disconnect", "hung up unexpectedly", "Empty reply from server"];
    let in_the_end = ["Could not resolve host", "Failed to connect", "Connection ", "timed out", "returned error: 5"];
    anywhere.iter().any(|words| message.contains(words)) || in_the_end.iter().any(|words| fatal.contains(words))
}

/// `PATCH /repos/{owner}/{repo}`.
pub(super) fn patch(response: &Response<Bytes>, redactor: &Redactor) -> PatchAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } if described(response).is_some() => PatchAnswer::Done,
        Sorted::Said { status: 200, .. } => {
            PatchAnswer::Unknown(describes_no(response.status().as_u16(), "repository"))
        }
        // Gitea up to 1.21, which has words for it
        Sorted::Said { status: 422, message } if message.contains("repo is not a mirror") => PatchAnswer::NotAMirror,
        Sorted::Said { status: 422, message } => match message.split_once("below minimum interval: ") {
            Some((_, minimum)) => {
                let minimum = minimum.split_whitespace().next().and_then(|text| GoDuration::parse(text).ok());
                PatchAnswer::BelowMinimum { minimum }
            }
            None => PatchAnswer::Invalid { message },
        },
        Sorted::Said { status: 500, .. } => PatchAnswer::ServerError,
        Sorted::Said { status: 404, .. } | Sorted::Renamed => PatchAnswer::Gone,
        Sorted::Said { status: 403, message } => PatchAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => PatchAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => PatchAnswer::Unknown(trouble),
        Sorted::Said { status, message } => PatchAnswer::Unknown(other(status, &message)),
    }
}

/// `PATCH /repos/{owner}/{repo}` of what only a mirror has: on a regular repository Gitea answers 200 and does nothing.
pub(super) fn patch_of_a_mirror(response: &Response<Bytes>, redactor: &Redactor) -> PatchAnswer {
    let answer = patch(response, redactor);
    let is_regular = || described(response).is_some_and(|repository| !repository.mirror);
    if answer == PatchAnswer::Done && is_regular() { PatchAnswer::NotAMirror } else { answer }
}

/// `POST /repos/{owner}/{repo}/mirror-sync`.
pub(super) fn sync(response: &Response<Bytes>, redactor: &Redactor) -> SyncAnswer {
    // what is left of a POST to a renamed repository where a redirect was followed on the way: it has no type
    if response.status() == 405 && response.body().is_empty() {
        return SyncAnswer::Gone;
    }
    match sort(response, redactor, true) {
        Sorted::Said { status: 200, .. } if response.body().is_empty() => SyncAnswer::Queued,
        Sorted::Said { status: 400, message } if message.contains("disabled") => SyncAnswer::MirrorsDisabled,
        Sorted::Said { status: 400, .. } => SyncAnswer::NotAMirror,
        Sorted::Said { status: 413, message } => SyncAnswer::LimitReached { message },
        Sorted::Said { status: 423, .. } => SyncAnswer::Archived,
        Sorted::Said { status: 404 | 405, .. } | Sorted::Renamed => SyncAnswer::Gone,
        Sorted::Said { status: 403, message } => SyncAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => SyncAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => SyncAnswer::Unknown(trouble),
        Sorted::Said { status, message } => SyncAnswer::Unknown(other(status, &message)),
    }
}

#[cfg(test)]
mod tests;
