//! The contents of upstream's repositories. Commits are made by `git fast-import`, so that thousands take
//! no longer than a few; they have fixed authors and dates, so that object ids repeat from run to run.

use super::Upstream;
use crate::git::FIRST_COMMIT;
use crate::refs::Refs;
use crate::store::NewCommits;

impl Upstream {
    /// Makes an empty repository whose `HEAD` names `main`.
    pub fn create(&self, name: &str) {
        self.inner.store.init(&self.git_dir(name), "main");
    }

    /// Makes a repository like the one of the recordings: `main`, `feature`, a light tag `v1`, an
    /// annotated tag `v1a`, and `refs/pull/1/head`, all on one commit.
    pub fn create_sample(&self, name: &str) {
        self.create(name);
        self.commit(name, "main", 2);
        self.branch(name, "feature", "main");
        self.tag(name, "v1", "main");
        self.annotated_tag(name, "v1a", "main", "annotated");
        self.update_ref(name, "refs/pull/1/head", "main");
    }

    /// Adds `count` commits to a branch, and answers the last one's id. A branch that is not there yet
    /// begins at what `HEAD` names, or from nothing.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the id is beside it")]
    pub fn commit(&self, name: &str, branch: &str, count: usize) -> String {
        let start = [format!("refs/heads/{branch}"), "HEAD".to_owned()]
            .into_iter()
            .find_map(|start| self.resolve(name, &start));
        self.import(name, branch, start.as_deref(), "c", count)
    }

    /// Replaces the last commit of a branch by another: a rewritten history. Answers the new id.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the id is beside it")]
    pub fn force_push(&self, name: &str, branch: &str) -> String {
        let parent = self.resolve(name, &format!("refs/heads/{branch}^"));
        self.import(name, branch, parent.as_deref(), "rewritten ", 1)
    }

    /// Replaces a branch by a commit without a parent: a history that has nothing in common with the old.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the id is beside it")]
    pub fn orphan(&self, name: &str, branch: &str) -> String {
        self.import(name, branch, None, "orphan ", 1)
    }

    fn import(&self, name: &str, branch: &str, start: Option<&str>, message: &str, count: usize) -> String {
        let count = i64::try_from(count).unwrap_or_default();
        let first = {
            let mut state = self.state();
            let first = state.commits + 1;
            state.commits += count;
            first
        };
        let messages: Vec<String> = (first..first + count).map(|number| format!("{message}{number}\n")).collect();
        let reference = format!("refs/heads/{branch}");
        let new = NewCommits {
            reference: &reference,
            start,
            committer: ("u", "u@example.test"),
            messages: &messages,
            date: FIRST_COMMIT + first,
            file: ("file", messages.first().map_or("", String::as_str)),
        };
        self.inner.store.commit(&self.git_dir(name), &new);
        self.resolve(name, &reference).unwrap_or_default()
    }

    /// Makes or moves a branch.
    pub fn branch(&self, name: &str, branch: &str, target: &str) {
        self.update_ref(name, &format!("refs/heads/{branch}"), target);
    }

    /// Makes `count` branches `{prefix}0`, `{prefix}1` … on one commit.
    ///
    /// # Panics
    ///
    /// When the repository has no `target`.
    pub fn branches(&self, name: &str, prefix: &str, target: &str, count: usize) {
        let id = self.resolve(name, target).unwrap_or_else(|| panic!("{name} has no {target}"));
        let references: Vec<String> = (0..count).map(|number| format!("refs/heads/{prefix}{number}")).collect();
        self.inner.store.update_refs(&self.git_dir(name), &references, &id);
    }

    /// Makes or moves a light tag.
    pub fn tag(&self, name: &str, tag: &str, target: &str) {
        self.update_ref(name, &format!("refs/tags/{tag}"), target);
    }

    /// Makes or moves an annotated tag, and answers the tag object's id.
    ///
    /// # Panics
    ///
    /// When there is no such target.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the id is beside it")]
    pub fn annotated_tag(&self, name: &str, tag: &str, target: &str, message: &str) -> String {
        let target =
            self.resolve(name, &format!("{target}^{{commit}}")).unwrap_or_else(|| panic!("{name} has no {target}"));
        let date = FIRST_COMMIT + self.state().commits;
        self.inner.store.annotate(&self.git_dir(name), tag, &target, message, date);
        self.resolve(name, &format!("refs/tags/{tag}")).unwrap_or_default()
    }

    /// Sets any ref, by its full name.
    pub fn update_ref(&self, name: &str, reference: &str, target: &str) {
        self.inner.store.update_ref(&self.git_dir(name), reference, Some(target));
    }

    /// Removes a ref, by its full name.
    pub fn delete_ref(&self, name: &str, reference: &str) {
        self.inner.store.update_ref(&self.git_dir(name), reference, None);
    }

    /// Makes `HEAD` name a branch, whether or not that branch exists.
    pub fn set_head(&self, name: &str, branch: &str) {
        self.inner.store.set_head(&self.git_dir(name), branch);
    }

    /// Removes a repository.
    pub fn delete(&self, name: &str) {
        self.inner.store.remove(&self.git_dir(name));
    }

    /// The object id that a name stands for.
    #[must_use]
    pub fn resolve(&self, name: &str, target: &str) -> Option<String> {
        self.inner.store.resolve(&self.git_dir(name), target)
    }

    /// Every head and tag.
    #[must_use]
    pub fn heads_and_tags(&self, name: &str) -> Refs {
        self.inner.store.heads_and_tags(&self.git_dir(name))
    }
}
