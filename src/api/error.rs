//! From a failure to its answer: the one mapping.
//!
//! Owns [`ApiError`]. A handler returns one; the middleware, which knows the request's id, writes its body. A 5xx tells
//! nothing of its cause: that is in the log, under the request's id.

use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::wire::ProblemBody;
use crate::domain::problem::{Code, Problem};
use crate::engine::NotAccepted;

/// The media type of every problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// How long a caller is asked to wait when the service cannot take anything in just now, in seconds.
const COME_AGAIN: u32 = 5;

/// A request that was refused or failed, and what its caller gets.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    /// Boxed: an error is the rare side of many results.
    problem: Box<Problem>,
    /// For the log, and never for the caller.
    cause: Option<String>,
    hang_up: bool,
    /// In how many seconds another try can help.
    retry_after: Option<u32>,
}

impl ApiError {
    pub(super) fn new(code: Code, detail: impl AsRef<str>) -> Self {
        Self::of(Problem::new(code, detail))
    }

    fn of(problem: Problem) -> Self {
        // a 503 is over as soon as the service has been restarted, or its disk has room
        let retry_after = (problem.code.status() == 503).then_some(COME_AGAIN);
        Self { problem: Box::new(problem), cause: None, hang_up: false, retry_after }
    }

    /// The same, with a cause for the log.
    pub(super) fn with_cause(mut self, cause: String) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The same, and the connection is closed: what is still on its way is not read.
    pub(super) fn hanging_up(mut self) -> Self {
        self.hang_up = true;
        self
    }

    /// The same, with a remedy that fits better than the code's own.
    pub(super) fn with_remedy(mut self, remedy: &str) -> Self {
        self.problem = Box::new(self.problem.with_remedy(remedy));
        self
    }

    /// An unknown path, or one that names nothing.
    pub(super) fn not_found(detail: impl AsRef<str>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// The same answer for every reason, so that it does not tell which.
    pub(super) fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "this call needs a bearer token that this service accepts")
    }

    /// Too many bad credentials from one address.
    pub(super) fn rate_limited(seconds: u32) -> Self {
        let detail =
            format!("too many calls with a bad token or signature came from this address; ask again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(Code::RateLimited, detail) }
    }

    /// A panic in a handler.
    pub(super) fn panicked() -> Self {
        Self::new(Code::Internal, "the request was given up; the service's log has the cause, under this request id")
    }

    pub(super) fn code(&self) -> Code {
        self.problem.code
    }

    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The body, once the request's id is known.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        let body = ProblemBody::new(&self.problem, Some(request_id.to_owned()));
        serde_json::to_vec(&body).expect("a problem has only strings, numbers and truth values")
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                let scheme = if self.code() == Code::SignatureInvalid { "Signature" } else { "Bearer" };
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                headers.insert("accept-post", HeaderValue::from_static("application/json"));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.hang_up {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.code.status()).expect("the table of codes has only HTTP statuses")
    }
}

impl From<NotAccepted> for ApiError {
    fn from(not_accepted: NotAccepted) -> Self {
        let detail = match &not_accepted {
            NotAccepted::UnknownMirror { .. }
            | NotAccepted::Conflict { .. }
            | NotAccepted::KeyReused
            | NotAccepted::UnknownRun
            | NotAccepted::RunEnded
            | NotAccepted::NoSuchMirror
            | NotAccepted::SeveredByConfiguration { .. }
            | NotAccepted::NoConvert
            | NotAccepted::ShuttingDown => {
                return Self::of(not_accepted.problem());
            }
            NotAccepted::StateUnavailable(_) => {
                "nothing was accepted; the service's log has the cause, under this request id"
            }
            NotAccepted::Credential(_) => {
                "no run could be begun; the service's log has the cause, under this request id"
            }
        };
        let cause = Some(not_accepted.to_string());
        Self { cause, ..Self::new(not_accepted.problem().code, detail) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, headers) = (self.status(), self.headers());
        let mut response = (status, headers).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The page of one problem, as Markdown that a person can read as it is.
#[must_use]
pub fn problem_page(code: Code) -> String {
    let again = if code.retryable() { "yes" } else { "no: something has to be changed first" };
    format!(
        "# {}\n\n- `error`: `{code}`\n- HTTP status: {}\n- Can asking again help, with nothing changed: {again}\n\n\
         ## What it means\n\n{}\n\n## What to do\n\n{}\n",
        code.title(),
        code.status(),
        code.meaning(),
        code.remedy(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_5xx_says_nothing_of_its_cause() {
        let error = ApiError::from(NotAccepted::StateUnavailable("disk I/O error in /secret/place".into()));
        let body = String::from_utf8(error.body("id")).unwrap();
        assert!(!body.contains("secret") && error.cause().unwrap().contains("/secret/place"), "{body}");
        assert_eq!(error.into_response().headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn every_code_has_a_page_and_a_problem_names_it() {
        for code in Code::ALL {
            let body: Value = serde_json::from_slice(&ApiError::new(*code, "x").body("id")).unwrap();
            assert_eq!(body["type"], format!("/problems/{code}"));
            assert_eq!((&body["requestId"], &body["status"]), (&"id".into(), &code.status().into()));
            assert!(problem_page(*code).contains(code.remedy()));
            assert_eq!(ApiError::new(*code, "x").into_response().status().as_u16(), code.status());
        }
    }
}
