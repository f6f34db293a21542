//! Following by the stream of events, and without one.

use super::*;

/// An event as the service writes it.
fn event(id: u32, kind: &str, data: &Value) -> String {
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
}

fn phase(id: u32, phase: &str) -> String {
    event(
        id,
        "phase",
        &json!({ "runId": "019a-7", "mirror": { "name": "openova", "phase": phase, "waitingFor": null } }),
    )
}

fn service(answers: Vec<Answer>, streams: Vec<Vec<String>>) -> Arc<Service> {
    let (answers, streams) = (Mutex::new(answers.into()), Mutex::new(streams.into()));
    Arc::new(Service { answers, streams, ..Service::default() })
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_by_what_the_service_tells_and_asked_for_no_more() {
    let end = run_with("succeeded", "succeeded", &Value::Null);
    let says = vec![
        "retry: 2000\n\n".to_owned(),
        event(3, "snapshot", &json!({ "missed": false, "run": under_way("connecting") })),
        phase(4, "migrating"),
        ": still here\n\n".to_owned(),
        phase(5, "verifying"),
        event(6, "mirror-ended", &json!({ "runId": "019a-7", "mirror": end["mirrors"][0] })),
        event(7, "run-ended", &json!({ "run": end })),
    ];
    let service = service(vec![Answer::Json(202, under_way("queued"))], vec![says]);
    let ran = ran_with("mirror --wait", &service).await;
    assert_eq!(ran.exit, ExitStatus::Proven, "{}", ran.err);
    assert_eq!(
        ran.err,
        "[openova] queued\n[openova] connecting\n[openova] migrating\n[openova] verifying\n[openova] succeeded\n"
    );
    assert!(ran.out.ends_with("Run 019a-7 succeeded.\n"), "{}", ran.out);
    assert_eq!(ran.asked.len(), 1, "the run was asked for once, and told from there on");
    assert_eq!(*service.followed.lock().unwrap(), [("/cutover/runs/019a-7/events".to_owned(), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_goes_on_from_its_last_event_and_the_run_is_asked_for_between() {
    let end = run_with("succeeded", "succeeded", &Value::Null);
    let first = vec![phase(4, "migrating"), "event: shutdown\ndata: {}\n\n".to_owned()];
    let second = vec![phase(5, "verifying")];
    let answers = vec![
        Answer::Json(202, under_way("queued")),
        Answer::Away,
        Answer::Json(200, under_way("migrating")),
        Answer::Json(200, end),
    ];
    let service = service(answers, vec![first, second]);
    let ran = ran_with("mirror --wait", &service).await;
    assert_eq!(ran.exit, ExitStatus::Proven, "{}", ran.err);
    assert!(ran.err.contains("Retrying.\n[openova] verifying\n[openova] succeeded\n"), "{}", ran.err);
    let followed: Vec<_> = service.followed.lock().unwrap().iter().map(|(_, last)| last.clone()).collect();
    assert_eq!(followed, [None, Some("4".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watched_status_is_asked_for_when_something_happens() {
    let answer =
        |state: &str| Answer::Json(200, json!({ "mirrors": [{ "name": "a", "freshness": { "state": state } }] }));
    // two in a burst are one reason to look
    let says = vec![event(3, "snapshot", &json!({})), phase(4, "migrating"), phase(5, "verifying")];
    let service =
        service(vec![answer("unknown"), answer("fresh"), answer("behind")], vec![says, vec![phase(6, "idle")]]);
    let watched = tokio::time::timeout(Duration::from_secs(1), ran_with("status --watch --json", &service)).await;
    assert!(watched.is_err(), "it goes on");
    let followed = service.followed.lock().unwrap().clone();
    assert_eq!(followed[..2], [("/events".to_owned(), None), ("/events".to_owned(), Some("5".to_owned()))]);
    assert_eq!(service.asked.lock().unwrap().len(), 3);
}
