//! Heads and tags: a complete list of one side, the comparison of two lists, and their digest.
//!
//! Owns what "the same refs" means. A [`RefList`] is complete by contract: its reader must have seen its end. Never
//! reads a list.

mod list;
mod name;

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use list::{NotAdded, Ref, RefList, RefListBuilder};
pub use name::{BadRefName, RefName, is_head_or_tag};

/// Limits of reading one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Time for all requests together, up to the last byte of the list.
    pub time: Duration,
    /// Bytes of memory for the list.
    pub bytes: usize,
}

/// Id of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(Box<str>);

/// A text that is not an object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object id of 40 or 64 hexadecimal digits")]
pub struct NotAnObjectId;

impl ObjectId {
    /// Parses an object id.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, NotAnObjectId> {
        if Self::is_one(text.as_bytes()) { Ok(Self(text.into())) } else { Err(NotAnObjectId) }
    }

    /// Whether these bytes are the digits of an object id.
    #[must_use]
    pub fn is_one(digits: &[u8]) -> bool {
        matches!(digits.len(), 40 | 64) && digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// Formats a binary id of 20 or 32 bytes.
    fn of_bytes(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(hexadecimal(bytes, &mut [0; 2 * LONGEST_ID])).into())
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes of the longest id, which is SHA-256.
const LONGEST_ID: usize = 32;

/// Writes the digits of a binary id.
fn hexadecimal<'a>(id: &[u8], digits: &'a mut [u8; 2 * LONGEST_ID]) -> &'a [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id) {
        (pair[0], pair[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    }
    &digits[..2 * id.len()]
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = NotAnObjectId;
    fn try_from(text: String) -> Result<Self, NotAnObjectId> {
        Self::parse(&text)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0.into()
    }
}

/// A digest in progress.
#[derive(Default)]
struct Hashed(Sha256);

impl Hashed {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn digest(self) -> Digest {
        Digest(format!("sha256:{:x}", self.0.finalize()).into())
    }
}

/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(Box<str>);

impl Digest {
    /// Parses a digest in its canonical spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let hex = digits.len() == 64 && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether Gitea must drop refs that upstream no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prune {
    /// `prune: true`: the two sets are equal.
    On,
    /// `prune: false`: Gitea has all refs of upstream, and may have more.
    Off,
}

impl Prune {
    /// Returns the value of Gitea's `enable_prune`.
    #[must_use]
    pub const fn as_bool(self) -> bool {
        matches!(self, Self::On)
    }

    /// Converts the configuration's `prune`.
    #[must_use]
    pub const fn from_bool(prune: bool) -> Self {
        if prune { Self::On } else { Self::Off }
    }
}

/// A ref that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The ref.
    pub name: RefName,
    /// Upstream's object; `None` if the ref should have been pruned.
    pub upstream: Option<ObjectId>,
    /// Gitea's object; `None` if the ref is missing.
    pub gitea: Option<ObjectId>,
}

/// Result of a comparison under a pruning rule: counts and examples, because lists may be long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Number of refs that differ.
    pub differing: usize,
    /// The first of the differing refs by name, at most [`Comparison::NAMED`].
    pub first: Vec<Difference>,
    /// Number of refs that only Gitea has.
    pub only_in_gitea: usize,
}

impl Comparison {
    /// Number of differing refs that are named: enough to see their kind.
    pub const NAMED: usize = 10;

    /// Whether every differing ref is named.
    #[must_use]
    pub const fn names_all(&self) -> bool {
        self.differing == self.first.len()
    }
}

/// A ref that is not the same on both sides. At least one side has it.
#[derive(Clone, Copy, Debug)]
pub struct Unequal<'a> {
    /// Upstream's ref.
    pub upstream: Option<Ref<'a>>,
    /// Gitea's ref.
    pub gitea: Option<Ref<'a>>,
}

impl<'a> Unequal<'a> {
    /// Whether it breaks the rule. Without pruning, Gitea may have additional refs.
    #[must_use]
    pub const fn differs(&self, prune: Prune) -> bool {
        self.upstream.is_some() || prune.as_bool()
    }

    /// The ref on the side that has it, preferably upstream.
    #[must_use]
    pub fn one(&self) -> Option<Ref<'a>> {
        self.upstream.or(self.gitea)
    }

    fn named(&self) -> Option<Difference> {
        let id = |side: Option<Ref<'_>>| side.map(|one| one.id());
        Some(Difference { name: self.one()?.name(), upstream: id(self.upstream), gitea: id(self.gitea) })
    }
}

/// Returns the refs that are not the same on both sides, in the order of names. Copies nothing.
pub fn unequal<'a>(upstream: &'a RefList, gitea: &'a RefList) -> impl Iterator<Item = Unequal<'a>> {
    let (mut theirs, mut ours) = (upstream.iter().peekable(), gitea.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let order = match (theirs.peek(), ours.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(theirs), Some(ours)) => theirs.bytes().cmp(ours.bytes()),
            };
            let upstream = if order.is_le() { theirs.next() } else { None };
            let gitea = if order.is_ge() { ours.next() } else { None };
            if upstream != gitea {
                return Some(Unequal { upstream, gitea });
            }
        }
    })
}

/// Compares Gitea's refs with upstream's.
#[must_use]
pub fn compare(upstream: &RefList, gitea: &RefList, prune: Prune) -> Comparison {
    let mut comparison = Comparison::default();
    for unequal in unequal(upstream, gitea) {
        comparison.only_in_gitea += usize::from(unequal.upstream.is_none());
        if unequal.differs(prune) {
            comparison.differing += 1;
            if comparison.first.len() < Comparison::NAMED {
                comparison.first.extend(unequal.named());
            }
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(refs: &[(&str, char)]) -> RefList {
        let id = |c: char| ObjectId::parse(&c.to_string().repeat(40)).unwrap();
        RefList::complete(refs.iter().map(|(name, c)| (RefName::parse(name).unwrap(), id(*c))), None)
    }

    #[test]
    fn without_pruning_extra_refs_are_counted_and_nothing_more() {
        let upstream = list(&[("refs/heads/main", 'a'), ("refs/tags/v1", 'b')]);
        let gitea =
            list(&[("refs/heads/main", 'a'), ("refs/heads/old", 'c'), ("refs/tags/v1", 'b'), ("refs/tags/v0", 'd')]);
        let seen = compare(&upstream, &gitea, Prune::Off);
        assert_eq!((seen.differing, seen.only_in_gitea), (0, 2));
        assert_eq!(upstream.digest(), gitea.digest_restricted_to(&upstream));
        let seen = compare(&upstream, &gitea, Prune::On);
        assert_eq!(seen.first.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["refs/heads/old", "refs/tags/v0"]);
    }

    #[test]
    fn a_missing_ref_and_a_moved_one_both_differ() {
        let upstream = list(&[("refs/heads/main", 'a'), ("refs/heads/x", 'b')]);
        let gitea = list(&[("refs/heads/main", 'c')]);
        let seen = compare(&upstream, &gitea, Prune::Off);
        assert_eq!(seen.differing, 2);
        assert!(seen.first[0].gitea.is_some() && seen.first[1].gitea.is_none());
        assert_ne!(upstream.digest(), gitea.digest_restricted_to(&upstream));
    }

    #[test]
    fn all_that_differ_are_counted_and_the_first_are_named() {
        let id = ObjectId::parse(&"a".repeat(40)).unwrap();
        let many = (0..5_000).map(|n| (RefName::parse(&format!("refs/heads/{n:04}")).unwrap(), id.clone()));
        let seen = compare(&RefList::complete(many, None), &list(&[]), Prune::Off);
        assert_eq!((seen.differing, seen.first.len()), (5_000, Comparison::NAMED));
        assert_eq!(seen.first[9].name.as_str(), "refs/heads/0009");
    }

    #[test]
    fn a_prefix_of_a_list_is_not_the_list() {
        let upstream = list(&[("refs/heads/a", 'a'), ("refs/heads/b", 'b')]);
        assert_eq!(compare(&upstream, &list(&[("refs/heads/a", 'a')]), Prune::Off).differing, 1);
        assert_eq!(compare(&upstream, &list(&[]), Prune::Off).differing, 2);
    }

    fn any_list() -> impl Strategy<Value = RefList> {
        proptest::collection::btree_map("(heads|tags)/[a-c]{1,2}", prop::char::range('a', 'c'), 0..8).prop_map(|refs| {
            let refs: Vec<_> = refs.into_iter().map(|(name, c)| (format!("refs/{name}"), c)).collect();
            list(&refs.iter().map(|(name, c)| (name.as_str(), *c)).collect::<Vec<_>>())
        })
    }

    proptest! {
        #[test]
        fn the_comparison_and_the_digests_never_disagree(upstream in any_list(), gitea in any_list()) {
            let off = compare(&upstream, &gitea, Prune::Off);
            prop_assert_eq!(off.differing == 0, upstream.digest() == gitea.digest_restricted_to(&upstream));
            let on = compare(&upstream, &gitea, Prune::On);
            prop_assert_eq!(on.differing == 0, upstream == gitea);
            prop_assert_eq!(on.differing, off.differing + off.only_in_gitea);
        }
    }
}
