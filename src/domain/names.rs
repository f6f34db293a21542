//! Names of mirrors, owners, repositories and branches, valid by construction.
//!
//! Owns the rules and their error texts. The rules are Gitea's, so that a bad name is found at start and not after a
//! clone. Never asks Gitea.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that breaks its rule. `Display` states the rule without repeating the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`BadName`], which states the rule.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                $check(text).map(|()| Self(text.into()))
            }

            /// Returns the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

name!(
    /// Name of a mirror in cutover-api's API, metrics and logs: a DNS label.
    MirrorName,
    check_mirror
);
name!(
    /// Name of a Gitea organisation or user.
    OwnerName,
    check_owner
);
name!(
    /// Name of a Gitea repository, without its owner.
    RepoName,
    check_repo
);
name!(
    /// Name of a branch, without `refs/heads/`.
    BranchName,
    check_branch
);

fn check_mirror(text: &str) -> Result<(), BadName> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if text.len() <= 63 && inside && ends(text.chars().next()) && ends(text.chars().last()) {
        Ok(())
    } else {
        Err(BadName("a name has 1 to 63 lower-case letters, digits and inner hyphens, such as openova"))
    }
}

/// Gitea's reserved user names: the lists of Gitea 1.20 to 1.27 and Forgejo 7 to 16 together.
const RESERVED_OWNERS: [&str; 41] = [
    "-",
    ".",
    "..",
    ".well-known",
    "admin",
    "api",
    "assets",
    "attachments",
    "avatar",
    "avatars",
    "captcha",
    "commits",
    "debug",
    "devtest",
    "error",
    "explore",
    "favicon.ico",
    "ghost",
    "gitea-actions",
    "forgejo-actions",
    "healthz",
    "issues",
    "login",
    "manifest.json",
    "metrics",
    "milestones",
    "new",
    "notifications",
    "org",
    "pulls",
    "raw",
    "repo",
    "repo-avatars",
    "robots.txt",
    "search",
    "serviceworker.js",
    "ssh_info",
    "swagger.v1.json",
    "user",
    "v2",
    "template",
];

fn check_owner(text: &str) -> Result<(), BadName> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let joined = text.as_bytes().windows(2).any(|pair| pair.iter().all(|c| matches!(c, b'-' | b'_' | b'.')));
    let lower = text.to_ascii_lowercase();
    if !(1..=40).contains(&text.len())
        || !text.chars().all(word)
        || joined
        || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !text.ends_with(|c: char| c.is_ascii_alphanumeric())
    {
        Err(BadName("an owner has 1 to 40 ASCII letters and digits, with single hyphens, dots and underscores inside"))
    } else if RESERVED_OWNERS.contains(&lower.as_str())
        || [".keys", ".gpg", ".rss", ".atom", ".png"].iter().any(|ending| lower.ends_with(ending))
    {
        Err(BadName("Gitea reserves this name; choose another owner"))
    } else {
        Ok(())
    }
}

fn check_repo(text: &str) -> Result<(), BadName> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let lower = text.to_ascii_lowercase();
    if !(1..=100).contains(&text.len()) || !text.chars().all(word) {
        Err(BadName("a repository has 1 to 100 ASCII letters, digits, hyphens, dots and underscores"))
    } else if text.starts_with('-') || text.ends_with('.') || text.contains("..") {
        // Stricter than Gitea. A leading hyphen looks like an option to scripts, and Windows cannot store a trailing
        // dot.
        Err(BadName("a repository's name does not begin with a hyphen, end with a dot or hold two dots in a row"))
    } else if text == "." || [".git", ".wiki", ".rss", ".atom"].iter().any(|ending| lower.ends_with(ending)) {
        Err(BadName("leave off the ending .git, .wiki, .rss or .atom: Gitea reserves these"))
    } else {
        Ok(())
    }
}

fn check_branch(text: &str) -> Result<(), BadName> {
    // From `git check-ref-format`, for a name below refs/heads/.
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !has_ending(part, ".lock");
    let bad = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' | '\u{7f}');
    if (1..=255).contains(&text.len())
        && text.split('/').all(part)
        && !text.chars().any(bad)
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text != "HEAD"
    {
        Ok(())
    } else {
        Err(BadName("write a branch name that git allows, such as main or release/1.2, without refs/heads/"))
    }
}

/// git compares `.lock` case-sensitively.
fn has_ending(text: &str, ending: &str) -> bool {
    text.as_bytes().ends_with(ending.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_gitea_takes_are_taken() {
        for owner in ["openova", "a", "A-b.c_d", "0x", &"x".repeat(40)] {
            assert!(OwnerName::parse(owner).is_ok(), "{owner}");
        }
        for repo in ["openova", "a", "_x", ".hidden", "con", "a--b", &"x".repeat(100)] {
            assert!(RepoName::parse(repo).is_ok(), "{repo}");
        }
        for branch in ["main", "release/1.2", "a@b", "ü"] {
            assert!(BranchName::parse(branch).is_ok(), "{branch}");
        }
        for mirror in ["openova", "a", "a-1", &"x".repeat(63)] {
            assert!(MirrorName::parse(mirror).is_ok(), "{mirror}");
        }
    }

    #[test]
    fn names_that_gitea_refuses_are_refused() {
        for owner in [
            "",
            ".",
            "..",
            "-rf",
            "_a",
            "a-",
            "a--b",
            "a._b",
            "a/b",
            "a%2fb",
            "a b",
            "a\nb",
            "ä",
            "ａ",
            "😀",
            "api",
            "user",
            "org",
            "repo",
            "v2",
            "ghost",
            "gitea-actions",
            "login",
            "x.keys",
            "x.png",
            "API",
            &"x".repeat(41),
        ] {
            assert!(OwnerName::parse(owner).is_err(), "{owner}");
        }
        for repo in [
            "",
            ".",
            "..",
            "-",
            "a..b",
            "a/b",
            "a\\b",
            "../x",
            "%2e%2e",
            "é",
            "x.git",
            "x.GIT",
            "x.wiki",
            "x.rss",
            "x.atom",
            "-rf",
            "--help",
            "a.",
            &"x".repeat(101),
        ] {
            assert!(RepoName::parse(repo).is_err(), "{repo}");
        }
        for branch in [
            "", "/", "a//b", "a/", ".a", "a/.b", "a.lock", "a..b", "a b", "a~", "a^", "a:b", "@", "HEAD", "-a",
            "a@{0}", "a.",
        ] {
            assert!(BranchName::parse(branch).is_err(), "{branch}");
        }
        for mirror in ["", "A", "-a", "a-", "a_b", "a.b", "a/b", &"x".repeat(64)] {
            assert!(MirrorName::parse(mirror).is_err(), "{mirror}");
        }
    }
}
