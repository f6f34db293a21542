//! Idempotency keys, which let a caller repeat a request without repeating its effect.
//!
//! Owns a key's form, and when two requests are the same. Never stores a key; the journal does.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest key, in characters.
pub const LONGEST: usize = 255;

/// A caller's key for one request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// Parses 1 to [`LONGEST`] visible ASCII characters, without comma and quotation mark.
    ///
    /// With those, the text may be a list of keys or a quoted key. Two readers may then disagree.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let sound = text.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b',' | b'"'));
        (sound && (1..=LONGEST).contains(&text.len())).then(|| Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hash of a request. Equal hashes mean the same request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// Hashes a request in its canonical spelling.
    #[must_use]
    pub fn of(request: &str) -> Self {
        Self(format!("{:x}", Sha256::digest(request)).into())
    }

    /// Restores a hash from the journal.
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

/// A request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The caller. Each caller has keys of its own.
    pub caller: String,
    /// The key.
    pub key: Key,
    /// Fingerprint of the request.
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
    fn different_requests_have_different_fingerprints_and_one_is_restored_unchanged() {
        let one = Fingerprint::of("{}");
        assert_ne!(one, Fingerprint::of("{\"dryRun\":false}"));
        assert_eq!(Fingerprint::kept(&one.to_string()), one);
    }
}
