//! The commands against a service that is played by a function; in one file, since they share that player.

mod options;
mod status;
mod streams;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use serde_json::{Value, json};

use super::*;
use crate::domain::answer::{Trouble, TroubleKind};
use crate::transport::{Call, Pieces, Route};

/// One answer of the service.
enum Answer {
    Json(u16, Value),
    Html(u16),
    Away,
}

/// Answers from a list, the last one for ever; remembers what was asked.
#[derive(Default)]
struct Service {
    answers: Mutex<VecDeque<Answer>>,
    /// What each stream that is asked for says before it ends; none left: there is no stream.
    streams: Mutex<VecDeque<Vec<String>>>,
    /// What was asked of streams: the path, and the last event.
    followed: Mutex<Vec<(String, Option<String>)>>,
    asked: Mutex<Vec<http::Request<Bytes>>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

impl Transport for Service {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        assert_eq!(call.route, Route::Direct);
        self.asked.lock().unwrap().push(call.request);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { again(&answers[0]) };
        let (status, body) = match answer {
            Answer::Json(status, value) => (status, value.to_string()),
            Answer::Html(status) => (status, "<html>".to_owned()),
            Answer::Away => {
                let trouble = Trouble::not_sent(TroubleKind::Connect, "the connection is refused");
                return Box::pin(async { Err(trouble) });
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Box::pin(async { Ok(response) })
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let last = call.request.headers().get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        self.followed.lock().unwrap().push((call.request.uri().path().to_owned(), last));
        let Some(says) = self.streams.lock().unwrap().pop_front() else {
            return Box::pin(async { Err(Trouble::not_sent(TroubleKind::Connect, "the connection is refused")) });
        };
        let pieces = futures_util::stream::iter(says.into_iter().map(|piece| Ok(Bytes::from(piece)))).boxed();
        let response = Response::builder().header("content-type", "text/event-stream").body(pieces).unwrap();
        Box::pin(async { Ok(response) })
    }
}

fn again(answer: &Answer) -> Answer {
    match answer {
        Answer::Json(status, value) => Answer::Json(*status, value.clone()),
        Answer::Html(status) => Answer::Html(*status),
        Answer::Away => Answer::Away,
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What came of a command.
struct Ran {
    exit: ExitStatus,
    out: String,
    err: String,
    asked: Vec<http::Request<Bytes>>,
}

async fn ran(line: &str, answers: impl IntoIterator<Item = Answer>) -> Ran {
    let answers = Mutex::new(answers.into_iter().collect());
    ran_with(line, &Arc::new(Service { answers, ..Service::default() })).await
}

async fn ran_with(line: &str, service: &Arc<Service>) -> Ran {
    let arguments = std::iter::once("cutover-api").chain(line.split_whitespace()).map(OsString::from);
    let Command::Client(command) = parse(arguments).unwrap() else { panic!("a client's command") };
    let (out, err) = (Text::default(), Text::default());
    let mut console = Console::plain(Box::new(out.clone()), Box::new(err.clone()));
    let exit = run(command, Arc::clone(service) as Arc<dyn Transport>, &mut console).await;
    let text = |text: &Text| String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    let asked = std::mem::take(&mut *service.asked.lock().unwrap());
    Ran { exit, out: text(&out), err: text(&err), asked }
}

fn run_with(status: &str, phase: &str, problem: &Value) -> Value {
    let evidence = if phase == "succeeded" {
        json!({ "refs": 812, "trackedBranch": "main", "trackedCommit": "9f2c0123456789abcdef", "onlyInGitea": 2, "rewritten": false })
    } else {
        Value::Null
    };
    let outcome = if phase == "succeeded" { json!("created") } else { Value::Null };
    let part =
        json!({ "name": "openova", "phase": phase, "outcome": outcome, "evidence": evidence, "problem": problem });
    json!({ "id": "019a-7", "status": status, "coalesced": false, "newer": 1, "mirrors": [part] })
}

fn under_way(phase: &str) -> Value {
    run_with("running", phase, &Value::Null)
}

fn failed(code: &str, retryable: bool) -> Value {
    let problem = json!({ "error": code, "detail": "what happened", "remedy": "what to do", "retryable": retryable });
    run_with("failed", "failed", &problem)
}

fn unverified() -> Value {
    run_with("unverified", "unverified", &problem("upstream-unreachable", true))
}

fn problem(code: &str, retryable: bool) -> Value {
    json!({ "type": format!("/problems/{code}"), "error": code, "detail": "what happened", "remedy": "what to do", "retryable": retryable })
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_to_its_proof_with_a_line_for_each_phase() {
    let steps = ["queued", "migrating", "migrating", "verifying"].map(|phase| Answer::Json(202, under_way(phase)));
    let end = Answer::Json(200, run_with("succeeded", "succeeded", &Value::Null));
    let ran = ran("mirror --wait", steps.into_iter().chain([end])).await;
    assert_eq!(ran.exit, ExitStatus::Proven);
    assert_eq!(ran.err, "[openova] queued\n[openova] migrating\n[openova] verifying\n[openova] succeeded\n");
    assert_eq!(
        ran.out,
        "✓ openova  created, 812 refs proven equal, main at 9f2c01234567, 2 only in Gitea\nRun 019a-7 succeeded.\n"
    );
    let asked: Vec<String> =
        ran.asked.iter().map(|request| format!("{} {}", request.method(), request.uri())).collect();
    assert_eq!(
        asked[..2],
        ["POST http://127.0.0.1:8080/cutover/mirror", "GET http://127.0.0.1:8080/cutover/runs/019a-7"]
    );
    assert_eq!(asked.len(), 5);
    assert_eq!(&ran.asked[0].body()[..], b"{}");
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_says_how_it_ended() {
    for (line, answer, exit, words) in [
        ("mirror", Answer::Json(202, under_way("queued")), 0, "Run 019a-7 accepted: openova"),
        ("mirror --wait", Answer::Json(200, run_with("succeeded", "succeeded", &Value::Null)), 0, "succeeded"),
        (
            "mirror --wait",
            Answer::Json(200, failed("not-a-mirror", false)),
            1,
            "not-a-mirror: what happened\n    → what to do",
        ),
        ("mirror --wait", Answer::Json(200, run_with("canceled", "canceled", &Value::Null)), 1, "canceled"),
        ("mirror --wait", Answer::Json(200, unverified()), 3, "May succeed when you try again."),
        ("mirror --wait --accept-unverified", Answer::Json(200, unverified()), 0, "unverified"),
        ("mirror x", Answer::Json(422, problem("unknown-mirror", false)), 2, "unknown-mirror: what happened"),
        ("mirror", Answer::Json(401, problem("unauthenticated", false)), 5, "unauthenticated"),
        ("mirror", Answer::Json(403, problem("forbidden", false)), 5, "forbidden"),
        ("mirror", Answer::Json(409, problem("run-conflict", false)), 5, "run-conflict"),
        ("mirror", Answer::Html(401), 5, "--token-file"),
        ("mirror", Answer::Away, 4, "the connection is refused"),
        ("mirror", Answer::Html(200), 4, "Check --url"),
        ("mirror", Answer::Html(404), 4, "Check --url"),
        ("mirror", Answer::Json(200, json!({ "id": "../x", "status": "running" })), 4, "response without a run"),
        ("mirror", Answer::Json(503, problem("shutting-down", true)), 4, "shutting-down"),
        ("mirror --wait --timeout 5s", Answer::Json(200, under_way("migrating")), 6, "Run 019a-7 continues"),
        ("mirror --keep-trying --timeout 5m", Answer::Away, 6, "Gave up after 5m0s."),
        ("mirror --url ftp://x", Answer::Away, 2, "--url"),
        ("mirror --url http://joe:hunter2@x", Answer::Away, 2, "--url"),
        ("mirror --token-file /nowhere", Answer::Away, 2, "/nowhere does not exist"),
        ("status", Answer::Json(200, json!({ "mirrors": [] })), 0, ""),
        ("status x", Answer::Json(404, problem("unknown-mirror", false)), 2, "unknown-mirror"),
        ("status", Answer::Away, 4, "refused"),
        ("healthcheck", Answer::Json(200, json!({})), 0, ""),
        ("healthcheck", Answer::Json(503, json!({})), 4, "answers 503"),
        ("healthcheck", Answer::Away, 4, "refused"),
    ] {
        let ran = ran(line, [answer]).await;
        assert_eq!(ran.exit.code(), exit, "{line}: {} {}", ran.out, ran.err);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains(words) && !said.contains("hunter2"), "{line}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_trying_outlives_an_absent_service_and_a_failure_that_passes() {
    let answers = [
        Answer::Away,
        Answer::Html(502),
        Answer::Json(202, under_way("connecting")),
        Answer::Json(200, failed("gitea-unreachable", true)),
        Answer::Json(202, under_way("syncing")),
        Answer::Away,
        Answer::Json(200, run_with("succeeded", "succeeded", &Value::Null)),
    ];
    let ran = ran("mirror openova openova --wait --keep-trying --timeout 10m", answers).await;
    assert_eq!(ran.exit, ExitStatus::Proven, "{}", ran.err);
    let keys: Vec<_> = ran.asked.iter().filter_map(|request| request.headers().get("idempotency-key")).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[2] && keys[2] != keys[3], "a repeated request has its key, a new run a new one");
    assert_eq!(&ran.asked[0].body()[..], br#"{"mirrors":["openova"]}"#);
    assert!(ran.out.starts_with("✓ openova") && ran.err.contains("gitea-unreachable"), "{}", ran.err);
}

#[tokio::test(start_paused = true)]
async fn keep_trying_does_not_repeat_what_cannot_succeed() {
    for answer in
        [Answer::Json(200, failed("not-a-mirror", false)), Answer::Json(401, problem("unauthenticated", false))]
    {
        assert_eq!(ran("mirror --wait --keep-trying", [answer]).await.asked.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn keep_trying_outlives_a_conflict_a_service_that_is_not_ready_and_an_unverified_end() {
    let answers = || {
        [
            Answer::Json(409, problem("run-conflict", true)),
            Answer::Json(425, problem("too-early", true)),
            Answer::Json(503, problem("shutting-down", true)),
            Answer::Json(200, unverified()),
            Answer::Json(200, run_with("succeeded", "succeeded", &Value::Null)),
        ]
    };
    let proven = ran("mirror --wait --keep-trying", answers()).await;
    assert_eq!((proven.exit, proven.asked.len()), (ExitStatus::Proven, 5), "{}", proven.err);
    let accepted = ran("mirror --wait --keep-trying --accept-unverified", answers()).await;
    assert_eq!((accepted.exit, accepted.asked.len()), (ExitStatus::Proven, 4), "{}", accepted.err);
    assert_eq!(ran("mirror --wait", answers()).await.exit, ExitStatus::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_service_does_not_end_the_wait() {
    let away = (0..4).map(|_| Answer::Away);
    let end = [Answer::Json(200, run_with("succeeded", "succeeded", &Value::Null))];
    let begun = [Answer::Json(202, under_way("migrating"))];
    let ran_on = ran("mirror --wait", begun.into_iter().chain(away).chain(end)).await;
    assert_eq!((ran_on.exit, ran_on.err.matches("Retrying.").count()), (ExitStatus::Proven, 1), "{}", ran_on.err);
    let gone = ran("mirror --wait", [Answer::Json(202, under_way("migrating")), Answer::Away]).await;
    assert_eq!(gone.exit, ExitStatus::Unreachable);
    let lost = [Answer::Json(202, under_way("migrating")), Answer::Json(404, problem("not-found", false))];
    assert_eq!(ran("mirror --wait", lost).await.exit, ExitStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn with_json_stdout_holds_the_last_state_of_the_run_and_nothing_else() {
    let end = run_with("succeeded", "succeeded", &Value::Null);
    let answers = [Answer::Json(202, under_way("queued")), Answer::Json(200, end.clone())];
    let ran = ran("mirror --wait --json", answers).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), end);
}

#[tokio::test(start_paused = true)]
async fn the_token_is_read_from_its_file_and_sent_as_a_bearer() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let line = format!("mirror --url http://h:1/cutover/ --token-file {}", file.path().display());
    let ran = ran(&line, [Answer::Json(202, under_way("queued"))]).await;
    assert_eq!(ran.asked[0].headers()["authorization"], "Bearer s3cret");
    assert_eq!(ran.asked[0].uri(), "http://h:1/cutover/cutover/mirror");
    assert!(!format!("{:?}", ran.asked[0]).contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_asks_for_health_or_for_what_it_is_told() {
    for (line, path) in [
        ("healthcheck", "/healthz"),
        ("healthcheck --url http://h:1/readyz", "/readyz"),
        ("healthcheck --url http://h:1/prefix", "/prefix/healthz"),
    ] {
        let ran = ran(line, [Answer::Json(200, json!({}))]).await;
        assert_eq!(ran.asked[0].uri().path(), path);
    }
}

#[test]
fn a_command_line_that_is_wrong_exits_with_2_and_help_with_0() {
    let code = |line: &str| {
        let arguments = std::iter::once("x").chain(line.split_whitespace()).map(OsString::from);
        parse(arguments).map_or_else(|error| error.exit_code(), |_| -1)
    };
    for line in [
        "",
        "mirrors",
        "mirror Bad_Name",
        "mirror --timeout 10",
        "mirror --timeout 0s",
        "mirror --on-legacy renameAside",
        "mirror --accept-upstream abc",
        "mirror --label a]b",
        "mirror --label a --json",
        "serve --auth x",
        "completions x",
    ] {
        assert_eq!(code(line), 2, "{line}");
    }
    for line in ["--help", "--version", "serve --help", "mirror --help"] {
        assert_eq!(code(line), 0, "{line}");
    }
    for line in
        ["serve", "check-config --config x", "openapi", "completions zsh", "status a --watch", "mirror a b --wait"]
    {
        assert_eq!(code(line), -1, "{line}");
    }
    args::Cli::command().debug_assert();
}

#[test]
fn check_config_says_what_is_meant_or_everything_that_is_wrong() {
    let check = |variables: &[(&str, &str)]| {
        let (out, err) = (Text::default(), Text::default());
        let mut console = Console::plain(Box::new(out.clone()), Box::new(err.clone()));
        let Ok(Command::CheckConfig(options)) =
            parse(["x", "check-config", "--auth", "none", "--listen", "127.0.0.1:8080"].map(OsString::from))
        else {
            panic!("check-config")
        };
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let exit = check_config(&options, &lookup, &mut console);
        let text = |text: &Text| String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        (exit.code(), text(&out), text(&err))
    };
    let (exit, out, err) = check(&[("GITEA_TOKEN", "hunter2")]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("the token in the variable GITEA_TOKEN") && err.starts_with("! GITEA_TOKEN"), "{out}{err}");
    assert!(!format!("{out}{err}").contains("hunter2"));
    let (exit, out, err) = check(&[("MIRROR_INTERVAL", "1s"), ("GITEA_ORG", "api")]);
    assert_eq!((exit, out.as_str()), (2, ""));
    assert!(err.contains("3 faults") && err.contains("MIRROR_INTERVAL") && err.contains("GITEA_ORG"), "{err}");
}

#[test]
fn completions_name_the_commands() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut out = Vec::new();
        completions(shell, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("healthcheck") && text.contains("accept-unverified"), "{shell}");
    }
}
