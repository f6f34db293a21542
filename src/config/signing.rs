//! What is signed: upstream's webhooks, and our own notifications.
//!
//! Owns how many secrets there may be, that each is read again at each use, and where notifications may go. What a
//! signature is, `domain` knows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::draft::NotificationsDraft;
use super::network::{self, Reach};
use super::report::{Field, Place, Report};
use super::secret::{Kind, Secret};
use crate::domain::url::ReceiverUrl;
use crate::domain::webhook::{SecretSource, Secrets};

/// Each costs a hash of every delivery's body.
const MOST: usize = 8;

/// The files of secrets under which webhooks may be signed: several, so that a secret can be changed on one side first.
#[derive(Clone, Debug, Default)]
pub struct SigningFiles(Vec<Secret>);

impl SigningFiles {
    /// Where they are.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

impl SecretSource for SigningFiles {
    fn read(&self) -> Option<Secrets> {
        let mut secrets = Secrets::default();
        for file in &self.0 {
            match file.read(Kind::Signing) {
                Ok(secret) => secrets.good.push(secret),
                Err(error) => secrets.bad.push(error),
            }
        }
        (!self.0.is_empty()).then_some(secrets)
    }
}

/// Where changes are told.
#[derive(Clone, Debug)]
pub struct NotificationsConfig {
    /// The receiver.
    pub url: ReceiverUrl,
    /// Whether a proxy of the environment stands between: not on the way into a private network.
    pub proxied: bool,
    /// Who signs; none: nobody.
    pub secret: Arc<SigningFiles>,
}

impl NotificationsConfig {
    /// Where the secret is, for a person.
    pub(super) fn secret_from(&self) -> String {
        let signed = self.secret.paths().next().map(|path| format!("signed with the secret in {path}"));
        signed.unwrap_or_else(|| "not signed (secretFile names none)".to_owned())
    }
}

/// `notifications`. `None`: none are sent, or something is wrong with them, which was reported.
pub(super) fn notifications(
    draft: &NotificationsDraft,
    listen: Option<SocketAddr>,
    report: &mut Report,
) -> Option<NotificationsConfig> {
    let secret = match &draft.secret_file {
        Field::Given(place, path) => webhook(&[(place.clone(), path.clone())], report)?,
        Field::Absent(_) => SigningFiles::default(),
        Field::Bad => return None,
    };
    let (place, url) = draft.url.or(report, || None, |text| ReceiverUrl::parse(text))?;
    let reach = network::reach(url.as_str());
    if reach == Reach::Nowhere {
        report.fault(place, "no receiver can be there: link-local, unspecified, multicast and reserved addresses");
        return None;
    }
    if listen.is_some_and(|listen| network::is_ourselves(url.as_str(), listen)) {
        report.fault(place, "this service itself listens there; name another receiver");
        return None;
    }
    if !url.is_https() {
        if reach == Reach::Public {
            report.fault(place, "http goes no further than this machine and the cluster; use https");
            return None;
        }
        report.warn(&place, "http is not encrypted: whoever is on the way can read and hold back what is told");
    }
    if secret.0.is_empty() {
        report.warn(&place, "what is sent is not signed; name a file in notifications.secretFile");
    }
    Some(NotificationsConfig { url, proxied: reach == Reach::Public, secret: Arc::new(secret) })
}

/// The files of the secrets of a mirror's webhooks.
pub(super) fn webhook(draft: &[(Place, String)], report: &mut Report) -> Option<SigningFiles> {
    let mut files = Vec::new();
    let mut right = true;
    for (place, path) in draft {
        if path.chars().any(char::is_control) || path.trim().is_empty() {
            report.fault(place.clone(), "write the path of a file, such as /run/secrets/cutover/webhook");
            right = false;
            continue;
        }
        let file = Secret::file(PathBuf::from(path));
        if let Err(error) = file.read(Kind::Signing) {
            report.warn(place, format!("{error}; it is read again at each use"));
        }
        files.push(file);
    }
    if let Some((place, _)) = draft.get(MOST) {
        report.fault(place.clone(), "at most 8 secrets are tried for each delivery; leave out those that are not used");
        right = false;
    }
    right.then_some(SigningFiles(files))
}
