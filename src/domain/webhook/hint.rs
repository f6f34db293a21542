//! What the body of a delivery says, as far as it is worth knowing, and whether that matters to a mirror.
//!
//! Owns the few members that are looked at. Reads the beginning of a body when that is all there is: what comes after it
//! is not needed. Every value is a hint: it can keep a run from being begun, and never says where to look.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Claim, Push, Reason, Vendor};
use crate::domain::refs::{ObjectId, RefName};
use crate::domain::url::UpstreamUrl;

/// How a forge writes that a ref is not there.
const ZEROS: &str = "0000000000000000000000000000000000000000";

/// The members of a repository that say where it is.
const WHERE: [&str; 7] =
    ["full_name", "path_with_namespace", "clone_url", "git_http_url", "html_url", "web_url", "homepage"];

/// What a body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The ref that was pushed; short in events of their making and deletion.
    reference: Option<String>,
    /// Whether that is a branch or a tag, where the ref does not say so.
    ref_type: Option<String>,
    before: Option<String>,
    after: Option<String>,
    /// The refs that one delivery names, where a vendor lists them.
    changes: Vec<Change>,
    /// What it is, where a vendor says so in the body.
    kind: Option<String>,
    /// The names and addresses of the repository, or paths in them.
    repository: Vec<String>,
}

/// A ref and its objects; zeros stand for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    reference: String,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    /// Reads the element of a list: Bitbucket Cloud's `old` and `new`, Data Center's `ref`, `fromHash` and `toHash`, or
    /// the members of a push, as in GitLab's system hooks.
    fn read(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(side) = [&value["new"], &value["old"]].into_iter().find(|side| side.is_object()) {
            let folder = match side["type"].as_str()? {
                "branch" => "refs/heads",
                "tag" | "annotated_tag" => "refs/tags",
                other => other,
            };
            let reference = format!("{folder}/{}", side["name"].as_str()?);
            let object = |side: &Value| {
                if side.is_object() { text(&side["target"]["hash"]) } else { Some(ZEROS.to_owned()) }
            };
            return Some(Self { reference, before: object(&value["old"]), after: object(&value["new"]) });
        }
        let reference = text(&value["ref"]).or_else(|| text(&value["ref"]["id"]))?;
        let before = text(&value["before"]).or_else(|| text(&value["fromHash"]));
        let after = text(&value["after"]).or_else(|| text(&value["toHash"]));
        Some(Self { reference, before, after })
    }

    /// The push that it is, if it names a branch or a tag and an object.
    fn push(&self, vendor: Vendor) -> Option<Push> {
        let id = |text: &Option<String>| ObjectId::parse(text.as_deref()?).ok();
        // GitHub and GitLab name the object of an annotated tag, these its commit
        let peels = matches!(vendor, Vendor::Gitea | Vendor::Forgejo | Vendor::Bitbucket | Vendor::Generic);
        Some(Push {
            reference: RefName::parse(&self.reference)?,
            before: id(&self.before),
            after: id(&self.after)?,
            peeled: peels && self.reference.starts_with("refs/tags/"),
        })
    }
}

/// A body that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a JSON object: line {line}, column {column}")]
pub struct NotAnObject {
    /// Where reading stopped.
    pub line: usize,
    /// Where in that line.
    pub column: usize,
}

impl Hint {
    /// Reads a body, or its beginning when it is not `whole`. An empty one says nothing, which is no fault: the signature
    /// and the address say enough.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(bytes: &[u8], whole: bool) -> Result<Self, NotAnObject> {
        let mut hint = Self::default();
        if bytes.is_empty() {
            return Ok(hint);
        }
        let mut reading = serde_json::Deserializer::from_slice(bytes);
        let read = TopLevel(&mut hint).deserialize(&mut reading);
        let read = read.and_then(|()| if whole { reading.end() } else { Ok(()) });
        match read {
            Ok(()) => Ok(hint),
            // what was read before the end of the beginning is what there is
            Err(error) if error.is_eof() && !whole => Ok(hint),
            Err(error) => Err(NotAnObject { line: error.line(), column: error.column() }),
        }
    }

    /// The pushes to branches and tags that it names, by its vendor's way of naming them.
    #[must_use]
    pub fn pushes(&self, vendor: Vendor) -> Vec<Push> {
        let alone = self.reference.clone().map(|reference| Change {
            reference,
            before: self.before.clone(),
            after: self.after.clone(),
        });
        alone.iter().chain(&self.changes).filter_map(|change| change.push(vendor)).collect()
    }

    /// Whether it is of this repository, or does not say of which. Forges are often reached under another name, port or
    /// scheme than they give themselves, so that only the path counts, and no forge tells names apart by their case.
    fn is_of(&self, upstream: &UpstreamUrl) -> bool {
        let ours = upstream.repository_path().to_ascii_lowercase();
        let same = |one: &String| {
            let path =
                one.split_once("://").map_or(one.as_str(), |(_, rest)| rest.split_once('/').unwrap_or_default().1);
            let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/').to_ascii_lowercase();
            let path = path.strip_suffix(".git").unwrap_or(&path);
            !path.is_empty() && (ours == path || ours.strip_suffix(path).is_some_and(|front| front.ends_with('/')))
        };
        self.repository.is_empty() || self.repository.iter().any(same)
    }
}

/// Whether a delivery is of a push to a branch or a tag of this upstream.
///
/// # Errors
/// Why it is not.
pub fn judge(claim: &Claim<'_>, hint: &Hint, upstream: &UpstreamUrl) -> Result<(), Reason> {
    let kind = hint.kind.as_deref().unwrap_or_default();
    match (claim.vendor, claim.event) {
        (Vendor::GitHub | Vendor::Gitea | Vendor::Forgejo, Some("ping"))
        | (Vendor::Bitbucket, Some("diagnostics:ping")) => return Err(Reason::Ping),
        (Vendor::GitHub | Vendor::Gitea | Vendor::Forgejo, None | Some("push" | "create" | "delete"))
        | (Vendor::GitLab, None | Some("Push Hook" | "Tag Push Hook"))
        | (Vendor::Bitbucket, None | Some("repo:push" | "repo:refs_changed"))
        | (Vendor::Generic, _) => {}
        (Vendor::GitLab, Some("System Hook")) if matches!(kind, "push" | "tag_push" | "repository_update") => {}
        (Vendor::GitHub | Vendor::Gitea | Vendor::Forgejo | Vendor::GitLab | Vendor::Bitbucket, Some(_)) => {
            return Err(Reason::Event);
        }
    }
    if !hint.is_of(upstream) {
        return Err(Reason::Repository);
    }
    if let Some(reference) = &hint.reference {
        let short = hint.ref_type.as_deref();
        let counts = match short {
            Some(kind) => matches!(kind, "branch" | "tag"),
            None => RefName::parse(reference).is_some() || !reference.starts_with("refs/"),
        };
        if !counts {
            return Err(Reason::Ref);
        }
    }
    let is_mirrored = |change: &Change| RefName::parse(&change.reference).is_some();
    if !hint.changes.is_empty() && !hint.changes.iter().any(is_mirrored) {
        return Err(Reason::Ref);
    }
    // Gitea's and Forgejo's trial is a push that moves nothing; GitLab's repeats a real one, which is welcome
    if hint.before.is_some() && hint.before == hint.after {
        return Err(Reason::Test);
    }
    Ok(())
}

/// The object that a body is.
struct TopLevel<'a>(&'a mut Hint);

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let hint = self.0;
        while let Some(name) = object.next_key::<String>()? {
            let place = match name.as_str() {
                "ref" => &mut hint.reference,
                "ref_type" => &mut hint.ref_type,
                "before" => &mut hint.before,
                "after" => &mut hint.after,
                "event_name" | "object_kind" => &mut hint.kind,
                // Bitbucket Cloud has its list one level down
                "push" | "changes" => {
                    object.next_value_seed(Changes(&mut hint.changes))?;
                    continue;
                }
                "repository" | "project" => {
                    let repository: Value = object.next_value()?;
                    let members = WHERE.iter().filter_map(|member| repository[member].as_str());
                    hint.repository.extend(members.chain(repository.as_str()).map(str::to_owned));
                    // Bitbucket Data Center has no path of its own
                    let (key, slug) = (repository["project"]["key"].as_str(), repository["slug"].as_str());
                    hint.repository.extend(key.zip(slug).map(|(key, slug)| format!("{key}/{slug}")));
                    continue;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Value::String(text) = object.next_value()? {
                *place = Some(text);
            }
        }
        Ok(())
    }
}

/// A list of changed refs, or an object that has one as its `changes`. Any other value says nothing.
struct Changes<'a>(&'a mut Vec<Change>);

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            if name == "changes" {
                object.next_value_seed(Changes(self.0))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<Value>()? {
            self.0.extend(Change::read(&element));
        }
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
