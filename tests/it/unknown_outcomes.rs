//! Calls of which nobody knows whether they were done: each changing call there is, executed with its answer lost, or
//! lost before it was executed. Held against what the stand-in's Gitea has really changed, and not against the end alone.

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Effect, Fault, Profile, Reader, UpstreamFault};

use crate::conflicts::{assert_kept_aside, make_legacy};
use crate::world::{Loss, World, story_anywhere, story_on};

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

impl Case {
    /// Whether the rename back is lost, and not the rename aside before it.
    fn is_the_rename_back(&self) -> bool {
        self.before == Before::LegacyBesideAFailingClone && self.lost == CallKind::PatchRepository
    }
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

/// A real server cannot be asked what it has changed; what it shows at the end has to be right.
#[test]
fn a_call_that_is_lost_on_its_way_there_or_back_ends_as_it_should_on_every_server() {
    for (case, loss) in CASES.iter().flat_map(|case| [(case, Loss::Call), (case, Loss::Answer)]) {
        story_anywhere(async |mut world| {
            let what = format!("{:?} {:?} {loss:?}", case.lost, case.before);
            let legacy = prepare(&mut world, case).await;
            world.lose(case.lost, usize::from(case.is_the_rename_back()), loss);
            let run = world.run().await;
            assert_end(&world, case, legacy.as_ref(), &run, &what).await;
        });
    }
}

/// Brings about what stands there.
async fn prepare(world: &mut World, case: &Case) -> Option<Value> {
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
            world.gitea_api(Method::POST, "/orgs", Some(json!({"username": world.owner}))).await;
            let body = json!({
                "clone_addr": world.upstream.url("one"), "repo_owner": world.owner, "repo_name": "one",
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
    world.clear_calls();
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
    let legacy = prepare(&mut world, case).await;
    if case.is_the_rename_back() {
        world.gitea().before_next(CallKind::DeleteRepository, move |gitea| {
            gitea.fault_once(CallKind::PatchRepository, fault);
        });
    } else {
        world.gitea().fault_once(case.lost, fault);
    }
    let run = world.run().await;
    let effects: Vec<&str> = world.gitea().effects().iter().map(word).collect();
    assert_eq!(effects, case.effects, "{what}: {run:#}");
    assert_end(&world, case, legacy.as_ref(), &run, &what).await;
    if case.before == Before::LegacyBesideAFailingClone {
        assert_eq!(world.gitea().repositories().len(), 1, "{what}");
        return;
    }
    let made = world.gitea().repository("openova", "one").unwrap();
    assert_eq!((made.placeholder, made.enable_prune), (false, Some(false)), "{what}");
    assert_eq!(world.gitea().effects(), Vec::new(), "{what}");
}

/// Demands the end of a run, and what Gitea shows then.
async fn assert_end(world: &World, case: &Case, legacy: Option<&Value>, run: &Value, what: &str) {
    let end = &run["mirrors"][0];
    if case.before == Before::LegacyBesideAFailingClone {
        assert_eq!(end["problem"]["error"], case.end, "{what}: {run:#}");
        let back = world.repository().await;
        assert_eq!((Some(&back["id"]), &back["mirror"]), (legacy, &json!(false)), "{what}");
        return;
    }
    assert_eq!(end["outcome"], case.end, "{what}: {run:#}");
    let made = world.repository().await;
    assert_eq!((&made["mirror"], &made["mirror_interval"]), (&json!(true), &json!("10m0s")), "{what}");
    assert_eq!(made["default_branch"], if case.before == Before::OtherHead { "other" } else { "main" }, "{what}");
    if let Some(id) = legacy {
        assert_kept_aside(world, run, id).await;
    }
    world.clear_calls();
    world.expect("noop").await;
    assert_eq!(world.changes(), Vec::<String>::new(), "{what}");
}
