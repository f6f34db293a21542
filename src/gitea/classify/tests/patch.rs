//! Answers to a PATCH. A 200 does not prove that anything changed, and a 500 does not prove that nothing did.

use super::*;

#[test]
fn every_answer_to_a_patch_has_its_meaning() {
    let below = |minimum| PatchAnswer::BelowMinimum { minimum: Some(GoDuration::parse(minimum).unwrap()) };
    let invalid = |message: &str| PatchAnswer::Invalid { message: message.into() };
    let admin = "user should be an owner or a collaborator with admin write of a repository";
    let taken = "repository already exists [uname: acme, name: one]";
    for (status, message, meaning) in [
        (422, "invalid mirror interval: 9m59s is below minimum interval: 10m0s", below("10m")),
        (422, "invalid mirror interval: -1s is below minimum interval: 1h30m0s", below("90m")),
        (422, "below minimum interval: soon", PatchAnswer::BelowMinimum { minimum: None }),
        (422, "time: invalid duration \"ten\"", invalid("time: invalid duration \"ten\"")),
        // From the source of Gitea 1.20 and 1.21; later releases answer 200 and change nothing.
        (422, "repo is not a mirror, can not change mirror interval", PatchAnswer::NotAMirror),
        (422, "repo is a mirror, cannot archive/un-archive", invalid("repo is a mirror, cannot archive/un-archive")),
        (422, taken, invalid(taken)),
        (422, "name is reserved [name: -]", invalid("name is reserved [name: -]")),
        (422, "name pattern is not allowed [pattern: *.git]", invalid("name pattern is not allowed [pattern: *.git]")),
        // A placeholder's answer; also that of a default branch that was changed anyway.
        (500, "", PatchAnswer::ServerError),
        (404, "not found", PatchAnswer::Gone),
        (403, admin, PatchAnswer::Refused(Refusal::Forbidden { message: admin.into() })),
    ] {
        assert_eq!(patch(&says(status, message), &none()), meaning, "{message}");
        assert_eq!(patch_of_a_mirror(&says(status, message), &none()), meaning, "{message}");
    }
    assert_eq!(patch(&renamed(301), &none()), PatchAnswer::Gone);
    assert_eq!(patch(&renamed(307), &none()), PatchAnswer::Gone);
    assert!(matches!(patch(&says(418, "odd"), &none()), PatchAnswer::Unknown(_)));
}

#[test]
fn a_200_with_a_regular_repository_is_a_rename_that_was_done_and_settings_that_were_not() {
    let regular = shown("acme/one-legacy", false, "", "0001-01-01T00:00:00Z");
    assert_eq!(patch(&regular, &none()), PatchAnswer::Done);
    assert_eq!(patch_of_a_mirror(&regular, &none()), PatchAnswer::NotAMirror);
    // A sync may have reset the interval. The next observation shows it.
    for interval in ["10m0s", "8h0m0s", "0s", ""] {
        let mirror = shown("acme/one", true, interval, "2026-11-23T13:41:02Z");
        assert_eq!(patch_of_a_mirror(&mirror, &none()), PatchAnswer::Done, "{interval}");
    }
}
