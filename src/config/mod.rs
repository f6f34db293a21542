//! The configuration: flags, a file and the environment, read once at start.
//!
//! Owns the names and the defaults of all settings, and how secrets are read from files (at each use). Never prints a
//! secret, never calls the network, and reports all faults of meaning together. `main` calls [`load`] once.
//!
//! ```text
//! file → yaml ─────────────┐
//!                          ├→ settings → rules → Config
//! variables → environment ─┘
//! ```

mod bytes;
mod credential;
mod description;
mod descriptors;
mod environment;
mod field;
mod kubernetes;
mod limits;
mod network;
mod options;
mod outbound;
mod report;
mod rules;
mod secret;
mod server;
mod settings;
mod signatures;
mod text_file;
mod tokens;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

pub use description::describe;
pub use kubernetes::{ConfigMapName, KubernetesConfig};
pub use options::{AuthMode, EXAMPLES, LogFormat, Options, path_or_empty};
pub use report::{Fault, Faults, Location};
pub use secret::{ConfiguredCredential, Secret};
pub use signatures::{NotificationsConfig, SigningFiles};
pub use text_file::TextFile;
pub use tokens::{TokensError, TokensFile};

use crate::domain::credential::CredentialSource;
use crate::domain::spec::{MirrorSpec, Policy};
use crate::domain::url::GiteaUrl;
use crate::transport::{Bundle, Outbound};
use environment::InlineCredential;
use outbound::Bundles;
use report::{Report, Reported};
use rules::MirrorRules;
use settings::Settings;

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Gitea and the credential for it.
    pub gitea: GiteaConfig,
    /// The mirrors, at least one, in the order of the configuration.
    pub mirrors: Vec<MirrorConfig>,
    /// The limits of the engine.
    pub policy: Policy,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The directory of the journal.
    pub state_dir: PathBuf,
    /// How callers authenticate.
    pub auth: AuthConfig,
    /// The receiver of notifications, if there is one.
    pub notifications: Option<NotificationsConfig>,
    /// The most connections that are served at the same time.
    pub connections: usize,
    /// The accepted host names, in lower case and without ports; empty: not checked.
    pub hosts: Vec<String>,
    /// The origins from which browsers may call, as they send them.
    pub origins: Vec<String>,
    /// The connection to Kubernetes, if it is enabled.
    pub kubernetes: Option<KubernetesConfig>,
    /// The system's CA certificates and the forward proxies.
    pub outbound: Outbound,
    /// The form of the log; `None`: text on a terminal, JSON elsewhere.
    pub log_format: Option<LogFormat>,
}

/// Gitea.
#[derive(Clone, Debug)]
pub struct GiteaConfig {
    /// Its address.
    pub url: GiteaUrl,
    /// The credential for it.
    pub credential: Arc<dyn CredentialSource>,
    /// Where the credential comes from, for a person.
    pub credential_from: String,
    /// CA certificates beside the system's.
    pub bundle: Option<Arc<Bundle>>,
}

/// One mirror.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// The mirror itself.
    pub spec: Arc<MirrorSpec>,
    /// The credential for its upstream.
    pub credential: Arc<dyn CredentialSource>,
    /// Where the credential comes from, for a person; `None`: there is none.
    pub credential_from: Option<String>,
    /// CA certificates for its upstream, beside the system's.
    pub bundle: Option<Arc<Bundle>>,
    /// The secrets of its upstream's webhooks.
    pub webhook: Arc<SigningFiles>,
}

/// How callers authenticate.
#[derive(Clone, Debug)]
pub enum AuthConfig {
    /// By the tokens of a file, by Kubernetes `TokenReview`, or both.
    Tokens(Option<Arc<TokensFile>>),
    /// Not at all: every caller is an operator.
    None,
}

/// A valid configuration with its warnings.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, and could be better.
    pub warnings: Vec<String>,
}

/// Reads the configuration; `variables` looks an environment variable up.
///
/// # Errors
/// [`Faults`]: all that is wrong, in one report.
pub fn load(options: &Options, variables: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    let mut report = Report::default();
    let config = read(options, variables, &mut report);
    report.finish(config).map(|(config, warnings)| Loaded { config, warnings })
}

fn read(options: &Options, variables: environment::Variables<'_>, report: &mut Report) -> Result<Config, Reported> {
    let listen = server::listen(options, report);
    server::state_dir(options, report);
    server::log(variables, report);
    let settings = match options.config() {
        Some(path) => {
            environment::warn_that_ignored(variables, report);
            read_file(path, report).map(|settings| (settings, InlineCredential::default()))
        }
        None => Ok(environment::read(variables, report)),
    };
    let kubernetes = match &settings {
        Ok((settings, _)) => kubernetes::section(&settings.kubernetes, variables, report),
        Err(Reported) => Err(Reported),
    };
    let auth = server::auth(options, listen.ok(), &kubernetes, report);
    let (settings, inline) = settings?;
    let mut bundles = Bundles::default();
    let gitea = rules::gitea(&settings.gitea, &inline, &mut bundles, report);
    let gitea_url = gitea.as_ref().ok().map(|gitea| gitea.url.as_str());
    let mirrors = MirrorRules::new(gitea_url, listen.ok(), &mut bundles, report).mirrors(&settings.mirrors);
    let limits = limits::limits(&settings.limits, &settings.observation, report);
    let hosts = server::hosts(&settings.server.hosts, report);
    let origins = server::origins(&settings.server.origins, report);
    let notifications = signatures::notifications(&settings.notifications, listen.ok(), report);
    let outbound = outbound::outbound(variables, report);
    if let (Ok(outbound), Ok(mirrors)) = (&outbound, &mirrors) {
        let notifications = notifications.as_ref().ok().and_then(Option::as_ref);
        outbound::judge_proxies(outbound, mirrors, notifications, report);
    }
    let (mut policy, connections) = limits?;
    let served = mirrors.as_ref().map_or(0, Vec::len);
    let connections = descriptors::fitting(connections, served, descriptors::limit(), report)?;
    let kubernetes = kubernetes?;
    policy.pivot = kubernetes.as_ref().and_then(|kubernetes| kubernetes.pivot);
    Ok(Config {
        gitea: gitea?,
        mirrors: mirrors?,
        policy,
        listen: listen?,
        state_dir: options.state_dir.clone(),
        auth: auth?,
        notifications: notifications?,
        connections,
        hosts,
        origins,
        kubernetes,
        outbound: outbound?,
        log_format: options.log_format,
    })
}

/// The text is held as a secret: one may be in the wrong location.
fn read_file(path: &Path, report: &mut Report) -> Result<Settings, Reported> {
    let text = text_file::read_text(&text_file::System, path, yaml::LARGEST as u64)
        .map_err(|error| report.fault(&Location::named("--config"), error.to_string()))?;
    yaml::read(text.expose_secret(), &path.display().to_string(), report)
}
