//! Hearing of pushes from upstream: `POST /hooks/{mirror}`.
//!
//! Owns the order: the mirror, its secrets, the media type, the body as it comes with its signature, and only then what it
//! says. A body is never held whole: a signature needs each byte once, and what a push says of itself stands at its
//! beginning.
//!
//! A mirror that does not exist, or takes no webhooks, is told as such to everybody: `/metrics`, which is open, names
//! every mirror, so that hiding them here would only keep the mistyped name from whoever sets a webhook up.

mod held;

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
use super::problem::Refusal;
use super::wire::{HookBody, HookReason};
use super::{ApiState, body};
use crate::domain::names::MirrorName;
use crate::domain::problem::Code;
use crate::domain::run::RunId;
use crate::domain::spec::MirrorSpec;
use crate::domain::webhook::{Claim, Hint, Reason, SecretSource, Secrets, Verifier, judge};
use crate::engine::{Accepted, Delivered, Delivery};
use crate::metrics::AuthFailure;
use held::Held;
pub(super) use held::Room;

/// The most bytes of a body: GitHub's own limit. None of its senders sends more.
const LARGEST: usize = 25 * 1024 * 1024;

/// How long to wait before looking at the run, in seconds.
const LOOK_AGAIN: HeaderValue = HeaderValue::from_static("2");

/// What the webhooks of one mirror are held to.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The mirror.
    pub spec: Arc<MirrorSpec>,
    /// Who may sign.
    pub secrets: Arc<dyn SecretSource>,
}

/// Every mirror's, by name.
pub type Hooks = BTreeMap<String, Hook>;

/// Hear of a push
///
/// Takes the webhook of a push from upstream, and has the mirror proven anew by a run that reads upstream after it: a
/// new one, or the one in flight, so that a burst of pushes is at most two syncs. GitHub's, GitLab's, Gitea's, Forgejo's and
/// Bitbucket's webhooks are known by their headers, and anything that can sign may send one. The signature is of the body
/// as it is sent, under any one of the mirror's secrets; GitLab's secret token counts as one. What the body says is a
/// hint: it can keep a run from being begun (another event, another repository, a ref that is neither a branch nor a
/// tag), and no address in it is ever opened. When the body names an object for a ref, and upstream still shows the ref as
/// it was before, the run reads upstream again for at most 60 seconds, and then ends `unverified`, `upstream-lagging`. A
/// delivery whose id has come before is not acted on again, unless its run came to nothing or its push has not been seen.
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
        description = "What the forge says of the push. At most 25 MiB.",
    ),
    responses(
        (
            status = 200, description = "Nothing is done because of it: `matched` is empty, and `reason` says why.",
            body = HookBody,
        ),
        (
            status = 202, description = "The mirror is proven anew.", body = HookBody,
            headers(
                ("Location" = String, description = "The path of the run."),
                ("Retry-After" = u32, description = "In how many seconds to look at it."),
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
        Ok(Taken::Ignored(reason, run)) => {
            let result = if reason == Reason::Duplicate { "duplicate" } else { "ignored" };
            let (reason, run) = (Some(HookReason(reason)), run.map(|run| run.0));
            (result, Json(HookBody { matched: Vec::new(), reason, run, coalesced: false }).into_response())
        }
        Ok(Taken::Matched(name, accepted)) => {
            let (run, coalesced) = (accepted.run.id, accepted.coalesced);
            let (result, done) =
                if coalesced { ("joined", Done::Joined(run)) } else { ("started", Done::Started(run)) };
            let location = HeaderValue::try_from(format!("/cutover/runs/{run}")).expect("an id is plain ASCII");
            let headers = [(header::LOCATION, location), (header::RETRY_AFTER, LOOK_AGAIN)];
            let body = HookBody { matched: vec![name.to_string()], reason: None, run: Some(run.0), coalesced };
            (result, (StatusCode::ACCEPTED, Extension(done), headers, Json(body)).into_response())
        }
        Err(NotTaken::Unsigned(failure)) => ("refused", (Extension(failure), unsigned()).into_response()),
        Err(NotTaken::Failed(refusal)) => ("failed", refusal.into_response()),
    };
    state.metrics.webhook(claim.vendor.label(), result);
    response.extensions_mut().insert(claim.vendor);
    response
}

/// What became of a delivery whose signature is good.
enum Taken {
    Matched(MirrorName, Accepted),
    Ignored(Reason, Option<RunId>),
}

/// Why a delivery is not taken.
enum NotTaken {
    /// By its signature.
    Unsigned(AuthFailure),
    Failed(Refusal),
}

impl<R: Into<Refusal>> From<R> for NotTaken {
    fn from(refusal: R) -> Self {
        Self::Failed(refusal.into())
    }
}

async fn take(
    state: &ApiState,
    mirror: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    claim: &Claim<'_>,
    body: Body,
) -> Result<Taken, NotTaken> {
    let hook = mirror.ok().and_then(|Path(name)| state.hooks.get(&name)).ok_or_else(unknown)?;
    let secrets = hook.secrets.read().ok_or_else(|| not_configured(&hook.spec))?;
    for wrong in &secrets.bad {
        tracing::error!(mirror = %hook.spec.name, error = %wrong, "A secret for webhooks cannot be used");
    }
    if secrets.good.is_empty() {
        return Err(no_secret(&secrets).into());
    }
    // a form is signed as something else than what is sent (Gitea, Forgejo): its signature would only mislead
    if headers.contains_key(header::CONTENT_TYPE) {
        check_media_type(headers)?;
    }
    if !claim.is_signed() {
        return Err(NotTaken::Unsigned(AuthFailure::Missing));
    }
    let mut verifier = Verifier::new(claim, &secrets.good, state.clock.now());
    let held = hashed(headers, body, &mut verifier, &state.hook_room).await?;
    if !verifier.finish() {
        return Err(NotTaken::Unsigned(AuthFailure::Invalid));
    }
    if !held.bytes.is_empty() {
        check_media_type(headers)?;
    }
    let hint = Hint::read(&held.bytes, held.whole).map_err(|wrong| body::malformed(&wrong.to_string()))?;
    if let Err(reason) = judge(claim, &hint, &hook.spec.upstream) {
        return Ok(Taken::Ignored(reason, None));
    }
    let name = hook.spec.name.clone();
    let pushes = hint.pushes(claim.vendor);
    let delivery = Delivery { mirror: name.clone(), vendor: claim.vendor, id: claim.id.map(Into::into), pushes };
    Ok(match state.engine.deliver(delivery).await? {
        Delivered::Run(accepted) => Taken::Matched(name, accepted),
        Delivered::Ignored(reason, run) => Taken::Ignored(reason, run),
    })
}

/// The value of a header, for a [`Claim`].
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?;
    Some(if all.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    body::check_media_type(headers).map_err(|refusal| refusal.with_remedy(AS_JSON))
}

/// Reads a body to its end, past the signature.
async fn hashed<'a>(
    headers: &HeaderMap,
    mut body: Body,
    verifier: &mut Verifier,
    room: &'a Room,
) -> Result<Held<'a>, Refusal> {
    body::check_coding(headers)?;
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(too_large());
    }
    let read = async {
        let (mut held, mut length) = (Held::nothing_yet(room), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| body::cut("the body ended too early"))?.into_data() else { continue };
            length += data.len();
            if length > LARGEST {
                return Err(too_large());
            }
            verifier.update(&data);
            held.push(&data);
        }
        Ok(held)
    };
    tokio::time::timeout(body::PATIENCE, read).await.unwrap_or_else(|_| Err(body::too_slow()))
}

/// The same answer for every reason, lest it tells which.
fn unsigned() -> Refusal {
    let detail = "this webhook needs a signature under a secret of the mirror, over the body as it is sent";
    Refusal::new(Code::SignatureInvalid, detail).hanging_up()
}

fn unknown() -> Refusal {
    Refusal::not_found("no mirror of this name is configured")
}

fn not_configured(spec: &MirrorSpec) -> Refusal {
    let remedy = "Name a file that holds a secret in the mirror's `webhook.secretFiles`, restart the service, and give the webhook the same secret; docs/webhooks.md shows it for each forge.";
    Refusal::not_found(format!("the mirror {} takes no webhooks", spec.name)).with_remedy(remedy).hanging_up()
}

fn no_secret(secrets: &Secrets) -> Refusal {
    let inside: Vec<_> = secrets.bad.iter().map(ToString::to_string).collect();
    let detail =
        "no secret of this mirror's webhooks can be used; the service's log has the cause, under this request id";
    Refusal::new(Code::WebhookSecret, detail).telling_the_log(inside.join("; ")).hanging_up()
}

fn too_large() -> Refusal {
    let remedy = "Send at most 25 MiB, which is what GitHub sends at most: have the webhook sent for pushes only.";
    let detail = format!("the body has more than {LARGEST} bytes");
    Refusal::new(Code::ContentTooLarge, detail).with_remedy(remedy).hanging_up()
}

const AS_JSON: &str = "Set the webhook's content type to application/json where it is configured (Gitea: POST content type; GitHub: Content type). A form is not read.";
