//! What each of Gitea's answers means: one function a call, from status and words to an outcome.
//!
//! Owns the table, which is per answer and never per status class: a migrate's 422 can be a hiccup of DNS, a 500 a
//! finished clone. Pure: no request is sent from here. Words are matched only where releases 1.20 to 1.27 and Forgejo
//! 7 to 16 agree on them; the text of a 404 is translated, so it never is.

use bytes::Bytes;
use http::{Response, header};

use super::conflicts::{self, read_refs};
use super::wire::{WireComparison, WireError, WireRepository};
use crate::domain::answer::{
    CompareAnswer, ConvertAnswer, CreateOrganisationAnswer, DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer,
    PatchAnswer, Refusal, RepositoryAnswer, SyncAnswer, Trouble, TroubleKind,
};
use crate::domain::credential::Redactor;
use crate::domain::duration::GoDuration;
use crate::domain::refs::RefList;
use crate::transport::{has_media_type, status_trouble};

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
    Trouble::maybe_sent(TroubleKind::Foreign, format!("{status} with {what} where its API answers in JSON{hint}"))
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
                    None => RepositoryAnswer::Trouble(unreadable()),
                },
                None => RepositoryAnswer::Trouble(unreadable()),
            }
        }
        Sorted::Said { status, message } => RepositoryAnswer::Trouble(other(status, &message)),
    }
}

fn unreadable() -> Trouble {
    Trouble::maybe_sent(TroubleKind::Foreign, "200 with JSON that describes no repository")
}

/// `GET /orgs/{org}`; `None`: no organisation that we can see, so `GET /users/{name}` is next.
pub(super) fn organisation(response: &Response<Bytes>, redactor: &Redactor) -> Option<OwnerAnswer> {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => Some(OwnerAnswer::Organisation),
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
        Sorted::Said { status: 200, .. } => OwnerAnswer::User,
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
        Sorted::Said { status: 201, .. } => CreateOrganisationAnswer::Created,
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
        Sorted::Said { status: 201, .. } => MigrateAnswer::Created,
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
    } else if says("Authentication failed:") || says("Migration failed:") {
        MigrateAnswer::CloneFailed { message }
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
    let anywhere = ["early EOF", "RPC failed", "unexpected disconnect"];
    let in_the_end = ["Could not resolve host", "Failed to connect", "Connection ", "timed out", "returned error: 5"];
    anywhere.iter().any(|words| message.contains(words)) || in_the_end.iter().any(|words| fatal.contains(words))
}

/// `PATCH /repos/{owner}/{repo}`.
pub(super) fn patch(response: &Response<Bytes>, redactor: &Redactor) -> PatchAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => PatchAnswer::Done,
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

/// `POST /repos/{owner}/{repo}/mirror-sync`.
pub(super) fn sync(response: &Response<Bytes>, redactor: &Redactor) -> SyncAnswer {
    match sort(response, redactor, true) {
        Sorted::Said { status: 200, .. } => SyncAnswer::Queued,
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

/// `DELETE /repos/{owner}/{repo}`.
pub(super) fn delete(response: &Response<Bytes>, redactor: &Redactor) -> DeleteAnswer {
    // a 204 has no body, and so no type
    if response.status() == 204 {
        return DeleteAnswer::Gone;
    }
    match sort(response, redactor, false) {
        Sorted::Said { status: 404, .. } => DeleteAnswer::Gone,
        Sorted::Renamed => DeleteAnswer::Changed,
        Sorted::Said { status: 403, message } => DeleteAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => DeleteAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => DeleteAnswer::Unknown(trouble),
        Sorted::Said { status, message } => DeleteAnswer::Unknown(other(status, &message)),
    }
}

/// `POST /repos/{owner}/{repo}/convert` of a repository that was just seen.
pub(super) fn convert(response: &Response<Bytes>, redactor: &Redactor) -> ConvertAnswer {
    // a path that no Gitea has is answered in plain text; a proxy's page is none of its words
    let unknown = matches!(response.status().as_u16(), 404 | 405) && has_media_type(response, "text/plain");
    if unknown {
        return ConvertAnswer::NotOffered;
    }
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => ConvertAnswer::Done,
        Sorted::Said { status: 405, .. } => ConvertAnswer::NotOffered,
        Sorted::Said { status: 422, .. } => ConvertAnswer::NotAMirror,
        Sorted::Said { status: 404, .. } | Sorted::Renamed => ConvertAnswer::Gone,
        Sorted::Said { status: 403, message } => ConvertAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => ConvertAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => ConvertAnswer::Unknown(trouble),
        Sorted::Said { status, message } => ConvertAnswer::Unknown(other(status, &message)),
    }
}

/// `GET /repos/{owner}/{repo}/git/refs` of a repository that was just seen.
pub(super) fn refs(response: &Response<Bytes>, redactor: &Redactor) -> LocalRefsAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => match read_refs(response.body()) {
            Some(list) => LocalRefsAnswer::List(list),
            None => LocalRefsAnswer::Trouble(conflicts::unreadable("refs")),
        },
        // a repository without a single ref; one that is not there was told by the look before
        Sorted::Said { status: 404, .. } => LocalRefsAnswer::List(RefList::default()),
        Sorted::Renamed => LocalRefsAnswer::Gone,
        Sorted::Said { status: 403, message } => LocalRefsAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => LocalRefsAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
        Sorted::Said { status, message } => LocalRefsAnswer::Trouble(other(status, &message)),
    }
}

/// `GET /repos/{owner}/{repo}/compare/…`: what the old commit has and the new one has not.
pub(super) fn comparison(response: &Response<Bytes>, redactor: &Redactor) -> CompareAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => match serde_json::from_slice::<WireComparison>(response.body()) {
            Ok(WireComparison { total_commits: 0 }) => CompareAnswer::FastForward,
            Ok(_) => CompareAnswer::Rewritten,
            Err(_) => CompareAnswer::Trouble(conflicts::unreadable("comparison")),
        },
        // old servers take no object ids; a scope or a right that is missing tells nothing either
        Sorted::Said { status: 403 | 404, .. } | Sorted::Renamed | Sorted::Refused(_) => CompareAnswer::NotTold,
        Sorted::Trouble(trouble) => CompareAnswer::Trouble(trouble),
        Sorted::Said { status, message } => CompareAnswer::Trouble(other(status, &message)),
    }
}

#[cfg(test)]
mod tests;
