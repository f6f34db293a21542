//! Reading a body: media type, size, JSON, members, in this order; here that of a run, in `mode` that of a mode.
//!
//! Owns every way in which a body can be wrong. Reads nothing of a request that has not passed the gate, keeps at most
//! [`LARGEST`] bytes of it, and never says back what a value was.

mod mode;

use std::fmt;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::Refusal;
use crate::domain::key::Fingerprint;
use crate::domain::problem::Code;
use crate::domain::refs::Digest;
use crate::domain::spec::OnLegacy;

pub(super) use mode::read_mode;

/// The most bytes of a body.
pub(super) const LARGEST: usize = 16 * 1024;

/// A body of this size is here at once, or its sender is not sending.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What a body asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Which mirrors; `None`: all.
    pub(super) mirrors: Option<Vec<String>>,
    /// What becomes of a regular repository in the way; `None`: as configured.
    pub(super) on_legacy: Option<OnLegacy>,
    /// The shrunken list that is accepted.
    pub(super) accept_upstream: Option<Digest>,
    /// Whether nothing is to be done; `None`: not said, so that it is.
    pub(super) dry_run: Option<bool>,
}

impl Asked {
    /// What the body says, in one spelling: two bodies are equal as JSON if and only if these are.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        put(ACCEPT_UPSTREAM, self.accept_upstream.as_ref().map(|digest| digest.as_str().into()));
        put(DRY_RUN, self.dry_run.map(Into::into));
        put(MIRRORS, self.mirrors.clone().map(Into::into));
        put(ON_LEGACY, self.on_legacy.map(|on_legacy| on_legacy.label().into()));
        Fingerprint::of(&serde_json::Value::Object(members).to_string())
    }
}

/// Reads the body of a request for a run; none asks for what `{}` asks for.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Asked, Refusal> {
    text(headers, body).await?.map_or_else(|| Ok(Asked::default()), |text| parse(&text))
}

/// The text of a body that is meant as JSON; `None`: there is none.
async fn text(headers: &HeaderMap, body: Body) -> Result<Option<String>, Refusal> {
    check_coding(headers)?;
    let announced = body.size_hint().lower();
    if announced > 0 {
        check_media_type(headers)?;
    }
    if announced > LARGEST as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, LARGEST).collect()).await;
    let bytes = match collected {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(error)) => {
            check_media_type(headers)?;
            return Err(if error.is::<LengthLimitError>() { too_large() } else { cut("the body ended too early") });
        }
        Err(_) => return Err(too_slow()),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    check_media_type(headers)?;
    String::from_utf8(bytes.into()).map(Some).map_err(|_| malformed("the body is not UTF-8"))
}

/// No coding of the transfer but the one that every server takes.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(cut("the body comes in a transfer encoding other than chunked"));
    }
    Ok(())
}

pub(super) fn too_slow() -> Refusal {
    Refusal::new(Code::RequestTimeout, "the body did not arrive within 5 seconds of its head").hanging_up()
}

fn too_large() -> Refusal {
    Refusal::new(Code::ContentTooLarge, format!("the body has more than {LARGEST} bytes")).hanging_up()
}

pub(super) fn cut(detail: &str) -> Refusal {
    malformed(detail).hanging_up()
}

pub(super) fn malformed(detail: &str) -> Refusal {
    Refusal::new(Code::MalformedRequest, detail)
}

fn invalid(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::InvalidField, detail)
}

/// A body has to say that it is JSON: this also keeps out a form in somebody's browser.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |detail: &str| Err(Refusal::new(Code::UnsupportedMediaType, detail).hanging_up());
    let text = |name| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap_or("?"));
        if all.next().is_some() { Some("?") } else { first }
    };
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        return refuse("a body must come as it is, without a content encoding");
    }
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        refuse("a body must have the media type application/json")
    }
}

/// Parses a body that is not empty. Twice: the first pass finds what is no JSON at all, however deep, without
/// recursion; so the second may stop at the first member that is wrong.
fn parse(text: &str) -> Result<Asked, Refusal> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    match serde_json::from_str::<Read>(text).map_err(|error| not_json(&error))? {
        Read::Asked(asked) => check_names(asked),
        Read::NotAnObject => Err(invalid("the body must be a JSON object")),
        Read::Unknown(name) => Err(Refusal::new(Code::UnknownField, format!("`{}` is not known", abridged(&name)))),
        Read::Twice(name) => Err(invalid(format!("`{name}` stands twice in the body"))),
        Read::Bad(name, why) => Err(invalid(format!("`{name}` {why}"))),
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    malformed(&format!("the body is not JSON: line {}, column {}", error.line(), error.column()))
}

fn check_names(asked: Asked) -> Result<Asked, Refusal> {
    if let Some(names) = &asked.mirrors {
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort_unstable();
        if names.is_empty() {
            return Err(invalid("`mirrors` must name at least one mirror; leave it out to ask for all"));
        }
        if sorted.windows(2).any(|two| two[0] == two[1]) {
            return Err(invalid("`mirrors` names a mirror twice"));
        }
    }
    Ok(asked)
}

/// A member's name is the caller's own word; a long one is not said back whole.
fn abridged(name: &str) -> String {
    const LONGEST: usize = 40;
    let shown: String = name.chars().take(LONGEST).collect();
    if shown.len() < name.len() { shown + "…" } else { shown }
}

/// What the second pass finds. The first fault of the body counts.
enum Read {
    Asked(Asked),
    NotAnObject,
    Unknown(String),
    Twice(&'static str),
    Bad(&'static str, &'static str),
}

const MIRRORS: &str = "mirrors";
const ON_LEGACY: &str = "onLegacy";
const ACCEPT_UPSTREAM: &str = "acceptUpstream";
const DRY_RUN: &str = "dryRun";

/// Every member that a body may have.
const MEMBERS: [&str; 4] = [MIRRORS, ON_LEGACY, ACCEPT_UPSTREAM, DRY_RUN];

/// Takes every JSON value that is not the one looked for, and says so instead of failing: the value has been seen to
/// be JSON, and the fault gets our words rather than serde's.
macro_rules! anything_else_is {
    ($value:expr, $($kind:ident),*) => { $(anything_else_is!(@ $kind $value);)* };
    (@ truth $value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ number $value:expr) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ string $value:expr) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($value) }
    };
    (@ list $value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
    (@ object $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

use anything_else_is;

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeBody)
    }
}

struct WholeBody;

impl<'de> Visitor<'de> for WholeBody {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    anything_else_is!(Read::NotAnObject, truth, number, string, list);

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Read, A::Error> {
        let (mut asked, mut seen, mut fault) = (Asked::default(), Vec::new(), None);
        while let Some(name) = object.next_key::<String>()? {
            let Some(member) = MEMBERS.into_iter().find(|member| *member == name) else {
                object.next_value::<IgnoredAny>()?;
                fault.get_or_insert(Read::Unknown(name));
                continue;
            };
            let right = match member {
                MIRRORS => match object.next_value()? {
                    Names::Right(names) => {
                        asked.mirrors = Some(names);
                        Ok(())
                    }
                    Names::Wrong(why) => Err(why),
                },
                _ => asked.take(member, &object.next_value()?),
            };
            if seen.contains(&member) {
                fault.get_or_insert(Read::Twice(member));
            }
            seen.push(member);
            if let Err(why) = right {
                fault.get_or_insert(Read::Bad(member, why));
            }
        }
        Ok(fault.unwrap_or(Read::Asked(asked)))
    }
}

impl Asked {
    /// Takes in a member that has a single value.
    fn take(&mut self, member: &'static str, value: &Single) -> Result<(), &'static str> {
        match (member, value) {
            (ON_LEGACY, Single::Text(text)) if OnLegacy::from_label(text).is_some() => {
                self.on_legacy = OnLegacy::from_label(text);
                Ok(())
            }
            (ON_LEGACY, _) => Err("must be \"refuse\" or \"renameAside\""),
            (ACCEPT_UPSTREAM, Single::Text(text)) if Digest::parse(text).is_some() => {
                self.accept_upstream = Digest::parse(text);
                Ok(())
            }
            (ACCEPT_UPSTREAM, _) => {
                Err("must be the `upstreamDigest` of a problem: sha256: and 64 hexadecimal digits in lower case")
            }
            (_, Single::Truth(truth)) => {
                self.dry_run = Some(*truth);
                Ok(())
            }
            (_, Single::Text(_) | Single::Other) => Err("must be true or false"),
        }
    }
}

/// The value of a member that is neither a list nor an object.
enum Single {
    Text(String),
    Truth(bool),
    Other,
}

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneValue)
    }
}

struct OneValue;

impl<'de> Visitor<'de> for OneValue {
    type Value = Single;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Single, E> {
        Ok(Single::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Single, E> {
        Ok(Single::Truth(truth))
    }

    anything_else_is!(Single::Other, number, list, object);
}

/// The value of `mirrors`.
enum Names {
    Right(Vec<String>),
    Wrong(&'static str),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameList)
    }
}

struct NameList;

impl<'de> Visitor<'de> for NameList {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    anything_else_is!(Names::Wrong("must be a list of mirror names"), truth, number, string, object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let (mut names, mut all_are_names) = (Vec::new(), true);
        while let Some(Name(name)) = list.next_element::<Name>()? {
            all_are_names &= name.is_some();
            names.extend(name);
        }
        Ok(if all_are_names { Names::Right(names) } else { Names::Wrong("must hold nothing but names: strings") })
    }
}

/// One element of the list, if it is a string.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneName)
    }
}

struct OneName;

impl<'de> Visitor<'de> for OneName {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Name, E> {
        Ok(Name(Some(text.to_owned())))
    }

    anything_else_is!(Name(None), truth, number, list, object);
}

#[cfg(test)]
mod tests;
