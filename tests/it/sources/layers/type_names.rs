//! Holds the crate to one name for one thing: no two types that leave their files have the same name.

use std::collections::BTreeMap;

use crate::sources::{Source, sources};

/// Names that are still two things'. The list may only become shorter.
const TWICE: &[&str] =
    &["Event", "Kind", "Mode", "Outbox", "Outcome", "Phase", "Status", "Told", "Trigger", "Verifier"];

/// Each name that more than one `pub` type has, with the files that define it.
fn twice(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources {
        let mut in_macro = false;
        for line in file.code.lines() {
            in_macro |= line.ends_with("! {") && !line.starts_with(' ');
            if let Some(name) = defined(line, in_macro) {
                homes.entry(name).or_default().push(file.path.clone());
                in_macro = false;
            }
            in_macro &= line != "}";
        }
    }
    homes.retain(|_, files| files.len() > 1);
    homes
}

/// The `pub` type that a line defines: `pub(super) struct Name`, or the first name in `labelled! {`.
fn defined(line: &str, in_macro: bool) -> Option<String> {
    let line = line.trim_start();
    let visible = if line.starts_with("pub(") { line.split_once(") ") } else { line.split_once(' ') };
    let item = visible.filter(|_| line.starts_with("pub")).and_then(|(_, item)| item.split_once(' '));
    let rest = match item {
        Some(("struct" | "enum" | "trait" | "union" | "type", rest)) => rest,
        None if in_macro => line,
        _ => return None,
    };
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
    name.starts_with(char::is_uppercase).then_some(name)
}

#[test]
fn no_two_types_have_one_name_but_those_listed() {
    let found = twice(&sources());
    let new: Vec<_> = found.iter().filter(|(name, _)| !TWICE.contains(&name.as_str())).collect();
    let gone: Vec<_> = TWICE.iter().filter(|name| !found.contains_key(**name)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new; rename one of them: {new:#?}\nno longer there; remove it from the list in tests/it/sources/layers/type_names.rs: {gone:?}"
    );
}

#[test]
fn a_planted_name_of_two_types_is_found() {
    let sources = [
        Source::new(
            "a.rs",
            "pub struct One;\npub(super) enum Two {}\npub fn Three() {}\nstruct Four;\nlabelled! {\n    Five {\n        Six => 6,",
        ),
        Source::new(
            "b.rs",
            "pub(crate) trait One {}\npub type Two<'a> = &'a str;\npub struct Four;\npub struct OneMore;\npub enum Five {}\npub struct Six;",
        ),
    ];
    assert_eq!(twice(&sources).into_keys().collect::<Vec<_>>(), ["Five", "One", "Two"]);
}
