//! Tables over everything that can be written, right and wrong.

mod secrets;

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::credential::Credential;
use crate::domain::refs::Prune;

const TOKEN: &str = "0123456789abcdef0123";

/// A directory with a Gitea token, a tokens file and what else a test puts there.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("gitea-token", "s3cret-of-gitea\n");
        place.write("tokens", &format!("# who may\noperator ops {TOKEN}\n"));
        place
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn options(&self) -> Options {
        Options {
            config: None,
            listen: "127.0.0.1:8080".into(),
            state_dir: self.dir.path().join("state"),
            auth: AuthMode::Tokens,
            allow_anonymous_remote: false,
            tokens_file: Some(self.dir.path().join("tokens")),
            log_format: None,
        }
    }

    fn load_environment(&self, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
        let mut all = HashMap::from([("GITEA_TOKEN_FILE".to_owned(), self.path("gitea-token"))]);
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        load(&self.options(), &|name| all.get(name).cloned())
    }

    fn load_file(&self, yaml: &str) -> Result<Loaded, Faults> {
        let yaml = yaml.replace("TOKEN_FILE", &self.path("gitea-token"));
        let config = self.write("config.yaml", &yaml);
        load(&Options { config: Some(config.into()), ..self.options() }, &|_| None)
    }
}

/// Where the faults are, in order.
fn paths(faults: &Faults) -> Vec<&str> {
    faults.faults.iter().map(|fault| fault.place.path()).collect()
}

const GOOD: &str = "\
gitea: { url: 'http://gitea-http.gitea.svc:3000', tokenFile: TOKEN_FILE }
mirrors:
  - name: openova
    upstream: { url: https://github.com/openova-io/openova, branch: main }
    target: { owner: openova, repo: openova }
";

#[test]
fn the_environment_alone_is_a_configuration_with_the_defaults_of_the_design() {
    let loaded = Home::new().load_environment(&[("MIRROR_INTERVAL", "")]).unwrap();
    let (config, spec) = (&loaded.config, &loaded.config.mirrors[0].spec);
    assert_eq!(config.gitea.url.as_str(), "http://gitea-http.gitea.svc.cluster.local:3000");
    assert_eq!(spec.upstream.as_str(), "https://github.com/openova-io/openova");
    assert_eq!(
        (spec.name.as_str(), spec.branch.as_str(), spec.full_name().as_str()),
        ("openova", "main", "openova/openova")
    );
    assert_eq!((spec.interval.to_string().as_str(), spec.prune), ("10m0s", Prune::Off));
    assert_eq!(config.policy, Policy::default());
    assert_eq!((config.connections, config.mirrors.len()), (256, 1));
    assert!(matches!(config.auth, AuthConfig::Tokens(_)));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn every_field_of_a_file_arrives() {
    let place = Home::new();
    let yaml = "\
gitea: { url: https://git.example.org/git, usernameFile: TOKEN_FILE, passwordFile: TOKEN_FILE }
mirrors:
  - name: a
    upstream: { url: https://example.com/x/a.git, branch: release/1.2, tokenFile: TOKEN_FILE }
    target: { owner: o, repo: r }
    interval: 1h30m
    prune: true
    private: true
    mode: follow
    onLegacy: refuse
    webhook: { secretFiles: [] }
  - { name: b, upstream: { url: https://example.com/x/b }, target: { owner: o, repo: s } }
observation: { ttl: 60s, healAfter: null }
limits: { run: 1h, migrate: 20m, sync: 15m, deadPlaceholder: 25m, connections: 32 }
server: { hosts: [cutover.example.org, '[::1]', 10.0.0.1], origins: ['https://console.example.org'] }
kubernetes: { enabled: false, audiences: [], operators: [], viewers: [], statusConfigMap: catalyst/self-sovereign-cutover-status, pastPivotGuard: true }
notifications: { url: null, secretFile: null }
";
    let config = place.load_file(yaml).unwrap().config;
    let [a, b] = &config.mirrors[..] else { panic!("two mirrors") };
    assert_eq!(a.spec.interval.to_string(), "1h30m0s");
    assert_eq!((a.spec.prune, a.spec.branch.as_str()), (Prune::On, "release/1.2"));
    assert!(matches!(a.credential.read(), Ok(Some(Credential::Token(_)))));
    assert!(matches!(b.credential.read(), Ok(None)));
    assert!(matches!(config.gitea.credential.read(), Ok(Some(Credential::Basic { .. }))));
    assert_eq!(config.policy.run, Duration::from_hours(1));
    assert_eq!(config.policy.dead_placeholder, Duration::from_mins(25));
    assert_eq!(config.connections, 32);
    assert_eq!(config.hosts, ["cutover.example.org", "[::1]", "10.0.0.1"]);
    assert_eq!(config.origins, ["https://console.example.org"]);
    let page = describe(&config);
    for part in
        ["https://git.example.org/git", "Mirror a", "the token in", "every 1h30m0s", "nobody: a public", "at most 32"]
    {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains("s3cret") && !format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_bad_value_of_the_environment_is_a_fault_of_its_variable() {
    let place = Home::new();
    for (name, values) in [
        (
            "UPSTREAM_REPO_URL",
            &[
                "git@github.com:a/b.git",
                "file:///etc/passwd",
                "ssh://-oProxyCommand=id/a",
                "https://user:hunter2@github.com/a/b",
                "https://example.com/--upload-pack=id/b",
                "HTTPS://GitHub.COM/a",
                "https://example.com/a/../b",
                "https://github.com/a ",
                "https://0x7f.1/a",
                "https://169.254.169.254/a",
                "https://[fd00:ec2::254]/a",
                "https://metadata.google.internal/a",
                "https://0.0.0.0/a",
                "http://gitea-http.gitea.svc:3000/a/b",
                "http://localhost:8080/a",
            ][..],
        ),
        ("UPSTREAM_BRANCH", &["refs heads", "-a", "a..b", "HEAD"]),
        (
            "GITEA_INTERNAL_URL",
            &["gitea:3000", "http://admin:hunter2@gitea:3000", "http://0.0.0.0:3000", "http://gitea:3000/?x"],
        ),
        ("GITEA_ORG", &["-rf", "a--b", "a/b", "api", "x.keys", "ä"]),
        ("GITEA_REPO", &["..", "x.git", "-rf", "a/b", "a."]),
        (
            "MIRROR_INTERVAL",
            &[
                "0",
                "0s",
                "-0s",
                "59s",
                "1ns",
                "10",
                "10 minutes",
                "10M",
                "1d",
                "PT10M",
                "8761h",
                "9999999999h",
                " 10m",
                "１０m",
            ],
        ),
        ("GITEA_TOKEN_FILE", &["\n", " "]),
        ("UPSTREAM_TOKEN_FILE", &["a\0b"]),
    ] {
        for value in values {
            let faults = place.load_environment(&[(name, value)]).expect_err(value);
            assert_eq!(paths(&faults), [name], "{value:?}: {faults}");
            assert!(!faults.to_string().contains("hunter2"), "{faults}");
        }
    }
}

#[test]
fn whatever_works_and_should_be_better_is_warned_about() {
    let place = Home::new();
    let file = place.path("gitea-token");
    for (variables, place_of_warning) in [
        (&[("MIRROR_INTERVAL", "5m")][..], "MIRROR_INTERVAL"),
        (&[("UPSTREAM_REPO_URL", "http://github.com/a/b")], "UPSTREAM_REPO_URL"),
        (&[("UPSTREAM_REPO_URL", "https://10.0.0.1/a/b")], "UPSTREAM_REPO_URL"),
        (&[("GITEA_INTERNAL_URL", "http://git.example.org")], "GITEA_INTERNAL_URL"),
        (&[("GITEA_TOKEN_FILE", ""), ("GITEA_TOKEN", "hunter2")], "GITEA_TOKEN"),
        (&[("GITEA_TOKEN_FILE", ""), ("GITEA_USERNAME", "u"), ("GITEA_PASSWORD", "hunter2")], "GITEA_PASSWORD"),
        (&[("GITEA_USERNAME", "u"), ("GITEA_PASSWORD_FILE", &file)], "GITEA_TOKEN_FILE"),
        (&[("GITEA_TOKEN_FILE", "/nowhere/token")], "GITEA_TOKEN_FILE"),
        (&[("UPSTREAM_TOKEN", "hunter2")], "UPSTREAM_TOKEN"),
    ] {
        let loaded = place.load_environment(variables).unwrap();
        let [warning] = &loaded.warnings[..] else { panic!("{variables:?}: {:?}", loaded.warnings) };
        assert!(warning.starts_with(place_of_warning), "{warning}");
        assert!(!format!("{loaded:?}{}", describe(&loaded.config)).contains("hunter2"));
    }
}

#[test]
fn a_credential_must_be_whole_and_goes_over_http_only_to_this_machine() {
    let place = Home::new();
    let file = place.path("gitea-token");
    let none = ("GITEA_TOKEN_FILE", "");
    for (variables, at) in [
        (&[none][..], "GITEA_TOKEN_FILE"),
        (&[none, ("GITEA_USERNAME", "u")], "GITEA_PASSWORD_FILE"),
        (&[none, ("GITEA_PASSWORD_FILE", &file)], "GITEA_USERNAME_FILE"),
        (&[("UPSTREAM_PASSWORD_FILE", &file)], "UPSTREAM_USERNAME_FILE"),
        (&[("UPSTREAM_REPO_URL", "http://git.example.org/a"), ("UPSTREAM_TOKEN_FILE", &file)], "UPSTREAM_TOKEN_FILE"),
    ] {
        assert_eq!(paths(&place.load_environment(variables).unwrap_err()), [at], "{variables:?}");
    }
    let loopback = [("UPSTREAM_REPO_URL", "http://127.0.0.1:9000/a"), ("UPSTREAM_TOKEN_FILE", &file)];
    assert!(place.load_environment(&loopback).is_ok());
}

#[test]
fn a_repository_names_the_mirror_of_the_environment() {
    let place = Home::new();
    for (repo, name) in
        [("Open_Nova.2", "open-nova-2"), ("_x_", "x"), ("__", "openova"), (&"x".repeat(80), &"x".repeat(63))]
    {
        let loaded = place.load_environment(&[("GITEA_REPO", repo)]).unwrap();
        assert_eq!(loaded.config.mirrors[0].spec.name.as_str(), name);
    }
}

#[test]
fn all_faults_of_a_file_come_in_one_report_with_their_paths_and_lines() {
    let yaml = "\
gitea: { url: 'http://u:hunter2@gitea:3000', tokenfile: x }
mirrors:
  - name: Openova
    upstream: { url: https://github.com/a, branch: '-x' }
    target: { owner: api, repo: x.git }
    interval: 30s
    prune: yes
  - name: b
    upstream: { url: https://github.com/b }
    target: { owner: Own, repo: Repo }
    mode: pinned
  - name: b
    upstream: { url: https://github.com/b }
    target: { owner: own, repo: repo }
    name: c
  - 7
  - { name: 12, target: }
limits: { run: 3h, migrate: 30s, sync: 600, deadPlaceholder: 1s, connections: 0 }
server: { hosts: ['https://a'], origins: [x] }
kubernetes: { enabled: true }
notifications: { url: https://example.org }
extra: 1
";
    let faults = Home::new().load_file(yaml).unwrap_err();
    let mut found = paths(&faults);
    let mut expected = vec![
        "extra",
        "gitea.tokenfile",
        "gitea.tokenFile",
        "gitea.url",
        "kubernetes.enabled",
        "limits.connections",
        "limits.deadPlaceholder",
        "limits.migrate",
        "limits.run",
        "limits.sync",
        "mirrors[0].interval",
        "mirrors[0].name",
        "mirrors[0].prune",
        "mirrors[0].target.owner",
        "mirrors[0].target.repo",
        "mirrors[0].upstream.branch",
        "mirrors[1].mode",
        "mirrors[2].name",
        "mirrors[2].name",
        "mirrors[2].target.repo",
        "mirrors[3]",
        "mirrors[4].name",
        "mirrors[4].target.owner",
        "mirrors[4].target.repo",
        "mirrors[4].upstream.url",
        "notifications.url",
        "server.hosts[0]",
        "server.origins[0]",
    ];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{faults}");
    let text = faults.to_string();
    for part in
        ["has 28 faults", "(line 15)", "tokenFile is meant", "second time", "at mirrors[1].target.repo (line 10)"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_with_its_line() {
    let place = Home::new();
    for (yaml, part) in [
        ("gitea: [1,", "line 1"),
        ("gitea: {}\nmirrors: a: b", "line 2"),
        ("a: 'unfinished", "unclosed"),
        ("gitea: *nothing", "unknown anchor"),
        ("<<: {a: 1}", "merge"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("- x", "this is a list"),
        ("just a text", "this is a text"),
        ("mirrors: []", "no mirror is configured"),
        ("", "no mirror is configured"),
        ("mirrors: x", "write a list"),
        ("mirrors: {}", "write a list"),
        (&format!("a: {}", "x".repeat(5_000)), "4096 bytes"),
        (&format!("#{}", "x".repeat(1_100_000)), "1024 KiB"),
    ] {
        let faults = place.load_file(yaml).expect_err(yaml);
        assert!(faults.to_string().contains(part), "{yaml:.40}: {faults}");
    }
    let bomb = (1..=20).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |bomb, n| {
        let alias = format!("*a{},", n - 1).repeat(3);
        format!("{bomb}a{n}: &a{n} [{alias}]\n")
    });
    assert!(place.load_file(&bomb).is_err());
    let options = Options { config: Some("/nowhere.yaml".into()), ..place.options() };
    assert_eq!(paths(&load(&options, &|_| None).unwrap_err()), ["--config"]);
}

#[test]
fn what_this_version_does_not_do_is_refused_and_its_default_taken() {
    let place = Home::new();
    for (key, value) in [
        ("    mode:", "severed"),
        ("    onLegacy:", "renameAside"),
        ("    webhook:", "{ secretFiles: [x] }"),
        ("observation:", "{ ttl: 5s }"),
        ("observation:", "{ healAfter: 20m }"),
        ("kubernetes:", "{ enabled: true }"),
        ("notifications:", "{ url: https://example.org }"),
    ] {
        let faults = place.load_file(&format!("{GOOD}{key} {value}\n")).expect_err(key);
        assert!(faults.faults.len() == 1 && faults.to_string().contains("not offered by this version"), "{faults}");
    }
    assert!(place.load_file(GOOD).is_ok());
    assert!(place.load_file(&format!("{GOOD}    mode: follow\nkubernetes:\nserver:\nlimits: {{ run: }}\n")).is_ok());
}

#[test]
fn with_a_file_the_variables_are_ignored_and_one_is_told() {
    let place = Home::new();
    let config = place.write("config.yaml", &GOOD.replace("TOKEN_FILE", &place.path("gitea-token")));
    let options = Options { config: Some(config.into()), ..place.options() };
    let loaded = load(&options, &|name| (name == "GITEA_ORG").then(|| "other".into())).unwrap();
    assert_eq!(loaded.config.mirrors[0].spec.owner.as_str(), "openova");
    assert!(loaded.warnings.len() == 1 && loaded.warnings[0].starts_with("GITEA_ORG"), "{:?}", loaded.warnings);
}

#[test]
fn the_flags_have_the_names_and_defaults_of_the_design() {
    use clap::Parser;
    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }
    let parsed = Program::parse_from(["x"]).options;
    assert_eq!((parsed.listen.as_str(), parsed.state_dir.to_str()), ("0.0.0.0:8080", Some("./cutover-state")));
    assert_eq!((parsed.auth, parsed.log_format), (AuthMode::Tokens, None));
    let parsed =
        Program::parse_from(["x", "--auth", "none", "--log-format", "json", "--allow-anonymous-remote"]).options;
    assert_eq!((parsed.auth, parsed.log_format), (AuthMode::None, Some(LogFormat::Json)));
    assert!(Program::try_parse_from(["x", "--auth", "off"]).is_err());
}
