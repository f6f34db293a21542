//! Callers that Kubernetes knows (rows 17, 47 and 48 of the platform's contract).

use std::time::Duration;

use base64::Engine as _;
use http::{Method, StatusCode, header};
use serde_json::json;
use tokio::time::{Instant, advance};

use super::server::{API_SERVER, ApiServer, Fault};
use super::{Log, OURS, PLATFORM, PLATFORM_NAME, READER, ask_as, metric, read_as, start, story_in_a_cluster};
use crate::world::{OPERATOR, VIEWER, World};

const REVIEWS: &str = "create tokenreviews";

const LISTED: &str = "
    operators: ['system:serviceaccount:catalyst:catalyst-api']
    viewers: ['system:serviceaccount:monitoring:grafana']
    statusConfigMap: ''
    pastPivotGuard: false
";

#[test]
fn a_listed_service_account_asks_for_runs_under_its_own_name() {
    story_in_a_cluster(LISTED, async |world, server| {
        let accepted = ask_as(&world, PLATFORM, Method::POST, "/cutover/mirror").await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
        assert_eq!(accepted.json()["requestedBy"], PLATFORM_NAME);
        let id = accepted.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(world.end_of(&id).await["status"], "succeeded");
        let spec = &server.calls(REVIEWS)[0].body["spec"];
        assert_eq!(*spec, json!({ "token": PLATFORM }), "no audience is asked for where none is configured");
    });
}

#[test]
fn a_listed_viewer_reads_and_whoever_is_not_listed_may_nothing() {
    story_in_a_cluster(LISTED, async |world, server| {
        assert_eq!(read_as(&world, READER).await.status, StatusCode::OK);
        let refused = ask_as(&world, READER, Method::POST, "/cutover/mirror").await;
        assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
        // a user whose name only begins as a listed one does, and one in the group of all service accounts
        server.account("near-miss-token", "system:serviceaccount:catalyst:catalyst-api-2", &[]);
        for (method, path) in [(Method::GET, "/status"), (Method::POST, "/cutover/mirror")] {
            let refused = ask_as(&world, "near-miss-token", method, path).await;
            assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
            assert!(refused.json()["detail"].as_str().unwrap().contains("catalyst:catalyst-api-2"), "{refused:?}");
        }
        assert_eq!(metric(&world, "cutover_auth_failures_total{reason=\"forbidden\"}").await, Some(3.0));
    });
}

#[test]
fn a_token_that_nobody_knows_is_answered_with_401_and_never_with_an_outage() {
    story_in_a_cluster(LISTED, async |world, server| {
        let refused = read_as(&world, "expired-or-invented").await;
        assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
        assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(server.count(REVIEWS), 1);
        assert_eq!(metric(&world, "cutover_auth_failures_total{reason=\"invalid\"}").await, Some(1.0));
    });
}

#[test]
fn a_token_of_the_file_is_never_shown_to_kubernetes_and_the_file_may_be_absent() {
    story_in_a_cluster(LISTED, async |mut world, server| {
        for token in [OPERATOR, VIEWER] {
            assert_eq!(read_as(&world, token).await.status, StatusCode::OK);
        }
        assert_eq!(server.count(REVIEWS), 0);
        // a file that is missing for a moment locks out nobody whom Kubernetes knows
        std::fs::remove_file(world.path("tokens")).unwrap();
        assert_eq!(read_as(&world, PLATFORM).await.status, StatusCode::OK);
        assert_eq!(read_as(&world, OPERATOR).await.status, StatusCode::OK);
        advance(Duration::from_secs(5)).await;
        // then any token may be one of the file's: none is shown to Kubernetes, and none refused as unknown
        let asked = server.count(REVIEWS);
        for token in [OPERATOR, PLATFORM, "another-token-of-the-file"] {
            let refused = read_as(&world, token).await;
            assert_eq!(
                (refused.status, refused.problem().as_str()),
                (StatusCode::SERVICE_UNAVAILABLE, "tokens-unreadable")
            );
        }
        assert_eq!(server.count(REVIEWS), asked);
        world.crash();
        world.without_tokens_file = true;
        start(&mut world, LISTED).await;
        assert_eq!(read_as(&world, PLATFORM).await.status, StatusCode::OK);
        assert_eq!(read_as(&world, "nobodys").await.problem(), "unauthenticated");
    });
}

#[test]
fn with_nobody_listed_kubernetes_is_not_asked() {
    story_in_a_cluster("statusConfigMap: ''\npastPivotGuard: false", async |world, server| {
        assert_eq!(read_as(&world, PLATFORM).await.problem(), "unauthenticated");
        assert_eq!(server.count(REVIEWS), 0);
    });
}

#[test]
fn a_token_has_to_be_made_for_one_of_our_audiences_and_the_answer_has_to_say_so() {
    let lines = "
        operators: ['system:serviceaccount:catalyst:catalyst-api']
        audiences: [cutover-api, cutover]
        statusConfigMap: ''
        pastPivotGuard: false
    ";
    story_in_a_cluster(lines, async |world, server| {
        server.account("made-for-us", PLATFORM_NAME, &["cutover"]);
        server.account("made-for-another", PLATFORM_NAME, &["vault"]);
        assert_eq!(read_as(&world, "made-for-us").await.status, StatusCode::OK);
        assert_eq!(server.calls(REVIEWS)[0].body["spec"]["audiences"], json!(["cutover-api", "cutover"]));
        for token in ["made-for-another", PLATFORM] {
            assert_eq!(read_as(&world, token).await.problem(), "unauthenticated", "{token}");
        }
        // a server that does not look at audiences says yes to each token, and names none
        server.ignore_audiences();
        advance(Duration::from_mins(1)).await;
        for token in ["made-for-us", "made-for-another"] {
            assert_eq!(read_as(&world, token).await.problem(), "unauthenticated", "{token}");
        }
    });
}

async fn is_let_in(world: &World, token: &str) -> bool {
    read_as(world, token).await.status == StatusCode::OK
}

#[test]
fn trouble_with_kubernetes_is_told_as_such_and_stops_nobody_else() {
    story_in_a_cluster(LISTED, async |world, server| {
        assert!(is_let_in(&world, READER).await);
        let router = world.in_process.down(API_SERVER).unwrap();
        let refused = read_as(&world, PLATFORM).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (502, "kubernetes-unreachable"));
        assert_eq!(refused.json()["retryable"], true);
        // whoever was recognised just now, whoever is in the file, and the probes
        assert!(is_let_in(&world, READER).await && is_let_in(&world, OPERATOR).await);
        for path in ["/readyz", "/healthz", "/metrics"] {
            assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
        }
        world.in_process.up(API_SERVER, router);
        advance(Duration::from_secs(1)).await;
        assert!(is_let_in(&world, PLATFORM).await, "an outage is not remembered");
        assert_eq!(metric(&world, "cutover_auth_failures_total{reason=\"unavailable\"}").await, Some(1.0));

        let again = Fault::Status(503);
        for (number, (faults, status, code)) in [
            (vec![Fault::Status(500), Fault::Status(500)], 502, "kubernetes-unreachable"),
            (vec![Fault::Status(429), again.clone()], 502, "kubernetes-unreachable"),
            (vec![Fault::Slow(Duration::from_secs(30)), again.clone()], 502, "kubernetes-unreachable"),
            (vec![Fault::Page], 502, "kubernetes-unreachable"),
            (vec![Fault::Status(404)], 502, "kubernetes-unreachable"),
            (vec![Fault::Status(403)], 503, "kubernetes-denied"),
            (vec![Fault::Status(401)], 503, "kubernetes-denied"),
        ]
        .into_iter()
        .enumerate()
        {
            server.fail(REVIEWS, &faults);
            let refused = read_as(&world, &format!("another-token-{number}")).await;
            assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (status, code), "{faults:?}");
        }
        // one that passes is asked again at once
        server.fail(REVIEWS, &[again]);
        assert_eq!(read_as(&world, "a-stranger").await.problem(), "unauthenticated");
    });
}

#[test]
fn our_own_token_is_read_anew_each_time() {
    story_in_a_cluster(LISTED, async |world, server| {
        server.our_token_is("rotated-0123456789");
        let refused = read_as(&world, PLATFORM).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "kubernetes-denied"));
        std::fs::write(world.path("our-token"), "rotated-0123456789\n").unwrap();
        advance(Duration::from_secs(1)).await;
        assert!(is_let_in(&world, PLATFORM).await);
        std::fs::remove_file(world.path("our-token")).unwrap();
        let refused = read_as(&world, READER).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "kubernetes-credential"));
        assert!(!refused.text.contains("our-token"), "nothing of the inside: {refused:?}");
        assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    });
}

/// A token that says itself when it ends, that many seconds from now.
fn ending_in(world: &World, seconds: i64) -> String {
    use cutover_api::clock::Clock as _;
    let ends = world.clock.now().as_second() + seconds;
    let part = |value: serde_json::Value| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(json!({ "alg": "RS256" })), part(json!({ "exp": ends, "aud": ["x"] })))
}

#[test]
fn an_answer_is_kept_for_half_a_minute_and_never_longer_than_the_token_lasts() {
    story_in_a_cluster(LISTED, async |world, server| {
        let asked = |world, token, times| {
            let server: ApiServer = server.clone();
            async move {
                let before = server.count(REVIEWS);
                let answer = read_as(world, token).await;
                assert_eq!(server.count(REVIEWS) - before, times);
                answer.status
            }
        };
        assert_eq!(asked(&world, PLATFORM, 1).await, StatusCode::OK);
        advance(Duration::from_secs(29)).await;
        server.revoke(PLATFORM);
        assert_eq!(asked(&world, PLATFORM, 0).await, StatusCode::OK);
        advance(Duration::from_secs(1)).await;
        assert_eq!(asked(&world, PLATFORM, 1).await, StatusCode::UNAUTHORIZED);
        // a stranger's is kept shorter: the account may have been made just now
        server.account(PLATFORM, PLATFORM_NAME, &[]);
        assert_eq!(asked(&world, PLATFORM, 0).await, StatusCode::UNAUTHORIZED);
        advance(Duration::from_secs(5)).await;
        assert_eq!(asked(&world, PLATFORM, 1).await, StatusCode::OK);

        let short = ending_in(&world, 10);
        server.account(&short, PLATFORM_NAME, &[]);
        assert_eq!(asked(&world, &short, 1).await, StatusCode::OK);
        advance(Duration::from_secs(9)).await;
        assert_eq!(asked(&world, &short, 0).await, StatusCode::OK);
        advance(Duration::from_secs(1)).await;
        server.revoke(&short);
        assert_eq!(asked(&world, &short, 1).await, StatusCode::UNAUTHORIZED);
        let long = ending_in(&world, 3_600);
        server.account(&long, PLATFORM_NAME, &[]);
        assert_eq!(asked(&world, &long, 1).await, StatusCode::OK);
        advance(Duration::from_secs(30)).await;
        assert_eq!(asked(&world, &long, 1).await, StatusCode::OK);
    });
}

#[test]
fn many_who_present_one_token_at_once_ask_once_also_when_the_first_hangs_up() {
    story_in_a_cluster(LISTED, async |world, server| {
        server.fail(REVIEWS, &[Fault::Slow(Duration::from_secs(2))]);
        {
            let first = read_as(&world, PLATFORM);
            assert!(tokio::time::timeout(Duration::from_secs(1), first).await.is_err(), "it hangs up");
        }
        let began = Instant::now();
        let answers = futures_util::future::join_all((0..20).map(|_| read_as(&world, PLATFORM))).await;
        assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
        assert_eq!((server.count(REVIEWS), began.elapsed().as_secs()), (1, 1));
    });
}

#[test]
fn who_guesses_does_not_keep_the_api_server_busy() {
    story_in_a_cluster(LISTED, async |world, server| {
        server.fail(REVIEWS, &vec![Fault::Slow(Duration::from_secs(4)); 100]);
        let guesses: Vec<String> = (0..100).map(|number| format!("guess-{number}")).collect();
        let answers = futures_util::future::join_all(guesses.iter().map(|guess| read_as(&world, guess))).await;
        let (asked, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 401);
        // eight at a time, for as long as one waits for its turn
        assert_eq!((asked.len(), others.len(), server.count(REVIEWS)), (16, 84, 16));
        assert!(others.iter().all(|answer| answer.problem() == "kubernetes-unreachable"));
    });
}

#[test]
fn no_token_stands_in_a_log_an_answer_or_a_metric() {
    story_in_a_cluster(LISTED, async |world, server| {
        let log = Log::begin();
        let mut answers = String::new();
        let stranger = "stranger-token-0123456789";
        server.account("not-listed-token-0123456789", "system:serviceaccount:a:b", &[]);
        for token in [PLATFORM, READER, stranger, "not-listed-token-0123456789"] {
            answers += &read_as(&world, token).await.text;
        }
        server.fail(REVIEWS, &[Fault::Status(500), Fault::Status(500)]);
        answers += &read_as(&world, "in-trouble-token-0123456789").await.text;
        answers += &world.get("/metrics").await.text;
        let log = log.text();
        assert!(log.contains("request failed") && log.contains("its user is not listed"), "{log}");
        for secret in [PLATFORM, READER, stranger, OURS, "not-listed-token", "in-trouble-token"] {
            assert!(!log.contains(secret) && !answers.contains(secret), "{secret}");
        }
    });
}
