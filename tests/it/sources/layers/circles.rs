//! Holds the files of each module apart: none needs another that needs it in turn, and a type's methods are in its file.
//!
//! A file needs what it imports. `mod`, `pub use` and the types and constants that a submodule takes from the module above
//! it do not count. Today's circles are listed below; the lists may only become shorter.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::paths::Modules;
use crate::sources::{Source, sources};

/// The circles that are left.
const CIRCLES: &[&str] = &[
    "domain/healing.rs domain/notice.rs domain/status.rs",
    "engine/asking.rs engine/coordinator.rs engine/deliveries.rs engine/driven.rs engine/ending.rs engine/observing.rs engine/restart.rs engine/telling.rs",
    "engine/driver.rs engine/observer.rs",
    "journal/deliveries.rs journal/events.rs journal/keys.rs journal/modes.rs journal/notices.rs journal/opening.rs journal/rows.rs journal/runs.rs journal/store.rs",
];

/// Files that hold methods of another file's type.
const SCATTERED: &[&str] = &[
    "domain/decide/absent.rs: Table",
    "domain/decide/interrupted.rs: Table",
    "domain/decide/lag.rs: Table",
    "domain/decide/legacy.rs: Table",
    "domain/decide/mirror.rs: Table",
    "domain/decide/patience.rs: Table",
    "domain/decide/pivot.rs: Table",
    "domain/decide/placeholder.rs: Table",
    "domain/decide/settings.rs: Table",
    "domain/history/lag.rs: History",
    "domain/history/pruning.rs: History",
    "domain/history/renames.rs: History",
    "domain/history/sync.rs: History",
    "domain/problem/meaning.rs: Code",
    "engine/acting.rs: Driver",
    "engine/asking.rs: Coordinator",
    "engine/carrying.rs: Driver",
    "engine/deliveries.rs: Coordinator",
    "engine/ending.rs: Coordinator",
    "engine/following.rs: Coordinator",
    "engine/healing.rs: Coordinator",
    "engine/lists.rs: Driver",
    "engine/lists.rs: Work",
    "engine/modes.rs: Coordinator",
    "engine/observing.rs: Coordinator",
    "engine/pause.rs: Driver",
    "engine/restart.rs: Coordinator",
    "engine/status.rs: Coordinator",
    "engine/telling.rs: Coordinator",
    "gitea/conflicts.rs: Client",
    "gitea/refs.rs: Client",
    "journal/crashes.rs: Journal",
    "journal/crashes.rs: Store",
    "journal/deliveries.rs: Journal",
    "journal/deliveries.rs: Store",
    "journal/events.rs: Store",
    "journal/intents.rs: Journal",
    "journal/intents.rs: Store",
    "journal/keys.rs: Store",
    "journal/modes.rs: Store",
    "journal/notices.rs: Journal",
    "journal/notices.rs: Store",
    "journal/opening.rs: Journal",
    "journal/rows.rs: Store",
    "journal/runs.rs: Store",
    "metrics/http.rs: Metrics",
    "metrics/streams.rs: Metrics",
];

/// Each circle: its files, in order.
fn circles(sources: &[Source]) -> BTreeSet<String> {
    let modules = Modules::of(sources);
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in sources {
        for path in modules.imports(file) {
            let Some((other, name)) = modules.home(&path) else { continue };
            let above = file.path.starts_with(&folder(other));
            let exempt = above && !name.starts_with(char::is_lowercase);
            let same_module = path.first().is_some_and(|module| module == file.module());
            if same_module && !exempt && other != file.path {
                needs.entry(&file.path).or_default().insert(other);
            }
        }
    }
    // whatever a file needs, it needs through others as well
    while let Some((file, more)) = needs.iter().find_map(|(file, direct)| {
        let through: BTreeSet<&str> = direct.iter().filter_map(|other| needs.get(other)).flatten().copied().collect();
        through.difference(direct).next().is_some().then(|| (*file, &through | direct))
    }) {
        needs.insert(file, more);
    }
    let circle = |file: &&str| {
        needs[file]
            .iter()
            .copied()
            .filter(|other| needs.get(other).is_some_and(|back| back.contains(file)))
            .collect::<Vec<_>>()
    };
    needs.keys().map(circle).filter(|circle| !circle.is_empty()).map(|circle| circle.join(" ")).collect()
}

/// The folder that a module's submodules are in, with a `/`.
fn folder(file: &str) -> String {
    format!("{}/", file.trim_end_matches(".rs").trim_end_matches("/mod"))
}

/// `file: Type` for each `impl Type` beside a file that defines no such type.
fn scattered(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources {
        for line in file.code.lines() {
            let Some(head) = line.strip_prefix("impl").filter(|_| !line.contains(" for ")) else { continue };
            let head = if head.starts_with('<') { head.split_once("> ").map_or("", |(_, name)| name) } else { head };
            let path: String = head.trim_start().chars().take_while(|&c| c.is_alphanumeric() || c == ':').collect();
            let name = path.rsplit("::").next().unwrap();
            // `words! { Name { … } }` defines a type as well
            let defined = ["struct ", "enum ", "type ", "    "].iter().any(|kind| {
                file.code.split(&format!("{kind}{name}")).skip(1).any(|after| !after.starts_with(char::is_alphanumeric))
            });
            if !defined {
                found.insert(format!("{}: {name}", file.path));
            }
        }
    }
    found
}

/// Fails if a list and what was found differ.
fn hold(what: &str, found: &BTreeSet<String>, listed: &[&str]) {
    let listed: BTreeSet<String> = listed.iter().map(|&line| line.to_owned()).collect();
    let lines = |set: BTreeSet<String>| set.iter().fold(String::new(), |all, line| all + "\n    \"" + line + "\",");
    let (new, gone) = (lines(found - &listed), lines(&listed - found));
    assert!(
        new.is_empty() && gone.is_empty(),
        "{what}\nnew, or changed; remove it from src:{new}\nno longer there; remove it from the list in tests/it/sources/layers/circles.rs \
         (or write the shorter one):{gone}"
    );
}

#[test]
fn no_files_of_a_module_need_each_other_but_those_listed() {
    hold("Circles of files.", &circles(&sources()), CIRCLES);
}

#[test]
fn the_methods_of_a_type_are_in_its_file_but_for_those_listed() {
    hold("Methods beside another file's type.", &scattered(&sources()), SCATTERED);
}

#[test]
fn a_planted_circle_and_planted_methods_are_found() {
    let sources: Vec<Source> = [
        ("a/mod.rs", "mod b; mod c; mod d; mod e;\npub use b::B;\npub struct Up;\npub fn down() { e::deep() }"),
        ("a/b.rs", "use super::{Up, c::C};\npub struct B;\nimpl B {\n}"),
        (
            "a/c.rs",
            "use super::d;\npub struct C;\nimpl super::B {\n}\nimpl<T: Clone> Up<T> {\n}\nimpl From<B> for C {\n}",
        ),
        ("a/d.rs", "use crate::a::B;\nuse crate::z::Z;"),
        ("a/e.rs", "pub fn deep() { super::down() }"),
        ("a/f.rs", "use super::{Up, c::C};"),
        ("z.rs", "use crate::a::d;"),
    ]
    .map(|(path, code)| Source::new(path, code))
    .into();
    let found: Vec<String> = circles(&sources).into_iter().collect();
    assert_eq!(found, ["a/b.rs a/c.rs a/d.rs", "a/e.rs a/mod.rs"]);
    let found: Vec<String> = scattered(&sources).into_iter().collect();
    assert_eq!(found, ["a/c.rs: B", "a/c.rs: Up"]);
}
