//! The contents of upstream's repositories. Commits are made by `git fast-import`, so that thousands take
//! no longer than a few; they have fixed authors and dates, so that object ids repeat from run to run.

use std::fmt::Write;

use super::Upstream;
use crate::git::FIRST_COMMIT;
use crate::refs::{self, Refs};

impl Upstream {
    /// Makes an empty repository whose `HEAD` names `main`.
    pub fn create(&self, name: &str) {
        let folder = self.git_dir(name);
        let folder = folder.to_string_lossy();
        self.git_at_root(&["init", "-q", "--bare", "--template=", "-b", "main", &folder]);
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
        let mut stream = String::new();
        let start = start.map(|start| format!("from {start}\n")).unwrap_or_default();
        write!(stream, "reset refs/heads/{branch}\n{start}\n").expect("writing to a String cannot fail");
        let first = {
            let mut state = self.state();
            let first = state.commits + 1;
            state.commits += i64::try_from(count).unwrap_or_default();
            first
        };
        for number in first..first + i64::try_from(count).unwrap_or_default() {
            let text = format!("{message}{number}\n");
            let date = FIRST_COMMIT + number;
            let length = text.len();
            write!(
                stream,
                "commit refs/heads/{branch}\ncommitter u <u@example.test> {date} +0000\ndata {length}\n{text}"
            )
            .expect("writing to a String cannot fail");
            // One file and one tree for all of them: commits are what is wanted in thousands.
            if number == first {
                write!(stream, "M 644 inline file\ndata {length}\n{text}").expect("writing to a String cannot fail");
            }
            stream.push('\n');
        }
        self.git(name, &["fast-import", "--quiet", "--force"], stream.as_bytes());
        self.resolve(name, &format!("refs/heads/{branch}")).unwrap_or_default()
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
        let mut stream = String::new();
        for number in 0..count {
            writeln!(stream, "update refs/heads/{prefix}{number} {id}").expect("writing to a String cannot fail");
        }
        self.git(name, &["update-ref", "--stdin"], stream.as_bytes());
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
        let stream = format!(
            "tag {tag}\nfrom {target}\ntagger u <u@example.test> {date} +0000\ndata {}\n{message}\n",
            message.len()
        );
        self.git(name, &["fast-import", "--quiet", "--force"], stream.as_bytes());
        self.resolve(name, &format!("refs/tags/{tag}")).unwrap_or_default()
    }

    /// Sets any ref, by its full name.
    pub fn update_ref(&self, name: &str, reference: &str, target: &str) {
        self.git(name, &["update-ref", reference, target], b"");
    }

    /// Removes a ref, by its full name.
    pub fn delete_ref(&self, name: &str, reference: &str) {
        self.git(name, &["update-ref", "-d", reference], b"");
    }

    /// Makes `HEAD` name a branch, whether or not that branch exists.
    pub fn set_head(&self, name: &str, branch: &str) {
        self.git(name, &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")], b"");
    }

    /// Removes a repository.
    ///
    /// # Panics
    ///
    /// When its folder cannot be removed.
    pub fn delete(&self, name: &str) {
        std::fs::remove_dir_all(self.git_dir(name)).expect("the folder is ours");
    }

    /// The object id that a name stands for.
    #[must_use]
    pub fn resolve(&self, name: &str, target: &str) -> Option<String> {
        let args = ["rev-parse", "--verify", "--quiet", target];
        let output = self.inner.git.run_here(&self.git_dir(name), &args, b"").ok()?;
        output.ok.then(|| output.text().trim().to_owned())
    }

    /// Every head and tag.
    #[must_use]
    pub fn heads_and_tags(&self, name: &str) -> Refs {
        refs::heads_and_tags(&self.inner.git, &self.git_dir(name))
    }

    fn git(&self, name: &str, args: &[&str], stdin: &[u8]) -> String {
        self.inner.git.must(&self.git_dir(name), args, stdin)
    }

    fn git_at_root(&self, args: &[&str]) {
        self.inner.git.must(self.inner.folder.path(), args, b"");
    }
}
