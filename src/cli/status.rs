//! `status`: the status of the mirrors, for a person.
//!
//! Owns the layout. Computes no freshness: the service does.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::ExitStatus;
use super::args::StatusArgs;
use super::client::{ApiClient, CommandError};
use super::console::{BAD, Console, DIM, DOUBT, GOOD, STRONG, append, count_of, plain, problem_lines, short};
use super::events::{EventStream, RECONNECT, StreamItem};
use super::wire::{self, FreshnessView, MirrorView, SideView, StatusView};
use crate::domain::run::Phase;

/// How often a watched status is polled where the service has no event stream.
const POLL: Duration = RECONNECT;

/// How long events are gathered before the status is read: they come in bursts.
const GATHER: Duration = Duration::from_millis(250);

/// How long after a failed attempt a stream is opened again.
const STREAM_PAUSE: Duration = Duration::from_secs(30);

/// Moves to the top left corner and clears the screen.
const REPAINT: &str = "\u{1b}[H\u{1b}[2J";

pub(super) async fn status(args: &StatusArgs, client: &ApiClient, console: &mut Console) -> ExitStatus {
    let (mut shown, mut changes) = (None, StatusChanges::default());
    loop {
        let text = match client.status(args.name.as_ref()).await {
            Ok(value) => Ok(render(&value, args)),
            Err(failure) if args.watch && failure.retryable => Err(failure),
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
                let what = "Unexpected response: not a cutover-api server? Check --url (CUTOVER_URL).";
                console.failure(&CommandError::new(ExitStatus::Unreachable, what));
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
        changes.wait(client).await;
    }
}

/// Waits for changes of the status.
#[derive(Default)]
struct StatusChanges {
    stream: Option<EventStream>,
    /// When opening the stream failed.
    failed_at: Option<Instant>,
    last_id: Option<String>,
}

impl StatusChanges {
    /// Waits until the status may have changed: an event, a keep-alive (freshness ages), or some time.
    async fn wait(&mut self, client: &ApiClient) {
        if self.stream.is_none() && self.failed_at.is_none_or(|at| at.elapsed() >= STREAM_PAUSE) {
            self.stream = client.events("/events", self.last_id.as_deref()).await;
            self.failed_at = self.stream.is_none().then(Instant::now);
        }
        if !self.next().await {
            sleep(POLL).await;
            return;
        }
        let until = Instant::now() + GATHER;
        while timeout(until.saturating_duration_since(Instant::now()), self.next()).await == Ok(true) {}
    }

    /// Whether an event or a keep-alive came.
    async fn next(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        match stream.next().await {
            Some(StreamItem::Event(event)) => self.last_id = event.id.or_else(|| self.last_id.take()),
            Some(StreamItem::KeepAlive) => {}
            None => {
                // it may be back immediately, and then replays what was missed
                (self.stream, self.failed_at) = (None, None);
                return false;
            }
        }
        true
    }
}

fn render(value: &Value, args: &StatusArgs) -> Option<String> {
    let status = if args.name.is_some() {
        let mirror: MirrorView = wire::read(value)?;
        StatusView { mirrors: vec![mirror], ..StatusView::default() }
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

fn mirror_lines(mirror: &MirrorView) -> String {
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
        row("observed", plain(at));
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
        lines.push(format!("    {DOUBT}waiting for{DOUBT:#}"));
        lines.push(problem_lines(problem));
    }
    if let Some(problem) = &mirror.problem {
        lines.push(problem_lines(problem));
    }
    lines.join("\n")
}

/// The first refs that differ, and that there are more.
fn differing(fresh: &FreshnessView) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = fresh.differing.iter().take(SHOWN).map(|one| plain(&one.name)).collect();
    let all = fresh.refs_behind.unwrap_or_default();
    let more = if all > u64::try_from(names.len()).unwrap_or(u64::MAX) { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn side(side: &SideView) -> String {
    let mut text = plain(side.url.as_deref().or(side.repository.as_deref()).unwrap_or("?"));
    if let Some(commit) = &side.commit {
        append!(text, "  {}", short(commit));
    }
    if let Some(refs) = side.refs {
        append!(text, "  {}", count_of(refs, "ref"));
    }
    text
}

fn gitea_line(status: &StatusView) -> String {
    let gitea = &status.gitea;
    let name = plain(gitea.flavour.as_deref().unwrap_or("gitea"));
    let version = gitea.version.as_deref().map(|version| format!(" {}", plain(version))).unwrap_or_default();
    match gitea.reachable {
        Some(true) => format!("{DIM}{name}{version} is reachable{DIM:#}"),
        Some(false) => format!("{BAD}{name}{version} is not reachable{BAD:#}"),
        None => format!("{DIM}{name}{version}: not observed yet{DIM:#}"),
    }
}
