//! The rules for CA bundles and forward proxies.
//!
//! Owns when these are faults. Bundles and proxies themselves are `transport`'s.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::MirrorConfig;
use super::environment::Variables;
use super::field::Field;
use super::report::{Location, Report, Reported};
use super::signatures::NotificationsConfig;
use crate::domain::url::UpstreamUrl;
use crate::transport::{Bundle, Outbound};

/// The bundles opened so far: mirrors may share a file.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    opened: HashMap<PathBuf, Arc<Bundle>>,
    of: HashMap<UpstreamUrl, (Location, Option<PathBuf>)>,
}

impl Bundles {
    /// The bundle that a field names, if it names one.
    pub(super) fn open(&mut self, field: &Field<String>, report: &mut Report) -> Result<Option<Arc<Bundle>>, Reported> {
        let Some(path) = field.as_ref().map(PathBuf::from) else { return Ok(None) };
        if let Some(bundle) = self.opened.get(&path) {
            return Ok(Some(Arc::clone(bundle)));
        }
        let bundle = Bundle::open(field.location.path(), vec![path.clone()]);
        let bundle = Arc::new(bundle.map_err(|wrong| report.fault(&field.location, wrong))?);
        if bundle.holds_a_private_key() {
            report.warn(&field.location, "the file holds a private key, which a CA bundle never needs; remove it");
        }
        self.opened.insert(path, Arc::clone(&bundle));
        Ok(Some(bundle))
    }

    /// Checks that all mirrors of one upstream have the same bundle.
    pub(super) fn agree(&mut self, url: &UpstreamUrl, location: &Location, field: &Field<String>, report: &mut Report) {
        let path = field.as_ref().map(PathBuf::from);
        let (other, known) = self.of.entry(url.clone()).or_insert_with(|| (location.clone(), path.clone()));
        if *known != path {
            let what =
                format!("the mirror at {other} has the same upstream and another caFile; write the same for both");
            report.fault(location, what);
        }
    }
}

/// The system's CA certificates and the proxies.
pub(super) fn outbound(variables: Variables<'_>, report: &mut Report) -> Result<Outbound, Reported> {
    Outbound::from_variables(variables).map_err(|(variable, what)| report.fault(&Location::named(variable), what))
}

/// Reports unusable proxies: a fault if a configured address would use one, else a warning.
pub(super) fn judge_proxies(
    outbound: &Outbound,
    mirrors: &[MirrorConfig],
    notifications: Option<&NotificationsConfig>,
    report: &mut Report,
) {
    let upstreams = mirrors.iter().map(|mirror| mirror.spec.upstream.as_str());
    let receiver = notifications.filter(|receiver| receiver.proxied).map(|receiver| receiver.url.as_str());
    let mut used = Vec::new();
    for address in upstreams.chain(receiver) {
        let Ok(url) = Url::parse(address) else { continue };
        if let Some((variable, Err(wrong))) = outbound.proxies.used_by(&url)
            && !used.contains(&variable)
        {
            used.push(variable);
            report.fault(&Location::named(variable), format!("{wrong}. {address} would use this proxy"));
        }
    }
    for (variable, wrong) in outbound.proxies.unusable().filter(|(variable, _)| !used.contains(variable)) {
        report.warn(&Location::named(variable), format!("{wrong}. No configured address uses this proxy"));
    }
}
