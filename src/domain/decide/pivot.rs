//! The gate before everything that makes a mirror: past the platform's pivot nothing is made.
//!
//! It stands behind the whole table, so that no row can go round it. Taking back what this run has done is let through:
//! that only restores what was there.

use super::{Action, Look, Next, Table, fail, failing};
use crate::domain::answer::RepositoryAnswer;
use crate::domain::platform::PivotAnswer;
use crate::domain::spec::{Allowed, PivotPolicy};

impl Table<'_> {
    /// The same, unless it may not be done where the platform stands; a look at that, where nobody has looked.
    pub(super) fn guarded(&self, next: Next) -> Next {
        let (Some(policy), Next::Act(action)) = (self.policy.pivot, &next) else { return next };
        if !self.is_guarded(action, policy) {
            return next;
        }
        let name = self.spec.full_name();
        match &self.seen.pivot {
            None => Next::Look(Look::Pivot),
            Some(PivotAnswer::Before) => next,
            Some(PivotAnswer::NoStatus) if policy.without_status == Allowed::Allow => next,
            Some(PivotAnswer::NoStatus) => fail(failing::no_platform_status(&name)),
            Some(PivotAnswer::Unreadable { why }) => fail(failing::platform_status_unreadable(&name, why)),
            Some(PivotAnswer::Past { because }) => fail(failing::past_the_pivot(&name, because)),
        }
    }

    fn is_guarded(&self, action: &Action, policy: PivotPolicy) -> bool {
        match action {
            // a placeholder is deleted only to be made anew, and an organisation made only to hold a mirror
            Action::CreateOrganisation | Action::Migrate { .. } | Action::Delete(_) | Action::RenameAside(_) => true,
            Action::GiveBack(_) => false,
            Action::Patch { .. } | Action::SetDefaultBranch(_) | Action::Sync => {
                policy.syncing == Allowed::Refuse && !self.is_this_run_s()
            }
        }
    }

    /// A mirror that this run has made has to be finished: until it is patched, it prunes.
    fn is_this_run_s(&self) -> bool {
        match self.seen.repository.as_ref().map(|seen| &seen.answer) {
            Some(RepositoryAnswer::Present(repository)) => self.history.made(repository),
            Some(RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_)) | None => {
                false
            }
        }
    }
}
