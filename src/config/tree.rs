//! YAML as a tree that remembers its lines, and a walk through it that reports everything that is wrong.
//!
//! Owns the limits of a configuration file (size, aliases, one document) and the sentences about unknown keys and
//! wrong types. Knows no field of ours: `file` does. serde's own derive stops at the first fault; this goes on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::report::{Field, Place, Report};

/// The largest file that is read, in bytes: more than ten thousand mirrors fit, fully written out.
pub(super) const LARGEST: usize = 8 * 1024 * 1024;

/// The longest single value, in bytes, so that an alias repeated often stays small: twice the longest URL.
const LONGEST_VALUE: usize = 4_096;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    line: u64,
    column: u64,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Null,
    Switch(bool),
    Whole(u64),
    OtherNumber,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Kind {
    const fn label(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Switch(_) => "true or false",
            Self::Whole(_) | Self::OtherNumber => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads one YAML document. `None`: it cannot be read, and was reported.
pub(super) fn parse(text: &str, file: &str, report: &mut Report) -> Option<Node> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 64, max_documents: 2, max_nodes: 1_000_000, max_events: 2_000_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000 },
        duplicate_keys: DuplicateKeyPolicy::LastWins, // the walk reports them, all of them
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false, // a snippet repeats lines of the file
    };
    match serde_saphyr::from_multiple_with_options::<Spanned<Kind>>(text, options) {
        Ok(documents) if documents.len() > 1 => {
            report.fault(Place::named(file), "the file has more than one document; write one");
            None
        }
        Ok(documents) => Some(documents.into_iter().next().map_or_else(empty, Node::from)),
        Err(error) => {
            let line = error.location().map_or(0, |at| at.line());
            let place = if line > 0 { Place::in_file(file, line) } else { Place::named(file) };
            report.fault(place, format!("this is not YAML that can be read: {error}"));
            None
        }
    }
}

fn empty() -> Node {
    Node { line: 1, column: 1, kind: Kind::Null }
}

impl From<Spanned<Kind>> for Node {
    fn from(spanned: Spanned<Kind>) -> Self {
        Self { line: spanned.referenced.line(), column: spanned.referenced.column(), kind: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Untyped)
    }
}

struct Untyped;

impl<'de> Visitor<'de> for Untyped {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Switch(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Whole(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Kind, E> {
        Ok(u64::try_from(value).map_or(Kind::OtherNumber, Kind::Whole))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::OtherNumber)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Kind, E> {
        if text.len() > LONGEST_VALUE {
            return Err(E::custom("a value is longer than 4096 bytes"));
        }
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Kind>>()? {
            list.push(item.into());
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Spanned<Kind>>()? {
            if key.len() > LONGEST_VALUE {
                return Err(A::Error::custom("a key is longer than 4096 bytes"));
            }
            map.push((key, value.into()));
        }
        Ok(Kind::Map(map))
    }
}

/// One mapping of the file, whose keys are taken out one by one.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    line: u64,
    entries: Vec<(String, Node)>,
    /// It was something else than a mapping, which was reported: nothing in it is missing.
    bad: bool,
}

impl Section {
    /// Opens a mapping that may have these keys, and reports every other one and every key that stands twice.
    pub(super) fn open(node: Option<Node>, path: &str, known: &[&str], report: &mut Report) -> Self {
        let mut section = Self { path: path.to_owned(), line: 0, entries: Vec::new(), bad: false };
        let Some(node) = node else { return section };
        section.line = node.line;
        match node.kind {
            Kind::Null => {}
            Kind::Map(entries) => {
                for (key, value) in entries {
                    let place = Place::in_file(section.below(&key), value.line);
                    if !known.contains(&key.as_str()) {
                        report.fault(place, unknown(&key, known));
                    } else if section.entries.iter().any(|(other, _)| *other == key) {
                        report.fault(place, format!("the key stands here a second time, at column {}", value.column));
                    } else {
                        section.entries.push((key, value));
                    }
                }
            }
            other => {
                section.bad = true;
                let what = format!("this is {}; write a mapping with the keys {}", other.label(), known.join(", "));
                report.fault(section.place(), what);
            }
        }
        section
    }

    fn below(&self, key: &str) -> String {
        // a key from the file may be anything; what is shown of it is short and plain
        let plain: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
        if self.path.is_empty() { plain } else { format!("{}.{plain}", self.path) }
    }

    /// Where this section is.
    pub(super) fn place(&self) -> Place {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        if self.line > 0 { Place::in_file(path, self.line) } else { Place::named(path) }
    }

    /// Takes a value out as it is.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(other, _)| other == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// Opens the mapping under a key.
    pub(super) fn section(&mut self, key: &str, known: &[&str], report: &mut Report) -> Self {
        let mut section = Self::open(self.take(key), &self.below(key), known, report);
        if section.line == 0 {
            section.line = self.line;
        }
        section.bad |= self.bad;
        section
    }

    fn field<T>(
        &mut self,
        key: &str,
        wanted: &str,
        report: &mut Report,
        read: impl FnOnce(&Kind) -> Option<T>,
    ) -> Field<T> {
        let path = self.below(key);
        let Some(node) = self.take(key).filter(|node| node.kind != Kind::Null) else {
            let place = if self.line > 0 { Place::in_file(path, self.line) } else { Place::named(path) };
            return if self.bad { Field::Bad } else { Field::Absent(place) };
        };
        let place = Place::in_file(path, node.line);
        if let Some(value) = read(&node.kind) {
            Field::Given(place, value)
        } else {
            let quotes = match node.kind {
                Kind::Switch(_) | Kind::Whole(_) | Kind::OtherNumber if wanted.starts_with("a text") => {
                    ", in quotes where YAML takes it for something else"
                }
                _ => "",
            };
            report.fault(place, format!("this is {}; write {wanted}{quotes}", node.kind.label()));
            Field::Bad
        }
    }

    /// A text; `wanted` says which, for whoever wrote something else.
    pub(super) fn text(&mut self, key: &str, wanted: &str, report: &mut Report) -> Field<String> {
        self.field(key, wanted, report, |kind| if let Kind::Text(text) = kind { Some(text.clone()) } else { None })
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &str, report: &mut Report) -> Field<bool> {
        self.field(key, "true or false", report, |kind| if let Kind::Switch(on) = kind { Some(*on) } else { None })
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, key: &str, report: &mut Report) -> Field<u64> {
        self.field(key, "a whole number, such as 256", report, |kind| {
            if let Kind::Whole(number) = kind { Some(*number) } else { None }
        })
    }

    /// The items of a list, each with its path. `None`: not there, or reported.
    pub(super) fn list(&mut self, key: &str, report: &mut Report) -> Vec<(String, Node)> {
        let path = self.below(key);
        match self.take(key).map(|node| (node.line, node.kind)) {
            None | Some((_, Kind::Null)) => Vec::new(),
            Some((_, Kind::List(items))) => {
                items.into_iter().enumerate().map(|(index, node)| (format!("{path}[{index}]"), node)).collect()
            }
            Some((line, other)) => {
                self.bad = true;
                report.fault(Place::in_file(path, line), format!("this is {}; write a list", other.label()));
                Vec::new()
            }
        }
    }

    /// Texts of a list.
    pub(super) fn texts(&mut self, key: &str, report: &mut Report) -> Vec<(Place, String)> {
        let mut texts = Vec::new();
        for (path, node) in self.list(key, report) {
            let place = Place::in_file(path, node.line);
            match node.kind {
                Kind::Text(text) => texts.push((place, text)),
                other => report.fault(place, format!("this is {}; write a text", other.label())),
            }
        }
        texts
    }

    /// Whether the section was no mapping, which was reported.
    pub(super) fn is_bad(&self) -> bool {
        self.bad
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(nearest) => format!("this key is not known; {nearest} is meant, perhaps"),
        None => format!("this key is not known; the keys here are {}", known.join(", ")),
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

/// Levenshtein's distance.
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
