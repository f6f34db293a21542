//! Where a command writes: results to stdout, all else to stderr.
//!
//! Owns the colours and the marks. Text from the service is stripped of control characters before it gets here: it
//! could rewrite a terminal. A reader who has gone (`| head`) is no error.

use std::io::{IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use super::client::Failure;
use super::wire::{Evidence, Part, Problem, Run};
use crate::domain::run::{self, Phase};

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const DOUBT: Style = AnsiColor::Yellow.on_default();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// Formats onto the end of a `String`.
macro_rules! append {
    ($text:expr, $($arguments:tt)*) => {
        std::fmt::Write::write_fmt(&mut $text, format_args!($($arguments)*)).expect("writing to a String cannot fail")
    };
}
pub(super) use append;

/// The two streams of a command.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether somebody is looking: then progress is drawn and a watched status repainted.
    pub(super) interactive: bool,
    /// What each line begins with.
    before: String,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Console {
    /// The process's own streams, in colour where that is wanted (a terminal, and no `NO_COLOR`).
    #[must_use]
    pub fn standard() -> Self {
        let interactive = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Self {
            out: Box::new(anstream::stdout()),
            err: Box::new(anstream::stderr()),
            interactive,
            before: String::new(),
        }
    }

    /// Other streams, which get no colours.
    #[must_use]
    pub fn plain(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let strip = |stream| Box::new(anstream::StripStream::new(stream));
        Self { out: strip(out), err: strip(err), interactive: false, before: String::new() }
    }

    /// Begins each line from now on with a word in brackets.
    pub(super) fn label(&mut self, label: Option<&str>) {
        self.before = label.map_or_else(String::new, |label| format!("[{label}] "));
    }

    /// A result.
    pub(super) fn result(&mut self, text: &str) {
        write(&mut *self.out, &self.before, text);
    }

    /// Something besides the result.
    pub(super) fn note(&mut self, text: &str) {
        write(&mut *self.err, &self.before, text);
    }

    /// Why the command did not do what it should.
    pub(super) fn failure(&mut self, failure: &Failure) {
        self.note(&format!("{BAD}✗{BAD:#} {}", plain(&failure.what)));
        if let Some(problem) = &failure.problem {
            self.note(&problem_lines(problem));
        }
    }
}

/// Writes lines in one piece: other pods may write into the same log.
fn write(stream: &mut dyn Write, before: &str, text: &str) {
    let mut lines = String::new();
    for line in text.split('\n') {
        append!(lines, "{before}{line}\n");
    }
    let _ = stream.write_all(lines.as_bytes()).and_then(|()| stream.flush());
}

/// A text of the service, without what could move a cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A problem, indented under what it belongs to.
pub(super) fn problem_lines(problem: &Problem) -> String {
    let mut lines = format!("    {STRONG}{}{STRONG:#}", plain(&problem.error));
    if let Some(detail) = &problem.detail {
        append!(lines, ": {}", plain(detail));
    }
    if let Some(remedy) = &problem.remedy {
        append!(lines, "\n    → {}", plain(remedy));
    }
    if problem.retryable {
        append!(lines, "\n    {DIM}Asking again can help.{DIM:#}");
    }
    lines
}

/// What a run would do, a mirror after the other.
pub(super) fn plan_lines(run: &Run) -> String {
    let mut lines: Vec<String> = run.mirrors.iter().map(planned_lines).collect();
    lines.push("A dry run: nothing was changed.".to_owned());
    lines.join("\n")
}

fn planned_lines(part: &Part) -> String {
    let name = plain(&part.name);
    let (style, would) = match Phase::from_label(&part.phase) {
        Some(Phase::Succeeded) => {
            (GOOD, format!("would end {}", part.outcome.as_deref().map_or_else(String::new, plain)))
        }
        Some(Phase::Unverified) => (DOUBT, "would end unverified".to_owned()),
        Some(Phase::Failed) => (BAD, "would fail".to_owned()),
        _ => (DOUBT, format!("would wait, {}", plain(&part.phase))),
    };
    let mut lines = format!("{STRONG}{name}{STRONG:#}  {style}{would}{style:#}");
    if part.plan.is_empty() {
        append!(lines, ", without a call that changes anything");
    }
    for (number, step) in (1..).zip(&part.plan) {
        append!(lines, "\n    {number}. {STRONG}{}{STRONG:#}: {}", plain(&step.call), plain(&step.why));
    }
    if let Some(problem) = &part.problem {
        append!(lines, "\n{}", problem_lines(problem));
    }
    lines
}

/// How a run ended, a mirror after the other.
pub(super) fn run_lines(run: &Run) -> String {
    let mut lines: Vec<String> = run.mirrors.iter().map(part_lines).collect();
    let (style, word) = match run.status() {
        Some(run::Status::Succeeded) => (GOOD, "succeeded"),
        Some(run::Status::Unverified) => {
            (DOUBT, "ended unverified: Gitea has the mirror, and upstream gave no list that proves it")
        }
        Some(run::Status::Canceled) => (BAD, "was canceled"),
        Some(run::Status::Failed | run::Status::Queued | run::Status::Running) | None => (BAD, "failed"),
    };
    lines.push(format!("{style}Run {} {word}.{style:#}", plain(run.id.as_deref().unwrap_or("?"))));
    lines.join("\n")
}

fn part_lines(part: &Part) -> String {
    let name = plain(&part.name);
    let phase = plain(&part.phase);
    let mut lines = match Phase::from_label(&part.phase) {
        Some(Phase::Succeeded) => {
            let outcome = part.outcome.as_deref().map_or(phase, plain);
            let proof = part.evidence.as_ref().map(evidence_line).unwrap_or_default();
            format!("{GOOD}✓{GOOD:#} {STRONG}{name}{STRONG:#}  {outcome}{proof}")
        }
        Some(Phase::Unverified) => format!("{DOUBT}?{DOUBT:#} {STRONG}{name}{STRONG:#}  {phase}"),
        _ => format!("{BAD}✗{BAD:#} {STRONG}{name}{STRONG:#}  {phase}"),
    };
    if let Some(problem) = &part.problem {
        append!(lines, "\n{}", problem_lines(problem));
    }
    lines
}

fn evidence_line(evidence: &Evidence) -> String {
    let mut line = String::new();
    if let Some(refs) = evidence.refs {
        append!(line, ", {} proven equal", count_of(refs, "ref"));
    }
    if let (Some(branch), Some(commit)) = (&evidence.tracked_branch, &evidence.tracked_commit) {
        append!(line, ", {} at {}", plain(branch), short(commit));
    }
    if let Some(extra @ 1..) = evidence.only_in_gitea {
        append!(line, ", {extra} only in Gitea");
    }
    if evidence.rewritten == Some(true) {
        append!(line, ", {DOUBT}history rewritten{DOUBT:#}");
    }
    line
}

/// A number of things, in the singular or the plural.
pub(super) fn count_of(count: u64, singular: &str) -> String {
    if count == 1 { format!("1 {singular}") } else { format!("{count} {singular}s") }
}

/// The first letters of a commit's id.
pub(super) fn short(commit: &str) -> String {
    plain(commit).chars().take(12).collect()
}
