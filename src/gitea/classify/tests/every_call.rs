//! Answers with the same meaning for every call. Each is checked against all calls, and exceptions are listed by name.

use super::*;
use crate::domain::refs::ObjectId;

/// Meaning of an answer, over all calls.
#[derive(Debug, PartialEq)]
enum Meaning {
    Trouble(Trouble),
    Refused(Refusal),
    /// An outcome of this call's own.
    Other(String),
}

macro_rules! meaning {
    ($answer:expr, $trouble:path, $refused:path) => {
        match $answer {
            $trouble(trouble) => Meaning::Trouble(trouble),
            $refused(refusal) => Meaning::Refused(refusal),
            other => Meaning::Other(format!("{other:?}")),
        }
    };
}

/// Classifies an answer as that of each call in turn. Every call of the client must be listed here.
fn of_every_call(response: &Response<Bytes>) -> Vec<(&'static str, Meaning)> {
    let no = &none();
    let old = ObjectId::parse(&"a".repeat(40)).unwrap();
    let owner = |answer| meaning!(answer, OwnerAnswer::Trouble, OwnerAnswer::Refused);
    let patched = |answer| meaning!(answer, PatchAnswer::Unknown, PatchAnswer::Refused);
    vec![
        (
            "version",
            version(response, no).map_or_else(Meaning::Trouble, |version| Meaning::Other(format!("{version:?}"))),
        ),
        (
            "repository",
            meaning!(repository(response, no, "acme/one"), RepositoryAnswer::Trouble, RepositoryAnswer::Refused),
        ),
        ("organisation", organisation(response, no).map_or_else(|| Meaning::Other("None".into()), owner)),
        ("user", owner(user(response, no))),
        (
            "create_organisation",
            meaning!(
                create_organisation(response, no),
                CreateOrganisationAnswer::Unknown,
                CreateOrganisationAnswer::Refused
            ),
        ),
        ("migrate", meaning!(migrate(response, no), MigrateAnswer::Unknown, MigrateAnswer::Refused)),
        ("patch", patched(patch(response, no))),
        ("patch_of_a_mirror", patched(patch_of_a_mirror(response, no))),
        ("sync", meaning!(sync(response, no), SyncAnswer::Unknown, SyncAnswer::Refused)),
        ("delete", meaning!(delete(response, no), DeleteAnswer::Unknown, DeleteAnswer::Refused)),
        ("convert", meaning!(convert(response, no), ConvertAnswer::Unknown, ConvertAnswer::Refused)),
        ("refs", meaning!(no_refs(response, no), LocalRefsAnswer::Trouble, LocalRefsAnswer::Refused)),
        (
            "ancestry",
            match ancestry(response, &old, no) {
                AncestryAnswer::Trouble(trouble) => Meaning::Trouble(trouble),
                other @ (AncestryAnswer::FastForward | AncestryAnswer::Rewritten | AncestryAnswer::Unknown) => {
                    Meaning::Other(format!("{other:?}"))
                }
            },
        ),
    ]
}

/// Asserts that an answer is this kind of trouble for every call but the listed ones.
#[track_caller]
fn is_trouble_to_all_but(response: &Response<Bytes>, kind: TroubleKind, but: &[(&str, &str)]) {
    for (call, meaning) in of_every_call(response) {
        match (but.iter().find(|(name, _)| *name == call), meaning) {
            (Some((_, own)), meaning) => assert_eq!(meaning, Meaning::Other((*own).into()), "{call}: {response:?}"),
            (None, Meaning::Trouble(trouble)) => {
                assert_eq!((trouble.kind, trouble.sent), (kind, Sent::Maybe), "{call}: {response:?}");
            }
            (None, other) => panic!("{call} takes {response:?} for {other:?}"),
        }
    }
}

#[test]
fn what_is_not_giteas_own_answer_is_trouble_whatever_was_asked() {
    let (foreign, not_ready) = (TroubleKind::Foreign, TroubleKind::NotReady);
    for (response, kind) in [
        (not_installed(), not_ready),
        (answer(404, HTML, "<html>default backend</html>"), not_ready),
        (answer(404, JSON, r#"{"message":"not found"}"#), foreign),
        (answer(200, HTML, "<html>Sign in</html>"), foreign),
        (answer(201, HTML, "<html>Sign in</html>"), foreign),
        (answer(200, PLAIN, "ok"), foreign),
        (answer(401, HTML, "<html>401 Authorization Required</html>"), not_ready),
        (answer(403, HTML, "<html>403 Forbidden</html>"), not_ready),
        (answer(405, HTML, "<html>405 Not Allowed</html>"), not_ready),
        (answer(413, HTML, "<html>413 Request Entity Too Large</html>"), not_ready),
        (answer(422, HTML, "<html>422</html>"), not_ready),
        (answer(423, HTML, "<html>423 Locked</html>"), not_ready),
        (redirect(302, "/user/login?redirect_to=/api/v1/repos/acme/one"), foreign),
        (redirect(302, "/api/v1/repos/acme/one"), foreign),
        (redirect(303, "/api/v1/repos/acme/one"), foreign),
        (redirect(301, "https://gitea.test/api/v1/repos/acme/one"), foreign),
        (redirect(301, "//gitea.test/api/v1/repos/acme/one"), foreign),
        (redirect(307, "https://gitea.test/api/v1/repos/acme/one"), foreign),
        (redirect(307, "/oauth2/start?rd=/api/v1/repos/acme/one"), foreign),
        (redirect(307, "/login#/api/v1/repos/acme/one"), foreign),
        (redirect(308, "/"), foreign),
        (answer(301, HTML, ""), foreign),
        (answer(500, HTML, "<html>500</html>"), TroubleKind::ServerError),
        (answer(500, JSON, r#"{"message":"An unexpected error occurred"}"#), TroubleKind::ServerError),
        (answer(501, JSON, r#"{"error":"not implemented"}"#), TroubleKind::ServerError),
        (answer(400, JSON, r#"{"error":"bad request"}"#), foreign),
        (answer(409, JSON, r#"{"message":"conflict"}"#), foreign),
        (answer(422, JSON, r#"{"message":"Unprocessable Entity"}"#), foreign),
        (answer(423, JSON, r#"{"message":"locked"}"#), foreign),
        (answer(424, JSON, r#"{"status":"fail"}"#), foreign),
        (answer(408, PLAIN, "timeout"), TroubleKind::Busy),
        (answer(429, JSON, r#"{"message":"slow down"}"#), TroubleKind::Busy),
        (says(429, "slow down"), TroubleKind::Busy),
        (answer(502, HTML, "<html>502 Bad Gateway</html>"), TroubleKind::Busy),
        (says(502, "bad gateway"), TroubleKind::Busy),
        (answer(503, PLAIN, "no healthy upstream"), TroubleKind::Busy),
        (answer(504, PLAIN, "upstream request timeout"), TroubleKind::Busy),
        (answer(504, JSON, r#"{"message":"gateway timeout"}"#), TroubleKind::Busy),
    ] {
        is_trouble_to_all_but(&response, kind, &[]);
    }
    // The path is unknown to this server, which only `convert` expects.
    let unknown_path = answer(404, PLAIN, "404 page not found\n");
    is_trouble_to_all_but(&unknown_path, not_ready, &[("convert", "NotOffered")]);
}

#[test]
fn a_good_status_with_json_of_another_shape_or_cut_off_is_trouble_whatever_was_asked() {
    let cut_off = r#"{"id":2,"full_name":"acme/one","mirror":tr"#;
    for body in ["{}", "null", "true", "\"ok\"", r#"{"status":"ok"}"#, r#"{"message":"ok"}"#, cut_off, "{", "<html>"] {
        for status in [200, 201, 202] {
            is_trouble_to_all_but(&answer(status, JSON, body), TroubleKind::Foreign, &[]);
        }
    }
    // An empty 200 is the answer to a queued sync, from any server. Its proof is in the refs.
    is_trouble_to_all_but(&answer(200, JSON, ""), TroubleKind::Foreign, &[("sync", "Queued")]);
    is_trouble_to_all_but(&answer(200, PLAIN, ""), TroubleKind::Foreign, &[("sync", "Queued")]);
    is_trouble_to_all_but(&Response::new(Bytes::new()), TroubleKind::Foreign, &[("sync", "Queued")]);
    is_trouble_to_all_but(&answer(200, JSON, "[]"), TroubleKind::Foreign, &[("ancestry", "FastForward")]);
}

#[test]
fn an_error_of_giteas_that_no_release_has_is_trouble_and_an_end_of_a_migrate_alone() {
    let told = r#"Other { status: 418, message: "odd" }"#;
    is_trouble_to_all_but(&says(418, "odd"), TroubleKind::Foreign, &[("migrate", told)]);
    let own = [("migrate", "ServerError"), ("patch", "ServerError"), ("patch_of_a_mirror", "ServerError")];
    is_trouble_to_all_but(&says(500, ""), TroubleKind::ServerError, &own);
}

/// Asserts that an answer is this refusal for every call but the listed ones.
#[track_caller]
fn is_refused_to_all_but(response: &Response<Bytes>, refusal: &Refusal, but: &[(&str, &str)]) {
    for (call, meaning) in of_every_call(response) {
        if let Some((_, own)) = but.iter().find(|(name, _)| *name == call) {
            assert_eq!(meaning, Meaning::Other((*own).into()), "{call}: {response:?}");
        } else if call == "version" {
            // The version only names the server. Missing permissions show in the other calls.
            assert!(matches!(meaning, Meaning::Trouble(Trouble { kind: TroubleKind::Foreign, .. })), "{meaning:?}");
        } else {
            assert_eq!(meaning, Meaning::Refused(refusal.clone()), "{call}: {response:?}");
        }
    }
}

#[test]
fn a_rejected_credential_is_a_refusal_for_every_call() {
    for message in [
        "token is required",
        "user does not exist [uid: 0, name: ]",
        "invalid username, password or token",
        "access token does not exist [sha: x]",
    ] {
        let refusal = Refusal::Unauthenticated { message: message.into() };
        is_refused_to_all_but(&says(401, message), &refusal, &[("ancestry", "Unknown")]);
        // Gitea's check of a credential does not always send `url`.
        let bare = answer(401, JSON, serde_json::json!({ "message": message }).to_string());
        is_refused_to_all_but(&bare, &refusal, &[("ancestry", "Unknown")]);
    }
}

#[test]
fn a_missing_scope_differs_from_every_other_403() {
    // cutover-api works without reading the owner.
    let without = [("organisation", "NotShown"), ("user", "Absent"), ("ancestry", "Unknown")];
    for message in [
        "token does not have at least one of required scope(s): [write:repository]",
        "token does not have at least one of required scope(s), required=[write:repository], token scope=read:repository",
        // From a DELETE on Forgejo 16.
        "token does not have at least one of required scope(s): [write:organization]",
    ] {
        is_refused_to_all_but(&says(403, message), &Refusal::Scope { message: message.into() }, &without);
    }
    let [organisation, user, comparison] = without;
    let without = [organisation, user, comparison, ("create_organisation", "NotAllowed"), ("refs", "HttpGitDisabled")];
    for message in [
        "Only signed in user is allowed to call APIs.",
        // From the source of every release.
        "You must change your password. Change it at: http://gitea.test:3000/user/change_password",
        "This account is prohibited from signing in, please contact your site administrator.",
        "This account is not activated.",
        "user should be the owner of the repo",
    ] {
        let refusal = Refusal::Forbidden { message: message.into() };
        is_refused_to_all_but(&says(403, message), &refusal, &without);
        let bare = answer(403, JSON, serde_json::json!({ "message": message }).to_string());
        is_refused_to_all_but(&bare, &refusal, &without);
    }
}

#[test]
fn the_redirect_of_a_renamed_name_is_followed_by_no_call() {
    for status in [301, 307, 308] {
        for response in [renamed(status), redirect(status, "/gitea/api/v1/repos/acme/legacy-old")] {
            for (call, meaning) in of_every_call(&response) {
                let own = match call {
                    "repository" => "Absent",
                    "organisation" | "user" => "Renamed",
                    "patch" | "patch_of_a_mirror" | "sync" | "convert" | "refs" => "Gone",
                    // No placeholder has this name any more.
                    "delete" => "Changed",
                    "ancestry" => "Unknown",
                    // These paths contain no repository name.
                    "version" | "create_organisation" | "migrate" => {
                        let is_foreign =
                            matches!(meaning, Meaning::Trouble(Trouble { kind: TroubleKind::Foreign, .. }));
                        assert!(is_foreign, "{call}: {meaning:?}");
                        continue;
                    }
                    other => panic!("what does {other} take a redirect for?"),
                };
                assert_eq!(meaning, Meaning::Other(own.into()), "{call} {status}");
            }
        }
    }
}
