//! The body that sets a mode.

use std::fmt;

use axum::body::Body;
use http::HeaderMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{IgnoredAny, Single, abridged, anything_else_is, invalid, not_json, text};
use crate::api::problem::Refusal;
use crate::domain::mode::{LONGEST_REASON, Mode};
use crate::domain::problem::Code;

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct AskedMode {
    /// How the mirror is to be run.
    pub(in crate::api) mode: Mode,
    /// Why.
    pub(in crate::api) reason: Option<String>,
    /// Whether it is to be made a regular repository.
    pub(in crate::api) convert: bool,
}

/// Reads the body of a request.
pub(in crate::api) async fn read_mode(headers: &HeaderMap, body: Body) -> Result<AskedMode, Refusal> {
    match text(headers, body).await? {
        Some(text) => parse(&text),
        None => Err(invalid("there is no body; send one such as {\"mode\": \"pinned\", \"reason\": \"…\"}")),
    }
}

const MODE: &str = "mode";
const REASON: &str = "reason";
const CONVERT: &str = "convert";

pub(super) fn parse(text: &str) -> Result<AskedMode, Refusal> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    let Members(Some(members)) = serde_json::from_str(text).map_err(|error| not_json(&error))? else {
        return Err(invalid("the body must be a JSON object"));
    };
    let (mut mode, mut reason, mut convert) = (None, None, None);
    for (name, value) in members {
        let again = match (name.as_str(), value) {
            (MODE, Single::Text(text)) if Mode::from_label(&text).is_some() => {
                mode.replace(Mode::from_label(&text).unwrap_or_default()).is_some()
            }
            (MODE, _) => return Err(invalid("`mode` must be \"follow\", \"pinned\" or \"severed\"")),
            (REASON, Single::Text(text)) if is_a_reason(&text) => reason.replace(text).is_some(),
            (REASON, _) => {
                return Err(invalid(format!(
                    "`reason` must be a text of 1 to {LONGEST_REASON} characters, without control characters"
                )));
            }
            (CONVERT, Single::Truth(truth)) => convert.replace(truth).is_some(),
            (CONVERT, _) => return Err(invalid("`convert` must be true or false")),
            (unknown, _) => {
                return Err(Refusal::new(Code::UnknownField, format!("`{}` is not known", abridged(unknown))));
            }
        };
        if again {
            return Err(invalid(format!("`{name}` stands twice in the body")));
        }
    }
    let mode = mode.ok_or_else(|| invalid("`mode` is missing: \"follow\", \"pinned\" or \"severed\""))?;
    let convert = convert.unwrap_or_default();
    if convert && mode != Mode::Severed {
        return Err(invalid("`convert` goes with the mode `severed` only"));
    }
    Ok(AskedMode { mode, reason, convert })
}

fn is_a_reason(text: &str) -> bool {
    let count = text.chars().count();
    (1..=LONGEST_REASON).contains(&count) && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// The members of a body, in order, each as far as it is a single value; `None`: it is no object.
struct Members(Option<Vec<(String, Single)>>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    anything_else_is!(Members(None), truth, number, string, list);

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(Some(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_with_its_reason_and_every_fault_is_named() {
        let asked = parse(r#"{"mode": "severed", "reason": "the freeze", "convert": true}"#).unwrap();
        assert_eq!(asked, AskedMode { mode: Mode::Severed, reason: Some("the freeze".into()), convert: true });
        let asked = parse(r#"{"mode": "follow", "convert": false}"#).unwrap();
        assert_eq!(asked, AskedMode { mode: Mode::Follow, reason: None, convert: false });
        let long = format!(r#"{{"mode": "pinned", "reason": "{}"}}"#, "ü".repeat(301));
        let deep = format!(r#"{{"reason": {}}}"#, "[".repeat(5_000) + &"]".repeat(5_000));
        for (text, code, part) in [
            ("{", Code::MalformedRequest, "not JSON"),
            ("[]", Code::InvalidField, "JSON object"),
            ("null", Code::InvalidField, "JSON object"),
            ("{}", Code::InvalidField, "`mode` is missing"),
            (r#"{"mode": "Pinned"}"#, Code::InvalidField, "`mode` must be"),
            (r#"{"mode": null}"#, Code::InvalidField, "`mode` must be"),
            (r#"{"mode": ["pinned"]}"#, Code::InvalidField, "`mode` must be"),
            (r#"{"mode": "pinned", "mode": "follow"}"#, Code::InvalidField, "twice"),
            (r#"{"mode": "pinned", "reason": ""}"#, Code::InvalidField, "`reason`"),
            (r#"{"mode": "pinned", "reason": "a\nb"}"#, Code::InvalidField, "`reason`"),
            (r#"{"mode": "pinned", "reason": 7}"#, Code::InvalidField, "`reason`"),
            (&long, Code::InvalidField, "`reason`"),
            (&deep, Code::InvalidField, "`reason`"),
            (r#"{"mode": "severed", "convert": "yes"}"#, Code::InvalidField, "`convert`"),
            (r#"{"mode": "pinned", "convert": true}"#, Code::InvalidField, "`severed` only"),
            (r#"{"mode": "pinned", "why": "x"}"#, Code::UnknownField, "`why`"),
        ] {
            let refusal = parse(text).unwrap_err();
            let body = String::from_utf8(refusal.body("id")).unwrap();
            assert_eq!(refusal.code(), code, "{text:.60}");
            assert!(body.contains(part), "{text:.60}: {body}");
        }
    }
}
