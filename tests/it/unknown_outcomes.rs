//! Calls of which nobody knows whether they were done: each changing call there is, executed with its answer lost, or
//! lost before it was executed. Held against what the stand-in's Gitea has really changed, and not against the end alone.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Effect, Fault, Profile, Reader, UpstreamFault};

use crate::conflicts::{assert_kept_aside, make_legacy};
use crate::world::{World, story_on};

/// What stands in Gitea and at upstream when the run begins whose call is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    /// Nothing, and no owner either.
    Nothing,
    /// A mirror of ours, and upstream has moved.
    Behind,
    /// A mirror of ours, and upstream's `HEAD` names another branch.
    OtherHead,
    /// A mirror made by hand, with another interval and with pruning.
    Found,
    /// What a failed clone of ours has left.
    Remains,
    /// A regular repository, to be renamed aside.
    Legacy,
    /// The same, and Gitea cannot clone upstream: it gets its name back.
    LegacyBesideAFailingClone,
}

/// A call, where it is lost, and what the run then comes to.
struct Case {
    lost: CallKind,
    before: Before,
    /// The outcome, or the code of the problem.
    end: &'static str,
    /// All that the run may have changed in Gitea, each once, in this order.
    effects: &'static [&'static str],
}

const CREATED: &[&str] = &["organisation", "row", "settings"];

const CASES: [Case; 10] = [
    Case { lost: CallKind::CreateOrg, before: Before::Nothing, end: "created", effects: CREATED },
    Case { lost: CallKind::Migrate, before: Before::Nothing, end: "created", effects: CREATED },
    Case { lost: CallKind::PatchRepository, before: Before::Nothing, end: "created", effects: CREATED },
    Case { lost: CallKind::MirrorSync, before: Before::Behind, end: "synced", effects: &["queued"] },
    Case { lost: CallKind::PatchRepository, before: Before::OtherHead, end: "updated", effects: &["default-branch"] },
    Case { lost: CallKind::PatchRepository, before: Before::Found, end: "updated", effects: &["settings"] },
    Case {
        lost: CallKind::DeleteRepository,
        before: Before::Remains,
        end: "repaired",
        effects: &["deleted", "row", "settings"],
    },
    Case {
        lost: CallKind::PatchRepository,
        before: Before::Legacy,
        end: "replaced",
        effects: &["renamed-aside", "row", "settings"],
    },
    Case {
        lost: CallKind::DeleteRepository,
        before: Before::LegacyBesideAFailingClone,
        end: "migrate-failed",
        effects: &["renamed-aside", "row", "deleted", "given-back"],
    },
    Case {
        lost: CallKind::PatchRepository,
        before: Before::LegacyBesideAFailingClone,
        end: "migrate-failed",
        effects: &["renamed-aside", "row", "deleted", "given-back"],
    },
];

const PAGE: &str = "<html></html>";

/// Each way in which an answer is lost: after the call was carried out, before, and with a gateway that says yes to what
/// it has never passed on.
fn every_loss() -> Vec<Fault> {
    let yes = |status, body: &str| Fault::Status(status, "application/json", body.into());
    let mut losses = the_worst();
    losses.extend([
        Fault::ExecuteThenHang,
        Fault::Hang,
        Fault::ExecuteThenStatus(504, "text/html", PAGE.into()),
        Fault::Status(504, "text/html", PAGE.into()),
        yes(200, "{}"),
        yes(201, r#"{"status":"ok"}"#),
        yes(500, r#"{"message":"An unexpected error occurred"}"#),
    ]);
    losses
}

fn the_worst() -> Vec<Fault> {
    vec![Fault::ExecuteThenCut, Fault::CutBefore, Fault::EmptyBody]
}

fn ends_in_exactly_one_effect(profile: Profile, losses: &[Fault]) {
    for case in CASES {
        for fault in losses {
            story_on(profile, async |world| unknown_outcome(world, &case, fault.clone()).await);
        }
    }
}

#[test]
fn a_call_of_which_nobody_knows_whether_it_was_done_ends_in_exactly_one_effect() {
    ends_in_exactly_one_effect(Profile::Gitea127, &every_loss());
}

#[test]
fn a_call_of_which_nobody_knows_whether_it_was_done_ends_in_exactly_one_effect_on_the_oldest_gitea() {
    ends_in_exactly_one_effect(Profile::Gitea121, &the_worst());
}

#[test]
fn a_call_of_which_nobody_knows_whether_it_was_done_ends_in_exactly_one_effect_on_forgejo() {
    ends_in_exactly_one_effect(Profile::Forgejo16, &the_worst());
}

/// Brings about what stands there, and the fault that the call in question meets.
async fn prepare(world: &mut World, case: &Case, fault: Fault) -> Option<Value> {
    let mut legacy = None;
    match case.before {
        Before::Nothing => world.start().await,
        Before::Behind | Before::OtherHead => {
            world.upstream.branch("one", "other", "main");
            world.start().await;
            world.expect("created").await;
            match case.before {
                Before::Behind => _ = world.upstream.commit("one", "main", 1),
                _ => world.upstream.set_head("one", "other"),
            }
        }
        Before::Found => {
            world.gitea_api(Method::POST, "/orgs", Some(json!({"username": "openova"}))).await;
            let body = json!({
                "clone_addr": world.upstream.url("one"), "repo_owner": "openova", "repo_name": "one",
                "service": "git", "mirror": true, "mirror_interval": "8h",
            });
            assert_eq!(world.gitea_api(Method::POST, "/repos/migrate", Some(body)).await.0, 201);
            world.start().await;
        }
        Before::Remains => {
            world.start().await;
            world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
            world.expect_failure("migrate-failed").await;
            world.upstream.clear_faults();
        }
        Before::Legacy | Before::LegacyBesideAFailingClone => {
            legacy = Some(make_legacy(world).await);
            world.extra = "onLegacy: renameAside".into();
            world.start().await;
            if case.before == Before::LegacyBesideAFailingClone {
                world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
            }
        }
    }
    world.gitea().clear_calls();
    if case.before == Before::LegacyBesideAFailingClone && case.lost == CallKind::PatchRepository {
        // the rename back, and not the rename aside before it
        world.gitea().before_next(CallKind::DeleteRepository, move |gitea| {
            gitea.fault_once(CallKind::PatchRepository, fault);
        });
    } else {
        world.gitea().fault_once(case.lost, fault);
    }
    legacy
}

/// A word for each thing that was changed.
fn word(effect: &Effect) -> &'static str {
    match effect {
        Effect::Organisation(name) => {
            assert_eq!(name, "openova");
            "organisation"
        }
        Effect::Row(name) => {
            assert_eq!(name, "one");
            "row"
        }
        Effect::Renamed { from, to } if from == "one" => {
            assert!(to.starts_with("one-legacy-"), "{to}");
            "renamed-aside"
        }
        Effect::Renamed { from, to } => {
            assert!(from.starts_with("one-legacy-") && to == "one", "{from} {to}");
            "given-back"
        }
        Effect::DefaultBranch(branch) => {
            assert_eq!(branch, "other");
            "default-branch"
        }
        Effect::Settings => "settings",
        Effect::Queued => "queued",
        Effect::Deleted(_) => "deleted",
        Effect::Converted => "converted",
    }
}

async fn unknown_outcome(mut world: World, case: &Case, fault: Fault) {
    let what = format!("{:?} {:?} {fault:?} {}", case.lost, case.before, world.gitea().profile().name());
    let legacy = prepare(&mut world, case, fault).await;
    let run = world.run().await;
    let end = &run["mirrors"][0];
    let effects: Vec<&str> = world.gitea().effects().iter().map(word).collect();
    assert_eq!(effects, case.effects, "{what}: {run:#}");
    if case.before == Before::LegacyBesideAFailingClone {
        assert_eq!(end["problem"]["error"], case.end, "{what}: {run:#}");
        let back = world.repository().await;
        assert_eq!((Some(&back["id"]), &back["mirror"]), (legacy.as_ref(), &json!(false)), "{what}");
        assert_eq!(world.gitea().repositories().len(), 1, "{what}");
        return;
    }
    assert_eq!(end["outcome"], case.end, "{what}: {run:#}");
    let made = world.gitea().repository("openova", "one").unwrap();
    assert_eq!((made.placeholder, made.enable_prune), (false, Some(false)), "{what}");
    assert_eq!(made.interval, Some(Duration::from_mins(10)), "{what}");
    assert_eq!(made.default_branch, if case.before == Before::OtherHead { "other" } else { "main" }, "{what}");
    if let Some(id) = legacy {
        assert_kept_aside(&world, &run, &id).await;
    }
    world.gitea().clear_calls();
    world.expect("noop").await;
    assert_eq!((world.changes(), world.gitea().effects()), (Vec::new(), Vec::new()), "{what}");
}
