//! The demo: a stand-in Gitea, a real git upstream and the service, on loopback, in one command.
//!
//! ```text
//! cargo run --example demo             # shows it all, then stays up for you to try
//! cargo run --example demo -- --once   # shows it all, then ends; fails if anything is not as it should be
//! ```
//!
//! Owns the show and nothing else: what it shows is the service itself, asked over HTTP as anybody would ask it, and what
//! it says of itself on its stream of events.

mod events;
mod output;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use output::{say, step, tick, warn};
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
    let mut stage = Stage::set().await?;
    tick(&format!("upstream, a real git server      {}", stage.upstream_url()));
    tick(&format!("a stand-in for Gitea 1.26        {}", stage.gitea_url()));
    tick(&format!("cutover-api                      {}", stage.service_url()));
    let refs = stage.upstream_refs();
    say(&format!("  upstream has 300 commits, {refs} branches and tags; Gitea is empty.\n"));

    step("Cutting over: POST /cutover/mirror, and what GET /events tells");
    let run = stage.asks().await?.ends_as("created").await?;
    tick(&stage::proof(&run));
    stage.compare_with_git()?;
    tick("`git ls-remote` on both sides says the same\n");

    step("Somebody pushes three commits and a tag upstream, whose signed webhook arrives: POST /hooks/openova");
    stage.push();
    let run = stage.is_told_of_a_push().await?.ends_as("synced").await?;
    tick(&stage::proof(&run));
    tick(&format!("{:.1} s after the push, where Gitea by itself takes 10 to 20 minutes", stage::took(&run)?));
    stage.compare_with_git()?;
    tick("`git ls-remote` on both sides says the same\n");

    step("Asked once more, with nothing to do");
    let run = stage.asks().await?.ends_as("noop").await?;
    tick(&format!("{}; nothing was changed\n", stage::proof(&run)));

    step("Upstream goes bad: a well-formed answer without a single ref, for which a mirror deletes every branch");
    let synced_at = stage.gitea_synced_at().await?;
    stage.upstream_goes_bad();
    let run = stage.is_told_of_a_push().await?.fails_with("upstream-suspect").await?;
    let problem = &run["mirrors"][0]["problem"];
    say(&format!("  detail:  {}", problem["detail"].as_str().unwrap_or_default()));
    say(&format!("  remedy:  {}", problem["remedy"].as_str().unwrap_or_default()));
    stage.gitea_polls_by_itself(&synced_at).await?;
    tick("the service asked for no sync; Gitea's own has run, with pruning off as the service left it");
    stage.upstream_recovers();
    stage.compare_with_git()?;
    tick("Gitea still holds every ref\n");

    step("And it is well again");
    let run = stage.asks().await?.ends_as("noop").await?;
    tick(&format!("{}\n", stage::proof(&run)));

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
