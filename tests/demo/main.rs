//! The demo: a stand-in Gitea, a real git upstream and the service, on loopback, in one command.
//!
//! ```text
//! cargo run --example demo             # shows it all, then stays up for you to try
//! cargo run --example demo -- --once   # shows it all, then ends; fails if anything is not as it should be
//! ```
//!
//! Owns the show and nothing else: what it shows is the service itself, asked over HTTP as anybody would ask it.

mod show;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use show::{say, step, tick, warn};
use stage::Stage;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let once = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--once" => true,
        _ => {
            eprintln!("usage: cargo run --example demo [-- --once]");
            return ExitCode::from(2);
        }
    };
    match run(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            warn(&format!("the demo failed: {failure}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Result<(), Failure> {
    say("cutover-api: a copy of an upstream git repository, kept in your own Gitea, proven ref by ref.\n");
    step("Setting the stage");
    let stage = Stage::set().await?;
    tick(&format!("upstream, a real git server     {}", stage.upstream_url()));
    tick(&format!("a stand-in for Gitea 1.26        {}", stage.gitea_url()));
    tick(&format!("cutover-api                      {}", stage.service_url()));
    let refs = stage.upstream_refs();
    say(&format!("  upstream has 300 commits, {refs} branches and tags; Gitea is empty.\n"));

    step("Cutting over:  POST /cutover/mirror");
    let run = stage.run("created").await?;
    tick(&stage.proof(&run));
    stage.compare_with_git()?;
    tick("`git ls-remote` on both sides says the same\n");

    step("Somebody pushes three commits and a tag upstream; then POST again");
    stage.push();
    let run = stage.run("synced").await?;
    tick(&stage.proof(&run));
    stage.compare_with_git()?;
    tick("`git ls-remote` on both sides says the same\n");

    step("Once more, with nothing to do");
    let run = stage.run("noop").await?;
    tick(&format!("{}; nothing was changed\n", stage.proof(&run)));

    step("Upstream goes bad: it answers 200 with one line of HTML, which makes a pruning mirror delete every branch");
    stage.upstream_goes_bad();
    let run = stage.run_that_fails("upstream-suspect").await?;
    let problem = &run["mirrors"][0]["problem"];
    say(&format!("  detail:  {}", problem["detail"].as_str().unwrap_or_default()));
    say(&format!("  remedy:  {}", problem["remedy"].as_str().unwrap_or_default()));
    stage.upstream_recovers();
    stage.compare_with_git()?;
    tick("no sync was asked for, and Gitea still holds every ref\n");

    step("And it is well again");
    let run = stage.run("noop").await?;
    tick(&format!("{}\n", stage.proof(&run)));

    if once {
        stage.end().await?;
        tick("ended cleanly");
        return Ok(());
    }
    say("Try it yourself (the service stays up until Ctrl-C):\n");
    for line in stage.curl_lines() {
        say(&format!("  {line}"));
    }
    say("");
    tokio::signal::ctrl_c().await?;
    stage.end().await?;
    // lets the terminal show the last line before the prompt
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
