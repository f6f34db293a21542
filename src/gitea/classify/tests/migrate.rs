//! Answers to a migrate, the call with the most outcomes.

use super::*;

#[test]
fn every_answer_to_a_migrate_has_its_meaning() {
    let url = |message: &str| MigrateAnswer::UrlRefused { message: message.into() };
    let name = |message: &str| MigrateAnswer::NameRefused { message: message.into() };
    let limit = |message: &str| MigrateAnswer::LimitReached { message: message.into() };
    for (status, message, meaning) in [
        (409, "The repository with the same name already exists.", MigrateAnswer::Exists),
        // From the source of Gitea up to 1.23 and of Forgejo.
        (409, "Files already exist for this repository. Adopt them or delete them.", MigrateAnswer::FilesExist),
        (403, "Given user is not owner of organization.", MigrateAnswer::NotOwner),
        (403, "Given user is not an organization.", MigrateAnswer::NotOrganisation),
        (403, "the site administrator has disabled the creation of new pull mirrors", MigrateAnswer::MirrorsDisabled),
        (403, "the site administrator has disabled migrations", MigrateAnswer::MigrationsDisabled),
        (422, "user does not exist [uid: 0, name: nobody]", MigrateAnswer::OwnerMissing),
        (422, "You can not import from disallowed hosts.", MigrateAnswer::HostNotAllowed),
        (500, "", MigrateAnswer::ServerError),
        // Only administrators get the message of a 500.
        (500, "clone timed out, consider increasing [git.timeout] MIGRATE in app.ini", MigrateAnswer::ServerError),
        // From Forgejo's source, for its quota.
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
    let made = shown("acme/one", true, "10m0s", "2026-11-23T13:41:02Z");
    let (parts, body) = made.into_parts();
    let mut made = Response::from_parts(parts, body);
    *made.status_mut() = http::StatusCode::CREATED;
    assert_eq!(migrate(&made, &none()), MigrateAnswer::Created);
    // A 2xx that Gitea never sends does not end a clone.
    *made.status_mut() = http::StatusCode::ACCEPTED;
    assert!(matches!(migrate(&made, &none()), MigrateAnswer::Unknown(_)));
    assert!(matches!(migrate(&renamed(301), &none()), MigrateAnswer::Unknown(_)));
}

#[test]
fn a_failed_clone_is_recognised_by_the_first_words_whatever_git_adds() {
    for message in [
        "Authentication failed: Clone: exit status 128 - fatal: could not read Username for 'http://upstream.test:3001': terminal prompts disabled\n.",
        "Authentication failed: clone error: exit status 128 - fatal: could not read Username for 'http://upstream.test:3001': terminal prompts disabled.",
        "Migration failed: Clone: exit status 128 - remote: no\nfatal: repository 'http://upstream.test:3001/one.git/' not found\n.",
        "Migration failed: clone error: exit status 128 - fatal: unable to access 'http://upstream.test:3001/one.git/': The requested URL returned error: 301.",
        "Migration failed: clone error: exit status 128 - fatal: http://upstream.test:3001/one.git/info/refs not valid: is this a git repository?.",
        "Migration failed: clone error: exit status 128 - error: could not lock config file /data/repositories/acme/slowdel.git/config: No such file or directory\nfatal: could not set 'core.repositoryformatversion' to '0'\n.",
        "Migration failed: clone error: exit status 128 - fatal: user does not exist, reserved pattern, not allowed",
        "Migration failed: clone error: exit status 128 - fatal: repository 'http://upstream.test:3001/one.git/' does not exist",
        "Migration failed: clone error: exit status 128 - fatal: unable to access 'https://upstream.test/one.git/': SSL certificate problem: self-signed certificate.",
        "Migration failed: clone error: exit status 128 - fatal: unable to update url base from redirection:\n  asked for: http://upstream.test/one\n   redirect: http://elsewhere.test/one.",
        "Migration failed: clone error: exit status 128 - fatal: unable to access 'http://timed.out.Connection/one.git/': The requested URL returned error: 404.",
        "Authentication failed: clone error: exit status 128 - remote: Bad credentials\nfatal: Authentication failed for 'http://upstream.test:3001/one.git/'.",
        // From the source of every release, for services other than `git`.
        "Remote visit required two factors authentication.",
    ] {
        let failed = MigrateAnswer::CloneFailed { message: message.into() };
        assert_eq!(migrate(&says(422, message), &none()), failed, "{message}");
    }
}

#[test]
fn a_temporary_failure_of_a_clone_differs_from_a_permanent_one() {
    let access = "fatal: unable to access 'https://upstream.test/one.git/'";
    for passing in [
        format!("{access}: Could not resolve host: upstream.test"),
        format!("{access}: Failed to connect to upstream.test port 443 after 0 ms: Couldn't connect to server"),
        format!("{access}: Connection timed out after 300000 milliseconds"),
        format!("{access}: Recv failure: Connection reset by peer"),
        format!("{access}: Empty reply from server"),
        "fatal: the remote end hung up unexpectedly\n".to_owned(),
        format!("{access}: Operation timed out after 300000 milliseconds with 0 bytes received"),
        format!("{access}: The requested URL returned error: 500"),
        format!("{access}: The requested URL returned error: 503"),
        "error: RPC failed; curl 56 Recv failure\nfatal: error reading section header 'acknowledgments'".to_owned(),
        "error: 1024 bytes of body are still expected\nfetch-pack: unexpected disconnect while reading sideband packet\n\
         fatal: early EOF\nfatal: fetch-pack: invalid index-pack output"
            .to_owned(),
    ] {
        let message = format!("Migration failed: clone error: exit status 128 - {passing}.");
        let broke_off = MigrateAnswer::CloneBrokeOff { message: message.clone() };
        assert_eq!(migrate(&says(422, &message), &none()), broke_off);
    }
    let limited = "Remote visit addressed rate limitation.";
    assert_eq!(migrate(&says(422, limited), &none()), MigrateAnswer::CloneBrokeOff { message: limited.into() });
}
