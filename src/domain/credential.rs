//! Credentials: how they are held, asked for, and cut out of other people's words.
//!
//! Owns the types through which a secret passes. Reads no file: `config` implements [`CredentialSource`]. A secret
//! has no `Display` and is never serialised; [`Redactor`] works by value, since patterns have failed everywhere else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

/// What proves to another server who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token.
    Token(SecretString),
    /// A name and a password.
    Basic {
        /// The name; not a secret by itself.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Credential {
    /// The value of an `Authorization` header for an API that takes `token …`, as Gitea's does.
    #[must_use]
    pub fn api_header(&self) -> SecretString {
        match self {
            Self::Token(token) => format!("token {}", token.expose_secret()).into(),
            Self::Basic { .. } => self.git_header(),
        }
    }

    /// The value of an `Authorization` header for git over HTTP: always Basic. The name `oauth2` beside a token is what
    /// GitLab demands and what GitHub, Gitea and Forgejo take.
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

/// A credential that cannot be read; `Display` names the file and what is wrong with it, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(pub String);

/// Where a credential comes from: asked anew at each use, so that a rotated secret needs no restart.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credential as it is now; `None`: there is none to be used.
    ///
    /// # Errors
    /// When one is configured and cannot be read.
    fn read(&self) -> Result<Option<Credential>, CredentialError>;
}

/// No credential at all: for a public upstream.
#[derive(Clone, Copy, Debug)]
pub struct NoCredential;

impl CredentialSource for NoCredential {
    fn read(&self) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// Secrets shorter than this are not looked for: they would be found in innocent words, and guard nothing.
const SHORTEST: usize = 4;

/// Cuts secrets out of text by value, in every form in which servers have been seen to repeat them.
#[derive(Clone, Default)]
pub struct Redactor {
    // longest first, so that no form is cut out of the middle of a longer one
    forms: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.forms.len()).finish()
    }
}

impl Redactor {
    /// A redactor that knows these credentials.
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

    /// This one, which then knows those, too.
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

    /// The text without the secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            text = replace_ignoring_case(&text, form);
        }
        text
    }
}

/// Every byte but the unreserved ones as `%XX`, which is how Go and browsers write userinfo.
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
    // ASCII case only: offsets stay the same
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
            // what we put in its place may itself hold a very short secret
            prop_assert!(!clean.replace(REDACTED, "\0").contains(&secret), "{}", clean);
        }
    }
}
