//! The published status with what the platform says beside it.
//!
//! The same pair gives the very same status, so that whoever keeps what was made of one can tell that nothing has changed.

use std::sync::{Arc, Mutex};

use crate::domain::status::Status;

/// The latest pair.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Option<Pair>>);

#[derive(Debug)]
struct Pair {
    of: Arc<Status>,
    shown: Arc<Status>,
}

impl Shown {
    pub(super) fn with(&self, of: Arc<Status>, cutover_complete: Option<bool>) -> Arc<Status> {
        if of.cutover_complete == cutover_complete {
            return of;
        }
        let mut latest = self.0.lock().expect("no code panics while holding this lock");
        if let Some(pair) = latest.as_ref()
            && Arc::ptr_eq(&pair.of, &of)
            && pair.shown.cutover_complete == cutover_complete
        {
            return Arc::clone(&pair.shown);
        }
        let shown = Arc::new(Status { cutover_complete, ..(*of).clone() });
        *latest = Some(Pair { of, shown: Arc::clone(&shown) });
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::GiteaStatus;

    #[test]
    fn what_has_not_changed_is_the_same_status() {
        let status = || {
            let gitea = GiteaStatus::default();
            Arc::new(Status { mirrors: Vec::new(), latest_run: None, gitea, cutover_complete: None })
        };
        let (shown, of) = (Shown::default(), status());
        assert!(Arc::ptr_eq(&shown.with(Arc::clone(&of), None), &of), "nothing is known, and nothing is copied");
        let first = shown.with(Arc::clone(&of), Some(true));
        assert_eq!(first.cutover_complete, Some(true));
        assert!(Arc::ptr_eq(&first, &shown.with(Arc::clone(&of), Some(true))));
        assert!(!Arc::ptr_eq(&first, &shown.with(Arc::clone(&of), Some(false))));
        assert!(!Arc::ptr_eq(&first, &shown.with(status(), Some(true))));
    }
}
