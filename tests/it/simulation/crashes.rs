//! A process that ends at any write of its journal, just before it is made or just after: each scene is played once to its
//! end, and then once for every write on the way and either side of it. The next process goes on with the journal and the
//! Gitea that are there.

use standin::Profile;

use super::scene::Scene;
use super::shared::{CrashPoint, Place};

fn sweep(scene: Scene) {
    for profile in [Profile::Gitea126, Profile::Forgejo11] {
        let whole = scene.play(profile, |_| {});
        assert!(whole.violations.is_empty(), "{}\n{:#?}", whole.log.join("\n"), whole.violations);
        let writes: Vec<usize> = (0..whole.uses.len()).filter(|at| whole.uses[*at]).collect();
        // its acceptance, an intent and an answer for each call, its end
        assert!(writes.len() >= 2 + 2 * whole.effects.values().sum::<usize>(), "{scene:?}: {writes:?}");
        for (count, after) in writes.iter().flat_map(|at| [(*at, false), (*at, true)]) {
            let played = scene.play(profile, |story| {
                story.shared.state().crash = Some(CrashPoint { who: 0, place: Place::Journal, count, after });
            });
            let died = played.log.iter().filter(|line| line.ends_with("s0 dies here")).count();
            let same = played.end() == whole.end() && (scene == Scene::GivenBack || played.did_the_same(&whole));
            assert!(
                played.violations.is_empty() && died == 1 && same,
                "{scene:?} on {}, dying at use {count} of the journal, after it: {after}\n{}",
                profile.name(),
                played.beside(&whole),
            );
        }
    }
}

#[test]
fn a_crash_at_any_write_while_a_mirror_is_made_ends_in_one_mirror() {
    sweep(Scene::Created);
}

#[test]
fn a_crash_at_any_write_while_a_mirror_is_brought_up_to_date_ends_up_to_date() {
    sweep(Scene::Updated);
}

#[test]
fn a_crash_at_any_write_while_a_placeholder_is_made_anew_ends_in_one_mirror() {
    sweep(Scene::Repaired);
}

#[test]
fn a_crash_at_any_write_while_a_repository_is_renamed_aside_ends_with_both() {
    sweep(Scene::Replaced);
}

#[test]
fn a_crash_at_any_write_while_a_name_is_given_back_ends_with_the_repository_where_it_was() {
    sweep(Scene::GivenBack);
}
