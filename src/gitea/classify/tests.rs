//! One row an answer: status, content type and words as real servers sent them (Gitea 1.22 to 1.27, Forgejo 11 and 16),
//! and what they mean to us. Rows that no server was seen to send come from its source, and say so.

mod conflicts;
mod migrate;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::domain::answer::Sent;
use crate::domain::credential::Credential;

const JSON: &str = "application/json;charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What Gitea and Forgejo answer everywhere until somebody has gone through their installation page.
const NOT_INSTALLED: &str = r#"Not Found. <a href="/">Go to default page</a>."#;

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    response.body(body.into()).unwrap()
}

/// An error as Gitea words it.
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

/// A renamed repository's answer to anything but a GET: no content type, no body.
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

macro_rules! trouble_in {
    ($answer:expr, $variant:path) => {
        match $answer {
            $variant(trouble) => trouble,
            other => panic!("{other:?} is no trouble"),
        }
    };
}

/// Every answer that says nothing of Gitea's state, whichever call it is to, and the kind of trouble that it is.
fn foreign_answers() -> Vec<(Response<Bytes>, TroubleKind)> {
    vec![
        (not_installed(), TroubleKind::Foreign),
        (answer(404, PLAIN, "404 page not found\n"), TroubleKind::Foreign),
        (answer(404, HTML, "<html>default backend</html>"), TroubleKind::Foreign),
        (answer(200, HTML, "<html>Sign in</html>"), TroubleKind::Foreign),
        (answer(201, HTML, "<html>Sign in</html>"), TroubleKind::Foreign),
        (answer(200, PLAIN, "ok"), TroubleKind::Foreign),
        (answer(401, HTML, "<html>401 Authorization Required</html>"), TroubleKind::Foreign),
        (answer(403, HTML, "<html>403 Forbidden</html>"), TroubleKind::Foreign),
        (answer(413, HTML, "<html>413 Request Entity Too Large</html>"), TroubleKind::Foreign),
        (redirect(302, "/user/login?redirect_to=/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(302, "/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(301, "https://gitea.test/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(301, "//gitea.test/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(307, "/oauth2/start?rd=/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(307, "/login#/api/v1/repos/acme/one"), TroubleKind::Foreign),
        (redirect(308, "/"), TroubleKind::Foreign),
        (answer(500, HTML, "<html>500</html>"), TroubleKind::ServerError),
        (answer(500, JSON, r#"{"message":"An unexpected error occurred"}"#), TroubleKind::ServerError),
        (answer(400, JSON, r#"{"error":"bad request"}"#), TroubleKind::Foreign),
        (answer(408, PLAIN, "timeout"), TroubleKind::Busy),
        (answer(429, JSON, r#"{"message":"slow down"}"#), TroubleKind::Busy),
        (answer(502, HTML, "<html>502 Bad Gateway</html>"), TroubleKind::Busy),
        (answer(503, PLAIN, "no healthy upstream"), TroubleKind::Busy),
        (answer(504, PLAIN, "upstream request timeout"), TroubleKind::Busy),
        (answer(504, JSON, r#"{"message":"gateway timeout"}"#), TroubleKind::Busy),
    ]
}

#[test]
fn what_is_not_giteas_own_answer_is_trouble_whatever_was_asked() {
    for (response, kind) in foreign_answers() {
        let troubles = [
            trouble_in!(repository(&response, &none(), "acme/one"), RepositoryAnswer::Trouble),
            trouble_in!(organisation(&response, &none()).expect("an answer"), OwnerAnswer::Trouble),
            trouble_in!(user(&response, &none()), OwnerAnswer::Trouble),
            trouble_in!(create_organisation(&response, &none()), CreateOrganisationAnswer::Unknown),
            trouble_in!(migrate(&response, &none()), MigrateAnswer::Unknown),
            trouble_in!(patch(&response, &none()), PatchAnswer::Unknown),
            trouble_in!(sync(&response, &none()), SyncAnswer::Unknown),
        ];
        for trouble in troubles {
            assert_eq!((trouble.kind, trouble.sent), (kind, Sent::Maybe), "{response:?}");
        }
    }
}

#[test]
fn an_installation_page_is_named_as_such() {
    let RepositoryAnswer::Trouble(trouble) = repository(&not_installed(), &none(), "acme/one") else { panic!() };
    assert_eq!(
        trouble.detail,
        "404 with a web page where its API answers in JSON, which is what Gitea's installation page does"
    );
}

#[test]
fn a_pause_that_a_proxy_asks_for_is_kept() {
    let response = with_header(answer(503, PLAIN, ""), header::RETRY_AFTER, "17");
    let SyncAnswer::Unknown(trouble) = sync(&response, &none()) else { panic!() };
    assert_eq!(trouble.retry_after, Some(Duration::from_secs(17)));
}

#[test]
fn a_credential_that_is_not_taken_is_a_refusal_of_every_call() {
    for message in [
        "token is required",
        "user does not exist [uid: 0, name: ]",
        "invalid username, password or token",
        "access token does not exist [sha: x]",
    ] {
        let response = says(401, message);
        let refusal = Refusal::Unauthenticated { message: message.into() };
        assert_eq!(repository(&response, &none(), "acme/one"), RepositoryAnswer::Refused(refusal.clone()));
        assert_eq!(organisation(&response, &none()), Some(OwnerAnswer::Refused(refusal.clone())));
        assert_eq!(user(&response, &none()), OwnerAnswer::Refused(refusal.clone()));
        assert_eq!(create_organisation(&response, &none()), CreateOrganisationAnswer::Refused(refusal.clone()));
        assert_eq!(migrate(&response, &none()), MigrateAnswer::Refused(refusal.clone()));
        assert_eq!(patch(&response, &none()), PatchAnswer::Refused(refusal.clone()));
        assert_eq!(sync(&response, &none()), SyncAnswer::Refused(refusal));
    }
}

#[test]
fn a_scope_that_is_missing_is_told_from_every_other_403() {
    for message in [
        "token does not have at least one of required scope(s): [write:repository]",
        "token does not have at least one of required scope(s), required=[write:repository], token scope=read:repository",
    ] {
        let (response, refusal) = (says(403, message), Refusal::Scope { message: message.into() });
        assert_eq!(repository(&response, &none(), "acme/one"), RepositoryAnswer::Refused(refusal.clone()));
        assert_eq!(create_organisation(&response, &none()), CreateOrganisationAnswer::Refused(refusal.clone()));
        assert_eq!(migrate(&response, &none()), MigrateAnswer::Refused(refusal.clone()));
        assert_eq!(patch(&response, &none()), PatchAnswer::Refused(refusal.clone()));
        assert_eq!(sync(&response, &none()), SyncAnswer::Refused(refusal));
        // the sequence does without looking at the owner
        assert_eq!(organisation(&response, &none()), Some(OwnerAnswer::NotShown));
        assert_eq!(user(&response, &none()), OwnerAnswer::Absent);
    }
    let message = "Only signed in user is allowed to call APIs.";
    assert_eq!(
        repository(&says(403, message), &none(), "acme/one"),
        RepositoryAnswer::Refused(Refusal::Forbidden { message: message.into() })
    );
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
    assert_eq!(sync(&answer(403, JSON, both), &none()), SyncAnswer::Refused(refusal));
}

/// A repository as Gitea 1.27 shows one; members that we do not read stand for all the others.
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
    // the text of a 404 is translated
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
fn an_owner_is_an_organisation_a_user_or_nobody_that_we_may_see() {
    let json = |status| answer(status, JSON, "{}");
    assert_eq!(organisation(&json(200), &none()), Some(OwnerAnswer::Organisation));
    for message in ["GetOrgByName", "HasOrgOrUserVisible", "not found"] {
        assert_eq!(organisation(&says(404, message), &none()), None, "{message}");
    }
    assert_eq!(organisation(&redirect(307, "/api/v1/orgs/new"), &none()), Some(OwnerAnswer::Renamed));
    assert_eq!(user(&json(200), &none()), OwnerAnswer::User);
    assert_eq!(user(&says(404, "user redirect does not exist [name: acme]"), &none()), OwnerAnswer::Absent);
    assert_eq!(user(&redirect(307, "/api/v1/users/new"), &none()), OwnerAnswer::Renamed);
}

#[test]
fn every_answer_to_creating_an_organisation_has_its_meaning() {
    let refused = |message: &str| CreateOrganisationAnswer::NameRefused { message: message.into() };
    for (status, message, meaning) in [
        (201, "", CreateOrganisationAnswer::Created),
        (422, "user already exists [name: acme]", CreateOrganisationAnswer::Taken),
        (422, "name is reserved [name: api]", refused("name is reserved [name: api]")),
        (422, "[UserName]: invalid username", refused("[UserName]: invalid username")),
        (422, "[UserName]: MaxSize", refused("[UserName]: MaxSize")),
        (403, "%!s(<nil>)", CreateOrganisationAnswer::NotAllowed),
        // 1.27's source
        (403, "not allowed to create org", CreateOrganisationAnswer::NotAllowed),
    ] {
        assert_eq!(create_organisation(&says(status, message), &none()), meaning, "{message}");
    }
    assert!(matches!(create_organisation(&says(500, ""), &none()), CreateOrganisationAnswer::Unknown(_)));
    assert!(matches!(create_organisation(&renamed(307), &none()), CreateOrganisationAnswer::Unknown(_)));
}

#[test]
fn every_answer_to_a_patch_has_its_meaning() {
    let below = |minimum| PatchAnswer::BelowMinimum { minimum: Some(GoDuration::parse(minimum).unwrap()) };
    let invalid = |message: &str| PatchAnswer::Invalid { message: message.into() };
    let admin = "user should be an owner or a collaborator with admin write of a repository";
    for (status, message, meaning) in [
        (200, "", PatchAnswer::Done),
        (422, "invalid mirror interval: 9m59s is below minimum interval: 10m0s", below("10m")),
        (422, "invalid mirror interval: -1s is below minimum interval: 1h30m0s", below("90m")),
        (422, "below minimum interval: soon", PatchAnswer::BelowMinimum { minimum: None }),
        (422, "time: invalid duration \"ten\"", invalid("time: invalid duration \"ten\"")),
        (422, "repo is a mirror, cannot archive/un-archive", invalid("repo is a mirror, cannot archive/un-archive")),
        (500, "", PatchAnswer::ServerError),
        (404, "not found", PatchAnswer::Gone),
        (403, admin, PatchAnswer::Refused(Refusal::Forbidden { message: admin.into() })),
    ] {
        assert_eq!(patch(&says(status, message), &none()), meaning, "{message}");
    }
    assert_eq!(patch(&renamed(301), &none()), PatchAnswer::Gone);
    assert_eq!(patch(&renamed(307), &none()), PatchAnswer::Gone);
    assert!(matches!(patch(&says(418, "odd"), &none()), PatchAnswer::Unknown(_)));
}

#[test]
fn every_answer_to_a_sync_has_its_meaning() {
    let write = "user should have a permission to write to a repo";
    for (status, message, meaning) in [
        (400, "Repository is not a mirror", SyncAnswer::NotAMirror),
        // from the source of every version
        (400, "Mirror feature is disabled", SyncAnswer::MirrorsDisabled),
        (403, write, SyncAnswer::Refused(Refusal::Forbidden { message: write.into() })),
        (404, "The target couldn't be found.", SyncAnswer::Gone),
        (405, "", SyncAnswer::Gone),
        (413, "quota exceeded", SyncAnswer::LimitReached { message: "quota exceeded".into() }),
        (423, "repo is archived", SyncAnswer::Archived),
        (423, "acme/legacy is archived", SyncAnswer::Archived),
        (423, "<Repository 40:acme/legacy> is archived", SyncAnswer::Archived),
    ] {
        assert_eq!(sync(&says(status, message), &none()), meaning, "{message}");
    }
    // all that a queued sync gets: no body, and no content type
    assert_eq!(sync(&Response::new(Bytes::new()), &none()), SyncAnswer::Queued);
    assert_eq!(sync(&renamed(301), &none()), SyncAnswer::Gone);
    assert!(matches!(sync(&says(500, ""), &none()), SyncAnswer::Unknown(_)));
    assert!(matches!(patch(&Response::new(Bytes::new()), &none()), PatchAnswer::Unknown(_)), "a PATCH has a body");
}
