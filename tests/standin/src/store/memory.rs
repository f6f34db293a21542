//! Repositories in memory: refs, `HEAD`, and just enough of an object to tell history apart. A commit has a parent, a
//! message and a date, and no content. Blocks nobody and starts nothing.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use serde::{Deserialize, Serialize};
use url::Url;

use super::NewCommits;
use crate::refs::Ref;

/// A commit, or the object of an annotated tag.
#[derive(Clone, Debug, Hash, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    /// The commit that a tag's object names; `None`: this is a commit.
    pub(super) target: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) who: (String, String),
    pub(super) date: i64,
    pub(super) message: String,
}

impl Object {
    /// Forty hexadecimal digits that are another for whatever is another.
    fn id(&self) -> String {
        let part = |salt: u8| {
            // Its keys are fixed, so that ids repeat from run to run.
            let mut hasher = DefaultHasher::new();
            (salt, self).hash(&mut hasher);
            hasher.finish()
        };
        format!("{:016x}{:016x}{:08x}", part(1), part(2), part(3) >> 32)
    }
}

/// One repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Repo {
    pub(super) refs: BTreeMap<String, String>,
    /// The full name of the branch that `HEAD` names.
    pub(super) head: String,
    pub(super) objects: BTreeMap<String, Object>,
    /// Where it was cloned from, with its credential.
    pub(super) remote: Option<Url>,
}

impl Repo {
    fn add(&mut self, object: Object) -> String {
        let id = object.id();
        self.objects.insert(id.clone(), object);
        id
    }

    /// The commit that an object is or names.
    pub(super) fn peel(&self, id: &str) -> Option<String> {
        self.objects.get(id)?.target.clone()
    }

    fn resolve(&self, name: &str) -> Option<String> {
        if let Some(of) = name.strip_suffix("^{commit}") {
            let id = self.resolve(of)?;
            return Some(self.peel(&id).unwrap_or(id));
        }
        if let Some(of) = name.strip_suffix('^') {
            let id = self.resolve(&format!("{of}^{{commit}}"))?;
            return self.objects.get(&id)?.parent.clone();
        }
        if self.objects.contains_key(name) {
            return Some(name.to_owned());
        }
        let names = match name {
            "HEAD" => vec![self.head.clone()],
            _ => vec![name.to_owned(), format!("refs/tags/{name}"), format!("refs/heads/{name}")],
        };
        names.iter().find_map(|name| self.refs.get(name).cloned())
    }

    /// A commit and all that came before it.
    pub(super) fn history(&self, from: &str) -> Vec<String> {
        let mut history = Vec::new();
        let mut next = Some(self.peel(from).unwrap_or_else(|| from.to_owned()));
        while let Some(id) = next {
            next = self.objects.get(&id).and_then(|object| object.parent.clone());
            history.push(id);
        }
        history
    }

    /// The ref that git cannot store beside `name`: its folder, or one in it.
    pub(super) fn blocking(&self, name: &str) -> Option<String> {
        let (folder, inner) = (|a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/')), name);
        self.refs.keys().find(|other| folder(other, inner) || folder(inner, other)).cloned()
    }
}

/// The servers that can be reached from memory, by host and port.
type Network = Arc<Mutex<BTreeMap<String, Router>>>;

/// All repositories of one stand-in; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    repos: Arc<Mutex<HashMap<PathBuf, Repo>>>,
    pub(super) network: Network,
    /// How long a clone or a fetch may take, by tokio's clock.
    pub(super) limit: Duration,
}

impl Memory {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { repos: Arc::default(), network: Arc::default(), limit }
    }

    /// Makes a server reachable.
    pub(crate) fn reach(&self, authority: &str, router: Router) {
        self.network.lock().expect("no code panics while holding this lock").insert(authority.to_owned(), router);
    }

    fn repos(&self) -> MutexGuard<'_, HashMap<PathBuf, Repo>> {
        self.repos.lock().expect("no code panics while holding this lock")
    }

    /// A copy of a repository.
    pub(super) fn repo(&self, folder: &Path) -> Option<Repo> {
        self.repos().get(folder).cloned()
    }

    pub(super) fn put(&self, folder: &Path, repo: Repo) {
        self.repos().insert(folder.to_owned(), repo);
    }

    /// Changes a repository that is there.
    pub(super) fn change<T>(&self, folder: &Path, change: impl FnOnce(&mut Repo) -> T) -> Option<T> {
        self.repos().get_mut(folder).map(change)
    }

    pub(super) fn exists(&self, folder: &Path) -> bool {
        self.repos().contains_key(folder)
    }

    pub(super) fn remove(&self, folder: &Path) {
        self.repos().remove(folder);
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut repos = self.repos();
        let repo = repos.remove(from).ok_or_else(|| io::Error::from_raw_os_error(2))?;
        repos.insert(to.to_owned(), repo);
        Ok(())
    }

    pub(super) fn init(&self, folder: &Path, branch: &str) {
        self.put(folder, Repo { head: format!("refs/heads/{branch}"), ..Repo::default() });
    }

    pub(super) fn list(&self, folder: &Path, prefixes: &[&str]) -> Vec<Ref> {
        let repos = self.repos();
        let Some(repo) = repos.get(folder) else { return Vec::new() };
        let wanted = |name: &str| {
            let under = |prefix: &&str| {
                name.strip_prefix(*prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
            };
            prefixes.is_empty() || prefixes.iter().any(under)
        };
        let refs = repo.refs.iter().filter(|(name, _)| wanted(name));
        refs.filter_map(|(name, id)| {
            let object = repo.objects.get(id)?;
            Some(Ref {
                name: name.clone(),
                id: id.clone(),
                kind: if object.target.is_some() { "tag" } else { "commit" }.to_owned(),
                commit: object.target.clone().unwrap_or_else(|| id.clone()),
                subject: object.message.lines().next().unwrap_or_default().to_owned(),
                created: object.date,
            })
        })
        .collect()
    }

    pub(super) fn head(&self, folder: &Path) -> Option<String> {
        self.repos().get(folder).map(|repo| repo.head.trim_start_matches("refs/heads/").to_owned())
    }

    pub(super) fn set_head(&self, folder: &Path, branch: &str) -> bool {
        self.change(folder, |repo| repo.head = format!("refs/heads/{branch}")).is_some()
    }

    /// Panics on what git refuses: these are fixtures.
    pub(super) fn update_ref(&self, folder: &Path, reference: &str, target: Option<&str>) {
        let done = self.change(folder, |repo| {
            let Some(target) = target else { return repo.refs.remove(reference).is_some() };
            let (blocking, id) = (repo.blocking(reference), repo.resolve(target));
            match (blocking, id) {
                (None, Some(id)) => {
                    repo.refs.insert(reference.to_owned(), id);
                    true
                }
                _ => false,
            }
        });
        assert_eq!(done, Some(true), "update-ref {reference} {target:?} in {}", folder.display());
    }

    pub(super) fn resolve(&self, folder: &Path, name: &str) -> Option<String> {
        self.repos().get(folder)?.resolve(name)
    }

    pub(super) fn commit(&self, folder: &Path, new: &NewCommits<'_>) {
        let done = self.change(folder, |repo| {
            let mut parent = new.start.and_then(|start| repo.resolve(&format!("{start}^{{commit}}")));
            for (number, message) in new.messages.iter().enumerate() {
                let date = new.date + i64::try_from(number).unwrap_or_default();
                let who = (new.committer.0.to_owned(), new.committer.1.to_owned());
                parent = Some(repo.add(Object { target: None, parent, who, date, message: message.clone() }));
            }
            repo.refs.extend(parent.map(|id| (new.reference.to_owned(), id)));
        });
        assert!(done.is_some(), "no repository in {}", folder.display());
    }

    pub(super) fn annotate(&self, folder: &Path, tag: &str, target: &str, message: &str, date: i64) {
        self.change(folder, |repo| {
            let who = ("u".to_owned(), "u@example.test".to_owned());
            let message = message.to_owned();
            let id = repo.add(Object { target: Some(target.to_owned()), parent: None, who, date, message });
            repo.refs.insert(format!("refs/tags/{tag}"), id);
        });
    }

    pub(super) fn commits(&self, folder: &Path, ids: &[String]) -> HashMap<String, Vec<String>> {
        let repos = self.repos();
        let Some(repo) = repos.get(folder) else { return HashMap::new() };
        let fields = |id: &String| {
            let object = repo.objects.get(id)?;
            let (name, address) = &object.who;
            let people = [name, address, name, address].map(String::clone);
            Some((id.clone(), people.into_iter().chain([object.date.to_string(), object.message.clone()]).collect()))
        };
        ids.iter().filter_map(fields).collect()
    }

    pub(super) fn range(&self, folder: &Path, from: &str, to: &str) -> Option<Vec<String>> {
        let repos = self.repos();
        let repo = repos.get(folder)?;
        if !repo.objects.contains_key(from) || !repo.objects.contains_key(to) {
            return None;
        }
        let known = repo.history(from);
        Some(repo.history(to).into_iter().filter(|id| !known.contains(id)).collect())
    }

    pub(super) fn are_related(&self, folder: &Path, one: &str, other: &str) -> bool {
        let repos = self.repos();
        let Some(repo) = repos.get(folder) else { return false };
        let known = repo.history(one);
        repo.history(other).iter().any(|id| known.contains(id))
    }

    pub(super) fn latest(&self, folder: &Path) -> Option<i64> {
        let heads = self.list(folder, &["refs/heads"]);
        heads.iter().map(|head| head.created).max()
    }

    pub(super) fn forget_password(&self, folder: &Path) {
        self.change(folder, |repo| {
            if let Some(remote) = &mut repo.remote {
                // cannot fail: the address has a host
                let _ = remote.set_password(None);
            }
        });
    }
}
