//! The demo's output: plain lines, coloured on a terminal.

use anstyle::{AnsiColor, Style};

const BOLD: Style = Style::new().bold();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const FAINT: Style = Style::new().dimmed();

/// A line.
pub(crate) fn say(text: &str) {
    anstream::println!("{text}");
}

/// What comes next.
pub(crate) fn step(text: &str) {
    anstream::println!("{BOLD}{text}{BOLD:#}");
}

/// Something that is as it should be.
pub(crate) fn tick(text: &str) {
    anstream::println!("{GOOD}  ✔{GOOD:#} {text}");
}

/// Something that moved, with the time since it was asked for.
pub(crate) fn moved(after: std::time::Duration, text: &str) {
    anstream::println!("{FAINT}  {:>5.2} s{FAINT:#}  {text}", after.as_secs_f64());
}

/// Something that is not.
pub(crate) fn warn(text: &str) {
    anstream::eprintln!("{BAD}  ✘ {text}{BAD:#}");
}
