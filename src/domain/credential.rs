//! Credentials: how they are held and read, and how they are redacted from texts of other servers.
//!
//! Owns the types through which a secret passes. A secret has no `Display` and is never serialised. Never reads a file:
//! `config` implements [`CredentialSource`]. [`Redactor`] compares values, because patterns miss secrets of unknown
//! form.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

/// A credential for another server.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token.
    Token(SecretString),
    /// A user name and a password.
    Basic {
        /// The user name; not a secret.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Credential {
    /// Returns the value of an `Authorization` header for an API that accepts `token …`, such as Gitea's.
    #[must_use]
    pub fn api_header(&self) -> SecretString {
        match self {
            Self::Token(token) => format!("token {}", token.expose_secret()).into(),
            Self::Basic { .. } => self.git_header(),
        }
    }

    /// Returns the value of an `Authorization` header for git over HTTP, which is always Basic.
    ///
    /// With a token the user name is `oauth2`: GitLab requires it; GitHub, Gitea and Forgejo accept it.
    #[must_use]
    pub fn git_header(&self) -> SecretString {
        let (name, secret) = match self {
            Self::Token(token) => ("oauth2", token),
            Self::Basic { username, password } => (username.as_str(), password),
        };
        format!("Basic {}", STANDARD.encode(format!("{name}:{}", secret.expose_secret()))).into()
    }

    /// Whether two credentials are the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.git_header().expose_secret() == other.git_header().expose_secret()
    }

    fn secret(&self) -> &str {
        match self {
            Self::Token(secret) | Self::Basic { password: secret, .. } => secret.expose_secret(),
        }
    }
}

/// A credential that cannot be read. `Display` names the file and the fault, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(pub String);

/// Source of a credential, read at each use so that a rotated secret needs no restart.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// Returns the current credential; `None` if none is configured.
    ///
    /// # Errors
    /// The configured credential cannot be read.
    fn read(&self) -> Result<Option<Credential>, CredentialError>;
}

/// Source without a credential, for a public upstream.
#[derive(Clone, Copy, Debug)]
pub struct NoCredential;

impl CredentialSource for NoCredential {
    fn read(&self) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// Replacement for a secret in a text.
pub const REDACTED: &str = "[redacted]";

/// Shorter secrets are not redacted: they would match ordinary words, and protect nothing.
const SHORTEST: usize = 4;

/// Removes secrets from texts by value, in every form in which servers have repeated them.
#[derive(Clone, Default)]
pub struct Redactor {
    // Sorted by length, longest first, so that a form that contains another one is replaced first.
    forms: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.forms.len()).finish()
    }
}

impl Redactor {
    /// Creates a redactor of these credentials.
    #[must_use]
    pub fn knowing<'a>(credentials: impl IntoIterator<Item = &'a Credential>) -> Self {
        let mut forms = Vec::new();
        for credential in credentials {
            let secret = credential.secret();
            if secret.len() < SHORTEST {
                continue;
            }
            forms.push(secret.to_owned());
            forms.push(secret.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
            forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            forms.push(percent_encoded(secret));
            forms.push(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                forms.push(engine.encode(secret));
            }
            if let Some(pair) = credential.git_header().expose_secret().strip_prefix("Basic ") {
                forms.push(pair.to_owned());
                forms.push(pair.trim_end_matches('=').to_owned());
            }
        }
        Self { forms }.sorted()
    }

    /// Adds credentials.
    #[must_use]
    pub fn and_knowing<'a>(mut self, credentials: impl IntoIterator<Item = &'a Credential>) -> Self {
        self.forms.extend(Self::knowing(credentials).forms);
        self.sorted()
    }

    fn sorted(mut self) -> Self {
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.forms.dedup();
        self
    }

    /// Returns the text without the secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            text = replace_ignoring_case(&text, form);
        }
        text
    }
}

/// Percent-encodes every byte but the unreserved ones, as Go and browsers do in userinfo.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            out + &format!("%{byte:02X}")
        }
    })
}

fn replace_ignoring_case(text: &str, form: &str) -> String {
    // Only ASCII changes case, so that byte offsets stay the same.
    let (haystack, needle) = (text.to_ascii_lowercase(), form.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = haystack[from..].find(&needle) {
        out.push_str(&text[from..from + at]);
        out.push_str(REDACTED);
        from += at + needle.len();
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_cut_out_in_every_form_it_is_repeated_in() {
        let token = Credential::Token("s3cret/tok+en\"x".to_owned().into());
        let basic = Credential::Basic { username: "joe".into(), password: "p@ss wörd".to_owned().into() };
        let redactor = Redactor::knowing([&token, &basic]);
        for text in [
            "access token does not exist [sha: s3cret/tok+en\"x]",
            "S3CRET/TOK+EN\"X",
            "http://oauth2:s3cret%2Ftok%2Ben%22x@host/",
            "{\"t\":\"s3cret/tok+en\\\"x\"}",
            &STANDARD.encode("s3cret/tok+en\"x"),
            token.git_header().expose_secret(),
            basic.git_header().expose_secret(),
            "p%40ss%20w%C3%B6rd",
            "p%40ss+w%C3%B6rd",
            "could not read p@ss wörd twice p@ss wörd",
        ] {
            let clean = redactor.redact(text);
            assert!(clean.contains(REDACTED), "{text} -> {clean}");
            for part in ["s3cret", "tok+en", "wörd", "w%C3"] {
                assert!(!clean.to_lowercase().contains(part), "{text} -> {clean}");
            }
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
        assert!(!format!("{token:?} {redactor:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn no_secret_survives(secret in "[ -~]{4,24}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let redactor = Redactor::knowing([&Credential::Token(secret.clone().into())]);
            let clean = redactor.redact(&format!("{before}{secret}{after}"));
            // The replacement itself may contain a very short secret.
            prop_assert!(!clean.replace(REDACTED, "\0").contains(&secret), "{}", clean);
        }
    }
}
