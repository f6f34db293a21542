//! The log: its destination, its form and its level.
//!
//! Owns the one tracing subscriber of the process. Writes to stderr, so that a command's stdout stays clean. Times are
//! UTC. The target `audit` is written at every level, because changes must be traceable. Never called by a library
//! function: `main` sets it up once.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

/// The level without a setting.
const DEFAULT: &str = "info";

/// A filter that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a level (trace, debug, info, warn, error, off), or levels of targets as in info,cutover_api::gitea=debug: {0}"
)]
pub struct BadFilter(String);

/// Sets up the process's log.
///
/// Without a `format` a terminal gets text, anything else JSON. `filter` is the value of `CUTOVER_LOG`. A filter that
/// [`check`] refuses counts as the default.
pub fn init(format: Option<Format>, filter: Option<&str>) {
    let default = if io::stderr().is_terminal() { Format::Text } else { Format::Json };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(format.unwrap_or(default), filter_from(filter), colours, io::stderr);
    // A panic's message may contain anything. Its location is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panic (bug)");
    }));
    // Tests call this twice; the first subscriber stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Checks that a value of `CUTOVER_LOG` can be parsed.
///
/// # Errors
/// [`BadFilter`]: it cannot.
pub fn check(filter: &str) -> Result<(), BadFilter> {
    parse(filter).map(drop)
}

fn parse(text: &str) -> Result<EnvFilter, BadFilter> {
    let text = text.trim();
    // tracing reads a single word as a target, which enables all its lines and disables every other.
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let word = !directive.contains(['=', '[']) && directive.parse::<LevelFilter>().is_err();
        if word || directive.ends_with('=') {
            return Err(BadFilter(format!("{directive} is no level")));
        }
    }
    EnvFilter::builder().parse(text).map_err(|error| BadFilter(error.to_string()))
}

fn filter_from(text: Option<&str>) -> EnvFilter {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT);
    let filter = parse(text).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    filter.add_directive("audit=info".parse().expect("this directive is well formed"))
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

    fn logged(format: Format, filter: Option<&str>) -> String {
        let lines = Lines::default();
        let filter = filter_from(filter);
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(format, filter, false, move || writer.clone()), || {
            tracing::info!(mirror = "openova", "Began a run");
            tracing::debug!("Looked");
            tracing::info!(target: "audit", principal = "ops", "Asked for a run");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_level_is_info_unless_something_else_is_asked_for() {
        for (filter, run, looked) in
            [(None, true, false), (Some(""), true, false), (Some("debug"), true, true), (Some("off"), false, false)]
        {
            let text = logged(Format::Text, filter);
            assert_eq!((text.contains("Began a run"), text.contains("Looked")), (run, looked), "{filter:?}: {text}");
        }
    }

    #[test]
    fn the_audit_is_written_at_every_level() {
        for filter in ["off", "error", "audit=off", "audit=error,cutover_api=warn"] {
            let text = logged(Format::Text, Some(filter));
            assert!(text.contains("Asked for a run"), "{filter}: {text}");
        }
    }

    #[test]
    fn a_filter_is_made_of_levels_and_of_targets_with_levels() {
        for good in [
            "info",
            "INFO",
            "off",
            "4",
            "info,cutover_api::gitea=debug",
            "",
            " warn,cutover_api=trace ",
            "cutover_api[request]=debug",
            "info,[request{request_id}]=debug",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "verbose",
            "loud",
            "6",
            "info,verbose",
            "cutover_api",
            "infos",
            "cutover_api=loud",
            "cutover_api=",
            "=",
            "a b",
        ] {
            assert!(check(bad).unwrap_err().to_string().contains("write a level"), "{bad}");
            assert!(logged(Format::Text, Some(bad)).contains("Began a run"), "{bad}: the default counts");
        }
    }

    #[test]
    fn a_json_line_is_flat_and_in_utc() {
        let text = logged(Format::Json, None);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["message"], "Began a run");
        assert_eq!(line["mirror"], "openova");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
