//! What is made for Prometheus and Grafana says nothing that the program does not: every expression of the rules, the
//! dashboard and the pages uses its families, labels and values, every alert has its runbook, and a scrape stays small.
//!
//! How the rules behave is promtool's to hold: see `tests/prometheus`. All of it stands in one file, since every test
//! reads the same expressions in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use cutover_api::domain::mode::Mode;
use cutover_api::domain::problem::Code;
use cutover_api::domain::run::Phase;
use cutover_api::domain::status::Freshness;
use cutover_api::metrics::{CONTENT_TYPE, FAMILIES, Family, FamilyKind};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde::Deserialize;
use serde_json::Value;
use standin::UpstreamFault;

use crate::http::stage::{OPERATOR, Setting, Stage, VIEWER};

/// Labels that scraping adds.
const SCRAPED: &[&str] = &["job", "instance", "namespace", "pod", "node"];
/// Labels of the alerts that Prometheus itself records.
const OF_ALERTS: &[&str] = &["alertname", "alertstate", "severity"];

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn files_of(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    lasts: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let file: File = serde_saphyr::from_str(&read("chart/files/prometheus/rules.yaml")).unwrap();
    assert!(file.groups.iter().all(|group| group.name.starts_with("cutover-api.")));
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

fn alerts() -> BTreeMap<String, Rule> {
    rules().into_iter().filter_map(|rule| Some((rule.alert.clone()?, rule))).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("chart/files/dashboards/cutover-api.json")).unwrap()
}

/// Every value of a member of this name, however deep.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                if key == name {
                    found.push(inner);
                }
                members(inner, name, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| members(inner, name, found)),
        _ => {}
    }
}

/// Where an expression stands, and the expression as Prometheus gets it.
fn expressions() -> Vec<(String, String)> {
    let mut all: Vec<_> =
        rules().into_iter().map(|rule| (format!("rule {}", rule.alert.or(rule.record).unwrap()), rule.expr)).collect();
    let dashboard = dashboard();
    let mut found = Vec::new();
    members(&dashboard, "expr", &mut found);
    for expression in found {
        let expression = expression.as_str().unwrap();
        let asked = expression.replace("$__rate_interval", "5m").replace("$__range", "24h");
        all.push((format!("dashboard {expression}"), asked.replace("$namespace", ".*")));
    }
    let pages = files_of("docs/runbooks").into_iter().map(|page| format!("docs/runbooks/{page}"));
    for page in pages.chain(["docs/monitoring.md".into()]) {
        let text = read(&page);
        for block in text.split("```promql\n").skip(1) {
            all.push((page.clone(), block.split("```").next().unwrap().to_owned()));
        }
    }
    all
}

/// Every selection of series in an expression, and every label that it groups or matches by.
#[derive(Default)]
struct Used {
    selectors: Vec<VectorSelector>,
    labels: BTreeSet<String>,
}

impl Used {
    fn by(expression: &str) -> Result<Self, String> {
        let mut used = Self::default();
        let Ok(_) = walk_expr(&mut used, &parser::parse(expression)?);
        Ok(used)
    }

    fn modifier(&mut self, modifier: Option<&LabelModifier>) {
        self.labels.extend(modifier.iter().flat_map(|modifier| modifier.labels().labels.clone()));
    }
}

impl ExprVisitor for Used {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        match expression {
            Expr::VectorSelector(selector) => self.selectors.push(selector.clone()),
            Expr::MatrixSelector(matrix) => self.selectors.push(matrix.vs.clone()),
            Expr::Aggregate(aggregate) => self.modifier(aggregate.modifier.as_ref()),
            Expr::Binary(binary) => {
                if let Some(modifier) = &binary.modifier {
                    self.modifier(modifier.matching.as_ref());
                    self.labels.extend(modifier.card.labels().iter().flat_map(|labels| labels.labels.clone()));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// The family of which a series of this name is.
fn family(series: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| match family.kind {
        FamilyKind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|suffix| series.strip_suffix(suffix) == Some(family.name))
        }
        FamilyKind::Gauge | FamilyKind::Counter => series == family.name,
    })
}

/// The values that a label of a family has, where these are a closed set.
fn values(family: &str, label: &str) -> Option<BTreeSet<String>> {
    let set = |labels: &mut dyn Iterator<Item = &'static str>| Some(labels.map(str::to_owned).collect());
    match (family, label) {
        ("cutover_mirror_run_failures_total", "reason") => set(&mut Code::ALL.iter().map(|code| code.label())),
        ("cutover_mirror_freshness", "state") => set(&mut Freshness::LABELS.into_iter()),
        ("cutover_mirror_phase", "phase") => set(&mut Phase::ALL.iter().map(|phase| phase.label())),
        ("cutover_mirror_mode", "mode") => set(&mut Mode::ALL.iter().map(|mode| mode.label())),
        (_, "route") => {
            let specification: Value = serde_json::from_str(&cutover_api::api::openapi()).unwrap();
            Some(specification["paths"].as_object().unwrap().keys().cloned().collect())
        }
        _ => None,
    }
}

/// What is wrong with a selection.
fn wrong(selector: &VectorSelector, recorded: &BTreeSet<String>) -> Vec<String> {
    let Some(name) = &selector.name else { return vec!["a selection without a name".into()] };
    let own: Vec<&str> = if name == "ALERTS" {
        OF_ALERTS.iter().copied().chain(alerts_labels()).collect()
    } else if recorded.contains(name) {
        vec!["mirror"]
    } else if let Some(family) = family(name) {
        let le = matches!(family.kind, FamilyKind::Histogram(_)).then_some("le");
        family.labels.iter().copied().chain(le).collect()
    } else {
        return vec![format!("there is no family {name}")];
    };
    let mut wrong = Vec::new();
    for matcher in &selector.matchers.matchers {
        if !own.contains(&matcher.name.as_str()) && !SCRAPED.contains(&matcher.name.as_str()) {
            wrong.push(format!("{name} has no label {}", matcher.name));
        }
        let Some(known) = family(name).and_then(|family| values(family.name, &matcher.name)) else { continue };
        for value in matcher.value.split('|').filter(|value| !known.contains(*value)) {
            wrong.push(format!("{name} never has {}=\"{value}\"", matcher.name));
        }
    }
    wrong
}

fn alerts_labels() -> impl Iterator<Item = &'static str> {
    ["mirror", "reason"].into_iter()
}

#[test]
fn every_expression_uses_only_families_labels_and_values_that_the_program_has() {
    let recorded: BTreeSet<_> = rules().into_iter().filter_map(|rule| rule.record).collect();
    let labels: BTreeSet<&str> = FAMILIES.iter().flat_map(|family| family.labels).copied().chain(["le"]).collect();
    let mut faults = Vec::new();
    let all = expressions();
    for (place, expression) in &all {
        match Used::by(expression) {
            Err(error) => faults.push(format!("{place}: {error}")),
            Ok(used) => {
                let unknown = used
                    .labels
                    .iter()
                    .filter(|label| !labels.contains(label.as_str()) && !SCRAPED.contains(&label.as_str()));
                faults.extend(unknown.map(|label| format!("{place}: nothing has the label {label}")));
                for selector in &used.selectors {
                    faults.extend(wrong(selector, &recorded).iter().map(|fault| format!("{place}: {fault}")));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(all.len() > 40, "{}", all.len());
}

#[test]
fn a_name_a_label_or_a_value_that_is_not_there_is_found() {
    let recorded = BTreeSet::from(["cutover:mirror_fresh:bool".to_owned()]);
    for (expression, faults) in [
        ("sum(cutover_mirror_run_failures_total)", 0),
        ("rate(cutover_http_request_duration_seconds_bucket{le=\"0.1\"}[5m])", 0),
        ("rate(cutover_http_request_duration_seconds[5m])", 1),
        ("cutover_mirror_state", 1),
        ("cutover_gitea_up{mirror=\"one\"}", 1),
        ("cutover_mirror_run_failures_total{reason=~\"not-a-mirror|no-mirror\"}", 1),
        ("cutover_mirror_phase{phase!=\"asleep\"}", 1),
        ("cutover_http_requests_total{route!~\"/healthz|/livez\"}", 1),
        ("cutover:mirror_fresh:bool{namespace=\"x\"}", 0),
        ("cutover:mirror_old:bool", 1),
    ] {
        let used = Used::by(expression).unwrap();
        let found: Vec<_> = used.selectors.iter().flat_map(|selector| wrong(selector, &recorded)).collect();
        assert_eq!(found.len(), faults, "{expression}: {found:?}");
    }
    assert!(Used::by("sum(").is_err());
    assert_eq!(Used::by("a and on (x) b / ignoring (y) group_left (z) max by (w) (c)").unwrap().labels.len(), 4);
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on() {
    let page = read("docs/monitoring.md");
    for (name, rule) in alerts() {
        let severity = &rule.labels["severity"];
        assert!(["critical", "warning"].contains(&severity.as_str()) && rule.labels.len() == 1, "{name}");
        let annotations: Vec<_> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(annotations, ["description", "runbook", "summary"], "{name}");
        assert_eq!(rule.annotations["runbook"], format!("{name}.md"));
        assert!(
            !rule.annotations["summary"].ends_with('.') && rule.annotations["description"].ends_with('.'),
            "{name}"
        );
        let lasts = rule.lasts.map_or(" ".to_owned(), |lasts| format!(" {lasts} "));
        let row = format!("| [{name}](runbooks/{name}.md) | {severity} |{lasts}| ");
        assert!(page.contains(&row), "docs/monitoring.md lacks {row}");
    }
    assert_eq!(page.matches("](runbooks/").count(), alerts().len(), "docs/monitoring.md has an alert that is none");
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert_row_68() {
    let alerts = alerts();
    let wanted: BTreeSet<_> = alerts.keys().map(|name| format!("{name}.md")).collect();
    assert_eq!(files_of("docs/runbooks"), wanted);
    for (name, rule) in alerts {
        let text = read(&format!("docs/runbooks/{name}.md"));
        assert!(text.starts_with(&format!("# {name}\n\nSeverity: {}.\n", rule.labels["severity"])), "{name}");
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"], "{name}");
        let parts: Vec<_> = text.split("\n## ").collect();
        for part in &parts[1..] {
            assert!(part.lines().skip(1).any(|line| line.len() > 20), "{name}: {part}");
        }
        for first in
            ["cutover-api status\n", "kubectl -n catalyst logs deploy/cutover-api --tail=100\n", "`/d/cutover-api`"]
        {
            let at = parts[3].find(first).unwrap_or_else(|| panic!("{name} does not begin with {first}"));
            assert!(at < 600, "{name}: {first} comes too late");
        }
        assert!(parts[4].to_lowercase().contains("it worked when"), "{name} does not say how to see that it worked");
    }
}

#[test]
fn the_dashboard_belongs_to_no_one_installation() {
    let dashboard = dashboard();
    assert_eq!((&dashboard["uid"], &dashboard["id"]), (&"cutover-api".into(), &Value::Null));
    let mut sources = Vec::new();
    members(&dashboard, "datasource", &mut sources);
    assert!(sources.len() > 30);
    for source in sources {
        assert_eq!(*source, serde_json::json!({"type": "prometheus", "uid": "${datasource}"}));
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "namespace"]);
    assert_eq!(variables[1]["query"]["query"], "label_values(cutover_build_info, namespace)");
    // without a namespace, as under a plain Prometheus, everything is shown
    assert_eq!((&variables[1]["allValue"], &variables[1]["current"]["value"]), (&".*".into(), &"$__all".into()));
}

#[test]
fn every_panel_says_what_it_shows_and_has_a_place_of_its_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && taken.insert((x, y)), "{title}: its place is taken");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(
            panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{title} says nothing of itself"
        );
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let selections = Used::by(&expression.replace("$__rate_interval", "5m").replace("$__range", "1h")).unwrap();
            for selector in selections.selectors {
                let scoped = selector.matchers.matchers.iter().any(|matcher| matcher.value == "$namespace");
                assert!(scoped, "{title}: {} is of every namespace", selector.name.unwrap());
            }
        }
    }
    assert!(ids.len() > 30);
}

#[test]
fn the_families_keep_prometheuss_naming_rules() {
    for family in FAMILIES {
        let name = family.name;
        assert!(name.starts_with("cutover_") || name.starts_with("process_"), "{name}");
        let words: Vec<_> = name.split('_').collect();
        let lower = |text: &str| text.chars().all(|c| c.is_ascii_lowercase());
        assert!(words.iter().all(|word| !word.is_empty() && lower(word)), "{name}");
        for unit in ["ms", "milliseconds", "minutes", "hours", "days", "kilobytes", "mebibytes", "percent", "ratio"] {
            assert!(!words.contains(&unit), "{name}: {unit} is no base unit");
        }
        let last = *words.last().unwrap();
        match family.kind {
            FamilyKind::Counter => assert_eq!(last, "total", "{name}"),
            FamilyKind::Histogram(bounds) => {
                assert_eq!(last, "seconds", "{name}");
                assert!(bounds.windows(2).all(|two| two[0] < two[1]), "{name}");
            }
            FamilyKind::Gauge => assert!(!["total", "count", "sum", "bucket"].contains(&last), "{name}"),
        }
        assert_eq!(words.contains(&"timestamp"), name.ends_with("_timestamp_seconds"), "{name}");
        for label in family.labels {
            let free = ["url", "user", "branch", "commit", "ref", "error", "detail", "token", "le", "quantile"];
            assert!(lower(label) && !free.contains(label) && !SCRAPED.contains(label), "{name}: {label}");
        }
        let of_mirrors = family.labels.contains(&"mirror");
        assert!(
            !of_mirrors || matches!(family.kind, FamilyKind::Gauge) || name == "cutover_mirror_runs_total",
            "{name}"
        );
    }
}

/// The end of a run that is asked for with this body.
fn run(stage: &Stage, body: &str) -> Value {
    let path = stage.ask("POST", "/cutover/mirror", "Content-Type: application/json\r\n", body);
    stage.end_of(path.header("location").unwrap_or_else(|| panic!("{path:?}")))
}

#[test]
fn a_scrape_after_a_full_story_stays_small_and_has_what_the_rules_choose_by_row_66() {
    let stage = Stage::set(Setting::default());
    assert_eq!(run(&stage, "{}")["mirrors"][0]["outcome"], "created");
    assert_eq!(run(&stage, "{}")["mirrors"][0]["outcome"], "noop");
    stage.upstream.commit("openova", "main", 2);
    assert_eq!(run(&stage, "{}")["mirrors"][0]["outcome"], "synced");
    for (fault, code) in
        [(UpstreamFault::EmptyV0, "upstream-suspect"), (UpstreamFault::Status(403), "upstream-refused")]
    {
        stage.upstream.fault(fault);
        assert_eq!(run(&stage, "{}")["mirrors"][0]["problem"]["error"], code);
        stage.upstream.clear_faults();
    }
    stage.upstream.force_push("openova", "main");
    assert_eq!(run(&stage, "{}")["mirrors"][0]["evidence"]["rewritten"], true);
    let known = stage.ask("GET", "/cutover/runs?limit=1", "", "").json()["runs"][0]["id"].as_str().unwrap().to_owned();
    // every operation of the specification, well and badly, as an operator and as a viewer
    let specification: Value = serde_json::from_str(&cutover_api::api::openapi()).unwrap();
    for (path, operations) in specification["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().keys().filter(|method| method.len() < 7);
        for method in methods.filter(|_| !path.ends_with("events")) {
            for (id, name) in [(known.as_str(), "openova"), ("0", "nobody")] {
                let named = [("{id}", id), ("{name}", name), ("{mirror}", name), ("{code}", "internal")];
                let path = named.iter().fold(path.clone(), |path, (from, to)| path.replace(from, to));
                for (token, body) in [(OPERATOR, ""), (OPERATOR, "["), (VIEWER, "")] {
                    stage.say(format!(
                        "{} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                        method.to_uppercase(),
                        body.len(),
                    ));
                }
            }
        }
    }
    stage.ask("GET", "/nowhere", "", "");
    stage.say("GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    run(&stage, "{}");

    let scrape = stage.ask("GET", "/metrics", "", "");
    assert_eq!(scrape.header("content-type"), Some(CONTENT_TYPE));
    let text = scrape.text();
    let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!((200..=450).contains(&series.len()), "{} series\n{text}", series.len());
    let gauges = series.iter().filter(|line| {
        let family = family(line.split(['{', ' ']).next().unwrap()).unwrap();
        line.contains("mirror=\"openova\"") && matches!(family.kind, FamilyKind::Gauge)
    });
    assert!((8..=15).contains(&gauges.clone().count()), "{:#?}", gauges.collect::<Vec<_>>());
    for chosen in [
        r#"operation="get_repository"}"#,
        r#"cutover_http_requests_total{code="200",method="GET",route="/readyz"}"#,
        r#"cutover_mirror_run_failures_total{reason="upstream-suspect"} 1"#,
        "cutover_mirror_rewrites_total 1",
    ] {
        assert!(text.contains(chosen), "{chosen}\n{text}");
    }
}
