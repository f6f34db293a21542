//! The proof that a mirror is in sync.
//!
//! Owns [`Evidence`]. Its one constructor takes two complete ref lists and refuses them unless they match by the
//! mirror's rule. Never reads a list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refs::{Comparison, Digest, ObjectId, Prune, RefList, compare};
use super::spec::MirrorSpec;

/// A value with the time of its reading, by cutover-api's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The value.
    pub value: T,
}

/// Proof of a success: the refs of both sides and when each was read.
///
/// A proof from the journal must meet the conditions of a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Readings", into = "Readings")]
pub struct Evidence(Readings);

/// The results of two readings, in the journal's form. They prove nothing until they are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Readings {
    refs: usize,
    /// `None` from a version that did not record it.
    #[serde(default)]
    branches: Option<usize>,
    upstream_digest: Digest,
    gitea_digest: Digest,
    only_in_gitea: usize,
    tracked_branch: String,
    tracked_commit: ObjectId,
    rewritten: Option<bool>,
    /// Missing from versions that did not record it.
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

/// Reason why two lists are no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotProven {
    /// Upstream has no ref at all, which is more likely a fault than an empty repository.
    UpstreamEmpty,
    /// Upstream does not have the tracked branch.
    BranchMissing,
    /// Refs differ.
    Differing(Comparison),
}

impl Evidence {
    /// Proves that Gitea has what upstream has.
    ///
    /// `rewritten`: whether a sync of this run moved the tracked branch to a commit whose history lacks the old one; `None` if that
    /// is unknown.
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
        // The digests check the comparison by a second way through the same data.
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

    /// Number of upstream's heads and tags.
    #[must_use]
    pub const fn refs(&self) -> usize {
        self.0.refs
    }

    /// Number of upstream's branches, with which later lists are compared.
    #[must_use]
    pub const fn branches(&self) -> Option<usize> {
        self.0.branches
    }

    /// Digest of upstream's list.
    #[must_use]
    pub const fn upstream_digest(&self) -> &Digest {
        &self.0.upstream_digest
    }

    /// Digest of Gitea's list, restricted to the names that upstream has.
    #[must_use]
    pub const fn gitea_digest(&self) -> &Digest {
        &self.0.gitea_digest
    }

    /// Number of refs that only Gitea has.
    #[must_use]
    pub const fn only_in_gitea(&self) -> usize {
        self.0.only_in_gitea
    }

    /// The tracked branch.
    #[must_use]
    pub fn tracked_branch(&self) -> &str {
        &self.0.tracked_branch
    }

    /// The tracked branch's commit, the same on both sides.
    #[must_use]
    pub const fn tracked_commit(&self) -> &ObjectId {
        &self.0.tracked_commit
    }

    /// Whether a sync of the run replaced history; `None` if that is unknown.
    #[must_use]
    pub const fn rewritten(&self) -> Option<bool> {
        self.0.rewritten
    }

    /// Whether upstream is a shallow clone. Its refs are proven, but older commits may be missing on both sides.
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

    /// The time for which the proof holds: that of the older reading.
    #[must_use]
    pub fn proven_at(&self) -> Timestamp {
        self.0.upstream_read_at.min(self.0.gitea_read_at)
    }
}

/// Gitea's pruning setting of one repository, as the journal remembers it, because Gitea's API does not show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneMemory {
    /// The repository's id. Of a repository with another id nothing is known.
    pub repository: u64,
    /// The setting that was sent.
    pub prune: Prune,
    /// How certain it is that Gitea still has it.
    pub certainty: PruneCertainty,
}

/// Certainty that Gitea still has the pruning setting that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PruneCertainty {
    /// A sync that was running when it was sent may have written the old value back since.
    Sent {
        /// `mirror_updated` at that time. Once it changes, the setting must be sent again.
        mirror_updated: Timestamp,
    },
    /// It was sent when nothing could overwrite it.
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
    fn only_equal_refs_with_the_tracked_branch_are_evidence() {
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
    fn readings_that_prove_nothing_are_not_restored_as_a_proof() {
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
