//! Names of refs: bytes by git's rules, and their display.
//!
//! Owns those rules and the escaping. Names are sent and compared as bytes. A [`RefName`] is their form for people and
//! JSON. Never sends a [`RefName`] to git.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::domain::names::BranchName;

/// The longest path segment that a file system can store, in bytes.
const LONGEST_PART: usize = 255;

/// The longest name, in bytes.
const LONGEST: usize = 4_096;

const HEADS: &[u8] = b"refs/heads/";
const TAGS: &[u8] = b"refs/tags/";

/// The full name of a head or a tag, in its display form.
///
/// Bytes that are not UTF-8 and bytes of control characters appear as `\xNN`. No two refs look the same, because git
/// allows no backslash in a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefName(Box<str>);

/// Reason why bytes are not the name of a head or a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRefName {
    /// git does not allow the name.
    Malformed,
    /// git allows it, but no forge can store it: a segment is longer than 255 bytes, or the name than 4,096.
    TooLong(RefName),
}

impl RefName {
    /// Parses the full name of a head or a tag. `None` for other refs (`refs/pull/…`, `HEAD`) and for names that git
    /// refuses.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.as_bytes()).ok()
    }

    /// Converts the full name of a head or a tag from git's bytes.
    ///
    /// # Errors
    /// [`BadRefName`]: any other bytes.
    pub fn of(name: &[u8]) -> Result<Self, BadRefName> {
        check(name)?;
        Ok(Self(escaped(name).into()))
    }

    /// Returns the ref of a branch.
    #[must_use]
    pub fn of_branch(branch: &BranchName) -> Self {
        Self(format!("refs/heads/{branch}").into())
    }

    /// Returns the display form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name in git's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut parts = self.0.split(r"\x");
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            // Two digits, written by `escaped`.
            let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            bytes.extend(u8::from_str_radix(digits, 16));
            bytes.extend_from_slice(rest.as_bytes());
        }
        bytes
    }

    /// Returns the branch, if this ref is one.
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

/// Whether a full name is a branch's.
pub(super) fn is_branch(name: &[u8]) -> bool {
    name.starts_with(HEADS)
}

/// Whether a full name is below `refs/heads/` or `refs/tags/`, well-formed or not.
#[must_use]
pub fn is_head_or_tag(name: &[u8]) -> bool {
    name.starts_with(HEADS) || name.starts_with(TAGS)
}

/// Applies the rules of `git check-ref-format` to a name below `refs/heads/` or `refs/tags/`.
pub(super) fn check(name: &[u8]) -> Result<(), BadRefName> {
    let part = |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock");
    let forbidden = |byte: &u8| matches!(byte, 0..=b' ' | 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\');
    let pair = |pair: &[u8]| pair == b".." || pair == b"@{";
    if !is_head_or_tag(name)
        || name.iter().any(forbidden)
        || name.ends_with(b".")
        || name.windows(2).any(pair)
        || !name.split(|byte| *byte == b'/').all(part)
    {
        return Err(BadRefName::Malformed);
    }
    if name.len() > LONGEST || name.split(|byte| *byte == b'/').any(|part| part.len() > LONGEST_PART) {
        return Err(BadRefName::TooLong(RefName(escaped(name).into())));
    }
    Ok(())
}

fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            write!(text, "\\x{byte:02x}").expect("writing to a String cannot fail");
        }
    };
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Terminals read U+0080 to U+009F as commands.
            if c.is_control() { escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()) } else { text.push(c) }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_heads_and_tags_by_gits_rule_are_refs() {
        for name in
            ["refs/heads/main", "refs/tags/v1", "refs/heads/a/b", "refs/heads/@", "refs/heads/-a", "refs/heads/a.b"]
        {
            assert!(RefName::parse(name).is_some(), "{name}");
        }
        for name in [
            "HEAD",
            "refs/pull/1/head",
            "refs/heads/",
            "refs/notes/x",
            "refs/heads/../x",
            "refs/heads/a\0b",
            "main",
            "refs/heads//a",
            "refs/heads/a/",
            "refs/heads/.a",
            "refs/heads/a/.b",
            "refs/heads/a.lock",
            "refs/heads/a.lock/b",
            "refs/heads/a.",
            "refs/heads/a b",
            "refs/heads/a~",
            "refs/heads/a^",
            "refs/heads/a:b",
            "refs/heads/a?",
            "refs/heads/a*",
            "refs/heads/a[",
            "refs/heads/a\\b",
            "refs/heads/a@{0}",
            "refs/heads/a\u{7f}",
            "refs/heads/a\tb",
        ] {
            assert!(RefName::parse(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn any_byte_beyond_ascii_is_allowed_and_is_shown_without_harm() {
        for (name, shown) in [
            (&b"refs/heads/\xc3\xbc"[..], "refs/heads/ü"),
            (b"refs/heads/\xfc", r"refs/heads/\xfc"),
            (b"refs/heads/\xc3\x83\xc2\xbc", "refs/heads/Ã¼"),
            (b"refs/heads/\xc2\x85", r"refs/heads/\xc2\x85"),
            (b"refs/tags/a\xff\xfeb", r"refs/tags/a\xff\xfeb"),
        ] {
            let bytes = name;
            let name = RefName::of(bytes).unwrap();
            assert_eq!((name.as_str(), name.to_bytes()), (shown, bytes.to_vec()));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<RefName>(&json).unwrap(), name);
        }
    }

    #[test]
    fn a_name_longer_than_forges_hold_is_named() {
        let part = |length: usize| format!("refs/heads/{}", "x".repeat(length));
        assert!(RefName::parse(&part(255)).is_some());
        let long = part(256);
        assert!(matches!(RefName::of(long.as_bytes()), Err(BadRefName::TooLong(name)) if name.as_str() == long));
        let whole = |length: usize| format!("refs/heads/{}", "a/".repeat(length / 2 - 6) + "b");
        assert_eq!(whole(4_096).len(), 4_096);
        assert!(RefName::parse(&whole(4_096)).is_some());
        assert!(matches!(RefName::of(whole(4_098).as_bytes()), Err(BadRefName::TooLong(_))));
    }
}
