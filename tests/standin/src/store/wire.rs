//! Git's smart HTTP out of memory: the advertisement of protocol v0 and v2, `ls-refs`, and a pack of our own form,
//! which only [`super::remote`] reads. Byte for byte what `git http-backend` writes, but for the pack.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};

use super::memory::{Memory, Object, Repo};
use crate::fault;
use crate::git::Backend;

/// What the agent says that it is.
pub(super) const AGENT: &str = "git/2.39.5";

/// A packet of git's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// A line, without its line break.
    Line(&'a str),
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
}

/// One packet.
pub(crate) fn packet(line: &str) -> String {
    format!("{:04x}{line}\n", line.len() + 5)
}

/// Takes packets off a text; `None` at anything that is none, its end included.
pub(super) fn next<'a>(rest: &mut &'a str) -> Option<Packet<'a>> {
    let length = usize::from_str_radix(rest.get(..4)?, 16).ok()?;
    let (packet, end) = match length {
        0 => (Packet::Flush, 4),
        1 => (Packet::Delimiter, 4),
        4.. => (Packet::Line(rest.get(4..length)?.trim_end_matches('\n')), length),
        _ => return None,
    };
    *rest = &rest[end..];
    Some(packet)
}

/// The objects that a client asked for.
pub(super) type Pack = BTreeMap<String, Object>;

impl Memory {
    pub(super) fn serve(&self, request: &Backend) -> Response {
        let repo = self.repo(&request.folder).unwrap_or_default();
        let v2 = request.git_protocol.as_deref().is_some_and(|protocol| protocol.contains("version=2"));
        if request.path_info == "/info/refs" {
            if request.query != "service=git-upload-pack" {
                return fault::answer(403, "text/plain", String::new());
            }
            let list = || format!("{}0000{}", packet("# service=git-upload-pack"), advertisement(&repo));
            return answer("advertisement", if v2 { capabilities() } else { list() });
        }
        let body = String::from_utf8_lossy(&request.body);
        let mut rest = body.as_ref();
        let lines: Vec<&str> = std::iter::from_fn(|| match next(&mut rest)? {
            Packet::Line(line) => Some(Some(line)),
            Packet::Flush | Packet::Delimiter => Some(None),
        })
        .flatten()
        .collect();
        if lines.contains(&"command=ls-refs") {
            return answer("result", ls_refs(&repo, &lines));
        }
        let wants = lines.iter().filter_map(|line| line.strip_prefix("want "));
        answer("result", serde_json::to_string(&pack(&repo, wants)).unwrap_or_default())
    }
}

fn answer(kind: &str, body: String) -> Response {
    let mut response = fault::answer(200, &format!("application/x-git-upload-pack-{kind}"), body);
    let headers = response.headers_mut();
    headers.insert(EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    response
}

fn capabilities() -> String {
    let mut text = packet("version 2");
    let agent = format!("agent={AGENT}");
    for line in [
        &agent,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter",
        "server-option",
        "object-format=sha1",
        "object-info",
    ] {
        text += &packet(line);
    }
    text + "0000"
}

/// Protocol v0: all refs at once, `HEAD` first, tags followed by what they name.
fn advertisement(repo: &Repo) -> String {
    let head = repo.refs.get(&repo.head);
    let symref = head.map(|_| format!(" symref=HEAD:{}", repo.head)).unwrap_or_default();
    let mut capabilities = format!(
        "\0multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative \
         no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done{symref} \
         filter object-format=sha1 agent={AGENT}"
    );
    let mut text = String::new();
    for (name, id) in head.map(|id| ("HEAD", id)).into_iter().chain(repo.refs.iter().map(|(n, id)| (n.as_str(), id))) {
        text += &packet(&format!("{id} {name}{}", std::mem::take(&mut capabilities)));
        if let Some(peeled) = repo.peel(id) {
            text += &packet(&format!("{peeled} {name}^{{}}"));
        }
    }
    text + "0000"
}

fn ls_refs(repo: &Repo, lines: &[&str]) -> String {
    let prefixes: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("ref-prefix ")).collect();
    let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let (symrefs, peel) = (lines.contains(&"symrefs"), lines.contains(&"peel"));
    let mut text = String::new();
    if wanted("HEAD") {
        let target = if symrefs { format!(" symref-target:{}", repo.head) } else { String::new() };
        match repo.refs.get(&repo.head) {
            Some(id) => text += &packet(&format!("{id} HEAD{target}")),
            None if lines.contains(&"unborn") => text += &packet(&format!("unborn HEAD{target}")),
            None => {}
        }
    }
    for (name, id) in repo.refs.iter().filter(|(name, _)| wanted(name)) {
        let mut line = format!("{id} {name}");
        if let Some(peeled) = repo.peel(id).filter(|_| peel) {
            write!(line, " peeled:{peeled}").expect("writing to a String cannot fail");
        }
        text += &packet(&line);
    }
    text + "0000"
}

fn pack<'a>(repo: &Repo, wants: impl Iterator<Item = &'a str>) -> Pack {
    let mut pack = Pack::new();
    for want in wants {
        let history = repo.history(want);
        for id in std::iter::once(want.to_owned()).chain(history) {
            if let Some(object) = repo.objects.get(&id) {
                pack.insert(id, object.clone());
            }
        }
    }
    pack
}
