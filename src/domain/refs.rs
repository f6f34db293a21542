//! Heads and tags: a complete list of one side, the comparison of two, and their digest.
//!
//! Owns what "the same refs" means. A [`RefList`] is complete by contract: whoever reads one over the wire must have
//! seen its end. Never reads anything itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::names::BranchName;

/// A full ref name below `refs/heads/` or `refs/tags/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefName(Box<str>);

impl RefName {
    /// Takes a head or a tag; anything else (`refs/pull/…`, `HEAD`, a name with control characters) is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let below = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/"))?;
        let sound = !below.is_empty() && !below.contains("..") && !below.chars().any(|c| c.is_control() || c == ' ');
        sound.then(|| Self(text.into()))
    }

    /// The ref of a branch.
    #[must_use]
    pub fn of_branch(branch: &BranchName) -> Self {
        Self(format!("refs/heads/{branch}").into())
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch that this ref is, if it is one.
    #[must_use]
    pub fn branch(&self) -> Option<BranchName> {
        BranchName::parse(self.0.strip_prefix("refs/heads/")?).ok()
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(Box<str>);

/// A text that is no object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object id of 40 or 64 hexadecimal digits")]
pub struct NotAnObjectId;

impl ObjectId {
    /// Takes an object id.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, NotAnObjectId> {
        let hex = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if hex && matches!(text.len(), 40 | 64) { Ok(Self(text.into())) } else { Err(NotAnObjectId) }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

/// The heads and tags of one side, all of them, and the branch that its `HEAD` names.
///
/// An annotated tag stands with the id of the tag object, not of the commit: two tags are the same only whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefList {
    refs: BTreeMap<RefName, ObjectId>,
    head: Option<BranchName>,
}

impl RefList {
    /// A complete list. `head` is the branch that `HEAD` names, where the server said so.
    #[must_use]
    pub fn complete(refs: impl IntoIterator<Item = (RefName, ObjectId)>, head: Option<BranchName>) -> Self {
        Self { refs: refs.into_iter().collect(), head }
    }

    /// How many heads and tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there is not one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// What a ref points to.
    #[must_use]
    pub fn get(&self, name: &RefName) -> Option<&ObjectId> {
        self.refs.get(name)
    }

    /// The commit of a branch.
    #[must_use]
    pub fn commit_of(&self, branch: &BranchName) -> Option<&ObjectId> {
        self.refs.get(&RefName::of_branch(branch))
    }

    /// The branch that `HEAD` names: `None` where it is detached or the server did not say.
    #[must_use]
    pub fn head(&self) -> Option<&BranchName> {
        self.head.as_ref()
    }

    /// All refs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&RefName, &ObjectId)> {
        self.refs.iter()
    }

    /// The digest of this list: over the lines `object-id SP name LF`, sorted by name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(self.refs.iter())
    }

    /// The digest of those refs that `names` has, as they stand here: equal to `names.digest()` exactly when every
    /// ref of `names` is here with the same object id.
    #[must_use]
    pub fn digest_restricted_to(&self, names: &Self) -> Digest {
        digest_of(self.refs.iter().filter(|(name, _)| names.refs.contains_key(*name)))
    }
}

fn digest_of<'a>(refs: impl Iterator<Item = (&'a RefName, &'a ObjectId)>) -> Digest {
    let mut hash = Sha256::new();
    for (name, id) in refs {
        hash.update(id.as_str());
        hash.update(" ");
        hash.update(name.as_str());
        hash.update("\n");
    }
    Digest(format!("sha256:{:x}", hash.finalize()).into())
}

/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(Box<str>);

impl Digest {
    /// Takes a digest in its one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let hex = digits.len() == 64 && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.into()))
    }

    /// The text.
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

/// Whether refs that upstream no longer has must be gone from Gitea, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prune {
    /// `prune: true`: the two sets are equal.
    On,
    /// `prune: false`: Gitea holds all that upstream has, and may hold more.
    Off,
}

impl Prune {
    /// What Gitea's `enable_prune` has to be.
    #[must_use]
    pub const fn as_bool(self) -> bool {
        matches!(self, Self::On)
    }

    /// From a switch of the configuration.
    #[must_use]
    pub const fn from_bool(prune: bool) -> Self {
        if prune { Self::On } else { Self::Off }
    }
}

/// One ref that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The ref.
    pub name: RefName,
    /// Its object upstream; `None`: upstream has no such ref, and it should have been pruned.
    pub upstream: Option<ObjectId>,
    /// Its object in Gitea; `None`: missing.
    pub gitea: Option<ObjectId>,
}

/// What tells two lists apart, under a pruning rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Every ref that is not as it must be, sorted by name.
    pub differing: Vec<Difference>,
    /// How many refs only Gitea has.
    pub only_in_gitea: usize,
}

/// Compares Gitea's refs with upstream's.
#[must_use]
pub fn compare(upstream: &RefList, gitea: &RefList, prune: Prune) -> Comparison {
    let mut comparison = Comparison::default();
    let mut ours = gitea.refs.iter().peekable();
    let mut extra = |name: &RefName, id: &ObjectId, differing: &mut Vec<Difference>| {
        comparison.only_in_gitea += 1;
        if prune == Prune::On {
            differing.push(Difference { name: name.clone(), upstream: None, gitea: Some(id.clone()) });
        }
    };
    let mut differing = Vec::new();
    for (name, theirs) in &upstream.refs {
        while let Some((other, id)) = ours.next_if(|(other, _)| *other < name) {
            extra(other, id, &mut differing);
        }
        let here = ours.next_if(|(other, _)| *other == name).map(|(_, id)| id);
        if here != Some(theirs) {
            differing.push(Difference { name: name.clone(), upstream: Some(theirs.clone()), gitea: here.cloned() });
        }
    }
    for (name, id) in ours {
        extra(name, id, &mut differing);
    }
    comparison.differing = differing;
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
    fn only_heads_and_tags_are_refs_to_us() {
        for name in ["refs/heads/main", "refs/tags/v1", "refs/heads/a/b"] {
            assert!(RefName::parse(name).is_some(), "{name}");
        }
        for name in
            ["HEAD", "refs/pull/1/head", "refs/heads/", "refs/notes/x", "refs/heads/../x", "refs/heads/a\0b", "main"]
        {
            assert!(RefName::parse(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn without_pruning_extra_refs_are_counted_and_nothing_more() {
        let upstream = list(&[("refs/heads/main", 'a'), ("refs/tags/v1", 'b')]);
        let gitea =
            list(&[("refs/heads/main", 'a'), ("refs/heads/old", 'c'), ("refs/tags/v1", 'b'), ("refs/tags/v0", 'd')]);
        let seen = compare(&upstream, &gitea, Prune::Off);
        assert_eq!((seen.differing.len(), seen.only_in_gitea), (0, 2));
        assert_eq!(upstream.digest(), gitea.digest_restricted_to(&upstream));
        let seen = compare(&upstream, &gitea, Prune::On);
        assert_eq!(
            seen.differing.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(),
            ["refs/heads/old", "refs/tags/v0"]
        );
    }

    #[test]
    fn a_missing_ref_and_a_moved_one_both_differ() {
        let upstream = list(&[("refs/heads/main", 'a'), ("refs/heads/x", 'b')]);
        let gitea = list(&[("refs/heads/main", 'c')]);
        let seen = compare(&upstream, &gitea, Prune::Off);
        assert_eq!(seen.differing.len(), 2);
        assert!(seen.differing[0].gitea.is_some() && seen.differing[1].gitea.is_none());
        assert_ne!(upstream.digest(), gitea.digest_restricted_to(&upstream));
    }

    #[test]
    fn a_prefix_of_a_list_is_not_the_list() {
        let upstream = list(&[("refs/heads/a", 'a'), ("refs/heads/b", 'b')]);
        assert_eq!(compare(&upstream, &list(&[("refs/heads/a", 'a')]), Prune::Off).differing.len(), 1);
        assert_eq!(compare(&upstream, &list(&[]), Prune::Off).differing.len(), 2);
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
            prop_assert_eq!(off.differing.is_empty(), upstream.digest() == gitea.digest_restricted_to(&upstream));
            let on = compare(&upstream, &gitea, Prune::On);
            prop_assert_eq!(on.differing.is_empty(), upstream == gitea);
            prop_assert_eq!(on.differing.len(), off.differing.len() + off.only_in_gitea);
        }
    }
}
