//! Holds each planted mistake (`tests/mutants`) to the sources: the lines that it replaces are there exactly once, so that a
//! moved line cannot disable a mistake. Plants nothing: that is `tests/mutants/run`.

use std::fs;
use std::path::Path;

use crate::sources::rust_files;

/// The lines that one place of a mutant looks for, without their indentation.
fn sought(place: &str) -> Vec<&str> {
    place.lines().filter(|line| !line.starts_with('+')).map(|line| line[2..].trim()).collect()
}

fn occurrences(lines: &[&str], sought: &[&str]) -> usize {
    lines.windows(sought.len()).filter(|window| window == &sought).count()
}

#[test]
fn every_planted_mistake_finds_its_lines_in_the_sources_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<String> =
        rust_files(&root.join("src")).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let sources: Vec<Vec<&str>> = sources.iter().map(|text| text.lines().map(str::trim).collect()).collect();
    let (mut places, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(root.join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "mutant") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut parts = text.trim_end().split("\n\n");
        let head = parts.next().unwrap();
        assert!(head.lines().all(|line| line.starts_with("# ")), "{}: no head", path.display());
        assert!(head.lines().any(|line| line.starts_with("# test: ")), "{}: names no test", path.display());
        for place in parts {
            let sought = sought(place);
            assert!(!sought.is_empty() && place.contains("+ "), "{}: replaces nothing", path.display());
            let there: usize = sources.iter().map(|lines| occurrences(lines, &sought)).sum();
            places += 1;
            if there != 1 {
                wrong.push(format!("{}: {there} times in src: {}", path.display(), sought[0]));
            }
        }
    }
    assert!(places >= 30, "{places}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
