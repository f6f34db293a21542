//! The program as a process: signals, locks, exit codes and output, over real sockets and on real time.

mod scene;

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use standin::{Reader, UpstreamFault};

use crate::http::stage::wait_for;
use scene::VIEWER;
pub(crate) use scene::{BINARY, CLOSED, Scene, TOKEN, now};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_command_line_asks_for_a_run_follows_it_and_says_how_it_ended_by_its_exit_code() {
    let scene = Scene::set();
    let unreachable = scene.ask(&["mirror", "--wait"]);
    assert_eq!(unreachable.status.code(), Some(4), "{}", stderr(&unreachable));
    scene.gitea.set_migrate_delay(Duration::from_secs(1));
    let _service = scene.serve();

    let proven = scene.ask(&["mirror", "--wait"]);
    assert_eq!(proven.status.code(), Some(0), "{}{}", stdout(&proven), stderr(&proven));
    let told = stdout(&proven) + &stderr(&proven);
    assert!(told.contains("[one] migrating") && told.contains("created"), "{told}");

    let json = scene.ask(&["mirror", "one", "--wait", "--json"]);
    let run: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), run["mirrors"][0]["outcome"].as_str()), (Some(0), Some("noop")));

    scene.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
    let failed = scene.ask(&["mirror", "--wait"]);
    assert_eq!(failed.status.code(), Some(1));
    let told = stderr(&failed) + &stdout(&failed);
    assert!(told.contains("upstream-refused") && told.contains("UPSTREAM_REPO_URL"), "{told}");
    scene.upstream.clear_faults();

    assert_eq!(scene.ask(&["mirror", "nowhere"]).status.code(), Some(2));
    assert_eq!(scene.ask(&["mirror", "--nonsense"]).status.code(), Some(2));
    let url = scene.url("");
    let viewer = scene.command(&["mirror", "--url", &url, "--token-file", "viewer"]).output().unwrap();
    assert_eq!(viewer.status.code(), Some(5), "{}", stderr(&viewer));

    let status = scene.ask(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", stderr(&status));
    assert!(stdout(&status).contains("one"), "{}", stdout(&status));
    let status: Value = serde_json::from_slice(&scene.ask(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["mirrors"][0]["name"], "one");
}

#[test]
fn a_wait_that_takes_too_long_ends_with_six_and_the_run_goes_on() {
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(2));
    let _service = scene.serve();
    let timed_out = scene.ask(&["mirror", "--wait", "--timeout", "500ms"]);
    assert_eq!(timed_out.status.code(), Some(6), "{}", stderr(&timed_out));
    scene.wait_for("/status", |status| status["latestRun"]["status"] == "succeeded");
}

#[test]
fn sigterm_in_mid_migrate_ends_with_zero_within_five_seconds_and_the_next_start_finds_the_mirror() {
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(4));
    let service = scene.serve();
    assert_eq!(scene.ask(&["mirror"]).status.code(), Some(0));
    let status = scene.wait_for("/status", |status| status["mirrors"][0]["phase"] == "migrating");
    let id = status["latestRun"]["id"].as_str().unwrap().to_owned();
    let (code, took) = service.terminate();
    assert_eq!(code, Some(0), "{}", scene.log());
    assert!(took < Duration::from_secs(5), "{took:?}");

    let _service = scene.serve();
    let run = scene.get(&format!("/cutover/runs/{id}"));
    assert_eq!(run["id"], id.as_str(), "an accepted run is known again");
    // it goes on before the service even listens: no clock is needed to say that this is soon enough
    let log = scene.log();
    let goes_on = log.rfind("going on with a run").expect("it goes on");
    assert!(goes_on < log.rfind("serving").unwrap(), "{log}");
    let run = scene.wait_for(&format!("/cutover/runs/{id}"), |run| !run["finishedAt"].is_null());
    assert_eq!(run["mirrors"][0]["outcome"], "created", "{run:#}");
    let migrates = scene.gitea.calls().iter().filter(|call| call.path == "/api/v1/repos/migrate").count();
    assert_eq!(migrates, 1);
}

#[test]
fn kill_minus_nine_loses_no_accepted_run_row_9() {
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(1));
    // after so many calls to Gitea: in the middle of the migrate, at once, and while the mirror is looked at
    for calls in [4, 0, 1, 2] {
        let mut service = scene.serve();
        let before = scene.gitea.calls().len();
        let accepted = scene.ask(&["mirror", "--json"]);
        assert_eq!(accepted.status.code(), Some(0), "{}", stderr(&accepted));
        let run: Value = serde_json::from_slice(&accepted.stdout).unwrap();
        let id = run["id"].as_str().unwrap();
        wait_for(|| {
            let seen = scene.gitea.calls();
            if seen.len() >= before + calls { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        let _service = scene.serve();
        let run = scene.wait_for(&format!("/cutover/runs/{id}"), |run| !run["finishedAt"].is_null());
        assert_eq!(run["status"], "succeeded", "after {calls} calls: {run:#}");
    }
    let migrates = scene.gitea.calls().iter().filter(|call| call.path == "/api/v1/repos/migrate").count();
    assert_eq!(migrates, 1);
}

#[test]
fn a_second_process_on_the_same_state_directory_is_refused() {
    let scene = Scene::set();
    let _service = scene.serve();
    let second = scene.serve_command("127.0.0.1:0").output().unwrap();
    assert_eq!(second.status.code(), Some(2), "{}", stderr(&second));
    assert!(stderr(&second).contains("another process"), "{}", stderr(&second));
}

#[test]
fn a_bad_configuration_is_told_whole_and_nothing_is_opened() {
    let scene = Scene::set();
    scene.write(
        "config.yaml",
        "gitea: { url: 'ftp://x' }\nmirrors:\n  - name: A B\n    upstream: { url: 'https://u:hunter2secret@h/a', branch: '..' }\n    target: { owner: api, repo: x.git }\n    interval: 10 minutes\n",
    );
    let refused = scene.serve_command("127.0.0.1:0").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    for path in [
        "gitea.url",
        "mirrors[0].name",
        "mirrors[0].upstream.url",
        "mirrors[0].upstream.branch",
        "mirrors[0].target.owner",
        "mirrors[0].target.repo",
        "mirrors[0].interval",
    ] {
        assert!(told.contains(path), "{path} is missing in:\n{told}");
    }
    assert!(!told.contains("hunter2secret"), "{told}");
    assert!(!scene.path("state").exists());
    let checked =
        scene.command(&["check-config", "--config", "config.yaml", "--tokens-file", "tokens"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(2));
    scene.write("unknown.yaml", "mirrors:\n  - colour: red\n");
    let unknown =
        scene.command(&["check-config", "--config", "unknown.yaml", "--tokens-file", "tokens"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("mirrors[0].colour (line 2): unknown key"), "{}", stderr(&unknown));
    // nobody is let in by forgetting something
    let open = scene
        .command(&["serve", "--config", "config.yaml", "--listen", "0.0.0.0:0", "--auth", "none"])
        .output()
        .unwrap();
    assert_eq!(open.status.code(), Some(2));
    assert!(stderr(&open).contains("--allow-anonymous-remote"), "{}", stderr(&open));
}

#[test]
fn one_mirror_comes_from_the_environment_and_a_secret_there_is_warned_about() {
    let scene = Scene::set();
    let checked = scene
        .command(&["check-config", "--tokens-file", "tokens"])
        .env("GITEA_INTERNAL_URL", &scene.served.url)
        .env("GITEA_USERNAME", "bot")
        .env("GITEA_PASSWORD", "unused-password")
        .env("UPSTREAM_REPO_URL", scene.upstream.url("one"))
        .env("GITEA_ORG", "ours")
        .env("GITEA_REPO", "copy")
        .env("MIRROR_INTERVAL", "30m")
        .output()
        .unwrap();
    let told = stdout(&checked) + &stderr(&checked);
    assert_eq!(checked.status.code(), Some(0), "{told}");
    assert!(told.contains("ours/copy") && told.contains("30m0s") && told.contains("GITEA_PASSWORD"), "{told}");
    assert!(told.contains("\nvalid: 1 mirror, "), "{told}");
    assert!(!told.contains("unused-password"), "{told}");
}

#[test]
fn no_secret_is_in_the_log_the_state_or_any_answer_row_51() {
    let scene = Scene::set();
    let service = scene.serve();
    assert_eq!(scene.ask(&["mirror", "--wait"]).status.code(), Some(0));
    let wrong = "feedfacefeedfacefeedfacefeedfacefeedface";
    scene.write("gitea-token", wrong);
    assert_eq!(scene.ask(&["mirror", "--wait"]).status.code(), Some(1));
    let answers: String =
        ["/status", "/cutover/runs", "/openapi.json"].iter().map(|path| scene.get(path).to_string()).collect();
    let (code, _) = service.terminate();
    assert_eq!(code, Some(0));
    let mut seen = scene.log() + &answers;
    for file in fs::read_dir(scene.path("state")).unwrap() {
        seen += &String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap());
    }
    assert!(seen.contains("gitea-auth"), "what is searched holds what happened");
    for secret in [TOKEN, VIEWER, &scene.gitea_token, wrong] {
        assert!(!seen.contains(secret), "a secret was written down");
    }
    assert!(scene.log().contains("audit"), "{}", scene.log());
}

#[test]
fn every_changing_or_refused_request_has_one_audit_line_row_69() {
    let scene = Scene::set();
    let service = scene.serve();
    let post = |token: &str| {
        let header = format!("Authorization: Bearer {token}");
        let url = scene.url("/cutover/mirror");
        let done = Command::new("curl").args(["-s", "-o", "/dev/null", "-X", "POST", "-H", &header, &url]).status();
        assert!(done.unwrap().success());
    };
    post(TOKEN);
    post(VIEWER);
    post("nobody-knows-this-token");
    scene.get("/status");
    scene.wait_for("/status", |status| status["latestRun"]["status"] == "succeeded");
    assert_eq!(service.terminate().0, Some(0));
    let log = scene.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let audit: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audit.len(), 3, "{audit:#?}");
    let text = serde_json::to_string(&audit).unwrap();
    for word in ["ops", "eyes", "forbidden", "unauthenticated", "run.start"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}

#[test]
fn the_specification_is_printed_as_it_is_kept() {
    let scene = Scene::set();
    let printed = scene.command(&["openapi"]).output().unwrap();
    let kept = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/cutover-api.json")).unwrap();
    assert!(stdout(&printed) == kept, "run: cargo run -- openapi > openapi/cutover-api.json");
}
