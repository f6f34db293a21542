//! The walks through the API in `docs/api.md` and `docs/webhooks.md`: every command of them is run, and what they show of
//! the output is demanded.

use std::process::Command;

use tempfile::TempDir;

use crate::hooks::SECRET;
use crate::http::stage::{OPERATOR, Setting, Stage};

/// A block of commands, and the lines that its output is shown to have.
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) commands: String,
    pub(crate) shown: Vec<String>,
}

/// The blocks marked `sh`, each with the block that follows it, if that is not commands as well.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut after_commands = false;
    while let Some((index, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            after_commands = false;
            continue;
        };
        let block: Vec<_> = lines.by_ref().map(|(_, line)| line.to_owned()).take_while(|line| line != "```").collect();
        if kind == "sh" {
            steps.push(Step { line: index + 1, commands: block.join("\n"), shown: Vec::new() });
        } else if after_commands {
            steps.last_mut().unwrap().shown = block;
        }
        after_commands = kind == "sh";
    }
    steps
}

/// Where the output goes on after a line that is shown of it; `…` is anything within a line.
pub(crate) fn find(shown: &str, output: &str) -> Option<usize> {
    let mut base = 0;
    for line in output.split_inclusive('\n') {
        let mut at = 0;
        let found = shown.split('…').all(|part| {
            let place = line[at..].find(part);
            at += place.unwrap_or_default() + part.len();
            place.is_some()
        });
        if found {
            return Some(base + at);
        }
        base += line.len();
    }
    None
}

/// Runs every command of a page against a stage.
fn walk(page: &str, stage: &Stage, least: usize) {
    let text = std::fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (steps, folder) = (steps(&text), TempDir::with_prefix("cutover-walk-").unwrap());
    assert!(steps.len() >= least, "{page}: {}", steps.len());
    for step in steps {
        let done = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &step.commands])
            .current_dir(folder.path())
            .env("URL", format!("http://{}", stage.address))
            .env("TOKEN", OPERATOR)
            .env("SECRET", SECRET)
            .output()
            .unwrap();
        let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{page}:{}: {}\n{output}{errors}", step.line, done.status);
        assert!(!step.shown.is_empty(), "{page}:{}: shows nothing of its output", step.line);
        let mut rest = &*output;
        for shown in &step.shown {
            let end = find(shown, rest);
            let end = end.unwrap_or_else(|| panic!("{page}:{}: {shown}\nis not in\n{rest}", step.line));
            rest = &rest[end..];
        }
    }
}

#[test]
fn every_command_of_the_walk_through_works_and_shows_what_the_page_shows() {
    walk("docs/api.md", &Stage::set(Setting::default()), 11);
}

#[test]
fn every_command_of_the_page_about_webhooks_works_and_shows_what_the_page_shows() {
    let folder = TempDir::with_prefix("cutover-hook-").unwrap();
    let secret = folder.path().join("webhook");
    std::fs::write(&secret, SECRET).unwrap();
    // the mirror's own lines go on where the stage's end
    let yaml = format!("    webhook: {{ secretFiles: [{}] }}\n", secret.display());
    walk("docs/webhooks.md", &Stage::set(Setting { yaml: &yaml, ..Setting::default() }), 2);
}

#[test]
fn what_is_shown_is_looked_for_in_order_and_within_a_line() {
    assert_eq!(find("a…c", "x\nabc d"), Some(5));
    assert_eq!(find("a…c", "a\nc"), None);
    assert_eq!(find("", "a"), Some(0));
    let page = "```text\nno\n```\n\n```sh\nls\n```\n```text\nx\ny\n```\ntext\n```sh\npwd\n```\n\n```text\nno\n```\n";
    let found: Vec<_> = steps(page).into_iter().map(|step| (step.line, step.commands, step.shown.len())).collect();
    assert_eq!(found, [(5, "ls".to_owned(), 2), (13, "pwd".to_owned(), 0)]);
}
