//! The progress of a followed run: a moving line on a terminal, elsewhere a line for each change.
//!
//! Writes to stderr only.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::console::{Console, plain};
use super::wire::RunView;
use crate::domain::run::Phase;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// The progress of one run.
pub(super) enum Progress {
    /// Drawn by indicatif.
    Drawn(ProgressBar),
    /// Written as lines; keeps what was written last.
    Lines {
        /// The phase of each mirror, by name.
        phases: HashMap<String, String>,
        /// Whether a line said that the service is not reachable.
        waiting: bool,
    },
}

impl Progress {
    pub(super) fn begin(id: &str, interactive: bool) -> Self {
        if !interactive {
            return Self::Lines { phases: HashMap::new(), waiting: false };
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed:>4}  [{bar:16}] {pos}/{len}  {wide_msg}")
            .expect("this template is well formed")
            .progress_chars("━╸─");
        let bar = ProgressBar::new(0).with_style(style).with_message(format!("run {id}"));
        bar.enable_steady_tick(TURN);
        Self::Drawn(bar)
    }

    /// Shows the current phases.
    pub(super) fn show(&mut self, run: &RunView, console: &mut Console) {
        match self {
            Self::Drawn(bar) => {
                let ended = |phase: &str| {
                    matches!(
                        Phase::from_label(phase),
                        Some(Phase::Succeeded | Phase::Unverified | Phase::Failed | Phase::Canceled)
                    )
                };
                let (done, open): (Vec<_>, Vec<_>) = run.mirrors.iter().partition(|part| ended(&part.phase));
                let open: Vec<String> =
                    open.iter().map(|part| format!("{} {}", plain(&part.name), plain(&part.phase))).collect();
                bar.set_length(u64::try_from(run.mirrors.len()).unwrap_or(u64::MAX));
                bar.set_position(u64::try_from(done.len()).unwrap_or(u64::MAX));
                bar.set_message(open.join(", "));
            }
            Self::Lines { phases, waiting } => {
                *waiting = false;
                for part in &run.mirrors {
                    if phases.get(&part.name) != Some(&part.phase) {
                        console.note(&format!("[{}] {}", plain(&part.name), plain(&part.phase)));
                        phases.insert(part.name.clone(), part.phase.clone());
                    }
                }
            }
        }
    }

    /// Shows that the service is not reachable and is polled again.
    pub(super) fn waiting(&mut self, what: &str, console: &mut Console) {
        match self {
            Self::Drawn(bar) => bar.set_message(plain(what)),
            Self::Lines { waiting, .. } => {
                if !std::mem::replace(waiting, true) {
                    console.note(&format!("{} Retrying.", plain(what)));
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}
