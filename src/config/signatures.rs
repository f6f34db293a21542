//! Signing secrets of webhooks and notifications, and the receiver of notifications.
//!
//! Owns how many secrets there may be and where notifications may be sent. The signature itself is `domain`'s.

use std::net::SocketAddr;
use std::sync::Arc;

use super::field::Located;
use super::network::{self, Reach};
use super::report::{Report, Reported};
use super::secret::{Secret, SecretKind};
use super::settings::NotificationSettings;
use super::values;
use crate::domain::url::ReceiverUrl;
use crate::domain::webhook::{SecretSource, Secrets};

/// The most secrets of a mirror: each costs a hash of every delivery's body.
const MOST: usize = 8;

/// Files with signing secrets, read at each use. There may be several, so that a secret can be rotated on one side first.
#[derive(Clone, Debug, Default)]
pub struct SigningFiles(Vec<Secret>);

impl SigningFiles {
    /// Where each secret is.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

impl SecretSource for SigningFiles {
    fn read(&self) -> Option<Secrets> {
        let mut secrets = Secrets::default();
        for file in &self.0 {
            match file.read(SecretKind::Signing) {
                Ok(secret) => secrets.good.push(secret),
                Err(error) => secrets.bad.push(error),
            }
        }
        (!self.0.is_empty()).then_some(secrets)
    }
}

/// The receiver of notifications.
#[derive(Clone, Debug)]
pub struct NotificationsConfig {
    /// Its address.
    pub url: ReceiverUrl,
    /// Whether the proxy of the environment is used: not for an address in a private network.
    pub proxied: bool,
    /// The signing secret; without a file, notifications are not signed.
    pub secret: Arc<SigningFiles>,
}

impl NotificationsConfig {
    /// Describes where the secret is.
    pub(super) fn secret_from(&self) -> String {
        let signed = self.secret.paths().next().map(|path| format!("signed with the secret in {path}"));
        signed.unwrap_or_else(|| "not signed (secretFile names none)".to_owned())
    }
}

/// `notifications`; `None`: none are sent.
pub(super) fn notifications(
    settings: &NotificationSettings,
    listen: Option<SocketAddr>,
    report: &mut Report,
) -> Result<Option<NotificationsConfig>, Reported> {
    let file = settings.secret_file.value.clone().map(|path| Located::new(settings.secret_file.location.clone(), path));
    let secret = files(file.as_slice(), report);
    let url = settings.url.check(report, |text| ReceiverUrl::parse(text))?;
    let (Some(url), secret, location) = (url, secret?, &settings.url.location) else { return Ok(None) };
    let reach = network::reach(url.as_str());
    if reach == Reach::Nowhere {
        let what = "no receiver can be there: link-local, unspecified, multicast and reserved addresses";
        return Err(report.fault(location, what));
    }
    if listen.is_some_and(|listen| network::is_own_address(url.as_str(), listen)) {
        return Err(report.fault(location, "cutover-api itself listens there; name another receiver"));
    }
    if !url.is_https() {
        if reach == Reach::Public {
            return Err(
                report.fault(location, "http is allowed on this machine and in private networks only; use https")
            );
        }
        report.warn(location, "http is not encrypted: anyone on the network path can read and hold back notifications");
    }
    if secret.0.is_empty() {
        report.warn(location, "notifications are not signed; name a file in notifications.secretFile");
    }
    Ok(Some(NotificationsConfig { url, proxied: reach == Reach::Public, secret: Arc::new(secret) }))
}

/// The files of secrets, each read once for a warning.
pub(super) fn files(settings: &[Located<String>], report: &mut Report) -> Result<SigningFiles, Reported> {
    let mut files = Vec::new();
    for path in settings {
        let file = values::path(path).map(Secret::file).map_err(|wrong| report.fault(&path.location, wrong));
        if let Ok(Err(error)) = file.as_ref().map(|file| file.read(SecretKind::Signing)) {
            report.warn(&path.location, format!("{error}; it is read again at each use"));
        }
        files.push(file);
    }
    if let Some(path) = settings.get(MOST) {
        let what = "at most 8 secrets are tried for each delivery; remove those that are not used";
        return Err(report.fault(&path.location, what));
    }
    files.into_iter().collect::<Result<_, _>>().map(SigningFiles)
}
