//! Files that are generated from the code: each is compared, and the failure says how to write it again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cutover_api::domain::problem::Code;

fn compare(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("CUTOVER_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{file} is not what the code says; run: CUTOVER_BLESS=1 cargo test --test it generated");
}

#[test]
fn the_openapi_specification_is_what_the_handlers_say() {
    compare("openapi/cutover-api.json", &cutover_api::api::openapi());
}

#[test]
fn the_table_of_metrics_is_what_is_registered() {
    compare("docs/metrics.md", &cutover_api::metrics::table());
}

#[test]
fn every_problem_has_its_page_and_no_page_is_of_none() {
    for code in Code::ALL {
        compare(&format!("docs/problems/{code}.md"), &cutover_api::api::problem_page(*code));
    }
    let rows = Code::ALL.iter().map(|code| {
        let again = if code.retryable() { "yes" } else { "no" };
        format!("| [`{code}`]({code}.md) | {} | {again} | {} |\n", code.status(), code.title())
    });
    let index = String::from(
        "# Problems\n\nEvery error of the service, and every failure of a run, by its `error`. The service itself answers \
         with the same pages under `/problems/{code}`, which is the `type` of a problem.\n\n\
         | `error` | HTTP status | can asking again help | title |\n|---|---|---|---|\n",
    );
    compare("docs/problems/README.md", &rows.fold(index, |index, row| index + &row));
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/problems")).unwrap();
    let mut names: BTreeSet<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    names.remove("README.md");
    let codes = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(names, codes);
}

#[test]
fn the_specification_lists_exactly_the_codes_of_the_table() {
    let specification: serde_json::Value = serde_json::from_str(&cutover_api::api::openapi()).unwrap();
    let listed = &specification["components"]["schemas"]["ProblemCode"]["enum"];
    assert_eq!(*listed, serde_json::to_value(Code::ALL).unwrap());
    // and every example of a problem is what its row of the table says
    let mut seen = 0;
    for response in specification["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .flat_map(|operation| operation["responses"].as_object().unwrap().values())
    {
        let Some(examples) = response["content"]["application/problem+json"]["examples"].as_object() else { continue };
        for (label, example) in examples {
            let code = Code::ALL.iter().find(|code| code.label() == label).unwrap();
            let value = &example["value"];
            assert_eq!(value["remedy"], code.remedy());
            assert_eq!((&value["title"], &value["status"]), (&code.title().into(), &code.status().into()));
            assert_eq!(
                (&value["retryable"], &value["type"]),
                (&code.retryable().into(), &format!("/problems/{code}").into())
            );
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

/// The targets of a page's relative links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
}

/// Every page that a person reads: those at the top, and all that stand below `docs` and `chart`.
fn pages(folder: &Path, below: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && below {
            found.extend(pages(&path, true));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_link_of_a_page_leads_to_something_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = [pages(root, false), pages(&root.join("docs"), true), pages(&root.join("chart"), true)].concat();
    assert!(all.len() > 10, "{all:?}");
    let mut wrong = Vec::new();
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !page.with_file_name("").join(file).exists() {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
