//! A YAML file read into [`Settings`].
//!
//! Owns the limits of the file (size, aliases, one document) and the texts about a wrong shape: the first one ends the
//! reading. Never repeats a value, since it may be a secret in the wrong location; a key is repeated.

use serde_path_to_error::Segment;
use serde_saphyr::Error;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::field::{Locate as _, Located};
use super::report::{Location, Report, Reported};
use super::settings::Settings;

/// The largest file that is read, in bytes.
pub(super) const LARGEST: usize = 8 * 1024 * 1024;

/// Reads one YAML document; `file` is its name in reports.
pub(super) fn read(text: &str, file: &str, report: &mut Report) -> Result<Settings, Reported> {
    let options = serde_saphyr::options! {
        // repeated aliases count, so that no file becomes much larger in memory than it is
        budget: serde_saphyr::budget! {
            max_aliases: 64, max_nodes: 1_000_000, max_events: 2_000_000, max_total_scalar_bytes: LARGEST,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        no_schema: true, // a number is not a text
        with_snippet: false, // a snippet repeats lines of the file
    };
    let mut path = String::new();
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize::<_, Located<Settings>>(deserializer).map_err(|error| {
            path = path_of(error.path());
            error.into_inner()
        })
    });
    match read {
        Ok(mut settings) => {
            settings.locate("", None);
            Ok(settings.value)
        }
        Err(error) => {
            let key = if let Error::DuplicateMappingKey { key: Some(key), .. } = &error { key } else { "" };
            let path = join(&path, key);
            let mut location = Location::in_line(error.location().map_or(0, |location| location.line()));
            location.complete(if path.is_empty() { file } else { &path }, None);
            Err(report.fault(&location, describe(&error)))
        }
    }
}

/// The path in the file. [`serde_saphyr::Spanned`] reads a value as a mapping with the key `value`, which is not in the file.
fn path_of(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Map { key } if key == "value" => path,
        Segment::Map { key } => join(&path, key),
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// A key from the file may be anything: what is shown of it is short and plain.
fn join(path: &str, key: &str) -> String {
    let key: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    let dot = if path.is_empty() || key.is_empty() { "" } else { "." };
    format!("{path}{dot}{key}")
}

fn describe(error: &Error) -> String {
    let what = match error {
        Error::SerdeUnknownField { field, expected, .. } => return unknown(field, expected),
        Error::DuplicateMappingKey { .. } => "this key is given twice; write it once",
        Error::MultipleDocuments { .. } => "the file has more than one document; write one",
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not supported; write the keys out",
        Error::QuotingRequired { .. } => {
            "YAML reads this as a number or a boolean; write a text, in quotes if need be (a duration has a unit: 10m0s)"
        }
        Error::NullIntoString { .. } => "this is empty; write a text",
        Error::TaggedScalarCannotDeserializeIntoString { .. } => "write a text without a tag",
        Error::InvalidBooleanStrict { .. } => "write true or false",
        Error::InvalidScalar { .. } => "write a whole number, such as 256",
        Error::Unexpected { expected: "mapping start", .. } => "write a mapping: a line for each key",
        Error::Unexpected { expected: "sequence start", .. } => "write a list",
        Error::Unexpected { .. } => "write a single value",
        error => return format!("this is not YAML that can be read: {error}"),
    };
    what.to_owned()
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(nearest) => format!("unknown key; did you mean {nearest}?"),
        None => format!("unknown key; the keys here are {}", known.join(", ")),
    }
}

/// The known key that differs in the fewest letters, if these are few.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted: String = plain(key).chars().take(64).collect();
    known
        .iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
