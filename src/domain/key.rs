//! Idempotency keys: what makes asking twice the same as asking once.
//!
//! Owns what a key may look like and when two requests are the same. Keeps nothing: that is the journal's.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The most characters of a key.
pub const LONGEST: usize = 255;

/// A caller's name for one request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// Takes 1 to [`LONGEST`] visible ASCII characters. A comma or a quotation mark is none of them: with one, it may
    /// as well be a list of keys or a quoted one, and two readers of it would not agree on what the key is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let sound = text.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b',' | b'"'));
        (sound && (1..=LONGEST).contains(&text.len())).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request asked for, as a hash: two are equal only if the same was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// Of a request in its one spelling.
    #[must_use]
    pub fn of(request: &str) -> Self {
        Self(format!("{:x}", Sha256::digest(request)).into())
    }

    /// One that was kept.
    #[must_use]
    pub fn kept(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Whose key it is: each caller has its own.
    pub caller: String,
    /// The key.
    pub key: Key,
    /// What it stands for.
    pub request: Fingerprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters_and_neither_a_list_nor_quoted() {
        for good in ["a", "019ab0de-7c00-7000-8000-000000000001", "!#$%&'()*+-./:;<=>?@[]^_`{|}~", &"x".repeat(255)] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a,b", "\"a\"", "a\t", "é", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_tells_requests_apart_and_is_kept_whole() {
        let one = Fingerprint::of("{}");
        assert_ne!(one, Fingerprint::of("{\"dryRun\":false}"));
        assert_eq!(Fingerprint::kept(&one.to_string()), one);
    }
}
