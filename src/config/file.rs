//! The YAML file: which keys there are, and of which type.
//!
//! Owns the names of the keys. Judges no value: `rules` does, for the file and the environment alike.

use super::draft::{
    CredentialDraft, Defaults, Draft, KubernetesDraft, LimitsDraft, MirrorDraft, NotificationsDraft, ObservationDraft,
    SecretDraft,
};
use super::report::{Field, Place, Report};
use super::tree::{Node, Section};

const TOP: &[&str] = &["gitea", "mirrors", "observation", "limits", "server", "kubernetes", "notifications"];
const GITEA: &[&str] = &["url", "tokenFile", "usernameFile", "passwordFile", "caFile"];
const MIRROR: &[&str] = &["name", "upstream", "target", "interval", "prune", "private", "mode", "onLegacy", "webhook"];
const UPSTREAM: &[&str] = &["url", "branch", "tokenFile", "usernameFile", "passwordFile", "caFile"];
const TARGET: &[&str] = &["owner", "repo"];
const LIMITS: &[&str] = &["run", "migrate", "sync", "deadPlaceholder", "refsTime", "refsBytes", "connections"];
const KUBERNETES: &[&str] = &[
    "enabled",
    "audiences",
    "operators",
    "viewers",
    "statusConfigMap",
    "pastPivotGuard",
    "absentStatus",
    "syncPastPivot",
    "apiServer",
    "tokenFile",
    "caFile",
];

const URL: &str = "a text, such as https://github.com/openova-io/openova";
const NAME: &str = "a text, such as openova";
const CA_FILE: &str = "a text, the path of a file such as /etc/ssl/corp/ca.crt";
const DURATION: &str = "a Go duration, such as 10m0s";

/// Reads the tree of a file.
pub(super) fn draft(root: Node, report: &mut Report) -> Draft {
    let mut top = Section::open(Some(root), "", TOP, report);
    let mut gitea = top.section("gitea", GITEA, report);
    let gitea_url = gitea.text("url", "a text, such as http://gitea-http.gitea.svc.cluster.local:3000", report);
    let gitea_credential = credential(&mut gitea, report);
    let gitea_ca_file = gitea.text("caFile", CA_FILE, report);

    let items = top.list("mirrors", report);
    let place = top.place();
    let mirrors_place = (!top.is_bad()).then(|| Place::named(format!("mirrors, in {}", place.path())));
    let mirrors: Vec<_> = items.into_iter().map(|(path, node)| mirror(node, &path, report)).collect();

    let mut observation = top.section("observation", &["ttl", "healAfter"], report);
    let (ttl, heal_after) =
        (observation.text("ttl", DURATION, report), observation.text("healAfter", DURATION, report));
    let observation = ObservationDraft { ttl, heal_after };
    let limits = limits(&mut top, report);
    let mut server = top.section("server", &["hosts", "origins"], report);
    let (hosts, origins) = (server.texts("hosts", report), server.texts("origins", report));
    let kubernetes = kubernetes(&mut top, report);
    let notifications = notifications(&mut top, report);
    Draft {
        gitea_url,
        gitea_credential,
        gitea_ca_file,
        mirrors,
        mirrors_place,
        observation,
        limits,
        notifications,
        hosts,
        origins,
        kubernetes,
    }
}

fn mirror(node: Node, path: &str, report: &mut Report) -> MirrorDraft {
    let mut mirror = Section::open(Some(node), path, MIRROR, report);
    let mut upstream = mirror.section("upstream", UPSTREAM, report);
    let mut target = mirror.section("target", TARGET, report);
    let mut webhook = mirror.section("webhook", &["secretFiles"], report);
    MirrorDraft {
        name: mirror.text("name", NAME, report),
        url: upstream.text("url", URL, report),
        branch: upstream.text("branch", "a text, such as main", report),
        owner: target.text("owner", NAME, report),
        repo: target.text("repo", NAME, report),
        interval: mirror.text("interval", DURATION, report),
        prune: mirror.switch("prune", report),
        private: mirror.switch("private", report),
        mode: mirror.text("mode", "follow, pinned or severed", report),
        on_legacy: mirror.text("onLegacy", "refuse or renameAside", report),
        webhook_secrets: webhook.texts("secretFiles", report),
        credential: credential(&mut upstream, report),
        ca_file: upstream.text("caFile", CA_FILE, report),
        defaults: Defaults::NoNames,
    }
}

fn credential(section: &mut Section, report: &mut Report) -> CredentialDraft {
    let mut secret = |key: &str| {
        let file = section.text(key, "a text, the path of a file such as /run/secrets/gitea/token", report);
        SecretDraft { file, inline: None }
    };
    CredentialDraft { token: secret("tokenFile"), username: secret("usernameFile"), password: secret("passwordFile") }
}

fn limits(top: &mut Section, report: &mut Report) -> LimitsDraft {
    let mut limits = top.section("limits", LIMITS, report);
    let mut duration = |key: &str| -> Field<String> { limits.text(key, DURATION, report) };
    LimitsDraft {
        run: duration("run"),
        migrate: duration("migrate"),
        sync: duration("sync"),
        dead_placeholder: duration("deadPlaceholder"),
        refs_time: duration("refsTime"),
        refs_bytes: limits.text("refsBytes", "a text, such as 24MiB", report),
        connections: limits.number("connections", report),
    }
}

fn kubernetes(top: &mut Section, report: &mut Report) -> KubernetesDraft {
    let mut section = top.section("kubernetes", KUBERNETES, report);
    let words = "a text, allow or refuse";
    KubernetesDraft {
        enabled: section.switch("enabled", report),
        audiences: section.texts("audiences", report),
        operators: section.texts("operators", report),
        viewers: section.texts("viewers", report),
        status: section.text("statusConfigMap", "a text, such as catalyst/self-sovereign-cutover-status", report),
        guard: section.switch("pastPivotGuard", report),
        absent_status: section.text("absentStatus", words, report),
        sync_past_pivot: section.text("syncPastPivot", words, report),
        api_server: section.text("apiServer", "a text, such as https://10.96.0.1:443", report),
        token_file: section.text("tokenFile", "a text, the path of a file", report),
        ca_file: section.text("caFile", "a text, the path of a file", report),
    }
}

fn notifications(top: &mut Section, report: &mut Report) -> NotificationsDraft {
    let mut section = top.section("notifications", &["url", "secretFile"], report);
    NotificationsDraft {
        url: section.text("url", "a text, such as https://alerts.example.org/cutover", report),
        secret_file: section.text("secretFile", "a text, the path of a file", report),
    }
}
