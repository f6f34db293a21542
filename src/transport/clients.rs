//! HTTP clients: one for each route and each set of CA certificates.
//!
//! Owns which certificates and which proxy a client uses. Creates a new client when a bundle has changed. Never sends a
//! request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use url::Url;

use super::Route;
use super::bundle::{Bundle, Certificates};
use super::failure::Way;
use super::proxies::Proxies;
use super::verifier::Verifier;
use crate::domain::answer::{Trouble, TroubleKind};

/// Time limit of a connection. A cluster's network answers in milliseconds or not at all.
const CONNECT: Duration = Duration::from_secs(5);

/// Settings of outgoing connections from the environment: trusted CAs and forward proxies.
#[derive(Clone, Debug)]
pub struct Outbound {
    system: System,
    /// The forward proxies.
    pub proxies: Arc<Proxies>,
}

/// The system's CA certificates.
#[derive(Clone, Debug)]
enum System {
    /// The operating system's, or else those built into the program.
    Default(Arc<OnceLock<Certificates>>),
    /// Only those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    Named(Arc<Bundle>),
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` cannot be used; the text says why.
    Unusable(String),
}

impl Outbound {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// The names of the CA variables, and why their files cannot be used.
    pub fn from_variables(variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, (&'static str, String)> {
        let value = |name| variables(name).filter(|value| !value.is_empty());
        let (file, folders) = (value("SSL_CERT_FILE"), value("SSL_CERT_DIR"));
        let setting = match (&file, &folders) {
            (Some(_), Some(_)) => "SSL_CERT_FILE and SSL_CERT_DIR",
            (Some(_), None) => "SSL_CERT_FILE",
            (None, Some(_)) => "SSL_CERT_DIR",
            (None, None) => "",
        };
        let mut paths: Vec<PathBuf> = file.map(PathBuf::from).into_iter().collect();
        paths.extend(folders.iter().flat_map(std::env::split_paths).filter(|path| !path.as_os_str().is_empty()));
        let system = if paths.is_empty() {
            System::Default(Arc::default())
        } else {
            System::Named(Arc::new(Bundle::open(setting, paths).map_err(|what| (setting, what))?))
        };
        Ok(Self { system, proxies: Arc::new(Proxies::from_variables(variables)) })
    }

    /// Reads the environment variables. Files that cannot be used fail only the requests that need them.
    pub(super) fn lenient(variables: &dyn Fn(&str) -> Option<String>) -> Self {
        Self::from_variables(variables).unwrap_or_else(|(setting, what)| Self {
            system: System::Unusable(format!("{setting}: {what}")),
            proxies: Arc::new(Proxies::from_variables(variables)),
        })
    }
}

/// The clients that exist.
pub(super) struct Clients {
    outbound: Outbound,
    /// PEM file of the cluster's CAs.
    pub(super) cluster: Option<PathBuf>,
    cluster_bundle: OnceLock<Arc<Bundle>>,
    /// For requests without TLS: direct, and through the proxy.
    plain: [reqwest::Client; 2],
    built: Mutex<Vec<BuiltClient>>,
}

/// A client for requests with TLS, with the settings that it was built for.
struct BuiltClient {
    route: Route,
    paths: Vec<PathBuf>,
    trusting: Vec<Certificates>,
    client: reqwest::Client,
}

impl Clients {
    pub(super) fn new(outbound: Outbound) -> Result<Self, Trouble> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = |route| builder(route, &outbound.proxies).tls_certs_only([]).build().map_err(|_| unusable());
        let plain = [plain(Route::Direct)?, plain(Route::Proxied)?];
        Ok(Self { outbound, cluster: None, cluster_bundle: OnceLock::new(), plain, built: Mutex::default() })
    }

    /// The proxy and the tunnel between cutover-api and an address.
    pub(super) fn way(&self, route: Route, to: &Url) -> Way<'_> {
        let proxy = if route == Route::Proxied { self.outbound.proxies.before(to) } else { None };
        Way { proxy, tunnel: to.scheme() == "https" }
    }

    /// Returns the client for an address.
    ///
    /// Reports the state of each bundle that it reads to `on_read`.
    pub(super) fn client(
        &self,
        route: Route,
        bundle: Option<&Arc<Bundle>>,
        to: &Url,
        on_read: &dyn Fn(&str, bool),
    ) -> Result<reqwest::Client, Trouble> {
        let to_proxy = self.way(route, to).proxy.map(|proxy| proxy.url().scheme());
        if to.scheme() != "https" && to_proxy != Some("https") {
            // Neither the server nor the proxy uses TLS, so no certificates are needed. One such proxy is `kubectl
            // proxy`.
            return Ok(self.plain[usize::from(route == Route::Proxied)].clone());
        }
        let no_tls = |what: &str| Trouble::not_sent(TroubleKind::Tls, what);
        let read_bundle = |bundle: &Bundle| {
            let (certificates, usable) = bundle.current();
            on_read(bundle.setting(), usable);
            certificates
        };
        let cluster;
        let bundle = if route == Route::Cluster {
            cluster = self.cluster()?;
            Some(&cluster)
        } else {
            bundle
        };
        let mut configured: Vec<Certificates> = bundle.map(|bundle| read_bundle(bundle)).into_iter().collect();
        let mut system = None;
        match &self.outbound.system {
            _ if route == Route::Cluster => {}
            System::Default(loaded) => system = Some(Arc::clone(loaded.get_or_init(system_certificates))),
            System::Named(named) => configured.push(read_bundle(named)),
            System::Unusable(what) => return Err(no_tls(what)),
        }
        let paths = bundle.map_or(&[][..], |bundle| bundle.paths());
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |one: &[Certificates], other: &[Certificates]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        built.retain(|built| built.route != route || built.paths != paths || same(&built.trusting, &configured));
        if let Some(built) = built.iter().find(|built| built.route == route && built.paths == paths) {
            return Ok(built.client.clone());
        }
        let config = tls(system.as_deref().unwrap_or_default(), configured.clone())
            .map_err(|_| no_tls("TLS cannot be set up with the configured CA certificates"))?;
        let client = builder(route, &self.outbound.proxies).tls_backend_preconfigured(config).build();
        let client = client.map_err(|_| unusable())?;
        built.push(BuiltClient { route, paths: paths.to_vec(), trusting: configured, client: client.clone() });
        Ok(client)
    }

    fn cluster(&self) -> Result<Arc<Bundle>, Trouble> {
        if let Some(bundle) = self.cluster_bundle.get() {
            return Ok(Arc::clone(bundle));
        }
        let unusable = |what: String| Trouble::not_sent(TroubleKind::Tls, what);
        let Some(file) = &self.cluster else {
            return Err(unusable("there is no file with the cluster's CAs".to_owned()));
        };
        let bundle = Bundle::open("kubernetes.caFile", vec![file.clone()]);
        let bundle = bundle.map_err(|what| unusable(format!("the cluster's CAs: {what}")))?;
        Ok(Arc::clone(self.cluster_bundle.get_or_init(|| Arc::new(bundle))))
    }
}

fn unusable() -> Trouble {
    Trouble::not_sent(TroubleKind::Connect, "the HTTP client cannot be set up")
}

fn builder(route: Route, proxies: &Arc<Proxies>) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        // A reused connection may carry a late answer to its first request, which would be read as the second's.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("cutover-api/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .no_proxy();
    match route {
        Route::Direct | Route::Cluster => builder,
        Route::Proxied => {
            let proxies = Arc::clone(proxies);
            builder.proxy(reqwest::Proxy::custom(move |to| proxies.before(to).map(|proxy| proxy.url().clone())))
        }
    }
}

fn tls(
    system: &[rustls::pki_types::CertificateDer<'static>],
    bundles: Vec<Certificates>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(system, bundles, Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The operating system's certificates, or the built-in ones where it has none, as in an image without a CA bundle.
fn system_certificates() -> Certificates {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "system CA certificates unreadable");
    }
    if found.certs.is_empty() {
        tracing::info!("system has no CA certificates, built-in ones used");
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS.into();
    }
    found.certs.into()
}
