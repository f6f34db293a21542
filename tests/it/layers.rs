//! Holds the sources to the layer table in `src/lib.rs`. Reads files; runs nothing of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that only some modules may name, with who may.
const OUTSIDE: [(&str, &[&str]); 9] = [
    ("reqwest", &["transport"]),
    ("rustls", &["transport"]),
    ("rusqlite", &["journal"]),
    ("axum", &["api", "app"]),
    ("hyper", &["app"]),
    ("utoipa", &["api"]),
    ("prometheus", &["metrics"]),
    ("clap", &["cli", "config", "app", "main"]),
    ("tracing_subscriber", &["telemetry"]),
];

/// What a pure module never names.
const IMPURE: [&str; 8] = ["tokio", "axum", "reqwest", "std::fs", "std::net", "std::process", "SystemTime", "Instant"];

/// The most lines that a source file has without a reason in its head.
const LONGEST: usize = 400;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                found.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module of ours that a file below `src` belongs to.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// A file's code: without comments, and without its unit tests, which may use whatever they test with. A `mod tests;` is
/// only its declaration; a `mod tests {` is the last item of its file.
fn code_of(text: &str) -> String {
    let mut code = Vec::new();
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
            code.push(line.split("//").next().unwrap_or_default());
        }
    }
    code.join("\n")
}

fn is_a_test_file(path: &Path) -> bool {
    let named = |part: &str| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs");
    path.strip_prefix(root()).unwrap().components().any(|part| part.as_os_str().to_str().is_some_and(named))
}

/// module → the modules that it may import, from the table in `src/lib.rs`; `None`: everything.
fn table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| {
        let mut cells = row.split('|');
        let module = cells.next().unwrap().trim().trim_end_matches('`').to_owned();
        let may = cells.next().unwrap().trim();
        let may = match may {
            "everything" => None,
            "nothing" => Some(BTreeSet::new()),
            names => Some(names.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()),
        };
        (module, may)
    })
    .collect()
}

/// Modules of ours that a piece of code names, by `crate::…`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            // `use crate::{a::…, b}`
            let inside = after.trim_start_matches('{').split(['}', ';']).next().unwrap_or_default();
            found.extend(inside.split(',').filter_map(|part| Some(part.trim().split("::").next()?.to_owned())));
        } else {
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_the_layer_table_allows() {
    let table = table();
    assert!(table.len() >= 10, "the table in src/lib.rs was not found");
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")).iter().filter(|path| !is_a_test_file(path)) {
        let module = module_of(path);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some(may) = table.get(&module) else {
            wrong.push(format!("{}: the module `{module}` is not in the table", path.display()));
            continue;
        };
        let Some(may) = may else { continue };
        for import in imports(&code_of(&fs::read_to_string(path).unwrap())) {
            if import != module && table.contains_key(&import) && !may.contains(&import) {
                wrong.push(format!("{}: `{module}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")).iter().filter(|path| !is_a_test_file(path)) {
        let (module, code) = (module_of(path), code_of(&fs::read_to_string(path).unwrap()));
        for (name, may) in OUTSIDE {
            if code.contains(&format!("{name}::")) && !may.contains(&module.as_str()) {
                wrong.push(format!("{}: names the crate {name}", path.display()));
            }
        }
        if module == "domain" {
            wrong.extend(
                IMPURE
                    .iter()
                    .filter(|name| code.contains(*name))
                    .map(|name| format!("{}: names {name}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_source_file_opens_with_what_it_is_for_and_stays_readable() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests"] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            if !text.starts_with("//!") && !is_a_test_file(&path) {
                wrong.push(format!("{}: says nothing about itself", path.display()));
            }
            let lines = text.lines().count();
            let head = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
            if lines > LONGEST && !head.contains("in one file") {
                wrong.push(format!(
                    "{}: {lines} lines, and its head does not say why it is in one file",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_layer_test_itself_sees_what_it_looks_for() {
    assert_eq!(imports("use crate::domain::run::Run; crate::api::x()"), ["api", "domain"].map(String::from).into());
    assert!(imports("use crate::{engine::Engine, metrics};").contains("metrics"));
    let file = "#[cfg(test)]\nmod tests;\nfn a() {} // so\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
    assert_eq!(code_of(file), "fn a() {} ");
    assert_eq!(table()["domain"], Some(BTreeSet::new()));
    assert_eq!(table()["app"], None);
}
