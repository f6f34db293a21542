//! The rules for Gitea and for the mirrors: each value on its own, and the mirrors beside each other.
//!
//! Owns the defaults and their reasons. Reports every fault before it gives up on a part, and judges the other parts
//! regardless.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::credential;
use super::environment::InlineCredential;
use super::field::Located;
use super::network::{self, Reach};
use super::outbound::Bundles;
use super::report::{Location, Report, Reported};
use super::secret::ConfiguredCredential;
use super::settings::{GiteaSettings, MirrorSettings};
use super::signatures;
use super::values::duration;
use super::{GiteaConfig, MirrorConfig};
use crate::domain::credential::{CredentialSource, NoCredential};
use crate::domain::duration::GoDuration;
use crate::domain::mode::Mode;
use crate::domain::names::{BranchName, MirrorName, OwnerName, RepoName};
use crate::domain::refs::Prune;
use crate::domain::spec::{MirrorSpec, OnLegacy, Visibility};
use crate::domain::url::{GiteaUrl, UpstreamUrl};

const GITEA_URL: &str = "http://gitea-http.gitea.svc.cluster.local:3000";
const BRANCH: &str = "main";
const INTERVAL: Duration = Duration::from_mins(10);

/// Gitea's own default minimum; an instance may allow less.
const COMFORTABLE_INTERVAL: Duration = Duration::from_mins(10);
/// Below this, Gitea's mirror queue would do nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_mins(1);
/// A year. A mirror that rare is a mistake.
const LONGEST_INTERVAL: Duration = Duration::from_hours(8_760);

/// `gitea`.
pub(super) fn gitea(
    settings: &GiteaSettings,
    inline: &InlineCredential,
    bundles: &mut Bundles,
    report: &mut Report,
) -> Result<GiteaConfig, Reported> {
    let default = GiteaUrl::parse(GITEA_URL).expect("the default is a good address");
    let url = settings.url.or(report, default, |text| GiteaUrl::parse(text));
    let files = [&settings.token_file, &settings.username_file, &settings.password_file];
    let credential = credential::read(files, inline, report).and_then(|credential| {
        credential.ok_or_else(|| {
            report.fault(
                &settings.token_file.location,
                "there is no credential for Gitea: name a file with an access token here (scopes write:repository and \
                 write:organization), or files with a user name and a password",
            )
        })
    });
    let bundle = bundles.open(&settings.ca_file, report);
    let url = url?;
    match network::reach(url.as_str()) {
        Reach::Public if url.as_str().starts_with("http:") => {
            report.warn(
                &settings.url.location,
                "the credential goes to Gitea unencrypted; use https outside the cluster",
            );
        }
        Reach::Public | Reach::Private => {}
        Reach::Nowhere => {
            let what = "no server can be there: link-local, unspecified, multicast and reserved addresses";
            return Err(report.fault(&settings.url.location, what));
        }
    }
    let credential = credential?.value;
    let credential_from = credential.to_string();
    Ok(GiteaConfig { url, credential: Arc::new(credential), credential_from, bundle: bundle? })
}

/// What the mirrors are judged against: Gitea's address, the service's own, and each other.
pub(super) struct MirrorRules<'a> {
    gitea: Option<&'a str>,
    listen: Option<SocketAddr>,
    bundles: &'a mut Bundles,
    report: &'a mut Report,
    names: BTreeMap<MirrorName, Location>,
    targets: BTreeMap<String, Location>,
}

impl<'a> MirrorRules<'a> {
    pub(super) const fn new(
        gitea: Option<&'a str>,
        listen: Option<SocketAddr>,
        bundles: &'a mut Bundles,
        report: &'a mut Report,
    ) -> Self {
        Self { gitea, listen, bundles, report, names: BTreeMap::new(), targets: BTreeMap::new() }
    }

    /// `mirrors`.
    pub(super) fn mirrors(
        &mut self,
        settings: &Located<Vec<Located<MirrorSettings>>>,
    ) -> Result<Vec<MirrorConfig>, Reported> {
        if settings.is_empty() {
            let what = "no mirror is configured; write at least one, with name, upstream and target";
            return Err(self.report.fault(&settings.location, what));
        }
        // each is judged, also after a fault in another
        let mirrors: Vec<_> = settings.iter().map(|mirror| self.mirror(mirror)).collect();
        mirrors.into_iter().collect()
    }

    fn mirror(&mut self, settings: &MirrorSettings) -> Result<MirrorConfig, Reported> {
        let (upstream, target) = (&settings.upstream, &settings.target);
        let name = settings.name.required(self.report, |text| MirrorName::parse(text));
        if let Ok(name) = &name {
            self.unique_name(name, &settings.name.location);
        }
        let url = upstream.url.required(self.report, |text| UpstreamUrl::parse(text));
        let default = BranchName::parse(BRANCH).expect("the default is a good name");
        let branch = upstream.branch.or(self.report, default, |text| BranchName::parse(text));
        let owner = target.owner.required(self.report, |text| OwnerName::parse(text));
        let repo = target.repo.required(self.report, |text| RepoName::parse(text));
        if let (Ok(owner), Ok(repo)) = (&owner, &repo) {
            self.unique_target(owner, repo, &target.repo.location);
        }
        let interval = settings.interval.or(self.report, GoDuration::new(INTERVAL), |text| interval(text));
        if interval.is_ok_and(|interval| interval.get() < COMFORTABLE_INTERVAL) {
            let what = "Gitea refuses an interval below its own minimum, which is 10m0s by default";
            self.report.warn(&settings.interval.location, what);
        }
        let mode = settings
            .mode
            .or(self.report, Mode::Follow, |text| Mode::from_label(text).ok_or("write follow, pinned or severed"));
        let on_legacy = settings.on_legacy.or(self.report, OnLegacy::Refuse, |text| match text.as_str() {
            "refuse" => Ok(OnLegacy::Refuse),
            "renameAside" => Ok(OnLegacy::RenameAside),
            _ => Err("write refuse or renameAside"),
        });
        let webhook = signatures::files(&settings.webhook.secret_files, self.report);
        let files = [&upstream.token_file, &upstream.username_file, &upstream.password_file];
        let credential = credential::read(files, &InlineCredential::default(), self.report);
        if let Ok(url) = &url {
            self.judge_upstream(&upstream.url.location, url, credential.as_ref().ok().and_then(Option::as_ref));
            self.bundles.agree(url, &upstream.url.location, &upstream.ca_file, self.report);
        }
        let bundle = self.bundles.open(&upstream.ca_file, self.report);
        let spec = MirrorSpec {
            name: name?,
            upstream: url?,
            branch: branch?,
            owner: owner?,
            repo: repo?,
            interval: interval?,
            prune: Prune::from_bool(settings.prune.unwrap_or(false)),
            visibility: if settings.private.unwrap_or(false) { Visibility::Private } else { Visibility::Public },
            on_legacy: on_legacy?,
            mode: mode?,
        };
        let credential = credential?.map(|located| located.value);
        let credential_from = credential.as_ref().map(ToString::to_string);
        let credential: Arc<dyn CredentialSource> = match credential {
            Some(credential) => Arc::new(credential),
            None => Arc::new(NoCredential),
        };
        let webhook = Arc::new(webhook?);
        Ok(MirrorConfig { spec: Arc::new(spec), credential, credential_from, bundle: bundle?, webhook })
    }

    fn unique_name(&mut self, name: &MirrorName, location: &Location) {
        if let Some(other) = self.names.get(name) {
            self.report.fault(location, format!("another mirror has this name, at {other}; each needs its own"));
        }
        self.names.entry(name.clone()).or_insert_with(|| location.clone());
    }

    fn unique_target(&mut self, owner: &OwnerName, repo: &RepoName, location: &Location) {
        let target = format!("{owner}/{repo}").to_lowercase(); // Gitea's names differ in more than case
        if let Some(other) = self.targets.get(&target) {
            let what = format!("another mirror has this repository as its target, at {other}; each needs its own");
            self.report.fault(location, what);
        }
        self.targets.entry(target).or_insert_with(|| location.clone());
    }

    fn judge_upstream(
        &mut self,
        location: &Location,
        url: &UpstreamUrl,
        credential: Option<&Located<ConfiguredCredential>>,
    ) {
        let report = &mut *self.report;
        if self.gitea.is_some_and(|gitea| network::same_server(gitea, url.as_str())) {
            report.fault(location, "this is the Gitea of this configuration; name the repository to copy into it");
        } else if self.listen.is_some_and(|listen| network::is_own_address(url.as_str(), listen)) {
            report.fault(location, "cutover-api itself listens there; name a repository");
        }
        match network::reach(url.as_str()) {
            Reach::Nowhere => {
                report.fault(
                    location,
                    "no repository can be there: link-local (cloud metadata), unspecified, multicast and reserved \
                     addresses",
                );
            }
            Reach::Private => report.warn(
                location,
                "this is in a private network or on this machine; Gitea must be allowed to fetch from there \
                 ([migrations] ALLOW_LOCALNETWORKS or ALLOWED_DOMAINS)",
            ),
            Reach::Public => {}
        }
        if !url.is_https() {
            report.warn(
                location,
                "http is not encrypted: anyone on the network path can change what is mirrored; use https",
            );
        }
        if let (Some(credential), false) = (credential, url.may_carry_a_credential()) {
            let what = "a credential is not sent to upstream over http, except on this machine; use https";
            report.fault(&credential.location, what);
        }
    }
}

fn interval(text: &str) -> Result<GoDuration, &'static str> {
    let interval = duration(text)?;
    if interval == GoDuration::ZERO {
        Err("Gitea treats 0 as disabled; for a mirror that does not follow, write mode: pinned or mode: severed")
    } else if interval.get() < SHORTEST_INTERVAL {
        Err("an interval is at least 1m0s, and 10m0s or more where Gitea's own minimum was not lowered")
    } else if interval.get() > LONGEST_INTERVAL {
        Err("an interval is at most 8760h0m0s, a year")
    } else {
        Ok(interval)
    }
}
