//! The body of `POST /cutover/mirror`.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::api::body::{Members, parsed, present};
use crate::domain::key::Fingerprint;
use crate::domain::refs::Digest;
use crate::domain::spec::OnLegacy;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::api) struct RunRequest {
    /// Which mirrors, by name; left out: all that are configured.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeSet<String>>, min_items = 1, nullable = false, example = json!(["openova"]))]
    pub(in crate::api) mirrors: Option<Vec<String>>,
    /// What becomes of a regular repository that has a mirror's name: the run fails and leaves it (`refuse`), or it is
    /// renamed, whole, and the mirror made in its place (`renameAside`). Left out: as the mirror is configured.
    #[serde(default, deserialize_with = "on_legacy")]
    #[schema(value_type = Option<String>, pattern = "^(refuse|renameAside)$", nullable = false, example = "refuse")]
    pub(in crate::api) on_legacy: Option<OnLegacy>,
    /// The `upstreamDigest` of an `upstream-suspect` problem: accepts that very list of upstream's refs, which has
    /// lost more than half of the branches last proven.
    #[serde(default, deserialize_with = "digest")]
    #[schema(value_type = Option<String>, pattern = "^sha256:[0-9a-f]{64}$", nullable = false)]
    pub(in crate::api) accept_upstream: Option<Digest>,
    /// Whether to show what would be done instead of doing it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, default = false)]
    pub(in crate::api) dry_run: Option<bool>,
}

fn on_legacy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OnLegacy>, D::Error> {
    parsed(deserializer, OnLegacy::from_label).map(Some)
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    parsed(deserializer, Digest::parse).map(Some)
}

impl Members for RunRequest {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        ("mirrors", "a list of mirror names"),
        ("onLegacy", "\"refuse\" or \"renameAside\""),
        ("acceptUpstream", "the `upstreamDigest` of a problem: sha256: and 64 hexadecimal digits in lower case"),
        ("dryRun", "true or false"),
    ];

    fn check(&self) -> Result<(), &'static str> {
        let Some(names) = &self.mirrors else { return Ok(()) };
        if names.is_empty() {
            return Err("`mirrors` must name at least one mirror; leave it out to ask for all");
        }
        let distinct = names.iter().collect::<BTreeSet<_>>().len();
        if distinct < names.len() { Err("`mirrors` names a mirror twice") } else { Ok(()) }
    }
}

impl RunRequest {
    /// What the body says, in one spelling: two bodies are equal as JSON if and only if these are.
    pub(in crate::api) fn fingerprint(&self) -> Fingerprint {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("acceptUpstream", self.accept_upstream.as_ref().map(|digest| digest.as_str().into()));
        put("dryRun", self.dry_run.map(Into::into));
        put("mirrors", self.mirrors.clone().map(Into::into));
        put("onLegacy", self.on_legacy.map(|on_legacy| on_legacy.label().into()));
        Fingerprint::of(&serde_json::Value::Object(members).to_string())
    }
}
