//! The rules for `kubernetes`: callers by `TokenReview`, and the platform's status.
//!
//! Owns the defaults, which are the platform's and the kubelet's. A section that is switched off is judged as well. Calls no
//! network.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::environment::Variables;
use super::field::{Field, Located};
use super::network;
use super::report::{Location, Report, Reported};
use super::secret::ConfiguredCredential;
use super::settings::KubernetesSettings;
use super::values;
use crate::domain::credential::CredentialSource;
use crate::domain::spec::{Allowed, PivotPolicy};

/// Where the kubelet mounts what a pod needs for the API server.
const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// The platform's status `ConfigMap`.
const STATUS: &str = "catalyst/self-sovereign-cutover-status";

/// The longest user name or audience, in bytes: real ones are far shorter.
const LONGEST_USER: usize = 512;

/// The prefix of a service account's user name.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The connection to Kubernetes, and what it is used for.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Scheme, host and port of the API server.
    pub api_server: String,
    /// The token of cutover-api's service account.
    pub credential: Arc<dyn CredentialSource>,
    /// Where that token comes from, for a person.
    pub credential_from: String,
    /// The CA certificates that the API server is checked against.
    pub ca_file: PathBuf,
    /// The audiences that a caller's token must have; empty: the API server itself.
    pub audiences: Vec<String>,
    /// The users who are operators, by their exact names.
    pub operators: Vec<String>,
    /// The users who are viewers, by their exact names.
    pub viewers: Vec<String>,
    /// The platform's status; `None`: not read and not written.
    pub status: Option<ConfigMapName>,
    /// The rules past the platform's pivot; `None`: no guard.
    pub pivot: Option<PivotPolicy>,
}

impl KubernetesConfig {
    /// Whether a token of Kubernetes can make its user a caller.
    #[must_use]
    pub fn lists_users(&self) -> bool {
        !(self.operators.is_empty() && self.viewers.is_empty())
    }
}

/// The name of a `ConfigMap`, with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for ConfigMapName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The section, if it is switched on.
pub(super) fn section(
    settings: &KubernetesSettings,
    variables: Variables<'_>,
    report: &mut Report,
) -> Result<Option<KubernetesConfig>, Reported> {
    let users = users(settings, report);
    let audiences = audiences(&settings.audiences, report);
    let status = settings.status_config_map.or(report, Some(default_status()), |text| config_map(text));
    let pivot = pivot(settings, status.as_ref().is_ok_and(Option::is_none), report);
    let token_file = file(&settings.token_file, TOKEN_FILE, report);
    let ca_file = file(&settings.ca_file, CA_FILE, report);
    let given = settings.api_server.check(report, |text| origin(text));
    if !settings.enabled.unwrap_or(false) {
        if !(settings.operators.is_empty() && settings.viewers.is_empty()) {
            let what = "with false, the users in operators and viewers are not let in";
            report.warn(&settings.enabled.location, what);
        }
        return Ok(None);
    }
    let api_server = match given? {
        Some(url) => url,
        None => in_cluster(&settings.enabled.location, variables, report)?,
    };
    let (token_file, ca_file) = (token_file?, ca_file?);
    let credential = ConfiguredCredential::token_file(token_file);
    for (location, missing) in [
        (&settings.token_file.location, credential.read().err().map(|error| error.to_string())),
        (&settings.ca_file.location, (!ca_file.is_file()).then(|| format!("{} is not a file", ca_file.display()))),
    ] {
        if let (Some(missing), true) = (missing, api_server.starts_with("https:")) {
            report.warn(location, format!("{missing}; it is read again at each use"));
        }
    }
    let (operators, viewers) = users?;
    Ok(Some(KubernetesConfig {
        api_server,
        credential_from: credential.to_string(),
        credential: Arc::new(credential),
        ca_file,
        audiences: audiences?,
        operators,
        viewers,
        status: status?,
        pivot: pivot?,
    }))
}

/// The address that the kubelet gives to every container.
fn in_cluster(location: &Location, variables: Variables<'_>, report: &mut Report) -> Result<String, Reported> {
    let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        let what = "this is true outside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which Kubernetes \
                    sets in every container, are not set; write false, or name the API server in kubernetes.apiServer";
        return Err(report.fault(location, what));
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    origin(&format!("https://{host}:{port}")).map_err(|_| {
        let what = "this and KUBERNETES_SERVICE_PORT are not a host and a port; Kubernetes sets them, so remove them from \
                    the env of the pod";
        report.fault(&Location::named("KUBERNETES_SERVICE_HOST"), what)
    })
}

/// Scheme, host and port, and nothing else.
fn origin(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "write the address of the API server without a path, such as https://10.96.0.1:443";
    let url = Url::parse(text).map_err(|_| WRONG)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !bare || url.password().is_some() || url.port() == Some(0) {
        return Err(WRONG);
    }
    match (url.scheme(), url.host()) {
        // `kubectl proxy` listens on http
        ("http", Some(host)) if !network::is_loopback(&host) => {
            Err("tokens are sent there: write https; http is allowed on this machine only, such as for kubectl proxy")
        }
        ("https" | "http", Some(_)) => Ok(url.origin().ascii_serialization()),
        _ => Err(WRONG),
    }
}

fn file(field: &Field<String>, default: &str, report: &mut Report) -> Result<PathBuf, Reported> {
    field.or(report, PathBuf::from(default), |text| values::path(text))
}

/// The rules past the pivot; `None`: the guard is off.
fn pivot(
    settings: &KubernetesSettings,
    has_no_status: bool,
    report: &mut Report,
) -> Result<Option<PivotPolicy>, Reported> {
    let mut allowed = |field: &Field<String>, default| {
        field.or(report, default, |text| Allowed::from_label(text).ok_or("write allow or refuse"))
    };
    let without_status = allowed(&settings.absent_status, Allowed::Refuse);
    let syncing = allowed(&settings.sync_past_pivot, Allowed::Allow);
    let guard = settings.past_pivot_guard.unwrap_or(true);
    if guard && has_no_status {
        let what = "the guard reads the status: name it in kubernetes.statusConfigMap, or write false here";
        return Err(report.fault(&settings.past_pivot_guard.location, what));
    }
    let (without_status, syncing) = (without_status?, syncing?);
    Ok(guard.then_some(PivotPolicy { without_status, syncing }))
}

/// Operators and viewers.
fn users(settings: &KubernetesSettings, report: &mut Report) -> Result<(Vec<String>, Vec<String>), Reported> {
    let mut users: Vec<&Located<String>> = Vec::new();
    let mut result = Ok(());
    for name in settings.operators.iter().chain(&settings.viewers) {
        if let Err(what) = user(name) {
            result = Err(report.fault(&name.location, what));
        } else if let Some(other) = users.iter().find(|other| other.value == name.value) {
            let what = format!("this user is listed at {} already; an operator may also read", other.location);
            result = Err(report.fault(&name.location, what));
        }
        users.push(name);
    }
    result.map(|()| (texts(&settings.operators), texts(&settings.viewers)))
}

fn texts(list: &[Located<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}

fn user(name: &str) -> Result<(), &'static str> {
    if let Some(account) = name.strip_prefix(SERVICE_ACCOUNT) {
        return match account.split_once(':') {
            Some((namespace, name)) if is_label(namespace) && is_subdomain(name) => Ok(()),
            _ => Err("a service account's user name is system:serviceaccount:NAMESPACE:NAME, such as \
                 system:serviceaccount:catalyst:catalyst-api"),
        };
    }
    let is_group = matches!(name, "system:authenticated" | "system:unauthenticated" | "system:masters")
        || name.starts_with("system:serviceaccounts")
        || name == "system:nodes";
    if is_group {
        Err("this is a group; write the exact name of each user, such as \
             system:serviceaccount:catalyst:catalyst-api")
    } else if name == "system:anonymous" {
        Err("this is every caller without a credential; use --auth none to let them in")
    } else if name.contains('*') {
        Err("patterns are not supported: write the exact name of each user")
    } else if name.is_empty() || name.len() > LONGEST_USER || name.trim() != name || name.chars().any(char::is_control)
    {
        Err("write a user's name as Kubernetes knows it, such as system:serviceaccount:catalyst:catalyst-api")
    } else {
        Ok(())
    }
}

fn audiences(given: &[Located<String>], report: &mut Report) -> Result<Vec<String>, Reported> {
    let mut result = Ok(());
    for (index, audience) in given.iter().enumerate() {
        let plain = (1..=LONGEST_USER).contains(&audience.len())
            && audience.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if !plain {
            result = Err(report.fault(&audience.location, "write an audience without spaces, such as cutover-api"));
        } else if given[..index].iter().any(|other| other.value == audience.value) {
            result = Err(report.fault(&audience.location, "this audience is listed twice"));
        }
    }
    result.map(|()| texts(given))
}

fn default_status() -> ConfigMapName {
    let (namespace, name) = STATUS.split_once('/').unwrap_or_default();
    ConfigMapName { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// `namespace/name`; an empty text: there is none.
fn config_map(text: &str) -> Result<Option<ConfigMapName>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.split_once('/') {
        Some((namespace, name)) if is_label(namespace) && is_subdomain(name) => {
            Ok(Some(ConfigMapName { namespace: namespace.to_owned(), name: name.to_owned() }))
        }
        _ => Err("write namespace/name, such as catalyst/self-sovereign-cutover-status, or '' where there is none"),
    }
}

/// A label of DNS (RFC 1123), as namespaces are.
fn is_label(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// Labels and dots, as the names of most objects are.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}
