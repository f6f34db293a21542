//! The paths that a piece of code names (`crate::…`, `super::…`, `self::…` and those of its own submodules), whole.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// A path from the crate's root: `["engine", "actor", "Actor"]`.
pub(super) type Names = Vec<String>;

/// What modules there are, and what they re-export.
pub(super) struct Modules {
    /// module → its file below `src`.
    files: BTreeMap<Names, String>,
    /// what `pub use` makes of a path → the path itself.
    again: BTreeMap<Names, Names>,
}

impl Modules {
    pub(super) fn of(sources: &[Source]) -> Self {
        let files = sources.iter().map(|file| (module(&file.path), file.path.clone())).collect();
        let mut modules = Self { files, again: BTreeMap::new() };
        for file in sources {
            for path in modules.named(&file.path, &split_exports(&file.code).1) {
                let name = path.last().unwrap().clone();
                modules.again.insert([module(&file.path), vec![name]].concat(), path);
            }
        }
        modules
    }

    /// The paths that a file's code names. `pub use` is not among them.
    pub(super) fn imports(&self, file: &Source) -> BTreeSet<Names> {
        self.named(&file.path, &split_exports(&file.code).0)
    }

    /// The file that holds what a path names, re-exports followed, and the name that it has there.
    pub(super) fn home(&self, path: &Names) -> Option<(&str, String)> {
        let mut path = path.clone();
        for _ in 0..8 {
            let at = (1..=path.len()).rev().find(|at| self.files.contains_key(&path[..*at]))?;
            match path.get(at).and_then(|_| self.again.get(&path[..=at])) {
                Some(other) => path = [&other[..], &path[at + 1..]].concat(),
                None => return Some((&self.files[&path[..at]], path.get(at).cloned().unwrap_or_default())),
            }
        }
        panic!("re-exports go round: {path:?}");
    }

    fn named(&self, file: &str, code: &str) -> BTreeSet<Names> {
        let own = module(file);
        let mut found = BTreeSet::new();
        let mut rest = code;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let word = word(rest);
            if word.is_empty() || matches!(before, ':' | '$') || !rest[word.len()..].starts_with("::") {
                let taken = word.len().max(first.len_utf8());
                before = rest[..taken].chars().last().unwrap();
                rest = &rest[taken..];
                continue;
            }
            let child = [&own[..], &[word.to_owned()]].concat();
            let known = matches!(word, "crate" | "super" | "self") || self.files.contains_key(&child);
            let mut paths = Vec::new();
            rest = tree(rest, &[], &mut paths);
            before = ' ';
            if known {
                found.extend(paths.into_iter().map(|path| whole(&own, path)));
            }
        }
        found.remove(&own);
        found
    }
}

/// The module that a file below `src` is.
fn module(file: &str) -> Names {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

/// A path as it stands in a module, from the crate's root.
fn whole(own: &[String], path: Names) -> Names {
    let mut base = own.to_vec();
    let mut names = path.into_iter().peekable();
    match names.next_if(|name| matches!(name.as_str(), "crate" | "self")) {
        Some(name) if name == "crate" => base.clear(),
        _ => {
            while names.next_if(|name| name == "super").is_some() {
                base.pop();
            }
        }
    }
    base.extend(names.filter(|name| !matches!(name.as_str(), "self" | "*")));
    base
}

fn word(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len()]
}

/// Reads `a::b::{c, d::e as f}`; gives what follows it.
fn tree<'a>(mut rest: &'a str, prefix: &[String], paths: &mut Vec<Names>) -> &'a str {
    let mut path = prefix.to_vec();
    loop {
        rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let after = tree(rest, &path, paths).trim_start_matches(',').trim_start();
                if after.len() == rest.len() {
                    return rest;
                }
                rest = after;
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let name = if rest.starts_with('*') { "*" } else { word(rest) };
        if name.is_empty() {
            break;
        }
        path.push(name.to_owned());
        rest = &rest[name.len()..];
        match rest.strip_prefix("::") {
            Some(after) => rest = after,
            None => break,
        }
    }
    paths.push(path);
    match rest.strip_prefix(" as ") {
        Some(alias) => &alias[word(alias).len()..],
        None => rest,
    }
}

/// A file's code without its `pub use`, and these.
fn split_exports(code: &str) -> (String, String) {
    let (mut kept, mut exports) = (String::new(), String::new());
    for statement in code.split_inclusive(';') {
        let line = statement.trim_start();
        let exported = line.starts_with("pub") && line.split_once("use ").is_some_and(|(before, _)| before.len() < 16);
        if exported { exports.push_str(statement) } else { kept.push_str(statement) }
    }
    (kept, exports)
}

#[test]
fn paths_are_found_in_use_trees_and_in_expressions() {
    let sources: Vec<Source> = [
        ("a/mod.rs", "mod b;\nmod c;\npub(crate) use b::Out as Other;\nuse b::one;\npub fn up() { c::two() }"),
        (
            "a/b.rs",
            "use super::c::{self, Two, three::{Four, five}};\nuse crate::x;\nfn b() { super::up(std::fs::read()) }",
        ),
        ("a/c.rs", "use super::Out;"),
    ]
    .map(|(path, code)| Source::new(path, code))
    .into();
    let modules = Modules::of(&sources);
    let imports = |at: usize| modules.imports(&sources[at]).iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(imports(0), ["a::b::one", "a::c::two"]);
    assert_eq!(imports(1), ["a::c", "a::c::Two", "a::c::three::Four", "a::c::three::five", "a::up", "x"]);
    let home = |path: &str| modules.home(&path.split("::").map(str::to_owned).collect());
    assert_eq!(home("a::Out"), Some(("a/b.rs", "Out".to_owned())));
    assert_eq!(home("a::up"), Some(("a/mod.rs", "up".to_owned())));
    assert_eq!(home("x::y"), None);
}
