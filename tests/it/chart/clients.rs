//! The pods that ask the service: step 1 of the cut-over, the auto-trigger, `helm test`. Their commands are run against a
//! service with a stand-in Gitea.
//!
//! Most recognise callers by a tokens file: the token that it lists stands for that of the account that a pod runs as. Two
//! run the step beside a scripted API server, with the `kubernetes` section that the chart renders.

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};

use super::engine::{self, Line, Step};
use super::kubelet::{ACCOUNT, Pod, of_kind, render, yaml_documents};
use super::told;
use crate::http::stage::{Setting, Stage};
use crate::kubernetes::server::ApiServer;
use crate::kubernetes::sockets::on_a_socket;
use crate::process::{Scene, TOKEN, now};

/// The render whose step and trigger are run.
const SET: &str = "platform";

fn step() -> Step {
    let mut steps = engine::discover(&render(SET), "catalyst").unwrap();
    assert_eq!(steps.len(), 1);
    steps.remove(0)
}

/// The address by which the render's pods call the service: it has to be that of the render's own Service.
fn address(set: &str) -> String {
    let objects = render(set);
    let service = of_kind(&objects, "Service", None);
    let name = |key: &str| service["metadata"][key].as_str().unwrap().to_owned();
    format!("http://{}.{}.svc.cluster.local:{}", name("name"), name("namespace"), service["spec"]["ports"][0]["port"])
}

/// A pod that asks the scene's service in place of the cluster's.
fn asking(set: &str, spec: &Value, scene: &Scene) -> Pod {
    let mut pod = Pod::start(spec, &render(set), &|_, _| format!("{TOKEN}\n"));
    pod.replace(&address(set), &scene.url(""));
    pod
}

/// One pod of the Job that the engine stamps.
fn step_pod(scene: &Scene) -> Pod {
    step_pod_by(Line::Late, scene)
}

fn step_pod_by(line: Line, scene: &Scene) -> Pod {
    let job = engine::stamp(&step(), 1_767_225_600, line);
    asking(SET, &job["spec"]["template"]["spec"], scene)
}

fn start(pod: &Pod) -> Child {
    pod.container().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(pod: &Pod) -> Output {
    pod.container().output().unwrap()
}

#[test]
fn the_engine_finds_the_step_and_stamps_its_job_rows_34_and_35() {
    let step = step();
    assert_eq!((step.order, step.name.as_str()), (1, "gitea-mirror"));
    for (line, deadline, again) in [(Line::Early, 900, 0), (Line::Late, 1200, 3)] {
        let job = engine::stamp(&step, 1_767_225_600, line);
        assert_eq!(job["metadata"]["name"], "cutover-gitea-mirror-1767225600");
        assert_eq!(job["spec"]["activeDeadlineSeconds"], deadline, "{line:?}");
        assert_eq!(job["spec"]["backoffLimit"], again, "{line:?}");
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
        assert_eq!(job["spec"]["template"]["spec"], step.pod_spec, "the pod is taken as it is");
    }
    // nothing is found where the step is not asked for, or in another namespace
    assert!(engine::discover(&render("default"), "catalyst").unwrap().is_empty());
    assert!(engine::discover(&render(SET), "flux-system").unwrap().is_empty());
}

#[test]
fn the_engine_is_as_strict_as_it_is_documented() {
    let objects = render(SET);
    let spoilt = |change: &dyn Fn(&mut Value)| {
        let mut it = of_kind(&objects, "ConfigMap", Some("cutover-step-01-gitea-mirror")).clone();
        change(&mut it);
        engine::discover(&[it], "catalyst").unwrap_err()
    };
    assert_eq!(spoilt(&|it| it["metadata"]["labels"]["bp.openova.io/cutover-order"] = "first".into()), "no order");
    assert_eq!(spoilt(&|it| it["metadata"]["labels"]["bp.openova.io/cutover-mode"] = "cron".into()), "mode cron");
    assert_eq!(spoilt(&|it| it["data"]["stepName"] = "Gitea Mirror".into()), "stepName \"Gitea Mirror\"");
    assert_eq!(spoilt(&|it| it["data"]["podSpec"] = "containers: []".into()), "no container");
}

#[test]
fn the_step_carries_the_token_of_its_account_and_no_other_credential_rows_36_and_39() {
    let step = step();
    let variables = step.pod_spec["containers"][0]["env"].as_array().unwrap();
    let token = variables.iter().find(|it| it["name"] == "CUTOVER_TOKEN_FILE").unwrap();
    assert_eq!(token["value"], format!("{ACCOUNT}/token"));
    assert_eq!(variables.len(), 2, "the other one is the service's address");
    assert!(step.pod_spec["volumes"].is_null());
}

#[test]
fn the_step_ends_with_0_when_the_mirror_is_proven_and_says_how_it_goes_rows_37_and_39() {
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(1));
    let _service = scene.serve();
    let proven = run(&step_pod(&scene));
    let told = told(&proven);
    assert_eq!(proven.status.code(), Some(0), "{told}");
    assert!(told.contains("[gitea-mirror] [one] migrating") && told.contains("created"), "{told}");
    assert!(told.lines().all(|line| line.starts_with("[gitea-mirror] ")), "{told}");
    assert!(!told.contains(TOKEN));
    let status = scene.get("/status");
    assert_eq!(status["steps"][0]["result"], "success", "{status:#}");
    // asked again, as by a reconciler, there is nothing left to do
    let again = run(&step_pod(&scene));
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(scene.get("/status")["latestRun"]["mirrors"][0]["outcome"], "noop");
}

#[test]
fn four_pods_of_one_job_join_one_run_rows_15_and_37() {
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(4));
    let _service = scene.serve();
    let pods: Vec<Pod> = (0..4).map(|_| step_pod(&scene)).collect();
    let processes: Vec<Child> = pods.iter().map(start).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    }
    assert_eq!(scene.get("/cutover/runs")["runs"].as_array().unwrap().len(), 1);
    let migrates = scene.gitea.calls().iter().filter(|call| call.path == "/api/v1/repos/migrate").count();
    assert_eq!(migrates, 1);
}

#[test]
fn on_the_early_engine_a_pod_that_its_deadline_ends_is_followed_by_one_that_joins_the_run_row_35() {
    use std::io::{BufRead as _, BufReader};
    let scene = Scene::set();
    scene.gitea.set_migrate_delay(Duration::from_secs(6));
    let _service = scene.serve();
    // the engine's 900 seconds are over in mid-clone: there is no second pod, and the engine deletes the Job
    let pod = step_pod_by(Line::Early, &scene);
    let mut process = start(&pod);
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("migrating")), "the clone has begun");
    process.kill().unwrap();
    assert_eq!(
        process.wait().unwrap().code(),
        None,
        "it was ended, and has not ended itself: what the engine tries again"
    );
    let runs = scene.get("/cutover/runs");
    assert_eq!(runs["runs"][0]["status"], "running", "the run goes on without its caller: {runs:#}");
    // and stamps another, whose one pod has to bring it to its end
    let again = run(&step_pod_by(Line::Early, &scene));
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    assert_eq!(scene.get("/cutover/runs")["runs"].as_array().unwrap().len(), 1);
    let migrates = scene.gitea.calls().iter().filter(|call| call.path == "/api/v1/repos/migrate").count();
    assert_eq!(migrates, 1);
}

#[test]
fn the_step_waits_for_a_service_that_is_not_there_yet_row_38() {
    let scene = Scene::set();
    // it has an address, and is gone
    drop(scene.serve());
    let pod = step_pod(&scene);
    let mut process = start(&pod);
    let mut refused = String::new();
    // it has been turned away once when the service starts
    {
        use std::io::{BufRead as _, BufReader};
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        while !refused.contains("Retrying") {
            refused += &lines.next().expect("it goes on").unwrap();
        }
        let _service = scene.serve_again();
        // read on, so that it is not held up by a full pipe
        for line in lines {
            refused += &line.unwrap();
        }
        assert_eq!(process.wait().unwrap().code(), Some(0), "{refused}");
    }
    assert!(refused.contains("is not reachable"), "{refused}");
}

#[test]
fn the_step_fails_only_where_asking_again_cannot_help_row_37() {
    let scene = Scene::set();
    scene.gitea.add_org("openova", "bot");
    scene.gitea.add_repository("openova", "one");
    let before = scene.gitea.heads_and_tags("openova", "one");
    let _service = scene.serve();
    let failed = run(&step_pod(&scene));
    assert_eq!(failed.status.code(), Some(1), "{}", told(&failed));
    assert!(told(&failed).contains("not-a-mirror"), "{}", told(&failed));
    assert_eq!(scene.gitea.heads_and_tags("openova", "one"), before, "and nothing was changed");
    assert_eq!(scene.get("/status")["steps"][0]["result"], "failed");
}

#[test]
fn the_step_keeps_asking_while_the_cause_may_pass_row_37() {
    let scene = Scene::set();
    scene.upstream.fault_for(Reader::Service, UpstreamFault::Empty200);
    let _service = scene.serve();
    let pod = step_pod(&scene);
    let mut process = start(&pod);
    // two runs have failed, and the pod has not
    scene.wait_for("/cutover/runs", |page| {
        page["runs"].as_array().is_some_and(|runs| runs.iter().filter(|run| run["status"] == "failed").count() >= 2)
    });
    assert!(process.try_wait().unwrap().is_none(), "it is still asking");
    scene.upstream.clear_faults();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("upstream-suspect"), "{}", told(&output));
}

#[test]
fn a_pod_whose_account_is_nobody_is_refused_at_once_row_47() {
    let scene = Scene::set();
    let _service = scene.serve();
    let mut pod = Pod::start(&step().pod_spec, &render(SET), &|_, _| "somebody-else-0123456789\n".to_owned());
    pod.replace(&address(SET), &scene.url(""));
    let refused = run(&pod);
    assert_eq!(refused.status.code(), Some(5), "{}", told(&refused));
    assert!(scene.gitea.calls().is_empty());
}

#[test]
fn the_auto_trigger_never_fails_the_install_and_starts_the_cut_over_when_it_can() {
    for set in [SET, "tokens"] {
        let scene = Scene::set();
        let objects = render(set);
        let job = of_kind(&objects, "Job", None);
        let mut pod = asking(set, &job["spec"]["template"]["spec"], &scene);
        pod.replace("--timeout=240s", "--timeout=1s");
        let began = now();
        let absent = run(&pod);
        assert_eq!(absent.status.code(), Some(0), "{}", told(&absent));
        assert!(told(&absent).contains("it would have been 6"), "{}", told(&absent));
        assert!(began.elapsed() < Duration::from_secs(10), "it has a deadline");
        assert_eq!(scene.gitea.calls().len(), 0);

        let _service = scene.serve();
        let pod = asking(set, &job["spec"]["template"]["spec"], &scene);
        let there = run(&pod);
        assert_eq!(there.status.code(), Some(0), "{}", told(&there));
        assert!(!told(&there).contains("would have been"), "{}", told(&there));
        assert_eq!(scene.get("/status")["latestRun"]["status"], "succeeded");
    }
}

#[test]
fn helm_test_asks_the_service_whether_it_can_serve() {
    let scene = Scene::set();
    let objects = render("default");
    let spec = &of_kind(&objects, "Pod", None)["spec"];
    assert_eq!(run(&asking("default", spec, &scene)).status.code(), Some(4));
    let _service = scene.serve();
    assert_eq!(run(&asking("default", spec, &scene)).status.code(), Some(0));
}

/// The platform's runner, and its token.
const RUNNER: &str = "system:serviceaccount:catalyst:bp-self-sovereign-cutover-runner";
const RUNNERS: &str = "runner-service-account-token-0123456789";

/// An API server on a socket, which knows us and the runner; and where it is.
fn api_server(status: &Value) -> (ApiServer, String) {
    let server = ApiServer::default();
    server.our_token_is("our-own-service-account-token-0123456789");
    server.account(RUNNERS, RUNNER, &[]);
    server.status_is(status);
    let address = on_a_socket(&server);
    (server, address)
}

/// The service with the `kubernetes` section of the render, but for where the API server is; and the step, asking it.
fn step_beside(api_server: &str) -> (Stage, Output) {
    let objects = render(SET);
    let config = of_kind(&objects, "ConfigMap", Some("cutover-api"));
    let mut section = yaml_documents(config["data"]["config.yaml"].as_str().unwrap()).remove(0)["kubernetes"].take();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "our-own-service-account-token-0123456789").unwrap();
    section["apiServer"] = json!(api_server);
    section["tokenFile"] = json!(token);
    // JSON is YAML
    let stage = Stage::set(Setting { yaml: &format!("kubernetes: {section}\n"), anonymous: false });
    let mut pod = Pod::start(&step().pod_spec, &objects, &|_, _| format!("{RUNNERS}\n"));
    pod.replace(&address(SET), &format!("http://{}", stage.address));
    let output = run(&pod);
    (stage, output)
}

#[test]
fn a_step_that_is_there_before_its_rights_in_the_cluster_waits_for_them_row_37() {
    let (server, address) = api_server(&json!({ "cutoverComplete": "false" }));
    server.deny("create tokenreviews");
    let output = std::thread::scope(|scope| {
        let step = scope.spawn(|| step_beside(&address));
        while server.count("create tokenreviews") == 0 {
            assert!(!step.is_finished(), "the step gave up");
            std::thread::yield_now();
        }
        server.allow_again();
        step.join().unwrap().1
    });
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("kubernetes-denied"), "{}", told(&output));
}

#[test]
fn the_runner_is_recognised_by_its_accounts_token_and_the_platform_is_told_rows_30_36_and_47() {
    let (server, address) = api_server(&json!({ "cutoverComplete": "false" }));
    let (_stage, output) = step_beside(&address);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(server.count("create tokenreviews") >= 1);
    // the platform is told after the run has ended, in its own time
    let began = now();
    while !server.data().contains_key("mirroredCommitSHA") {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", server.data());
        std::thread::yield_now();
    }
    assert_eq!(server.data()["cutoverComplete"], "false", "the engine's own keys are the engine's");
}

#[test]
fn past_the_pivot_the_step_is_told_so_and_fails_row_7b() {
    let (_server, address) = api_server(&json!({ "cutoverComplete": "true" }));
    let (_stage, output) = step_beside(&address);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("past-pivot"), "{}", told(&output));
}
