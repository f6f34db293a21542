//! The command line: the commands, and a client of the HTTP API.
//!
//! Owns the output and the exit codes. Knows the service through HTTP only; `serve` and `openapi` are `app`'s.

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
use client::{ApiClient, CommandError};

/// The timeout of a probe: those of Docker and Kubernetes are not much longer.
const PROBE: Duration = Duration::from_secs(3);

/// Parses the command line. `clap::Error` prints itself, also for `--help` and `--version`, and has the exit code: 2, or 0.
///
/// # Errors
/// A usage error, or the text of `--help` or `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    args::Cli::try_parse_from(arguments).map(|cli| cli.command)
}

/// Runs a command that calls a running service.
pub async fn run(command: ClientCommand, transport: Arc<dyn Transport>, console: &mut Console) -> ExitStatus {
    let outcome = match command {
        ClientCommand::Mirror(args) => {
            console.label(args.label.as_deref());
            let exit = match ApiClient::new(&args.service, transport) {
                Ok(client) => mirror::mirror(&args, &client, console).await,
                Err(failure) => finish(Err(failure), console),
            };
            return if args.exit_zero { zero(exit, console) } else { exit };
        }
        ClientCommand::Status(args) => match ApiClient::new(&args.service, transport) {
            Ok(client) => return status::status(&args, &client, console).await,
            Err(failure) => Err(failure),
        },
        ClientCommand::Healthcheck(args) => client::probe(&args.url, PROBE, &*transport).await,
    };
    finish(outcome, console)
}

fn finish(outcome: Result<(), CommandError>, console: &mut Console) -> ExitStatus {
    match outcome {
        Ok(()) => ExitStatus::Proven,
        Err(failure) => {
            console.failure(&failure);
            failure.exit
        }
    }
}

/// `--exit-zero`: the log has the real exit code.
fn zero(exit: ExitStatus, console: &mut Console) -> ExitStatus {
    if exit != ExitStatus::Proven {
        console.note(&format!("The exit code is 0 because of --exit-zero; it would have been {}.", exit.code()));
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

/// Writes the completions for a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) {
    clap_complete::generate(shell, &mut args::Cli::command(), "cutover-api", out);
}
