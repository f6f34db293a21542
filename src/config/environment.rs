//! Settings from environment variables: Gitea and one mirror, as the one-shot Job had them that cutover-api replaces.
//!
//! Owns the names of the variables, and the defaults that only they have. An empty variable counts as not set, since charts
//! render such. Judges no value: the rules do.

use secrecy::SecretString;

use super::field::{Field, Locate as _, Located};
use super::report::{Location, Report};
use super::settings::{GiteaSettings, MirrorSettings, Settings, TargetSettings, UpstreamSettings};

const UPSTREAM_URL: &str = "https://github.com/openova-io/openova";
const NAME: &str = "openova";

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

/// Looks up a variable.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

fn lookup(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).filter(|value| !value.is_empty())
}

/// A credential for Gitea whose parts are in the variables themselves.
#[derive(Debug, Default)]
pub(super) struct InlineCredential {
    pub(super) token: Option<InlineSecret>,
    pub(super) username: Option<InlineSecret>,
    pub(super) password: Option<InlineSecret>,
}

/// A variable and its value.
#[derive(Clone, Debug)]
pub(super) struct InlineSecret {
    pub(super) variable: &'static str,
    pub(super) value: SecretString,
}

/// Reads the variables.
pub(super) fn read(variables: Variables<'_>, report: &mut Report) -> (Settings, InlineCredential) {
    for name in ["GITEA_TOKEN", "GITEA_PASSWORD"] {
        if lookup(variables, name).is_some() {
            let what = format!(
                "other processes of this user can read a secret in the environment; put it into a file and name that in \
                 {name}_FILE"
            );
            report.warn(&Location::named(name), what);
        }
    }
    for name in ["UPSTREAM_TOKEN", "UPSTREAM_USERNAME", "UPSTREAM_PASSWORD"] {
        if lookup(variables, name).is_some() {
            let what = format!("this variable is not read; put the value into a file and name that in {name}_FILE");
            report.warn(&Location::named(name), what);
        }
    }
    let text = |name: &str| Located::new(Location::named(name), lookup(variables, name));
    let text_or = |name: &str, default: &str| {
        Located::new(Location::named(name), Some(lookup(variables, name).unwrap_or_else(|| default.to_owned())))
    };
    let repo = text_or("GITEA_REPO", NAME);
    let mirror = MirrorSettings {
        name: mirror_name(&repo),
        upstream: Located::from(UpstreamSettings {
            url: text_or("UPSTREAM_REPO_URL", UPSTREAM_URL),
            branch: text("UPSTREAM_BRANCH"),
            token_file: text("UPSTREAM_TOKEN_FILE"),
            username_file: text("UPSTREAM_USERNAME_FILE"),
            password_file: text("UPSTREAM_PASSWORD_FILE"),
            ..UpstreamSettings::default()
        }),
        target: Located::from(TargetSettings { owner: text_or("GITEA_ORG", NAME), repo }),
        interval: text("MIRROR_INTERVAL"),
        ..MirrorSettings::default()
    };
    let gitea = GiteaSettings {
        url: text("GITEA_INTERNAL_URL"),
        token_file: text("GITEA_TOKEN_FILE"),
        username_file: text("GITEA_USERNAME_FILE"),
        password_file: text("GITEA_PASSWORD_FILE"),
        ..GiteaSettings::default()
    };
    let mut settings = Settings {
        gitea: Located::from(gitea),
        mirrors: Located::from(vec![Located::from(mirror)]),
        ..Settings::default()
    };
    settings.locate("", None);
    let inline = |variable| lookup(variables, variable).map(|value| InlineSecret { variable, value: value.into() });
    let inline = InlineCredential {
        token: inline("GITEA_TOKEN"),
        username: inline("GITEA_USERNAME"),
        password: inline("GITEA_PASSWORD"),
    };
    (settings, inline)
}

/// The repository's name, made into a DNS label: the mirror of the environment has no name of its own.
fn mirror_name(repo: &Field<String>) -> Field<String> {
    let repo_name = repo.value.as_deref().unwrap_or_default().to_ascii_lowercase();
    let label: String = repo_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let label = label.trim_matches('-');
    Located::new(repo.location.clone(), Some(if label.is_empty() { NAME } else { label }.to_owned()))
}

/// Warns about each variable that is ignored because there is a file.
pub(super) fn warn_that_ignored(variables: Variables<'_>, report: &mut Report) {
    for name in ALL {
        if lookup(variables, name).is_some() {
            report.warn(
                &Location::named(name),
                "this variable is ignored: the configuration comes from the file of --config",
            );
        }
    }
}
