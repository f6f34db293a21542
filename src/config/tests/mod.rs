//! Tables over everything that can be written, right and wrong.

mod files;
mod kubernetes;
mod outbound;
mod secrets;

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::credential::Credential;
use crate::domain::mode::Mode;
use crate::domain::refs::Prune;
use crate::domain::spec::OnLegacy;

const TOKEN: &str = "0123456789abcdef0123";

/// A directory with a Gitea token, a tokens file and what else a test puts there.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.write("gitea-token", "s3cret-of-gitea\n");
        home.write("tokens", &format!("# who may\noperator ops {TOKEN}\n"));
        home
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
    faults.faults.iter().map(|fault| fault.location.path()).collect()
}

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
    let home = Home::new();
    let yaml = "\
gitea: { url: https://git.example.org/git, usernameFile: TOKEN_FILE, passwordFile: TOKEN_FILE }
mirrors:
  - name: a
    upstream: { url: https://example.com/x/a.git, branch: release/1.2, tokenFile: TOKEN_FILE }
    target: { owner: o, repo: r }
    interval: 1h30m
    prune: true
    private: true
    mode: severed
    onLegacy: renameAside
    webhook: { secretFiles: [] }
  - { name: b, upstream: { url: https://example.com/x/b }, target: { owner: o, repo: s } }
observation: { ttl: 30s, healAfter: 45m }
limits: { run: 1h, migrate: 20m, sync: 15m, deadPlaceholder: 25m, refsTime: 2m, refsBytes: 48MiB, connections: 32 }
server: { hosts: [cutover.example.org, '[::1]', 10.0.0.1], origins: ['https://console.example.org'] }
kubernetes: { enabled: false, audiences: [], operators: [], viewers: [], statusConfigMap: catalyst/self-sovereign-cutover-status, pastPivotGuard: true }
notifications: { url: null, secretFile: null }
";
    let config = home.load_file(yaml).unwrap().config;
    let [a, b] = &config.mirrors[..] else { panic!("two mirrors") };
    assert_eq!(a.spec.interval.to_string(), "1h30m0s");
    assert_eq!((a.spec.on_legacy, b.spec.on_legacy), (OnLegacy::RenameAside, OnLegacy::Refuse));
    assert_eq!((a.spec.mode, b.spec.mode), (Mode::Severed, Mode::Follow));
    assert_eq!((a.spec.prune, a.spec.branch.as_str()), (Prune::On, "release/1.2"));
    assert!(matches!(a.credential.read(), Ok(Some(Credential::Token(_)))));
    assert!(matches!(b.credential.read(), Ok(None)));
    assert!(matches!(config.gitea.credential.read(), Ok(Some(Credential::Basic { .. }))));
    assert_eq!(config.policy.run, Duration::from_hours(1));
    assert_eq!(config.policy.observed_for, Duration::from_secs(30));
    assert_eq!(config.policy.heals_after(b.spec.interval), Duration::from_mins(45));
    assert_eq!(config.policy.dead_placeholder, Duration::from_mins(25));
    assert_eq!((config.policy.refs_time, config.policy.refs_bytes), (Duration::from_mins(2), 48 << 20));
    assert_eq!(config.connections, 32);
    assert_eq!(config.hosts, ["cutover.example.org", "[::1]", "10.0.0.1"]);
    assert_eq!(config.origins, ["https://console.example.org"]);
    let page = describe(&config);
    for part in [
        "https://git.example.org/git",
        "Mirror a",
        "mode: severed",
        "prune: true",
        "private: true",
        "onLegacy: renameAside",
        "the token in",
        "interval: 1h30m0s",
        "credential: none (public repository)",
        "connections: 32",
        "refsBytes: 48MiB",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains("s3cret") && !format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_bad_value_of_the_environment_is_a_fault_of_its_variable() {
    let home = Home::new();
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
            let faults = home.load_environment(&[(name, value)]).expect_err(value);
            assert_eq!(paths(&faults), [name], "{value:?}: {faults}");
            assert!(!faults.to_string().contains("hunter2"), "{faults}");
        }
    }
}

#[test]
fn whatever_works_and_should_be_better_is_warned_about() {
    let home = Home::new();
    let file = home.path("gitea-token");
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
        let loaded = home.load_environment(variables).unwrap();
        let [warning] = &loaded.warnings[..] else { panic!("{variables:?}: {:?}", loaded.warnings) };
        assert!(warning.starts_with(place_of_warning), "{warning}");
        assert!(!format!("{loaded:?}{}", describe(&loaded.config)).contains("hunter2"));
    }
}

#[test]
fn a_credential_must_be_whole_and_goes_over_http_only_to_this_machine() {
    let home = Home::new();
    let file = home.path("gitea-token");
    let none = ("GITEA_TOKEN_FILE", "");
    for (variables, at) in [
        (&[none][..], "GITEA_TOKEN_FILE"),
        (&[none, ("GITEA_USERNAME", "u")], "GITEA_PASSWORD_FILE"),
        (&[none, ("GITEA_PASSWORD_FILE", &file)], "GITEA_USERNAME_FILE"),
        (&[("UPSTREAM_PASSWORD_FILE", &file)], "UPSTREAM_USERNAME_FILE"),
        (&[("UPSTREAM_REPO_URL", "http://git.example.org/a"), ("UPSTREAM_TOKEN_FILE", &file)], "UPSTREAM_TOKEN_FILE"),
    ] {
        assert_eq!(paths(&home.load_environment(variables).unwrap_err()), [at], "{variables:?}");
    }
    let loopback = [("UPSTREAM_REPO_URL", "http://127.0.0.1:9000/a"), ("UPSTREAM_TOKEN_FILE", &file)];
    assert!(home.load_environment(&loopback).is_ok());
}

#[test]
fn a_repository_names_the_mirror_of_the_environment() {
    let home = Home::new();
    for (repo, name) in
        [("Open_Nova.2", "open-nova-2"), ("_x_", "x"), ("__", "openova"), (&"x".repeat(80), &"x".repeat(63))]
    {
        let loaded = home.load_environment(&[("GITEA_REPO", repo)]).unwrap();
        assert_eq!(loaded.config.mirrors[0].spec.name.as_str(), name);
    }
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
