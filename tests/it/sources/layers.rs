//! Holds the sources to the layer table in `src/lib.rs`. Reads files; runs nothing of ours.

mod circles;
mod type_names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::paths::Modules;
use super::{is_a_test_file, root, rust_files, sources};

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

#[test]
fn every_module_imports_only_what_the_layer_table_allows() {
    let table = table();
    assert!(table.len() >= 10, "the table in src/lib.rs was not found");
    let (mut wrong, sources) = (Vec::new(), sources());
    let modules = Modules::of(&sources);
    for file in sources.iter().filter(|file| !matches!(file.module(), "lib" | "main")) {
        let Some(may) = table.get(file.module()) else {
            wrong.push(format!("{}: its module is not in the table", file.path));
            continue;
        };
        let Some(may) = may else { continue };
        for import in modules.imports(file).into_iter().filter_map(|path| path.into_iter().next()) {
            if import != file.module() && table.contains_key(&import) && !may.contains(&import) {
                wrong.push(format!("{}: may not import `{import}`", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (name, may) in OUTSIDE {
            if file.code.contains(&format!("{name}::")) && !may.contains(&file.module()) {
                wrong.push(format!("{}: names the crate {name}", file.path));
            }
        }
        if file.module() == "domain" {
            let named = IMPURE.iter().filter(|name| file.code.contains(*name));
            wrong.extend(named.map(|name| format!("{}: names {name}", file.path)));
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
fn the_layer_table_is_read() {
    assert_eq!(table()["domain"], Some(BTreeSet::new()));
    assert_eq!(table()["app"], None);
}
