//! The rows of the platform's contract: the table that says what each means, and the tests that cite them by number.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{read, root};

/// A number of a row, with its letter: `7` comes before `10`.
type Row = (u32, String);

fn row(text: &str) -> Option<Row> {
    let letter = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - letter.len()].parse().ok()?;
    (letter.is_empty() || matches!(letter, "a" | "b" | "c")).then(|| (number, letter.to_owned()))
}

/// The rows that a line cites: `rows_15_and_37` of a name, `rows 29 to 32` of a comment.
fn cited(line: &str) -> BTreeSet<Row> {
    let words: Vec<_> = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let (mut found, mut at) = (BTreeSet::new(), 0);
    while at < words.len() {
        let begins = matches!(words[at], "row" | "rows");
        at += 1;
        let mut from: Option<Row> = None;
        while begins && at < words.len() {
            match (row(words[at]), words[at]) {
                (Some(one), _) => {
                    if let Some((first, letter)) = from.take().filter(|(first, _)| *first < one.0) {
                        assert!(letter.is_empty(), "{line}");
                        found.extend((first..one.0).map(|number| (number, String::new())));
                    }
                    found.insert(one);
                }
                (None, "to") => from = found.last().cloned(),
                (None, "and") => {}
                (None, _) => break,
            }
            at += 1;
        }
    }
    found
}

/// The table of the page: each row with what is said of it here.
fn table() -> Vec<(Row, String)> {
    let page = read("docs/platform.md");
    let (_, section) = page.split_once("\n## The contract, row by row\n").unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows =
        cells.filter_map(|line| Some((row(line.split(" | ").next()?)?, line.rsplit('|').next()?.trim().to_owned())));
    rows.collect()
}

fn tests(folder: &Path, found: &mut BTreeSet<Row>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_dir() {
            tests(&path, found);
        } else if matches!(extension, "rs" | "py") && !path.ends_with("pages/contract.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let cites = |line: &&str| {
                let line = line.trim_start();
                line.starts_with("fn ") || line.starts_with("def test") || line.starts_with("//! ")
            };
            found.extend(text.lines().filter(cites).flat_map(cited));
        }
    }
}

#[test]
fn every_row_of_the_platforms_contract_is_cited_by_a_test_or_said_not_to_be_offered() {
    let table = table();
    let numbers: Vec<_> = table.iter().map(|(row, _)| row.clone()).collect();
    let letters = ["a", "b", "c"].map(|letter| (7, letter.to_owned()));
    let plain = |number| (number, String::new());
    let wanted: Vec<_> = (1..7).map(plain).chain(letters).chain((8..=69).map(plain)).collect();
    assert_eq!(numbers, wanted, "each row once, in order");
    let mut found = BTreeSet::new();
    tests(&root().join("tests"), &mut found);
    let not_offered = |here: &str| here.starts_with("Not offered: ");
    let unproven: Vec<_> = table.iter().filter(|(row, here)| found.contains(row) == not_offered(here)).collect();
    assert!(unproven.is_empty(), "not cited, or cited and not offered: {unproven:#?}");
    let unknown: Vec<_> = found.iter().filter(|row| !numbers.contains(row)).collect();
    assert!(unknown.is_empty(), "rows that the page does not have: {unknown:?}");
}

#[test]
fn every_cause_of_row_16_has_a_code_of_its_own_row_16() {
    let (_, here) = table().into_iter().find(|(row, _)| row.0 == 16).unwrap();
    let codes: Vec<_> = here.split("[`").skip(1).map(|rest| rest.split('`').next().unwrap()).collect();
    let distinct: BTreeSet<_> = codes.iter().collect();
    assert_eq!((codes.len(), distinct.len()), (13, 13), "{codes:?}");
    for code in codes {
        let known = cutover_api::domain::problem::Code::ALL.iter().any(|one| one.label() == code);
        assert!(known && here.contains(&format!("(problems/{code}.md)")), "{code}");
    }
}

#[test]
fn a_citation_is_read_as_a_person_reads_it() {
    let rows = |line: &str| {
        cited(line).into_iter().map(|(row, letter)| format!("{row}{letter}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rows("fn four_pods_of_one_job_join_one_run_rows_15_and_37() {"), "15 37");
    assert_eq!(rows("//! told (rows 29 to 32 of its contract)."), "29 30 31 32");
    assert_eq!(rows("//! (rows 7a to 7c of its contract), and rows 17, 47 and 48"), "7a 7c 17 47 48");
    assert_eq!(rows("fn rows(heading: &str) -> Vec<Vec<String>> {"), "");
    assert_eq!(rows("fn the_default_render_means_rows_42_to_45() {"), "42 43 44 45");
}
