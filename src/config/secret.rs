//! Secrets in files, read again at each use, so that a rotated one needs no restart.
//!
//! Owns what is refused in such a file; how it is read, and what counts while it cannot be, is `text_file`'s. Says nothing of
//! a file's content: an error names the file and what is wrong with it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::text_file::{self, TextFile};
use crate::domain::credential::{Credential, CredentialError, CredentialSource};

/// Where one secret is.
#[derive(Clone, Debug)]
pub enum Secret {
    /// In a file.
    File(Arc<TextFile>),
    /// In an environment variable: its name, and its value at start.
    Variable(&'static str, SecretString),
}

impl fmt::Display for Secret {
    /// Its place, never its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.path().display().fmt(f),
            Self::Variable(name, _) => write!(f, "the variable {name}"),
        }
    }
}

/// What a secret is for: what it may hold depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Username,
    Password,
    /// For signatures.
    Signing,
}

/// The shortest secret for signatures, in bytes: whoever sees one signed delivery may guess at it for as long as they like.
const SHORTEST_SIGNING: usize = 32;

impl Secret {
    /// In the file at `path`, which is not read yet.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::File(Arc::new(TextFile::new(path)))
    }

    pub(super) fn read(&self, kind: Kind) -> Result<SecretString, CredentialError> {
        let text = match self {
            Self::File(file) => file.read(text_file::LARGEST).map_err(|error| CredentialError(error.to_string()))?,
            Self::Variable(_, value) => value.clone(),
        };
        let text = text.expose_secret();
        // an editor or `kubectl create secret` ends the file with a line break; nobody means it
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        let line = if matches!(kind, Kind::Password | Kind::Signing) { line } else { line.trim() };
        let wrong = |what: &str| Err(CredentialError(format!("{self} {what}")));
        if line.is_empty() {
            wrong("is empty")
        } else if line.chars().any(char::is_control) {
            wrong("holds more than one line, or control characters")
        } else if kind == Kind::Token && !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong("holds a space or letters beyond ASCII, which no token has")
        } else if kind == Kind::Signing && line.len() < SHORTEST_SIGNING {
            wrong("is shorter than 32 characters, and a secret for signatures has at least that many")
        } else if kind == Kind::Username && line.contains(':') {
            wrong("holds a colon, which no user name has")
        } else {
            Ok(line.to_owned().into())
        }
    }
}

/// A credential, as it is configured.
#[derive(Clone, Debug)]
pub enum ConfiguredCredential {
    /// An access token.
    Token(Secret),
    /// A name and a password.
    Basic {
        /// The name.
        username: Secret,
        /// The password.
        password: Secret,
    },
}

impl ConfiguredCredential {
    /// A token in a file.
    #[must_use]
    pub fn token_file(path: PathBuf) -> Self {
        Self::Token(Secret::file(path))
    }
}

impl CredentialSource for ConfiguredCredential {
    fn read(&self) -> Result<Option<Credential>, CredentialError> {
        match self {
            Self::Token(token) => Ok(Some(Credential::Token(token.read(Kind::Token)?))),
            Self::Basic { username, password } => Ok(Some(Credential::Basic {
                username: username.read(Kind::Username)?.expose_secret().to_owned(),
                password: password.read(Kind::Password)?,
            })),
        }
    }
}

impl fmt::Display for ConfiguredCredential {
    /// Where it comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "the token in {token}"),
            Self::Basic { username, password } => write!(f, "the user name in {username}, the password in {password}"),
        }
    }
}
