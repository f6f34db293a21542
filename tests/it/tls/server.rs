//! Certificates of every kind, and a TLS server on loopback that shows them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
    pub(crate) params: CertificateParams,
}

/// What a server's certificate says of itself: for 127.0.0.1 and localhost, valid now.
pub(crate) fn server(common_name: &str) -> CertificateParams {
    let mut params = named(common_name);
    params.subject_alt_names =
        vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)), SanType::DnsName("localhost".try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// What an issuer's certificate says of itself.
pub(crate) fn authority(common_name: &str) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// What `openssl req -x509` writes: a server's certificate that says CA:TRUE.
pub(crate) fn openssl_req(common_name: &str) -> CertificateParams {
    let mut params = server(common_name);
    params.extended_key_usages = Vec::new();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2096, 1, 1);
    params
}

impl Identity {
    /// Signed by itself.
    pub(crate) fn self_signed(params: CertificateParams) -> Self {
        Self::self_signed_with(params, KeyPair::generate().unwrap())
    }

    /// Signed by itself, with a key that is there.
    pub(crate) fn self_signed_with(params: CertificateParams, key: KeyPair) -> Self {
        Self { certificate: params.self_signed(&key).unwrap(), key, params }
    }

    /// Signed by another.
    pub(crate) fn issued_by(params: CertificateParams, issuer: &Self) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&issuer.params, &issuer.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), key, params }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A copy of the key.
    pub(crate) fn same_key(&self) -> KeyPair {
        KeyPair::from_pem(&self.key.serialize_pem()).unwrap()
    }

    /// Serves with this certificate, answering each connection's first request with 200, and says on which port.
    pub(crate) fn serve(&self) -> u16 {
        self.serve_with(&[])
    }

    /// The same, and sends these certificates after its own.
    pub(crate) fn serve_with(&self, chain: &[&Self]) -> u16 {
        serve(self.config(chain))
    }

    /// The same, whether or not the key is the certificate's.
    pub(crate) fn serve_unchecked(&self) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = provider.key_provider.load_private_key(self.private_key()).unwrap();
        let one = CertifiedKey::new(vec![self.certificate.der().clone()], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(one)));
        serve(Arc::new(config))
    }

    /// Stands before a server of plain HTTP on loopback.
    pub(crate) fn stand_before(&self, address: &str) -> u16 {
        let (config, address) = (self.config(&[]), address.to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, address, stream) = (Arc::clone(&config), address.clone(), stream.unwrap());
                std::thread::spawn(move || pass_on(config, stream, &address));
            }
        });
        port
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    pub(crate) fn config(&self, chain: &[&Self]) -> Arc<ServerConfig> {
        let mut sent: Vec<CertificateDer<'static>> = vec![self.certificate.der().clone()];
        sent.extend(chain.iter().map(|other| other.certificate.der().clone()));
        let key = self.private_key();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(sent, key)
            .unwrap();
        Arc::new(config)
    }
}

fn serve(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, stream) = (Arc::clone(&config), stream.unwrap());
            std::thread::spawn(move || answer(config, stream));
        }
    });
    port
}

/// One TLS session with one answer.
pub(crate) fn answer(config: Arc<ServerConfig>, stream: TcpStream) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    if stream.read(&mut [0; 4_096]).is_ok() {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

/// One TLS session with one request, passed on to a server of plain HTTP. `None`: either side broke off.
fn pass_on(config: Arc<ServerConfig>, stream: TcpStream, address: &str) -> Option<()> {
    let mut client = BufReader::new(StreamOwned::new(ServerConnection::new(config).ok()?, stream));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        client.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            length = value.trim().parse().ok()?;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    let mut server = TcpStream::connect(address).ok()?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let mut client = client.into_inner();
    std::io::copy(&mut server, &mut client).ok()?;
    client.conn.send_close_notify();
    client.flush().ok()
}

/// A server that speaks no TLS: it answers every connection's first bytes with this.
pub(crate) fn plain(says: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(says);
        }
    });
    port
}
