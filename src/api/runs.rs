//! Asking for runs and reading them.
//!
//! Owns `/cutover/…`. Does no work: a command goes to the engine, whose answer is at hand at once, and what was
//! accepted goes on when the caller has gone.

use axum::Extension;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use url::form_urlencoded;

use super::audit::Done;
use super::problem::Refusal;
use super::wire::{RunBody, RunList, RunRequest};
use super::{ApiState, body};
use crate::domain::access::Principal;
use crate::domain::problem::Code;
use crate::domain::run::{RunId, Trigger};
use crate::domain::spec::RunOptions;
use crate::engine::{Accepted, Ask};

/// How long to wait before looking at an accepted run, in seconds: a `noop` is done by then.
const LOOK_AGAIN: &str = "2";

/// The runs of a page, unless the caller says otherwise.
const PAGE: usize = 20;
/// The most runs of a page.
const LONGEST_PAGE: usize = 100;

/// Ask for a run
///
/// Brings mirrors in sync: creates, changes or syncs what is needed and proves it by the refs of both sides. Needs
/// the role `operator`. The run goes on whatever becomes of the caller; follow it under `Location`. It joins the work
/// that is in flight on each of its mirrors, and exactly the same selection returns the very run that is under way,
/// with `coalesced: true`, so that asking again is always safe.
#[utoipa::path(
    post, path = "/cutover/mirror", operation_id = "startRun", tag = "runs",
    request_body(
        content = RunRequest, content_type = "application/json",
        description = "Which mirrors. Without a body, or with `{}`: all. At most 16 KiB.",
    ),
    responses((
        status = 202, description = "Accepted: the run, new or joined.", body = RunBody,
        headers(
            ("Location" = String, description = "The path of the run."),
            ("Retry-After" = u32, description = "In how many seconds to look at it."),
        ),
    )),
)]
pub(super) async fn start(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let asked = body::read(&head.headers, body).await?;
    let ask = Ask {
        mirrors: asked.mirrors,
        options: RunOptions::default(),
        requested_by: principal.name,
        trigger: Trigger::Api,
    };
    Ok(accepted(&state.engine.ask(ask).await?))
}

fn accepted(accepted: &Accepted) -> Response {
    let Accepted { run, coalesced } = accepted;
    let done = if *coalesced { Done::Joined(run.id) } else { Done::Started(run.id) };
    let headers = [(header::LOCATION, format!("/cutover/runs/{}", run.id)), (header::RETRY_AFTER, LOOK_AGAIN.into())];
    (StatusCode::ACCEPTED, headers, Extension(done), Json(RunBody::new(run, *coalesced))).into_response()
}

/// List runs
///
/// Newest first, a page at a time.
#[utoipa::path(
    get, path = "/cutover/runs", operation_id = "listRuns", tag = "runs",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "How many runs; 20 unless given."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description = "The `nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page of runs.", body = RunList)),
)]
pub(super) async fn list(State(state): State<ApiState>, uri: Uri) -> Result<Json<RunList>, Refusal> {
    let Page { limit, before } = page(uri.query().unwrap_or_default())?;
    // one more than is shown tells whether there is another page
    let mut runs = state.engine.runs(limit + 1, before).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next_cursor = runs.last().filter(|_| more).map(|run| run.id.to_string());
    Ok(Json(RunList { runs: runs.iter().map(|run| RunBody::new(run, false)).collect(), next_cursor }))
}

/// Read a run
#[utoipa::path(
    get, path = "/cutover/runs/{id}", operation_id = "getRun", tag = "runs",
    params(("id" = uuid::Uuid, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it stands.", body = RunBody)),
)]
pub(super) async fn get(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<RunBody>, Refusal> {
    let unknown = || Refusal::not_found("no run of this id is kept");
    let Path(id) = id.map_err(|_| unknown())?;
    let run = state.engine.run(run_id(&id).ok_or_else(unknown)?).await?.ok_or_else(unknown)?;
    Ok(Json(RunBody::new(&run, false)))
}

/// A run's id, in the one spelling that we give out.
fn run_id(text: &str) -> Option<RunId> {
    RunId::parse(text).filter(|id| id.to_string() == text)
}

#[derive(Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    before: Option<RunId>,
}

/// Reads a query; members that are not ours are nobody's business.
fn page(query: &str) -> Result<Page, Refusal> {
    let wrong = |detail: &str| Refusal::new(Code::InvalidField, detail);
    let (mut limit, mut before) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let again = match &*name {
            "limit" => {
                let given = value.parse().ok().filter(|given| (1..=LONGEST_PAGE).contains(given));
                limit.replace(given.ok_or_else(|| wrong("`limit` must be a whole number from 1 to 100"))?).is_some()
            }
            "cursor" => {
                let given = run_id(&value);
                before.replace(given.ok_or_else(|| wrong("`cursor` must be a `nextCursor` of this list"))?).is_some()
            }
            _ => false,
        };
        if again {
            return Err(wrong("`limit` and `cursor` may each be given once"));
        }
    }
    Ok(Page { limit: limit.unwrap_or(PAGE), before })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::run::Run;

    const ID: &str = "019ab0de-7c00-7000-8000-000000000001";

    #[test]
    fn a_page_is_what_the_query_says_within_limits() {
        assert_eq!(page("").unwrap(), Page { limit: PAGE, before: None });
        assert_eq!(page("limit=1").unwrap().limit, 1);
        assert_eq!(
            page(&format!("since=x'--&cursor={ID}&limit=100")).unwrap(),
            Page { limit: 100, before: run_id(ID) }
        );
        let upper = ID.to_uppercase();
        for bad in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1&limit=2",
            "cursor=",
            "cursor=x",
            &format!("cursor={upper}"),
            &format!("cursor={ID}&cursor={ID}"),
        ] {
            assert_eq!(page(bad).unwrap_err().code(), Code::InvalidField, "{bad}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        assert!(run_id(ID).is_some());
        for bad in ["", "x", &ID.to_uppercase(), &ID.replace('-', ""), &format!("{{{ID}}}"), "../status"] {
            assert!(run_id(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_accepted_run_says_where_it_is_and_when_to_look() {
        let run = Run::accepted(RunId(Uuid::nil()), Trigger::Api, "ops".into(), Timestamp::UNIX_EPOCH, []);
        let response = accepted(&Accepted { run, coalesced: false });
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()[header::LOCATION], format!("/cutover/runs/{}", Uuid::nil()));
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert!(matches!(response.extensions().get::<Done>(), Some(Done::Started(_))));
    }
}
