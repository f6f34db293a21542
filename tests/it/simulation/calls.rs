//! Every call to Gitea with every fault, once: the run ends in the truth all the same, and what it asks Gitea to do is done
//! exactly once.

use std::time::Duration;

use standin::{CallKind, Fault, Gitea, Profile, Unreached};

use super::scene::Scene;

/// Everything that can befall one call.
fn faults() -> Vec<Fault> {
    let page = || "<html>\n<body>bad gateway</body>\n</html>\n".to_owned();
    vec![
        Fault::Unreached(Unreached::Refused),
        Fault::Unreached(Unreached::NoSuchHost),
        Fault::Unreached(Unreached::NoTls),
        Fault::CutBefore,
        Fault::ExecuteThenCut,
        Fault::Hang,
        Fault::ExecuteThenHang,
        Fault::Html,
        Fault::Status(404, "text/html", page()),
        Fault::Status(429, "text/html", page()),
        Fault::Status(502, "text/html", page()),
        Fault::ExecuteThenStatus(504, "text/html", page()),
        Fault::ProxyTimeout(Duration::from_millis(1)),
        Fault::Delay(Duration::from_secs(20)),
        Fault::Slow(Duration::from_secs(20)),
        Fault::Truncate(20),
        Fault::EmptyBody,
    ]
}

/// Plays a scene with each of these calls befallen by each fault, on top of what is laid in its way anyhow.
fn befalls(scene: Scene, kinds: &[CallKind], anyhow: fn(&Gitea)) {
    let profile = Profile::Gitea126;
    let whole = scene.play(profile, |story| anyhow(&story.shared.gitea));
    for (kind, fault) in kinds.iter().flat_map(|kind| faults().into_iter().map(move |fault| (*kind, fault))) {
        let played = scene.play(profile, |story| {
            anyhow(&story.shared.gitea);
            story.shared.gitea.fault_once(kind, fault.clone());
        });
        // what could not be cloned is tried anew where nobody was told why
        let same = played.end() == whole.end() && (scene == Scene::GivenBack || played.did_the_same(&whole));
        assert!(
            played.violations.is_empty() && same,
            "{scene:?}, {kind:?} befallen by {fault:?}\n{}",
            played.beside(&whole),
        );
    }
}

/// Nothing else is in the way.
fn nothing(_: &Gitea) {}

#[test]
fn a_mirror_is_made_once_whatever_befalls_a_call() {
    use CallKind as K;
    let reads = [K::Version, K::GetRepository, K::GetOrg, K::InfoRefs, K::UploadPack];
    befalls(Scene::Created, &[&reads[..], &[K::CreateOrg, K::Migrate, K::PatchRepository]].concat(), nothing);
}

#[test]
fn a_mirror_is_brought_up_to_date_once_whatever_befalls_a_call() {
    use CallKind as K;
    befalls(
        Scene::Updated,
        &[K::GetRepository, K::InfoRefs, K::UploadPack, K::MirrorSync, K::PatchRepository, K::Commits],
        nothing,
    );
}

#[test]
fn a_placeholder_is_made_anew_once_whatever_befalls_a_call() {
    use CallKind as K;
    befalls(Scene::Repaired, &[K::GetRepository, K::DeleteRepository, K::Migrate, K::PatchRepository], nothing);
}

#[test]
fn a_repository_is_renamed_aside_once_whatever_befalls_a_call() {
    use CallKind as K;
    befalls(Scene::Replaced, &[K::GetRepository, K::PatchRepository, K::Migrate], nothing);
}

#[test]
fn a_name_is_given_back_whatever_befalls_a_call() {
    use CallKind as K;
    befalls(Scene::GivenBack, &[K::GetRepository, K::PatchRepository, K::Migrate, K::DeleteRepository], nothing);
}

#[test]
fn a_clone_that_takes_long_is_waited_for_whatever_befalls_its_answer() {
    use CallKind as K;
    let slowly = |gitea: &Gitea| gitea.set_migrate_delay(Duration::from_secs(90));
    for scene in [Scene::Created, Scene::Replaced] {
        befalls(scene, &[K::Migrate, K::GetRepository, K::UploadPack], slowly);
    }
}
