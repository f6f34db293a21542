//! Secrets that sign: those of upstream's webhooks.
//!
//! Owns how many there may be, and that each is read again at each use. What a signature is, `domain` knows.

use std::path::{Path, PathBuf};

use super::report::{Place, Report};
use super::secret::{Kind, Secret};
use crate::domain::credential::CredentialError;
use crate::domain::webhook::{SecretSource, Secrets};

/// Each costs a hash of every delivery's body.
const MOST: usize = 8;

/// The files of secrets under which webhooks may be signed: several, so that a secret can be changed on one side first.
#[derive(Clone, Debug, Default)]
pub struct SigningFiles(Vec<PathBuf>);

impl SigningFiles {
    /// Where they are.
    pub(super) fn paths(&self) -> impl Iterator<Item = std::path::Display<'_>> {
        self.0.iter().map(|path| path.display())
    }
}

fn read(path: &Path) -> Result<secrecy::SecretString, CredentialError> {
    Secret::File(path.to_owned()).read(Kind::Signing)
}

impl SecretSource for SigningFiles {
    fn read(&self) -> Option<Secrets> {
        let mut secrets = Secrets::default();
        for path in &self.0 {
            match read(path) {
                Ok(secret) => secrets.good.push(secret),
                Err(error) => secrets.bad.push(error),
            }
        }
        (!self.0.is_empty()).then_some(secrets)
    }
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
        if let Err(error) = read(Path::new(path)) {
            report.warn(place, format!("{error}; it is read again at each delivery"));
        }
        files.push(PathBuf::from(path));
    }
    if let Some((place, _)) = draft.get(MOST) {
        report.fault(place.clone(), "at most 8 secrets are tried for each delivery; leave out those that are not used");
        right = false;
    }
    right.then_some(SigningFiles(files))
}
