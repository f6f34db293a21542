//! Secrets, tokens and who may call.

use std::fs;

use secrecy::ExposeSecret as _;

use super::{Home, TOKEN};
use crate::config::{AuthMode, ConfiguredCredential, Options, Secret, TokensFile, load};
use crate::domain::access::Role;
use crate::domain::credential::{Credential, CredentialSource as _};

#[test]
fn who_may_call_must_be_said() {
    let home = Home::new();
    let file = |text: &str| Some(home.write(&format!("tokens-{}", text.len()), text).into());
    let base = home.options();
    let faults_of = |options: Options| {
        let token_file = home.path("gitea-token");
        load(&options, &|name| (name == "GITEA_TOKEN_FILE").then(|| token_file.clone()))
            .map_or_else(|faults| faults.to_string(), |loaded| loaded.warnings.join("\n"))
    };
    let none = Options { auth: AuthMode::None, tokens_file: None, ..base.clone() };
    for (options, part) in [
        (Options { tokens_file: None, ..base.clone() }, "--tokens-file: --auth tokens needs a file"),
        (Options { tokens_file: Some("/nowhere".into()), ..base.clone() }, "/nowhere does not exist"),
        (Options { tokens_file: Some("/".into()), ..base.clone() }, "is not a file"),
        (Options { tokens_file: file("# nobody\n"), ..base.clone() }, "lists no caller"),
        (Options { tokens_file: file("operator a\nadmin b x\nviewer c sha256:12\n"), ..base.clone() }, "has 3 faults"),
        (
            Options { tokens_file: file("operator a t\nviewer b t\n"), ..base.clone() },
            ": an earlier line has this token",
        ),
        (Options { tokens_file: file("operator a t\n"), ..base.clone() }, "can be guessed"),
        (Options { listen: "localhost".into(), ..base.clone() }, "--listen: write an IP address"),
        (Options { listen: "0.0.0.0:8080".into(), ..none.clone() }, "add --allow-anonymous-remote"),
        (Options { listen: "[::]:8080".into(), ..none.clone() }, "add --allow-anonymous-remote"),
        (
            Options { listen: "0.0.0.0:8080".into(), allow_anonymous_remote: true, ..none.clone() },
            "every caller that reaches the address is an operator",
        ),
        (Options { state_dir: home.path("tokens").into(), ..base.clone() }, "--state-dir: this is not a directory"),
    ] {
        let text = faults_of(options);
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(faults_of(none), "");
}

#[test]
fn a_credential_is_read_anew_at_each_use_and_an_error_names_the_file_only() {
    let home = Home::new();
    let path = home.write("token", "one\n");
    let source = ConfiguredCredential::token_file(path.clone().into());
    let token = || match source.read() {
        Ok(Some(Credential::Token(token))) => Ok(token.expose_secret().to_owned()),
        Ok(_) => panic!("a token"),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(token(), Ok("one".into()));
    for (text, read) in [("two", "two"), ("  three \r\n", "three"), ("four\n\n", "four")] {
        home.write("token", text);
        assert_eq!(token(), Ok(read.into()));
    }
    for (text, wrong) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("hunter2\nx", "more than one line"),
        ("hunter2\u{1b}[0m", "control characters"),
        ("hunter2 x", "a space"),
        ("hunter2ü", "ASCII"),
        (&"hunter2".repeat(10_000), "larger than 64 KiB"),
    ] {
        home.write("token", text);
        let error = token().unwrap_err();
        assert!(error.starts_with(&path) && error.contains(wrong) && !error.contains("hunter2"), "{error}");
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(token().unwrap_err().contains("UTF-8"));
    fs::remove_file(&path).unwrap();
    assert!(token().unwrap_err().contains("does not exist"));
    fs::create_dir(&path).unwrap();
    assert!(token().unwrap_err().contains("is not a file"));
}

#[test]
fn a_password_keeps_its_spaces_and_loses_one_line_break() {
    let home = Home::new();
    let secret = |text: &str| Secret::file(home.write(&format!("f{}", text.len()), text).into());
    let source = ConfiguredCredential::Basic { username: secret("joe\n"), password: secret(" pass word \n") };
    let Ok(Some(Credential::Basic { username, password })) = source.read() else { panic!("basic") };
    assert_eq!((username.as_str(), password.expose_secret()), ("joe", " pass word "));
    assert!(ConfiguredCredential::Basic { username: secret("a:b"), password: secret("x") }.read().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_known_by_itself_or_by_its_digest_and_the_file_rules_at_each_use() {
    let home = Home::new();
    // printf token-of-the-viewer | sha256sum
    let digest = "8eee65f71a54c40c5b30b638311e5d6d058078c38b15062600153c3790e92ce2";
    let path = home
        .write("t", &format!("operator ops {TOKEN}\n\n# x\nviewer\tconsole   sha256:{}\r\n", digest.to_uppercase()));
    let file = TokensFile::new(path.into());
    let who = |token: &str| file.authenticate(token).unwrap().map(|who| (who.name, who.role));
    assert_eq!(who(TOKEN), Some(("ops".into(), Role::Operator)));
    assert_eq!(who("token-of-the-viewer"), Some(("console".into(), Role::Viewer)));
    for stranger in ["", " ", "x", digest, &format!("sha256:{digest}"), &TOKEN[1..], &"x".repeat(10_000)] {
        assert_eq!(who(stranger), None, "{stranger}");
    }
    home.write("t", "operator new 0123456789012345678901\nnonsense\n");
    assert_eq!(who("0123456789012345678901"), Some(("new".into(), Role::Operator)), "a bad line is skipped");
    assert_eq!(who(TOKEN), None);
    home.write("t", "");
    assert_eq!(who("0123456789012345678901"), None);
    fs::remove_file(file.path()).unwrap();
    assert_eq!(who("x"), None, "the empty list counts for a moment");
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    assert!(file.authenticate("x").unwrap_err().to_string().contains("does not exist"));
}
