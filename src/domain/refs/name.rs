//! Names of refs: bytes by git's own rule, and how they are shown.
//!
//! Owns that rule and the escape. A name that is sent and compared is bytes; a [`RefName`] is what people and JSON see.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::domain::names::BranchName;

/// The longest part of a name between two slashes that a file system holds.
const LONGEST_PART: usize = 255;

/// The longest name.
const LONGEST: usize = 4_096;

const HEADS: &[u8] = b"refs/heads/";
const TAGS: &[u8] = b"refs/tags/";

/// The full name of a head or a tag, as it is shown.
///
/// A byte that is not part of UTF-8, and each byte of a control character, is shown as `\xNN`. No two refs are shown
/// alike, since git allows no backslash in a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefName(Box<str>);

/// Why bytes are not the name of a head or a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRefName {
    /// git allows no such name.
    Malformed,
    /// git allows it, and no forge holds it: a part is longer than 255 bytes, or the name than 4,096.
    TooLong(RefName),
}

impl RefName {
    /// Takes the full name of a head or a tag; `None`: it is not one (`refs/pull/…`, `HEAD`), or git does not allow it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.as_bytes()).ok()
    }

    /// Takes the full name of a head or a tag as git sends it.
    ///
    /// # Errors
    /// [`BadRefName`]: any other bytes.
    pub fn of(name: &[u8]) -> Result<Self, BadRefName> {
        check(name)?;
        Ok(Self(escaped(name).into()))
    }

    /// The ref of a branch.
    #[must_use]
    pub fn of_branch(branch: &BranchName) -> Self {
        Self(format!("refs/heads/{branch}").into())
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as git has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut parts = self.0.split(r"\x");
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            // two digits, as they were written
            let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            bytes.extend(u8::from_str_radix(digits, 16));
            bytes.extend_from_slice(rest.as_bytes());
        }
        bytes
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

/// Whether a full name is a branch's.
pub(super) fn is_branch(name: &[u8]) -> bool {
    name.starts_with(HEADS)
}

/// Whether a full name is below `refs/heads/` or `refs/tags/`, well-formed or not.
#[must_use]
pub fn is_head_or_tag(name: &[u8]) -> bool {
    name.starts_with(HEADS) || name.starts_with(TAGS)
}

/// The rule of `git check-ref-format`, for a name below `refs/heads/` or `refs/tags/`.
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
            // a terminal takes U+0080 to U+009F for commands
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
