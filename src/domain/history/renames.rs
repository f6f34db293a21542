//! What is remembered of a legacy repository's renames, there and back.
//!
//! Owns nothing but these methods of [`History`]; what follows from them is decided elsewhere.

use super::History;
use crate::domain::answer::{LocalRefsAnswer, PatchAnswer};
use crate::domain::aside::Rename;
use crate::domain::observation::BranchPatch;

impl History {
    /// Takes note of what became of a rename, as far as anybody knows. One that was refused leaves an earlier one as it was.
    pub fn settles(&mut self, rename: Rename, answer: Option<&PatchAnswer>) {
        if answer == Some(&PatchAnswer::Done) {
            self.unsettled_rename = None;
        } else if answer.is_none_or(PatchAnswer::may_have_done) {
            self.unsettled_rename = Some(rename);
        }
    }

    /// Takes note of a look at the refs of the renamed repository.
    pub fn saw_aside_refs(&mut self, seen: &LocalRefsAnswer) {
        if *seen == LocalRefsAnswer::FolderGone {
            self.aside_folder_gone_since.get_or_insert(self.elapsed);
        } else {
            self.aside_folder_gone_since = None;
        }
    }

    /// Takes note of a rename, there or back.
    pub fn renamed(&mut self, answer: PatchAnswer) {
        self.renames += 1;
        self.rename = Some(BranchPatch { at: self.elapsed, answer });
    }
}
