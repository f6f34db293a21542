//! Serves the service with a stand-in Gitea and a real git upstream on loopback, and runs a command beside them.
//!
//! ```text
//! cargo run --example served -- COMMAND [ARGUMENT…]
//! ```
//!
//! The command finds the service in `$URL`, an operator's token in `$TOKEN`, and the id of a run in `$RUN`; how it ends
//! is how this ends. Without a command, a line says where they are, until Ctrl-C.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has nothing to say but where")]
#![expect(dead_code, reason = "the stage is that of the tests, and not all of it is used here")]

#[path = "../it/http/stage.rs"]
mod stage;

use std::process::{Command, ExitCode};

use stage::{OPERATOR, Setting, Stage};

fn main() -> ExitCode {
    let stage = Stage::set(Setting::default());
    let url = format!("http://{}", stage.address);
    let run = stage.ask("POST", "/cutover/mirror", "", "").header("location").unwrap().to_owned();
    stage.end_of(&run);
    let run = run.rsplit('/').next().unwrap();
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        println!("URL={url} TOKEN={OPERATOR} RUN={run}");
        loop {
            std::thread::park();
        }
    };
    let command = Command::new(program).args(arguments).env("URL", url).env("TOKEN", OPERATOR).env("RUN", run).status();
    match command {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("the command did not start: {error}");
            ExitCode::FAILURE
        }
    }
}
