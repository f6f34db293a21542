//! Whom to trust, and the way there: CA bundles and forward proxies.
//!
//! Owns when these are faults. What a bundle and a proxy are, `transport` knows.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::MirrorConfig;
use super::environment::Variables;
use super::located::Field;
use super::report::{Place, Report, Reported};
use super::signing::NotificationsConfig;
use crate::domain::url::UpstreamUrl;
use crate::transport::{Bundle, Outbound};

/// The bundles that were opened: mirrors may share a file.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    opened: HashMap<PathBuf, Arc<Bundle>>,
    of: HashMap<UpstreamUrl, (Place, Option<PathBuf>)>,
}

impl Bundles {
    /// The bundle that a field names, if it names one.
    pub(super) fn open(&mut self, field: &Field<String>, report: &mut Report) -> Result<Option<Arc<Bundle>>, Reported> {
        let Some(path) = field.as_ref().map(PathBuf::from) else { return Ok(None) };
        if let Some(bundle) = self.opened.get(&path) {
            return Ok(Some(Arc::clone(bundle)));
        }
        let bundle = Bundle::open(field.place.path(), vec![path.clone()]);
        let bundle = Arc::new(bundle.map_err(|wrong| report.fault(&field.place, wrong))?);
        if bundle.holds_a_private_key() {
            report.warn(&field.place, "the file holds a private key, which a CA bundle never needs; remove it");
        }
        self.opened.insert(path, Arc::clone(&bundle));
        Ok(Some(bundle))
    }

    /// One upstream has one bundle, whatever number of mirrors it has.
    pub(super) fn agree(&mut self, url: &UpstreamUrl, place: &Place, field: &Field<String>, report: &mut Report) {
        let path = field.as_ref().map(PathBuf::from);
        let (other, known) = self.of.entry(url.clone()).or_insert_with(|| (place.clone(), path.clone()));
        if *known != path {
            let what =
                format!("the mirror at {other} has the same upstream and another caFile; write the same for both");
            report.fault(place, what);
        }
    }
}

/// The system's CA certificates and the proxies.
pub(super) fn outbound(variables: Variables<'_>, report: &mut Report) -> Result<Outbound, Reported> {
    Outbound::from_variables(variables).map_err(|(variable, what)| report.fault(&Place::named(variable), what))
}

/// A proxy that something configured would use has to be usable; another one is worth knowing about.
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
            report.fault(&Place::named(variable), format!("{wrong}. {address} is reached through it"));
        }
    }
    for (variable, wrong) in outbound.proxies.unusable().filter(|(variable, _)| !used.contains(variable)) {
        report.warn(&Place::named(variable), format!("{wrong}. No configured address is reached through it"));
    }
}
