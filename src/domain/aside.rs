//! A regular repository that makes room for a mirror: renamed, whole, and given its name back when the mirror cannot be
//! made.
//!
//! Owns the name that it gets. Renames nothing itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::RepoName;

/// Gitea's longest name of a repository.
const LONGEST: usize = 100;

/// What a rename leaves where it was: all that hangs on the repository's id, which no mirror takes over.
pub const STAYS: &str = "its issues, pull requests, releases, wiki, hooks, deploy keys, collaborators, teams, \
                         protections, packages and Actions settings stay with it";

/// A legacy repository and the name that it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Its id, which a rename does not change.
    pub repository: u64,
    /// Its new name, under the same owner.
    pub name: RepoName,
}

impl Aside {
    /// The repository `id` at `repo`, to be renamed at `date`, by Gitea's clock: to `<repo>-legacy-<time in UTC>`.
    /// `None`: no name can be made of that one.
    #[must_use]
    pub fn new(id: u64, repo: &RepoName, date: Timestamp) -> Option<Self> {
        let suffix = format!("-legacy-{}", date.strftime("%Y%m%dT%H%M%SZ"));
        let kept: String = repo.as_str().chars().take(LONGEST.saturating_sub(suffix.len())).collect();
        RepoName::parse(&format!("{kept}{suffix}")).ok().map(|name| Self { repository: id, name })
    }
}

/// A rename of this service's, there or back, that may have been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The legacy repository, and the name that it is to get or to lose.
    pub aside: Aside,
    /// Whether it is given its name back.
    pub back: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_when_and_is_never_too_long() {
        let date = "2026-11-23T16:15:00+01:00".parse().unwrap();
        let name = |repo: &str| Aside::new(7, &RepoName::parse(repo).unwrap(), date).unwrap().name.to_string();
        assert_eq!(name("openova"), "openova-legacy-20261123T151500Z");
        let long = name(&"x".repeat(100));
        assert_eq!(long.len(), 100);
        assert!(long.ends_with("x-legacy-20261123T151500Z"), "{long}");
    }
}
