//! Holds the stand-in to what real servers answered. `tests/transcripts/` keeps of each recording what is compared, so
//! that a clone alone runs these tests; `CUTOVER_BLESS=1` writes it anew from the recordings beside the clone.
//! Says nothing about the service itself.

mod condense;
mod line;

use condense::Condenser;
use line::{FILES_LEFT_OUT, SERVERS};

#[test]
fn the_condensed_transcripts_follow_from_the_recordings() {
    let Some(folder) = line::recordings() else {
        println!("nothing to compare: there are no recordings beside this clone");
        return;
    };
    let bless = std::env::var_os("CUTOVER_BLESS").is_some_and(|value| value == "1");
    for server in SERVERS {
        let recording = std::fs::read_to_string(folder.join(format!("{server}.jsonl"))).unwrap();
        let condensed = Condenser::file(&recording);
        if bless {
            let lines: Vec<String> = condensed
                .iter()
                .map(|line| serde_json::to_string(line).unwrap() + "\n")
                .collect();
            std::fs::write(line::condensed_path(server), lines.concat()).unwrap();
        }
        let kept = line::read(server);
        for (kept, condensed) in kept.iter().zip(&condensed) {
            assert_eq!(
                kept, condensed,
                "{server}: CUTOVER_BLESS=1 writes tests/transcripts/ anew"
            );
        }
        assert_eq!(
            kept.len(),
            condensed.len(),
            "{server}: CUTOVER_BLESS=1 writes tests/transcripts/ anew"
        );
    }
}

#[test]
fn a_recording_is_condensed_or_left_out_with_a_reason() {
    let Some(folder) = line::recordings() else {
        println!("nothing to compare: there are no recordings beside this clone");
        return;
    };
    let mut known: Vec<String> = SERVERS
        .iter()
        .map(|server| format!("{server}.jsonl"))
        .collect();
    known.extend(FILES_LEFT_OUT.iter().map(|(file, _)| (*file).to_owned()));
    known.sort();
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|e| e == "jsonl")
        })
        .collect();
    there.sort();
    assert_eq!(known, there);
}
