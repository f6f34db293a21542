//! The settings as they are written: the keys of the file, and the type of each.
//!
//! Owns the names of the keys. Holds no default and judges no value: the rules do, for the file and the environment alike.

use serde::Deserialize;

use super::field::{Field, Locate, Located};

/// Defines a mapping of the file: `"key" field: type` for each of its keys.
macro_rules! mapping {
    ($(#[$doc:meta])* $name:ident { $($key:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            $(#[serde(rename = $key)] pub(super) $field: $type,)*
        }

        impl Locate for $name {
            fn locate(&mut self, path: &str, line: Option<u64>) {
                let path = if path.is_empty() { String::new() } else { format!("{path}.") };
                $(self.$field.locate(&format!("{path}{}", $key), line);)*
            }
        }
    };
}

type Text = Field<String>;
type Texts = Vec<Located<String>>;

mapping! {
    /// The whole file.
    Settings {
        "gitea" gitea: Located<GiteaSettings>,
        "mirrors" mirrors: Located<Vec<Located<MirrorSettings>>>,
        "observation" observation: Located<ObservationSettings>,
        "limits" limits: Located<LimitSettings>,
        "server" server: Located<ServerSettings>,
        "kubernetes" kubernetes: Located<KubernetesSettings>,
        "notifications" notifications: Located<NotificationSettings>,
    }
}

mapping! {
    /// `gitea`.
    GiteaSettings {
        "url" url: Text,
        "tokenFile" token_file: Text,
        "usernameFile" username_file: Text,
        "passwordFile" password_file: Text,
        "caFile" ca_file: Text,
    }
}

mapping! {
    /// `mirrors[]`.
    MirrorSettings {
        "name" name: Text,
        "upstream" upstream: Located<UpstreamSettings>,
        "target" target: Located<TargetSettings>,
        "interval" interval: Text,
        "prune" prune: Field<bool>,
        "private" private: Field<bool>,
        "mode" mode: Text,
        "onLegacy" on_legacy: Text,
        "webhook" webhook: Located<WebhookSettings>,
    }
}

mapping! {
    /// `mirrors[].upstream`.
    UpstreamSettings {
        "url" url: Text,
        "branch" branch: Text,
        "tokenFile" token_file: Text,
        "usernameFile" username_file: Text,
        "passwordFile" password_file: Text,
        "caFile" ca_file: Text,
    }
}

mapping! {
    /// `mirrors[].target`.
    TargetSettings {
        "owner" owner: Text,
        "repo" repo: Text,
    }
}

mapping! {
    /// `mirrors[].webhook`.
    WebhookSettings {
        "secretFiles" secret_files: Texts,
    }
}

mapping! {
    /// `observation`.
    ObservationSettings {
        "ttl" ttl: Text,
        "healAfter" heal_after: Text,
    }
}

mapping! {
    /// `limits`.
    LimitSettings {
        "run" run: Text,
        "migrate" migrate: Text,
        "sync" sync: Text,
        "deadPlaceholder" dead_placeholder: Text,
        "refsTime" refs_time: Text,
        "refsBytes" refs_bytes: Text,
        "connections" connections: Field<u64>,
    }
}

mapping! {
    /// `server`.
    ServerSettings {
        "hosts" hosts: Texts,
        "origins" origins: Texts,
    }
}

mapping! {
    /// `kubernetes`.
    KubernetesSettings {
        "enabled" enabled: Field<bool>,
        "audiences" audiences: Texts,
        "operators" operators: Texts,
        "viewers" viewers: Texts,
        "statusConfigMap" status_config_map: Text,
        "pastPivotGuard" past_pivot_guard: Field<bool>,
        "absentStatus" absent_status: Text,
        "syncPastPivot" sync_past_pivot: Text,
        "apiServer" api_server: Text,
        "tokenFile" token_file: Text,
        "caFile" ca_file: Text,
    }
}

mapping! {
    /// `notifications`.
    NotificationSettings {
        "url" url: Text,
        "secretFile" secret_file: Text,
    }
}
