//! Settings and rights in Gitea that forbid a mirror: each is its own problem, changes nothing in Gitea, and is gone once the
//! setting that its remedy names is changed.

use http::Method;
use serde_json::json;
use standin::{CallKind, Effect, Fault, Gitea, Profile, Reader, Settings, UpstreamFault};

use crate::world::{World, story_on};

const ALL: &[Profile] = &Profile::ALL;
const FORGEJO: &[Profile] = &[Profile::Forgejo11, Profile::Forgejo16];

/// A sync looks at the allow list again.
const LOOKS_AGAIN: &[Profile] = &[Profile::Gitea127, Profile::Forgejo16];

/// A token can be limited to chosen repositories.
const LIMITS_TOKENS: &[Profile] = &[Profile::Forgejo16];

/// A folder that a deletion has left is in a migrate's way.
const MINDS_FOLDERS: &[Profile] = &[Profile::Gitea121, Profile::Gitea122, Profile::Forgejo11, Profile::Forgejo16];

/// Something in the way.
struct Way {
    /// Where it is seen.
    on: &'static [Profile],
    /// A mirror of ours is there, and upstream has moved.
    found: bool,
    /// Puts it in the way.
    put: fn(&World),
    /// Takes it out again, as the remedy says.
    remove: fn(&World),
    code: &'static str,
    reason: Option<&'static str>,
    /// Words that the remedy must have.
    names: &'static [&'static str],
}

fn set(world: &World, change: fn(&mut Settings)) {
    world.gitea().configure(change);
}

/// A 403 as Gitea's sign-in words it: without the address of its description.
fn account(words: &str) -> Fault {
    Fault::Status(403, "application/json", json!({ "message": words }).to_string())
}

fn nothing(_: &World) {}

/// What forbids to make a mirror.
const BEFORE_A_MIRROR: &[Way] = &[
    Way {
        on: ALL,
        found: false,
        put: |world| set(world, |settings| settings.mirror_feature_off = true),
        remove: |world| set(world, |settings| settings.mirror_feature_off = false),
        code: "mirrors-disabled",
        reason: None,
        names: &["[mirror] ENABLED = true"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| set(world, |settings| settings.new_pull_disabled = true),
        remove: |world| set(world, |settings| settings.new_pull_disabled = false),
        code: "mirrors-disabled",
        reason: None,
        names: &["[mirror] DISABLE_NEW_PULL = false"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| set(world, |settings| settings.migrations_disabled = true),
        remove: |world| set(world, |settings| settings.migrations_disabled = false),
        code: "migrations-disabled",
        reason: None,
        names: &["[repository] DISABLE_MIGRATIONS = false"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| set(world, |settings| settings.allow_local_networks = false),
        remove: |world| set(world, |settings| settings.allow_local_networks = true),
        code: "upstream-not-allowed",
        reason: None,
        names: &["[migrations] ALLOWED_DOMAINS", "ALLOW_LOCALNETWORKS = true", "resolves"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| set(world, |settings| settings.creation_limit = Some(0)),
        remove: |world| set(world, |settings| settings.creation_limit = None),
        code: "repository-limit",
        reason: None,
        names: &["[repository] MAX_CREATION_LIMIT"],
    },
    Way {
        on: FORGEJO,
        found: false,
        put: |world| set(world, |settings| settings.quota_exceeded = true),
        remove: |world| set(world, |settings| settings.quota_exceeded = false),
        code: "repository-limit",
        reason: None,
        names: &["[quota]"],
    },
    Way {
        on: MINDS_FOLDERS,
        found: false,
        put: |world| world.gitea().leave_folder("openova", "one"),
        remove: nothing,
        code: "repository-files-exist",
        reason: None,
        names: &["Unadopted Repositories"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| {
            world.gitea().add_repository("openova", "one");
            world.gitea().hide("openova", "one");
        },
        remove: nothing,
        code: "repository-invisible",
        reason: None,
        names: &["GITEA_REPO", "target.repo", "access"],
    },
    Way {
        on: ALL,
        found: false,
        put: |world| world.upstream.fault(UpstreamFault::Redirect),
        remove: |world| world.upstream.clear_faults(),
        code: "upstream-refused",
        reason: Some("redirect"),
        names: &["UPSTREAM_REPO_URL"],
    },
];

/// What a mirror that is there meets.
const BESIDE_A_MIRROR: &[Way] = &[
    Way {
        on: ALL,
        found: true,
        put: |world| set(world, |settings| settings.mirror_feature_off = true),
        remove: |world| set(world, |settings| settings.mirror_feature_off = false),
        code: "mirrors-disabled",
        reason: None,
        names: &["[mirror] ENABLED = true"],
    },
    Way {
        on: ALL,
        found: true,
        put: |world| world.gitea().archive_by_hand("openova", "one", true),
        remove: |world| world.gitea().archive_by_hand("openova", "one", false),
        code: "archived",
        reason: None,
        names: &["Un-archive", "Settings, Danger Zone"],
    },
    Way {
        on: FORGEJO,
        found: true,
        put: |world| set(world, |settings| settings.quota_exceeded = true),
        remove: |world| set(world, |settings| settings.quota_exceeded = false),
        code: "repository-limit",
        reason: None,
        names: &["[quota]"],
    },
    Way {
        on: LOOKS_AGAIN,
        found: true,
        put: |world| set(world, |settings| settings.allow_local_networks = false),
        remove: |world| set(world, |settings| settings.allow_local_networks = true),
        code: "sync-failing",
        reason: None,
        names: &["[migrations] ALLOWED_DOMAINS", "ALLOW_LOCALNETWORKS"],
    },
    Way {
        on: ALL,
        found: true,
        put: |world| {
            set(world, |settings| settings.http_git_disabled = true);
            world.gitea().fault(CallKind::GitRefs, account("user should have a permission to read the repository"));
        },
        remove: |world| set(world, |settings| settings.http_git_disabled = false),
        code: "http-git-disabled",
        reason: None,
        names: &["[repository] DISABLE_HTTP_GIT = false", "API"],
    },
    Way {
        on: ALL,
        found: true,
        put: |world| {
            let words = "You must change your password. Change it at: http://gitea.test:3000/user/change_password";
            world.gitea().fault(CallKind::Api, account(words));
        },
        remove: |world| world.gitea().clear_faults(),
        code: "gitea-forbidden",
        reason: None,
        names: &["Sign in to Gitea once", "new password"],
    },
    Way {
        on: ALL,
        found: true,
        put: |world| {
            let words = "This account is prohibited from signing in, please contact your site administrator.";
            world.gitea().fault(CallKind::Api, account(words));
        },
        remove: |world| world.gitea().clear_faults(),
        code: "gitea-forbidden",
        reason: None,
        names: &["Site Administration, User Accounts"],
    },
    Way {
        on: LIMITS_TOKENS,
        found: true,
        put: |world| {
            let token = world.gitea().add_token("bot", &["write:repository", "write:organization", "read:user"]);
            world.gitea().limit_token(&token, &["openova/another"]);
            std::fs::write(world.path("gitea-token"), token).unwrap();
        },
        remove: |world| std::fs::write(world.path("gitea-token"), &world.gitea_token).unwrap(),
        code: "gitea-forbidden",
        reason: None,
        names: &["team Owners. If it is an owner already", "limited to chosen repositories", "Settings, Applications"],
    },
    Way {
        on: ALL,
        found: true,
        put: |world| world.upstream.fault(UpstreamFault::Redirect),
        remove: |world| world.upstream.clear_faults(),
        code: "upstream-refused",
        reason: Some("redirect"),
        names: &["UPSTREAM_REPO_URL"],
    },
];

async fn in_the_way(mut world: World, way: &Way) {
    let what = format!("{} on {} (found: {})", way.code, world.gitea().profile().name(), way.found);
    world.gitea().add_org("openova", "bot");
    world.start().await;
    if way.found {
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
    }
    (way.put)(&world);
    world.gitea().clear_calls();
    let problem = world.expect_failure(way.code).await;
    assert_eq!(problem["reason"].as_str(), way.reason, "{what}: {problem}");
    let remedy = problem["remedy"].as_str().unwrap();
    let page = world.get(&format!("/problems/{}", way.code)).await;
    assert_eq!(page.status, 200, "{what}");
    for name in way.names {
        assert!(remedy.contains(name), "{what}: the remedy does not say {name}: {remedy}");
        // a person who has only the code finds the same there, but for what an account's own 403 asks for
        assert!(way.code == "gitea-forbidden" || page.text.contains(name), "{what}: the page does not say {name}");
    }
    // a sync that Gitea has taken and ended in vain is all that may have come of it
    assert!(
        world.gitea().effects().iter().all(|effect| *effect == Effect::Queued),
        "{what}: {:?}",
        world.gitea().effects()
    );
    (way.remove)(&world);
    if matches!(way.code, "repository-files-exist" | "repository-invisible") {
        return;
    }
    let run = world.run().await;
    let outcome = if way.found { "synced" } else { "created" };
    assert_eq!(run["mirrors"][0]["outcome"], outcome, "{what}, removed: {run:#}");
}

#[test]
fn what_forbids_to_make_a_mirror_is_told_with_what_removes_it() {
    for way in BEFORE_A_MIRROR {
        for profile in way.on {
            story_on(*profile, async |world| in_the_way(world, way).await);
        }
    }
}

#[test]
fn what_a_mirror_that_is_there_meets_is_told_with_what_removes_it() {
    for way in BESIDE_A_MIRROR {
        for profile in way.on {
            story_on(*profile, async |world| in_the_way(world, way).await);
        }
    }
}

#[test]
fn an_owner_that_is_not_ours_to_use_is_told_by_what_it_is() {
    for profile in Profile::ALL {
        for (put, code, reason, names) in [
            (
                (|gitea| gitea.add_user("openova", "Passw0rd-test", false)) as fn(&Gitea),
                "owner-unavailable",
                Some("user"),
                ["GITEA_ORG, target.owner", "token of that very user"],
            ),
            (
                |gitea| gitea.add_private_org("openova", "root1"),
                "owner-unavailable",
                Some("hidden"),
                ["GITEA_ORG, target.owner", "team Owners"],
            ),
            (|gitea| gitea.add_org("openova", "root1"), "not-organisation-owner", None, ["team Owners", "not enough"]),
            (
                |gitea| gitea.configure(|settings| settings.regular_org_creation_disabled = true),
                "organisation-not-allowed",
                None,
                ["[admin] DISABLE_REGULAR_ORG_CREATION", "[service] DEFAULT_ALLOW_CREATE_ORGANIZATION"],
            ),
        ] {
            story_on(profile, async |mut world| {
                put(world.gitea());
                world.start().await;
                let problem = world.expect_failure(code).await;
                assert_eq!(problem["reason"].as_str(), reason, "{problem}");
                for name in names {
                    assert!(problem["remedy"].as_str().unwrap().contains(name), "{name}: {problem}");
                }
                assert_eq!(world.gitea().effects(), Vec::new(), "{problem}");
            });
        }
    }
}

#[test]
fn a_mirror_that_is_archived_between_our_look_and_our_sync_is_told_as_archived() {
    // 1.21 syncs an archived mirror, and the look after it tells
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.start().await;
            world.expect("created").await;
            world.upstream.commit("one", "main", 1);
            world.gitea().before_next(CallKind::MirrorSync, |gitea| gitea.archive_by_hand("openova", "one", true));
            let problem = world.expect_failure("archived").await;
            assert!(problem["remedy"].as_str().unwrap().contains("Danger Zone"), "{problem}");
        });
    }
}

#[test]
fn a_mirror_that_is_made_a_regular_repository_between_our_look_and_our_call_is_left_as_it_is() {
    for profile in Profile::ALL {
        for kind in [CallKind::PatchRepository, CallKind::MirrorSync] {
            story_on(profile, async |mut world| {
                world.start().await;
                world.expect("created").await;
                if kind == CallKind::MirrorSync {
                    world.upstream.commit("one", "main", 1);
                } else {
                    let longer = Some(json!({"mirror_interval": "8h"}));
                    world.gitea_api(Method::PATCH, "/repos/openova/one", longer).await;
                }
                world.gitea().clear_calls();
                world.gitea().before_next(kind, |gitea| gitea.convert_by_hand("openova", "one"));
                world.expect_failure("not-a-mirror").await;
                assert_eq!(world.gitea().effects(), Vec::new(), "{kind:?} {}", profile.name());
                assert_eq!(world.changes().len(), 1, "{kind:?} {}: {:?}", profile.name(), world.changes());
            });
        }
    }
}

#[test]
fn git_over_http_switched_off_beside_a_regular_repository_is_got_round_as_well() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.gitea().add_org("openova", "bot");
            world.gitea().add_repository("openova", "one");
            world.gitea().configure(|settings| settings.http_git_disabled = true);
            world.start().await;
            let problem = world.expect_failure("not-a-mirror").await;
            assert!(problem["detail"].as_str().unwrap().contains("of its 1 refs"), "{problem}");
            // and where its refs cannot be read at all, it is refused all the same
            world.gitea().fault(CallKind::GitRefs, account("user should have a permission to read the repository"));
            let problem = world.expect_failure("not-a-mirror").await;
            assert!(problem["detail"].as_str().unwrap().contains("its refs could not be read"), "{problem}");
        });
    }
}

#[test]
fn a_redirect_that_only_gitea_meets_is_told_by_those_that_do_not_follow_it() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.start().await;
            world.upstream.fault_for(Reader::Git, UpstreamFault::Redirect);
            if matches!(profile, Profile::Gitea126 | Profile::Forgejo16) {
                let problem = world.expect_failure("upstream-redirects").await;
                let remedy = problem["remedy"].as_str().unwrap();
                assert!(
                    remedy.contains("UPSTREAM_REPO_URL") && remedy.contains("http.followRedirects=false"),
                    "{remedy}"
                );
            } else {
                world.expect("created").await;
            }
        });
    }
}
