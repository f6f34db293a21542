//! What the `git` program does to a repository on disk. Every function but the last three of [`super::Store`]'s
//! blocks. Never touches a folder itself where git can.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use super::{NewCommits, Remote};
use crate::git::{Git, Output, blocking};
use crate::refs::Ref;

/// The example hooks of a real server's repositories, in KiB.
pub(super) const HOOKS: u64 = 23;

const FORMAT: &str =
    "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(*objectname)%00%(creatordate:unix)%00%(contents:subject)";

pub(super) fn init(git: &Git, folder: &Path, branch: &str) {
    let text = folder.to_string_lossy();
    let parent = folder.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).expect("the folder is ours");
    git.must(parent, &["init", "-q", "--bare", "--template=", "-b", branch, &text], b"");
}

pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub(super) fn list(git: &Git, folder: &Path, prefixes: &[&str]) -> Vec<Ref> {
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

pub(super) fn head(git: &Git, folder: &Path) -> Option<String> {
    let output = git.run_here(folder, &["symbolic-ref", "--short", "HEAD"], b"").ok()?;
    output.ok.then(|| output.text().trim().to_owned())
}

pub(super) fn set_head(git: &Git, folder: &Path, branch: &str) -> bool {
    let head = format!("refs/heads/{branch}");
    git.run_here(folder, &["symbolic-ref", "HEAD", &head], b"").is_ok_and(|output| output.ok)
}

pub(super) fn update_ref(git: &Git, folder: &Path, reference: &str, target: Option<&str>) {
    match target {
        Some(target) => git.must(folder, &["update-ref", reference, target], b""),
        None => git.must(folder, &["update-ref", "-d", reference], b""),
    };
}

pub(super) fn update_refs(git: &Git, folder: &Path, references: &[String], target: &str) {
    let mut stream = String::new();
    for reference in references {
        writeln!(stream, "update {reference} {target}").expect("writing to a String cannot fail");
    }
    git.must(folder, &["update-ref", "--stdin"], stream.as_bytes());
}

pub(super) fn resolve(git: &Git, folder: &Path, name: &str) -> Option<String> {
    let output = git.run_here(folder, &["rev-parse", "--verify", "--quiet", name], b"").ok()?;
    output.ok.then(|| output.text().trim().to_owned())
}

/// By `git fast-import`, so that thousands take no longer than a few.
pub(super) fn commit(git: &Git, folder: &Path, new: &NewCommits<'_>) {
    let (reference, (name, address)) = (new.reference, new.committer);
    let start = new.start.map(|start| format!("from {start}\n")).unwrap_or_default();
    let mut stream = format!("reset {reference}\n{start}\n");
    for (number, text) in new.messages.iter().enumerate() {
        let date = new.date + i64::try_from(number).unwrap_or_default();
        write!(stream, "commit {reference}\ncommitter {name} <{address}> {date} +0000\ndata {}\n{text}\n", text.len())
            .expect("writing to a String cannot fail");
        // One file and one tree for all of them: commits are what is wanted in thousands.
        if number == 0 {
            let (path, content) = new.file;
            write!(stream, "M 644 inline {path}\ndata {}\n{content}\n", content.len())
                .expect("writing to a String cannot fail");
        }
        stream.push('\n');
    }
    git.must(folder, &["fast-import", "--quiet", "--force"], stream.as_bytes());
}

pub(super) fn annotate(git: &Git, folder: &Path, tag: &str, target: &str, message: &str, date: i64) {
    let stream = format!(
        "tag {tag}\nfrom {target}\ntagger u <u@example.test> {date} +0000\ndata {}\n{message}\n",
        message.len()
    );
    git.must(folder, &["fast-import", "--quiet", "--force"], stream.as_bytes());
}

pub(super) fn commits(git: &Git, folder: &Path, ids: &[String]) -> HashMap<String, Vec<String>> {
    let mut args = vec!["log", "--no-walk=unsorted", "-z", "--format=%H%x1f%an%x1f%ae%x1f%cn%x1f%ce%x1f%ct%x1f%B"];
    args.extend(ids.iter().map(String::as_str));
    let output = if ids.is_empty() { None } else { git.run_here(folder, &args, b"").ok() };
    let text = output.map(|output| output.text()).unwrap_or_default();
    let fields = |record: &str| {
        let mut fields = record.split('\u{1f}').map(str::to_owned);
        Some((fields.next()?, fields.collect()))
    };
    text.split('\0').filter(|record| !record.is_empty()).filter_map(fields).collect()
}

pub(super) fn range(git: &Git, folder: &Path, from: &str, to: &str) -> Option<Vec<String>> {
    let range = format!("{from}..{to}");
    let output = git.run_here(folder, &["rev-list", &range, "--"], b"").ok()?;
    output.ok.then(|| output.text().lines().map(str::to_owned).collect())
}

pub(super) fn are_related(git: &Git, folder: &Path, one: &str, other: &str) -> bool {
    git.run_here(folder, &["merge-base", one, other], b"").is_ok_and(|output| output.ok)
}

pub(super) fn latest(git: &Git, folder: &Path) -> Option<i64> {
    let args = ["for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(committerdate:unix)", "refs/heads"];
    git.run_here(folder, &args, b"").ok()?.text().trim().parse().ok()
}

pub(super) fn size(folder: &Path) -> u64 {
    fn bytes(folder: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        entries
            .flatten()
            .map(|entry| match entry.metadata() {
                Ok(meta) if meta.is_dir() => bytes(&entry.path()),
                Ok(meta) => meta.len(),
                Err(_) => 0,
            })
            .sum()
    }
    HOOKS + bytes(folder) / 1024
}

pub(super) async fn clone_mirror(git: &Git, remote: &Remote<'_>, folder: &Path) -> io::Result<Output> {
    let text = folder.to_string_lossy();
    let address = keep_password(remote)?;
    let (follow, helper) = (follow_redirects(remote.follow), credential_helper(remote.password_file));
    let mut args = vec!["-c", follow.as_str(), "-c", helper.as_str(), "clone"];
    args.extend(["--quiet", "--template=", "--mirror", "--", address.as_str(), &text]);
    let parent = folder.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)?;
    let output = git.run(parent, &args).await?;
    if !output.ok {
        let leftover = folder.to_owned();
        // Git removes what it made, unless it was killed.
        drop(blocking(move || std::fs::remove_dir_all(leftover)).await);
        return Ok(output);
    }
    git.run(folder, &["config", "--add", "remote.origin.fetch", "+refs/tags/*:refs/tags/*"]).await?;
    Ok(output)
}

/// The address for git. Gitea leaves the password in it, and so in the mirror's configuration; Forgejo hands it to
/// git from elsewhere, and git asks without it first.
fn keep_password(remote: &Remote<'_>) -> io::Result<url::Url> {
    if !remote.apart || remote.address.password().is_none() {
        return Ok(remote.address.clone());
    }
    let (mut stored, mut named) = (remote.address.clone(), remote.address.clone());
    stored.set_path("");
    std::fs::write(remote.password_file, format!("{stored}\n"))?;
    // Cannot fail: the address has a host.
    let _ = named.set_password(None);
    Ok(named)
}

/// git's configuration for a password that is kept apart. Without one there is no such file, and git asks nobody else.
fn credential_helper(password_file: &Path) -> String {
    format!("credential.helper=store --file={}", password_file.display())
}

/// git's own default is `initial`.
fn follow_redirects(follow: bool) -> String {
    format!("http.followRedirects={}", if follow { "initial" } else { "false" })
}

pub(super) async fn fetch(
    git: &Git,
    password_file: &Path,
    follow: bool,
    folder: &Path,
    prune: bool,
) -> io::Result<Output> {
    let (follow, helper) = (follow_redirects(follow), credential_helper(password_file));
    let mut args = vec!["-c", follow.as_str(), "-c", helper.as_str(), "fetch", "--quiet", "--tags"];
    args.extend(prune.then_some("--prune"));
    args.push("origin");
    git.run(folder, &args).await
}
