//! The proof of a success, and the only way to make one.
//!
//! Owns [`Evidence`]: its one constructor takes two complete ref lists and refuses unless they are as the mirror's
//! rule demands. Whoever holds one holds the proof.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refs::{Comparison, Digest, ObjectId, Prune, RefList, compare};
use super::spec::MirrorSpec;

/// Something read, and when it was read by our wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// When its last byte was here.
    pub at: Timestamp,
    /// What was read.
    pub value: T,
}

/// What proves a success: the refs of both sides and when each was read.
///
/// One that is read back from the journal is held to what every proof fulfils.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Readings", into = "Readings")]
pub struct Evidence(Readings);

/// What two readings showed, as the journal has it. On its own it proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Readings {
    refs: usize,
    /// `None`: written by a version that did not count them.
    #[serde(default)]
    branches: Option<usize>,
    upstream_digest: Digest,
    gitea_digest: Digest,
    only_in_gitea: usize,
    tracked_branch: String,
    tracked_commit: ObjectId,
    rewritten: Option<bool>,
    /// Left out by versions that did not look at it.
    #[serde(default)]
    upstream_shallow: bool,
    upstream_read_at: Timestamp,
    gitea_read_at: Timestamp,
}

impl From<Evidence> for Readings {
    fn from(evidence: Evidence) -> Self {
        evidence.0
    }
}

impl TryFrom<Readings> for Evidence {
    type Error = &'static str;

    fn try_from(readings: Readings) -> Result<Self, &'static str> {
        if readings.refs == 0 || readings.upstream_digest != readings.gitea_digest {
            return Err("this is no proof");
        }
        Ok(Self(readings))
    }
}

/// Why two lists prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotProven {
    /// Upstream shows no ref at all: an empty list proves nothing but that something is wrong.
    UpstreamEmpty,
    /// Upstream does not have the tracked branch.
    BranchMissing,
    /// Refs that are not as they must be.
    Differing(Comparison),
}

impl Evidence {
    /// Proves that Gitea holds what upstream has. `rewritten` says whether a sync of this run moved the tracked branch
    /// to a commit that its old one is no ancestor of: `None` where nobody can tell.
    ///
    /// # Errors
    /// [`NotProven`], with what is missing.
    pub fn prove(
        spec: &MirrorSpec,
        upstream: &Seen<&RefList>,
        gitea: &Seen<&RefList>,
        rewritten: Option<bool>,
    ) -> Result<Self, NotProven> {
        if upstream.value.is_empty() {
            return Err(NotProven::UpstreamEmpty);
        }
        let tracked_commit = upstream.value.commit_of(&spec.branch).ok_or(NotProven::BranchMissing)?;
        let comparison = compare(upstream.value, gitea.value, spec.prune);
        let (upstream_digest, gitea_digest) =
            (upstream.value.digest(), gitea.value.digest_restricted_to(upstream.value));
        // the digests are a second opinion on the comparison, by another path through the same data
        if comparison.differing > 0 || upstream_digest != gitea_digest {
            return Err(NotProven::Differing(comparison));
        }
        Ok(Self(Readings {
            refs: upstream.value.len(),
            branches: Some(upstream.value.branches()),
            upstream_digest,
            gitea_digest,
            only_in_gitea: comparison.only_in_gitea,
            tracked_branch: spec.branch.to_string(),
            tracked_commit,
            rewritten,
            upstream_shallow: upstream.value.is_shallow(),
            upstream_read_at: upstream.at,
            gitea_read_at: gitea.at,
        }))
    }

    /// How many heads and tags upstream has.
    #[must_use]
    pub const fn refs(&self) -> usize {
        self.0.refs
    }

    /// How many of them are branches: what a later list of upstream's is held against.
    #[must_use]
    pub const fn branches(&self) -> Option<usize> {
        self.0.branches
    }

    /// The digest of upstream's list.
    #[must_use]
    pub const fn upstream_digest(&self) -> &Digest {
        &self.0.upstream_digest
    }

    /// The digest of Gitea's, restricted to the names that upstream has.
    #[must_use]
    pub const fn gitea_digest(&self) -> &Digest {
        &self.0.gitea_digest
    }

    /// How many refs only Gitea has.
    #[must_use]
    pub const fn only_in_gitea(&self) -> usize {
        self.0.only_in_gitea
    }

    /// The branch that had to be there.
    #[must_use]
    pub fn tracked_branch(&self) -> &str {
        &self.0.tracked_branch
    }

    /// Its commit, on both sides.
    #[must_use]
    pub const fn tracked_commit(&self) -> &ObjectId {
        &self.0.tracked_commit
    }

    /// Whether a sync of the run replaced history: `None` where nobody can tell.
    #[must_use]
    pub const fn rewritten(&self) -> Option<bool> {
        self.0.rewritten
    }

    /// Whether upstream said that its history is not whole: its refs are proven, commits before its boundary are nowhere.
    #[must_use]
    pub const fn upstream_shallow(&self) -> bool {
        self.0.upstream_shallow
    }

    /// When upstream's list was read.
    #[must_use]
    pub const fn upstream_read_at(&self) -> Timestamp {
        self.0.upstream_read_at
    }

    /// When Gitea's list was read.
    #[must_use]
    pub const fn gitea_read_at(&self) -> Timestamp {
        self.0.gitea_read_at
    }

    /// The moment for which the proof holds: the older of the two readings.
    #[must_use]
    pub fn proven_at(&self) -> Timestamp {
        self.0.upstream_read_at.min(self.0.gitea_read_at)
    }
}

/// What Gitea is known to do about pruning on one repository, as the journal remembers it: its API never shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneMemory {
    /// The repository: another id is another repository, of which nothing is known.
    pub repository: u64,
    /// What was sent.
    pub prune: Prune,
    /// How sure it is.
    pub certainty: PruneCertainty,
}

/// How sure it is that pruning is as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PruneCertainty {
    /// It was sent, and a sync that was then running may have written the old value back since.
    Sent {
        /// `mirror_updated` when it was sent; once that moves, it has to be sent again.
        mirror_updated: Timestamp,
    },
    /// It was sent when nothing could undo it.
    Known,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refs::RefName;
    use crate::domain::tests::spec;

    fn prove(
        spec: &MirrorSpec,
        upstream: &RefList,
        gitea: &RefList,
        rewritten: Option<bool>,
    ) -> Result<Evidence, NotProven> {
        let at = Timestamp::UNIX_EPOCH;
        Evidence::prove(spec, &Seen { at, value: upstream }, &Seen { at, value: gitea }, rewritten)
    }

    fn seen(refs: &[(&str, char)]) -> RefList {
        let refs = refs
            .iter()
            .map(|(name, c)| (RefName::parse(name).unwrap(), ObjectId::parse(&c.to_string().repeat(40)).unwrap()));
        RefList::complete(refs, None)
    }

    #[test]
    fn nothing_but_equal_refs_with_the_tracked_branch_makes_evidence() {
        let spec = spec();
        let main = seen(&[("refs/heads/main", 'a')]);
        let evidence = prove(&spec, &main, &main, Some(false)).unwrap();
        assert_eq!((evidence.refs(), evidence.tracked_commit().as_str().len()), (1, 40));
        assert_eq!(prove(&spec, &seen(&[]), &main, None), Err(NotProven::UpstreamEmpty));
        assert_eq!(prove(&spec, &seen(&[("refs/heads/x", 'a')]), &main, None), Err(NotProven::BranchMissing));
        let moved = prove(&spec, &main, &seen(&[("refs/heads/main", 'b')]), None);
        assert!(matches!(moved, Err(NotProven::Differing(_))));
        assert!(matches!(prove(&spec, &main, &seen(&[]), None), Err(NotProven::Differing(_))));
    }

    #[test]
    fn what_is_no_proof_is_not_read_back_as_one() {
        let main = seen(&[("refs/heads/main", 'a')]);
        let evidence = prove(&spec(), &main, &main, None).unwrap();
        let written = serde_json::to_value(&evidence).unwrap();
        assert_eq!(serde_json::from_value::<Evidence>(written.clone()).unwrap(), evidence);
        for (member, value) in [("refs", serde_json::json!(0)), ("gitea_digest", serde_json::json!("sha256:00"))] {
            let mut forged = written.clone();
            forged[member] = value;
            assert!(serde_json::from_value::<Evidence>(forged).is_err(), "{member}");
        }
    }

    #[test]
    fn an_extra_ref_in_gitea_is_counted_without_pruning_and_disproves_with_it() {
        let (upstream, gitea) =
            (seen(&[("refs/heads/main", 'a')]), seen(&[("refs/heads/main", 'a'), ("refs/heads/old", 'b')]));
        assert_eq!(prove(&spec(), &upstream, &gitea, None).unwrap().only_in_gitea(), 1);
        let pruning = MirrorSpec { prune: Prune::On, ..spec() };
        assert!(prove(&pruning, &upstream, &gitea, None).is_err());
    }
}
