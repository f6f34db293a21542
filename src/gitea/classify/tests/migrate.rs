//! The call with the most answers.

use super::*;

#[test]
fn every_answer_to_a_migrate_has_its_meaning() {
    let url = |message: &str| MigrateAnswer::UrlRefused { message: message.into() };
    let name = |message: &str| MigrateAnswer::NameRefused { message: message.into() };
    let limit = |message: &str| MigrateAnswer::LimitReached { message: message.into() };
    for (status, message, meaning) in [
        (409, "The repository with the same name already exists.", MigrateAnswer::Exists),
        // from the source of Gitea up to 1.23 and of Forgejo
        (409, "Files already exist for this repository. Adopt them or delete them.", MigrateAnswer::FilesExist),
        (403, "Given user is not owner of organization.", MigrateAnswer::NotOwner),
        (403, "Given user is not an organization.", MigrateAnswer::NotOrganisation),
        (403, "the site administrator has disabled the creation of new pull mirrors", MigrateAnswer::MirrorsDisabled),
        (403, "the site administrator has disabled migrations", MigrateAnswer::MigrationsDisabled),
        (422, "user does not exist [uid: 0, name: nobody]", MigrateAnswer::OwnerMissing),
        (422, "You can not import from disallowed hosts.", MigrateAnswer::HostNotAllowed),
        (500, "", MigrateAnswer::ServerError),
        // Forgejo's quota, from its source
        (413, "quota exceeded", limit("quota exceeded")),
        (
            422,
            "You have already reached your limit of 0 repositories.",
            limit("You have already reached your limit of 0 repositories."),
        ),
        (400, "odd", MigrateAnswer::Other { status: 400, message: "odd".into() }),
        (404, "not found", MigrateAnswer::Other { status: 404, message: "not found".into() }),
        (422, "odd", MigrateAnswer::Other { status: 422, message: "odd".into() }),
    ] {
        assert_eq!(migrate(&says(status, message), &none()), meaning, "{message}");
    }
    for message in [
        "The provided URL is invalid.",
        "The URL contains credentials.",
        "You are not allowed to import local repositories.",
        "Invalid local path, it does not exist or not a directory.",
        "migration/cloning from '127.0.0.1' is not allowed: the provided url protocol is not allowed",
        "migration/cloning from '::bad::' is not allowed: the provided url is invalid",
        "migration/cloning from 'reserved.pattern.test' is not allowed: the provided url protocol is not allowed",
    ] {
        assert_eq!(migrate(&says(422, message), &none()), url(message), "{message}");
    }
    for message in [
        "The username '-' is reserved.",
        "The username '..' contains invalid characters.",
        "The pattern '*.git' is not allowed in a username.",
        "[RepoName]: AlphaDashDot",
        "[RepoName]: MaxSize",
        "[RepoName]: Required",
    ] {
        assert_eq!(migrate(&says(422, message), &none()), name(message), "{message}");
    }
    assert_eq!(migrate(&answer(201, JSON, "{}"), &none()), MigrateAnswer::Created);
    assert!(matches!(migrate(&renamed(301), &none()), MigrateAnswer::Unknown(_)));
}

#[test]
fn a_clone_that_failed_is_told_by_its_first_words_whatever_git_says_after_them() {
    for message in [
        "Authentication failed: Clone: exit status 128 - fatal: could not read Username for 'http://upstream.test:3001': terminal prompts disabled\n.",
        "Authentication failed: clone error: exit status 128 - fatal: could not read Username for 'http://upstream.test:3001': terminal prompts disabled.",
        "Migration failed: Clone: exit status 128 - remote: no\nfatal: repository 'http://upstream.test:3001/one.git/' not found\n.",
        "Migration failed: clone error: exit status 128 - fatal: unable to access 'http://upstream.test:3001/one.git/': The requested URL returned error: 301.",
        "Migration failed: clone error: exit status 128 - fatal: unable to access 'http://upstream.test:3001/one.git/': Empty reply from server.",
        "Migration failed: clone error: exit status 128 - fatal: the remote end hung up unexpectedly\n.",
        "Migration failed: clone error: exit status 128 - fatal: http://upstream.test:3001/one.git/info/refs not valid: is this a git repository?.",
        "Migration failed: clone error: exit status 128 - error: could not lock config file /data/repositories/acme/slowdel.git/config: No such file or directory\nfatal: could not set 'core.repositoryformatversion' to '0'\n.",
        "Migration failed: clone error: exit status 128 - fatal: user does not exist, reserved pattern, not allowed",
    ] {
        let failed = MigrateAnswer::CloneFailed { message: message.into() };
        assert_eq!(migrate(&says(422, message), &none()), failed, "{message}");
    }
}
