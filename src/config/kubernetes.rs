//! `kubernetes`: whose tokens Kubernetes is asked about, and where the platform keeps its status.
//!
//! Owns the rules of the section and its defaults, which are the platform's and the kubelet's. Everything is judged also
//! where the section is switched off, so that switching it on brings no surprise. Asks no network.

use std::path::PathBuf;
use std::sync::Arc;

use url::{Host, Url};

use super::draft::{Draft, KubernetesDraft};
use super::environment::Variables;
use super::report::{Field, Place, Report};
use super::secret::ConfiguredCredential;
use crate::domain::credential::CredentialSource;
use crate::domain::spec::{Allowed, PivotPolicy};

/// Where the kubelet mounts what a pod needs for the API server.
const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// The platform's.
const STATUS: &str = "catalyst/self-sovereign-cutover-status";

/// No real user name comes near this length, in bytes.
const LONGEST_USER: usize = 512;

/// How user names of service accounts begin.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// What there is of Kubernetes.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Where the API server is: scheme, host and port.
    pub api_server: String,
    /// Who we are there.
    pub credential: Arc<dyn CredentialSource>,
    /// Where our token comes from, for a person.
    pub credential_from: String,
    /// The authorities that vouch for the API server.
    pub ca_file: PathBuf,
    /// For whom a token must have been made; empty: for the API server itself.
    pub audiences: Vec<String>,
    /// The users who are operators, by their exact names.
    pub operators: Vec<String>,
    /// The users who are viewers, by their exact names.
    pub viewers: Vec<String>,
    /// The platform's status; `None`: it is neither read nor written.
    pub status: Option<ConfigMapName>,
    /// What depends on the platform's pivot; `None`: nothing.
    pub pivot: Option<PivotPolicy>,
}

impl KubernetesConfig {
    /// Whether anybody can be let in by a token of Kubernetes.
    #[must_use]
    pub fn knows_anybody(&self) -> bool {
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

/// Something is wrong, and reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// The section, if it is switched on.
pub(super) fn section(
    draft: &Draft,
    variables: Variables<'_>,
    report: &mut Report,
) -> Result<Option<KubernetesConfig>, Reported> {
    let draft = &draft.kubernetes;
    let enabled = draft.enabled.or(report, || Some(false), |enabled| Ok::<_, &str>(*enabled));
    let users = users(draft, report);
    let audiences = audiences(&draft.audiences, report);
    let status = draft.status.or(report, || Some(Some(default_status())), |text| config_map(text));
    let pivot = pivot(draft, status.as_ref().map(|(_, status)| status.is_some()), report);
    let files = files(draft, report);
    let given = api_server(&draft.api_server, report);
    let (place, enabled) = enabled.ok_or(Reported)?;
    if !enabled {
        if !(draft.operators.is_empty() && draft.viewers.is_empty()) {
            report.warn(&place, "this is false, so that the users of operators and viewers are not let in");
        }
        return Ok(None);
    }
    let api_server = match given? {
        Some(url) => url,
        None => in_cluster(&place, variables, report).ok_or(Reported)?,
    };
    let ((operators, viewers), (token_file, ca_file)) = users.zip(files).ok_or(Reported)?;
    let credential = ConfiguredCredential::token_file(token_file);
    for (place, missing) in [
        (&draft.token_file, credential.read().err().map(|error| error.to_string())),
        (&draft.ca_file, (!ca_file.is_file()).then(|| format!("{} is not a file", ca_file.display()))),
    ] {
        if let (Some(missing), true) = (missing, api_server.starts_with("https:")) {
            report.warn(&place_of(place), format!("{missing}; it is read again at each use"));
        }
    }
    Ok(Some(KubernetesConfig {
        api_server,
        credential_from: credential.to_string(),
        credential: Arc::new(credential),
        ca_file,
        audiences: audiences.ok_or(Reported)?,
        operators,
        viewers,
        status: status.ok_or(Reported)?.1,
        pivot: pivot?,
    }))
}

fn place_of<T>(field: &Field<T>) -> Place {
    match field {
        Field::Given(place, _) | Field::Absent(place) => place.clone(),
        Field::Bad => Place::named("kubernetes"),
    }
}

/// The address of which the kubelet tells every container.
fn in_cluster(place: &Place, variables: Variables<'_>, report: &mut Report) -> Option<String> {
    let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        report.fault(
            place.clone(),
            "this is true outside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which Kubernetes sets \
             in every container, are not set; write false, or name the API server in kubernetes.apiServer",
        );
        return None;
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let url = origin(&format!("https://{host}:{port}")).ok();
    if url.is_none() {
        report.fault(
            Place::named("KUBERNETES_SERVICE_HOST"),
            "this and KUBERNETES_SERVICE_PORT are no host and port; Kubernetes sets them, so take them out of the pod's \
             own env",
        );
    }
    url
}

/// `None`: not given.
fn api_server(field: &Field<String>, report: &mut Report) -> Result<Option<String>, Reported> {
    if let Field::Absent(_) = field {
        return Ok(None);
    }
    field.or(report, || None, |text| origin(text)).map(|(_, url)| Some(url)).ok_or(Reported)
}

/// Scheme, host and port, and nothing else.
fn origin(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "write the address of the API server without a path, such as https://10.96.0.1:443";
    let url = Url::parse(text).map_err(|_| WRONG)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !bare || url.password().is_some() || url.port() == Some(0) {
        return Err(WRONG);
    }
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(WRONG),
    };
    match url.scheme() {
        "https" => Ok(url.origin().ascii_serialization()),
        // `kubectl proxy`
        "http" if here => Ok(url.origin().ascii_serialization()),
        "http" => Err("tokens go there: write https; http only on this machine, such as for kubectl proxy"),
        _ => Err(WRONG),
    }
}

fn files(draft: &KubernetesDraft, report: &mut Report) -> Option<(PathBuf, PathBuf)> {
    let mut file = |field: &Field<String>, default: &str| {
        let path = |text: &String| {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                Err("write the path of a file, or leave the key out for the one that Kubernetes mounts")
            } else {
                Ok(PathBuf::from(text))
            }
        };
        field.or(report, || Some(PathBuf::from(default)), path).map(|(_, path)| path)
    };
    let (token, ca) = (file(&draft.token_file, TOKEN_FILE), file(&draft.ca_file, CA_FILE));
    Some((token?, ca?))
}

/// What depends on the pivot; `None`: nothing. `status`: whether there is one.
fn pivot(draft: &KubernetesDraft, status: Option<bool>, report: &mut Report) -> Result<Option<PivotPolicy>, Reported> {
    let guard = draft.guard.or(report, || Some(true), |guard| Ok::<_, &str>(*guard));
    let mut allowed = |field: &Field<String>, default| {
        let word = |text: &String| Allowed::from_label(text).ok_or("write allow or refuse");
        field.or(report, || Some(default), word).map(|(_, allowed)| allowed)
    };
    let without_status = allowed(&draft.absent_status, Allowed::Refuse);
    let syncing = allowed(&draft.sync_past_pivot, Allowed::Allow);
    let (place, guard) = guard.ok_or(Reported)?;
    if guard && status == Some(false) {
        let what = "the guard reads the status: name it in kubernetes.statusConfigMap, or write false here";
        report.fault(place, what);
        return Err(Reported);
    }
    let (without_status, syncing) = without_status.zip(syncing).ok_or(Reported)?;
    Ok(guard.then_some(PivotPolicy { without_status, syncing }))
}

/// Operators and viewers.
fn users(draft: &KubernetesDraft, report: &mut Report) -> Option<(Vec<String>, Vec<String>)> {
    let mut seen: Vec<(&Place, &str)> = Vec::new();
    let mut good = true;
    for (place, name) in draft.operators.iter().chain(&draft.viewers) {
        if let Err(what) = user(name) {
            report.fault(place.clone(), what);
            good = false;
        } else if let Some((other, _)) = seen.iter().find(|(_, other)| other == name) {
            report.fault(place.clone(), format!("this user stands at {other} already; an operator may also read"));
            good = false;
        }
        seen.push((place, name));
    }
    let names = |list: &[(Place, String)]| list.iter().map(|(_, name)| name.clone()).collect();
    good.then(|| (names(&draft.operators), names(&draft.viewers)))
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
        Err("this is whoever shows no credential; --auth none lets everybody in")
    } else if name.contains('*') {
        Err("there are no patterns here: write the exact name of each user")
    } else if name.is_empty() || name.len() > LONGEST_USER || name.trim() != name || name.chars().any(char::is_control)
    {
        Err("write a user's name as Kubernetes knows it, such as system:serviceaccount:catalyst:catalyst-api")
    } else {
        Ok(())
    }
}

fn audiences(given: &[(Place, String)], report: &mut Report) -> Option<Vec<String>> {
    let mut good = true;
    for (index, (place, audience)) in given.iter().enumerate() {
        let plain =
            !audience.is_empty() && audience.len() <= LONGEST_USER && audience.chars().all(|c| !c.is_whitespace());
        if !plain || audience.chars().any(char::is_control) {
            report.fault(place.clone(), "write an audience without spaces, such as cutover-api");
            good = false;
        } else if given[..index].iter().any(|(_, other)| other == audience) {
            report.fault(place.clone(), "this audience stands here a second time");
            good = false;
        }
    }
    good.then(|| given.iter().map(|(_, audience)| audience.clone()).collect())
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
