//! The body of `PUT /mirrors/{name}/mode`.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::api::body::{Members, parsed};
use crate::domain::mode::{LONGEST_REASON, Mode};

/// How a mirror is to be run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ModeRequest {
    /// `follow`, `pinned` or `severed`.
    #[serde(deserialize_with = "mode")]
    #[schema(value_type = String, pattern = "^(follow|pinned|severed)$", example = "pinned")]
    pub(in crate::api) mode: Mode,
    /// Why, for later readers: one line.
    #[serde(default, deserialize_with = "reason")]
    #[schema(
        min_length = 1,
        max_length = 300,
        pattern = "[^\\s]",
        nullable = false,
        example = "release freeze until Monday"
    )]
    pub(in crate::api) reason: Option<String>,
    /// With `severed` only, and only where the server offers it (Forgejo since 13): makes the mirror a regular
    /// repository, for good. No server turns it back.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false, default = false)]
    pub(in crate::api) convert: bool,
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
    parsed(deserializer, Mode::from_label)
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parsed(deserializer, |text| is_a_reason(text).then(|| text.to_owned())).map(Some)
}

fn is_a_reason(text: &str) -> bool {
    let count = text.chars().count();
    (1..=LONGEST_REASON).contains(&count) && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

impl Members for ModeRequest {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        ("mode", "\"follow\", \"pinned\" or \"severed\""),
        ("reason", "a text of 1 to 300 characters, without control characters"),
        ("convert", "true or false"),
    ];

    fn check(&self) -> Result<(), &'static str> {
        let allowed = !self.convert || self.mode == Mode::Severed;
        if allowed { Ok(()) } else { Err("`convert` goes with the mode `severed` only") }
    }
}
