//! That somebody has looked at the status: the one signal between readers and observations.
//!
//! Owns what was looked at since the coordinator last took it. Telling costs a reader next to nothing, however many mirrors
//! there are and however often it comes: whoever looks while nothing can be due is not even heard.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::names::MirrorName;

/// What was looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Every mirror.
    pub(super) at_all: bool,
    /// These.
    pub(super) at: BTreeSet<MirrorName>,
}

#[derive(Debug, Default)]
struct State {
    looked: Looked,
    /// Until then nothing is due; `None`: nobody knows.
    nothing_before: Option<Instant>,
}

/// Shared by readers, who tell, and the coordinator, who takes.
#[derive(Debug, Default)]
pub(super) struct Looks {
    state: Mutex<State>,
    told: Notify,
}

impl Looks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding this lock")
    }

    /// Somebody has looked at every mirror.
    pub(super) fn at_all(&self) {
        self.tell(|looked| !std::mem::replace(&mut looked.at_all, true));
    }

    /// Somebody has looked at some.
    pub(super) fn at<'a>(&self, names: impl IntoIterator<Item = &'a MirrorName>) {
        self.tell(|looked| {
            let before = looked.at.len();
            if !looked.at_all {
                looked.at.extend(names.into_iter().cloned());
            }
            looked.at.len() > before
        });
    }

    fn tell(&self, look: impl FnOnce(&mut Looked) -> bool) {
        let mut state = self.state();
        if state.nothing_before.is_some_and(|before| Instant::now() < before) {
            return;
        }
        if look(&mut state.looked) {
            drop(state);
            self.told.notify_one();
        }
    }

    /// What was looked at, once something was.
    pub(super) async fn taken(&self) -> Looked {
        loop {
            let looked = std::mem::take(&mut self.state().looked);
            if looked != Looked::default() {
                return looked;
            }
            self.told.notified().await;
        }
    }

    /// Nothing is due before then.
    pub(super) fn nothing_before(&self, then: Instant) {
        self.state().nothing_before = Some(then);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_are_joined_and_those_at_which_nothing_is_due_are_not_heard() {
        let looks = Looks::default();
        let name = MirrorName::parse("one").unwrap();
        looks.at([&name]);
        looks.at([&name]);
        looks.at_all();
        looks.at_all();
        let looked = looks.taken().await;
        assert!(looked.at_all && looked.at.len() == 1);
        assert!(tokio::time::timeout(Duration::from_secs(1), looks.taken()).await.is_err(), "all of them were taken");
        looks.nothing_before(Instant::now() + Duration::from_mins(1));
        looks.at_all();
        assert!(tokio::time::timeout(Duration::from_secs(59), looks.taken()).await.is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        looks.at([&name]);
        assert_eq!(looks.taken().await, Looked { at_all: false, at: BTreeSet::from([name]) });
    }
}
