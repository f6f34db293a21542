//! What upstream, or a server before it, answers instead of a list of refs, and how a run ends then.

use std::sync::Arc;
use std::time::Duration;

use cutover_api::domain::answer::UpstreamAnswer;
use cutover_api::domain::credential::NoCredential;
use cutover_api::domain::names::BranchName;
use cutover_api::domain::refs::ListLimits;
use cutover_api::domain::url::UpstreamUrl;
use cutover_api::git::Lister;
use cutover_api::transport::HttpTransport;
use serde_json::Value;
use standin::{Reader, UpstreamFault};

use crate::world::{World, story};

const HTML: (&str, &str) = ("content-type", "text/html");
const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

/// A mirror that is proven, and the record cleared.
async fn proven(world: &mut World) {
    world.start().await;
    world.expect("created").await;
    world.gitea().clear_calls();
    world.upstream.clear_calls();
}

/// Reads upstream while it answers so to the service, and demands that a refusal or nonsense changes nothing. The problem.
async fn problem_of(world: &World, fault: UpstreamFault) -> Value {
    world.gitea().clear_calls();
    world.upstream.fault_for(Reader::Service, fault.clone());
    let run = world.run().await;
    world.upstream.clear_faults();
    let problem = run["mirrors"][0]["problem"].clone();
    if problem["error"] == "upstream-unreachable" {
        assert_eq!(run["status"], "unverified", "{fault:?}: {run:#}");
        // pruning is known to be off
        assert_eq!(world.changes(), [SYNC], "{fault:?}");
    } else {
        assert_eq!(run["status"], "failed", "{fault:?}: {run:#}");
        assert_eq!(world.changes(), Vec::<String>::new(), "{fault:?}");
    }
    problem
}

#[track_caller]
fn says(problem: &Value, error: &str, reason: Option<&str>, words: &str) {
    assert_eq!((problem["error"].as_str(), problem["reason"].as_str()), (Some(error), reason), "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem:#}");
}

/// How often the service asked upstream in this way.
fn asked(world: &World, method: &str, v2: bool) -> usize {
    let calls = world.upstream.calls().into_iter().filter(standin::Call::is_of_the_service);
    calls.filter(|call| call.method == method && call.git_protocol.is_some() == v2).count()
}

#[test]
fn git_requests_look_like_gits_to_either_side() {
    story(async |mut world| {
        proven(&mut world).await;
        world.expect("noop").await;
        let (upstream, gitea) = (world.upstream.calls(), world.gitea().calls());
        let of_git =
            gitea.iter().filter(|call| call.path.contains("/info/refs") || call.path.ends_with("/git-upload-pack"));
        let agents: Vec<_> = upstream.iter().chain(of_git).map(|call| call.user_agent.as_str()).collect();
        assert!(agents.len() >= 4, "{agents:?}");
        for agent in agents {
            assert!(agent.starts_with("git/2.") && agent.contains("(cutover-api/"), "{agent}");
        }
    });
}

#[test]
fn a_second_request_that_is_refused_after_the_first_was_allowed_is_no_refusal_w2() {
    story(async |mut world| {
        proven(&mut world).await;
        for status in [401, 403, 404] {
            world.upstream.clear_calls();
            world.upstream.fault_for(Reader::Service, UpstreamFault::SecondRefused { status, v0: true });
            world.expect("noop").await;
            assert_eq!(asked(&world, "GET", false), 1, "{status}: its list is read by protocol v0");
            world.upstream.clear_faults();
            world.upstream.clear_calls();
            let problem = problem_of(&world, UpstreamFault::SecondRefused { status, v0: false }).await;
            says(&problem, "upstream-unreachable", None, &format!("answers {status}"));
            assert!(problem["detail"].as_str().unwrap().contains("second request"), "{problem:#}");
            // beside the sync, upstream was read twice in five tries each
            let (first, second) = (asked(&world, "GET", true), asked(&world, "GET", false));
            assert!(first >= 5 && first == second, "{first} and {second}");
        }
    });
}

#[test]
fn a_second_request_that_is_refused_with_our_credential_is_a_refusal() {
    story(async |mut world| {
        std::fs::write(world.path("upstream-token"), "upstream-token-0123456789").unwrap();
        let file = world.path("upstream-token");
        let yaml = world.yaml().replace("branch: main }", &format!("branch: main, tokenFile: {} }}", file.display()));
        world.start_with(&yaml).await;
        world.expect("created").await;
        world.gitea().clear_calls();
        let problem = problem_of(&world, UpstreamFault::SecondRefused { status: 401, v0: true }).await;
        says(&problem, "upstream-refused", None, "Upstream answers 401");
    });
}

#[test]
fn gits_own_error_is_an_outage_a_refusal_or_nonsense_by_either_protocol_w3() {
    story(async |mut world| {
        proven(&mut world).await;
        for (words, error) in [
            ("GitLab is currently unable to handle this request due to load", "upstream-unreachable"),
            ("access denied or repository not exported: /one", "upstream-refused"),
            ("an error of an unknown kind", "upstream-suspect"),
        ] {
            for v0 in [false, true] {
                if v0 {
                    world.upstream.fault_for(Reader::Service, UpstreamFault::V0Only);
                }
                let problem = problem_of(&world, UpstreamFault::GitError(words)).await;
                let reason = (error == "upstream-suspect").then_some("not-git");
                says(&problem, error, reason, words);
            }
        }
    });
}

#[test]
fn what_answers_in_upstreams_place_is_named_and_sorted_w4() {
    story(async |mut world| {
        proven(&mut world).await;
        for (status, head, body, error, reason, words) in [
            (403, &[("x-ratelimit-remaining", "0")][..], "", "upstream-unreachable", None, "limits the rate"),
            (
                403,
                &[],
                "You have exceeded a secondary rate limit",
                "upstream-unreachable",
                None,
                "secondary rate limit",
            ),
            (
                503,
                &[HTML],
                "<html><title>Maintenance</title>",
                "upstream-unreachable",
                None,
                "503 with the page “Maintenance”",
            ),
            (
                200,
                &[HTML],
                "<html><title>Maintenance</title>",
                "upstream-unreachable",
                None,
                "200 with the page “Maintenance”",
            ),
            (407, &[], "", "upstream-unreachable", Some("proxy-login"), "A proxy answers 407"),
            (
                403,
                &[("x-squid-error", "ERR_ACCESS_DENIED 0")],
                "",
                "upstream-unreachable",
                Some("proxy"),
                "A proxy (Squid",
            ),
            (511, &[], "", "upstream-unreachable", None, "The network requires a log-in"),
            (403, &[("cf-mitigated", "challenge")], "", "upstream-unreachable", None, "only a browser passes"),
            (203, &[HTML], "<html><title>Sign In</title>", "upstream-refused", Some("log-in"), "log-in page"),
            (302, &[("location", "/users/sign_in")], "", "upstream-refused", Some("log-in"), "/users/sign_in"),
            (451, &[], "", "upstream-refused", Some("withdrawn"), "legal reasons"),
            (410, &[], "", "upstream-refused", Some("withdrawn"), "410"),
            (404, &[], "Repository not found.", "upstream-refused", None, "404: “Repository not found.”"),
            (200, &[HTML], "<html><title>one</title>", "upstream-suspect", Some("not-git"), "the page “one”"),
        ] {
            let problem = problem_of(&world, UpstreamFault::Page(status, head, body)).await;
            says(&problem, error, reason, words);
            assert_eq!(problem["retryable"], error != "upstream-refused", "{problem:#}");
        }
    });
}

#[test]
fn a_redirect_on_the_same_host_names_the_address_to_set_and_another_host_is_not_recommended_w9() {
    story(async |mut world| {
        proven(&mut world).await;
        let moved = world.upstream.url("one").replace("/one.git", "/moved/one.git");
        let problem = problem_of(&world, UpstreamFault::Redirect).await;
        says(&problem, "upstream-refused", Some("redirect"), &moved);
        let remedy = problem["remedy"].as_str().unwrap();
        assert!(remedy.contains(&format!("(upstream.url) to {moved} and restart")), "{remedy}");
        let elsewhere =
            &[("location", "https://user:secret@evil.test/one.git/info/refs?service=git-upload-pack&token=secret")];
        let problem = problem_of(&world, UpstreamFault::Page(302, elsewhere, "")).await;
        says(&problem, "upstream-refused", Some("redirect"), "https://evil.test/one.git,");
        assert!(!problem["remedy"].as_str().unwrap().contains("evil.test") && !problem.to_string().contains("secret"));
    });
}

#[test]
fn a_list_out_of_a_cache_proves_nothing_w10() {
    story(async |mut world| {
        proven(&mut world).await;
        for v0 in [false, true] {
            if v0 {
                world.upstream.fault_for(Reader::Service, UpstreamFault::V0Only);
            }
            let problem = problem_of(&world, UpstreamFault::Aged(37)).await;
            says(&problem, "upstream-unreachable", None, "A cache answered with a list of refs that is 37 s old");
        }
        world.upstream.fault_for(Reader::Service, UpstreamFault::Aged(0));
        world.expect("noop").await;
    });
}

#[test]
fn a_shallow_upstream_is_proven_and_the_evidence_says_that_it_is_shallow_w6() {
    story(async |mut world| {
        proven(&mut world).await;
        let shallow = async || world.expect("noop").await["mirrors"][0]["evidence"]["upstreamShallow"].clone();
        assert_eq!(shallow().await, false);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Shallow);
        assert_eq!(shallow().await, true);
    });
}

#[test]
fn dumb_http_is_named_and_not_to_be_retried_w11() {
    story(async |mut world| {
        proven(&mut world).await;
        let problem = problem_of(&world, UpstreamFault::PlainFiles).await;
        says(&problem, "upstream-suspect", Some("dumb-http"), "dumb HTTP");
        assert_eq!(problem["retryable"], false, "{problem:#}");
    });
}

#[tokio::test]
async fn no_list_is_taken_from_what_an_earlier_answer_left_on_its_connection() {
    let upstream = standin::Upstream::start(std::time::SystemTime::UNIX_EPOCH);
    upstream.create_sample("one");
    upstream.repeat_answers();
    let lister = Lister::new(Arc::new(HttpTransport::new(None).unwrap()));
    let url = UpstreamUrl::parse(&upstream.url("one")).unwrap();
    for v0 in [false, true] {
        if v0 {
            // one request is one list, so that what is left over would be a whole one
            upstream.fault(UpstreamFault::V0Only);
        }
        for _ in 0..3 {
            let commit = upstream.commit("one", "main", 1);
            let limits = ListLimits { time: Duration::from_mins(1), bytes: 1 << 20 };
            let answer = lister.upstream(&url, &NoCredential, limits).await;
            let UpstreamAnswer::List(list) = answer else { panic!("by v0: {v0}: {answer:?}") };
            let main = list.commit_of(&BranchName::parse("main").unwrap()).map(|id| id.as_str().to_owned());
            assert_eq!(main, Some(commit), "by v0: {v0}");
        }
    }
}
