//! What a configuration means, for a person.
//!
//! Owns the words of `check-config`. Shows where secrets are, never what they are.

use std::fmt::Write as _;

use url::Url;

use super::bytes;
use super::{AuthConfig, Config, KubernetesConfig, MirrorConfig};
use crate::domain::duration::GoDuration;
use crate::domain::mode::Mode;
use crate::domain::refs::Prune;
use crate::domain::spec::{Allowed, OnLegacy, Visibility};
use crate::transport::{Bundle, Outbound};

/// Lines for a terminal.
#[must_use]
pub fn describe(config: &Config) -> String {
    let mut page = Page::default();
    page.head("Gitea");
    page.row("address", &config.gitea.url);
    page.row("as", &config.gitea.credential_from);
    page.bundle(config.gitea.bundle.as_deref());
    for mirror in &config.mirrors {
        page.mirror(mirror, &config.outbound);
    }
    page.head("Limits");
    for (label, limit) in [
        ("a run", config.policy.run),
        ("a migration", config.policy.migrate),
        ("a sync", config.policy.sync),
        ("an unfinished migration counts as dead", config.policy.dead_placeholder),
    ] {
        page.row(label, format!("after {}", GoDuration::new(limit)));
    }
    page.row("reading one side's refs", format!("after {}", GoDuration::new(config.policy.refs_time)));
    page.row("the refs of one side", format!("at most {} of memory", bytes::show(config.policy.refs_bytes)));
    page.head("Observation");
    page.row("started by a reader when older than", GoDuration::new(config.policy.observed_for));
    page.row(
        "a mirror behind gets a run",
        match config.policy.heal_after {
            Some(after) => format!("after {}", GoDuration::new(after)),
            None => "after two of its intervals".to_owned(),
        },
    );
    page.head("Serving");
    page.row("listens on", config.listen);
    page.row("connections", format!("at most {}", config.connections));
    page.row(
        "callers",
        match &config.auth {
            AuthConfig::Tokens(Some(file)) => format!("bearer tokens of {file}"),
            AuthConfig::Tokens(None) => "as Kubernetes tells".to_owned(),
            AuthConfig::None => "everybody is an operator".to_owned(),
        },
    );
    for (label, list) in [("host names", &config.hosts), ("origins", &config.origins)] {
        if !list.is_empty() {
            page.row(label, list.join(", "));
        }
    }
    page.row("journal in", config.state_dir.display());
    page.row(
        "changes are told",
        config.notifications.as_ref().map_or_else(
            || "nowhere (notifications.url is empty)".to_owned(),
            |told| format!("to {}, {}", told.url.as_str(), told.secret_from()),
        ),
    );
    if let Some(kubernetes) = &config.kubernetes {
        page.kubernetes(kubernetes);
    }
    page.text()
}

/// Headings and rows, aligned at the end.
#[derive(Default)]
struct Page {
    lines: Vec<(String, Option<String>)>,
}

impl Page {
    fn head(&mut self, text: &str) {
        self.lines.push((text.to_owned(), None));
    }

    fn row(&mut self, label: &str, value: impl std::fmt::Display) {
        self.lines.push((label.to_owned(), Some(value.to_string())));
    }

    fn bundle(&mut self, bundle: Option<&Bundle>) {
        if let Some(bundle) = bundle {
            let paths: Vec<_> = bundle.paths().iter().map(|path| path.display().to_string()).collect();
            let count = bundle.count();
            let certificates = if count == 1 { "certificate" } else { "certificates" };
            self.row("trusting", format!("the system, and {count} {certificates} in {}", paths.join(", ")));
        }
    }

    fn mirror(&mut self, mirror: &MirrorConfig, outbound: &Outbound) {
        let spec = &mirror.spec;
        self.head(&format!("Mirror {}", spec.name));
        self.row("from", &spec.upstream);
        self.row("as", mirror.credential_from.as_deref().unwrap_or("nobody: a public repository"));
        self.bundle(mirror.bundle.as_deref());
        if let Some(proxy) = Url::parse(spec.upstream.as_str()).ok().and_then(|url| outbound.proxies.before(&url)) {
            self.row("through the proxy", proxy);
        }
        self.row("branch", format!("{} must be there", spec.branch));
        self.row("into", spec.full_name());
        self.row("Gitea asks upstream", format!("every {}", spec.interval));
        self.row(
            "at first, it",
            match spec.mode {
                Mode::Follow => "follows upstream (mode: follow)",
                Mode::Pinned => "stands still, and how far it is behind is shown (mode: pinned)",
                Mode::Severed => "stands still, and upstream is not called (mode: severed)",
            },
        );
        self.row(
            "what upstream deletes",
            match spec.prune {
                Prune::On => "is deleted in Gitea (prune: true)",
                Prune::Off => "is kept in Gitea (prune: false)",
            },
        );
        self.row(
            "a regular repository there",
            match spec.on_legacy {
                OnLegacy::Refuse => "is refused (onLegacy: refuse)",
                OnLegacy::RenameAside => "is renamed, and the mirror made in its place (onLegacy: renameAside)",
            },
        );
        let files: Vec<_> = mirror.webhook.paths().map(ToString::to_string).collect();
        let webhooks = if files.is_empty() {
            "are not taken (webhook.secretFiles names none)".to_owned()
        } else {
            format!("under /hooks/{}, signed with a secret in {}", spec.name, files.join(", "))
        };
        self.row("webhooks of upstream's", webhooks);
        self.row(
            "when made, it is",
            match spec.visibility {
                Visibility::Public => "public",
                Visibility::Private => "private",
            },
        );
    }

    fn kubernetes(&mut self, kubernetes: &KubernetesConfig) {
        self.head("Kubernetes");
        self.row("API server", &kubernetes.api_server);
        self.row("as", &kubernetes.credential_from);
        self.row("trusting", kubernetes.ca_file.display());
        for (label, list) in [
            ("operators", &kubernetes.operators),
            ("viewers", &kubernetes.viewers),
            ("tokens made for", &kubernetes.audiences),
        ] {
            if !list.is_empty() {
                self.row(label, list.join(", "));
            }
        }
        match &kubernetes.status {
            Some(name) => self.row("platform's status", format!("in the ConfigMap {name}")),
            None => self.row("platform's status", "is neither read nor written"),
        }
        let word = |allowed: Allowed| if allowed == Allowed::Allow { "allowed" } else { "refused" };
        match kubernetes.pivot {
            Some(pivot) => {
                self.row("making a mirror past the pivot", "is refused (pastPivotGuard: true)");
                let (without, syncing) = (word(pivot.without_status), word(pivot.syncing));
                self.row("without a status", format!("it is {without} (absentStatus)"));
                self.row("syncing one past the pivot", format!("is {syncing} (syncPastPivot)"));
            }
            None => self.row("making a mirror past the pivot", "is not guarded against (pastPivotGuard: false)"),
        }
    }

    fn text(&self) -> String {
        let labels = self.lines.iter().filter(|(_, value)| value.is_some()).map(|(label, _)| label.chars().count());
        let width = labels.max().unwrap_or(0);
        let mut text = String::new();
        for (index, (label, value)) in self.lines.iter().enumerate() {
            match value {
                Some(value) => writeln!(text, "  {label:width$}  {value}"),
                None if index == 0 => writeln!(text, "{label}"),
                None => writeln!(text, "\n{label}"),
            }
            .expect("writing to a String cannot fail");
        }
        text
    }
}
