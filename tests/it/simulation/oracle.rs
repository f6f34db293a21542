//! What must hold of a run that has ended, and of a story that has. A run's own words are held against what the
//! servers really held when it read them: the record of the wire, not the service, is believed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use standin::Refs;

use super::setting::Setting;
use super::shared::{Reading, Sent, Shared};
use super::{OWNER, REPO};

/// Problems that a person has to do something about, in a state that only a person can change.
pub(super) const NEEDS_A_PERSON: &[&str] =
    &["not-a-mirror", "broken-mirror", "upstream-mismatch", "ref-conflict", "archived", "upstream-credential-stale"];

/// A digest as the service writes it, made here anew: of the names that upstream has.
fn digest(of: &Refs, upstream: &Refs) -> String {
    let mut text = String::new();
    for (name, id) in of.iter().filter(|(name, _)| upstream.contains_key(*name)) {
        writeln!(text, "{id} {name}").unwrap();
    }
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Judges a run that has ended, once.
pub(super) fn judge(shared: &Shared, who: usize, run: &Value, setting: &Setting) {
    let part = &run["mirrors"][0];
    let (status, problem) = (run["status"].as_str().unwrap_or_default(), part["problem"]["error"].as_str());
    shared.note(&format!("s{who} run ended: {status} {} {}", part["outcome"], part["problem"]["error"]));
    let broken = |rule: &str| shared.broken(&format!("{rule}: {run}"));
    match status {
        "succeeded" => {
            if problem.is_some() {
                broken("a success with a problem");
            }
            if let Err(rule) = proven(shared, who, run, setting.prune) {
                broken(&format!("a false success ({rule})"));
            }
            if let Err(rule) = told_what_it_did(shared, who, run, setting) {
                broken(&format!("an outcome that is not what was done ({rule})"));
            }
        }
        "unverified" if !matches!(problem, Some("upstream-unreachable" | "upstream-tls")) => {
            broken("unverified for another reason");
        }
        "failed" if problem.is_none() => broken("a failure without a problem"),
        "unverified" | "failed" | "canceled" => {}
        _ => broken("a run without an end"),
    }
    if status != "succeeded" && (!part["outcome"].is_null() || !part["evidence"].is_null()) {
        broken("an outcome or evidence without a success");
    }
}

/// The outcome of a success is what Gitea was made to do: everything that it claims was sent and done, and what was done
/// it does not keep quiet about. One driver's end is the end of every run that waited for it.
fn told_what_it_did(shared: &Shared, who: usize, run: &Value, setting: &Setting) -> Result<(), String> {
    let outcome = run["mirrors"][0]["outcome"].as_str().unwrap_or_default();
    let read_at = run["mirrors"][0]["evidence"]["giteaReadAt"].as_str().ok_or("no time of reading")?;
    let together = shared.ended_with(who, read_at);
    // a journal without room knows of no end
    if !together.contains(run["id"].as_str().unwrap_or_default()) {
        return Ok(());
    }
    let lost = shared.a_sync_was_lost(who, &together);
    let done = shared.gitea.done();
    let state = shared.state();
    let sent: Vec<&Sent> = state.sent.iter().filter(|sent| sent.who == who && together.contains(&sent.run)).collect();
    // it may have been done after its answer was lost; another service's, if there is one, looks the same
    let was_done = |sent: &Sent| done[sent.from..].iter().any(|done| done.kind == sent.kind);
    let claims = |intents: &[&str]| sent.iter().any(|sent| intents.contains(&sent.intent.as_str()) && was_done(sent));
    let (migrate, settings) = (&["migrate"][..], &["patch_settings", "patch_default_branch"][..]);
    let claimed: &[&[&str]] = match outcome {
        "replaced" => &[&["rename_aside"], migrate],
        // of two services either may find done what it was about to do
        "repaired" if setting.twins => &[migrate],
        "repaired" => &[&["delete_placeholder"], migrate],
        "created" => &[migrate],
        "updated" => &[settings],
        // nobody knows whether it was this one that brought the refs, or somebody else's
        "synced" if lost => &[],
        "synced" => &[&["mirror_sync"]],
        "noop" => &[],
        _ => return Err("no such outcome".to_owned()),
    };
    if let Some(lacking) = claimed.iter().find(|intents| !claims(intents)) {
        return Err(format!("{outcome}, and none of {lacking:?} was done"));
    }
    if setting.twins || !state.strangers.is_empty() {
        return Ok(());
    }
    let most = |intent: &str| match intent {
        "rename_aside" => &["replaced"][..],
        "delete_placeholder" => &["replaced", "repaired"],
        "migrate" => &["replaced", "repaired", "created"],
        "patch_settings" | "patch_default_branch" => &["replaced", "repaired", "created", "updated"],
        "mirror_sync" => &["replaced", "repaired", "created", "updated", "synced"],
        _ => &["replaced", "repaired", "created", "updated", "synced", "noop"],
    };
    match sent.iter().find(|sent| sent.done && !most(&sent.intent).contains(&outcome)) {
        Some(sent) => Err(format!("{outcome}, and {} was done", sent.intent)),
        None => Ok(()),
    }
}

fn proven(shared: &Shared, who: usize, run: &Value, prune: bool) -> Result<(), String> {
    let evidence = &run["mirrors"][0]["evidence"];
    let state = shared.state();
    let find = |member: &str, of_gitea: bool| {
        let at: Timestamp = evidence[member].as_str().and_then(|at| at.parse().ok()).ok_or("no time of reading")?;
        let mine = |one: &&Reading| one.who == who && one.of_gitea == of_gitea && one.wall == at;
        state.readings.iter().rev().find(mine).ok_or_else(|| format!("{member}: nothing was read at {at}"))
    };
    let (upstream, gitea) = (find("upstreamReadAt", false)?, find("giteaReadAt", true)?);
    let claimed = evidence["upstreamDigest"].as_str().unwrap_or_default();
    let theirs = upstream.held.iter().find(|held| digest(held, held) == claimed);
    let theirs = theirs.ok_or("upstream had no such list when it was read")?;
    let ours = gitea.held.iter().find(|held| digest(held, theirs) == claimed);
    let ours = ours.ok_or("Gitea did not hold upstream's list when it was read")?;
    if evidence["giteaDigest"] != evidence["upstreamDigest"] {
        return Err("the two digests differ".into());
    }
    if theirs.is_empty() || evidence["refs"] != theirs.len() {
        return Err(format!("{} refs are claimed, upstream had {}", evidence["refs"], theirs.len()));
    }
    let more = ours.len() - theirs.len();
    if evidence["onlyInGitea"] != more || prune && more > 0 {
        return Err(format!("{more} refs are only in Gitea, pruning {prune}"));
    }
    if evidence["trackedCommit"].as_str() != theirs.get("refs/heads/main").map(String::as_str) {
        return Err("the tracked commit is another".into());
    }
    let ended: Timestamp = run["finishedAt"].as_str().and_then(|at| at.parse().ok()).ok_or("no end")?;
    // a clock that was set in between tells no order
    let in_order = (0..5).contains(&ended.duration_since(gitea.wall).as_secs());
    if in_order && state.changed.iter().any(|(by, at)| *by == who && *at > gitea.wall && *at <= ended) {
        return Err("Gitea was changed after it was read".into());
    }
    Ok(())
}

/// Judges what a success must have left behind.
pub(super) fn judge_settings(shared: &Shared) {
    let interval = shared.gitea.repository(OWNER, REPO).and_then(|view| view.interval);
    if interval != Some(Duration::from_mins(10)) {
        shared.broken(&format!("a success with the interval {interval:?}"));
    }
}

/// What somebody else owns: repositories by id, with what they held.
pub(super) type Precious = BTreeMap<u64, Refs>;

/// Judges a story at its end.
pub(super) fn judge_the_end(shared: &Shared, precious: &Precious, prune: bool) {
    let views = shared.gitea.repositories();
    for (id, held) in precious {
        let Some(view) = views.iter().find(|view| view.id == *id) else {
            shared.broken(&format!("somebody's repository {id} is gone"));
            continue;
        };
        let (owner, name) = view.full_name.split_once('/').unwrap();
        let now = shared.gitea.heads_and_tags(owner, name);
        if &now != held {
            shared.broken(&format!("somebody's repository {} held {held:?} and holds {now:?}", view.full_name));
        }
    }
    let Some(view) = shared.gitea.repository(OWNER, REPO) else { return };
    let now = shared.gitea.heads_and_tags(OWNER, REPO);
    let once = shared.state().once_held.get(&view.id).cloned().unwrap_or_default();
    let lost: Vec<_> = once.iter().filter(|name| !now.contains_key(*name)).collect();
    // what a clone brought before pruning could be switched off is not ours to answer for: there was no sync
    if !prune && !lost.is_empty() {
        shared.broken(&format!("with pruning off the mirror lost {lost:?}"));
    }
}
