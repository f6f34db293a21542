//! Reading the refs of a bare repository, for the stand-in's own answers and for tests. Never writes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::git::Git;

/// Full ref names with their object ids: the tag object's for an annotated tag.
pub type Refs = BTreeMap<String, String>;

/// One ref with what the API tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Ref {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The commit that an annotated tag names; the ref's own object otherwise.
    pub(crate) commit: String,
    pub(crate) subject: String,
    /// Seconds since 1970 of the tag or commit.
    pub(crate) created: i64,
}

const FORMAT: &str =
    "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(*objectname)%00%(creatordate:unix)%00%(contents:subject)";

/// Every ref under the prefixes, sorted by name. Empty when the folder is no repository.
pub(crate) fn list(git: &Git, folder: &Path, prefixes: &[&str]) -> Vec<Ref> {
    let mut args = vec!["for-each-ref", FORMAT];
    args.extend(prefixes);
    if !folder.is_dir() {
        return Vec::new();
    }
    let Ok(output) = git.run_here(folder, &args, b"") else {
        return Vec::new();
    };
    output.text().lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Ref> {
    let mut parts = line.splitn(6, '\0');
    let mut next = || parts.next().map(str::to_owned);
    let (name, id, kind) = (next()?, next()?, next()?);
    let peeled = next()?;
    let created = next()?.parse().unwrap_or_default();
    let subject = next()?;
    let commit = if peeled.is_empty() { id.clone() } else { peeled };
    Some(Ref { name, id, kind, commit, subject, created })
}

/// The heads and tags of a repository.
pub(crate) fn heads_and_tags(git: &Git, folder: &Path) -> Refs {
    list(git, folder, &["refs/heads", "refs/tags"]).into_iter().map(|r| (r.name, r.id)).collect()
}

/// The branch that `HEAD` names, whether or not it exists.
pub(crate) fn head(git: &Git, folder: &Path) -> Option<String> {
    let output = git.run_here(folder, &["symbolic-ref", "--short", "HEAD"], b"").ok()?;
    output.ok.then(|| output.text().trim().to_owned())
}
