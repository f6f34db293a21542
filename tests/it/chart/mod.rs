//! The chart, as far as the program itself judges it: the configuration, flags and variables that it renders, the pods
//! that ask the service, and the versions that move together.
//!
//! What is read here are the kept renders of `tests/chart/golden`, which `tests/chart/run` compares with Helm's. Row
//! numbers are those of the platform's compatibility contract.

mod clients;
mod engine;
mod kubelet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use kubelet::{ACCOUNT, Pod, of_kind, render};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The kept renders.
fn sets() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("tests/chart/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// What the render's own Secrets hold here.
fn secret(name: &str, key: &str) -> String {
    match key {
        "bundle.pem" => read("tests/it/kubernetes/authority/authority.pem"),
        "tokens" | "tokens.txt" => format!("operator ops token-of-{name}-0123456789\n"),
        _ => format!("{key}-of-{name}\n"),
    }
}

fn checked(pod: &Pod) -> Output {
    let mut arguments = pod.arguments.clone();
    assert_eq!(arguments.remove(0), "serve");
    arguments.insert(0, "check-config".to_owned());
    pod.command(&arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn server(set: &str) -> Pod {
    let objects = render(set);
    Pod::start(&of_kind(&objects, "Deployment", None)["spec"]["template"]["spec"], &objects, &secret)
}

#[test]
fn the_program_takes_every_configuration_flag_and_variable_that_the_chart_renders() {
    let sets = sets();
    assert!(sets.len() >= 6, "{sets:?}");
    for set in sets {
        let output = checked(&server(&set));
        let told = told(&output);
        assert_eq!(output.status.code(), Some(0), "{set}: {told}");
        // a file that the configuration names and no volume brings; what Kubernetes mounts is where it always is
        let missing = |line: &str| line.contains("does not exist") && !line.contains(ACCOUNT);
        assert!(!told.lines().any(missing), "{set}: {told}");
        assert!(!told.contains("-of-"), "{set}: a secret is told: {told}");
    }
}

#[test]
fn the_default_render_means_what_the_platform_expects_rows_42_to_45() {
    let output = checked(&server("default"));
    let told = told(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for words in ["http://gitea-http.gitea.svc.cluster.local:3000", "https://github.com/openova-io/openova", "10m0s"] {
        assert!(told.contains(words), "{words} is missing in {told}");
    }
}

#[test]
fn callers_find_the_service_where_the_platform_expects_it_row_23() {
    let objects = render("default");
    let spec = &of_kind(&objects, "Service", None)["spec"];
    assert_eq!((&spec["type"], &spec["ports"][0]["port"]), (&"ClusterIP".into(), &8080.into()));
    let options = cutover_api::config::Options::default();
    assert!(options.listen.ends_with(":8080"), "{}", options.listen);
    // and it may be another one
    let values: Value = serde_saphyr::from_str(&read("chart/values.yaml")).unwrap();
    assert_eq!((&values["service"]["type"], &values["service"]["port"]), (&"ClusterIP".into(), &8080.into()));
}

#[test]
fn the_chart_and_its_blueprint_say_what_the_platforms_ci_asks_for_rows_55_and_64() {
    let chart: Value = serde_saphyr::from_str(&read("chart/Chart.yaml")).unwrap();
    assert_eq!(chart["annotations"]["catalyst.openova.io/no-upstream"], "true");
    assert!(chart["dependencies"].is_null(), "there is no upstream chart");
    let blueprint: Value = serde_saphyr::from_str(&read("chart/blueprint.yaml")).unwrap();
    let spec = &blueprint["spec"];
    assert_eq!((&spec["endpoints"], &spec["multiInstance"]["enabled"]), (&serde_json::json!([]), &false.into()));
    assert_eq!(spec["topology"]["supported"], serde_json::json!(["singleton"]));
}

#[test]
fn a_test_of_the_platforms_that_no_pull_mirror_can_pass_is_named_and_not_pleased_with_words_row_41() {
    let page = read("docs/platform.md");
    assert!(
        page.contains("Case 46") && page.contains("No\n  client of a pull mirror can pass it"),
        "it is told, and why"
    );
    for set in sets() {
        let text = read(&format!("tests/chart/golden/{set}.yaml"));
        assert!(!text.contains("git push"), "{set}");
    }
}

#[test]
fn a_bundle_of_ca_certificates_is_mounted_and_trusted_for_gitea_and_every_upstream() {
    let pod = server("several");
    let output = checked(&pod);
    let trusted = told(&output)
        .lines()
        .filter(|line| line.contains("1 certificate in") && line.contains("/run/secrets/ca/ca.crt"))
        .count();
    assert_eq!((output.status.code(), trusted), (Some(0), 4), "{}", told(&output));
    fs::write(pod.path("/run/secrets/ca/ca.crt"), "").unwrap();
    let output = checked(&pod);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("holds no certificate"), "{}", told(&output));
}

#[test]
fn a_configuration_that_the_program_does_not_take_would_be_told() {
    let pod = server("default");
    let file = pod.path("/etc/cutover-api/config.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("deadPlaceholder", "deadPlaceholders")).unwrap();
    let output = checked(&pod);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("deadPlaceholders"), "{}", told(&output));
    fs::remove_file(pod.path("/run/secrets/gitea/username")).unwrap();
    fs::write(file, text).unwrap();
    assert!(told(&checked(&pod)).contains("username does not exist"), "{}", told(&checked(&pod)));
}

/// The first line that begins so, without it and without quotes.
fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(begin)).collect();
    assert_eq!(found.len(), 1, "{begin:?} begins {} lines", found.len());
    found[0].trim().trim_matches('"')
}

/// A version has a heading of its own, or is still being made: then there is something under `Unreleased`, and no
/// released version is as new.
fn is_in_the_changelog(version: &str, changelog: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> { text.split('.').map(|part| part.parse().ok()).collect() };
    let headings: Vec<&str> =
        changelog.lines().filter_map(|line| line.strip_prefix("## [")?.split(']').next()).collect();
    if headings.contains(&version) {
        return true;
    }
    let unreleased = changelog.split("## [Unreleased]").nth(1).and_then(|rest| rest.split("\n## [").next());
    let newest = headings.iter().filter_map(|heading| numbers(heading)).max();
    unreleased.is_some_and(|text| text.contains("\n- ")) && newest.is_none_or(|newest| numbers(version) > Some(newest))
}

#[test]
fn versions_move_together_row_54() {
    let (chart, blueprint) = (read("chart/Chart.yaml"), read("chart/blueprint.yaml"));
    assert_eq!(line(&chart, "version: "), line(&blueprint, "  version: "));
    assert_eq!(line(&chart, "name: "), line(&blueprint, "  name: "));
    let program = line(&chart, "appVersion: ");
    assert_eq!(program, env!("CARGO_PKG_VERSION"));
    assert!(line(&chart, "      image: ").ends_with(&format!("/cutover-api:{program}")));
    let specification: Value = serde_json::from_str(&read("openapi/cutover-api.json")).unwrap();
    assert_eq!(specification["info"]["version"], program);
    assert!(is_in_the_changelog(program, &read("CHANGELOG.md")), "CHANGELOG.md says nothing of {program}");
}

#[test]
fn a_version_that_the_changelog_does_not_know_is_seen() {
    let unreleased = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n";
    let released = format!("{unreleased}\n## [0.2.0] - 2026-01-01\n\n- b\n");
    for (version, changelog, known) in [
        ("0.1.0", unreleased, true),
        ("0.1.0", "# Changelog\n\n## [Unreleased]\n", false),
        ("0.2.0", &released, true),
        ("0.3.0", &released, true),
        ("0.10.0", &released, true),
        ("0.1.9", &released, false),
        ("0.1.0", "# Changelog\n\n## [0.1.0]\n", true),
        ("0.2.0", "# Changelog\n\n## [0.1.0]\n\n- a\n", false),
    ] {
        assert_eq!(is_in_the_changelog(version, changelog), known, "{version} in {changelog}");
    }
}

#[test]
fn the_chart_has_no_path_or_version_of_its_own_in_the_kept_renders() {
    for set in sets() {
        let text = read(&format!("tests/chart/golden/{set}.yaml"));
        assert!(
            text.contains(&format!("cutover-api:{}", env!("CARGO_PKG_VERSION")))
                || text.contains("cutover-api@sha256:")
        );
        assert!(!text.contains(PathBuf::from(root()).to_str().unwrap()), "{set}");
    }
}
