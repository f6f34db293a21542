//! The same for the calls that only conflicts and modes need.

use bytes::Bytes;
use http::Response;

use super::{Sorted, described, describes_no, other, sort};
use crate::domain::answer::{AncestryAnswer, ConvertAnswer, DeleteAnswer, LocalRefsAnswer, Refusal};
use crate::domain::credential::Redactor;
use crate::domain::refs::{ObjectId, RefList};
use crate::gitea::wire::WireCommit;
use crate::transport::has_media_type;

/// `DELETE /repos/{owner}/{repo}`.
pub(in crate::gitea) fn delete(response: &Response<Bytes>, redactor: &Redactor) -> DeleteAnswer {
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
pub(in crate::gitea) fn convert(response: &Response<Bytes>, redactor: &Redactor) -> ConvertAnswer {
    // a path that no Gitea has is answered in plain text; a proxy's page is none of its words
    let unknown = matches!(response.status().as_u16(), 404 | 405) && has_media_type(response, "text/plain");
    if unknown {
        return ConvertAnswer::NotOffered;
    }
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => match described(response) {
            Some(repository) if !repository.mirror => ConvertAnswer::Done,
            Some(_) | None => ConvertAnswer::Unknown(describes_no(response.status().as_u16(), "regular repository")),
        },
        Sorted::Said { status: 405, .. } => ConvertAnswer::NotOffered,
        Sorted::Said { status: 422, .. } => ConvertAnswer::NotAMirror,
        Sorted::Said { status: 404, .. } | Sorted::Renamed => ConvertAnswer::Gone,
        Sorted::Said { status: 403, message } => ConvertAnswer::Refused(Refusal::Forbidden { message }),
        Sorted::Refused(refusal) => ConvertAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => ConvertAnswer::Unknown(trouble),
        Sorted::Said { status, message } => ConvertAnswer::Unknown(other(status, &message)),
    }
}

/// `GET /repos/{owner}/{repo}/git/refs` of a repository that was just seen, where the answer is no 200 in JSON.
pub(in crate::gitea) fn no_refs(response: &Response<Bytes>, redactor: &Redactor) -> LocalRefsAnswer {
    match sort(response, redactor, false) {
        // a repository without a single ref; one that is not there was told by the look before
        Sorted::Said { status: 404, .. } => LocalRefsAnswer::List(RefList::default()),
        Sorted::Renamed => LocalRefsAnswer::Gone,
        // so the way round is closed as well, and what closed the straight one is what is to be put right
        Sorted::Said { status: 403, .. } => LocalRefsAnswer::HttpGitDisabled,
        Sorted::Refused(refusal) => LocalRefsAnswer::Refused(refusal),
        Sorted::Trouble(trouble) => LocalRefsAnswer::Trouble(trouble),
        Sorted::Said { status, message } => LocalRefsAnswer::Trouble(other(status, &message)),
    }
}

/// `GET /repos/{owner}/{repo}/commits?sha={old}&not={new}&limit=1`: the old commit, unless the new one has it.
pub(in crate::gitea) fn ancestry(response: &Response<Bytes>, old: &ObjectId, redactor: &Redactor) -> AncestryAnswer {
    match sort(response, redactor, false) {
        Sorted::Said { status: 200, .. } => {
            let commits: Option<Vec<WireCommit>> = serde_json::from_slice(response.body()).ok();
            match commits.as_deref() {
                Some([]) => AncestryAnswer::FastForward,
                Some([commit]) if commit.sha == old.as_str() => AncestryAnswer::Rewritten,
                Some(_) | None => {
                    AncestryAnswer::Trouble(describes_no(response.status().as_u16(), "history of the commit"))
                }
            }
        }
        // the old commit was garbage-collected, or a right is missing
        Sorted::Said { status: 403 | 404, .. } | Sorted::Renamed | Sorted::Refused(_) => AncestryAnswer::Unknown,
        Sorted::Trouble(trouble) => AncestryAnswer::Trouble(trouble),
        Sorted::Said { status, message } => AncestryAnswer::Trouble(other(status, &message)),
    }
}
