//! The JSON of the API: wire types, and the way from the domain to them.
//!
//! Owns the names of members. Decides nothing; every word of a closed set comes from the domain's own `label()`.

mod event;
mod mode;
mod run;
mod status;

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema, openapi};

use crate::domain::problem::{Code, Problem};

pub(super) use event::{
    EventBody, FreshnessEvent, ModeEvent, PartEndEvent, PhaseEvent, PlatformEvent, RewriteEvent, RunEvent,
    ShutdownEvent, SnapshotEvent,
};
pub(super) use mode::ModeBody;
pub(super) use run::{CLONE_CONTINUES, RunBody, RunList};
pub(super) use status::{MirrorBody, STEP, StatusBody};

/// The words of a closed set as a schema.
fn words(what: &str, labels: impl IntoIterator<Item = &'static str>) -> openapi::RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(labels));
    openapi::RefOr::T(Schema::Object(schema.description(Some(what)).build()))
}

macro_rules! label {
    (#[doc = $doc:literal] $name:ident($inner:path)) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::api) struct $name(pub(in crate::api) $inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.label())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> openapi::RefOr<Schema> {
                words($doc.trim(), <$inner>::ALL.iter().map(|one| one.label()))
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

label! {
    /// The phase of a mirror.
    Phase(crate::domain::run::Phase)
}
label! {
    /// The status of a run.
    RunStatus(crate::domain::run::Status)
}
label! {
    /// What a success did.
    Outcome(crate::domain::run::Outcome)
}
label! {
    /// What started a run.
    Trigger(crate::domain::run::Trigger)
}

label! {
    /// The mode of a mirror.
    Mode(crate::domain::mode::Mode)
}
label! {
    /// What set a mirror's mode.
    ModeSource(crate::domain::mode::Source)
}
label! {
    /// Why a webhook with a good signature started no run.
    HookReason(crate::domain::webhook::Reason)
}

label! {
    /// The stable name of a problem; its page is `/problems/{code}`.
    ProblemCode(Code)
}

/// Why something failed (RFC 9457), and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// The page of this problem on this service: `/problems/{error}`.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    /// A short name, the same for every problem of this type.
    title: &'static str,
    /// The HTTP status that goes with the problem.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened here.
    #[schema(max_length = 300)]
    detail: String,
    /// The stable name of the problem.
    error: ProblemCode,
    /// Whether the same request may succeed later, with nothing changed.
    retryable: bool,
    /// What to do about it.
    remedy: String,
    /// The kind of problem of this type, if the type has kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The digest of upstream's list, where it may be accepted with `acceptUpstream`.
    #[serde(rename = "upstreamDigest", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^sha256:[0-9a-f]{64}$")]
    upstream_digest: Option<String>,
    /// The branches and tags in Gitea that the problem is about, the first 100 by name, where it is about some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    refs: Vec<String>,
    /// The request that was answered so, as in the header `X-Request-Id`; absent in a problem of a run or a mirror.
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid", nullable = false)]
    request_id: Option<String>,
}

impl ProblemBody {
    /// The problem, as the answer to a request or as a part of another answer.
    pub(super) fn new(problem: &Problem, request_id: Option<String>) -> Self {
        Self {
            kind: page(problem.code),
            title: problem.code.title(),
            status: problem.code.status(),
            detail: problem.detail.clone(),
            error: ProblemCode(problem.code),
            retryable: problem.retryable,
            remedy: problem.remedy.clone(),
            reason: problem.reason.as_deref().map(str::to_owned),
            upstream_digest: problem.upstream_digest.as_ref().map(ToString::to_string),
            refs: problem.refs.iter().map(ToString::to_string).collect(),
            request_id,
        }
    }

    fn of(problem: Option<&Problem>) -> Option<Self> {
        problem.map(|problem| Self::new(problem, None))
    }
}

/// The path of a problem's page.
pub(super) fn page(code: Code) -> String {
    format!("/problems/{code}")
}

/// The outcome of a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hook)]
pub(super) struct HookBody {
    /// The mirrors that are proven again because of it, by name; none: it is ignored.
    pub(super) matched: Vec<String>,
    /// Why it is ignored.
    pub(super) reason: Option<HookReason>,
    /// The run that proves them, or the run of an earlier delivery with the same id.
    pub(super) run: Option<uuid::Uuid>,
    /// Whether the run was already in flight.
    pub(super) coalesced: bool,
}

/// A positive answer of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Well {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub(super) status: &'static str,
}
