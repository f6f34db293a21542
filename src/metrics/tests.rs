use std::sync::Arc;

use super::*;
use crate::domain::mode::{Mode, ModeChange, Source};
use crate::domain::problem::{Code, Problem};
use crate::domain::run::RunId;
use crate::domain::status::{Behind, GiteaStatus, MirrorStatus};
use crate::domain::tests::spec;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("1.2.3", "abc", Duration::from_mins(30)))
}

fn status(mirrors: Vec<MirrorStatus>) -> Status {
    Status {
        mirrors: mirrors.into_iter().map(Arc::new).collect(),
        latest_run: None,
        gitea: GiteaStatus::default(),
        cutover_complete: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Every series of a scrape, checked to be well-formed and announced by the table.
fn series(text: &str) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.rsplit_once(' ').unwrap();
        let name = key.split('{').next().unwrap();
        let family = FAMILIES.iter().find(|family| {
            let suffixes: &[&str] =
                if matches!(family.kind, FamilyKind::Histogram(_)) { &["_bucket", "_sum", "_count"] } else { &[""] };
            suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family.name))
        });
        let family = family.unwrap_or_else(|| panic!("{name} is not in the table"));
        for label in family.labels {
            assert!(key.contains(&format!("{label}=\"")), "{key} lacks {label}");
        }
        assert!(text.contains(&format!("# HELP {} ", family.name)));
        assert!(text.contains(&format!("# TYPE {} {}\n", family.name, family.kind.label())));
        all.push((key.to_owned(), value.parse().unwrap()));
    }
    all
}

fn text(metrics: &Metrics, status: &Status, now: i64) -> String {
    metrics.render(status, at(now))
}

fn find(text: &str, key: &str) -> Option<f64> {
    series(text).into_iter().find(|(found, _)| found == key).map(|(_, value)| value)
}

#[test]
fn what_nobody_knows_is_absent() {
    let text = text(&metrics(), &status(vec![MirrorStatus::unseen(Arc::new(spec()))]), 1_000);
    for absent in [
        "cutover_mirror_last_success_timestamp_seconds",
        "cutover_mirror_last_run_success",
        "cutover_mirror_refs{",
        "cutover_mirror_refs_differing",
        "cutover_mirror_behind_since_timestamp_seconds",
        "cutover_mirror_last_observation_timestamp_seconds",
        "cutover_gitea_up",
        "cutover_gitea_info",
        "cutover_run_in_flight_since_timestamp_seconds",
        "cutover_mirror_runs_total",
    ] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
    assert_eq!(find(&text, r#"cutover_mirror_freshness{mirror="openova",state="unknown"}"#), Some(1.0));
    assert_eq!(find(&text, r#"cutover_mirror_phase{mirror="openova",phase="idle"}"#), Some(1.0));
    assert_eq!(find(&text, r#"cutover_mirror_interval_seconds{mirror="openova"}"#), Some(600.0));
    assert_eq!(find(&text, "cutover_run_timeout_seconds"), Some(1_800.0));
    assert_eq!(find(&text, "cutover_panics_total"), Some(0.0));
}

fn pinned() -> ModeChange {
    ModeChange {
        id: RunId(uuid::Uuid::nil()),
        mode: Mode::Pinned,
        source: Source::Api,
        by: Some("ops".into()),
        reason: None,
        at: at(600),
        configured: Mode::Follow,
        convert: false,
        applied_at: None,
        problem: None,
    }
}

#[test]
fn what_is_known_is_there_and_a_mirror_has_at_most_fifteen_gauges() {
    let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
    mirror.facts.proven_at = Some(at(500));
    mirror.facts.observed_at = Some(at(800));
    mirror.facts.last_end = Some(crate::domain::run::Phase::Failed);
    mirror.facts.behind = Some(Behind { since: at(700), refs: 3, ..Behind::default() });
    (mirror.facts.upstream_refs, mirror.facts.gitea_refs) = (Some(9), Some(8));
    let mut still = mirror.clone();
    (still.mode, still.mode_change) = (Mode::Pinned, Some(pinned()));
    let mut status = self::status(vec![mirror]);
    status.gitea = GiteaStatus {
        flavour: Some("gitea"),
        version: Some("1.26.4\"\n".into()),
        reachable: Some(true),
        last_answer_at: Some(Timestamp::from_millisecond(1_500).unwrap()),
    };
    let text = self::text(&metrics(), &status, 1_000);
    assert_eq!(find(&text, r#"cutover_mirror_behind_since_timestamp_seconds{mirror="openova"}"#), Some(700.0));
    assert_eq!(find(&text, r#"cutover_mirror_refs_differing{mirror="openova"}"#), Some(3.0));
    assert_eq!(find(&text, r#"cutover_mirror_last_run_success{mirror="openova"}"#), Some(0.0));
    assert_eq!(find(&text, "cutover_gitea_last_success_timestamp_seconds"), Some(1.5));
    assert!(text.contains(r#"version="1.26.4\"\n""#), "{text}");
    assert_eq!(series(&text).iter().filter(|(key, _)| key.contains("mirror=\"")).count(), 14);
    let text = self::text(&metrics(), &self::status(vec![still]), 1_000);
    assert_eq!(find(&text, r#"cutover_mirror_mode{mirror="openova",mode="pinned"}"#), Some(1.0));
    assert_eq!(find(&text, r#"cutover_mirror_mode_applied{mirror="openova"}"#), Some(0.0));
    assert_eq!(find(&text, r#"cutover_mirror_refs_differing{mirror="openova"}"#), Some(3.0), "that it drifts is shown");
    assert_eq!(series(&text).iter().filter(|(key, _)| key.contains("mirror=\"")).count(), 15);
}

#[test]
fn ends_and_requests_are_counted_under_closed_labels() {
    let metrics = metrics();
    let took = Duration::from_secs(2);
    let failed = End::Failed { problem: Problem::new(Code::NotAMirror, "x") };
    metrics.part_ended("openova", &failed, took);
    metrics.part_ended("openova", &End::Canceled, took);
    metrics.request_sent("migrate", Some(201), took);
    metrics.request_sent("migrate", None, took);
    metrics.request_sent("upstream-refs", Some(999), took);
    metrics.request_sent("kubernetes_review_token", Some(201), took);
    metrics.auth_failure(AuthFailure::Invalid);
    metrics.panicked();
    metrics.request_received("GET", Some("/status")).answered(200);
    metrics.request_received("BREW", None).answered(404);
    drop(metrics.request_received("POST", Some("/cutover/mirror")));
    metrics.stream_requested("GET", "/events").answered(200);
    let (mut one, two) = (metrics.stream_opened(), metrics.stream_opened());
    one.over = Disconnect::Lagged;
    drop(one);
    metrics.event_told(crate::domain::event::Kind::RunEnded);
    let waiting = metrics.request_received("GET", Some("/metrics"));
    let before = text(&metrics, &status(vec![]), 0);
    waiting.answered(200);
    assert_eq!(find(&before, r#"cutover_http_request_duration_seconds_count{method="GET",route="/events"}"#), None);
    drop(two);
    let after = text(&metrics, &status(vec![]), 0);
    assert_eq!(find(&after, r#"cutover_sse_disconnects_total{reason="client"}"#), Some(1.0));
    let text = before;
    for (key, value) in [
        (r#"cutover_http_requests_total{code="200",method="GET",route="/events"}"#, 1.0),
        ("cutover_sse_connections", 1.0),
        (r#"cutover_sse_disconnects_total{reason="lagged"}"#, 1.0),
        (r#"cutover_sse_events_total{event="run-ended"}"#, 1.0),
        (r#"cutover_mirror_runs_total{mirror="openova",outcome="none",status="failed"}"#, 1.0),
        (r#"cutover_mirror_runs_total{mirror="openova",outcome="none",status="canceled"}"#, 1.0),
        (r#"cutover_mirror_run_failures_total{reason="not-a-mirror"}"#, 1.0),
        (r#"cutover_mirror_run_duration_seconds_sum{outcome="failed"}"#, 2.0),
        (r#"cutover_gitea_requests_total{code="201",operation="migrate"}"#, 1.0),
        (r#"cutover_gitea_requests_total{code="error",operation="migrate"}"#, 1.0),
        (r#"cutover_gitea_request_duration_seconds_count{operation="migrate"}"#, 2.0),
        (r#"cutover_upstream_requests_total{code="other"}"#, 1.0),
        (r#"cutover_kubernetes_requests_total{code="201",operation="review_token"}"#, 1.0),
        (r#"cutover_auth_failures_total{reason="invalid"}"#, 1.0),
        ("cutover_panics_total", 1.0),
        (r#"cutover_http_requests_total{code="200",method="GET",route="/status"}"#, 1.0),
        (r#"cutover_http_requests_total{code="404",method="OTHER",route="other"}"#, 1.0),
        (r#"cutover_http_requests_total{code="499",method="POST",route="/cutover/mirror"}"#, 1.0),
        ("cutover_http_requests_in_flight", 1.0),
    ] {
        assert_eq!(find(&text, key), Some(value), "{key}\n{text}");
    }
}

#[test]
fn every_family_stands_in_the_table_once_and_keeps_the_naming_rules() {
    for (index, family) in FAMILIES.iter().enumerate() {
        assert!(FAMILIES[..index].iter().all(|other| other.name != family.name), "{}", family.name);
        assert_eq!(family.name.ends_with("_total"), matches!(family.kind, FamilyKind::Counter), "{}", family.name);
        assert!(family.help.ends_with('.') && !family.help.contains(['|', '\n']), "{}", family.name);
        assert!(table().contains(&format!("| `{}` | {} |", family.name, family.kind.label())));
    }
}

#[test]
fn families_come_in_order_each_with_one_heading_before_its_series() {
    let mut proven = MirrorStatus::unseen(Arc::new(spec()));
    proven.facts.proven_at = Some(at(500));
    let text = text(&metrics(), &status(vec![proven]), 1_000);
    let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.is_sorted_by(|a, b| a < b), "{families:?}");
    assert!(text.contains(
        "# TYPE cutover_mirror_last_success_timestamp_seconds gauge\ncutover_mirror_last_success_timestamp_seconds{mirror=\"openova\"} 500\n"
    ));
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "));
}
