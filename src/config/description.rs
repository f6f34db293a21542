//! The effective configuration as text, for `check-config`.
//!
//! Owns the layout. Shows where secrets are, never what they are.

use std::fmt::{Display, Write as _};

use url::Url;

use super::bytes;
use super::{AuthConfig, Config, KubernetesConfig, MirrorConfig};
use crate::domain::duration::GoDuration;
use crate::domain::spec::Visibility;
use crate::transport::{Bundle, Outbound};

/// Lines for a terminal: a heading for each part, `name: value` below it, by the names of the settings.
#[must_use]
pub fn describe(config: &Config) -> String {
    let mut text = ConfigText::default();
    text.heading("Gitea");
    text.row("url", &config.gitea.url);
    text.row("credential", &config.gitea.credential_from);
    text.bundle(config.gitea.bundle.as_deref());
    for mirror in &config.mirrors {
        text.mirror(mirror, &config.outbound);
    }
    text.heading("Observation");
    text.row("ttl", GoDuration::new(config.policy.observed_for));
    text.row(
        "healAfter",
        match config.policy.heal_after {
            Some(after) => GoDuration::new(after).to_string(),
            None => "two intervals of the mirror".to_owned(),
        },
    );
    text.heading("Limits");
    for (name, limit) in [
        ("run", config.policy.run),
        ("migrate", config.policy.migrate),
        ("sync", config.policy.sync),
        ("deadPlaceholder", config.policy.dead_placeholder),
        ("refsTime", config.policy.refs_time),
    ] {
        text.row(name, GoDuration::new(limit));
    }
    text.row("refsBytes", bytes::show(config.policy.refs_bytes));
    text.row("connections", config.connections);
    text.heading("Server");
    text.row("listen", config.listen);
    text.row(
        "auth",
        match &config.auth {
            AuthConfig::Tokens(Some(file)) => format!("bearer tokens of {file}"),
            AuthConfig::Tokens(None) => "Kubernetes TokenReview".to_owned(),
            AuthConfig::None => "none (every caller is an operator)".to_owned(),
        },
    );
    text.list("hosts", &config.hosts);
    text.list("origins", &config.origins);
    text.row("state directory", config.state_dir.display());
    text.row(
        "notifications",
        config.notifications.as_ref().map_or_else(
            || "none".to_owned(),
            |notifications| format!("{}, {}", notifications.url.as_str(), notifications.secret_from()),
        ),
    );
    if let Some(kubernetes) = &config.kubernetes {
        text.kubernetes(kubernetes);
    }
    text.0
}

#[derive(Default)]
struct ConfigText(String);

impl ConfigText {
    fn heading(&mut self, text: &str) {
        let space = if self.0.is_empty() { "" } else { "\n" };
        writeln!(self.0, "{space}{text}").expect("writing to a String cannot fail");
    }

    fn row(&mut self, name: &str, value: impl Display) {
        writeln!(self.0, "  {name}: {value}").expect("writing to a String cannot fail");
    }

    fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.row(name, values.join(", "));
        }
    }

    fn bundle(&mut self, bundle: Option<&Bundle>) {
        if let Some(bundle) = bundle {
            let paths: Vec<_> = bundle.paths().iter().map(|path| path.display().to_string()).collect();
            let count = bundle.count();
            let certificates = if count == 1 { "certificate" } else { "certificates" };
            self.row("CA certificates", format!("the system's, and {count} {certificates} in {}", paths.join(", ")));
        }
    }

    fn mirror(&mut self, mirror: &MirrorConfig, outbound: &Outbound) {
        let spec = &mirror.spec;
        self.heading(&format!("Mirror {}", spec.name));
        self.row("upstream", &spec.upstream);
        self.row("branch", &spec.branch);
        self.row("credential", mirror.credential_from.as_deref().unwrap_or("none (public repository)"));
        self.bundle(mirror.bundle.as_deref());
        if let Some(proxy) = Url::parse(spec.upstream.as_str()).ok().and_then(|url| outbound.proxies.before(&url)) {
            self.row("proxy", proxy);
        }
        self.row("target", spec.full_name());
        self.row("interval", spec.interval);
        self.row("mode", spec.mode.label());
        self.row("prune", spec.prune.as_bool());
        self.row("private", spec.visibility == Visibility::Private);
        self.row("onLegacy", spec.on_legacy.label());
        let files: Vec<_> = mirror.webhook.paths().map(ToString::to_string).collect();
        let webhooks = if files.is_empty() {
            "none".to_owned()
        } else {
            format!("/hooks/{}, signed with a secret in {}", spec.name, files.join(", "))
        };
        self.row("webhook", webhooks);
    }

    fn kubernetes(&mut self, kubernetes: &KubernetesConfig) {
        self.heading("Kubernetes");
        self.row("apiServer", &kubernetes.api_server);
        self.row("credential", &kubernetes.credential_from);
        self.row("caFile", kubernetes.ca_file.display());
        self.list("operators", &kubernetes.operators);
        self.list("viewers", &kubernetes.viewers);
        self.list("audiences", &kubernetes.audiences);
        self.row("statusConfigMap", kubernetes.status.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
        self.row("pastPivotGuard", kubernetes.pivot.is_some());
        if let Some(pivot) = kubernetes.pivot {
            self.row("absentStatus", pivot.without_status.label());
            self.row("syncPastPivot", pivot.syncing.label());
        }
    }
}
