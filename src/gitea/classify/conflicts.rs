//! Meaning of Gitea's answers to the calls that only conflicts and mode changes need.

use bytes::Bytes;
use http::Response;

use super::{Reply, described, describes_no, other, parse_reply};
use crate::domain::answer::{AncestryAnswer, ConvertAnswer, DeleteAnswer, LocalRefsAnswer, Refusal};
use crate::domain::credential::Redactor;
use crate::domain::refs::{ObjectId, RefList};
use crate::gitea::wire::WireCommit;
use crate::transport::has_media_type;

/// Meaning of an answer to `DELETE /repos/{owner}/{repo}`.
pub(in crate::gitea) fn delete(response: &Response<Bytes>, redactor: &Redactor) -> DeleteAnswer {
    // A 204 has no body and therefore no content type.
    if response.status() == 204 {
        return DeleteAnswer::Gone;
    }
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 404, .. } => DeleteAnswer::Gone,
        Reply::Renamed => DeleteAnswer::Changed,
        Reply::Message { status: 403, message } => DeleteAnswer::Refused(Refusal::Forbidden { message }),
        Reply::Refused(refusal) => DeleteAnswer::Refused(refusal),
        Reply::Trouble(trouble) => DeleteAnswer::Unknown(trouble),
        Reply::Message { status, message } => DeleteAnswer::Unknown(other(status, &message)),
    }
}

/// Meaning of an answer to `POST /repos/{owner}/{repo}/convert`, for a repository that was just read.
pub(in crate::gitea) fn convert(response: &Response<Bytes>, redactor: &Redactor) -> ConvertAnswer {
    // Gitea answers an unknown path in plain text. A proxy's page has another content type.
    let unknown = matches!(response.status().as_u16(), 404 | 405) && has_media_type(response, "text/plain");
    if unknown {
        return ConvertAnswer::NotOffered;
    }
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } => match described(response) {
            Some(repository) if !repository.mirror => ConvertAnswer::Done,
            Some(_) | None => ConvertAnswer::Unknown(describes_no(response.status().as_u16(), "regular repository")),
        },
        Reply::Message { status: 405, .. } => ConvertAnswer::NotOffered,
        Reply::Message { status: 422, .. } => ConvertAnswer::NotAMirror,
        Reply::Message { status: 404, .. } | Reply::Renamed => ConvertAnswer::Gone,
        Reply::Message { status: 403, message } => ConvertAnswer::Refused(Refusal::Forbidden { message }),
        Reply::Refused(refusal) => ConvertAnswer::Refused(refusal),
        Reply::Trouble(trouble) => ConvertAnswer::Unknown(trouble),
        Reply::Message { status, message } => ConvertAnswer::Unknown(other(status, &message)),
    }
}

/// Meaning of an answer to `GET /repos/{owner}/{repo}/git/refs` that is not a 200 in JSON, for a repository that was
/// just read.
pub(in crate::gitea) fn no_refs(response: &Response<Bytes>, redactor: &Redactor) -> LocalRefsAnswer {
    match parse_reply(response, redactor, false) {
        // The repository was just read, so it exists and has no ref.
        Reply::Message { status: 404, .. } => LocalRefsAnswer::List(RefList::default()),
        Reply::Renamed => LocalRefsAnswer::Gone,
        // Refs by git over HTTP were refused before, and that is the setting to change.
        Reply::Message { status: 403, .. } => LocalRefsAnswer::HttpGitDisabled,
        Reply::Refused(refusal) => LocalRefsAnswer::Refused(refusal),
        Reply::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
        Reply::Message { status, message } => LocalRefsAnswer::Trouble(other(status, &message)),
    }
}

/// Meaning of an answer to `GET /repos/{owner}/{repo}/commits?sha={old}&not={new}&limit=1`.
///
/// Gitea lists the old commit, unless it is an ancestor of the new one.
pub(in crate::gitea) fn ancestry(response: &Response<Bytes>, old: &ObjectId, redactor: &Redactor) -> AncestryAnswer {
    match parse_reply(response, redactor, false) {
        Reply::Message { status: 200, .. } => {
            let commits: Option<Vec<WireCommit>> = serde_json::from_slice(response.body()).ok();
            match commits.as_deref() {
                Some([]) => AncestryAnswer::FastForward,
                Some([commit]) if commit.sha == old.as_str() => AncestryAnswer::Rewritten,
                Some(_) | None => {
                    AncestryAnswer::Trouble(describes_no(response.status().as_u16(), "history of the commit"))
                }
            }
        }
        // The old commit was garbage-collected, or a permission is missing.
        Reply::Message { status: 403 | 404, .. } | Reply::Renamed | Reply::Refused(_) => AncestryAnswer::Unknown,
        Reply::Trouble(trouble) => AncestryAnswer::Trouble(trouble),
        Reply::Message { status, message } => AncestryAnswer::Trouble(other(status, &message)),
    }
}
