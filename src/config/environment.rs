//! One mirror from environment variables, as the one-shot Job that this service replaces had it.
//!
//! Owns the names of the variables. A variable that is set to nothing counts as not set: charts render such. Judges
//! no value: `rules` does.

use super::draft::{
    CredentialDraft, Defaults, Draft, KubernetesDraft, LimitsDraft, MirrorDraft, NotificationsDraft, ObservationDraft,
    SecretDraft,
};
use super::report::{Field, Place, Report};

/// Every variable that describes Gitea, upstream or the mirror.
const ALL: [&str; 15] = [
    "GITEA_INTERNAL_URL",
    "GITEA_TOKEN_FILE",
    "GITEA_TOKEN",
    "GITEA_USERNAME",
    "GITEA_USERNAME_FILE",
    "GITEA_PASSWORD",
    "GITEA_PASSWORD_FILE",
    "UPSTREAM_REPO_URL",
    "UPSTREAM_BRANCH",
    "UPSTREAM_TOKEN_FILE",
    "UPSTREAM_USERNAME_FILE",
    "UPSTREAM_PASSWORD_FILE",
    "GITEA_ORG",
    "GITEA_REPO",
    "MIRROR_INTERVAL",
];

/// Looks a variable up.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

fn lookup(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).filter(|value| !value.is_empty())
}

fn field(variables: Variables<'_>, name: &str) -> Field<String> {
    let place = Place::named(name);
    match lookup(variables, name) {
        Some(value) => Field::Given(place, value),
        None => Field::Absent(place),
    }
}

/// Reads the variables.
pub(super) fn draft(variables: Variables<'_>, report: &mut Report) -> Draft {
    let text = |name: &str| field(variables, name);
    let file = |name: &str| SecretDraft { file: text(name), inline: None };
    let mut either = |name: &str, secret: bool| {
        let inline = lookup(variables, name).map(|value| (Place::named(name), value.into()));
        if inline.is_some() && secret {
            let what = format!(
                "a secret in the environment is seen by whoever may look at this process; better put \
                it into a file and name that in {name}_FILE"
            );
            report.warn(&Place::named(name), what);
        }
        SecretDraft { file: text(&format!("{name}_FILE")), inline }
    };
    let gitea_credential = CredentialDraft {
        token: either("GITEA_TOKEN", true),
        username: either("GITEA_USERNAME", false),
        password: either("GITEA_PASSWORD", true),
    };
    for name in ["UPSTREAM_TOKEN", "UPSTREAM_USERNAME", "UPSTREAM_PASSWORD"] {
        if lookup(variables, name).is_some() {
            report.warn(
                &Place::named(name),
                format!("this variable is not read; put the value into a file and name that in {name}_FILE"),
            );
        }
    }
    let mirror = MirrorDraft {
        name: Field::Absent(Place::named("GITEA_REPO")),
        url: text("UPSTREAM_REPO_URL"),
        branch: text("UPSTREAM_BRANCH"),
        owner: text("GITEA_ORG"),
        repo: text("GITEA_REPO"),
        interval: text("MIRROR_INTERVAL"),
        prune: Field::Absent(Place::named("prune")),
        private: Field::Absent(Place::named("private")),
        mode: Field::Absent(Place::named("mode")),
        on_legacy: Field::Absent(Place::named("onLegacy")),
        webhook_secrets: Vec::new(),
        credential: CredentialDraft {
            token: file("UPSTREAM_TOKEN_FILE"),
            username: file("UPSTREAM_USERNAME_FILE"),
            password: file("UPSTREAM_PASSWORD_FILE"),
        },
        ca_file: Field::Absent(Place::named("upstream.caFile")),
        defaults: Defaults::All,
    };
    Draft {
        gitea_url: text("GITEA_INTERNAL_URL"),
        gitea_credential,
        gitea_ca_file: Field::Absent(Place::named("gitea.caFile")),
        mirrors: vec![mirror],
        mirrors_place: None,
        observation: ObservationDraft::absent(),
        limits: LimitsDraft::absent(),
        notifications: NotificationsDraft::absent(),
        hosts: Vec::new(),
        origins: Vec::new(),
        kubernetes: KubernetesDraft::absent(),
    }
}

/// With a file, the variables count for nothing, which somebody may not expect.
pub(super) fn warn_that_ignored(variables: Variables<'_>, report: &mut Report) {
    for name in ALL {
        if lookup(variables, name).is_some() {
            report.warn(&Place::named(name), "this variable is ignored: the configuration is taken from --config");
        }
    }
}
