//! From a command line to an exit code.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use super::Ended;
use crate::api;
use crate::cli::{self, ClientCommand, Command, Console, ExitStatus};
use crate::config::{self, LogFormat, Options};
use crate::shutdown::Shutdown;
use crate::telemetry::{self, Format};
use crate::transport::HttpTransport;

/// Runs one command line.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            // a closed pipe is no error, and there is no better place to report it
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(ExitStatus::Usage.code()));
        }
    };
    // a value that is no text is judged like any other: left out, it would count as not set
    let variables = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    match command {
        Command::Serve(options) => serve(&options, &variables),
        Command::Client(command) => client(command).into(),
        Command::CheckConfig(options) => cli::check_config(&options, &variables, &mut Console::standard()).into(),
        Command::Openapi => print(api::openapi().as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            cli::completions(shell, &mut script);
            print(&script)
        }
    }
}

/// Prints; a reader that closes the pipe early is no failure.
fn print(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn client(command: ClientCommand) -> ExitStatus {
    let mut console = Console::standard();
    let transport = match HttpTransport::new(None) {
        Ok(transport) => Arc::new(transport),
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "error: {}", trouble.detail);
            return ExitStatus::Unreachable;
        }
    };
    match runtime(1) {
        Ok(runtime) => {
            let exit = runtime.block_on(cli::run(command, transport, &mut console));
            // a name that is still being looked up would be waited for
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: no thread can be started: {error}");
            ExitStatus::Failed
        }
    }
}

fn serve(options: &Options, variables: &dyn Fn(&str) -> Option<String>) -> ExitCode {
    let format = options.log_format.map(|format| match format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    });
    telemetry::init(format, variables("CUTOVER_LOG").as_deref());
    let loaded = match config::load(options, variables) {
        Ok(loaded) => loaded,
        Err(faults) => {
            // for a person and not for the log: it has several lines, and nothing has been started
            let _ = writeln!(io::stderr(), "{faults}");
            return ExitStatus::Usage.into();
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration warning");
    }
    let ended = runtime(2).map(|runtime| {
        let ended = runtime.block_on(super::serve(&loaded.config, Shutdown::new(), |_| {}));
        // a name that is still being looked up would be waited for; what has to be on disk is
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(Ok(Ended::Clean | Ended::Forced)) => ExitCode::SUCCESS,
        Ok(Ok(Ended::Broken)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            tracing::error!(%error, "service not started");
            ExitStatus::Usage.into()
        }
        Err(error) => {
            tracing::error!(%error, "runtime not started");
            ExitCode::FAILURE
        }
    }
}

/// A runtime of so many threads: most work is waiting, and each thread costs memory. Blocking threads come and go as they
/// are needed: a hanging name server holds one for each name that is looked up, and the journal must not wait for those.
fn runtime(threads: usize) -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
