//! The rules for the flags, and for `server` in the file: address, callers, host names and origins.
//!
//! Opens no socket.

use std::net::SocketAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::environment::Variables;
use super::field::Located;
use super::options::{AuthMode, Options};
use super::report::{Location, Report, Reported};
use super::tokens::TokensFile;
use super::{AuthConfig, KubernetesConfig};
use crate::telemetry;

/// `--listen`.
pub(super) fn listen(options: &Options, report: &mut Report) -> Result<SocketAddr, Reported> {
    let what = "write an IP address and a port, such as 0.0.0.0:8080 or [::1]:8080";
    options.listen.parse().map_err(|_| report.fault(&Location::named("--listen"), what))
}

/// `--state-dir`.
pub(super) fn state_dir(options: &Options, report: &mut Report) {
    if options.state_dir.exists() && !options.state_dir.is_dir() {
        report
            .fault(&Location::named("--state-dir"), "this is not a directory; name one that exists or can be created");
    }
}

/// `CUTOVER_LOG`.
pub(super) fn log(variables: Variables<'_>, report: &mut Report) {
    if let Some(Err(bad)) = variables("CUTOVER_LOG").map(|filter| telemetry::check(&filter)) {
        report.fault(&Location::named("CUTOVER_LOG"), bad.to_string());
    }
}

/// `--auth`, `--tokens-file` and `--allow-anonymous-remote`. Kubernetes may know the callers' tokens, too.
pub(super) fn auth(
    options: &Options,
    listen: Option<SocketAddr>,
    kubernetes: &Result<Option<KubernetesConfig>, Reported>,
    report: &mut Report,
) -> Result<AuthConfig, Reported> {
    let lists_users = matches!(kubernetes, Ok(Some(kubernetes)) if kubernetes.lists_users());
    match (options.auth, options.tokens_file()) {
        (AuthMode::None, file) => {
            no_auth(options, listen, file.is_some(), lists_users, report);
            Ok(AuthConfig::None)
        }
        (AuthMode::Tokens, None) if lists_users => Ok(AuthConfig::Tokens(None)),
        // who is listed there is not known
        (AuthMode::Tokens, None) if kubernetes.is_err() => Err(Reported),
        (AuthMode::Tokens, None) => Err(report.fault(
            &Location::named("--tokens-file"),
            "--auth tokens needs a file with a line each, `role name token` (role: viewer or operator), or users in \
             kubernetes.operators; for a try on this machine, --auth none with --listen 127.0.0.1:8080 needs none",
        )),
        (AuthMode::Tokens, Some(path)) => {
            if options.allow_anonymous_remote {
                report.warn(&Location::named("--allow-anonymous-remote"), "this has no effect with --auth tokens");
            }
            tokens_file(TokensFile::new(path.to_owned()), report).map(|file| AuthConfig::Tokens(Some(Arc::new(file))))
        }
    }
}

fn no_auth(options: &Options, listen: Option<SocketAddr>, has_file: bool, lists_users: bool, report: &mut Report) {
    let location = Location::named("--auth");
    if has_file {
        report.warn(&Location::named("--tokens-file"), "this is ignored with --auth none");
    }
    if lists_users {
        report.warn(&location, "with none, the users in kubernetes.operators and kubernetes.viewers are ignored");
    }
    if listen.is_none_or(|address| address.ip().to_canonical().is_loopback()) {
        return;
    }
    if options.allow_anonymous_remote {
        report.warn(&location, "every caller that reaches the address is an operator");
    } else {
        let what = "none makes every caller an operator, and this address is not loopback; listen on 127.0.0.1, use \
                    tokens, or add --allow-anonymous-remote";
        report.fault(&location, what);
    }
}

fn tokens_file(file: TokensFile, report: &mut Report) -> Result<TokensFile, Reported> {
    let location = Location::named("--tokens-file");
    let content = file.content().map_err(|error| report.fault(&location, error.to_string()))?;
    let at = |line: u64| Location::named(format!("--tokens-file, line {line} of {file}"));
    for (line, what) in &content.weak {
        report.warn(&at(*line), what);
    }
    for (line, what) in &content.bad {
        report.fault(&at(*line), what.clone());
    }
    if !content.bad.is_empty() {
        Err(Reported)
    } else if content.callers() == 0 {
        Err(report.fault(&location, format!("{file} lists no caller; write a line each, `role name token`")))
    } else {
        Ok(file)
    }
}

/// `server.hosts`: names or addresses, without a port.
pub(super) fn hosts(given: &[Located<String>], report: &mut Report) -> Vec<String> {
    // what the URL parser does not change is in its canonical form
    let is_good =
        |host: &str| Host::parse(host).is_ok_and(|parsed| parsed.to_string() == host) && !host.contains(['*', '_']);
    let what = "write a host name in lower case or an IP address, without scheme and port, such as cutover.example.org or [::1]";
    good(given, is_good, what, report)
}

/// `server.origins`: as browsers send them.
pub(super) fn origins(given: &[Located<String>], report: &mut Report) -> Vec<String> {
    let is_good = |origin: &str| {
        Url::parse(origin)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin)
    };
    let what = "write an origin as browsers send it: scheme, host and port if it is not the default, such as https://console.example.org";
    good(given, is_good, what, report)
}

/// The texts that are good; each other one is a fault.
fn good(given: &[Located<String>], is_good: impl Fn(&str) -> bool, what: &str, report: &mut Report) -> Vec<String> {
    let (good, bad): (Vec<_>, Vec<_>) = given.iter().partition(|text| is_good(text));
    for text in bad {
        report.fault(&text.location, what);
    }
    good.into_iter().map(|text| text.value.clone()).collect()
}
