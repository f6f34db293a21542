//! The log: where it goes, in which form, and how much of it.
//!
//! Owns the one tracing subscriber of the process. Writes to stderr, so that a command's output stays clean; times are
//! UTC. The target `audit` is always written, whatever the level: who changed something is not a matter of taste.
//! Never called by a library function: `main` sets it up once.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Text,
    /// A JSON object a line.
    Json,
}

/// The level where nothing is said.
const DEFAULT: &str = "info";

/// A filter that cannot be read; the default is used instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CUTOVER_LOG is not a filter such as debug or info,cutover_api::gitea=debug: {0}; the level is info")]
pub struct BadFilter(String);

/// Sets the process's log up: in `format`, or by default as text on a terminal and as JSON elsewhere; `filter` is the
/// value of `CUTOVER_LOG`.
///
/// # Errors
/// [`BadFilter`]: the log is set up all the same, at the default level.
pub fn init(format: Option<Format>, filter: Option<&str>) -> Result<(), BadFilter> {
    let default = if io::stderr().is_terminal() { Format::Text } else { Format::Json };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (filter, outcome) = filter_from(filter);
    let subscriber = subscriber(format.unwrap_or(default), filter, colours, io::stderr);
    // a panic's own words may hold anything; where it was is enough to find it
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "a panic: a mistake of ours");
    }));
    // a second call, as tests make it, leaves the first one's subscriber in place
    let _ = tracing::subscriber::set_global_default(subscriber);
    outcome
}

fn filter_from(text: Option<&str>) -> (EnvFilter, Result<(), BadFilter>) {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
    let (filter, outcome) = match EnvFilter::builder().parse(text) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (EnvFilter::new(DEFAULT), Err(BadFilter(error.to_string()))),
    };
    let audit = "audit=info".parse().expect("this directive is well formed");
    (filter.add_directive(audit), outcome)
}

fn subscriber<W>(format: Format, filter: EnvFilter, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Text => Box::new(builder.with_ansi(colours).finish()),
        Format::Json => {
            Box::new(builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: Option<&str>) -> (String, Result<(), BadFilter>) {
        let lines = Lines::default();
        let (filter, outcome) = filter_from(filter);
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(format, filter, false, move || writer.clone()), || {
            tracing::info!(mirror = "openova", "Began a run");
            tracing::debug!("Looked");
            tracing::info!(target: "audit", principal = "ops", "Asked for a run");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (text, outcome)
    }

    #[test]
    fn the_level_is_info_unless_something_else_is_asked_for() {
        for (filter, run, looked) in
            [(None, true, false), (Some(""), true, false), (Some("debug"), true, true), (Some("off"), false, false)]
        {
            let (text, outcome) = logged(Format::Text, filter);
            assert_eq!(outcome, Ok(()));
            assert_eq!((text.contains("Began a run"), text.contains("Looked")), (run, looked), "{filter:?}: {text}");
        }
    }

    #[test]
    fn the_audit_is_written_at_every_level() {
        for filter in ["off", "error", "audit=off", "audit=error,cutover_api=warn"] {
            let (text, _) = logged(Format::Text, Some(filter));
            assert!(text.contains("Asked for a run"), "{filter}: {text}");
        }
    }

    #[test]
    fn a_bad_filter_is_reported_and_the_log_goes_on() {
        let (text, outcome) = logged(Format::Text, Some("cutover_api=loud"));
        assert!(outcome.unwrap_err().to_string().contains("CUTOVER_LOG"));
        assert!(text.contains("Began a run"));
    }

    #[test]
    fn a_json_line_is_flat_and_in_utc() {
        let (text, _) = logged(Format::Json, None);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["message"], "Began a run");
        assert_eq!(line["mirror"], "openova");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
