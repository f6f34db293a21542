//! Holds the stand-in to what real servers answered. `tests/transcripts/` keeps of each recording what is compared, so
//! that a clone alone runs these tests; `CUTOVER_BLESS=1` writes it anew from the recordings beside the clone.
//! Says nothing about the service itself.

mod condense;
mod effect;
mod line;
mod replay;
mod scenes;
mod stage;

use condense::Condenser;
use line::{SERVERS, UNDER_SETTINGS};
use standin::Profile;

/// Replays one server and fails with a table of the differences.
async fn hold(profile: Profile) {
    demand_the_same(profile.name(), &replay::replay(profile).await);
}

fn demand_the_same(server: &str, outcome: &replay::Outcome) {
    println!("{server}: {} steps compared, {} left out", outcome.steps, outcome.left_out);
    let table = outcome.table(server);
    assert!(table.is_empty(), "the stand-in differs from the server that was recorded:\n{table}");
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_gitea_1_26_did_under_each_unusual_setting() {
    let server = UNDER_SETTINGS[0];
    demand_the_same(server, &replay::replay_settings(server, Profile::Gitea126).await);
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_forgejo_16_did_under_each_unusual_setting() {
    let server = UNDER_SETTINGS[1];
    demand_the_same(server, &replay::replay_settings(server, Profile::Forgejo16).await);
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_gitea_1_22_did() {
    hold(Profile::Gitea122).await;
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_gitea_1_24_did() {
    hold(Profile::Gitea124).await;
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_gitea_1_26_did() {
    hold(Profile::Gitea126).await;
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_gitea_1_27_did() {
    hold(Profile::Gitea127).await;
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_forgejo_11_did() {
    hold(Profile::Forgejo11).await;
}

#[tokio::test(start_paused = true)]
async fn the_stand_in_answers_as_forgejo_16_did() {
    hold(Profile::Forgejo16).await;
}

#[test]
fn every_recorded_profile_has_a_transcript() {
    let profiles: Vec<&str> = Profile::RECORDED.into_iter().map(Profile::name).collect();
    assert_eq!(profiles, SERVERS);
}

#[test]
fn every_step_that_is_left_out_was_recorded() {
    for (servers, scene, step, reason) in replay::LEFT_OUT {
        assert!(!reason.is_empty(), "{scene}, {step}: why?");
        let servers = if servers.is_empty() { &SERVERS } else { *servers };
        for server in servers {
            let recorded = line::read(server).iter().any(|line| line.scene == *scene && line.step == *step);
            assert!(recorded, "{server} has no step `{step}` in a scene `{scene}`");
        }
    }
}

#[test]
fn the_condensed_transcripts_follow_from_the_recordings() {
    let Some(folder) = line::recordings() else {
        println!("nothing to compare: there are no recordings beside this clone");
        return;
    };
    let bless = std::env::var_os("CUTOVER_BLESS").is_some_and(|value| value == "1");
    for server in line::recorded() {
        let recording = std::fs::read_to_string(folder.join(format!("{server}.jsonl"))).unwrap();
        let condensed = Condenser::file(&recording, UNDER_SETTINGS.contains(&server));
        if bless {
            let lines: Vec<String> = condensed.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
            std::fs::write(line::condensed_path(server), lines.concat()).unwrap();
        }
        let kept = line::read(server);
        for (kept, condensed) in kept.iter().zip(&condensed) {
            assert_eq!(kept, condensed, "{server}: CUTOVER_BLESS=1 writes tests/transcripts/ anew");
        }
        assert_eq!(kept.len(), condensed.len(), "{server}: CUTOVER_BLESS=1 writes tests/transcripts/ anew");
    }
}

#[test]
fn every_recording_is_condensed() {
    let Some(folder) = line::recordings() else {
        println!("nothing to compare: there are no recordings beside this clone");
        return;
    };
    let mut known: Vec<String> = line::recorded().map(|server| format!("{server}.jsonl")).collect();
    known.sort();
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|e| e == "jsonl"))
        .collect();
    there.sort();
    assert_eq!(known, there);
}
