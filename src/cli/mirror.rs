//! `mirror`: starts a run and follows it.
//!
//! Owns when to retry, and the exit code. The run itself is the service's: a command that gives up does not cancel it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::ExitStatus;
use super::args::MirrorArgs;
use super::client::{ApiClient, CommandError};
use super::console::{Console, plain, plan_lines, run_lines};
use super::events::{EventStream, StreamItem};
use super::progress::Progress;
use super::wire::{self, RunView};
use crate::domain::backoff;
use crate::domain::run::Status;

/// The first pause between two polls of a run: a `noop` takes less.
const FIRST_POLL: Duration = Duration::from_millis(250);

/// The longest pause between two polls.
const LAST_POLL: Duration = Duration::from_secs(2);

/// How long the service may be unreachable while a run is followed: a restart takes less.
const RESTART: Duration = Duration::from_secs(10);

pub(super) async fn mirror(args: &MirrorArgs, client: &ApiClient, console: &mut Console) -> ExitStatus {
    let mut asked = None;
    let Some(limit) = args.timeout else { return until_done(args, client, console, &mut asked).await };
    if let Ok(exit) = timeout(limit.get(), until_done(args, client, console, &mut asked)).await {
        return exit;
    }
    let rest = asked.map_or_else(String::new, |id| format!(" Run {} continues in the service.", plain(&id)));
    console.failure(&CommandError::new(ExitStatus::TimedOut, format!("Gave up after {limit}.{rest}")));
    ExitStatus::TimedOut
}

async fn until_done(
    args: &MirrorArgs,
    client: &ApiClient,
    console: &mut Console,
    asked: &mut Option<String>,
) -> ExitStatus {
    let mut key = Uuid::now_v7().to_string();
    let mut tries = 0;
    loop {
        match once(args, client, console, asked, &key).await {
            Ok((value, run)) if args.dry_run => {
                console.result(&if args.json { pretty(&value) } else { plan_lines(&run) });
                return dry_run_verdict(&run, args.accept_unverified);
            }
            Ok((value, run)) if args.wait => {
                let exit = verdict(&run, args.accept_unverified);
                if exit != ExitStatus::Proven && args.keep_trying && run.may_succeed_later() {
                    // the same key would bring back the same run
                    key = Uuid::now_v7().to_string();
                    console.note(&run_lines(&run));
                } else {
                    console.result(&if args.json { pretty(&value) } else { run_lines(&run) });
                    return exit;
                }
            }
            Ok((value, run)) => {
                console.result(&if args.json { pretty(&value) } else { accepted(&run) });
                return ExitStatus::Proven;
            }
            Err(failure) => {
                console.failure(&failure);
                if !(failure.retryable && args.keep_trying) {
                    return failure.exit;
                }
            }
        }
        tries += 1;
        let pause = backoff::exponential(tries);
        console.note(&format!("Retrying in {:.1} s.", pause.as_secs_f32()));
        sleep(pause).await;
    }
}

/// Starts a run and, with `--wait`, follows it to its end.
async fn once(
    args: &MirrorArgs,
    client: &ApiClient,
    console: &mut Console,
    asked: &mut Option<String>,
    key: &str,
) -> Result<(Value, RunView), CommandError> {
    let value = client.mirror(args, key).await?;
    let run = read(&value, args.dry_run)?;
    asked.clone_from(&run.id);
    if args.wait && !args.dry_run { follow(args, client, console, value, run).await } else { Ok((value, run)) }
}

async fn follow(
    args: &MirrorArgs,
    client: &ApiClient,
    console: &mut Console,
    mut value: Value,
    mut run: RunView,
) -> Result<(Value, RunView), CommandError> {
    let id = run.id.clone().unwrap_or_default();
    let mut progress = Progress::begin(&id, console.interactive);
    let mut pause = FIRST_POLL;
    let mut last_answer = Instant::now();
    let mut events = RunEvents::default();
    progress.show(&run, console);
    if !run.has_ended() {
        events.open(client, &id).await;
    }
    while !run.has_ended() {
        if events.next(&mut value, &mut run).await {
            last_answer = Instant::now();
            progress.show(&run, console);
            continue;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_POLL);
        match client.run(&id).await.and_then(|value| read(&value, false).map(|run| (value, run))) {
            Ok(now) => {
                (value, run) = now;
                last_answer = Instant::now();
                progress.show(&run, console);
                if events.supported && !run.has_ended() {
                    events.open(client, &id).await;
                }
            }
            Err(failure) if failure.retryable && (args.keep_trying || last_answer.elapsed() < RESTART) => {
                progress.waiting(&failure.what, console);
            }
            // the journal was lost with the accepted run: starting another one is right
            Err(failure) if is_unknown(&failure) => {
                return Err(CommandError { exit: ExitStatus::Failed, retryable: true, ..failure });
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((value, run))
}

/// The event stream of a run.
#[derive(Default)]
struct RunEvents {
    stream: Option<EventStream>,
    /// Whether a stream could be opened before: an older service has none.
    supported: bool,
    last_id: Option<String>,
}

impl RunEvents {
    async fn open(&mut self, client: &ApiClient, id: &str) {
        self.stream = client.events(&format!("/cutover/runs/{id}/events"), self.last_id.as_deref()).await;
        self.supported |= self.stream.is_some();
    }

    /// Updates the run from the next event; `false`: there is no stream, and the run has to be polled.
    async fn next(&mut self, value: &mut Value, run: &mut RunView) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let Some(item) = stream.next().await else {
            self.stream = None;
            return false;
        };
        let StreamItem::Event(event) = item else { return true };
        self.last_id = event.id.or_else(|| self.last_id.take());
        let mut data = event.data;
        match event.kind.as_str() {
            "snapshot" | "run-ended" => {
                let whole = data["run"].take();
                if let Ok(now) = read(&whole, false) {
                    (*value, *run) = (whole, now);
                }
            }
            "phase" | "mirror-ended" => run.update(&data["mirror"]),
            _ => {}
        }
        true
    }
}

fn is_unknown(failure: &CommandError) -> bool {
    failure.problem.as_ref().is_some_and(|problem| problem.error == "not-found")
}

/// Reads a run, or a dry run, from an answer. An answer of another program is refused, and so is a run of an older service
/// that does not know dry runs.
fn read(value: &Value, dry: bool) -> Result<RunView, CommandError> {
    let plain_id = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let fits = |run: &RunView| run.is_dry == dry && run.id.as_deref().map_or(dry, plain_id) && !run.status.is_empty();
    wire::read(value).filter(fits).ok_or_else(|| {
        let what = "Unexpected response without a run: not a cutover-api server? Check --url (CUTOVER_URL).";
        CommandError::new(ExitStatus::Unreachable, what).retryable()
    })
}

/// The exit code of a dry run. One that would wait for work in flight counts as proven.
fn dry_run_verdict(run: &RunView, accept_unverified: bool) -> ExitStatus {
    match run.status() {
        Some(Status::Queued | Status::Running) => ExitStatus::Proven,
        Some(Status::Succeeded | Status::Unverified | Status::Failed | Status::Canceled) | None => {
            verdict(run, accept_unverified)
        }
    }
}

fn verdict(run: &RunView, accept_unverified: bool) -> ExitStatus {
    match run.status() {
        Some(Status::Succeeded) => ExitStatus::Proven,
        Some(Status::Unverified) if accept_unverified => ExitStatus::Proven,
        Some(Status::Unverified) => ExitStatus::Unverified,
        Some(Status::Failed | Status::Canceled | Status::Queued | Status::Running) | None => ExitStatus::Failed,
    }
}

fn accepted(run: &RunView) -> String {
    let names: Vec<String> = run.mirrors.iter().map(|part| plain(&part.name)).collect();
    let joined = if run.coalesced { "joined" } else { "accepted" };
    format!("Run {} {joined}: {}. `--wait` follows it.", run.id.as_deref().unwrap_or("?"), names.join(", "))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
