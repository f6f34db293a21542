//! A complete list of refs, kept compactly.
//!
//! Owns the memory of a list: names and binary ids stand one after the other in chunks, and one number a ref gives
//! their order. Nothing is allocated for a single ref, nothing that is there is moved when more comes, and the bytes in
//! use are counted as the list grows. A list that is there is never changed; its copies share it.

use std::fmt;
use std::sync::Arc;

use super::name::{BadRefName, check, is_branch};
use super::{Digest, Hashed, LONGEST_ID, ObjectId, RefName, hexadecimal};
use crate::domain::names::BranchName;

/// The largest chunk. The position of a ref has 16 bits for the place in its chunk.
const LARGEST_CHUNK: usize = 1 << 16;

/// The smallest: it holds the longest name.
const SMALLEST_CHUNK: usize = 1 << 13;

/// Bytes that stand before an id: the length of the name.
const LENGTH: usize = 2;

/// One ref of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref<'a> {
    name: &'a [u8],
    id: &'a [u8],
}

impl<'a> Ref<'a> {
    /// Its full name, as bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.name
    }

    /// Its full name, as it is shown.
    ///
    /// # Panics
    /// Never: each name was checked when it came into the list.
    #[must_use]
    pub fn name(&self) -> RefName {
        RefName::of(self.name).expect("each name of a list was checked")
    }

    /// What it points to.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::of_bytes(self.id)
    }

    /// Whether it points to the same object.
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

/// The heads and tags of one side, all of them, and the branch that its `HEAD` names.
///
/// An annotated tag stands with the id of the tag object, not of the commit: two tags are the same only whole.
#[derive(Clone, Default)]
pub struct RefList(Arc<List>);

#[derive(Default)]
struct List {
    chunks: Vec<Vec<u8>>,
    /// Where each ref begins, in the order of names: the chunk, and the place in it.
    order: Vec<u32>,
    /// How many bytes an id has.
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
    /// A list of these refs; of two with one name the later one counts. For lists that were not read.
    ///
    /// # Panics
    /// When ids of both lengths are among them.
    #[must_use]
    pub fn complete(refs: impl IntoIterator<Item = (RefName, ObjectId)>, head: Option<BranchName>) -> Self {
        let refs: std::collections::BTreeMap<_, _> = refs.into_iter().collect();
        let mut builder = RefListBuilder::new(usize::MAX);
        for (name, id) in refs {
            builder.push(name.as_str().as_bytes(), id.as_str().as_bytes()).expect("these are refs");
        }
        builder.finish(head).expect("each name stands once")
    }

    /// How many heads and tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.order.len()
    }

    /// How many of them are branches.
    #[must_use]
    pub fn branches(&self) -> usize {
        self.0.branches
    }

    /// Whether there is not one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.order.is_empty()
    }

    /// How many bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// What the ref of this full name points to.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<ObjectId> {
        self.find(name).map(|found| found.id())
    }

    /// The ref of this full name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Ref<'_>> {
        self.first_from(name).filter(|first| first.name == name)
    }

    /// The first ref, in the order of names, whose name is not before `name`.
    fn first_from(&self, name: &[u8]) -> Option<Ref<'_>> {
        let at = self.0.order.partition_point(|position| self.0.at(*position).name < name);
        self.0.order.get(at).map(|position| self.0.at(*position))
    }

    /// A ref that git cannot store beside `name`: a folder of it, or one in the folder of its name.
    #[must_use]
    pub fn blocking(&self, name: &[u8]) -> Option<Ref<'_>> {
        let mut slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let outer = slashes.find_map(|at| self.find(&name[..at]));
        let folder = [name, b"/"].concat();
        outer.or_else(|| self.first_from(&folder).filter(|inner| inner.name.starts_with(&folder)))
    }

    /// The commit of a branch.
    #[must_use]
    pub fn commit_of(&self, branch: &BranchName) -> Option<ObjectId> {
        self.get(format!("refs/heads/{branch}").as_bytes())
    }

    /// The branch that `HEAD` names: `None` where it is detached or the server did not say.
    #[must_use]
    pub fn head(&self) -> Option<&BranchName> {
        self.0.head.as_ref()
    }

    /// Whether the server said that its history is not whole.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.0.shallow
    }

    /// All refs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_>> {
        self.0.order.iter().map(|position| self.0.at(*position))
    }

    /// The refs whose object `other` does not show under any name.
    pub fn without_objects_of<'a>(&'a self, other: &RefList) -> impl Iterator<Item = Ref<'a>> {
        let other = &other.0;
        let mut by_id = other.order.clone();
        by_id.sort_unstable_by_key(|position| other.at(*position).id);
        self.iter().filter(move |one| by_id.binary_search_by_key(&one.id, |position| other.at(*position).id).is_err())
    }

    /// The digest of this list: over the lines `object-id SP name LF`, sorted by name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(self.iter())
    }

    /// The digest of those refs that `names` has, as they stand here: equal to `names.digest()` exactly when every
    /// ref of `names` is here with the same object id.
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
        /// A list may be long: the first refs show what kind of list it is.
        const SHOWN: usize = 20;
        write!(f, "{} refs, HEAD {:?}: ", self.len(), self.head())?;
        f.debug_map().entries(self.iter().take(SHOWN).map(|one| (one.name(), one.id()))).finish()
    }
}

/// Why a ref, or a whole list, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// A name that git does not allow, or that is not a head's or a tag's.
    BadName,
    /// A name that no forge holds.
    LongName(RefName),
    /// No object id, or one of another length than those before.
    BadId,
    /// A name that stands twice: it is not known which counts.
    Twice,
    /// The list would take more memory than it may: so many refs fitted.
    TooLarge(usize),
}

/// Builds a list, ref by ref, within a limit of memory.
#[derive(Default)]
pub struct RefListBuilder {
    list: List,
    limit: usize,
    unsorted: bool,
}

impl RefListBuilder {
    /// An empty list that may take so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a head or a tag: its full name, and the hexadecimal digits of its object id.
    ///
    /// # Errors
    /// [`NotAdded`]: no list can come of it.
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

    /// Takes note that the server's history is not whole.
    pub fn mark_shallow(&mut self) {
        self.list.shallow = true;
    }

    /// The list, complete. `head` is the branch that `HEAD` names, where the server said so.
    ///
    /// # Errors
    /// A name stands twice.
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

/// The bytes of an object id of 40 or 64 lower-case digits.
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
