//! Secrets in files, read at each use, so that a rotated one needs no restart.
//!
//! Owns what is refused in such a file; how it is read is `text_file`'s. An error names the file and the fault, never its
//! content.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::text_file::{self, TextFile};
use crate::domain::credential::{Credential, CredentialError, CredentialSource};

/// The source of a secret.
#[derive(Clone, Debug)]
pub enum Secret {
    /// In a file.
    File(Arc<TextFile>),
    /// In an environment variable: its name, and its value at start.
    Variable(&'static str, SecretString),
}

impl fmt::Display for Secret {
    /// Shows where it is, never its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.path().display().fmt(f),
            Self::Variable(name, _) => write!(f, "the variable {name}"),
        }
    }
}

/// The use of a secret, which decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretKind {
    Token,
    Username,
    Password,
    /// Signs webhooks or notifications.
    Signing,
}

/// The shortest signing secret, in bytes: one signed delivery is enough to guess at it offline.
const SHORTEST_SIGNING: usize = 32;

impl Secret {
    /// The secret in the file at `path`, which is not read yet.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::File(Arc::new(TextFile::new(path)))
    }

    pub(super) fn read(&self, kind: SecretKind) -> Result<SecretString, CredentialError> {
        let text = match self {
            Self::File(file) => file.read(text_file::LARGEST).map_err(|error| CredentialError(error.to_string()))?,
            Self::Variable(_, value) => value.clone(),
        };
        let text = text.expose_secret();
        // an editor or `kubectl create secret` ends the file with a line break, which is no part of the secret
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        let line = if matches!(kind, SecretKind::Password | SecretKind::Signing) { line } else { line.trim() };
        let wrong = |what: &str| Err(CredentialError(format!("{self} {what}")));
        if line.is_empty() {
            wrong("is empty")
        } else if line.chars().any(char::is_control) {
            wrong("contains more than one line, or control characters")
        } else if kind == SecretKind::Token && !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong("contains a space or letters beyond ASCII, which no token has")
        } else if kind == SecretKind::Signing && line.len() < SHORTEST_SIGNING {
            wrong("is shorter than 32 characters, the least for a signing secret")
        } else if kind == SecretKind::Username && line.contains(':') {
            wrong("contains a colon, which no user name has")
        } else {
            Ok(line.to_owned().into())
        }
    }
}

/// A configured credential, read at each use.
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
    /// The token in a file.
    #[must_use]
    pub fn token_file(path: PathBuf) -> Self {
        Self::Token(Secret::file(path))
    }
}

impl CredentialSource for ConfiguredCredential {
    fn read(&self) -> Result<Option<Credential>, CredentialError> {
        match self {
            Self::Token(token) => Ok(Some(Credential::Token(token.read(SecretKind::Token)?))),
            Self::Basic { username, password } => Ok(Some(Credential::Basic {
                username: username.read(SecretKind::Username)?.expose_secret().to_owned(),
                password: password.read(SecretKind::Password)?,
            })),
        }
    }
}

impl fmt::Display for ConfiguredCredential {
    /// Describes where it comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "the token in {token}"),
            Self::Basic { username, password } => write!(f, "the user name in {username}, the password in {password}"),
        }
    }
}
