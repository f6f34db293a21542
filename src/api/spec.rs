//! The routes and their specification, from one list, so that neither can have what the other has not.
//!
//! Owns which route needs whom, and which problems it can answer with. The macros on the handlers say the rest.

mod examples;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use http::HeaderValue;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::access::Access;
use super::error::{ApiError, MEDIA_TYPE};
use super::etag::TAGGED;
use super::gate::{self, Gate, Needs};
use super::middleware::Methods;
use super::origin::OriginPolicy;
use super::wire::{CLONE_CONTINUES, ProblemBody};
use super::{ApiState, docs, events, hooks, modes, runs, service, status};
use crate::domain::access::Role;
use crate::domain::problem::Code;
use crate::metrics::Metrics;

/// The request whose answer stands as an example.
const EXAMPLE_REQUEST: &str = "019ab0de-7c00-7000-8000-0000000000ff";

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// The name of the other one.
const SIGNATURE: &str = "signature";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "cutover-api",
        description = "Keeps a proven copy of an upstream git repository in a cluster's own Gitea. \
            A mirror counts as done only when the branches and tags that upstream advertises and those that Gitea \
            serves are the same, read in this very run. Errors are problems (RFC 9457): `error` is their stable name, \
            `remedy` says what to do, `retryable` whether asking again can help. Every answer has an `X-Request-Id`, \
            by which the service's log can be searched. Times are RFC 3339 in UTC. New members may be added to any \
            object of an answer; none is renamed.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "Where this specification is served.")),
    tags(
        (name = "runs", description = "Start, read and cancel runs."),
        (name = "modes", description = "Pin and sever mirrors, and let them follow again."),
        (name = "status", description = "The status of every mirror."),
        (name = "events", description = "Streams of events."),
        (name = "hooks", description = "Receive push webhooks from upstream."),
        (name = "service", description = "The service itself: probes, metrics, documentation. Open to every caller."),
    ),
    components(schemas(ProblemBody)),
)]
struct Specification;

/// Who may use a route, and with which problems of its own it may answer.
struct Rule {
    needs: Needs,
    problems: &'static [Code],
}

const OPEN: Needs = Needs::Nothing;
const READ: Needs = Needs::Role(Role::Viewer);
const SIGNED: Needs = Needs::Signature;
const CHANGE: Needs = Needs::Role(Role::Operator);

/// What the gate and a panic can answer with on every route.
const ANYWHERE: [Code; 5] =
    [Code::MalformedRequest, Code::OriginNotAllowed, Code::HostNotAllowed, Code::UriTooLong, Code::Internal];

/// What recognising a caller can end with, besides.
const GUARDED: [Code; 7] = [
    Code::Unauthenticated,
    Code::TokensUnreadable,
    Code::RateLimited,
    Code::Forbidden,
    Code::KubernetesUnreachable,
    Code::KubernetesDenied,
    Code::KubernetesCredential,
];

/// Every route, each behind its gate, with the whole specification.
pub(super) fn routes(gate: &Arc<Gate>) -> OpenApiRouter<ApiState> {
    use Code::{
        ContentTooLarge, ConvertNotOffered, GiteaCredential, IdempotencyKeyReused, InvalidField, ModeRefuses, NotFound,
        RequestTimeout, RunConflict, RunEnded, ShuttingDown, StateUnavailable, TokensUnreadable, TooManyStreams,
        UnknownField, UnknownMirror, UnsupportedMediaType, WebhookSecret,
    };
    let add = |router: OpenApiRouter<ApiState>, route: UtoipaMethodRouter<ApiState>, needs, problems| {
        let rule = Rule { needs, problems };
        router.routes(ruled(gate, route, &rule))
    };
    let mut router = OpenApiRouter::with_openapi(Specification::openapi());
    router = add(
        router,
        routes!(runs::start),
        CHANGE,
        &[
            RequestTimeout,
            ContentTooLarge,
            UnsupportedMediaType,
            InvalidField,
            UnknownField,
            UnknownMirror,
            RunConflict,
            IdempotencyKeyReused,
            ShuttingDown,
            StateUnavailable,
        ],
    );
    router = add(router, routes!(runs::list), READ, &[InvalidField, ShuttingDown, StateUnavailable]);
    router = add(router, routes!(runs::get), READ, &[NotFound, ShuttingDown, StateUnavailable]);
    router = add(router, routes!(runs::cancel), CHANGE, &[NotFound, RunEnded, ShuttingDown, StateUnavailable]);
    router = add(
        router,
        routes!(modes::set),
        CHANGE,
        &[
            NotFound,
            RequestTimeout,
            ContentTooLarge,
            UnsupportedMediaType,
            InvalidField,
            UnknownField,
            ModeRefuses,
            ConvertNotOffered,
            ShuttingDown,
            StateUnavailable,
        ],
    );
    router = add(
        router,
        routes!(events::of_run),
        READ,
        &[NotFound, InvalidField, ShuttingDown, StateUnavailable, TooManyStreams],
    );
    router = add(router, routes!(events::all), READ, &[InvalidField, ShuttingDown, StateUnavailable, TooManyStreams]);
    router = add(router, routes!(status::all), READ, &[InvalidField]);
    router = add(router, routes!(status::one), READ, &[NotFound]);
    router = add(
        router,
        routes!(hooks::receive),
        SIGNED,
        &[
            NotFound,
            RequestTimeout,
            ContentTooLarge,
            UnsupportedMediaType,
            WebhookSecret,
            ShuttingDown,
            StateUnavailable,
        ],
    );
    router = add(router, routes!(service::healthz), OPEN, &[]);
    router = add(
        router,
        routes!(service::readyz),
        OPEN,
        &[ShuttingDown, StateUnavailable, GiteaCredential, TokensUnreadable],
    );
    router = add(router, routes!(service::metrics), OPEN, &[]);
    router = add(router, routes!(service::openapi), OPEN, &[]);
    router = add(router, routes!(docs::docs), OPEN, &[]);
    add(router, routes!(service::problem), OPEN, &[NotFound])
}

/// The methods of every path that is served.
pub(super) fn methods(specification: &OpenApi) -> Methods {
    let named = |item: &PathItem| {
        let all = [(&item.get, "GET,HEAD,"), (&item.put, "PUT,"), (&item.post, "POST,"), (&item.delete, "DELETE,")];
        let has: String = all.iter().filter(|(operation, _)| operation.is_some()).map(|(_, names)| *names).collect();
        HeaderValue::try_from(has + "OPTIONS").expect("names of methods are plain ASCII")
    };
    specification.paths.paths.iter().map(|(path, item)| (path.clone(), named(item))).collect()
}

/// The specification as JSON, with a line end.
///
/// # Panics
/// Never: it holds only strings, numbers and truth values.
#[must_use]
pub fn openapi() -> String {
    // the routes are built as they are served; what stands behind them is not asked for anything
    let metrics = Arc::new(Metrics::new("", "", std::time::Duration::ZERO));
    let gate = Arc::new(Gate::new(Access::Anonymous, OriginPolicy::default(), metrics));
    let mut specification = routes(&gate).to_openapi();
    complete(&mut specification);
    let mut text = specification.to_pretty_json().expect("a specification has only strings, numbers and truth values");
    text.push('\n');
    text
}

/// Puts the gate before a route, and what the gate can answer into the specification.
fn ruled(gate: &Arc<Gate>, mut route: UtoipaMethodRouter<ApiState>, rule: &Rule) -> UtoipaMethodRouter<ApiState> {
    let mut codes: Vec<_> = ANYWHERE.iter().chain(rule.problems).copied().collect();
    let scheme = match rule.needs {
        Needs::Nothing => None,
        Needs::Signature => {
            codes.extend([Code::SignatureInvalid, Code::RateLimited]);
            Some(SIGNATURE)
        }
        Needs::Role(_) => {
            codes.extend(GUARDED);
            Some(BEARER)
        }
    };
    for (path, item) in &mut route.1.paths {
        if let Some(operation) = item.get.as_mut().filter(|_| TAGGED.contains(&path.as_str())) {
            tagged(operation);
        }
    }
    for operation in route.1.paths.values_mut().flat_map(operations) {
        if let Some(scheme) = scheme {
            operation.security = Some(vec![SecurityRequirement::new(scheme, [] as [&str; 0])]);
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.headers.insert("X-Request-Id".to_owned(), RefOr::T(request_id()));
            }
        }
        operation.responses.responses.extend(problems(&codes));
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            // the macro has no word for it: a run is asked for without one as well
            let optional = operation.operation_id.as_deref() == Some("startRun");
            body.required = Some(if optional { Required::False } else { Required::True });
        }
    }
    let pass = from_fn_with_state((Arc::clone(gate), rule.needs), gate::pass);
    // on the methods only: a method that the path does not have is answered with 405 before anything else is checked
    route.map(|methods| methods.route_layer(pass))
}

/// What there is to say of an answer that has a tag.
fn tagged(operation: &mut Operation) {
    let described = "A tag of an answer that the caller keeps; while it still holds, the answer is 304.";
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
    let parameter = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(described))
        .schema(Some(text))
        .example(Some("W/\"1b4f0e9851971998e7320785\"".into()))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
    let tag = || header("A weak tag of this answer, for `If-None-Match`.");
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("ETag".to_owned(), RefOr::T(tag()));
            response.headers.insert("Cache-Control".to_owned(), RefOr::T(header("Always `no-cache`.")));
        }
    }
    let unchanged = ResponseBuilder::new()
        .description("What the caller keeps still holds.")
        .header("ETag", tag())
        .header("Cache-Control", header("Always `no-cache`."));
    operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged.build()));
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// One answer for each status, with an example for each problem.
fn problems(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), RefOr::T(problem(status, &codes)))).collect()
}

fn problem(status: u16, codes: &[Code]) -> Response {
    let titles: Vec<_> = codes.iter().map(|code| format!("{} (`{code}`)", code.title())).collect();
    let examples = codes.iter().map(|code| {
        let body = ApiError::new(*code, code.title()).body(EXAMPLE_REQUEST);
        let value = serde_json::from_slice(&body).expect("a problem's body is JSON");
        let example = ExampleBuilder::new().summary(code.title()).value(Some(value)).build();
        (code.label(), example)
    });
    let schema = Ref::from_schema_name(ProblemBody::name());
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut response = ResponseBuilder::new()
        .description(format!("{}.", titles.join("; ")))
        .header("X-Request-Id", request_id())
        .content(MEDIA_TYPE, content);
    response = match status {
        401 => response.header("WWW-Authenticate", header("`Bearer`; of a webhook `Signature`.")),
        415 => response.header("Accept-Post", header("Always `application/json`.")),
        429 | 503 => response.header("Retry-After", header("In how many seconds to ask again.")),
        _ => response,
    };
    response.build()
}

fn request_id() -> Header {
    header("Names this request in the service's log.")
}

fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn complete(specification: &mut OpenApi) {
    env!("CARGO_PKG_VERSION").clone_into(&mut specification.info.version);
    let scheme = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of the service's tokens file; or, where the service is configured to ask Kubernetes, the token of \
             a service account (or another user) that it lists: `kubectl create token NAME`, for the service's audience \
             where it has one. A viewer may read; an operator may also start runs and set modes. Not needed where the service was \
             started with `--auth none`.",
        ))
        .build();
    let components = specification.components.get_or_insert_default();
    components.security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(scheme).into());
    let signature = ApiKeyValue::with_description(
        "X-Hub-Signature-256",
        "`sha256=` and the HMAC-SHA256 of the body under a secret of the mirror's `webhook.secretFiles`, in lower-case \
         hexadecimal digits: as GitHub signs. Other forges' headers are taken as well: see the operation.",
    );
    let signature = SecurityScheme::ApiKey(ApiKey::Header(signature));
    components.security_schemes.insert(SIGNATURE.to_owned(), signature.into());
    for operation in specification.paths.paths.values_mut().flat_map(operations) {
        let several = examples::several(operation.operation_id.as_deref().unwrap_or_default());
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            for content in response.content.values_mut() {
                let RefOr::T(content) = content else { continue };
                if status == "200" && !several.is_empty() {
                    content.examples = several.iter().map(named_example).collect();
                } else if content.examples.is_empty() {
                    content.example = examples::of(content);
                }
            }
        }
    }
}

fn named_example((name, summary, value): &(&str, &str, serde_json::Value)) -> (String, RefOr<Example>) {
    let example = ExampleBuilder::new().summary(*summary).value(Some(value.clone())).build();
    ((*name).to_owned(), RefOr::T(example))
}

#[cfg(test)]
mod tests;
