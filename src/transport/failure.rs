//! Reasons why a request failed, in texts that name the cause.
//!
//! Owns the mapping from errors of the HTTP and TLS libraries to [`Trouble`]. Never shows a library's own text, because
//! it may contain an address; it is only compared with known texts.

use std::error::Error as _;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use super::proxies::Proxy;
use super::verifier::UnknownIssuer;
use crate::domain::answer::{Trouble, TroubleKind};
use crate::domain::cause::Cause;

/// Limits of quoted names: how many names of a certificate, and the characters of a name or an issuer.
const NAMES: usize = 4;
const LONGEST_NAME: usize = 100;

/// The proxy and the tunnel between cutover-api and a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// The forward proxy, if there is one.
    pub(super) proxy: Option<&'a Proxy>,
    /// Whether the proxy opens a tunnel. Without one it requests the resource itself.
    pub(super) tunnel: bool,
}

impl Way<'_> {
    /// Returns " through the proxy HOST:PORT", or an empty text.
    pub(super) fn through(self) -> String {
        self.proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
    }
}

/// Whether a proxy refused a tunnel. The library keeps no more of the proxy's answer.
pub(super) fn is_a_refused_tunnel(error: &reqwest::Error) -> bool {
    error.is_connect() && causes(error).iter().any(|cause| cause.to_string() == "tunnel error: unsuccessful")
}

/// The trouble of a proxy that answered instead of opening a tunnel.
pub(super) fn proxy_answered(proxy: &Proxy, status: u16) -> Trouble {
    let (what, cause) = match status {
        407 => (": it requires a log-in, or refuses the one in the proxy's URL", Cause::ProxyLogin),
        403 => (": it does not allow this connection", Cause::Proxy),
        502..=504 => (": it cannot reach the server", Cause::Proxy),
        _ => ("", Cause::Proxy),
    };
    Trouble::not_sent(TroubleKind::Connect, format!("proxy {proxy} answered {status}{what}")).because(cause)
}

/// Classifies an error of the HTTP library.
pub(super) fn trouble(error: &reqwest::Error, way: Way<'_>) -> Trouble {
    if !error.is_connect() {
        let (kind, detail) = if error.is_timeout() {
            (TroubleKind::Timeout, "no complete answer in time")
        } else if error.is_builder() {
            return Trouble::not_sent(TroubleKind::Connect, "the HTTP client cannot be set up");
        } else if let Some(error) = causes(error).into_iter().find_map(tls_error) {
            // Servers report a missing client certificate only after the handshake.
            let (cause, detail) = tls(error);
            return with(cause, Trouble::maybe_sent(TroubleKind::Tls, detail));
        } else {
            (TroubleKind::Cut, "the connection broke before the answer was complete")
        };
        return Trouble::maybe_sent(kind, format!("{detail}{}", way.through()));
    }
    let causes = causes(error);
    let says = |words: &str| causes.iter().any(|cause| cause.to_string().to_lowercase().contains(words));
    let io = causes.iter().rev().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let tls_error = causes.iter().find_map(|cause| tls_error(*cause));
    let in_tunnel = says("tunnel error");
    // Before the tunnel is open, or without a tunnel, the proxy failed and not the server.
    if let Some(proxy) = way.proxy.filter(|_| in_tunnel || !way.tunnel) {
        let (kind, detail) = if says("proxy authorization required") {
            return proxy_answered(proxy, 407);
        } else if says("dns error") || says("failed to lookup") {
            (TroubleKind::Dns, format!("the host name of the proxy {proxy} does not resolve"))
        } else if let Some(error) = tls_error {
            (TroubleKind::Connect, format!("no TLS session with the proxy {proxy}: {}", tls(error).1))
        } else if io == Some(io::ErrorKind::ConnectionRefused) {
            (TroubleKind::Connect, format!("the proxy {proxy} refuses the connection: nothing listens there"))
        } else if error.is_timeout() {
            (TroubleKind::Connect, format!("no connection to the proxy {proxy} within 5 s"))
        } else if says("underlying connection") || !in_tunnel {
            (TroubleKind::Connect, format!("no connection to the proxy {proxy} can be made"))
        } else if says("unexpected end of file") || io.is_some() {
            (TroubleKind::Connect, format!("the proxy {proxy} closed the connection instead of answering"))
        } else {
            (TroubleKind::Connect, format!("the proxy {proxy} opened no tunnel"))
        };
        return Trouble::not_sent(kind, detail).because(Cause::Proxy);
    }
    let not_sent = |kind, detail: &str| Trouble::not_sent(kind, format!("{detail}{}", way.through()));
    if says("dns error") || says("failed to lookup") {
        not_sent(TroubleKind::Dns, "the host name does not resolve")
    } else if let Some(error) = tls_error {
        let (cause, detail) = tls(error);
        with(cause, Trouble::not_sent(TroubleKind::Tls, detail))
    } else if io == Some(io::ErrorKind::ConnectionRefused) {
        not_sent(TroubleKind::Connect, "the connection is refused")
    } else if error.is_timeout() {
        let trouble = not_sent(TroubleKind::Connect, "no connection within 5 s");
        // Either the proxy or the server behind it is silent; more often the proxy.
        if way.proxy.is_some() { trouble.because(Cause::Proxy) } else { trouble }
    } else if says("handshake eof") {
        not_sent(TroubleKind::Connect, "the connection was closed during the TLS handshake")
    } else {
        not_sent(TroubleKind::Connect, "no connection can be made")
    }
}

fn with(cause: Option<Cause>, trouble: Trouble) -> Trouble {
    match cause {
        Some(cause) => trouble.because(cause),
        None => trouble,
    }
}

type AnyError = dyn std::error::Error + 'static;

fn causes(error: &reqwest::Error) -> Vec<&AnyError> {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner);
        cause = inner.source();
    }
    causes
}

/// The TLS library's error, also from within I/O errors, whose `source` skips the error that they wrap.
fn tls_error(cause: &AnyError) -> Option<&Error> {
    if let Some(error) = cause.downcast_ref() {
        return Some(error);
    }
    tls_error(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// Describes an error of the TLS library, with names from the server's certificate.
fn tls(error: &Error) -> (Option<Cause>, String) {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            (Some(Cause::NoTls), "it does not speak TLS".to_owned())
        }
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            (Some(Cause::OldTls), "it speaks neither TLS 1.2 nor 1.3".to_owned())
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            (Some(Cause::WrongName), "it has no certificate for this name (TLS alert unrecognized_name)".to_owned())
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            (None, "it requires a client certificate, which cutover-api does not have".to_owned())
        }
        Error::AlertReceived(alert) => (None, format!("it ended the TLS handshake with the alert {alert:?}")),
        other => (None, format!("no TLS session: {other}")),
    }
}

fn certificate(error: &CertificateError) -> (Option<Cause>, String) {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            (Some(Cause::Expired), format!("its certificate expired at {}", date(*not_after)))
        }
        CertificateError::NotValidYetContext { time, not_before } => (
            Some(Cause::NotYetValid),
            format!(
                "its certificate is valid from {} on; this machine's clock shows {}",
                date(*not_before),
                date(*time)
            ),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            (Some(Cause::WrongName), wrong_name(&expected.to_str(), presented))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            (None, "its certificate is not for servers (extended key usage)".to_owned())
        }
        CertificateError::UnknownIssuer => {
            (Some(Cause::UnknownIssuer), "the issuer of its certificate is not trusted here".to_owned())
        }
        CertificateError::Other(OtherError(other)) => match other.downcast_ref::<UnknownIssuer>() {
            Some(UnknownIssuer { issuer, self_signed: true }) => (
                Some(Cause::SelfSigned),
                format!("its certificate is self-signed and not in the CA bundle: {}", short(issuer)),
            ),
            Some(UnknownIssuer { issuer, self_signed: false }) => (
                Some(Cause::UnknownIssuer),
                format!("its certificate is issued by {}, which is not trusted here", short(issuer)),
            ),
            // The library's name for a server certificate with CA:TRUE.
            None if other.to_string() == "CaUsedAsEndEntity" => (
                Some(Cause::SelfSigned),
                "its certificate is a CA's own (CA:TRUE) and not in the CA bundle itself".to_owned(),
            ),
            None => (None, format!("its certificate is not accepted: {other}")),
        },
        other => (None, format!("its certificate is not accepted: {other}")),
    }
}

fn wrong_name(expected: &str, presented: &[String]) -> String {
    // The library writes `DnsName("example.org")`.
    let plain = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'));
        short(inside.trim_matches('"'))
    };
    let names: Vec<_> = presented.iter().take(NAMES).map(plain).collect();
    match (names.is_empty(), presented.len().saturating_sub(NAMES)) {
        (true, _) => format!("its certificate has no subject alternative name, so that it is not for {expected}"),
        (false, 0) => format!("its certificate is for {}, not for {expected}", names.join(", ")),
        (false, more) => format!("its certificate is for {} and {more} more, not for {expected}", names.join(", ")),
    }
}

/// Shortens a text of the server, to leave room for the explanation.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    seconds.map_or_else(|| "a date out of range".to_owned(), |at| at.to_string())
}
