//! From flags, a file and the environment to a validated configuration, or to everything that is wrong with it.
//!
//! Owns the names and the defaults of all settings, and how secrets are read from files (at each use). Never prints a
//! secret, never asks the network, and never stops at the first fault. `main` calls [`load`] once, at start.
//!
//! ```text
//! YAML → tree → file ──┐
//!                      ├→ draft → rules → Config
//! variables → environment ┘
//! ```

mod bytes;
mod describe;
mod descriptors;
mod draft;
mod environment;
mod file;
mod kubernetes;
mod limits;
mod network;
mod options;
mod outbound;
mod report;
mod rules;
mod secret;
mod serving;
mod signing;
mod text_file;
mod tokens;
mod tree;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

pub use describe::describe;
pub use kubernetes::{ConfigMapName, KubernetesConfig};
pub use options::{AuthMode, EXAMPLES, LogFormat, Options};
pub use report::{Fault, Faults, Place};
pub use secret::{ConfiguredCredential, Secret};
pub use signing::{NotificationsConfig, SigningFiles};
pub use text_file::TextFile;
pub use tokens::{TokensError, TokensFile};

use crate::domain::credential::CredentialSource;
use crate::domain::spec::{MirrorSpec, Policy};
use crate::domain::url::GiteaUrl;
use crate::transport::{Bundle, Outbound};
use outbound::Bundles;
use report::Report;
use serving::Identity;

/// Everything that is configured, and right.
#[derive(Clone, Debug)]
pub struct Config {
    /// Gitea and who we are there.
    pub gitea: GiteaConfig,
    /// The mirrors, at least one, in the order of the configuration.
    pub mirrors: Vec<MirrorConfig>,
    /// The limits of the engine.
    pub policy: Policy,
    /// Where we listen.
    pub listen: SocketAddr,
    /// Where the journal is.
    pub state_dir: PathBuf,
    /// How callers are recognised.
    pub auth: AuthConfig,
    /// Where changes are told; `None`: nowhere.
    pub notifications: Option<NotificationsConfig>,
    /// How many connections are served at once.
    pub connections: usize,
    /// The names under which we are called, in lower case and without ports; empty: not checked.
    pub hosts: Vec<String>,
    /// The origins from which browsers may call, as these send them.
    pub origins: Vec<String>,
    /// What there is of Kubernetes; `None`: nothing.
    pub kubernetes: Option<KubernetesConfig>,
    /// Whom to trust beside what is configured, and the forward proxies.
    pub outbound: Outbound,
    /// How the log is written; `None`: text on a terminal, JSON elsewhere.
    pub log_format: Option<LogFormat>,
}

/// Gitea.
#[derive(Clone, Debug)]
pub struct GiteaConfig {
    /// Where it is.
    pub url: GiteaUrl,
    /// Who we are there.
    pub credential: Arc<dyn CredentialSource>,
    /// Where the credential comes from, for a person.
    pub credential_from: String,
    /// CA certificates beside the system's.
    pub bundle: Option<Arc<Bundle>>,
}

/// One mirror.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// What is asked for.
    pub spec: Arc<MirrorSpec>,
    /// Who we are for its upstream.
    pub credential: Arc<dyn CredentialSource>,
    /// Where the credential comes from, for a person; `None`: there is none.
    pub credential_from: Option<String>,
    /// CA certificates for its upstream, beside the system's.
    pub bundle: Option<Arc<Bundle>>,
    /// The secrets of its upstream's webhooks.
    pub webhook: Arc<SigningFiles>,
}

/// How callers are recognised.
#[derive(Clone, Debug)]
pub enum AuthConfig {
    /// By the tokens of a file, by those of Kubernetes, or both.
    Tokens(Option<Arc<TokensFile>>),
    /// Not at all: everybody is an operator.
    None,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is worth knowing about it.
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

fn read(options: &Options, variables: environment::Variables<'_>, report: &mut Report) -> Option<Config> {
    let listen = serving::listen(options, report);
    serving::state_dir(options, report);
    serving::log(variables, report);
    let draft = match options.config() {
        Some(path) => {
            environment::warn_that_ignored(variables, report);
            read_draft(path, report)
        }
        None => Some(environment::draft(variables, report)),
    };
    let kubernetes = draft.as_ref().map(|draft| kubernetes::section(draft, variables, report));
    let auth = serving::auth(options, listen, Identity::of(kubernetes.as_ref()), report);
    let (draft, kubernetes) = (draft?, kubernetes?);
    let mut bundles = Bundles::default();
    let gitea = rules::gitea(&draft, &mut bundles, report);
    let gitea_url = gitea.as_ref().map(|gitea| gitea.url.as_str());
    let mirrors = rules::mirrors(&draft, gitea_url, listen, &mut bundles, report);
    let limits = limits::limits(&draft.limits, &draft.observation, report);
    let hosts = serving::hosts(&draft.hosts, report);
    let origins = serving::origins(&draft.origins, report);
    let notifications = signing::notifications(&draft.notifications, listen, report);
    let outbound = outbound::outbound(variables, report);
    if let (Some(outbound), Some(mirrors)) = (&outbound, &mirrors) {
        outbound::judge_proxies(outbound, mirrors, notifications.as_ref(), report);
    }
    let (mut policy, connections) = limits?;
    let served = mirrors.as_ref().map_or(0, Vec::len);
    let connections = descriptors::fitting(connections, served, descriptors::limit(), report)?;
    let kubernetes = kubernetes.ok()?;
    policy.pivot = kubernetes.as_ref().and_then(|kubernetes| kubernetes.pivot);
    Some(Config {
        gitea: gitea?,
        mirrors: mirrors?,
        policy,
        listen: listen?,
        state_dir: options.state_dir.clone(),
        auth: auth?,
        notifications,
        connections,
        hosts,
        origins,
        kubernetes,
        outbound: outbound?,
        log_format: options.log_format,
    })
}

fn read_draft(path: &Path, report: &mut Report) -> Option<draft::Draft> {
    let text = read_file(path, report)?;
    Some(file::draft(tree::parse(text.expose_secret(), &path.display().to_string(), report)?, report))
}

/// The file's text, held as a secret: somebody may have put one there.
fn read_file(path: &Path, report: &mut Report) -> Option<secrecy::SecretString> {
    let largest = u64::try_from(tree::LARGEST).unwrap_or(u64::MAX);
    match text_file::read_text(&text_file::System, path, largest) {
        Ok(text) => Some(text),
        Err(error) => {
            report.fault(Place::named("--config"), error.to_string());
            None
        }
    }
}
