//! Push webhooks: who sends one, whether its signature is right, and what it says.
//!
//! Owns the headers of every forge that we know, the arithmetic of their signatures, and which deliveries matter to a
//! mirror. What a delivery says is a hint and no more: no address in it is ever opened, and nothing is believed that
//! is not read from upstream afterwards. Reads no file and no clock.

mod hint;
mod push;
mod signature;

use std::fmt;

use secrecy::SecretString;

use super::credential::CredentialError;
use super::run::labelled;
use super::spec::Mode;

pub use hint::{Hint, NotAnObject, judge};
pub use push::{Push, Pushes};
pub use signature::{Verifier, sign};

labelled! {
    /// What sends a webhook, by its headers.
    Vendor {
        /// github.com or GitHub Enterprise Server.
        GitHub = "github",
        /// gitlab.com or one's own GitLab.
        GitLab = "gitlab",
        /// Gitea.
        Gitea = "gitea",
        /// Forgejo.
        Forgejo = "forgejo",
        /// Bitbucket Cloud or Bitbucket Data Center.
        Bitbucket = "bitbucket",
        /// Anything else that can sign.
        Generic = "generic",
    }
}

labelled! {
    /// Why a delivery with a good signature leads to no run.
    Reason {
        /// It only asks whether somebody is there.
        Ping = "ping",
        /// It is a trial that no push has caused.
        Test = "test",
        /// It is of another event than a push, or the making or deletion of a ref.
        Event = "event",
        /// The ref is neither a branch nor a tag.
        Ref = "ref",
        /// It is of another repository than the mirror's upstream.
        Repository = "repository",
        /// The same delivery came before.
        Duplicate = "duplicate",
        /// The mirror is pinned: nothing is asked for.
        Pinned = "pinned",
        /// The mirror is severed: nothing is asked for.
        Severed = "severed",
    }
}

impl Reason {
    /// Why a mirror in this mode wants no webhooks; `None`: it wants them.
    #[must_use]
    pub fn of_mode(mode: Mode) -> Option<Self> {
        Self::from_label(mode.label())
    }
}

/// The secrets under which a mirror's webhooks may be signed, as they are now.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Those that can be used.
    pub good: Vec<SecretString>,
    /// What is wrong with the others.
    pub bad: Vec<CredentialError>,
}

/// Where such secrets come from: asked anew at each delivery, so that a rotated secret needs no restart.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The secrets; `None`: none are configured, so that no webhook is taken.
    fn read(&self) -> Option<Secrets>;
}

/// What a delivery's headers claim. Nothing of it is believed before [`Verifier::finish`] has said so; the event and
/// the id of most vendors are not even then, since they are not signed.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Who sends it.
    pub vendor: Vendor,
    /// What it is, as the vendor calls it.
    event: Option<&'a str>,
    /// The name of this delivery, if it has a usable one.
    pub id: Option<&'a str>,
    scheme: Option<Scheme<'a>>,
}

/// How a delivery is signed.
#[derive(Clone, Copy, Debug)]
enum Scheme<'a> {
    /// HMAC-SHA256 of the body, in lower-case hexadecimal digits.
    Hex(&'a str),
    /// The same behind `sha256=`.
    Prefixed(&'a str),
    /// The secret itself.
    Token(&'a str),
    /// Standard Webhooks: HMAC-SHA256 of id, time and body.
    Standard { id: &'a str, timestamp: &'a str, signatures: &'a str },
}

/// The longest name of a delivery.
const LONGEST_ID: usize = 255;

impl<'a> Claim<'a> {
    /// Reads headers; `header` gives the value of one in lower case. A header that stands twice, or is not plain
    /// text, has to be given as an empty one: no signature is empty.
    pub fn read(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let has = |name: &str| header(name).is_some();
        let vendor = if has("x-forgejo-signature") || has("x-forgejo-event") {
            Vendor::Forgejo
        } else if has("x-gitea-signature") || has("x-gitea-event") {
            // Gitea and Forgejo send GitHub's headers as well, so they are looked for first
            Vendor::Gitea
        } else if has("x-gitlab-event") || has("x-gitlab-token") {
            Vendor::GitLab
        } else if has("x-github-event") || has("x-hub-signature-256") {
            Vendor::GitHub
        } else if has("x-event-key") {
            Vendor::Bitbucket
        } else {
            Vendor::Generic
        };
        // SHA-1 proves nothing: such a value is as good as none
        let older = || header("x-hub-signature").filter(|value| !value.starts_with("sha1="));
        let hub = || header("x-hub-signature-256").or_else(older).map(Scheme::Prefixed);
        let gitea = || header("x-gitea-signature").map(Scheme::Hex);
        let standard = || {
            let text = |name: &str| header(name).unwrap_or_default();
            let signatures = header("webhook-signature")?;
            Some(Scheme::Standard { id: text("webhook-id"), timestamp: text("webhook-timestamp"), signatures })
        };
        let (scheme, event, id) = match vendor {
            Vendor::Forgejo => (
                header("x-forgejo-signature").map(Scheme::Hex).or_else(gitea).or_else(hub),
                header("x-forgejo-event"),
                header("x-forgejo-delivery"),
            ),
            Vendor::Gitea => (gitea().or_else(hub), header("x-gitea-event"), header("x-gitea-delivery")),
            Vendor::GitHub => (hub(), header("x-github-event"), header("x-github-delivery")),
            Vendor::GitLab => (
                // one that is signed is not believed for its token instead
                standard().or_else(|| header("x-gitlab-token").map(Scheme::Token)),
                header("x-gitlab-event"),
                header("idempotency-key").or_else(|| header("webhook-id")),
            ),
            Vendor::Bitbucket => (
                hub(),
                header("x-event-key"),
                // Cloud's name, then Data Center's
                header("x-request-uuid").or_else(|| header("x-request-id")),
            ),
            Vendor::Generic => (
                header("x-cutover-signature").map(Scheme::Prefixed).or_else(standard).or_else(hub),
                None,
                header("x-cutover-delivery").or_else(|| header("webhook-id")),
            ),
        };
        let usable = |id: &&str| (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        Self { vendor, event, id: id.filter(usable), scheme }
    }

    /// Whether it is signed at all, rightly or not.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.scheme.is_some()
    }
}

#[cfg(test)]
mod tests;
