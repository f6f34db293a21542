//! Files, right and wrong.

use std::fmt::Write as _;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{Home, paths};
use crate::config::report::Report;
use crate::config::{Options, describe, load, yaml};
use crate::domain::webhook::SecretSource as _;

const GOOD: &str = "\
gitea: { url: 'http://gitea-http.gitea.svc:3000', tokenFile: TOKEN_FILE }
mirrors:
  - name: openova
    upstream: { url: https://github.com/openova-io/openova, branch: main }
    target: { owner: openova, repo: openova }
";

#[test]
fn all_faults_of_meaning_come_in_one_report_with_their_paths_and_lines() {
    let yaml = "\
gitea: { url: 'http://u:hunter2@gitea:3000' }
mirrors:
  - name: Openova
    upstream: { url: https://github.com/a, branch: '-x' }
    target: { owner: api, repo: x.git }
    interval: 30s
  - name: b
    upstream: { url: https://github.com/b }
    target: { owner: Own, repo: Repo }
    mode: mirror
  - name: b
    upstream: { url: https://github.com/b }
    target: { owner: own, repo: repo }
  - { name: '12', target: }
limits: { run: 3h, migrate: 30s, sync: '600', deadPlaceholder: 1s, connections: 0, refsTime: 1s, refsBytes: 2GiB }
server: { hosts: ['https://a'], origins: [x] }
kubernetes: { enabled: false, apiServer: x }
notifications: { url: http://example.org }
";
    let faults = Home::new().load_file(yaml).unwrap_err();
    let mut found = paths(&faults);
    let mut expected = vec![
        "gitea.tokenFile",
        "gitea.url",
        "kubernetes.apiServer",
        "limits.connections",
        "limits.deadPlaceholder",
        "limits.migrate",
        "limits.refsBytes",
        "limits.refsTime",
        "limits.run",
        "limits.sync",
        "mirrors[0].interval",
        "mirrors[0].name",
        "mirrors[0].target.owner",
        "mirrors[0].target.repo",
        "mirrors[0].upstream.branch",
        "mirrors[1].mode",
        "mirrors[2].name",
        "mirrors[2].target.repo",
        "mirrors[3].target.owner",
        "mirrors[3].target.repo",
        "mirrors[3].upstream.url",
        "notifications.url",
        "server.hosts[0]",
        "server.origins[0]",
    ];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{faults}");
    let text = faults.to_string();
    for part in
        ["has 24 faults", "mirrors[3].upstream.url (line 14): this is missing", "at mirrors[1].target.repo (line 9)"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_fault_of_shape_is_reported_with_its_path_and_line() {
    let home = Home::new();
    for (lines, fault) in [
        ("extra: 1", "extra (line 6): unknown key; the keys here are gitea, mirrors,"),
        ("limit: 1", "limit (line 6): unknown key; did you mean limits?"),
        ("limits: { tokenfile: x }", "limits.tokenfile (line 6): unknown key; the keys here are run, migrate,"),
        ("    targets: { repo: 7 }", "mirrors[0].targets (line 6): unknown key; did you mean target?"),
        ("    name: c", "mirrors[0].name (line 6): this key is given twice"),
        ("    prune: yes", "mirrors[0].prune (line 6): write true or false"),
        (
            "    webhook:\n      secretFiles: [a, 7]",
            "mirrors[0].webhook.secretFiles[1] (line 7): YAML reads this as a number",
        ),
        (
            "    webhook: { secretFiles: [null] }",
            "mirrors[0].webhook.secretFiles[0] (line 6): this is empty; write a text",
        ),
        ("  - 7", "mirrors[1] (line 6): write a mapping"),
        ("  - { name: 12 }", "mirrors[1].name (line 6): YAML reads this as a number"),
        ("  - { name: [a] }", "mirrors[1].name (line 6): write a single value"),
        ("limits: { sync: 600 }", "limits.sync (line 6): YAML reads this as a number or a boolean; write a text"),
        ("limits: { connections: many }", "limits.connections (line 6): write a whole number"),
        ("limits: { connections: -1 }", "limits.connections (line 6): write a whole number"),
        ("server: { hosts: x }", "server.hosts (line 6): write a list"),
        ("server: [x]", "server (line 6): write a mapping"),
        ("kubernetes: { enabled: 1 }", "kubernetes.enabled (line 6): write true or false"),
    ] {
        let faults = home.load_file(&format!("{GOOD}{lines}\n")).expect_err(lines);
        assert_eq!(faults.faults.len(), 1, "{faults}");
        assert!(faults.faults[0].to_string().starts_with(fault), "{lines}: {faults}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_with_its_line() {
    let home = Home::new();
    for (yaml, part) in [
        ("gitea: [1,", "line 1"),
        ("gitea: {}\nmirrors: a: b", "line 2"),
        ("gitea: 'unfinished", "unclosed"),
        ("gitea: *nothing", "unknown anchor"),
        ("<<: {a: 1}", "merge"),
        ("gitea:\n---\ngitea:", "more than one document"),
        ("- x", "write a mapping"),
        ("just a text", "write a mapping"),
        ("mirrors: []", "no mirror is configured"),
        ("", "no mirror is configured"),
        ("mirrors: x", "write a list"),
        ("mirrors: {}", "write a list"),
        (&"[".repeat(10_000), "not YAML"),
        (&format!("#{}", "x".repeat(9_000_000)), "8192 KiB"),
    ] {
        let faults = home.load_file(yaml).expect_err(yaml);
        assert!(faults.to_string().contains(part), "{yaml:.40}: {faults}");
    }
    let bomb = (1..=20).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |bomb, n| {
        let alias = format!("*a{},", n - 1).repeat(3);
        format!("{bomb}a{n}: &a{n} [{alias}]\n")
    });
    assert!(home.load_file(&bomb).is_err());
    // each repetition of an alias counts
    let long = format!("server: {{ hosts: [&a '{}'{}] }}", "x".repeat(200_000), ", *a".repeat(50));
    assert!(home.load_file(&long).unwrap_err().to_string().contains("budget"));
    let options = Options { config: Some("/nowhere.yaml".into()), ..home.options() };
    assert_eq!(paths(&load(&options, &|_| None).unwrap_err()), ["--config"]);
}

#[test]
fn no_fault_repeats_a_value() {
    let home = Home::new();
    for value in [
        "hunter2",
        "'hunter2'",
        "[hunter2]",
        "{ hunter2: 1 }",
        "!!int hunter2",
        "!!bool hunter2",
        "!!float hunter2",
        "!!null hunter2",
        "!!binary hunter2",
        "!hunter2 [hunter2]",
        "*hunter2",
        "&hunter2 hunter2",
        "'hunter2",
        "\"\\hunter2\"",
        "hunter2: hunter2: hunter2",
        "[hunter2",
        "{hunter2}",
        "@hunter2",
        "%hunter2",
        "|hunter2",
    ] {
        for key in [
            "gitea: @",
            "gitea: { url: @ }",
            "limits:\n  run: @",
            "limits: { connections: @ }",
            "kubernetes: { enabled: @ }",
            "mirrors: @",
            "mirrors: [{ upstream: @ }]",
            "server: { hosts: [@] }",
        ] {
            let yaml = key.replace('@', value);
            let text = home.load_file(&yaml).unwrap_err().to_string();
            // a key is shown, since a fault cannot be found without it
            assert!(
                !text.contains("hunter2") || value.contains("hunter2}") || value.contains("hunter2:"),
                "{yaml}: {text}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reading_panic(text in "[a-z:{}\\[\\]'\"\n &*!|>?,#%@-]{0,80}|\\PC{0,40}") {
        let mut report = Report::default();
        let _ = yaml::read(&text, "x", &mut report);
    }
}

#[test]
fn an_empty_section_stands_for_its_defaults() {
    let home = Home::new();
    assert!(home.load_file(GOOD).is_ok());
    assert!(home.load_file(&format!("{GOOD}    mode: follow\nkubernetes:\nserver:\nlimits: {{ run: }}\n")).is_ok());
}

#[test]
fn with_a_file_the_variables_are_ignored_and_one_is_told() {
    let home = Home::new();
    let config = home.write("config.yaml", &GOOD.replace("TOKEN_FILE", &home.path("gitea-token")));
    let options = Options { config: Some(config.into()), ..home.options() };
    let loaded = load(&options, &|name| (name == "GITEA_ORG").then(|| "other".into())).unwrap();
    assert_eq!(loaded.config.mirrors[0].spec.owner.as_str(), "openova");
    assert!(loaded.warnings.len() == 1 && loaded.warnings[0].starts_with("GITEA_ORG"), "{:?}", loaded.warnings);
}

#[test]
fn a_thousand_mirrors_fit_into_a_file() {
    let home = Home::new();
    let mut yaml =
        String::from("gitea: { url: 'http://gitea-http.gitea.svc:3000', tokenFile: TOKEN_FILE }\nmirrors:\n");
    for n in 0..1_000 {
        writeln!(
            yaml,
            "  - name: mirror-{n}\n    upstream:\n      url: https://git.example.org/some/longer/path/repository-{n}\n      \
             branch: main\n    target:\n      owner: organisation\n      repo: repository-{n}\n    interval: 10m0s\n    \
             prune: false\n    private: false\n    mode: follow\n    onLegacy: refuse"
        )
        .unwrap();
    }
    let config = home.load_file(&yaml).unwrap().config;
    assert_eq!(config.mirrors.len(), 1_000);
    let twice = format!(
        "{yaml}  - name: mirror-500\n    upstream: {{ url: https://git.example.org/x }}\n    target: {{ owner: o, repo: r }}\n"
    );
    assert_eq!(home.load_file(&twice).unwrap_err().faults.len(), 1);
}

#[test]
fn the_secrets_of_webhooks_are_files_and_those_that_cannot_be_used_are_told() {
    let home = Home::new();
    let good = home.write("good", "0123456789abcdef0123456789abcdef\n");
    let short = home.write("short", "0123456789abcdef");
    let with =
        |files: &[&str]| home.load_file(&format!("{GOOD}    webhook: {{ secretFiles: [{}] }}\n", files.join(", ")));
    let loaded = with(&[&good]).unwrap();
    let secrets = loaded.config.mirrors[0].webhook.read().unwrap();
    assert_eq!((secrets.good.len(), secrets.bad.len()), (1, 0));
    assert_eq!(secrets.good[0].expose_secret().len(), 32, "the line's end is no part of it");
    assert!(describe(&loaded.config).contains("webhook: /hooks/openova, signed with a secret in"), "{loaded:?}");

    let loaded = with(&[&good, &short, "/no/such/file"]).unwrap();
    let warnings = loaded.warnings.join("\n");
    assert!(warnings.contains("shorter than 32 characters") && warnings.contains("does not exist"), "{warnings}");
    let secrets = loaded.config.mirrors[0].webhook.read().unwrap();
    assert_eq!((secrets.good.len(), secrets.bad.len()), (1, 2));
    assert!(!format!("{secrets:?} {loaded:?}").contains("0123456789abcdef"));

    assert!(home.load_file(GOOD).unwrap().config.mirrors[0].webhook.read().is_none());
    for bad in [&["''"][..], &["7"], &[&*good; 9]] {
        let faults = with(bad).unwrap_err();
        assert_eq!(faults.faults.len(), 1, "{faults}");
        assert!(faults.to_string().contains("mirrors[0].webhook.secretFiles["), "{faults}");
    }
}

#[test]
fn notifications_go_to_an_https_address_or_into_the_cluster_and_are_signed_or_warned_about() {
    let home = Home::new();
    let secret = home.write("signing", "0123456789abcdef0123456789abcdef");
    let with = |text: &str| home.load_file(&format!("{GOOD}notifications: {{ {text} }}\n"));
    assert!(with("").unwrap().config.notifications.is_none());
    assert!(with("url: null, secretFile: null").unwrap().config.notifications.is_none());

    let loaded = with(&format!("url: https://alerts.example.org/cutover, secretFile: {secret}")).unwrap();
    let told = loaded.config.notifications.as_ref().unwrap();
    assert!(told.proxied && loaded.warnings.is_empty(), "{loaded:?}");
    assert_eq!(told.secret.read().unwrap().good.len(), 1);
    assert!(
        describe(&loaded.config)
            .contains("notifications: https://alerts.example.org/cutover, signed with the secret in")
    );

    let loaded = with("url: http://alerts.monitoring.svc:9000/in").unwrap();
    assert!(!loaded.config.notifications.as_ref().unwrap().proxied);
    assert!(loaded.config.notifications.unwrap().secret.read().is_none());
    let warnings = loaded.warnings.join("\n");
    assert!(warnings.contains("not encrypted") && warnings.contains("not signed"), "{warnings}");

    for bad in [
        "http://example.org/in",
        "https://u:p@example.org/in",
        "https://example.org/in?token=x",
        "https://169.254.169.254/in",
        "http://127.0.0.1:8080/in",
        "ftp://example.org/in",
        "HTTPS://example.org/in",
    ] {
        let faults = with(&format!("url: '{bad}'")).unwrap_err();
        assert_eq!(paths(&faults), ["notifications.url"], "{bad}");
        assert!(!faults.to_string().contains("example.org"), "{faults}");
    }
}
