//! Ref lists out of git's answers: `ls-refs` of protocol v2, and the advertisement of protocol v0.
//!
//! Owns what counts as a whole list: one that ends with its flush, and nothing else does. Whatever is not one is an
//! error, never a shorter list. Each line goes into the list as it arrives.

use bytes::Bytes;

use super::pkt::{self, Broken, Packet, Packets};
use crate::domain::answer::{Oversize, Trouble};
use crate::domain::names::BranchName;
use crate::domain::refs::{NotAdded, ObjectId, RefList, RefListBuilder, RefName, is_head_or_tag};

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

/// Why no list came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// What came is no list.
    NotAList(NotAList),
    /// It is one, and larger than what is held.
    Oversize(Oversize),
    /// It could not be read to its end.
    Trouble(Trouble),
}

impl From<NotAList> for Unread {
    fn from(why: NotAList) -> Self {
        Self::NotAList(why)
    }
}

impl From<NotAdded> for Unread {
    fn from(why: NotAdded) -> Self {
        match why {
            // a name stands once: of two, it is not known which counts
            NotAdded::BadName | NotAdded::BadId | NotAdded::Twice => Self::NotAList(NotAList::BadLine),
            NotAdded::LongName(name) => Self::Oversize(Oversize::Name(name)),
            NotAdded::TooLarge(fitted) => Self::Oversize(Oversize::List(fitted)),
        }
    }
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

/// Reads the answer to `info/refs?service=git-upload-pack`. A list may take so many bytes of memory.
pub(super) async fn advertisement(packets: &mut Packets, room: usize) -> Result<Advertisement, Unread> {
    let mut first = packet(packets).await?;
    if is_line(&first, b"# service=git-upload-pack") {
        if packet(packets).await? != Packet::Flush {
            return Err(NotAList::NotGit.into());
        }
        if packets.have_ended().await.map_err(Unread::Trouble)? {
            return Ok(Advertisement::NothingAfterService);
        }
        first = packet(packets).await?;
    }
    if is_line(&first, b"version 2") {
        return v2_capabilities(packets).await;
    }
    if is_line(&first, b"version 1") {
        first = packet(packets).await?;
    }
    v0(first, packets, room).await
}

async fn v2_capabilities(packets: &mut Packets) -> Result<Advertisement, Unread> {
    let (mut ls_refs, mut sha256) = (false, false);
    while let Some(line) = line(packet(packets).await?, packets).await? {
        ls_refs |= line == "ls-refs" || line.starts_with(b"ls-refs=");
        sha256 |= line == "object-format=sha256";
    }
    if ls_refs { Ok(Advertisement::V2 { sha256 }) } else { Err(NotAList::NotGit.into()) }
}

async fn v0(first: Packet, packets: &mut Packets, room: usize) -> Result<Advertisement, Unread> {
    let mut list = Lines::within(room);
    let mut next = first;
    while let Some(line) = line(next, packets).await? {
        let (line, capabilities) = split_at(&line, 0).map_or((&line[..], None), |(line, rest)| (line, Some(rest)));
        refuse_errors(line)?;
        if let Some(capabilities) = capabilities {
            let target = capabilities.split(|byte| *byte == b' ').find_map(|one| one.strip_prefix(b"symref=HEAD:"));
            list.head = list.head.or_else(|| branch_of(target?));
        }
        let (id, name) = split_at(line, b' ').ok_or(NotAList::BadLine)?;
        if id == b"shallow" {
            list.refs.mark_shallow();
        } else {
            list.add(id, name)?;
        }
        next = packet(packets).await?;
    }
    Ok(Advertisement::V0(list.complete()?))
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

/// Reads the answer to `ls-refs`. The list may take so many bytes of memory.
pub(super) async fn ls_refs(packets: &mut Packets, room: usize) -> Result<RefList, Unread> {
    let mut list = Lines::within(room);
    while let Some(line) = line(packet(packets).await?, packets).await? {
        refuse_errors(&line)?;
        let mut words = line.split(|byte| *byte == b' ');
        let (id, name) = (words.next().unwrap_or_default(), words.next().ok_or(NotAList::BadLine)?);
        if name == b"HEAD" {
            list.head = words.find_map(|word| word.strip_prefix(b"symref-target:")).and_then(branch_of);
        }
        // `unborn HEAD`: a repository without a commit
        if id != b"unborn" {
            list.add(id, name)?;
        }
    }
    list.complete()
}

struct Lines {
    refs: RefListBuilder,
    head: Option<BranchName>,
}

impl Lines {
    fn within(room: usize) -> Self {
        Self { refs: RefListBuilder::new(room), head: None }
    }

    fn add(&mut self, id: &[u8], name: &[u8]) -> Result<(), Unread> {
        // `HEAD`, refs that are neither heads nor tags, `capabilities^{}` of an empty repository, and what a tag peels to
        if !is_head_or_tag(name) || name.ends_with(b"^{}") {
            return if ObjectId::is_one(id) { Ok(()) } else { Err(NotAList::BadLine.into()) };
        }
        Ok(self.refs.push(name, id)?)
    }

    fn complete(self) -> Result<RefList, Unread> {
        Ok(self.refs.finish(self.head)?)
    }
}

/// The branch that a symbolic ref names. One that is not UTF-8 is none: Gitea could not be given it.
fn branch_of(target: &[u8]) -> Option<BranchName> {
    RefName::parse(std::str::from_utf8(target).ok()?)?.branch()
}

/// The next packet, which has to be there.
async fn packet(packets: &mut Packets) -> Result<Packet, Unread> {
    match packets.next().await {
        Ok(Some(packet)) => Ok(packet),
        Ok(None) if packets.are_empty() => Err(NotAList::Empty.into()),
        Ok(None) | Err(Broken::Cut) => Err(NotAList::NoEnd.into()),
        Err(Broken::NotPackets) => Err(not_packets(packets.beginning().await).into()),
        Err(Broken::Trouble(trouble)) => Err(Unread::Trouble(trouble)),
    }
}

/// A packet of a list: a line, or its end, after which nothing comes.
async fn line(packet: Packet, packets: &mut Packets) -> Result<Option<Bytes>, Unread> {
    match packet {
        Packet::Data(line) => Ok(Some(line)),
        Packet::Flush if packets.have_ended().await.map_err(Unread::Trouble)? => Ok(None),
        Packet::Flush | Packet::Delimiter => Err(NotAList::NotGit.into()),
    }
}

fn is_line(packet: &Packet, text: &[u8]) -> bool {
    matches!(packet, Packet::Data(line) if line == text)
}

fn split_at(line: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|one| *one == byte)?;
    Some((&line[..at], &line[at + 1..]))
}

fn not_packets(beginning: &[u8]) -> NotAList {
    let start = beginning[..beginning.len().min(256)].to_ascii_lowercase();
    if start.windows(5).any(|window| window == b"<html" || window == b"<!doc") {
        NotAList::Page
    } else {
        NotAList::NotGit
    }
}

fn refuse_errors(line: &[u8]) -> Result<(), NotAList> {
    match line.strip_prefix(b"ERR ") {
        Some(message) => Err(NotAList::Refused(String::from_utf8_lossy(message).into_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
