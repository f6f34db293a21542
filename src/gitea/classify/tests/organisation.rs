//! Answers to reading and creating the owner.

use super::*;

/// An organisation, in the form of every release.
fn acme(status: u16) -> Response<Bytes> {
    let body =
        serde_json::json!({ "id": 4, "name": "acme", "full_name": "", "visibility": "public", "username": "acme" });
    answer(status, JSON, body.to_string())
}

#[test]
fn an_owner_is_an_organisation_a_user_or_absent() {
    assert_eq!(organisation(&acme(200), &none()), Some(OwnerAnswer::Organisation));
    for message in ["GetOrgByName", "HasOrgOrUserVisible", "not found"] {
        assert_eq!(organisation(&says(404, message), &none()), None, "{message}");
    }
    assert_eq!(organisation(&redirect(307, "/api/v1/orgs/new"), &none()), Some(OwnerAnswer::Renamed));
    let bot = answer(200, JSON, r#"{"id":2,"login":"bot","username":"bot"}"#);
    assert_eq!(user(&bot, &none()), OwnerAnswer::User);
    assert_eq!(user(&says(404, "user redirect does not exist [name: acme]"), &none()), OwnerAnswer::Absent);
    assert_eq!(user(&redirect(307, "/api/v1/users/new"), &none()), OwnerAnswer::Renamed);
}

#[test]
fn every_answer_to_creating_an_organisation_has_its_meaning() {
    let refused = |message: &str| CreateOrganisationAnswer::NameRefused { message: message.into() };
    for (status, message, meaning) in [
        (422, "user already exists [name: acme]", CreateOrganisationAnswer::Taken),
        (422, "name is reserved [name: api]", refused("name is reserved [name: api]")),
        (
            422,
            "name pattern is not allowed [pattern: *.keys]",
            refused("name pattern is not allowed [pattern: *.keys]"),
        ),
        (422, "[UserName]: invalid username", refused("[UserName]: invalid username")),
        (422, "[UserName]: MaxSize", refused("[UserName]: MaxSize")),
        (403, "%!s(<nil>)", CreateOrganisationAnswer::NotAllowed),
        // From the source of Gitea 1.27.
        (403, "not allowed to create org", CreateOrganisationAnswer::NotAllowed),
    ] {
        assert_eq!(create_organisation(&says(status, message), &none()), meaning, "{message}");
    }
    assert_eq!(create_organisation(&acme(201), &none()), CreateOrganisationAnswer::Created);
    assert!(matches!(create_organisation(&says(500, ""), &none()), CreateOrganisationAnswer::Unknown(_)));
    assert!(matches!(create_organisation(&renamed(307), &none()), CreateOrganisationAnswer::Unknown(_)));
}
