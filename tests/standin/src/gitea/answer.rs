//! The shapes of Gitea's answers: JSON, errors, the 404s that differ by version, plain text. Knows no
//! endpoint.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::Gitea;

/// An answer that ends a call early. Boxed, because an answer is large for an `Err`.
#[derive(Debug)]
pub(super) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        *refusal.0
    }
}

impl Gitea {
    /// An answer of the API.
    pub(super) fn json(&self, status: StatusCode, value: &Value) -> Response {
        let mut response = Response::new(Body::from(format!("{value}\n")));
        *response.status_mut() = status;
        set(&mut response, header::CONTENT_TYPE, "application/json;charset=utf-8");
        self.cached(response)
    }

    pub(super) fn ok(&self, value: &Value) -> Response {
        self.json(StatusCode::OK, value)
    }

    /// An answer of the API without a body, or a content type.
    pub(super) fn empty(&self, status: StatusCode) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        self.cached(response)
    }

    /// Gitea's error shape. A 500 tells its text to administrators only, so it has none here.
    pub(super) fn error(&self, status: StatusCode, message: &str) -> Refusal {
        Refusal::from(self.json(status, &json!({ "message": message, "url": self.swagger() })))
    }

    pub(super) fn hidden_500(&self) -> Refusal {
        self.error(StatusCode::INTERNAL_SERVER_ERROR, "")
    }

    pub(super) fn unprocessable(&self, message: &str) -> Refusal {
        self.error(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn forbidden(&self, message: &str) -> Refusal {
        self.error(StatusCode::FORBIDDEN, message)
    }

    /// The 404 of something absent or invisible.
    pub(super) fn not_found(&self) -> Refusal {
        let mut body = json!({ "message": self.inner.profile.not_found_text(), "url": self.swagger() });
        if let Some(errors) = self.inner.profile.no_errors() {
            body["errors"] = errors;
        }
        Refusal::from(self.json(StatusCode::NOT_FOUND, &body))
    }

    /// A 404 that, in most versions, names the function that failed and its error.
    pub(super) fn not_found_in(&self, function: &str, error: Option<&str>) -> Refusal {
        if !self.inner.profile.not_found_tells() {
            return self.not_found();
        }
        let mut body = json!({ "message": function, "url": self.swagger() });
        if let Some(errors) = error.map(|error| json!([error])).or_else(|| self.inner.profile.no_errors()) {
            body["errors"] = errors;
        }
        Refusal::from(self.json(StatusCode::NOT_FOUND, &body))
    }

    /// Text, with the API's headers.
    pub(super) fn text(&self, status: StatusCode, content_type: &str, text: &str) -> Response {
        self.cached(bare(status, content_type, text))
    }

    pub(super) fn unknown_route(&self) -> Response {
        let response = bare(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n");
        if self.inner.profile.unknown_route_is_bare() { response } else { self.cached(response) }
    }

    pub(super) fn swagger(&self) -> String {
        format!("{}/api/swagger", self.inner.root_url)
    }

    fn cached(&self, mut response: Response) -> Response {
        set(&mut response, header::CACHE_CONTROL, self.inner.profile.cache_control());
        response
    }

    /// The redirect of a renamed repository. Only a GET gets Go's little page with it.
    pub(super) fn moved(&self, is_get: bool, location: &str) -> Refusal {
        let status = self.inner.profile.renamed();
        let mut response = if is_get { link(status, location) } else { self.empty(status) };
        set(&mut response, header::LOCATION, location);
        Refusal::from(self.cached(response))
    }
}

/// The page that Go's `http.Redirect` writes.
pub(super) fn link(status: StatusCode, location: &str) -> Response {
    let escaped = location.replace('&', "&amp;");
    let text = format!("<a href=\"{escaped}\">{}</a>.\n\n", status.canonical_reason().unwrap_or_default());
    let mut response = bare(status, "text/html; charset=utf-8", &text);
    set(&mut response, header::LOCATION, location);
    response
}

/// Text without any header of the API.
pub(super) fn bare(status: StatusCode, content_type: &str, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type);
    response
}

/// Sets a header; a value that is none leaves it out.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
