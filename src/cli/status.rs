//! `status`: what the service says of its mirrors, for a person.
//!
//! Owns the layout. Concludes nothing: freshness is the service's word.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::ExitStatus;
use super::args::StatusArgs;
use super::client::{Client, Failure};
use super::console::{BAD, Console, DIM, DOUBT, GOOD, STRONG, append, count_of, plain, problem_lines, short};
use super::events::{AGAIN, Events, Heard};
use super::wire::{self, Freshness, Mirror, Side, Status};
use crate::domain::run::Phase;

/// How often a watched status is asked for where the service tells no events.
const EVERY: Duration = AGAIN;

/// How long events are gathered before the status is asked for: they come in bursts.
const GATHER: Duration = Duration::from_millis(250);

/// How often a stream is looked for where there was none.
const LOOK_FOR_STREAM: Duration = Duration::from_secs(30);

/// Moves to the top left corner and clears the screen.
const REPAINT: &str = "\u{1b}[H\u{1b}[2J";

pub(super) async fn status(args: &StatusArgs, client: &Client, console: &mut Console) -> ExitStatus {
    let (mut shown, mut news) = (None, News::default());
    loop {
        let text = match client.status(args.name.as_ref()).await {
            Ok(value) => Ok(render(&value, args)),
            Err(failure) if args.watch && failure.again => Err(failure),
            Err(failure) => {
                console.failure(&failure);
                return failure.exit;
            }
        };
        match text {
            Ok(Some(text)) => {
                if shown.as_ref() != Some(&text) {
                    let repaint = if args.watch && console.interactive && !args.json { REPAINT } else { "" };
                    console.result(&format!("{repaint}{text}"));
                    shown = Some(text);
                }
            }
            Ok(None) => {
                let what = "What answers is not this service; check --url (CUTOVER_URL).";
                console.failure(&Failure::new(ExitStatus::Unreachable, what));
                return ExitStatus::Unreachable;
            }
            Err(failure) => {
                console.failure(&failure);
                shown = None;
            }
        }
        if !args.watch {
            return ExitStatus::Proven;
        }
        news.wait(client).await;
    }
}

/// Tells when to look again.
#[derive(Default)]
struct News {
    stream: Option<Events>,
    /// When there was none.
    sought: Option<Instant>,
    seen: Option<String>,
}

impl News {
    /// Waits until something may have changed: an event, a sign of life (what is fresh grows old), or some time.
    async fn wait(&mut self, client: &Client) {
        if self.stream.is_none() && self.sought.is_none_or(|at| at.elapsed() >= LOOK_FOR_STREAM) {
            self.stream = client.events("/events", self.seen.as_deref()).await;
            self.sought = self.stream.is_none().then(Instant::now);
        }
        if !self.next().await {
            sleep(EVERY).await;
            return;
        }
        let until = Instant::now() + GATHER;
        while timeout(until.saturating_duration_since(Instant::now()), self.next()).await == Ok(true) {}
    }

    /// Whether something has come.
    async fn next(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        match stream.next().await {
            Some(Heard::Event(event)) => self.seen = event.id.or_else(|| self.seen.take()),
            Some(Heard::Alive) => {}
            None => {
                // it may be there again at once, and what was told meanwhile is told then
                (self.stream, self.sought) = (None, None);
                return false;
            }
        }
        true
    }
}

fn render(value: &Value, args: &StatusArgs) -> Option<String> {
    let status = if args.name.is_some() {
        let mirror: Mirror = wire::read(value)?;
        Status { mirrors: vec![mirror], ..Status::default() }
    } else {
        value.get("mirrors")?;
        wire::read(value)?
    };
    if args.json {
        return Some(if args.watch { value.to_string() } else { format!("{value:#}") });
    }
    let mut blocks: Vec<String> = status.mirrors.iter().map(mirror_lines).collect();
    if args.name.is_none() {
        blocks.push(gitea_line(&status));
    }
    Some(blocks.join("\n\n"))
}

fn mirror_lines(mirror: &Mirror) -> String {
    let fresh = &mirror.freshness;
    let (style, mark) = match fresh.state.as_str() {
        "fresh" => (GOOD, "✓"),
        "behind" => (BAD, "✗"),
        _ => (DOUBT, "?"),
    };
    let mut head = format!("{style}{mark}{style:#} {STRONG}{}{STRONG:#}  {}", plain(&mirror.name), plain(&fresh.state));
    if let Some(refs @ 1..) = fresh.refs_behind {
        append!(head, ", {}", count_of(refs, "ref"));
    }
    if let Some(since) = fresh.behind_since.as_ref().or(fresh.unknown_since.as_ref()) {
        append!(head, ", since {}", plain(since));
    }
    if let Some(reason) = &fresh.reason {
        append!(head, " ({})", plain(reason));
    }
    if mirror.phase != Phase::Idle.label() {
        append!(head, "  {DIM}now {}{DIM:#}", plain(&mirror.phase));
    }
    let mut lines = vec![head];
    let mut row = |label: &str, text: String| lines.push(format!("    {label:<12}{text}"));
    row("proven", fresh.proven_at.as_deref().map_or_else(|| "never".to_owned(), plain));
    if let Some(at) = &fresh.observed_at {
        row("looked at", plain(at));
    }
    if !fresh.differing.is_empty() {
        row("differing", differing(fresh));
    }
    row("upstream", side(&mirror.upstream));
    row("Gitea", side(&mirror.gitea));
    if let Some(interval) = &mirror.interval {
        let mode = mirror.mode.as_deref().unwrap_or("follow");
        row("interval", format!("{} ({})", plain(interval), plain(mode)));
    }
    if let Some(at) = &mirror.last_attempt_at {
        let failures = match mirror.consecutive_failures {
            0 => String::new(),
            1 => ", failed".to_owned(),
            count => format!(", the last {count} failed"),
        };
        row("last run", format!("{}{failures}", plain(at)));
    }
    if let Some(problem) = &mirror.waiting_for {
        lines.push(format!("    {DOUBT}waiting{DOUBT:#} because of"));
        lines.push(problem_lines(problem));
    }
    if let Some(problem) = &mirror.problem {
        lines.push(problem_lines(problem));
    }
    lines.join("\n")
}

/// The first refs that differ, and that there are more.
fn differing(fresh: &Freshness) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = fresh.differing.iter().take(SHOWN).map(|one| plain(&one.name)).collect();
    let all = fresh.refs_behind.unwrap_or_default();
    let more = if all > u64::try_from(names.len()).unwrap_or(u64::MAX) { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn side(side: &Side) -> String {
    let mut text = plain(side.url.as_deref().or(side.repository.as_deref()).unwrap_or("?"));
    if let Some(commit) = &side.commit {
        append!(text, "  {}", short(commit));
    }
    if let Some(refs) = side.refs {
        append!(text, "  {}", count_of(refs, "ref"));
    }
    text
}

fn gitea_line(status: &Status) -> String {
    let gitea = &status.gitea;
    let name = plain(gitea.flavour.as_deref().unwrap_or("gitea"));
    let version = gitea.version.as_deref().map(|version| format!(" {}", plain(version))).unwrap_or_default();
    match gitea.reachable {
        Some(true) => format!("{DIM}{name}{version} answers{DIM:#}"),
        Some(false) => format!("{BAD}{name}{version} does not answer{BAD:#}"),
        None => format!("{DIM}{name}{version}: not asked yet{DIM:#}"),
    }
}
