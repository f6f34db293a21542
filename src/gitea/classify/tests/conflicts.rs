//! Answers to the calls that only conflicts and mode changes need.

use super::*;
use crate::domain::refs::ObjectId;

#[test]
fn a_404_is_giteas_only_with_the_address_that_all_its_errors_carry() {
    let foreign = answer(404, JSON, r#"{"message":"not found"}"#);
    let told = repository(&foreign, &none(), "a/b");
    assert!(matches!(told, RepositoryAnswer::Trouble(Trouble { kind: TroubleKind::Foreign, .. })), "{told:?}");
    assert_eq!(repository(&says(404, "not found"), &none(), "a/b"), RepositoryAnswer::Absent);
}

#[test]
fn a_deletion_is_done_with_204_and_404_and_a_redirect_is_another_repository() {
    assert_eq!(delete(&answer(204, PLAIN, ""), &none()), DeleteAnswer::Gone);
    assert_eq!(delete(&says(404, "not found"), &none()), DeleteAnswer::Gone);
    assert_eq!(delete(&renamed(307), &none()), DeleteAnswer::Changed);
    for words in ["user should be the owner of the repo", "Given user is not owner of organization."] {
        let refusal = Refusal::Forbidden { message: words.into() };
        assert_eq!(delete(&says(403, words), &none()), DeleteAnswer::Refused(refusal));
    }
    for lost in [says(500, ""), answer(504, HTML, "<html></html>"), not_installed()] {
        assert!(matches!(delete(&lost, &none()), DeleteAnswer::Unknown(_)), "{lost:?}");
    }
}

#[test]
fn a_server_without_convert_answers_in_plain_text_and_a_proxys_page_proves_nothing() {
    let regular = shown("acme/one", false, "", "0001-01-01T00:00:00Z");
    assert_eq!(convert(&regular, &none()), ConvertAnswer::Done);
    let still = shown("acme/one", true, "10m0s", "2026-11-23T13:41:02Z");
    assert!(matches!(convert(&still, &none()), ConvertAnswer::Unknown(_)), "it is a mirror still");
    assert_eq!(convert(&answer(404, PLAIN, "404 page not found\n"), &none()), ConvertAnswer::NotOffered);
    assert_eq!(convert(&says(422, "Repository is not a mirror"), &none()), ConvertAnswer::NotAMirror);
    assert_eq!(convert(&says(404, "not found"), &none()), ConvertAnswer::Gone);
    assert_eq!(convert(&renamed(307), &none()), ConvertAnswer::Gone);
    let refused = convert(&says(403, "user should be the owner of the repo"), &none());
    assert!(matches!(refused, ConvertAnswer::Refused(Refusal::Forbidden { .. })), "{refused:?}");
    for lost in [says(500, ""), answer(404, HTML, "<html></html>"), answer(504, HTML, ""), not_installed()] {
        assert!(matches!(convert(&lost, &none()), ConvertAnswer::Unknown(_)), "{lost:?}");
    }
}

#[test]
fn history_is_rewritten_if_the_old_commit_is_listed_and_unknown_if_gitea_lacks_it() {
    let old = ObjectId::parse(&"a".repeat(40)).unwrap();
    let commits = |ids: &[&str]| {
        let list: Vec<String> = ids.iter().map(|id| format!(r#"{{"sha":"{}"}}"#, id.repeat(40))).collect();
        ancestry(&answer(200, JSON, format!("[{}]", list.join(","))), &old, &none())
    };
    assert_eq!(commits(&[]), AncestryAnswer::FastForward);
    assert_eq!(commits(&["a"]), AncestryAnswer::Rewritten);
    for other in [&["b"][..], &["a", "b"]] {
        assert!(matches!(commits(other), AncestryAnswer::Trouble(_)), "another question was answered: {other:?}");
    }
    for denied in [says(404, "object does not exist"), says(403, "token does not have"), renamed(301)] {
        assert_eq!(ancestry(&denied, &old, &none()), AncestryAnswer::Unknown, "{denied:?}");
    }
    for lost in [says(500, ""), answer(200, JSON, "null"), answer(200, JSON, "{}"), answer(200, HTML, "<html>")] {
        assert!(matches!(ancestry(&lost, &old, &none()), AncestryAnswer::Trouble(_)), "{lost:?}");
    }
}
