//! Where repositories are kept, and everything that is ever done to one: the seam between the stand-ins and git.
//!
//! There are two stores. [`Store::Git`] has real bare repositories, made and served by the `git` program: what a fetch
//! does there is git's own doing. [`Store::Memory`] has refs in memory and starts no child, for tests that play
//! thousands of stories on paused time; it is a model, held to the other one by a test that plays the same scenes on
//! both. A repository is named by its folder in either. Knows no API and no fault.

mod memory;
mod real;
mod remote;
mod wire;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use axum::response::Response;
use url::Url;

pub(crate) use memory::Memory;
pub(crate) use wire::packet;

use crate::git::{Backend, Git, Output, blocking};
use crate::refs::{Ref, Refs};

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// Folders on disk.
    Git(Git),
    /// None.
    Memory(Memory),
}

/// Commits to be added to a branch.
pub(crate) struct NewCommits<'a> {
    /// The full name of the branch.
    pub(crate) reference: &'a str,
    /// What the first one follows; `None`: nothing.
    pub(crate) start: Option<&'a str>,
    /// Name and address.
    pub(crate) committer: (&'a str, &'a str),
    /// Their messages.
    pub(crate) messages: &'a [String],
    /// The first one's date; each later one is a second younger.
    pub(crate) date: i64,
    /// A file that the first one brings: path and content.
    pub(crate) file: (&'a str, &'a str),
}

/// Where a mirror fetches from.
pub(crate) struct Remote<'a> {
    /// The address, with its credential.
    pub(crate) address: &'a Url,
    /// Whether a redirect is followed.
    pub(crate) follow: bool,
    /// For git: a file for a password that is kept out of the address.
    pub(crate) password_file: &'a Path,
    /// Whether the password is kept out of the address.
    pub(crate) apart: bool,
}

impl Store {
    /// Does what may block where it may block: off the runtime's threads for git, here and now in memory.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        match self {
            Self::Git(_) => blocking(move || Ok(work())).await,
            Self::Memory(_) => Ok(work()),
        }
    }

    /// Whether a folder is there, be it a repository or not.
    pub(crate) fn exists(&self, folder: &Path) -> bool {
        match self {
            Self::Git(_) => folder.is_dir(),
            Self::Memory(memory) => memory.exists(folder),
        }
    }

    /// Removes a folder; one that is not there is no failure worth telling.
    pub(crate) fn remove(&self, folder: &Path) {
        match self {
            Self::Git(_) => drop(std::fs::remove_dir_all(folder)),
            Self::Memory(memory) => memory.remove(folder),
        }
    }

    /// Moves a folder.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Self::Git(_) => std::fs::rename(from, to),
            Self::Memory(memory) => memory.rename(from, to),
        }
    }

    /// Copies a folder, in place of what was there.
    pub(crate) fn copy(&self, from: &Path, to: &Path) {
        self.remove(to);
        match self {
            Self::Git(_) => real::copy(from, to).expect("the folder is ours"),
            Self::Memory(memory) => drop(memory.repo(from).map(|repo| memory.put(to, repo))),
        }
    }

    /// Makes a folder that is no repository.
    pub(crate) fn leave_folder(&self, folder: &Path) {
        match self {
            Self::Git(_) => std::fs::create_dir_all(folder).expect("the folder is ours"),
            Self::Memory(memory) => memory.init(folder, "master"),
        }
    }

    /// Makes an empty repository whose `HEAD` names `branch`.
    pub(crate) fn init(&self, folder: &Path, branch: &str) {
        match self {
            Self::Git(git) => real::init(git, folder, branch),
            Self::Memory(memory) => memory.init(folder, branch),
        }
    }

    /// Every ref under the prefixes, sorted by name. Empty when the folder is no repository.
    pub(crate) fn list(&self, folder: &Path, prefixes: &[&str]) -> Vec<Ref> {
        match self {
            Self::Git(git) => real::list(git, folder, prefixes),
            Self::Memory(memory) => memory.list(folder, prefixes),
        }
    }

    /// The heads and tags of a repository.
    pub(crate) fn heads_and_tags(&self, folder: &Path) -> Refs {
        self.list(folder, &["refs/heads", "refs/tags"]).into_iter().map(|r| (r.name, r.id)).collect()
    }

    /// The branch that `HEAD` names, whether or not it exists.
    pub(crate) fn head(&self, folder: &Path) -> Option<String> {
        match self {
            Self::Git(git) => real::head(git, folder),
            Self::Memory(memory) => memory.head(folder),
        }
    }

    /// Makes `HEAD` name a branch; whether that could be done.
    pub(crate) fn set_head(&self, folder: &Path, branch: &str) -> bool {
        match self {
            Self::Git(git) => real::set_head(git, folder, branch),
            Self::Memory(memory) => memory.set_head(folder, branch),
        }
    }

    /// Sets a ref; `None` removes it.
    pub(crate) fn update_ref(&self, folder: &Path, reference: &str, target: Option<&str>) {
        match self {
            Self::Git(git) => real::update_ref(git, folder, reference, target),
            Self::Memory(memory) => memory.update_ref(folder, reference, target),
        }
    }

    /// Makes many refs that stand for the same thing.
    pub(crate) fn update_refs(&self, folder: &Path, references: &[String], target: &str) {
        match self {
            Self::Git(git) => real::update_refs(git, folder, references, target),
            Self::Memory(memory) => references.iter().for_each(|r| memory.update_ref(folder, r, Some(target))),
        }
    }

    /// The object id that a name stands for.
    pub(crate) fn resolve(&self, folder: &Path, name: &str) -> Option<String> {
        match self {
            Self::Git(git) => real::resolve(git, folder, name),
            Self::Memory(memory) => memory.resolve(folder, name),
        }
    }

    /// Adds commits to a branch.
    pub(crate) fn commit(&self, folder: &Path, new: &NewCommits<'_>) {
        match self {
            Self::Git(git) => real::commit(git, folder, new),
            Self::Memory(memory) => memory.commit(folder, new),
        }
    }

    /// Makes or moves an annotated tag on a commit.
    pub(crate) fn annotate(&self, folder: &Path, tag: &str, target: &str, message: &str, date: i64) {
        match self {
            Self::Git(git) => real::annotate(git, folder, tag, target, message, date),
            Self::Memory(memory) => memory.annotate(folder, tag, target, message, date),
        }
    }

    /// Fields of commits, by object id: author, its address, committer, its address, time, message.
    pub(crate) fn commits(&self, folder: &Path, ids: &[String]) -> HashMap<String, Vec<String>> {
        match self {
            Self::Git(git) => real::commits(git, folder, ids),
            Self::Memory(memory) => memory.commits(folder, ids),
        }
    }

    /// The commits that `to` has and `from` has not; `None` when either is not there.
    pub(crate) fn range(&self, folder: &Path, from: &str, to: &str) -> Option<Vec<String>> {
        match self {
            Self::Git(git) => real::range(git, folder, from, to),
            Self::Memory(memory) => memory.range(folder, from, to),
        }
    }

    /// Whether two commits have a common ancestor.
    pub(crate) fn are_related(&self, folder: &Path, one: &str, other: &str) -> bool {
        match self {
            Self::Git(git) => real::are_related(git, folder, one, other),
            Self::Memory(memory) => memory.are_related(folder, one, other),
        }
    }

    /// The date of the youngest commit that a branch names.
    pub(crate) fn latest(&self, folder: &Path) -> Option<i64> {
        match self {
            Self::Git(git) => real::latest(git, folder),
            Self::Memory(memory) => memory.latest(folder),
        }
    }

    /// The size that Gitea would tell, in KiB.
    pub(crate) fn size(&self, folder: &Path) -> u64 {
        match self {
            Self::Git(_) => real::size(folder),
            Self::Memory(memory) => real::HOOKS + memory.list(folder, &[]).len() as u64,
        }
    }

    /// Answers one request of git's smart HTTP. The folder is there.
    pub(crate) async fn serve(&self, request: Backend) -> Response {
        match self {
            Self::Git(git) => git.http_backend(request).await,
            Self::Memory(memory) => memory.serve(&request),
        }
    }

    /// `git clone --mirror`, as Gitea does it.
    pub(crate) async fn clone_mirror(&self, remote: &Remote<'_>, folder: &Path) -> io::Result<Output> {
        match self {
            Self::Git(git) => real::clone_mirror(git, remote, folder).await,
            Self::Memory(memory) => Ok(memory.clone_mirror(remote, folder).await),
        }
    }

    /// `git fetch` in a mirror, as Gitea does it.
    pub(crate) async fn fetch(
        &self,
        password_file: &Path,
        follow: bool,
        folder: &Path,
        prune: bool,
    ) -> io::Result<Output> {
        match self {
            Self::Git(git) => real::fetch(git, password_file, follow, folder, prune).await,
            Self::Memory(memory) => Ok(memory.fetch(folder, follow, prune).await),
        }
    }

    /// Forgets the password that was kept out of a mirror's address.
    pub(crate) fn forget_password(&self, password_file: &Path, folder: &Path) {
        match self {
            // most clones need none
            Self::Git(_) => drop(std::fs::remove_file(password_file)),
            Self::Memory(memory) => memory.forget_password(folder),
        }
    }
}
