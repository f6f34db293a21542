//! Verification of a server's certificate.
//!
//! Owns the one rule beyond the TLS library's own: a server certificate that is in a configured bundle, byte for byte,
//! needs no issuer. `openssl req -x509` creates such certificates, with CA:TRUE, and git and curl accept them. Never
//! skips name, dates, purpose or the handshake's signature.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use super::bundle::Certificates;

/// `id-kp-serverAuth`.
const SERVERS: &str = "1.3.6.1.5.5.7.3.1";

/// Verifier that trusts the system's CAs and the configured bundles.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None`: no issuer is trusted.
    by_issuer: Option<Arc<WebPkiServerVerifier>>,
    /// Bundles whose certificates are also trusted as a server's own.
    listed: Vec<Certificates>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The issuer of a server's certificate, which is not trusted. The TLS library's own error does not name it.
#[derive(Debug)]
pub(super) struct UnknownIssuer {
    pub(super) issuer: String,
    pub(super) self_signed: bool,
}

impl fmt::Display for UnknownIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown issuer: {}", self.issuer)
    }
}

impl std::error::Error for UnknownIssuer {}

impl Verifier {
    /// Creates a verifier that trusts the issuers of `system`, and the issuers and servers of `bundles`.
    pub(super) fn new(
        system: &[CertificateDer<'static>],
        bundles: Vec<Certificates>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system.iter().cloned());
        let issuers = bundles.iter().flat_map(|bundle| bundle.iter()).filter(|certificate| may_issue(certificate));
        roots.add_parsable_certificates(issuers.cloned());
        let algorithms = provider.signature_verification_algorithms;
        // The library's verifier needs an issuer, but a bundle may hold only a server's own certificate.
        let by_issuer = (!roots.is_empty())
            .then(|| WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build())
            .transpose()
            .map_err(|error| Error::Other(OtherError(Arc::new(error))))?;
        Ok(Self { by_issuer, listed: bundles, algorithms })
    }

    fn lists(&self, certificate: &CertificateDer<'_>) -> bool {
        self.listed.iter().any(|bundle| bundle.iter().any(|listed| listed.as_ref() == certificate.as_ref()))
    }
}

/// Whether a certificate may be an issuer: it has CA:TRUE, or its X.509 version has no such field.
///
/// The TLS library would accept any certificate in its store as an issuer.
fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate();
    match certificate.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => certificate.extensions().is_none(),
        Err(_) => false,
    }
}

/// Checks everything but the issuer.
fn check_as_itself(server: &CertificateDer<'_>, name: &ServerName<'_>, time: UnixTime) -> Result<(), Error> {
    // The library's own parser refuses unknown critical extensions.
    let parsed = ParsedCertificate::try_from(server)?;
    let certificate = Certificate::from_der(server).map_err(|_| CertificateError::BadEncoding)?;
    let certificate = certificate.tbs_certificate();
    let validity = certificate.validity();
    let seconds = UnixTime::since_unix_epoch;
    let (not_before, not_after) =
        (seconds(validity.not_before.to_unix_duration()), seconds(validity.not_after.to_unix_duration()));
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    let purposes = certificate.get_extension::<ExtendedKeyUsage>().map_err(|_| CertificateError::BadEncoding)?;
    if purposes.is_some_and(|(_, purposes)| !purposes.0.iter().any(|purpose| purpose.to_string() == SERVERS)) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    rustls::client::verify_server_name(&parsed, name)
}

/// The missing issuer: that of the last certificate in the chain that the server sent.
fn missing_issuer(server: &CertificateDer<'_>, sent: &[CertificateDer<'_>]) -> Option<UnknownIssuer> {
    let certificate = Certificate::from_der(server).ok()?;
    let mut others: Vec<_> = sent.iter().filter_map(|other| Certificate::from_der(other).ok()).collect();
    let mut last = certificate.clone();
    while let Some(at) = others.iter().position(|other| {
        other.tbs_certificate().subject() == last.tbs_certificate().issuer() && !is_its_own_issuer(&last)
    }) {
        last = others.swap_remove(at);
    }
    Some(UnknownIssuer {
        issuer: last.tbs_certificate().issuer().to_string(),
        self_signed: is_its_own_issuer(&certificate),
    })
}

fn is_its_own_issuer(certificate: &Certificate) -> bool {
    let certificate = certificate.tbs_certificate();
    matches!((certificate.issuer().to_der(), certificate.subject().to_der()), (Ok(one), Ok(other)) if one == other)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.lists(end_entity) {
            return check_as_itself(end_entity, server_name, now).map(|()| ServerCertVerified::assertion());
        }
        let result = match &self.by_issuer {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        result.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                match missing_issuer(end_entity, intermediates) {
                    Some(missing) => CertificateError::Other(OtherError(Arc::new(missing))).into(),
                    None => error,
                }
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
