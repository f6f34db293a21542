//! `mirror`: asks for a run and follows it.
//!
//! Owns when it is asked again and what the end means for the exit code. The run itself is the service's: giving up
//! here stops nothing there.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::ExitStatus;
use super::args::MirrorArgs;
use super::client::{Client, Failure};
use super::console::{Console, plain, plan_lines, run_lines};
use super::events::{Events, Heard};
use super::progress::Progress;
use super::wire::{self, Run};
use crate::domain::backoff;
use crate::domain::run::Status;

/// The first pause between two looks at a run: a `noop` takes less.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// The longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// How long a service that took the run may be away, as in a restart, before that counts as not reachable.
const RESTART: Duration = Duration::from_secs(10);

pub(super) async fn mirror(args: &MirrorArgs, client: &Client, console: &mut Console) -> ExitStatus {
    let mut asked = None;
    let Some(limit) = args.timeout else { return until_done(args, client, console, &mut asked).await };
    if let Ok(exit) = timeout(limit.get(), until_done(args, client, console, &mut asked)).await {
        return exit;
    }
    let rest = asked.map_or_else(String::new, |id| format!(" Run {} goes on in the service.", plain(&id)));
    console.failure(&Failure::new(ExitStatus::TimedOut, format!("Gave up after {limit}.{rest}")));
    ExitStatus::TimedOut
}

async fn until_done(
    args: &MirrorArgs,
    client: &Client,
    console: &mut Console,
    asked: &mut Option<String>,
) -> ExitStatus {
    let mut key = Uuid::now_v7().to_string();
    let mut tries = 0;
    loop {
        match once(args, client, console, asked, &key).await {
            Ok((value, run)) if args.dry_run => {
                console.result(&if args.json { pretty(&value) } else { plan_lines(&run) });
                return foreseen(&run, args.accept_unverified);
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
                if !(failure.again && args.keep_trying) {
                    return failure.exit;
                }
            }
        }
        tries += 1;
        let pause = backoff::exponential(tries);
        console.note(&format!("Asking again in {:.1} s.", pause.as_secs_f32()));
        sleep(pause).await;
    }
}

/// Asks for a run and, with `--wait`, follows it to its end.
async fn once(
    args: &MirrorArgs,
    client: &Client,
    console: &mut Console,
    asked: &mut Option<String>,
    key: &str,
) -> Result<(Value, Run), Failure> {
    let value = client.mirror(args, key).await?;
    let run = read(&value, args.dry_run)?;
    asked.clone_from(&run.id);
    if args.wait && !args.dry_run { follow(args, client, console, value, run).await } else { Ok((value, run)) }
}

async fn follow(
    args: &MirrorArgs,
    client: &Client,
    console: &mut Console,
    mut value: Value,
    mut run: Run,
) -> Result<(Value, Run), Failure> {
    let id = run.id.clone().unwrap_or_default();
    let mut progress = Progress::begin(&id, console.interactive);
    let mut pause = FIRST_LOOK;
    let mut last_answer = Instant::now();
    let mut told = Told::default();
    progress.show(&run, console);
    if !run.has_ended() {
        told.open(client, &id).await;
    }
    while !run.has_ended() {
        if told.next(&mut value, &mut run).await {
            last_answer = Instant::now();
            progress.show(&run, console);
            continue;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_LOOK);
        match client.run(&id).await.and_then(|value| read(&value, false).map(|run| (value, run))) {
            Ok(now) => {
                (value, run) = now;
                last_answer = Instant::now();
                progress.show(&run, console);
                if told.once && !run.has_ended() {
                    told.open(client, &id).await;
                }
            }
            Err(failure) if failure.again && (args.keep_trying || last_answer.elapsed() < RESTART) => {
                progress.waiting(&failure.what, console);
            }
            // the journal was lost with a run that was accepted: asking anew is right
            Err(failure) if is_unknown(&failure) => {
                return Err(Failure { exit: ExitStatus::Failed, again: true, ..failure });
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((value, run))
}

/// What the service tells of the run by itself.
#[derive(Default)]
struct Told {
    stream: Option<Events>,
    /// Whether there ever was a stream: an older service has none.
    once: bool,
    seen: Option<String>,
}

impl Told {
    async fn open(&mut self, client: &Client, id: &str) {
        self.stream = client.events(&format!("/cutover/runs/{id}/events"), self.seen.as_deref()).await;
        self.once |= self.stream.is_some();
    }

    /// Puts the next event into our copy of the run; `false`: nothing is told, and the run has to be asked for.
    async fn next(&mut self, value: &mut Value, run: &mut Run) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let Some(heard) = stream.next().await else {
            self.stream = None;
            return false;
        };
        let Heard::Event(event) = heard else { return true };
        self.seen = event.id.or_else(|| self.seen.take());
        let mut data = event.data;
        match event.kind.as_str() {
            "snapshot" | "run-ended" => {
                let whole = data["run"].take();
                if let Ok(now) = read(&whole, false) {
                    (*value, *run) = (whole, now);
                }
            }
            "phase" | "mirror-ended" => run.put(&data["mirror"]),
            _ => {}
        }
        true
    }
}

fn is_unknown(failure: &Failure) -> bool {
    failure.problem.as_ref().is_some_and(|problem| problem.error == "not-found")
}

/// A run out of an answer, or what would become of one. One that another program gives is neither; and an older service
/// that did what it was only to show must not pass for one that showed it.
fn read(value: &Value, dry: bool) -> Result<Run, Failure> {
    let plain_id = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let fits = |run: &Run| run.is_dry == dry && run.id.as_deref().map_or(dry, plain_id) && !run.status.is_empty();
    wire::read(value).filter(fits).ok_or_else(|| {
        let what = "What answers is not this service: there is no run in its answer; check --url (CUTOVER_URL).";
        Failure::new(ExitStatus::Unreachable, what).passing()
    })
}

/// A plan that would fail is not a good one; one that waits for somebody else's work is.
fn foreseen(run: &Run, accept_unverified: bool) -> ExitStatus {
    match run.status() {
        Some(Status::Queued | Status::Running) => ExitStatus::Proven,
        Some(Status::Succeeded | Status::Unverified | Status::Failed | Status::Canceled) | None => {
            verdict(run, accept_unverified)
        }
    }
}

fn verdict(run: &Run, accept_unverified: bool) -> ExitStatus {
    match run.status() {
        Some(Status::Succeeded) => ExitStatus::Proven,
        Some(Status::Unverified) if accept_unverified => ExitStatus::Proven,
        Some(Status::Unverified) => ExitStatus::Unverified,
        Some(Status::Failed | Status::Canceled | Status::Queued | Status::Running) | None => ExitStatus::Failed,
    }
}

fn accepted(run: &Run) -> String {
    let names: Vec<String> = run.mirrors.iter().map(|part| plain(&part.name)).collect();
    let joined = if run.coalesced { "joined" } else { "accepted" };
    format!("Run {} {joined}: {}. `--wait` follows it.", run.id.as_deref().unwrap_or("?"), names.join(", "))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
