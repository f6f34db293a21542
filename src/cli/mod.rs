//! The command line: what people and pipelines type, and a client of the service's own HTTP API.
//!
//! Owns the commands, their output and their exit codes. Knows the service through HTTP only, as every other client
//! does; `serve`, `openapi` and the process's end are `main`'s.

mod args;
mod client;
mod console;
mod events;
mod exit;
mod mirror;
mod progress;
mod status;
mod wire;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

pub use args::{ClientCommand, Command, HealthcheckArgs, MirrorArgs, ServiceArgs, StatusArgs};
pub use clap_complete::Shell;
pub use console::Console;
pub use exit::ExitStatus;

use crate::config::{self, Options};
use crate::transport::Transport;
use client::{Client, Failure};

/// How long a probe may take: Docker's and Kubernetes' own patience is not much longer.
const PROBE: Duration = Duration::from_secs(3);

/// Reads the command line. On an error, and for `--help` and `--version`, `clap::Error::print` says what is to be said
/// and `clap::Error::exit_code` is the exit code: 2, or 0.
///
/// # Errors
/// What clap found wrong, or what it was asked to print.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    args::Cli::try_parse_from(arguments).map(|cli| cli.command)
}

/// Carries out a command that asks a running service.
pub async fn run(command: ClientCommand, transport: Arc<dyn Transport>, console: &mut Console) -> ExitStatus {
    let outcome = match command {
        ClientCommand::Mirror(args) => {
            console.label(args.label.as_deref());
            let exit = match Client::new(&args.service, transport) {
                Ok(client) => mirror::mirror(&args, &client, console).await,
                Err(failure) => finish(Err(failure), console),
            };
            return if args.exit_zero { zero(exit, console) } else { exit };
        }
        ClientCommand::Status(args) => match Client::new(&args.service, transport) {
            Ok(client) => return status::status(&args, &client, console).await,
            Err(failure) => Err(failure),
        },
        ClientCommand::Healthcheck(args) => client::probe(&args.url, PROBE, &*transport).await,
    };
    finish(outcome, console)
}

fn finish(outcome: Result<(), Failure>, console: &mut Console) -> ExitStatus {
    match outcome {
        Ok(()) => ExitStatus::Proven,
        Err(failure) => {
            console.failure(&failure);
            failure.exit
        }
    }
}

/// `--exit-zero`: whoever reads the log learns what the exit code does not say.
fn zero(exit: ExitStatus, console: &mut Console) -> ExitStatus {
    if exit != ExitStatus::Proven {
        console.note(&format!("The exit code is 0 for --exit-zero; it would have been {}.", exit.code()));
    }
    ExitStatus::Proven
}

/// Prints the effective configuration, or its faults.
pub fn check_config(
    options: &Options,
    variables: &dyn Fn(&str) -> Option<String>,
    console: &mut Console,
) -> ExitStatus {
    let (exit, warnings) = match config::load(options, variables) {
        Ok(loaded) => {
            let [mirrors, warnings] = [(loaded.config.mirrors.len(), "mirror"), (loaded.warnings.len(), "warning")]
                .map(|(count, singular)| console::count_of(count as u64, singular));
            let valid = format!("valid: {mirrors}, {warnings}");
            console.result(&format!("{}\n{valid}", config::describe(&loaded.config)));
            (ExitStatus::Proven, loaded.warnings)
        }
        Err(faults) => {
            console.note(&format!("{BAD}✗{BAD:#} {faults}", BAD = console::BAD));
            (ExitStatus::Usage, faults.warnings)
        }
    };
    for warning in warnings {
        console.note(&format!("{DOUBT}!{DOUBT:#} {warning}", DOUBT = console::DOUBT));
    }
    exit
}

/// Carries out `completions`.
pub fn completions(shell: Shell, out: &mut dyn Write) {
    clap_complete::generate(shell, &mut args::Cli::command(), "cutover-api", out);
}
