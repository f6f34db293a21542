//! What was written, before it is judged: the same shape whether it came from a file or from the environment.
//!
//! Owns no rule and no default.

use super::report::{Field, Place};

/// A whole configuration.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) gitea_url: Field<String>,
    pub(super) gitea_credential: CredentialDraft,
    pub(super) gitea_ca_file: Field<String>,
    pub(super) mirrors: Vec<MirrorDraft>,
    /// Where mirrors are written, for the fault that there is none; `None`: what was there was reported as wrong.
    pub(super) mirrors_place: Option<Place>,
    pub(super) observation: ObservationDraft,
    pub(super) limits: LimitsDraft,
    pub(super) notifications: NotificationsDraft,
    pub(super) hosts: Vec<(Place, String)>,
    pub(super) origins: Vec<(Place, String)>,
    pub(super) kubernetes: KubernetesDraft,
}

/// One mirror.
#[derive(Debug)]
pub(super) struct MirrorDraft {
    pub(super) name: Field<String>,
    pub(super) url: Field<String>,
    pub(super) branch: Field<String>,
    pub(super) owner: Field<String>,
    pub(super) repo: Field<String>,
    pub(super) interval: Field<String>,
    pub(super) prune: Field<bool>,
    pub(super) private: Field<bool>,
    pub(super) mode: Field<String>,
    pub(super) on_legacy: Field<String>,
    pub(super) webhook_secrets: Vec<(Place, String)>,
    pub(super) credential: CredentialDraft,
    pub(super) ca_file: Field<String>,
    /// Whether a field that is left out has a default: so in the environment, not so in a file.
    pub(super) defaults: Defaults,
}

/// Whether fields may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defaults {
    /// All of them.
    All,
    /// Those that name the mirror may not.
    NoNames,
}

/// Where a credential comes from.
#[derive(Debug)]
pub(super) struct CredentialDraft {
    pub(super) token: SecretDraft,
    pub(super) username: SecretDraft,
    pub(super) password: SecretDraft,
}

/// A file, or a value that stands in the environment itself.
#[derive(Debug)]
pub(super) struct SecretDraft {
    pub(super) file: Field<String>,
    pub(super) inline: Option<(Place, secrecy::SecretString)>,
}

impl SecretDraft {
    /// Where it is, or would be.
    pub(super) fn place(&self) -> Place {
        match (&self.file, &self.inline) {
            (Field::Given(place, _), _)
            | (Field::Absent(_) | Field::Bad, Some((place, _)))
            | (Field::Absent(place), None) => place.clone(),
            (Field::Bad, None) => Place::named("the credential"),
        }
    }
}

/// `observation`.
#[derive(Debug)]
pub(super) struct ObservationDraft {
    pub(super) ttl: Field<String>,
    pub(super) heal_after: Field<String>,
}

impl ObservationDraft {
    /// Nothing was written.
    pub(super) fn absent() -> Self {
        let text = |key: &str| Field::Absent(Place::named(format!("observation.{key}")));
        Self { ttl: text("ttl"), heal_after: text("healAfter") }
    }
}

/// `notifications`.
#[derive(Debug)]
pub(super) struct NotificationsDraft {
    pub(super) url: Field<String>,
    pub(super) secret_file: Field<String>,
}

impl NotificationsDraft {
    /// Nothing was written.
    pub(super) fn absent() -> Self {
        let text = |key: &str| Field::Absent(Place::named(format!("notifications.{key}")));
        Self { url: text("url"), secret_file: text("secretFile") }
    }
}

/// `limits`.
#[derive(Debug)]
pub(super) struct LimitsDraft {
    pub(super) run: Field<String>,
    pub(super) migrate: Field<String>,
    pub(super) sync: Field<String>,
    pub(super) dead_placeholder: Field<String>,
    pub(super) refs_time: Field<String>,
    pub(super) refs_bytes: Field<String>,
    pub(super) connections: Field<u64>,
}

impl LimitsDraft {
    /// Nothing was written.
    pub(super) fn absent() -> Self {
        let text = |key: &str| Field::Absent(Place::named(format!("limits.{key}")));
        Self {
            run: text("run"),
            migrate: text("migrate"),
            sync: text("sync"),
            dead_placeholder: text("deadPlaceholder"),
            refs_time: text("refsTime"),
            refs_bytes: text("refsBytes"),
            connections: Field::Absent(Place::named("limits.connections")),
        }
    }
}

/// `kubernetes`.
#[derive(Debug)]
pub(super) struct KubernetesDraft {
    pub(super) enabled: Field<bool>,
    pub(super) audiences: Vec<(Place, String)>,
    pub(super) operators: Vec<(Place, String)>,
    pub(super) viewers: Vec<(Place, String)>,
    pub(super) status: Field<String>,
    pub(super) guard: Field<bool>,
    pub(super) absent_status: Field<String>,
    pub(super) sync_past_pivot: Field<String>,
    pub(super) api_server: Field<String>,
    pub(super) token_file: Field<String>,
    pub(super) ca_file: Field<String>,
}

impl KubernetesDraft {
    /// Nothing was written.
    pub(super) fn absent() -> Self {
        let place = |key: &str| Place::named(format!("kubernetes.{key}"));
        let text = |key: &str| Field::Absent(place(key));
        Self {
            enabled: Field::Absent(place("enabled")),
            audiences: Vec::new(),
            operators: Vec::new(),
            viewers: Vec::new(),
            status: text("statusConfigMap"),
            guard: Field::Absent(place("pastPivotGuard")),
            absent_status: text("absentStatus"),
            sync_past_pivot: text("syncPastPivot"),
            api_server: text("apiServer"),
            token_file: text("tokenFile"),
            ca_file: text("caFile"),
        }
    }
}
