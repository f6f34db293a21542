//! Tests that read the repository's own files and run nothing: layers, circles, names, counts, waits. This file reads them.

mod counts;
mod glossary;
mod layers;
mod paths;
mod waits;

use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src`, its unit tests left out.
struct Source {
    /// Its path below `src`.
    path: String,
    text: String,
    /// Without comments, and with `""` for each literal.
    code: String,
    comments: String,
    literals: Vec<String>,
}

impl Source {
    fn of(path: &Path) -> Self {
        Self::new(path.strip_prefix(root().join("src")).unwrap().to_str().unwrap(), &fs::read_to_string(path).unwrap())
    }

    fn new(path: &str, text: &str) -> Self {
        let text = without_unit_tests(text);
        let Parts { code, comments, literals } = parts(&text);
        Self { path: path.to_owned(), text, code, comments, literals }
    }

    /// The top module that the file belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

/// Every file of `src` that is not a file of tests.
fn sources() -> Vec<Source> {
    let files = files(&root().join("src"), "rs");
    let found: Vec<_> = files.iter().filter(|path| !is_a_test_file(path)).map(|path| Source::of(path)).collect();
    assert!(found.len() > 50, "src was not found");
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, "rs")
}

/// Every file below a folder whose name ends so, in order; what is built below `target` is none.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_a_test_file(path: &Path) -> bool {
    let named = |part: &str| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs");
    path.strip_prefix(root()).unwrap().components().any(|part| part.as_os_str().to_str().is_some_and(named))
}

/// A file without its unit tests, which may use whatever they test with. A `mod tests;` is only its declaration; a
/// `mod tests {` is the last item of its file.
fn without_unit_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let declared = lines.next().unwrap_or_default();
            if declared.ends_with('{') {
                assert_eq!(lines.last(), Some("}"), "code after the unit tests of a file");
                break;
            }
            assert!(declared.ends_with("mod tests;"), "not a module of tests: {declared}");
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// A Rust text, taken apart. In `code`, a literal is `""`.
#[derive(Default)]
struct Parts {
    code: String,
    comments: String,
    literals: Vec<String>,
}

fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        let taken = if rest.starts_with("//") {
            let line = rest.find('\n').unwrap_or(rest.len());
            parts.comments.push_str(rest[..line].trim_start_matches(['/', '!']).trim_start());
            parts.comments.push('\n');
            line
        } else if let Some((opening, closing)) = opening_of_a_raw_literal(rest) {
            let inside = rest[opening..].find(&closing).expect("a raw literal ends");
            parts.literals.push(rest[opening..opening + inside].to_owned());
            parts.code.push_str("\"\"");
            opening + inside + closing.len()
        } else if word > 0 {
            parts.code.push_str(&rest[..word]);
            word
        } else if first == '"' {
            let end = end_of_literal(rest, '"');
            parts.literals.push(unescaped(&rest[1..end]));
            parts.code.push_str("\"\"");
            end + 1
        } else if first == '\'' && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'')) {
            end_of_literal(rest, '\'') + 1
        } else {
            parts.code.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    parts
}

/// The length of `r#"`, and what ends it.
fn opening_of_a_raw_literal(rest: &str) -> Option<(usize, String)> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..]
        .starts_with('"')
        .then(|| (rest.len() - after.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// Where the quote is that ends the literal which `rest` begins with.
fn end_of_literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    panic!("a literal does not end: {}", &rest[..rest.len().min(60)]);
}

/// A literal's text as it is read: `\` at the end of a line joins it with the next, an escaped break is a space.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.chars().next() {
            Some('\n') => rest = rest.trim_start(),
            Some('n') => {
                text.push(' ');
                rest = &rest[1..];
            }
            _ => {}
        }
    }
    text + rest
}

#[test]
fn a_rust_text_is_taken_apart_into_code_comments_and_literals() {
    let text = "#[cfg(test)]\nmod tests;\nfn a<'x>() { b(\"http://c \\\"d\\\" e \\\n   f\", '\"', r#\"g \"h\"\"#) } // i\n\
                #[cfg(test)]\nmod tests {\n    fn j() {}\n}\n";
    let Parts { code, comments, literals } = parts(&without_unit_tests(text));
    assert_eq!(code, "fn a<'x>() { b(\"\", , \"\") } \n");
    assert_eq!(comments, "i\n");
    assert_eq!(literals, ["http://c \"d\" e f", "g \"h\""]);
}
