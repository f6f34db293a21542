//! Addresses of upstream repositories, of Gitea and of receivers, valid and canonical by construction.
//!
//! Owns what is refused (a credential inside, another scheme, anything that two parsers may read differently). Owns
//! when two addresses name the same upstream. Never resolves or opens an address.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// A refused URL. `Display` states the rule and never repeats the value, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(&'static str);

/// Scheme, host and port, to which a credential is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest URL, in bytes. Longer ones exceed limits of proxies and of Gitea's database columns.
const LONGEST: usize = 2_048;

/// Address of an upstream repository: `http` or `https`, no credential, canonical.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamUrl(Url);

impl UpstreamUrl {
    /// Parses an upstream's address.
    ///
    /// # Errors
    /// [`BadUrl`], which states the rule.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let url = canonical(text)?;
        if url.path().trim_matches('/').is_empty() {
            return Err(BadUrl("name the repository in the path, as in https://github.com/openova-io/openova"));
        }
        Ok(Self(url))
    }

    /// Returns the address, which is canonical as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the origin, to which a credential is bound.
    #[must_use]
    pub fn origin(&self) -> Origin {
        origin(&self.0)
    }

    /// Returns the host, for messages and labels.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether a credential may be sent there: over TLS, or within this machine.
    #[must_use]
    pub fn may_carry_a_credential(&self) -> bool {
        self.0.scheme() == "https" || is_loopback(&self.0)
    }

    /// Whether it uses TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Appends a path such as `/info/refs?service=git-upload-pack`.
    #[must_use]
    pub fn join(&self, below: &str) -> String {
        format!("{}{below}", self.as_str().trim_end_matches('/'))
    }

    /// Returns the repository's path, such as `openova-io/openova`, possibly after a path prefix of the forge.
    #[must_use]
    pub fn repository_path(&self) -> &str {
        bare_path(&self.0).trim_start_matches('/')
    }

    /// Whether Gitea's `original_url` names this upstream.
    ///
    /// A trailing `/` or `.git` and the case of scheme and host are ignored. The path is compared case-sensitively.
    #[must_use]
    pub fn is_the_upstream_of(&self, original_url: &str) -> bool {
        let Ok(other) = Url::parse(original_url) else {
            return false;
        };
        origin(&self.0) == origin(&other) && bare_path(&self.0) == bare_path(&other)
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for UpstreamUrl {
    type Error = BadUrl;
    fn try_from(text: String) -> Result<Self, BadUrl> {
        Self::parse(&text)
    }
}

impl From<UpstreamUrl> for String {
    fn from(url: UpstreamUrl) -> Self {
        url.0.into()
    }
}

/// Address of Gitea: `http` or `https`, no credential, an optional path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiteaUrl(Url);

impl GiteaUrl {
    /// Parses Gitea's address.
    ///
    /// # Errors
    /// [`BadUrl`], which states the rule.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        // An origin without a path is canonical with and without its final slash.
        let url = canonical(text)
            .or_else(|bad| if text.ends_with('/') { Err(bad) } else { canonical(&format!("{text}/")) })?;
        Ok(Self(url))
    }

    /// Returns the address without a final slash, to which paths such as `/api/v1/version` are appended.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Returns the origin, to which Gitea's credential is bound.
    #[must_use]
    pub fn origin(&self) -> Origin {
        origin(&self.0)
    }

    /// Returns the host, for messages and labels.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Returns the path prefix without its final slash: empty, or such as `/git`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

impl fmt::Display for GiteaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Address of a receiver of notifications: `http` or `https`, no credential, canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverUrl(Url);

impl ReceiverUrl {
    /// Parses a receiver's address.
    ///
    /// # Errors
    /// [`BadUrl`], which states the rule.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        canonical(text).map(Self)
    }

    /// Returns the address, which is canonical as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it uses TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

fn origin(url: &Url) -> Origin {
    Origin(url.origin().ascii_serialization())
}

fn bare_path(url: &Url) -> &str {
    let path = url.path().trim_end_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn canonical(text: &str) -> Result<Url, BadUrl> {
    if text.len() > LONGEST {
        return Err(BadUrl("a URL has at most 2048 characters"));
    }
    if text.trim() != text || text.is_empty() {
        return Err(BadUrl(
            "write an absolute URL without space around it, such as https://github.com/openova-io/openova",
        ));
    }
    let url =
        Url::parse(text).map_err(|_| BadUrl("write an absolute URL, such as https://github.com/openova-io/openova"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BadUrl("write an https or http address; ssh, git, file and other schemes are not supported"));
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(BadUrl("leave the credential out of the URL and give it in a file of its own"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadUrl("leave out the query and the fragment"));
    }
    if url.port() == Some(0) {
        return Err(BadUrl("the port must not be 0"));
    }
    check_host(&url)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/');
    if !url.path().chars().all(allowed) {
        return Err(BadUrl("the path may contain only letters, digits and -._~+/"));
    }
    if url.path().split('/').any(|segment| segment.starts_with('-')) {
        return Err(BadUrl("no path segment may begin with a hyphen, which could be read as an option"));
    }
    if url.path().contains("//") {
        return Err(BadUrl("write single slashes in the path"));
    }
    if url.as_str() != text {
        return Err(BadUrl(
            "write the URL in its canonical form: lower-case scheme and host, no default port, no dot segments, numbers plain",
        ));
    }
    Ok(url)
}

fn check_host(url: &Url) -> Result<(), BadUrl> {
    let Some(url::Host::Domain(name)) = url.host() else {
        return if url.host().is_some() { Ok(()) } else { Err(BadUrl("name a host")) };
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(label) && !name.split('.').any(|part| part.starts_with("xn--")) {
        Ok(())
    } else {
        Err(BadUrl("write the host as ASCII labels of letters, digits and inner hyphens, without a final dot"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_http_addresses_are_taken() {
        for url in [
            "https://github.com/openova-io/openova",
            "https://github.com/openova-io/openova.git",
            "http://10.0.0.1:3000/a/b",
            "http://127.0.0.1:8080/one.git",
            "https://[::1]:8443/a",
            "https://example.com/~me/c++/x_y.git",
        ] {
            assert!(UpstreamUrl::parse(url).is_ok(), "{url}");
        }
        for url in
            ["http://gitea-http.gitea.svc.cluster.local:3000", "https://git.example.com/git", "http://127.0.0.1:3000/"]
        {
            assert!(GiteaUrl::parse(url).is_ok(), "{url}");
        }
        assert_eq!(GiteaUrl::parse("http://h:3000/").unwrap().as_str(), "http://h:3000");
        assert_eq!(GiteaUrl::parse("http://h/git").unwrap().prefix(), "/git");
    }

    #[test]
    fn an_address_that_two_parsers_may_read_differently_is_refused() {
        for url in [
            "",
            "://",
            "https://",
            "null",
            "/etc",
            "../../x",
            "C:\\x",
            "//host/share",
            "file:///etc/passwd",
            "git://github.com/a/b",
            "ssh://git@github.com/a/b",
            "git@github.com:a/b.git",
            "ssh://-oProxyCommand=id/a",
            "ext::sh -c id",
            "gopher://127.0.0.1:70/_x",
            "javascript:alert(1)",
            "--upload-pack=touch x",
            "https://user:token@github.com/a/b.git",
            "https://ghp_xxx@github.com/a/b.git",
            "https://example.com/--upload-pack=id/b.git",
            "https://example.com/-x/b",
            "HTTPS://GitHub.COM/a/b.git",
            "https://github.com:443/a",
            "https:github.com/a",
            "https:///github.com/a",
            "https:\\\\github.com\\a",
            "https://github.com/a\r\nX: y",
            " https://github.com/a",
            "https://github.com/a ",
            "https://example.com/a/../../b",
            "https://example.com/./b",
            "https://example.com//b",
            "https://github.com/a?x=1",
            "https://github.com/a#x",
            "https://github.com:0/a",
            "https://github.com/a%2fb",
            "https://github.com/é",
            "https://github.com",
            "https://github.com/",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://0177.0.0.1/a",
            "https://127.1/a",
            "https://gıthub.com/a",
            "https://xn--gthub-n4a.com/a",
            "https://a_b.example/a",
            "https://-a.example/a",
            "https://a..b/a",
            "https://localhost./a",
            "https://github.com%2eevil/a",
            "https://1.1.1.1.1/a",
        ] {
            assert!(UpstreamUrl::parse(url).is_err(), "{url:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(2_048));
        assert!(UpstreamUrl::parse(&long).is_err());
    }

    #[test]
    fn a_refusal_never_repeats_the_value() {
        let refusal = UpstreamUrl::parse("https://user:hunter2@github.com/a").unwrap_err().to_string();
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }

    #[test]
    fn two_spellings_of_one_upstream_are_the_same() {
        let ours = UpstreamUrl::parse("https://github.com/openova-io/openova").unwrap();
        for same in [
            "https://github.com/openova-io/openova.git",
            "https://GitHub.com/openova-io/openova/",
            "https://github.com:443/openova-io/openova",
        ] {
            assert!(ours.is_the_upstream_of(same), "{same}");
        }
        for other in [
            "http://github.com/openova-io/openova",
            "https://github.com/openova-io/other",
            "https://github.com/Openova-io/openova",
            "",
            "x",
        ] {
            assert!(!ours.is_the_upstream_of(other), "{other}");
        }
    }

    #[test]
    fn a_credential_is_sent_over_tls_or_within_this_machine() {
        let may = |url| UpstreamUrl::parse(url).unwrap().may_carry_a_credential();
        assert!(may("https://github.com/a") && may("http://127.0.0.1:8081/a") && may("http://localhost/a"));
        assert!(!may("http://github.com/a") && !may("http://10.0.0.1/a"));
    }
}
