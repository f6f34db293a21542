//! Push webhooks from upstream: `POST /hooks/{mirror}`.
//!
//! Owns the order of the checks: the mirror, its secrets, the media type, the signature while the body arrives, and only
//! then what the body says. A body is never held whole: the signature needs each byte once, and a push describes itself at
//! the beginning of its body.
//!
//! The answer to a mirror that does not exist, or takes no webhooks, says so to every caller: `/metrics`, which is open,
//! names every mirror. Hiding them here would only hide a mistyped name from the person who sets up the webhook.

mod prefix;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::audit::Done;
use super::error::ApiError;
use super::wire::{HookBody, HookReason};
use super::{ApiState, body};
use crate::domain::names::MirrorName;
use crate::domain::problem::Code;
use crate::domain::run::RunId;
use crate::domain::spec::MirrorSpec;
use crate::domain::webhook::{Claim, Hint, Reason, SecretSource, Secrets, Verifier, judge};
use crate::engine::{Accepted, Delivered, Delivery};
use crate::metrics::AuthFailure;
use prefix::Prefix;
pub(super) use prefix::SharedMemory;

/// The most bytes of a body: GitHub's own limit. None of its senders sends more.
const LARGEST: usize = 25 * 1024 * 1024;

/// In how many seconds to read the run.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// The webhook of one mirror.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The mirror.
    pub spec: Arc<MirrorSpec>,
    /// The secrets under which it may be signed.
    pub secrets: Arc<dyn SecretSource>,
}

/// The webhooks of all mirrors, by name.
pub type Hooks = BTreeMap<String, Hook>;

/// Receive a push webhook
///
/// The mirror is proven again by a run that reads upstream after the delivery: a new run, or the one in flight, so that a
/// burst of pushes is at most two syncs. Webhooks of GitHub, GitLab, Gitea, Forgejo and Bitbucket are known by their
/// headers; anything else that can sign may send one too. The signature is of the body as it is sent, under any one of the
/// mirror's secrets; GitLab's secret token counts as one. The body is only a hint: it can prevent a run (another event,
/// another repository, a ref that is neither a branch nor a tag), and no address in it is ever opened. If the body names an
/// object for a ref, and upstream still shows the ref as before, the run reads upstream again for at most 60 seconds, and
/// then ends `unverified`, `upstream-lagging`. A delivery with a known id starts nothing, unless its run failed or its push
/// has not been seen.
#[utoipa::path(
    post, path = "/hooks/{mirror}", operation_id = "receiveWebhook", tag = "hooks",
    params(
        ("mirror" = String, Path, description = "The mirror's name.", example = "openova"),
        ("X-Hub-Signature-256" = Option<String>, Header, nullable = false, pattern = "^sha256=[0-9a-f]{64}$",
            description = "GitHub: `sha256=` and the HMAC-SHA256 of the body, in lower-case hexadecimal digits."),
        ("X-Hub-Signature" = Option<String>, Header, nullable = false, pattern = "^sha256=[0-9a-f]{64}$",
            description = "Bitbucket: as GitHub's. A `sha1=` value is as good as none."),
        ("X-Gitea-Signature" = Option<String>, Header, nullable = false, pattern = "^[0-9a-f]{64}$",
            description = "Gitea: the HMAC-SHA256 of the body, in lower-case hexadecimal digits."),
        ("X-Forgejo-Signature" = Option<String>, Header, nullable = false, pattern = "^[0-9a-f]{64}$",
            description = "Forgejo: the same."),
        ("X-Gitlab-Token" = Option<String>, Header, nullable = false,
            description = "GitLab's secret token: the secret itself. Not looked at when there is a `webhook-signature`."),
        ("webhook-signature" = Option<String>, Header, nullable = false,
            description = "GitLab's signing token, and every sender of Standard Webhooks: `v1,` and the HMAC-SHA256 of \
                `{webhook-id}.{webhook-timestamp}.{body}` in base64; several stand apart by a space. The key is the \
                secret, or what is in base64 behind its `whsec_`."),
        ("webhook-id" = Option<String>, Header, nullable = false, description = "The delivery's name, which is signed."),
        ("webhook-timestamp" = Option<String>, Header, nullable = false, pattern = "^[0-9]+$",
            description = "Seconds since 1970, signed, and within 5 minutes of this service's clock."),
        ("X-Cutover-Signature" = Option<String>, Header, nullable = false, pattern = "^sha256=[0-9a-f]{64}$",
            description = "Anything else that can sign: as GitHub's."),
        ("X-Cutover-Delivery" = Option<String>, Header, nullable = false, max_length = 255,
            description = "Its delivery's name. The forges have such headers of their own."),
    ),
    request_body(
        content = serde_json::Value, content_type = "application/json",
        description = "The forge's description of the push. At most 25 MiB.",
    ),
    responses(
        (
            status = 200, description = "The webhook is ignored: `matched` is empty, and `reason` says why.",
            body = HookBody,
        ),
        (
            status = 202, description = "The mirror is proven again.", body = HookBody,
            headers(
                ("Location" = String, description = "The path of the run."),
                ("Retry-After" = u32, description = "In how many seconds to read it."),
            ),
        ),
    ),
)]
pub(super) async fn receive(
    State(state): State<ApiState>,
    mirror: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let claim = Claim::read(|name| header(&head.headers, name));
    let (result, mut response) = match take(&state, mirror, &head.headers, &claim, body).await {
        Ok(Receipt::Ignored(reason, run)) => {
            let result = if reason == Reason::Duplicate { "duplicate" } else { "ignored" };
            let (reason, run) = (Some(HookReason(reason)), run.map(|run| run.0));
            (result, Json(HookBody { matched: Vec::new(), reason, run, coalesced: false }).into_response())
        }
        Ok(Receipt::Matched(name, accepted)) => {
            let (run, coalesced) = (accepted.run.id, accepted.coalesced);
            let (result, done) =
                if coalesced { ("joined", Done::Joined(run)) } else { ("started", Done::Started(run)) };
            let location = HeaderValue::try_from(format!("/cutover/runs/{run}")).expect("an id is plain ASCII");
            let headers = [(header::LOCATION, location), (header::RETRY_AFTER, RETRY_AFTER)];
            let body = HookBody { matched: vec![name.to_string()], reason: None, run: Some(run.0), coalesced };
            (result, (StatusCode::ACCEPTED, Extension(done), headers, Json(body)).into_response())
        }
        Err(Refused::Unsigned(failure)) => ("refused", (Extension(failure), unsigned()).into_response()),
        Err(Refused::Failed(error)) => ("failed", error.into_response()),
    };
    state.metrics.webhook(claim.vendor.label(), result);
    response.extensions_mut().insert(claim.vendor);
    response
}

/// The outcome of a delivery whose signature is good.
enum Receipt {
    Matched(MirrorName, Accepted),
    Ignored(Reason, Option<RunId>),
}

/// Why a delivery is refused.
enum Refused {
    /// Its signature.
    Unsigned(AuthFailure),
    Failed(ApiError),
}

impl<R: Into<ApiError>> From<R> for Refused {
    fn from(error: R) -> Self {
        Self::Failed(error.into())
    }
}

async fn take(
    state: &ApiState,
    mirror: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    claim: &Claim<'_>,
    body: Body,
) -> Result<Receipt, Refused> {
    let hook = mirror.ok().and_then(|Path(name)| state.hooks.get(&name)).ok_or_else(unknown)?;
    let secrets = hook.secrets.read().ok_or_else(|| not_configured(&hook.spec))?;
    for wrong in &secrets.bad {
        tracing::error!(mirror = %hook.spec.name, error = %wrong, "webhook secret cannot be used");
    }
    if secrets.good.is_empty() {
        return Err(no_secret(&secrets).into());
    }
    // a form is signed as something else than what is sent (Gitea, Forgejo): its signature would only mislead
    if headers.contains_key(header::CONTENT_TYPE) {
        check_media_type(headers)?;
    }
    if !claim.is_signed() {
        return Err(Refused::Unsigned(AuthFailure::Missing));
    }
    let mut verifier = Verifier::new(claim, &secrets.good, state.clock.now());
    let prefix = read(headers, body, &mut verifier, &state.hook_memory).await?;
    if !verifier.finish() {
        return Err(Refused::Unsigned(AuthFailure::Invalid));
    }
    if !prefix.bytes.is_empty() {
        check_media_type(headers)?;
    }
    let hint = Hint::read(&prefix.bytes, prefix.whole).map_err(|wrong| body::malformed(&wrong.to_string()))?;
    if let Err(reason) = judge(claim, &hint, &hook.spec.upstream) {
        return Ok(Receipt::Ignored(reason, None));
    }
    let name = hook.spec.name.clone();
    let pushes = hint.pushes(claim.vendor);
    let delivery = Delivery { mirror: name.clone(), vendor: claim.vendor, id: claim.id.map(Into::into), pushes };
    Ok(match state.engine.deliver(delivery).await? {
        Delivered::Run(accepted) => Receipt::Matched(name, accepted),
        Delivered::Ignored(reason, run) => Receipt::Ignored(reason, run),
    })
}

/// The value of a header, for a [`Claim`].
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?;
    Some(if all.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    body::check_media_type(headers).map_err(|error| error.with_remedy(AS_JSON))
}

/// Reads a body to its end, and verifies its signature on the way.
async fn read<'a>(
    headers: &HeaderMap,
    mut body: Body,
    verifier: &mut Verifier,
    memory: &'a SharedMemory,
) -> Result<Prefix<'a>, ApiError> {
    body::check_coding(headers)?;
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(too_large());
    }
    let read = async {
        let (mut prefix, mut length) = (Prefix::new(memory), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| body::cut("the body ended too early"))?.into_data() else { continue };
            length += data.len();
            if length > LARGEST {
                return Err(too_large());
            }
            verifier.update(&data);
            prefix.push(&data);
        }
        Ok(prefix)
    };
    tokio::time::timeout(body::ARRIVAL, read).await.unwrap_or_else(|_| Err(body::too_slow()))
}

/// The same answer for every reason, so that it does not tell which.
fn unsigned() -> ApiError {
    let detail = "this webhook needs a signature under a secret of the mirror, over the body as it is sent";
    ApiError::new(Code::SignatureInvalid, detail).hanging_up()
}

fn unknown() -> ApiError {
    ApiError::not_found("no mirror of this name is configured")
}

fn not_configured(spec: &MirrorSpec) -> ApiError {
    let remedy = "Name a file that holds a secret in the mirror's `webhook.secretFiles`, restart the service, and give the webhook the same secret; docs/webhooks.md shows it for each forge.";
    ApiError::not_found(format!("the mirror {} takes no webhooks", spec.name)).with_remedy(remedy).hanging_up()
}

fn no_secret(secrets: &Secrets) -> ApiError {
    let causes: Vec<_> = secrets.bad.iter().map(ToString::to_string).collect();
    let detail =
        "no secret of this mirror's webhooks can be used; the service's log has the cause, under this request id";
    ApiError::new(Code::WebhookSecret, detail).with_cause(causes.join("; ")).hanging_up()
}

fn too_large() -> ApiError {
    let remedy = "Send at most 25 MiB, which is what GitHub sends at most: have the webhook sent for pushes only.";
    let detail = format!("the body has more than {LARGEST} bytes");
    ApiError::new(Code::ContentTooLarge, detail).with_remedy(remedy).hanging_up()
}

const AS_JSON: &str = "Set the webhook's content type to application/json where it is configured (Gitea: POST content type; GitHub: Content type). A form is not read.";
