//! Ref lists out of git's answers: `ls-refs` of protocol v2, and the advertisement of protocol v0.
//!
//! Owns what counts as a whole list: one that ends with its flush, and nothing else does. Whatever is not one is an
//! error, never a shorter list.

use std::collections::BTreeMap;

use super::pkt::{self, Packet};
use crate::domain::names::BranchName;
use crate::domain::refs::{ObjectId, RefList, RefName};

/// What `info/refs` said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advertisement {
    /// The server speaks v2: ask with `ls-refs`. `sha256`: its ids are SHA-256's.
    V2 {
        /// Whether the object format is SHA-256.
        sha256: bool,
    },
    /// The server speaks v0, and this is its list.
    V0(RefList),
    /// The service was named and nothing came after: Gitea's answer for a repository without a folder.
    NothingAfterService,
}

/// Why bytes are no list. The texts go to people; none repeats what was received but [`NotAList::Refused`], which the
/// caller redacts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAList {
    #[error("an empty answer")]
    Empty,
    #[error("a web page instead of git's answer")]
    Page,
    #[error("an answer that is not git's")]
    NotGit,
    #[error("a list that breaks off before its end")]
    NoEnd,
    #[error("a list with a line that git does not write")]
    BadLine,
    #[error("git's error: {0}")]
    Refused(String),
}

/// Reads the answer to `info/refs?service=git-upload-pack`.
pub(super) fn advertisement(body: &[u8]) -> Result<Advertisement, NotAList> {
    let mut buffer = body;
    let mut first = packet(&mut buffer, body)?;
    if first == Packet::Data(b"# service=git-upload-pack") {
        if packet(&mut buffer, body)? != Packet::Flush {
            return Err(NotAList::NotGit);
        }
        if buffer.is_empty() {
            return Ok(Advertisement::NothingAfterService);
        }
        first = packet(&mut buffer, body)?;
    }
    match first {
        Packet::Data(b"version 2") => v2_capabilities(buffer),
        Packet::Data(b"version 1") => {
            let first = packet(&mut buffer, body)?;
            v0(first, buffer)
        }
        first @ (Packet::Data(_) | Packet::Flush) => v0(first, buffer),
        Packet::Delimiter => Err(NotAList::NotGit),
    }
}

fn v2_capabilities(mut buffer: &[u8]) -> Result<Advertisement, NotAList> {
    let (mut ls_refs, mut sha256) = (false, false);
    loop {
        match pkt::next(&mut buffer) {
            Some(Ok(Packet::Data(line))) => {
                ls_refs |= line == b"ls-refs" || line.starts_with(b"ls-refs=");
                sha256 |= line == b"object-format=sha256";
            }
            Some(Ok(Packet::Flush)) if !buffer.is_empty() => return Err(NotAList::NotGit),
            Some(Ok(Packet::Flush)) if ls_refs => return Ok(Advertisement::V2 { sha256 }),
            Some(Ok(Packet::Flush | Packet::Delimiter) | Err(pkt::NotPackets)) => {
                return Err(NotAList::NotGit);
            }
            None => return Err(NotAList::NoEnd),
        }
    }
}

fn v0(first: Packet<'_>, mut buffer: &[u8]) -> Result<Advertisement, NotAList> {
    let mut list = Lines::default();
    let mut next = first;
    loop {
        match next {
            Packet::Flush if buffer.is_empty() => return Ok(Advertisement::V0(list.complete())),
            Packet::Flush | Packet::Delimiter => return Err(NotAList::NotGit),
            Packet::Data(line) => {
                let (line, capabilities) = line
                    .iter()
                    .position(|byte| *byte == 0)
                    .map_or((line, None), |at| (&line[..at], Some(&line[at + 1..])));
                let line = text(line)?;
                refuse_errors(line)?;
                let (id, name) = line.split_once(' ').ok_or(NotAList::BadLine)?;
                list.head = list.head.or_else(|| head_of(capabilities));
                list.add(id, name)?;
            }
        }
        next = match pkt::next(&mut buffer) {
            Some(Ok(packet)) => packet,
            Some(Err(pkt::NotPackets)) => return Err(NotAList::NotGit),
            None => return Err(NotAList::NoEnd),
        };
    }
}

/// The branch that the capability `symref=HEAD:refs/heads/…` names.
fn head_of(capabilities: Option<&[u8]>) -> Option<BranchName> {
    let capabilities = std::str::from_utf8(capabilities?).ok()?;
    let target = capabilities.split(' ').find_map(|one| one.strip_prefix("symref=HEAD:"))?;
    RefName::parse(target)?.branch()
}

/// The body of a v2 `ls-refs` request for heads, tags and `HEAD`.
pub(super) fn ls_refs_request(sha256: bool) -> String {
    let mut request = pkt::line("command=ls-refs");
    request += &pkt::line(concat!("agent=cutover-api/", env!("CARGO_PKG_VERSION")));
    if sha256 {
        request += &pkt::line("object-format=sha256");
    }
    request += "0001";
    for line in ["symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"] {
        request += &pkt::line(line);
    }
    request + "0000"
}

/// Reads the answer to `ls-refs`.
pub(super) fn ls_refs(body: &[u8]) -> Result<RefList, NotAList> {
    if body.is_empty() {
        return Err(NotAList::Empty);
    }
    let mut buffer = body;
    let mut list = Lines::default();
    loop {
        match pkt::next(&mut buffer) {
            Some(Ok(Packet::Flush)) if buffer.is_empty() => return Ok(list.complete()),
            Some(Ok(Packet::Flush | Packet::Delimiter)) => return Err(NotAList::NotGit),
            Some(Err(pkt::NotPackets)) => return Err(not_packets(body)),
            None => return Err(NotAList::NoEnd),
            Some(Ok(Packet::Data(line))) => {
                let line = text(line)?;
                refuse_errors(line)?;
                let mut words = line.split(' ');
                let (id, name) = (words.next().unwrap_or_default(), words.next().ok_or(NotAList::BadLine)?);
                let target = words.find_map(|word| word.strip_prefix("symref-target:"));
                if name == "HEAD" {
                    list.head = target.and_then(RefName::parse).and_then(|target| target.branch());
                }
                // `unborn HEAD`: a repository without a commit
                if id != "unborn" {
                    list.add(id, name)?;
                }
            }
        }
    }
}

#[derive(Default)]
struct Lines {
    refs: BTreeMap<RefName, ObjectId>,
    head: Option<BranchName>,
}

impl Lines {
    fn add(&mut self, id: &str, name: &str) -> Result<(), NotAList> {
        let id = ObjectId::parse(id).map_err(|_| NotAList::BadLine)?;
        // `HEAD`, refs that are neither heads nor tags, `capabilities^{}` of an empty repository, and what a tag peels to
        if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") || name.ends_with("^{}") {
            return Ok(());
        }
        // a name stands once: of two, nobody could say which holds
        let name = RefName::parse(name).ok_or(NotAList::BadLine)?;
        if self.refs.insert(name, id).is_some() { Err(NotAList::BadLine) } else { Ok(()) }
    }

    fn complete(self) -> RefList {
        RefList::complete(self.refs, self.head)
    }
}

fn packet<'a>(buffer: &mut &'a [u8], body: &[u8]) -> Result<Packet<'a>, NotAList> {
    match pkt::next(buffer) {
        Some(Ok(packet)) => Ok(packet),
        Some(Err(pkt::NotPackets)) => Err(not_packets(body)),
        None if body.is_empty() => Err(NotAList::Empty),
        None => Err(NotAList::NoEnd),
    }
}

fn not_packets(body: &[u8]) -> NotAList {
    let start = body[..body.len().min(256)].to_ascii_lowercase();
    if start.windows(5).any(|window| window == b"<html" || window == b"<!doc") {
        NotAList::Page
    } else {
        NotAList::NotGit
    }
}

/// git allows any bytes in a ref's name but its own special ones; forges only take UTF-8, and so do we.
fn text(line: &[u8]) -> Result<&str, NotAList> {
    std::str::from_utf8(line).map_err(|_| NotAList::BadLine)
}

fn refuse_errors(line: &str) -> Result<(), NotAList> {
    match line.strip_prefix("ERR ") {
        Some(message) => Err(NotAList::Refused(message.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn lines(lines: &[&str]) -> String {
        lines.iter().map(|line| pkt::line(line)).collect::<String>() + "0000"
    }

    #[test]
    fn an_ls_refs_answer_gives_heads_tags_and_the_branch_of_head() {
        let body = lines(&[
            &format!("{A} HEAD symref-target:refs/heads/main"),
            &format!("{A} refs/heads/main"),
            &format!("{B} refs/tags/v1 peeled:{A}"),
            &format!("{B} refs/pull/1/head"),
        ]);
        let list = ls_refs(body.as_bytes()).unwrap();
        assert_eq!((list.len(), list.head().unwrap().as_str()), (2, "main"));
        assert_eq!(list.get(&RefName::parse("refs/tags/v1").unwrap()).unwrap().as_str(), B);
    }

    #[test]
    fn a_list_without_its_end_is_an_error_at_every_byte() {
        let body = lines(&[&format!("{A} HEAD symref-target:refs/heads/main"), &format!("{A} refs/heads/main")]);
        for cut in 0..body.len() {
            assert!(ls_refs(&body.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        let advertised = format!("001e# service=git-upload-pack\n0000{body}");
        for cut in 0..advertised.len() {
            let seen = advertisement(&advertised.as_bytes()[..cut]);
            assert!(matches!(seen, Err(_) | Ok(Advertisement::NothingAfterService)), "cut at {cut}: {seen:?}");
        }
    }

    #[test]
    fn a_v0_advertisement_is_read_as_it_stands() {
        let body = format!("{}0000", pkt::line("# service=git-upload-pack"))
            + &lines(&[
                &format!("{A} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.39.5"),
                &format!("{A} refs/heads/main"),
                &format!("{B} refs/tags/v1"),
                &format!("{A} refs/tags/v1^{{}}"),
            ]);
        let Ok(Advertisement::V0(list)) = advertisement(body.as_bytes()) else { panic!("not v0") };
        assert_eq!((list.len(), list.head().unwrap().as_str()), (2, "main"));
    }

    #[test]
    fn an_empty_repository_is_a_whole_and_empty_list() {
        for empty in [
            "001e# service=git-upload-pack\n00000000".to_owned(),
            format!(
                "001e# service=git-upload-pack\n0000{}",
                lines(&[&format!("{} capabilities^{{}}\0agent=git/2", "0".repeat(40))])
            ),
        ] {
            assert_eq!(advertisement(empty.as_bytes()), Ok(Advertisement::V0(RefList::default())), "{empty}");
        }
        assert_eq!(ls_refs(b"002eunborn HEAD symref-target:refs/heads/main\n0000").map(|list| list.len()), Ok(0));
    }

    #[test]
    fn what_is_not_gits_says_what_it_is() {
        assert_eq!(advertisement(b"<html><body>Sign in</body></html>"), Err(NotAList::Page));
        assert_eq!(advertisement(b"hello\n"), Err(NotAList::NotGit));
        assert_eq!(advertisement(b""), Err(NotAList::Empty));
        assert_eq!(ls_refs(b""), Err(NotAList::Empty));
        assert_eq!(advertisement(b"001e# service=git-upload-pack\n0000"), Ok(Advertisement::NothingAfterService));
        assert_eq!(ls_refs(lines(&["ERR access denied"]).as_bytes()), Err(NotAList::Refused("access denied".into())));
        assert_eq!(ls_refs(lines(&["zz refs/heads/main"]).as_bytes()), Err(NotAList::BadLine));
        assert_eq!(ls_refs(lines(&[&format!("{A} refs/heads/../x")]).as_bytes()), Err(NotAList::BadLine));
        let twice = lines(&[&format!("{A} refs/heads/x"), &format!("{B} refs/heads/x")]);
        assert_eq!(ls_refs(twice.as_bytes()), Err(NotAList::BadLine));
    }

    #[test]
    fn v2_is_recognised_with_its_object_format() {
        let v2 = |capabilities: &[&str]| {
            let body = format!("001e# service=git-upload-pack\n0000{}", lines(capabilities));
            advertisement(body.as_bytes())
        };
        assert_eq!(
            v2(&["version 2", "agent=git/2", "ls-refs=unborn", "object-format=sha1"]),
            Ok(Advertisement::V2 { sha256: false })
        );
        assert_eq!(v2(&["version 2", "ls-refs", "object-format=sha256"]), Ok(Advertisement::V2 { sha256: true }));
        assert_eq!(v2(&["version 2", "fetch=shallow"]), Err(NotAList::NotGit));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = advertisement(&bytes);
            let _ = ls_refs(&bytes);
        }

        #[test]
        fn no_lines_make_the_parsers_panic(words in proptest::collection::vec("[ -~]{0,60}", 0..6)) {
            let body = lines(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let _ = ls_refs(body.as_bytes());
            let _ = advertisement(body.as_bytes());
        }
    }
}
