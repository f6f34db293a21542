//! Bundles of CA certificates: PEM files that are reread when they have changed.
//!
//! Owns how such a file is read and what is refused in it. If a changed file cannot be used, the last good content
//! stays in force. Never judges a server; [`verifier`](super::verifier) does.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::der::Decode as _;

/// The largest bundle, in bytes: several times the size of all public CAs.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Certificates, shared with the clients that trust them.
pub(super) type Certificates = Arc<[CertificateDer<'static>]>;

/// The certificates of one setting.
pub struct Bundle {
    setting: String,
    paths: Vec<PathBuf>,
    state: Mutex<State>,
}

struct State {
    content: Vec<u8>,
    certificates: Certificates,
    fault: Option<String>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("setting", &self.setting).field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Reads the files and folders of `setting`.
    ///
    /// # Errors
    /// A file cannot be read, or none holds a certificate. The text is for people.
    pub fn open(setting: impl Into<String>, paths: Vec<PathBuf>) -> Result<Self, String> {
        let content = read(&paths)?;
        let certificates = parse(&paths, &content)?;
        Ok(Self { setting: setting.into(), paths, state: Mutex::new(State { content, certificates, fault: None }) })
    }

    /// The setting that names the files.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// The files and folders.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Number of certificates at the last read.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().certificates.len()
    }

    /// Whether the bundle holds a private key, which does not belong there.
    #[must_use]
    pub fn holds_a_private_key(&self) -> bool {
        const MARK: &[u8] = b"PRIVATE KEY-----";
        self.state().content.windows(MARK.len()).any(|window| window == MARK)
    }

    /// Returns the certificates, and whether the files can be used now. If not, the certificates are the last good
    /// ones.
    pub(super) fn current(&self) -> (Certificates, bool) {
        let read = read(&self.paths);
        let mut state = self.state();
        let changed = read.and_then(|content| {
            if content == state.content {
                Ok(None)
            } else {
                parse(&self.paths, &content).map(|new| Some((content, new)))
            }
        });
        let setting = self.setting.as_str();
        match changed {
            Ok(changed) => {
                if state.fault.take().is_some() {
                    tracing::info!(setting, "CA bundle readable again");
                }
                if let Some((content, certificates)) = changed {
                    tracing::info!(setting, certificates = certificates.len(), "CA bundle changed");
                    (state.content, state.certificates) = (content, certificates);
                }
            }
            Err(fault) if state.fault.as_ref() != Some(&fault) => {
                tracing::error!(setting, %fault, "CA bundle cannot be used, last good content in force");
                state.fault = Some(fault);
            }
            Err(_) => {}
        }
        (Arc::clone(&state.certificates), state.fault.is_none())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all files one after the other, those of a folder in the order of their names.
fn read(paths: &[PathBuf]) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    for path in paths {
        let cannot = |error: std::io::Error| cannot(path, &error);
        if fs::metadata(path).map_err(cannot)?.is_dir() {
            let entries: Result<Vec<_>, _> =
                fs::read_dir(path).map_err(cannot)?.map(|entry| Ok(entry?.path())).collect();
            let mut entries = entries.map_err(cannot)?;
            entries.sort();
            // A folder of `openssl rehash` has links, some dangling. A Kubernetes volume has the folder `..data`.
            for file in entries.iter().filter(|entry| entry.is_file()) {
                append(file, &mut content)?;
            }
        } else {
            append(path, &mut content)?;
        }
    }
    Ok(content)
}

fn append(path: &Path, content: &mut Vec<u8>) -> Result<(), String> {
    let cannot = |error: std::io::Error| cannot(path, &error);
    // Opening a pipe without a writer would block.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let (begin, room) = (content.len(), LARGEST + 1 - (content.len() as u64).min(LARGEST));
    File::open(path).map_err(cannot)?.take(room).read_to_end(content).map_err(cannot)?;
    // Windows editors write a byte order mark, which hides the first certificate.
    if content[begin..].starts_with(b"\xef\xbb\xbf") {
        content.drain(begin..begin + 3);
    }
    if content.len() as u64 > LARGEST {
        return Err(format!("{} makes the bundle larger than {} MiB", path.display(), LARGEST / 1024 / 1024));
    }
    // The last line of a file may lack its line feed.
    content.push(b'\n');
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    let name = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("{name} does not exist"),
        ErrorKind::PermissionDenied => format!("{name} may not be read by this user"),
        _ => format!("{name} cannot be read: {error}"),
    }
}

fn parse(paths: &[PathBuf], content: &[u8]) -> Result<Certificates, String> {
    let name = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut certificates: Vec<CertificateDer<'static>> = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(content).enumerate() {
        let broken = || format!("certificate {} in {name} cannot be decoded", index + 1);
        let certificate = certificate.map_err(|_| broken())?;
        // A certificate that cannot be decoded is skipped; the others stay trusted.
        if x509_cert::Certificate::from_der(&certificate).is_ok() && !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(format!("{name} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates.into())
}
