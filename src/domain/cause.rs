//! Causes of a failed connection, as far as the remedy depends on them.
//!
//! Owns the causes that TLS and forward proxies report, their spelling on the wire (`reason`) and their remedies. Never
//! detects a cause; `transport` does.

use serde::{Deserialize, Serialize};

/// Cause of a failed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The certificate's issuer is not trusted.
    UnknownIssuer,
    /// The certificate is self-signed and not trusted.
    SelfSigned,
    /// The certificate is for other names.
    WrongName,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The server does not speak TLS.
    NoTls,
    /// The server speaks only TLS 1.1 or older.
    OldTls,
    /// The forward proxy refuses, or cannot be used.
    Proxy,
    /// The forward proxy requires a log-in.
    ProxyLogin,
}

/// The unreachable server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Gitea.
    Gitea,
    /// Upstream.
    Upstream,
}

impl Cause {
    /// The cause's spelling on the wire.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "unknown-issuer",
            Self::SelfSigned => "self-signed",
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::NoTls => "no-tls",
            Self::OldTls => "old-tls",
            Self::Proxy => "proxy",
            Self::ProxyLogin => "proxy-login",
        }
    }

    /// Returns the remedy.
    #[must_use]
    pub fn remedy(self, side: Side) -> String {
        let (bundle, url) = match side {
            Side::Gitea => ("gitea.caFile", "GITEA_INTERNAL_URL (gitea.url)"),
            Side::Upstream => ("upstream.caFile", "UPSTREAM_REPO_URL (upstream.url)"),
        };
        match self {
            Self::UnknownIssuer => format!(
                "Put the certificate of the issuer that `detail` names into the file of {bundle} (in the chart: caBundle). If it is an intermediate issuer, configure the server to send its whole chain. See what it sends: `openssl s_client -connect HOST:PORT -servername HOST -showcerts`."
            ),
            Self::SelfSigned => format!(
                "Put this very certificate into the file of {bundle} (in the chart: caBundle), after you have compared its fingerprint with the server's: `openssl s_client -connect HOST:PORT -servername HOST </dev/null | openssl x509 -fingerprint -sha256`."
            ),
            Self::WrongName => format!(
                "Use one of the names that `detail` lists in {url} and restart cutover-api, or give the server a certificate for the name in use (a subject alternative name; a common name is not enough)."
            ),
            Self::Expired => {
                "Renew the certificate on the server and make the server load it. If it is valid, set the clock of this node right."
                    .to_owned()
            }
            Self::NotYetValid => {
                "Set the clocks of this node and of the server right, or install a certificate that is valid now."
                    .to_owned()
            }
            Self::NoTls => format!(
                "Name the port that speaks TLS in {url}, or write http:// if the server speaks no TLS; then restart cutover-api."
            ),
            Self::OldTls => "Enable TLS 1.2 or 1.3 on the server.".to_owned(),
            Self::Proxy => "Check that the proxy that `detail` names runs and allows connections to the host and port. To bypass it, add the host to NO_PROXY and restart cutover-api.".to_owned(),
            Self::ProxyLogin => "Put the user name and the password of the proxy into HTTPS_PROXY (HTTP_PROXY for an http upstream), as in http://USER:PASSWORD@HOST:PORT, percent-encoded; then restart cutover-api.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_spelled_on_the_wire_as_in_the_journal() {
        for cause in [
            Cause::UnknownIssuer,
            Cause::SelfSigned,
            Cause::WrongName,
            Cause::Expired,
            Cause::NotYetValid,
            Cause::NoTls,
            Cause::OldTls,
            Cause::Proxy,
            Cause::ProxyLogin,
        ] {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.label());
            for side in [Side::Gitea, Side::Upstream] {
                assert!(cause.remedy(side).ends_with('.'), "{cause:?}");
            }
        }
    }
}
