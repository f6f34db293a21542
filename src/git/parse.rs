//! Parser of git's ref lists: `ls-refs` of protocol v2, and the advertisement of protocol v0.
//!
//! Owns what a complete list is: one that ends with its flush packet. Anything else is an error, never a shorter list.
//! Each line is added to the list as it arrives.

use bytes::Bytes;

use super::pkt::{self, Packet, PacketError, Packets};
use crate::domain::answer::{Oversize, Trouble};
use crate::domain::names::BranchName;
use crate::domain::refs::{NotAdded, ObjectId, RefList, RefListBuilder, RefName, is_head_or_tag};

/// Answer to `info/refs`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advertisement {
    /// The server speaks protocol v2; `ls-refs` lists.
    V2 {
        /// Whether the object format is SHA-256.
        sha256: bool,
    },
    /// The server speaks protocol v0 and sent this list.
    V0(RefList),
    /// A service name and nothing after it: Gitea's answer for a repository without a folder.
    NothingAfterService,
}

/// Reason why an answer gave no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The answer is not a list.
    NotAList(NotAList),
    /// The list exceeds its limits.
    Oversize(Oversize),
    /// The answer could not be read to its end.
    Trouble(Trouble),
}

impl From<NotAList> for ReadError {
    fn from(why: NotAList) -> Self {
        Self::NotAList(why)
    }
}

impl From<NotAdded> for ReadError {
    fn from(why: NotAdded) -> Self {
        match why {
            // A name that appears twice is ambiguous.
            NotAdded::BadName | NotAdded::BadId | NotAdded::Twice => Self::NotAList(NotAList::BadLine),
            NotAdded::LongName(name) => Self::Oversize(Oversize::Name(name)),
            NotAdded::TooLarge(fitted) => Self::Oversize(Oversize::List(fitted)),
        }
    }
}

/// Reason why bytes are not a list.
///
/// The texts are for people. Only [`NotAList::Refused`] repeats received text, which the caller redacts.
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
    #[error("a list with a malformed line")]
    BadLine,
    #[error("git's error: {0}")]
    Refused(String),
}

/// Reads the answer to `info/refs?service=git-upload-pack`. `room`: the bytes of memory that the list may use.
pub(super) async fn advertisement(packets: &mut Packets, room: usize) -> Result<Advertisement, ReadError> {
    let mut first = packet(packets).await?;
    if is_line(&first, b"# service=git-upload-pack") {
        if packet(packets).await? != Packet::Flush {
            return Err(NotAList::NotGit.into());
        }
        if packets.have_ended().await.map_err(ReadError::Trouble)? {
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

async fn v2_capabilities(packets: &mut Packets) -> Result<Advertisement, ReadError> {
    let (mut ls_refs, mut sha256) = (false, false);
    while let Some(line) = line(packet(packets).await?, packets).await? {
        ls_refs |= line == "ls-refs" || line.starts_with(b"ls-refs=");
        sha256 |= line == "object-format=sha256";
    }
    if ls_refs { Ok(Advertisement::V2 { sha256 }) } else { Err(NotAList::NotGit.into()) }
}

async fn v0(first: Packet, packets: &mut Packets, room: usize) -> Result<Advertisement, ReadError> {
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

/// Returns the body of a v2 `ls-refs` request for heads, tags and `HEAD`.
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

/// Reads the answer to `ls-refs`. `room`: the bytes of memory that the list may use.
pub(super) async fn ls_refs(packets: &mut Packets, room: usize) -> Result<RefList, ReadError> {
    let mut list = Lines::within(room);
    while let Some(line) = line(packet(packets).await?, packets).await? {
        refuse_errors(&line)?;
        let mut words = line.split(|byte| *byte == b' ');
        let (id, name) = (words.next().unwrap_or_default(), words.next().ok_or(NotAList::BadLine)?);
        if name == b"HEAD" {
            list.head = words.find_map(|word| word.strip_prefix(b"symref-target:")).and_then(branch_of);
        }
        // `unborn HEAD`: a repository without a commit.
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

    fn add(&mut self, id: &[u8], name: &[u8]) -> Result<(), ReadError> {
        // Not refs to copy: `HEAD`, other namespaces, `capabilities^{}` of an empty repository, peeled tags.
        if !is_head_or_tag(name) || name.ends_with(b"^{}") {
            return if ObjectId::is_one(id) { Ok(()) } else { Err(NotAList::BadLine.into()) };
        }
        Ok(self.refs.push(name, id)?)
    }

    fn complete(self) -> Result<RefList, ReadError> {
        Ok(self.refs.finish(self.head)?)
    }
}

/// The branch that a symbolic ref names. A name that is not UTF-8 counts as none: Gitea's API cannot take it.
fn branch_of(target: &[u8]) -> Option<BranchName> {
    RefName::parse(std::str::from_utf8(target).ok()?)?.branch()
}

/// Reads the next packet; the end of the body is an error.
async fn packet(packets: &mut Packets) -> Result<Packet, ReadError> {
    match packets.next().await {
        Ok(Some(packet)) => Ok(packet),
        Ok(None) if packets.are_empty() => Err(NotAList::Empty.into()),
        Ok(None) | Err(PacketError::Cut) => Err(NotAList::NoEnd.into()),
        Err(PacketError::NotPackets) => Err(not_packets(packets.beginning().await).into()),
        Err(PacketError::Trouble(trouble)) => Err(ReadError::Trouble(trouble)),
    }
}

/// A line of the list; `None` at its end, after which the body must end.
async fn line(packet: Packet, packets: &mut Packets) -> Result<Option<Bytes>, ReadError> {
    match packet {
        Packet::Data(line) => Ok(Some(line)),
        Packet::Flush if packets.have_ended().await.map_err(ReadError::Trouble)? => Ok(None),
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
