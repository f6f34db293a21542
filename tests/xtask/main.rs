//! The task runner: `cargo xtask` lists the tasks. Each task is one command, which it prints before it runs it.
//!
//! Owns the list of tasks. A task's work is in cargo or in the script that it names, never here.

use std::path::Path;
use std::process::{Command, ExitCode};

/// A task: its name, its command, variables of its environment, and what it does.
struct Task {
    name: &'static str,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    does: &'static str,
}

const fn task(name: &'static str, command: &'static [&'static str], does: &'static str) -> Task {
    Task { name, command, environment: &[], does }
}

const TASKS: [Task; 10] = [
    task("check", &["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], "lints"),
    task("test", &["cargo", "test", "--locked"], "all tests, or those of a filter: cargo xtask test --test it runs::"),
    task("demo", &["cargo", "run", "--locked", "--example", "demo"], "the demo; `-- --once` ends after the last step"),
    task("bench", &["cargo", "bench"], "the benchmarks"),
    task("simulate", &["tests/simulate"], "seeds of the simulation: --seeds 2000, or --seed 232 with its log"),
    task("mutants", &["tests/mutants/run"], "the planted mistakes, all or by name"),
    Task {
        name: "regenerate",
        command: &["cargo", "test", "--locked", "--test", "it", "generated"],
        environment: &[("CUTOVER_BLESS", "1")],
        does: "writes the files that are generated from the code",
    },
    task("chart", &["tests/chart/run"], "the tests of the Helm chart; installs their tools"),
    task("alerts", &["tests/prometheus/run"], "the tests of the alert rules; installs promtool"),
    task("ci", &[".ci/run"], "everything that CI runs"),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        println!("usage: cargo xtask TASK [ARGUMENT…]\n");
        for Task { name, does, command, .. } in TASKS {
            println!("  {name:<12}{does}\n{:14}{}", "", command.join(" "));
        }
        return if name.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let rest: Vec<String> = arguments.collect();
    eprintln!("+ {} {}", task.command.join(" "), rest.join(" "));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(task.command[0]);
    command.args(&task.command[1..]).args(&rest).current_dir(root).envs(task.environment.iter().copied());
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("{}: {error}", task.command[0]);
            ExitCode::FAILURE
        }
    }
}
