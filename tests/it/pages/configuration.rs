//! The tables of the page about the configuration, held to the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::Args as _;
use cutover_api::config::{self, Options};
use tempfile::TempDir;

use super::{code, read};

/// The rows of the table under a heading of the configuration's page, each a list of cells, the head among them.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = read("docs/configure.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows =
        section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_page_of_the_configuration_has_every_flag_with_its_variable_and_its_default() {
    let command = Options::augment_args(clap::Command::new("serve"));
    let wanted: BTreeSet<_> = command
        .get_arguments()
        .map(|argument| {
            let flag = format!("--{}", argument.get_long().unwrap());
            let variable = argument.get_env().map(|name| name.to_str().unwrap().to_owned());
            let default = argument.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
            (flag, variable, default.filter(|default| default != "false"))
        })
        .collect();
    let first = |cell: &str| code(cell).first().map(ToString::to_string);
    let documented: BTreeSet<_> = rows("Flags")
        .into_iter()
        .filter(|row| row[0].starts_with('`'))
        .map(|row| (first(&row[0]).unwrap(), first(&row[1]), first(&row[2])))
        .collect();
    assert_eq!(documented, wanted);
}

#[test]
fn the_page_of_the_configuration_has_every_variable() {
    let source = read("src/config/environment.rs");
    let list = source.split_once("const ALL").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
    let wanted: BTreeSet<_> = list.split('"').skip(1).step_by(2).collect();
    assert!(wanted.len() > 10, "{wanted:?}");
    let table = rows("Environment variables");
    let documented: BTreeSet<_> = table.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(documented, wanted);
}

/// The keys that a configuration file may have: found by writing a text under each and reading what is said about that.
fn keys() -> BTreeSet<String> {
    let folder = TempDir::with_prefix("cutover-keys-").unwrap();
    let mut keys = BTreeSet::new();
    let mut sections = vec![String::new()];
    while let Some(section) = sections.pop() {
        for key in faults(&folder, &section, "zzzzzzzz").1 {
            let path = if section.is_empty() { key } else { format!("{section}.{key}") };
            let said = faults(&folder, &path, "").0;
            if said.iter().any(|what| what.starts_with("write a mapping")) {
                sections.push(path);
            } else if said.iter().any(|what| what == "write a list") && path == "mirrors" {
                sections.push("mirrors[]".into());
            } else {
                keys.insert(path);
            }
        }
    }
    keys
}

/// What is said about a text under a path of the file (or under an unknown key in it), and the keys that this
/// names as possible.
fn faults(folder: &TempDir, path: &str, unknown: &str) -> (Vec<String>, Vec<String>) {
    let mut document = if unknown.is_empty() { String::from("zzzz") } else { format!("{{ {unknown}: zzzz }}") };
    for key in path.split('.').rev().filter(|key| !key.is_empty()) {
        document = match key.strip_suffix("[]") {
            Some(list) => format!("{{ {list}: [{document}] }}"),
            None => format!("{{ {key}: {document} }}"),
        };
    }
    let file: PathBuf = folder.path().join("cutover.yaml");
    fs::write(&file, document).unwrap();
    let options = Options { config: Some(file), ..Options::default() };
    let faults = match config::load(&options, &|_| None) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.faults,
    };
    let place = |path: &str| path.replace("[]", "[0]");
    let here = |found: &str| {
        let found = found.split(" (line").next().unwrap();
        if unknown.is_empty() { found == place(path) } else { found.ends_with(unknown) }
    };
    let said: Vec<_> =
        faults.iter().filter(|fault| here(&fault.location.to_string())).map(|fault| fault.what.clone()).collect();
    let lists = said.iter().filter_map(|what| what.split_once("the keys here are "));
    let keys = lists.flat_map(|(_, keys)| keys.split(", ").map(str::to_owned)).collect();
    (said, keys)
}

#[test]
fn the_page_of_the_configuration_has_every_key_of_the_file_and_no_other() {
    let keys = keys();
    assert!(keys.len() > 20, "{keys:?}");
    let wanted: BTreeSet<_> = keys.iter().map(String::as_str).collect();
    let table = rows("Configuration file");
    let documented: BTreeSet<_> = table.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(documented, wanted);
}
