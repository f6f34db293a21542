//! Secrets in files, read again at each use, so that a rotated one needs no restart.
//!
//! Owns how such a file is read and what is refused in it. Keeps nothing in memory between uses, and says nothing of a
//! file's content: an error names the file and what is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::credential::{Credential, CredentialError, CredentialSource};

/// The largest file that is read: tokens files of hundreds of callers fit.
const LARGEST: u64 = 64 * 1024;

/// Where one secret is.
#[derive(Clone, Debug)]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In an environment variable: its name, and its value at start.
    Variable(&'static str, SecretString),
}

impl fmt::Display for Secret {
    /// Its place, never its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
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
    pub(super) fn read(&self, kind: Kind) -> Result<SecretString, CredentialError> {
        let text = match self {
            Self::File(path) => read_text(path).map_err(CredentialError)?,
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

/// Reads a small file of text. The error names the file.
pub(super) fn read_text(path: &Path) -> Result<SecretString, String> {
    read_text_up_to(path, LARGEST)
}

/// Reads a file of text of at most so many bytes. The error names the file.
pub(super) fn read_text_up_to(path: &Path, largest: u64) -> Result<SecretString, String> {
    let name = path.display();
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => format!("{name} does not exist"),
        ErrorKind::PermissionDenied => format!("{name} may not be read by this user"),
        _ => format!("{name} cannot be read: {error}"),
    };
    // a pipe without a writer would hold us for ever
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{name} is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(largest + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > largest {
        return Err(format!("{name} is larger than {} KiB", largest / 1024));
    }
    String::from_utf8(bytes).map(SecretString::from).map_err(|_| format!("{name} is not text in UTF-8"))
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
        Self::Token(Secret::File(path))
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
