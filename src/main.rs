//! The process: reads the command line, and turns how it ended into an exit code. Everything else is `app`'s.

use std::process::ExitCode;

fn main() -> ExitCode {
    cutover_api::app::run(std::env::args_os())
}
