//! The output of a command: results on stdout, everything else on stderr.
//!
//! Owns the colours and the marks. Control characters are removed from the service's text, since they could rewrite a
//! terminal. A closed stdout (`| head`) is no error.

use std::io::{IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use super::client::CommandError;
use super::wire::{EvidenceView, PartView, ProblemView, RunView};
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
    /// Whether it is a terminal: then progress is drawn, and a watched status repainted.
    pub(super) interactive: bool,
    /// The prefix of each line.
    before: String,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Console {
    /// The streams of the process, with colours on a terminal without `NO_COLOR`.
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

    /// Other streams, without colours.
    #[must_use]
    pub fn plain(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let strip = |stream| Box::new(anstream::StripStream::new(stream));
        Self { out: strip(out), err: strip(err), interactive: false, before: String::new() }
    }

    /// Prefixes each line from now on with a word in brackets.
    pub(super) fn label(&mut self, label: Option<&str>) {
        self.before = label.map_or_else(String::new, |label| format!("[{label}] "));
    }

    /// Writes a result.
    pub(super) fn result(&mut self, text: &str) {
        write(&mut *self.out, &self.before, text);
    }

    /// Writes a line that is no result.
    pub(super) fn note(&mut self, text: &str) {
        write(&mut *self.err, &self.before, text);
    }

    /// Writes why the command failed.
    pub(super) fn failure(&mut self, failure: &CommandError) {
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

/// The service's text without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The lines of a problem, indented.
pub(super) fn problem_lines(problem: &ProblemView) -> String {
    let mut lines = format!("    {STRONG}{}{STRONG:#}", plain(&problem.error));
    if let Some(detail) = &problem.detail {
        append!(lines, ": {}", plain(detail));
    }
    if let Some(remedy) = &problem.remedy {
        append!(lines, "\n    → {}", plain(remedy));
    }
    if problem.retryable {
        append!(lines, "\n    {DIM}May succeed when you try again.{DIM:#}");
    }
    lines
}

/// The lines of a dry run, by mirror.
pub(super) fn plan_lines(run: &RunView) -> String {
    let mut lines: Vec<String> = run.mirrors.iter().map(planned_lines).collect();
    lines.push("Dry run: nothing was changed.".to_owned());
    lines.join("\n")
}

fn planned_lines(part: &PartView) -> String {
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
        append!(lines, " without changing anything");
    }
    for (number, step) in (1..).zip(&part.plan) {
        append!(lines, "\n    {number}. {STRONG}{}{STRONG:#}: {}", plain(&step.call), plain(&step.why));
    }
    if let Some(problem) = &part.problem {
        append!(lines, "\n{}", problem_lines(problem));
    }
    lines
}

/// The lines of a finished run, by mirror.
pub(super) fn run_lines(run: &RunView) -> String {
    let mut lines: Vec<String> = run.mirrors.iter().map(part_lines).collect();
    let (style, word) = match run.status() {
        Some(run::Status::Succeeded) => (GOOD, "succeeded"),
        Some(run::Status::Unverified) => {
            (DOUBT, "is unverified: Gitea has the mirror, but upstream could not be read to compare")
        }
        Some(run::Status::Canceled) => (BAD, "was canceled"),
        Some(run::Status::Failed | run::Status::Queued | run::Status::Running) | None => (BAD, "failed"),
    };
    lines.push(format!("{style}Run {} {word}.{style:#}", plain(run.id.as_deref().unwrap_or("?"))));
    lines.join("\n")
}

fn part_lines(part: &PartView) -> String {
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

fn evidence_line(evidence: &EvidenceView) -> String {
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

/// The first characters of a commit id.
pub(super) fn short(commit: &str) -> String {
    plain(commit).chars().take(12).collect()
}
