//! One row for each answer: status, content type and message as real servers sent them, and their meaning.
//!
//! The servers were Gitea 1.22 to 1.27 and Forgejo 11 and 16. Rows taken from Gitea's source instead say so.

mod conflicts;
mod every_call;
mod migrate;
mod organisation;
mod patch;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::domain::answer::{AncestryAnswer, ConvertAnswer, DeleteAnswer, LocalRefsAnswer, Sent};
use crate::domain::credential::Credential;

const JSON: &str = "application/json;charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answer of Gitea and Forgejo to every request before their installation page was completed.
const NOT_INSTALLED: &str = r#"Not Found. <a href="/">Go to default page</a>."#;

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    response.body(body.into()).unwrap()
}

/// An error in Gitea's form.
fn says(status: u16, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "message": message, "url": "http://gitea.test:3000/api/swagger" });
    answer(status, JSON, body.to_string())
}

fn with_header(mut response: Response<Bytes>, name: header::HeaderName, value: &'static str) -> Response<Bytes> {
    response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    response
}

fn redirect(status: u16, location: &'static str) -> Response<Bytes> {
    with_header(answer(status, HTML, ""), header::LOCATION, location)
}

/// Answer of a renamed repository to any method but GET: no content type, no body.
fn renamed(status: u16) -> Response<Bytes> {
    let mut response = redirect(status, "/api/v1/repos/acme/legacy-old");
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

fn not_installed() -> Response<Bytes> {
    with_header(answer(404, HTML, NOT_INSTALLED), header::REFRESH, "1; url=/")
}

fn none() -> Redactor {
    Redactor::default()
}

#[test]
fn an_installation_page_is_named_as_such() {
    let RepositoryAnswer::Trouble(trouble) = repository(&not_installed(), &none(), "acme/one") else { panic!() };
    assert_eq!(trouble.detail, "404 with a web page instead of its API's JSON, as on Gitea's installation page");
}

#[test]
fn a_pause_that_a_proxy_asks_for_is_kept() {
    let response = with_header(answer(503, PLAIN, ""), header::RETRY_AFTER, "17");
    let SyncAnswer::Unknown(trouble) = sync(&response, &none()) else { panic!() };
    assert_eq!(trouble.retry_after, Some(Duration::from_secs(17)));
}

#[test]
fn a_token_that_forgejo_repeats_in_its_401_is_cut_out() {
    let token = "0123456789abcdef0123456789abcdef01234567";
    let words = format!(
        "access token does not exist [sha: {token}]\ntoken is malformed: token contains an invalid number of segments\n\
         task with token \"{token}\": resource does not exist"
    );
    let redactor = Redactor::knowing([&Credential::Token(token.to_owned().into())]);
    let answers = [
        format!("{:?}", repository(&says(401, &words), &redactor, "acme/one")),
        format!("{:?}", migrate(&says(401, &words), &redactor)),
        format!("{:?}", patch(&says(422, &words), &redactor)),
        format!("{:?}", sync(&says(418, &words), &redactor)),
        format!("{:?}", migrate(&says(422, &format!("Migration failed: fatal: https://x:{token}@h")), &redactor)),
    ];
    for answer in answers {
        assert!(answer.contains("[redacted]") && !answer.contains(token), "{answer}");
    }
}

#[test]
fn the_first_of_two_documents_is_what_a_403_says() {
    let both = concat!(
        r#"{"message":"Must have write access","url":"http://gitea.test:3000/api/swagger"}"#,
        "\n",
        r#"{"message":"","url":"http://gitea.test:3000/api/swagger"}"#
    );
    let refusal = Refusal::Forbidden { message: "Must have write access".into() };
    assert_eq!(sync(&answer(403, JSON, both), &none()), SyncAnswer::Refused(refusal.clone()));
    assert_eq!(sync(&says(403, "Must have write access"), &none()), SyncAnswer::Refused(refusal));
}

/// A repository as Gitea 1.27 shows one, with two of the members that cutover-api does not read.
fn shown(full_name: &str, mirror: bool, interval: &str, updated: &str) -> Response<Bytes> {
    let body = serde_json::json!({
        "id": 2, "full_name": full_name, "empty": false, "size": 27, "mirror": mirror,
        "original_url": "http://upstream.test:3001/one.git", "mirror_interval": interval, "mirror_updated": updated,
        "mirror_last_sync_at": "1970-01-01T00:00:00Z", "default_branch": "main",
        "created_at": "2026-11-23T13:41:02Z", "archived": false, "archived_at": "1970-01-01T00:00:00Z",
        "permissions": { "admin": true, "push": true, "pull": true }, "internal_tracker": null,
    });
    answer(200, JSON, body.to_string())
}

#[test]
fn a_repository_that_is_there_is_read_with_its_interval_as_a_duration() {
    let interval = |text| Some(GoDuration::parse(text).unwrap());
    for (mirror, text, interval, updated) in [
        (true, "10m0s", interval("10m"), "2026-11-23T13:41:02Z"),
        (true, "1h30m0s", interval("90m"), "2026-11-23T14:41:02+01:00"),
        (true, "87600h0m0s", interval("87600h"), "2026-11-23T13:41:02Z"),
        (true, "0s", interval("0"), "2026-11-23T13:41:02Z"),
        (true, "", None, "0001-01-01T00:00:00Z"),
        (false, "", None, "0001-01-01T00:00:00Z"),
    ] {
        let read = repository(&shown("acme/one", mirror, text, updated), &none(), "acme/one");
        let RepositoryAnswer::Present(read) = read else { panic!("{read:?}") };
        assert_eq!((read.id, read.mirror, read.interval), (2, mirror, interval));
        assert_eq!(read.mirror_updated, updated.parse::<Timestamp>().unwrap());
        assert_eq!((read.default_branch.as_str(), read.archived), ("main", false));
        assert_eq!(read.original_url, "http://upstream.test:3001/one.git");
    }
}

#[test]
fn an_absent_name_is_a_json_404_or_a_renamed_repository_and_nothing_else() {
    // Gitea translates the text of a 404.
    for message in
        ["The target couldn't be found.", "not found", "GetUserByName", "Das Ziel konnte nicht gefunden werden."]
    {
        assert_eq!(repository(&says(404, message), &none(), "acme/one"), RepositoryAnswer::Absent, "{message}");
    }
    for status in [301, 307, 308] {
        let moved = redirect(status, "/api/v1/repos/acme/legacy-old");
        assert_eq!(repository(&moved, &none(), "acme/one"), RepositoryAnswer::Absent, "{status}");
        let below = redirect(status, "/gitea/api/v1/repos/acme/legacy-old");
        assert_eq!(repository(&below, &none(), "acme/one"), RepositoryAnswer::Absent, "{status} below a path");
    }
    let other = shown("acme/other", true, "10m0s", "2026-11-23T13:41:02Z");
    assert_eq!(repository(&other, &none(), "acme/one"), RepositoryAnswer::Absent, "a redirect was followed on the way");
    let case = shown("Acme/One", true, "10m0s", "2026-11-23T13:41:02Z");
    assert!(matches!(repository(&case, &none(), "acme/one"), RepositoryAnswer::Present(_)));
}

#[test]
fn a_proxys_words_are_not_lost_in_a_trouble() {
    let RepositoryAnswer::Trouble(trouble) = repository(&answer(200, JSON, "{}"), &none(), "acme/one") else {
        panic!()
    };
    assert_eq!(trouble.detail, "200 with JSON that describes no repository");
    let MigrateAnswer::Unknown(trouble) = migrate(&answer(201, JSON, "{}"), &none()) else { panic!() };
    assert_eq!(trouble.detail, "201 with JSON that describes no repository");
}

#[test]
fn json_that_describes_no_repository_is_trouble() {
    for body in ["{}", "[]", "null", "", r#"{"id":2"#, r#"{"full_name":"acme/one"}"#] {
        let RepositoryAnswer::Trouble(trouble) = repository(&answer(200, JSON, body), &none(), "acme/one") else {
            panic!("{body}")
        };
        assert_eq!(trouble.kind, TroubleKind::Foreign, "{body}");
    }
    let odd = shown("acme/one", true, "every now and then", "2026-11-23T13:41:02Z");
    assert!(matches!(repository(&odd, &none(), "acme/one"), RepositoryAnswer::Trouble(_)));
    let RepositoryAnswer::Trouble(trouble) = repository(&says(500, ""), &none(), "acme/one") else { panic!() };
    assert_eq!((trouble.kind, trouble.detail.as_str()), (TroubleKind::ServerError, "it answers 500"));
}

#[test]
fn every_answer_to_a_sync_has_its_meaning() {
    let write = "user should have a permission to write to a repo";
    for (status, message, meaning) in [
        (400, "Repository is not a mirror", SyncAnswer::NotAMirror),
        // From the source of every release.
        (400, "Mirror feature is disabled", SyncAnswer::MirrorsDisabled),
        (403, write, SyncAnswer::Refused(Refusal::Forbidden { message: write.into() })),
        // An absent repository; on Forgejo 16 also one whose unit Code is disabled.
        (404, "The target couldn't be found.", SyncAnswer::Gone),
        (404, "not found", SyncAnswer::Gone),
        (405, "", SyncAnswer::Gone),
        (413, "quota exceeded", SyncAnswer::LimitReached { message: "quota exceeded".into() }),
        (423, "repo is archived", SyncAnswer::Archived),
        (423, "acme/legacy is archived", SyncAnswer::Archived),
        (423, "<Repository 40:acme/legacy> is archived", SyncAnswer::Archived),
    ] {
        assert_eq!(sync(&says(status, message), &none()), meaning, "{message}");
    }
    // A queued sync is answered without body and content type.
    assert_eq!(sync(&Response::new(Bytes::new()), &none()), SyncAnswer::Queued);
    // A POST that a followed redirect turned into a GET.
    let mut turned = Response::new(Bytes::new());
    *turned.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
    assert_eq!(sync(&turned, &none()), SyncAnswer::Gone);
    assert_eq!(sync(&renamed(301), &none()), SyncAnswer::Gone);
    assert!(matches!(sync(&says(500, ""), &none()), SyncAnswer::Unknown(_)));
}
