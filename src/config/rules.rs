//! What a configuration must be: every value on its own, and the mirrors beside each other.
//!
//! Owns the rules, the defaults and their reasons. Every fault is reported before any conclusion is drawn; a thing
//! with a fault in it comes back as `None`, and its neighbours are judged all the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::draft::{CredentialDraft, Defaults, Draft, MirrorDraft, SecretDraft};
use super::network::{self, Reach};
use super::outbound::Bundles;
use super::report::{Field, Place, Report};
use super::secret::{ConfiguredCredential, Secret};
use super::signing::{self, SigningFiles};
use super::{GiteaConfig, MirrorConfig};
use crate::domain::credential::{CredentialSource, NoCredential};
use crate::domain::duration::GoDuration;
use crate::domain::mode::Mode;
use crate::domain::names::{BranchName, MirrorName, OwnerName, RepoName};
use crate::domain::refs::Prune;
use crate::domain::spec::{MirrorSpec, OnLegacy, Visibility};
use crate::domain::url::{GiteaUrl, UpstreamUrl};
use crate::transport::Bundle;

const GITEA_URL: &str = "http://gitea-http.gitea.svc.cluster.local:3000";
const UPSTREAM_URL: &str = "https://github.com/openova-io/openova";
const BRANCH: &str = "main";
const NAME: &str = "openova";
const INTERVAL: Duration = Duration::from_mins(10);

/// Gitea's own default minimum; an instance may allow less.
const COMFORTABLE_INTERVAL: Duration = Duration::from_mins(10);
/// Below this, Gitea's mirror queue would do nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_mins(1);
/// A year: whoever wants more does not want a mirror.
const LONGEST_INTERVAL: Duration = Duration::from_hours(8_760);

/// Gitea and who we are there.
pub(super) fn gitea(draft: &Draft, bundles: &mut Bundles, report: &mut Report) -> Option<GiteaConfig> {
    let url = draft.gitea_url.or(report, || GiteaUrl::parse(GITEA_URL).ok(), |text| GiteaUrl::parse(text));
    let credential = credential(&draft.gitea_credential, report);
    if let Credentials::None = credential {
        let place = draft.gitea_credential.token.place();
        report.fault(
            place,
            "there is no credential for Gitea: name a file with an access token here (scopes write:repository and \
             write:organization), or files with a user name and a password",
        );
    }
    let bundle = bundles.open(&draft.gitea_ca_file, report);
    let (place, url) = url?;
    let plain = url.as_str().starts_with("http:");
    match network::reach(url.as_str()) {
        Reach::Public if plain => {
            report.warn(&place, "the credential goes to Gitea unencrypted; use https outside the cluster");
        }
        Reach::Public | Reach::Private => {}
        Reach::Nowhere => {
            report.fault(place, "no server can be there: link-local, unspecified, multicast and reserved addresses");
            return None;
        }
    }
    match credential {
        Credentials::Given(_, credential) => {
            let credential_from = credential.to_string();
            Some(GiteaConfig { url, credential: Arc::new(credential), credential_from, bundle: bundle? })
        }
        Credentials::None | Credentials::Bad => None,
    }
}

/// Every mirror, on its own and beside the others.
pub(super) fn mirrors(
    draft: &Draft,
    gitea: Option<&str>,
    listen: Option<SocketAddr>,
    bundles: &mut Bundles,
    report: &mut Report,
) -> Option<Vec<MirrorConfig>> {
    if let (true, Some(place)) = (draft.mirrors.is_empty(), &draft.mirrors_place) {
        report.fault(place.clone(), "no mirror is configured; write at least one, with name, upstream and target");
    }
    let mut names: BTreeMap<MirrorName, Place> = BTreeMap::new();
    let mut targets: BTreeMap<String, Place> = BTreeMap::new();
    let mut whole = Vec::new();
    for mirror in &draft.mirrors {
        let parts = Parts::read(mirror, gitea, listen, bundles, report);
        if let Some((place, name)) = &parts.name {
            if let Some(other) = names.get(name) {
                report.fault(place.clone(), format!("another mirror has this name, at {other}; each needs its own"));
            }
            names.entry(name.clone()).or_insert_with(|| place.clone());
        }
        if let (Some((_, owner)), Some((place, repo))) = (&parts.owner, &parts.repo) {
            let target = format!("{owner}/{repo}").to_lowercase(); // Gitea's names differ in more than case
            if let Some(other) = targets.get(&target) {
                let what = format!("another mirror goes into this repository, at {other}; each needs its own");
                report.fault(place.clone(), what);
            }
            targets.entry(target).or_insert_with(|| place.clone());
        }
        whole.push(parts.whole());
    }
    whole.into_iter().collect()
}

/// One mirror's values, each checked on its own.
struct Parts {
    name: Option<(Place, MirrorName)>,
    upstream: Option<(Place, UpstreamUrl)>,
    branch: Option<(Place, BranchName)>,
    owner: Option<(Place, OwnerName)>,
    repo: Option<(Place, RepoName)>,
    interval: Option<(Place, GoDuration)>,
    prune: Option<(Place, bool)>,
    private: Option<(Place, bool)>,
    mode: Option<(Place, Mode)>,
    on_legacy: Option<(Place, OnLegacy)>,
    webhook: Option<SigningFiles>,
    credential: Credentials,
    #[expect(clippy::option_option, reason = "wrong, or right and possibly absent")]
    bundle: Option<Option<Arc<Bundle>>>,
}

impl Parts {
    fn read(
        draft: &MirrorDraft,
        gitea: Option<&str>,
        listen: Option<SocketAddr>,
        bundles: &mut Bundles,
        report: &mut Report,
    ) -> Self {
        let defaults = draft.defaults;
        let default = |text: &'static str| (defaults == Defaults::All).then_some(text);
        if defaults == Defaults::NoNames {
            for field in [&draft.name, &draft.url, &draft.owner, &draft.repo] {
                if let Field::Absent(place) = field {
                    report.fault(place.clone(), "this is missing, and has no default");
                }
            }
        }
        let upstream = draft.url.or(
            report,
            || default(UPSTREAM_URL).and_then(|url| UpstreamUrl::parse(url).ok()),
            |text| UpstreamUrl::parse(text),
        );
        let branch = draft.branch.or(report, || BranchName::parse(BRANCH).ok(), |text| BranchName::parse(text));
        let owner = draft.owner.or(
            report,
            || default(NAME).and_then(|name| OwnerName::parse(name).ok()),
            |text| OwnerName::parse(text),
        );
        let repo = draft.repo.or(
            report,
            || default(NAME).and_then(|name| RepoName::parse(name).ok()),
            |text| RepoName::parse(text),
        );
        let name = draft.name.or(
            report,
            || default(NAME).and(repo.as_ref()).map(|(_, repo)| mirror_name(repo)),
            |text| MirrorName::parse(text),
        );
        let interval = draft.interval.or(report, || Some(GoDuration::new(INTERVAL)), |text| interval(text));
        if let Some((place, interval)) = &interval
            && interval.get() < COMFORTABLE_INTERVAL
        {
            report.warn(
                place,
                "Gitea refuses intervals below its own minimum, which is 10m0s unless it was lowered there",
            );
        }
        let prune = draft.prune.or(report, || Some(false), |prune| Ok::<_, &str>(*prune));
        let private = draft.private.or(report, || Some(false), |private| Ok::<_, &str>(*private));
        let mode = draft.mode.or(report, || Some(Mode::Follow), |text| mode(text));
        let on_legacy = draft.on_legacy.or(report, || Some(OnLegacy::Refuse), |text| on_legacy(text));
        let webhook = signing::webhook(&draft.webhook_secrets, report);
        let credential = credential(&draft.credential, report);
        if let Some((place, url)) = &upstream {
            judge_upstream(place, url, &credential, gitea, listen, report);
            bundles.agree(url, place, &draft.ca_file, report);
        }
        let bundle = bundles.open(&draft.ca_file, report);
        Self {
            name,
            upstream,
            branch,
            owner,
            repo,
            interval,
            prune,
            private,
            mode,
            on_legacy,
            webhook,
            credential,
            bundle,
        }
    }

    fn whole(self) -> Option<MirrorConfig> {
        let spec = MirrorSpec {
            name: self.name?.1,
            upstream: self.upstream?.1,
            branch: self.branch?.1,
            owner: self.owner?.1,
            repo: self.repo?.1,
            interval: self.interval?.1,
            prune: Prune::from_bool(self.prune?.1),
            visibility: if self.private?.1 { Visibility::Private } else { Visibility::Public },
            on_legacy: self.on_legacy?.1,
            mode: self.mode?.1,
        };
        let (credential, credential_from): (Arc<dyn CredentialSource>, _) = match self.credential {
            Credentials::Bad => return None,
            Credentials::None => (Arc::new(NoCredential), None),
            Credentials::Given(_, credential) => {
                let from = credential.to_string();
                (Arc::new(credential), Some(from))
            }
        };
        let webhook = Arc::new(self.webhook?);
        Some(MirrorConfig { spec: Arc::new(spec), credential, credential_from, bundle: self.bundle?, webhook })
    }
}

/// A mirror from the environment has no name of its own: it takes the repository's, made into a DNS label.
fn mirror_name(repo: &RepoName) -> MirrorName {
    let label: String = repo
        .as_str()
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    MirrorName::parse(label.trim_matches('-')).or_else(|_| MirrorName::parse(NAME)).expect("the default is a good name")
}

fn interval(text: &str) -> Result<GoDuration, &'static str> {
    let interval = duration(text)?;
    if interval == GoDuration::ZERO {
        Err("0 would mean never to Gitea: for a mirror that does not follow, write mode: pinned (or severed)")
    } else if interval.get() < SHORTEST_INTERVAL {
        Err("an interval is at least 1m0s, and 10m0s or more where Gitea's own minimum was not lowered")
    } else if interval.get() > LONGEST_INTERVAL {
        Err("an interval is at most 8760h0m0s, a year")
    } else {
        Ok(interval)
    }
}

fn mode(text: &str) -> Result<Mode, &'static str> {
    Mode::from_label(text).ok_or("write follow, pinned or severed")
}

fn on_legacy(text: &str) -> Result<OnLegacy, &'static str> {
    match text {
        "refuse" => Ok(OnLegacy::Refuse),
        "renameAside" => Ok(OnLegacy::RenameAside),
        _ => Err("write refuse or renameAside"),
    }
}

pub(super) fn duration(text: &str) -> Result<GoDuration, &'static str> {
    GoDuration::parse(text).map_err(|_| "write a Go duration, such as 10m0s, 1h30m or 600s")
}

fn judge_upstream(
    place: &Place,
    url: &UpstreamUrl,
    credential: &Credentials,
    gitea: Option<&str>,
    listen: Option<SocketAddr>,
    report: &mut Report,
) {
    if gitea.is_some_and(|gitea| network::same_server(gitea, url.as_str())) {
        report.fault(place.clone(), "this is our own Gitea; name the repository that is to be copied into it");
    } else if listen.is_some_and(|listen| network::is_ourselves(url.as_str(), listen)) {
        report.fault(place.clone(), "this service itself listens there; name a repository");
    }
    match network::reach(url.as_str()) {
        Reach::Nowhere => {
            report.fault(
                place.clone(),
                "no repository can be there: link-local (cloud metadata), unspecified, multicast and reserved addresses",
            );
        }
        Reach::Private => report.warn(
            place,
            "this is in a private network or on this machine; Gitea must be allowed to fetch from there \
             ([migrations] ALLOW_LOCALNETWORKS or ALLOWED_DOMAINS)",
        ),
        Reach::Public => {}
    }
    if !url.is_https() {
        report.warn(place, "http is not encrypted: whoever is on the way can change what is mirrored; use https");
    }
    if let (Credentials::Given(place, _), false) = (credential, url.may_carry_a_credential()) {
        report
            .fault(place.clone(), "a credential does not go to upstream over http, except on this machine; use https");
    }
}

/// A credential as it was found.
enum Credentials {
    Given(Place, ConfiguredCredential),
    None,
    Bad,
}

fn credential(draft: &CredentialDraft, report: &mut Report) -> Credentials {
    let token = secret(&draft.token, "GITEA_TOKEN", report);
    let username = secret(&draft.username, "GITEA_USERNAME", report);
    let password = secret(&draft.password, "GITEA_PASSWORD", report);
    let credential = match (token, username, password) {
        (Found::Bad, _, _) | (_, Found::Bad, _) | (_, _, Found::Bad) => return Credentials::Bad,
        (Found::None, Found::None, Found::None) => return Credentials::None,
        (Found::Secret(place, token), username, password) => {
            if !matches!((username, password), (Found::None, Found::None)) {
                report.warn(&place, "a token is configured, so that the user name and the password are not used");
            }
            (place, ConfiguredCredential::Token(token))
        }
        (Found::None, Found::Secret(_, username), Found::Secret(place, password)) => {
            (place, ConfiguredCredential::Basic { username, password })
        }
        (Found::None, Found::Secret(..), Found::None) => {
            report.fault(draft.password.place(), "there is a user name and no password; name the file that holds it");
            return Credentials::Bad;
        }
        (Found::None, Found::None, Found::Secret(..)) => {
            report.fault(draft.username.place(), "there is a password and no user name; name the file that holds it");
            return Credentials::Bad;
        }
    };
    if let Err(error) = credential.1.read() {
        report.warn(&credential.0, format!("{error}; it is read again at each use"));
    }
    Credentials::Given(credential.0, credential.1)
}

enum Found {
    Secret(Place, Secret),
    None,
    Bad,
}

fn secret(draft: &SecretDraft, variable: &'static str, report: &mut Report) -> Found {
    match (&draft.file, &draft.inline) {
        (Field::Given(place, path), inline) => {
            if path.chars().any(char::is_control) || path.trim().is_empty() {
                report.fault(place.clone(), "write the path of a file, such as /run/secrets/gitea/token");
                return Found::Bad;
            }
            if let Some((ignored, _)) = inline {
                report.warn(ignored, format!("this is ignored: {place} names a file"));
            }
            Found::Secret(place.clone(), Secret::file(PathBuf::from(path)))
        }
        (Field::Absent(_), Some((place, value))) => {
            Found::Secret(place.clone(), Secret::Variable(variable, value.clone()))
        }
        (Field::Absent(_), None) => Found::None,
        (Field::Bad, _) => Found::Bad,
    }
}
