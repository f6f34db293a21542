//! Counts that may only fall: lines of code in `src`, and private words (`glossary.rs`) in texts.
//!
//! Each has a ceiling below. A change that brings a count down lowers its ceiling to the new figure; the failure of a
//! change that brings it up says what to do. `cargo test --test it counts:: -- --nocapture` prints today's figures.

use std::fs;
use std::path::Path;

use super::glossary::Count;
use super::{files, root, sources};

/// Lines of code in `src`: without unit tests, comments and blank lines.
const CODE: usize = 25_008;

/// Private words among 1,000 words: in `docs`, the top-level pages and the chart's texts,
const PAGES: usize = 3;
/// in the comments of `src`,
const COMMENTS: usize = 12;
/// in what the program shows: sentences in the literals of `src`, and the OpenAPI specification.
const SHOWN: usize = 8;

fn hold(what: &str, count: usize, ceiling: usize, remedy: &str) {
    println!("{what}: {count}, ceiling {ceiling}");
    assert!(count <= ceiling, "{what}: {count}, and the ceiling in tests/it/sources/counts.rs is {ceiling}. {remedy}");
}

fn hold_words(what: &str, count: &Count, ceiling: usize) {
    assert!(count.words > 5_000, "{what}: only {} words were found", count.words);
    println!("{what}: {} private words of {}", count.private.len(), count.words);
    let places = count.private.join("\n  ");
    hold(
        what,
        count.per_thousand(),
        ceiling,
        &format!("Say the word after the arrow in your new texts, or write around it:\n  {places}"),
    );
}

#[test]
fn the_code_does_not_grow() {
    let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let lines = sources().iter().map(|file| file.text.lines().filter(counts).count()).sum();
    hold(
        "lines of code in src",
        lines,
        CODE,
        "Remove as much code as you add. If the new code is worth its lines, raise the ceiling and say why in the commit.",
    );
}

#[test]
fn the_pages_use_the_words_of_the_field() {
    let mut count = Count::default();
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root().join(page)));
    pages.extend(files(&root().join("chart"), "md"));
    for page in pages.iter().filter(|page| page.exists()) {
        count.add(&place(page), &fs::read_to_string(page).unwrap());
    }
    for extension in ["txt", "yaml", "tpl"] {
        for file in files(&root().join("chart"), extension) {
            let text = fs::read_to_string(&file).unwrap();
            for line in text.lines().filter(|line| is_prose(line)) {
                count.add(&place(&file), line);
            }
        }
    }
    hold_words("private words among 1,000 in pages", &count, PAGES);
}

#[test]
fn the_comments_use_the_words_of_the_field() {
    let mut count = Count::default();
    for file in sources() {
        count.add(&file.path, &file.comments);
    }
    hold_words("private words among 1,000 in comments of src", &count, COMMENTS);
}

#[test]
fn what_the_program_shows_uses_the_words_of_the_field() {
    let mut count = Count::default();
    for file in sources() {
        let sentences = file.literals.iter().filter(|literal| is_prose(literal) && !is_sql(literal));
        sentences.for_each(|literal| count.add(&file.path, literal));
    }
    let specification = fs::read_to_string(root().join("openapi/cutover-api.json")).unwrap();
    for line in specification.lines().map(str::trim) {
        if line.starts_with("\"description\":") || line.starts_with("\"summary\":") {
            count.add("openapi", line);
        }
    }
    hold_words("private words among 1,000 that the program shows", &count, SHOWN);
}

fn place(page: &Path) -> String {
    page.strip_prefix(root()).unwrap().display().to_string()
}

/// Whether it is a sentence, and not a name, a key or a piece of a template: at least three plain words.
fn is_prose(text: &str) -> bool {
    let plain = |word: &&str| word.trim_matches(['.', ',', ';', ':', '(', ')']).chars().all(char::is_alphabetic);
    text.split_whitespace().filter(plain).count() >= 3
}

fn is_sql(literal: &str) -> bool {
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE ", "PRAGMA ", "BEGIN"]
        .iter()
        .any(|verb| literal.contains(verb))
}
