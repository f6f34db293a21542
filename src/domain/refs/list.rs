//! A complete list of refs in compact memory.
//!
//! Owns the layout: names and binary ids follow each other in chunks, and one number for each ref keeps the order.
//! There is no allocation for a single ref, growth moves no data, and the used bytes are counted. Never changes a
//! finished list; its copies share it.

use std::fmt;
use std::sync::Arc;

use super::name::{BadRefName, check, is_branch};
use super::{Digest, Hashed, LONGEST_ID, ObjectId, RefName, hexadecimal};
use crate::domain::names::BranchName;

/// The largest chunk. A ref's position has 16 bits for the offset in its chunk.
const LARGEST_CHUNK: usize = 1 << 16;

/// The smallest chunk, which must hold the longest name.
const SMALLEST_CHUNK: usize = 1 << 13;

/// Bytes before each id that hold the length of the name.
const LENGTH: usize = 2;

/// A ref of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref<'a> {
    name: &'a [u8],
    id: &'a [u8],
}

impl<'a> Ref<'a> {
    /// Returns the full name, in git's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.name
    }

    /// Returns the full name as it is displayed.
    ///
    /// # Panics
    /// Never: each name was checked when it was added.
    #[must_use]
    pub fn name(&self) -> RefName {
        RefName::of(self.name).expect("each name of a list was checked")
    }

    /// Returns the object that the ref points to.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::of_bytes(self.id)
    }

    /// Whether both refs point to the same object.
    #[must_use]
    pub fn same_object(&self, other: &Ref<'_>) -> bool {
        self.id == other.id
    }

    /// Whether it is a branch.
    #[must_use]
    pub fn is_branch(&self) -> bool {
        is_branch(self.name)
    }
}

/// All heads and tags of one side, and the branch that its `HEAD` names.
///
/// An annotated tag has the id of the tag object, not of the commit. Two tags are equal only if the tag objects are.
#[derive(Clone, Default)]
pub struct RefList(Arc<List>);

#[derive(Default)]
struct List {
    chunks: Vec<Vec<u8>>,
    /// Position of each ref (chunk and offset), in the order of names.
    order: Vec<u32>,
    /// Bytes of an id.
    id: usize,
    branches: usize,
    head: Option<BranchName>,
    shallow: bool,
}

impl List {
    fn at(&self, position: u32) -> Ref<'_> {
        let (chunk, place) = (position as usize / LARGEST_CHUNK, position as usize % LARGEST_CHUNK);
        let rest = &self.chunks[chunk][place..];
        let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        let (id, rest) = rest[LENGTH..].split_at(self.id);
        Ref { name: &rest[..length], id }
    }

    fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks + self.order.capacity() * size_of::<u32>()
    }
}

impl RefList {
    /// Builds a list of these refs, for lists that were not read. If a name repeats, the last one counts.
    ///
    /// # Panics
    /// If the ids have different lengths.
    #[must_use]
    pub fn complete(refs: impl IntoIterator<Item = (RefName, ObjectId)>, head: Option<BranchName>) -> Self {
        let refs: std::collections::BTreeMap<_, _> = refs.into_iter().collect();
        let mut builder = RefListBuilder::new(usize::MAX);
        for (name, id) in refs {
            builder.push(name.as_str().as_bytes(), id.as_str().as_bytes()).expect("these are refs");
        }
        builder.finish(head).expect("each name stands once")
    }

    /// Number of heads and tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.order.len()
    }

    /// Number of branches.
    #[must_use]
    pub fn branches(&self) -> usize {
        self.0.branches
    }

    /// Whether there is no ref.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.order.is_empty()
    }

    /// Bytes of memory that it uses.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Returns the object of the ref with this full name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<ObjectId> {
        self.find(name).map(|found| found.id())
    }

    /// Returns the ref with this full name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Ref<'_>> {
        self.first_from(name).filter(|first| first.name == name)
    }

    /// Returns the first ref at or after `name`, in the order of names.
    fn first_from(&self, name: &[u8]) -> Option<Ref<'_>> {
        let at = self.0.order.partition_point(|position| self.0.at(*position).name < name);
        self.0.order.get(at).map(|position| self.0.at(*position))
    }

    /// Returns a ref that git cannot store beside `name`, because one name is a folder of the other.
    #[must_use]
    pub fn blocking(&self, name: &[u8]) -> Option<Ref<'_>> {
        let mut slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let outer = slashes.find_map(|at| self.find(&name[..at]));
        let folder = [name, b"/"].concat();
        outer.or_else(|| self.first_from(&folder).filter(|inner| inner.name.starts_with(&folder)))
    }

    /// Returns the commit of a branch.
    #[must_use]
    pub fn commit_of(&self, branch: &BranchName) -> Option<ObjectId> {
        self.get(format!("refs/heads/{branch}").as_bytes())
    }

    /// The branch that `HEAD` names; `None` if it is detached or the server did not send it.
    #[must_use]
    pub fn head(&self) -> Option<&BranchName> {
        self.0.head.as_ref()
    }

    /// Whether the server is a shallow clone.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.0.shallow
    }

    /// Iterates over all refs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_>> {
        self.0.order.iter().map(|position| self.0.at(*position))
    }

    /// Returns the refs whose object `other` does not have under any name.
    pub fn without_objects_of<'a>(&'a self, other: &RefList) -> impl Iterator<Item = Ref<'a>> {
        let other = &other.0;
        let mut by_id = other.order.clone();
        by_id.sort_unstable_by_key(|position| other.at(*position).id);
        self.iter().filter(move |one| by_id.binary_search_by_key(&one.id, |position| other.at(*position).id).is_err())
    }

    /// Returns the digest over the lines `object-id SP name LF`, sorted by name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(self.iter())
    }

    /// Returns the digest of the refs whose names are also in `names`.
    ///
    /// It equals `names.digest()` exactly if every ref of `names` is here with the same object id.
    #[must_use]
    pub fn digest_restricted_to(&self, names: &Self) -> Digest {
        let mut wanted = names.iter().peekable();
        digest_of(self.iter().filter(|one| {
            while wanted.next_if(|other| other.name < one.name).is_some() {}
            wanted.peek().is_some_and(|other| other.name == one.name)
        }))
    }
}

fn digest_of<'a>(refs: impl Iterator<Item = Ref<'a>>) -> Digest {
    let mut hash = Hashed::default();
    for Ref { name, id } in refs {
        hash.add(hexadecimal(id, &mut [0; 2 * LONGEST_ID]));
        hash.add(b" ");
        hash.add(name);
        hash.add(b"\n");
    }
    hash.digest()
}

impl PartialEq for RefList {
    fn eq(&self, other: &Self) -> bool {
        (self.len(), self.head(), self.is_shallow()) == (other.len(), other.head(), other.is_shallow())
            && self.iter().eq(other.iter())
    }
}

impl Eq for RefList {}

impl fmt::Debug for RefList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Refs in the debug output; more would flood it.
        const SHOWN: usize = 20;
        write!(f, "{} refs, HEAD {:?}: ", self.len(), self.head())?;
        f.debug_map().entries(self.iter().take(SHOWN).map(|one| (one.name(), one.id()))).finish()
    }
}

/// Reason why a ref or a list is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// Not the name of a head or tag, or not allowed by git.
    BadName,
    /// Longer than any forge can store.
    LongName(RefName),
    /// Not an object id, or of another length than the others.
    BadId,
    /// A name that appears twice, so that its object is ambiguous.
    Twice,
    /// The list needs more memory than it may use. The number of refs that fitted.
    TooLarge(usize),
}

/// Builder of a list, within a limit of memory.
#[derive(Default)]
pub struct RefListBuilder {
    list: List,
    limit: usize,
    unsorted: bool,
}

impl RefListBuilder {
    /// Creates an empty list that may use `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a head or a tag by its full name and the hexadecimal digits of its object id.
    ///
    /// # Errors
    /// [`NotAdded`]: the list cannot be completed.
    pub fn push(&mut self, name: &[u8], id: &[u8]) -> Result<(), NotAdded> {
        check(name).map_err(|bad| match bad {
            BadRefName::Malformed => NotAdded::BadName,
            BadRefName::TooLong(name) => NotAdded::LongName(name),
        })?;
        let mut buffer = [0; LONGEST_ID];
        let id = binary(id, &mut buffer).ok_or(NotAdded::BadId)?;
        let list = &mut self.list;
        match list.order.last().map(|last| list.at(*last)) {
            None => list.id = id.len(),
            Some(_) if list.id != id.len() => return Err(NotAdded::BadId),
            Some(before) => self.unsorted |= before.name >= name,
        }
        let length = LENGTH + id.len() + name.len();
        let full = list.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < length);
        let chunk = if full { list.bytes().clamp(SMALLEST_CHUNK, LARGEST_CHUNK) } else { 0 };
        let more =
            if list.order.len() == list.order.capacity() { list.order.len().max(SMALLEST_CHUNK / 64) } else { 0 };
        if chunk + more > 0 && list.bytes() + chunk + more * size_of::<u32>() > self.limit {
            return Err(NotAdded::TooLarge(list.order.len()));
        }
        if full {
            list.chunks.push(Vec::with_capacity(chunk));
        }
        list.order.reserve_exact(more);
        let number = list.chunks.len() - 1;
        let chunk = &mut list.chunks[number];
        let position =
            u32::try_from(number * LARGEST_CHUNK + chunk.len()).map_err(|_| NotAdded::TooLarge(list.order.len()))?;
        let [low, high] = u16::try_from(name.len()).map_err(|_| NotAdded::BadName)?.to_le_bytes();
        chunk.extend_from_slice(&[low, high]);
        chunk.extend_from_slice(id);
        chunk.extend_from_slice(name);
        list.order.push(position);
        list.branches += usize::from(is_branch(name));
        Ok(())
    }

    /// Records that the server is a shallow clone.
    pub fn mark_shallow(&mut self) {
        self.list.shallow = true;
    }

    /// Completes the list. `head`: the branch that `HEAD` names, if the server sent it.
    ///
    /// # Errors
    /// A name appears twice.
    pub fn finish(self, head: Option<BranchName>) -> Result<RefList, NotAdded> {
        let Self { mut list, unsorted, .. } = self;
        if unsorted {
            let mut order = std::mem::take(&mut list.order);
            order.sort_unstable_by_key(|position| list.at(*position).name);
            if order.windows(2).any(|pair| list.at(pair[0]).name == list.at(pair[1]).name) {
                return Err(NotAdded::Twice);
            }
            list.order = order;
        }
        list.order.shrink_to_fit();
        list.head = head;
        Ok(RefList(Arc::new(list)))
    }
}

/// Parses an object id of 40 or 64 lower-case digits.
fn binary<'a>(digits: &[u8], buffer: &'a mut [u8; LONGEST_ID]) -> Option<&'a [u8]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if !matches!(digits.len(), 40 | 64) {
        return None;
    }
    for (byte, pair) in buffer.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(&buffer[..digits.len() / 2])
}

#[cfg(test)]
mod tests;
