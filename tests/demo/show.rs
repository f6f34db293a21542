//! How the demo speaks: plain lines, coloured on a terminal.

use anstyle::{AnsiColor, Style};

const BOLD: Style = Style::new().bold();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const FAINT: Style = Style::new().dimmed();

/// A line.
pub fn say(text: &str) {
    anstream::println!("{text}");
}

/// What comes next.
pub fn step(text: &str) {
    anstream::println!("{BOLD}{text}{BOLD:#}");
}

/// Something that is as it should be.
pub fn tick(text: &str) {
    anstream::println!("{GOOD}  ✔{GOOD:#} {text}");
}

/// Something that moved, with the time since it was asked for.
pub fn moved(after: std::time::Duration, text: &str) {
    anstream::println!("{FAINT}  {:>5.2} s{FAINT:#}  {text}", after.as_secs_f64());
}

/// Something that is not.
pub fn warn(text: &str) {
    anstream::eprintln!("{BAD}  ✘ {text}{BAD:#}");
}
