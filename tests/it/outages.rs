//! Gitea or upstream is down or answers nonsense: what a run waits for, what fails, and that nothing is changed.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{CallKind, Fault, Profile, Reader, Unreached, UpstreamFault};

use crate::world::{World, story, story_anywhere, story_on};

const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[test]
fn a_gitea_that_is_not_there_is_waited_for_and_seen_within_thirty_seconds() {
    story(async |mut world| {
        let router = world.in_process.down(crate::world::GITEA).unwrap();
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        tokio::time::sleep(minutes(10)).await;
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["waitingFor"]["error"], "gitea-unreachable", "{status:#}");
        assert_eq!(status["gitea"]["reachable"], false);
        assert_eq!(world.get("/readyz").await.status, 200, "that Gitea is down is no unreadiness of ours");
        world.in_process.up(crate::world::GITEA, router);
        let back = tokio::time::Instant::now();
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "created", "{run:#}");
        assert!(back.elapsed() <= Duration::from_secs(32), "{:?}", back.elapsed());
    });
}

#[test]
fn a_sync_that_was_lost_with_a_killed_gitea_is_asked_for_again_when_it_is_back() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        world.gitea().set_sync_delay(Duration::from_secs(20));
        let id = world.ask().await;
        world.until(async || world.count(SYNC) != 0).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        // its git goes on for a while without it, and in vain
        world.upstream.fault_for(Reader::Git, UpstreamFault::Drop);
        world.gitea().kill();
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.upstream.clear_faults();
        world.gitea().set_sync_delay(Duration::from_millis(300));
        world.gitea().restart();
        let back = tokio::time::Instant::now();
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "synced", "{run:#}");
        assert!(back.elapsed() < minutes(1), "{:?}", back.elapsed());
        assert_eq!(world.count(SYNC), 2, "one was lost, one did it");
    });
}

/// A configuration that takes a user name and a password in place of the token.
fn by_password(world: &World) -> String {
    let (name, password) = (world.path("gitea-username"), world.path("gitea-password"));
    std::fs::write(&name, "bot\n").unwrap();
    std::fs::write(&password, "Passw0rd-test\n").unwrap();
    let token = format!("tokenFile: {}", world.path("gitea-token").display());
    let both = format!("usernameFile: {}\n  passwordFile: {}", name.display(), password.display());
    let yaml = world.yaml();
    assert!(yaml.contains(&token));
    yaml.replacen(&token, &both, 1)
}

#[test]
fn a_password_that_gitea_does_not_get_done_with_has_a_code_of_its_own_row_16() {
    story(async |mut world| {
        world.gitea().configure(|settings| settings.password_check = Some(minutes(2)));
        let yaml = by_password(&world);
        world.start_with(&yaml).await;
        let problem = world.expect_failure("gitea-auth-timeout").await;
        assert_eq!((&problem["status"], &problem["retryable"]), (&json!(502), &json!(true)), "{problem:#}");
        assert!(problem["remedy"].as_str().unwrap().contains("GITEA_TOKEN_FILE"), "{problem:#}");
        assert!(!problem.to_string().contains("Passw0rd-test"));
        assert_eq!(world.changes(), Vec::<String>::new());
        let page = world.get("/problems/gitea-auth-timeout").await;
        assert_eq!(page.status, 200);
        // who looks now is told the same
        world.get("/status").await;
        tokio::time::sleep(minutes(1)).await;
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["freshness"]["reason"], "gitea-auth-timeout", "{status:#}");
        // and so is who asks while it is waited for; it passes with its cause
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        tokio::time::sleep(minutes(1)).await;
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["waitingFor"]["error"], "gitea-auth-timeout", "{status:#}");
        world.gitea().configure(|settings| settings.password_check = None);
        assert_eq!(world.end_of(&id).await["status"], "succeeded");
    });
    // a token has nothing to be checked
    story(async |mut world| {
        world.gitea().configure(|settings| settings.password_check = Some(minutes(2)));
        world.start().await;
        world.expect("created").await;
    });
}

#[test]
fn a_gitea_that_answers_nobody_is_not_taken_for_one_that_checks_a_password_row_16() {
    story(async |mut world| {
        world.gitea().fault(CallKind::Any, Fault::Hang);
        world.start().await;
        world.expect_failure("gitea-unreachable").await;
    });
    for away in [Fault::Hang, Fault::Html, Fault::Status(503, "text/html", "<html>away</html>".into())] {
        story(async |mut world| {
            world.gitea().fault(CallKind::GetRepository, Fault::Hang);
            world.gitea().fault(CallKind::Version, away);
            let yaml = by_password(&world);
            world.start_with(&yaml).await;
            world.expect_failure("gitea-unreachable").await;
        });
    }
}

#[test]
fn no_call_of_gitea_is_waited_for_longer_than_a_minute_row_51() {
    for kind in [
        CallKind::GetRepository,
        CallKind::GetOrg,
        CallKind::CreateOrg,
        CallKind::PatchRepository,
        CallKind::MirrorSync,
        CallKind::InfoRefs,
        CallKind::UploadPack,
    ] {
        story(async |mut world| {
            world.start().await;
            if kind == CallKind::MirrorSync {
                world.expect("created").await;
                world.upstream.commit("one", "main", 1);
            }
            world.gitea().fault_once(kind, Fault::Hang);
            assert_eq!(world.run().await["status"], "succeeded", "{kind:?}");
            let calls = world.gitea().calls();
            let hung = calls.iter().position(|call| call.status == 0).unwrap();
            let mut later = calls[hung + 1..].iter().map(|call| call.at.duration_since(calls[hung].at).unwrap());
            // what is called beside it does not wait for it
            let waited = later.find(|waited| *waited >= Duration::from_secs(1)).unwrap();
            // the pause before the next call is no part of it
            let longest = minutes(1) + Duration::from_secs(1);
            assert!(waited <= longest, "{kind:?}: {waited:?}");
        });
    }
}

#[test]
fn a_gitea_that_stays_away_fails_the_run_at_its_deadline() {
    story(async |mut world| {
        world.in_process.down(crate::world::GITEA);
        world.start().await;
        let began = tokio::time::Instant::now();
        let problem = world.expect_failure("gitea-unreachable").await;
        assert_eq!(problem["retryable"], true);
        assert!((minutes(30)..minutes(31)).contains(&began.elapsed()), "{:?}", began.elapsed());
    });
}

#[test]
fn what_is_not_gitea_is_never_taken_for_an_absent_repository() {
    for change in [
        (|world: &World| world.gitea().configure(|settings| settings.not_installed = true)) as fn(&World),
        |world| world.gitea().configure(|settings| settings.maintenance = true),
        |world| world.gitea().fault(CallKind::Any, Fault::Html),
        |world| world.gitea().fault(CallKind::Any, Fault::Status(502, "text/html", "<html>bad gateway</html>".into())),
        |world| world.gitea().fault(CallKind::Any, Fault::Status(404, "text/html", "<html>not found</html>".into())),
    ] {
        story(async |mut world| {
            change(&world);
            world.start().await;
            let run = world.run().await;
            assert_eq!(run["status"], "failed", "{run:#}");
            assert_eq!(world.changes(), Vec::<String>::new());
        });
    }
}

#[test]
fn a_redirect_of_a_renamed_repository_is_an_absent_name() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.gitea().add_org("openova", "bot");
            world.gitea().add_repository("openova", "one");
            world.gitea_api(http::Method::PATCH, "/repos/openova/one", Some(json!({"name": "one-old"}))).await;
            world.start().await;
            world.expect("created").await;
            assert!(!world.gitea().repository("openova", "one-old").unwrap().mirror);
        });
    }
}

#[test]
fn an_upstream_without_a_tls_session_is_tried_once_and_gives_unverified_with_a_code_of_its_own() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Unreached(Unreached::NoTls));
        let began = tokio::time::Instant::now();
        let run = world.run().await;
        let problem = &run["mirrors"][0]["problem"];
        assert_eq!((&run["status"], &problem["error"]), (&json!("unverified"), &json!("upstream-tls")), "{run:#}");
        assert_eq!(problem["retryable"], false, "{run:#}");
        assert!(problem["remedy"].as_str().unwrap().contains("upstream.caFile"), "{run:#}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["problem"]["error"], "upstream-tls", "{status:#}");
        world.upstream.clear_faults();
        world.expect("noop").await;
    });
}

#[test]
fn an_upstream_that_does_not_answer_us_gives_unverified_and_never_succeeded_row_5() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Drop);
        let began = tokio::time::Instant::now();
        let run = world.run().await;
        assert_eq!(run["status"], "unverified", "{run:#}");
        assert_eq!(run["mirrors"][0]["problem"]["error"], "upstream-unreachable");
        assert_eq!((&run["mirrors"][0]["outcome"], &run["mirrors"][0]["evidence"]), (&Value::Null, &Value::Null));
        assert!(began.elapsed() < minutes(2), "{:?}", began.elapsed());
        // Gitea could clone: the mirror is there, with pruning off, and the next run proves it
        assert!(world.is_real() || world.gitea().repository("openova", "one").unwrap().enable_prune == Some(false));
        // and a sync beside an upstream that we cannot read is asked for, since pruning is known to be off
        world.clear_calls();
        let run = world.run().await;
        assert_eq!(run["status"], "unverified", "{run:#}");
        assert_eq!(world.changes(), [SYNC]);
        let status = world.get("/status").await.json();
        assert_eq!(status["steps"][0]["result"], "skipped", "{status:#}");
        world.upstream.clear_faults();
        world.expect("noop").await;
    });
}

#[test]
fn an_upstream_that_is_down_for_everybody_fails_what_is_not_there_yet() {
    story(async |mut world| {
        world.upstream.fault(UpstreamFault::Drop);
        world.start().await;
        let problem = world.expect_failure("migrate-failed").await;
        assert!(problem["remedy"].as_str().unwrap().len() > 20);
    });
}

#[test]
fn no_sync_is_asked_beside_an_unreadable_upstream_while_pruning_is_not_known_to_be_off() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.lose_the_journal();
        world.start().await;
        world.clear_calls();
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(503));
        let run = world.run().await;
        assert_eq!(run["status"], "unverified", "{run:#}");
        assert_eq!(world.count(SYNC), 0, "{:?}", world.changes());
    });
}

#[test]
fn an_upstream_of_protocol_v0_is_read_by_its_advertisement() {
    story_anywhere(async |mut world| {
        world.upstream.fault(UpstreamFault::V0Only);
        world.start().await;
        world.expect("created").await;
        world.expect("noop").await;
    });
}

#[test]
fn half_a_list_of_refs_is_never_a_list() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().clear_calls();
        for bytes in [0, 1, 40, 100, 200] {
            world.upstream.fault_for(Reader::Service, UpstreamFault::CutAfter(bytes));
            let run = world.run().await;
            assert_eq!(run["status"], "unverified", "cut after {bytes}: {run:#}");
            world.upstream.clear_faults();
        }
        for bytes in [40, 100, 200] {
            world.upstream.fault_for(Reader::Service, UpstreamFault::Truncate(bytes));
            world.expect_failure("upstream-suspect").await;
            world.upstream.clear_faults();
        }
    });
}

#[test]
fn waiting_for_a_turn_is_no_part_of_the_time_that_a_run_may_take() {
    story(async |mut world| {
        let names: Vec<String> = (0..9).map(|number| format!("m{number}")).collect();
        let mirrors: Vec<_> = names.iter().map(|name| (name.as_str(), "one", name.as_str(), "")).collect();
        let yaml = world.yaml_of(&mirrors);
        world.start_with(&yaml).await;
        let router = world.in_process.down(crate::world::GITEA).unwrap();
        let id = world.ask().await;
        // eight are at work, each for as long as it may; the ninth waits for all of that time
        tokio::time::sleep(minutes(29)).await;
        let run = world.run_now(&id).await;
        let queued = run["mirrors"].as_array().unwrap().iter().filter(|mirror| mirror["phase"] == "queued").count();
        assert_eq!(queued, 1, "{run:#}");
        tokio::time::sleep(minutes(3)).await;
        world.in_process.up(crate::world::GITEA, router);
        let run = world.end_of(&id).await;
        let ends: Vec<_> = run["mirrors"].as_array().unwrap().iter().map(|mirror| mirror["phase"].clone()).collect();
        assert_eq!(ends.iter().filter(|end| **end == "failed").count(), 8, "{ends:?}");
        assert_eq!(ends.iter().filter(|end| **end == "succeeded").count(), 1, "{ends:?}");
    });
}

#[test]
fn a_foreign_error_that_repeats_our_secrets_is_told_without_them_row_51() {
    story(async |mut world| {
        let secret = "s3cret-upstream-token";
        world.upstream.require(Some(("oauth2", secret)));
        std::fs::write(world.path("upstream-token"), secret).unwrap();
        let file = world.path("upstream-token");
        let yaml = world.yaml().replace("branch: main }", &format!("branch: main, tokenFile: {} }}", file.display()));
        world.keep_the_journal_on_disk();
        world.start_with(&yaml).await;
        let ours = world.gitea_token.clone();
        let message = format!("Migration failed: fatal: https://oauth2:{secret}@host/ said no to token {ours}");
        let body = json!({ "message": message, "url": "http://gitea.test:3000/api/swagger" }).to_string();
        world.gitea().fault(CallKind::Migrate, Fault::Status(422, "application/json", body));
        let run = world.run().await;
        let problem = &run["mirrors"][0]["problem"];
        assert_eq!(problem["error"], "migrate-failed", "{run:#}");
        assert!(
            problem["detail"].as_str().unwrap().contains("[redacted]@host/ said no to token [redacted]"),
            "{problem}"
        );
        let mut told = vec![run.to_string()];
        for path in ["/status", "/cutover/runs", "/metrics"] {
            told.push(world.get(path).await.text);
        }
        for file in std::fs::read_dir(world.path("state")).unwrap().flatten() {
            told.push(String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned());
        }
        for text in told {
            assert!(!text.contains(secret) && !text.contains(&ours), "{text:.2000}");
        }
    });
}
