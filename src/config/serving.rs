//! How we are reached: the address, who may call, and under which names.
//!
//! Owns the rules of the flags and of `server` in the file.

use std::net::SocketAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::environment::Variables;
use super::kubernetes::Reported;
use super::options::{AuthMode, Options};
use super::report::{Place, Report};
use super::tokens::TokensFile;
use super::{AuthConfig, KubernetesConfig};
use crate::telemetry;

/// `--listen`.
pub(super) fn listen(options: &Options, report: &mut Report) -> Option<SocketAddr> {
    let address = options.listen.parse().ok();
    if address.is_none() {
        report.fault(Place::named("--listen"), "write an IP address and a port, such as 0.0.0.0:8080 or [::1]:8080");
    }
    address
}

/// `--state-dir`.
pub(super) fn state_dir(options: &Options, report: &mut Report) {
    if options.state_dir.exists() && !options.state_dir.is_dir() {
        report.fault(Place::named("--state-dir"), "this is not a directory; name one, or one that can be made");
    }
}

/// `CUTOVER_LOG`.
pub(super) fn log(variables: Variables<'_>, report: &mut Report) {
    if let Some(Err(bad)) = variables("CUTOVER_LOG").map(|filter| telemetry::check(&filter)) {
        report.fault(Place::named("CUTOVER_LOG"), bad.to_string());
    }
}

/// What Kubernetes does for recognising callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing: it is switched off, or lists nobody.
    None,
    /// It tells whose token it is.
    Known,
    /// Something is wrong with its section, and reported.
    Bad,
}

impl Identity {
    /// `None`: there is no file that could be read.
    pub(super) fn of(section: Option<&Result<Option<KubernetesConfig>, Reported>>) -> Self {
        match section {
            Some(Err(Reported)) => Self::Bad,
            Some(Ok(Some(kubernetes))) if kubernetes.knows_anybody() => Self::Known,
            Some(Ok(_)) | None => Self::None,
        }
    }
}

/// `--auth`, `--tokens-file` and `--allow-anonymous-remote`.
pub(super) fn auth(
    options: &Options,
    listen: Option<SocketAddr>,
    identity: Identity,
    report: &mut Report,
) -> Option<AuthConfig> {
    let place = Place::named("--tokens-file");
    match (options.auth, options.tokens_file()) {
        (AuthMode::None, file) => {
            if file.is_some() {
                report.warn(&place, "this is ignored: --auth none recognises nobody");
            }
            if identity == Identity::Known {
                let what = "this is none, so that the users of kubernetes.operators and viewers are not recognised";
                report.warn(&Place::named("--auth"), what);
            }
            let remote = listen.filter(|address| !address.ip().to_canonical().is_loopback());
            match (remote, options.allow_anonymous_remote) {
                (Some(_), false) => report.fault(
                    Place::named("--auth"),
                    "none on an address that others reach makes everybody an operator; listen on 127.0.0.1, use \
                     tokens, or add --allow-anonymous-remote",
                ),
                (Some(_), true) => {
                    report.warn(&Place::named("--auth"), "everybody who reaches the address is an operator");
                }
                (None, _) => {}
            }
            Some(AuthConfig::None)
        }
        (AuthMode::Tokens, None) if identity == Identity::Known => Some(AuthConfig::Tokens(None)),
        (AuthMode::Tokens, None) if identity == Identity::Bad => None,
        (AuthMode::Tokens, None) => {
            report.fault(
                place,
                "--auth tokens needs a file with a line each, `role name token` (role: viewer or operator), or users in \
                 kubernetes.operators; for a try on this machine, --auth none with --listen 127.0.0.1:8080 needs none",
            );
            None
        }
        (AuthMode::Tokens, Some(path)) => {
            if options.allow_anonymous_remote {
                report.warn(&Place::named("--allow-anonymous-remote"), "this has no effect with --auth tokens");
            }
            let file = TokensFile::new(path.to_owned());
            usable(&file, &place, report).then(|| AuthConfig::Tokens(Some(Arc::new(file))))
        }
    }
}

fn usable(file: &TokensFile, place: &Place, report: &mut Report) -> bool {
    let content = match file.content() {
        Ok(content) => content,
        Err(error) => {
            report.fault(place.clone(), error.to_string());
            return false;
        }
    };
    let at = |line: &u64| Place::named(format!("{}, line {line} of {file}", place.path()));
    for (line, what) in &content.bad {
        report.fault(at(line), what.clone());
    }
    for (line, what) in &content.weak {
        report.warn(&at(line), what);
    }
    if content.callers() == 0 && content.bad.is_empty() {
        report.fault(place.clone(), format!("{file} lists nobody; write a line each, `role name token`"));
    }
    content.callers() > 0 && content.bad.is_empty()
}

/// `server.hosts`: names or addresses, without a port.
pub(super) fn hosts(given: &[(Place, String)], report: &mut Report) -> Vec<String> {
    let mut hosts = Vec::new();
    for (place, host) in given {
        // what the URL parser leaves as it is is in its canonical form
        let good = Host::parse(host).is_ok_and(|parsed| parsed.to_string() == *host) && !host.contains(['*', '_']);
        if good {
            hosts.push(host.clone());
        } else {
            report.fault(
                place.clone(),
                "write a host name in lower case or an IP address, without scheme and port, such as cutover.example.org or [::1]",
            );
        }
    }
    hosts
}

/// `server.origins`: as browsers send them.
pub(super) fn origins(given: &[(Place, String)], report: &mut Report) -> Vec<String> {
    let mut origins = Vec::new();
    for (place, origin) in given {
        let good = Url::parse(origin)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin);
        if good {
            origins.push(origin.clone());
        } else {
            report.fault(
                place.clone(),
                "write an origin as browsers send it: scheme, host and port if it is not the default, such as https://console.example.org",
            );
        }
    }
    origins
}
