//! The section `kubernetes`: what it is, and what in it is refused.

use super::{Home, paths};
use crate::config::{AuthConfig, Loaded, Options, describe, load};
use crate::domain::spec::{Allowed, PivotPolicy};

const GOOD: &str = "\
gitea: { url: 'http://gitea-http.gitea.svc:3000', tokenFile: TOKEN_FILE }
mirrors:
  - name: openova
    upstream: { url: https://github.com/openova-io/openova, branch: main }
    target: { owner: openova, repo: openova }
";

const PLATFORM: &str = "system:serviceaccount:catalyst:catalyst-api";

/// In a container of a cluster, with these lines under `kubernetes`.
fn load_in(
    variables: &[(&str, &str)],
    home: &Home,
    lines: &str,
    tokens: bool,
) -> Result<Loaded, crate::config::Faults> {
    let mut yaml = GOOD.replace("TOKEN_FILE", &home.path("gitea-token"));
    yaml += "kubernetes:\n  enabled: true\n";
    let file = home.path("gitea-token");
    let mounted = format!("tokenFile: {file}\ncaFile: {file}");
    for line in mounted.lines().chain(lines.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        yaml.extend(["  ", line, "\n"]);
    }
    let config = home.write("config.yaml", &yaml);
    let tokens_file = tokens.then(|| home.path("tokens").into());
    let options = Options { config: Some(config.into()), tokens_file, ..home.options() };
    load(&options, &|name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
}

const POD: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

#[test]
fn in_a_pod_the_section_has_the_defaults_of_the_platform_and_the_kubelet() {
    let home = Home::new();
    let config = load_in(&POD, &home, "", true).unwrap().config;
    let kubernetes = config.kubernetes.unwrap();
    assert_eq!(kubernetes.api_server, "https://10.96.0.1");
    assert_eq!(kubernetes.status.unwrap().to_string(), "catalyst/self-sovereign-cutover-status");
    let pivot = Some(PivotPolicy { without_status: Allowed::Refuse, syncing: Allowed::Allow });
    assert_eq!((kubernetes.pivot, config.policy.pivot), (pivot, pivot));
    // switched off, nothing of it is there
    let config = home.load_file(&format!("{GOOD}kubernetes: {{ enabled: false }}\n")).unwrap().config;
    assert!(config.kubernetes.is_none() && config.policy.pivot.is_none());
    let yaml = format!("{GOOD}kubernetes: {{ enabled: true }}\n");
    let yaml = yaml.replace("TOKEN_FILE", &home.path("gitea-token"));
    let options = Options { config: Some(home.write("config.yaml", &yaml).into()), ..home.options() };
    let variable = |name: &str| POD.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    let loaded = load(&options, &variable).unwrap();
    let mounted = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert!(loaded.warnings.iter().any(|warning| warning.contains(&format!("{mounted}/token"))), "{loaded:?}");
    assert!(loaded.warnings.iter().any(|warning| warning.contains(&format!("{mounted}/ca.crt"))), "{loaded:?}");
}

#[test]
fn every_key_arrives_and_is_shown() {
    let home = Home::new();
    let lines = format!(
        "audiences: [cutover-api]\noperators: ['{PLATFORM}', 'oidc:jane@example.org']\nviewers: [jim]\n\
         statusConfigMap: flux-system/other.status\nabsentStatus: allow\nsyncPastPivot: refuse\napiServer: https://k8s.example.org:6443/"
    );
    let loaded = load_in(&[], &home, &lines, false).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let config = loaded.config;
    assert!(matches!(config.auth, AuthConfig::Tokens(None)));
    let text = describe(&config);
    for part in [
        "https://k8s.example.org:6443",
        PLATFORM,
        "oidc:jane@example.org",
        "jim",
        "cutover-api",
        "flux-system/other.status",
        "absentStatus: allow",
        "syncPastPivot: refuse",
        "auth: Kubernetes TokenReview",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let off = load_in(&POD, &home, "statusConfigMap: ''\npastPivotGuard: false", true).unwrap().config;
    assert!(off.kubernetes.as_ref().unwrap().status.is_none() && off.policy.pivot.is_none());
    assert!(describe(&off).contains("statusConfigMap: none"));
}

#[test]
fn the_address_is_the_pod_s_own_or_the_one_that_is_written() {
    let home = Home::new();
    for (host, port, url) in [
        ("10.96.0.1", "443", "https://10.96.0.1"),
        ("10.96.0.1", "6443", "https://10.96.0.1:6443"),
        ("fd00::1", "6443", "https://[fd00::1]:6443"),
        ("kubernetes.default.svc", "443", "https://kubernetes.default.svc"),
    ] {
        let variables = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
        let config = load_in(&variables, &home, "", true).unwrap().config;
        assert_eq!(config.kubernetes.unwrap().api_server, url);
    }
    let proxy = load_in(&[], &home, "apiServer: http://127.0.0.1:8001", true).unwrap().config;
    assert_eq!(proxy.kubernetes.unwrap().api_server, "http://127.0.0.1:8001");
    for variables in [&[][..], &POD[..1], &[("KUBERNETES_SERVICE_HOST", ""), ("KUBERNETES_SERVICE_PORT", "")]] {
        let faults = load_in(variables, &home, "", true).unwrap_err();
        assert_eq!(paths(&faults), ["kubernetes.enabled"]);
        assert!(faults.to_string().contains("outside a cluster"), "{faults}");
    }
    let bad = [("KUBERNETES_SERVICE_HOST", "a b"), ("KUBERNETES_SERVICE_PORT", "443")];
    assert_eq!(paths(&load_in(&bad, &home, "", true).unwrap_err()), ["KUBERNETES_SERVICE_HOST"]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let home = Home::new();
    for (lines, key, words) in [
        ("operators: ['system:serviceaccount:catalyst']", "operators[0]", "system:serviceaccount:NAMESPACE:NAME"),
        ("operators: ['system:serviceaccount:Catalyst:x']", "operators[0]", "NAMESPACE:NAME"),
        ("operators: ['system:serviceaccount:a:b:c']", "operators[0]", "NAMESPACE:NAME"),
        ("operators: ['system:serviceaccounts:catalyst']", "operators[0]", "a group"),
        ("viewers: ['system:authenticated']", "viewers[0]", "a group"),
        ("viewers: ['system:anonymous']", "viewers[0]", "without a credential"),
        ("viewers: ['system:*']", "viewers[0]", "patterns are not supported"),
        ("viewers: ['']", "viewers[0]", "a user's name"),
        ("viewers: [' jane']", "viewers[0]", "a user's name"),
        ("operators: [jane]\nviewers: [jane]", "viewers[0]", "listed at kubernetes.operators[0]"),
        ("audiences: ['a b']", "audiences[0]", "without spaces"),
        ("audiences: [a, a]", "audiences[1]", "listed twice"),
        ("audiences: x", "audiences", "write a list"),
        ("statusConfigMap: status", "statusConfigMap", "namespace/name"),
        ("statusConfigMap: A/b", "statusConfigMap", "namespace/name"),
        ("statusConfigMap: a/b/c", "statusConfigMap", "namespace/name"),
        ("statusConfigMap: ''", "pastPivotGuard", "the guard reads the status"),
        ("absentStatus: maybe", "absentStatus", "allow or refuse"),
        ("syncPastPivot: true", "syncPastPivot", "reads this as a number or a boolean"),
        ("syncPastPivot: never", "syncPastPivot", "allow or refuse"),
        ("apiServer: http://10.0.0.1", "apiServer", "write https"),
        ("apiServer: https://k8s/path", "apiServer", "without a path"),
        ("apiServer: https://u:hunter2@k8s", "apiServer", "without a path"),
        ("apiServer: k8s", "apiServer", "without a path"),
        ("colour: blue", "colour", "unknown key"),
    ] {
        let faults = load_in(&POD, &home, lines, true).expect_err(lines);
        assert_eq!(paths(&faults), [format!("kubernetes.{key}")], "{faults}");
        assert!(faults.to_string().contains(words) && !faults.to_string().contains("hunter2"), "{faults}");
    }
}

#[test]
fn without_a_tokens_file_somebody_has_to_be_listed() {
    let home = Home::new();
    assert!(load_in(&POD, &home, "viewers: [jim]", false).is_ok());
    let faults = load_in(&POD, &home, "", false).unwrap_err();
    assert_eq!(paths(&faults), ["--tokens-file"]);
    assert!(faults.to_string().contains("kubernetes.operators"), "{faults}");
    // what is wrong with the section is all that is told
    assert_eq!(paths(&load_in(&POD, &home, "viewers: ['*']", false).unwrap_err()), ["kubernetes.viewers[0]"]);
    // lists that have no effect are told of
    let loaded = home.load_file(&format!("{GOOD}kubernetes: {{ enabled: false, viewers: [jim] }}\n")).unwrap();
    assert!(loaded.warnings.len() == 1 && loaded.warnings[0].contains("not let in"), "{:?}", loaded.warnings);
}
