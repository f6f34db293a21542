//! Upstream's side of smart HTTP: records, applies the faults, checks the credential, and leaves the rest
//! to the store.

use std::sync::{Arc, Weak};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;

use super::{Inner, Reader, UpstreamFault};
use crate::call::Call;
use crate::fault;
use crate::git::{Backend, plain};

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";

pub(super) fn router(inner: Weak<Inner>) -> Router {
    Router::new().fallback(move |request: Request| {
        let inner = inner.upgrade();
        async move {
            match inner {
                Some(inner) => handle(inner, request).await,
                None => fault::cut(),
            }
        }
    })
}

pub(crate) fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// `user:password` of a Basic header; the header as it is otherwise.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<String> {
    let text = header_text(headers, header::AUTHORIZATION)?;
    let basic = text.strip_prefix("Basic ").and_then(|coded| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(coded.trim()).ok()?;
        String::from_utf8(bytes).ok()
    });
    Some(basic.unwrap_or(text))
}

async fn handle(inner: Arc<Inner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return fault::cut();
    };
    let agent = header_text(&parts.headers, header::USER_AGENT).unwrap_or_default();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        status: 0,
        at: inner.clock.system_time(),
        body: String::from_utf8_lossy(&body).into_owned(),
        authorization: authorization(&parts.headers),
        git_protocol: header_text(&parts.headers, header::HeaderName::from_static("git-protocol")),
        user_agent: agent.clone(),
    };
    let (index, faults) = {
        let mut state = inner.state.lock().expect("no code panics while holding this lock");
        state.calls.push(call);
        (state.calls.len() - 1, state.matching(&repository(parts.uri.path()), &agent))
    };
    // as forges do: an agent that is not git's gets the page of a person
    let mut response = if agent.starts_with("git/") {
        answer(&inner, &parts, body, faults).await
    } else {
        fault::answer(404, "text/html; charset=utf-8", "<!DOCTYPE html>\n<title>Not found</title>\n".to_owned())
    };
    if let Ok(date) = HeaderValue::from_str(&inner.clock.http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    if response.extensions().get::<fault::Cut>().is_none() {
        let mut state = inner.state.lock().expect("no code panics while holding this lock");
        // A test may have cleared the record meanwhile.
        if let Some(call) = state.calls.get_mut(index) {
            call.status = response.status().as_u16();
        }
    }
    response
}

impl super::State {
    /// The faults that concern a request, in the order they were made; those made for one answer are spent.
    fn matching(&mut self, repository: &str, agent: &str) -> Vec<UpstreamFault> {
        let mut matching = Vec::new();
        self.scripts.retain(|script| {
            let concerns =
                script.repository.as_deref().is_none_or(|name| name == repository) && script.reader.is(agent);
            if concerns {
                matching.push(script.fault.clone());
            }
            !(concerns && script.once)
        });
        matching
    }
}

/// The repository that a path names, without `.git` and without the detour of a redirect.
fn repository(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("moved/").unwrap_or(path);
    let path = path.strip_suffix("/info/refs").or_else(|| path.strip_suffix("/git-upload-pack")).unwrap_or(path);
    path.strip_suffix(".git").unwrap_or(path).to_owned()
}

async fn answer(inner: &Inner, parts: &Parts, body: Bytes, faults: Vec<UpstreamFault>) -> Response {
    let (mut v0_only, mut shallow) = (false, false);
    let (mut keep, mut age) = (None, None);
    let is_post = parts.method == http::Method::POST;
    let mut trickle = None;
    for fault in faults {
        match fault {
            UpstreamFault::Delay(delay) => inner.clock.sleep(delay).await,
            UpstreamFault::V0Only => v0_only = true,
            UpstreamFault::Truncate(bytes) => keep = Some((bytes, false)),
            UpstreamFault::CutAfter(bytes) => keep = Some((bytes, true)),
            UpstreamFault::Trickle(bytes, pause) => trickle = Some((bytes, pause)),
            UpstreamFault::Hang => std::future::pending().await,
            UpstreamFault::Unreached(why) => return fault::unreached(why),
            UpstreamFault::Drop => return fault::cut(),
            UpstreamFault::Empty200 => return fault::answer(200, ADVERTISEMENT, String::new()),
            UpstreamFault::OneLine200 => {
                return fault::answer(200, ADVERTISEMENT, "001e# service=git-upload-pack\n0000".to_owned());
            }
            UpstreamFault::EmptyV0 => {
                return fault::answer(200, ADVERTISEMENT, "001e# service=git-upload-pack\n00000000".to_owned());
            }
            UpstreamFault::EmptyPlain => return fault::answer(200, "text/plain", String::new()),
            UpstreamFault::Html => {
                return fault::answer(200, "text/html", "<html>maintenance</html>".to_owned());
            }
            UpstreamFault::HtmlPage => {
                let page = "<html>\n<body>\nmaintenance\n</body>\n</html>\n";
                return fault::answer(200, "text/html", page.to_owned());
            }
            UpstreamFault::Status(status) => return refusal(status),
            UpstreamFault::Response(status, headers) => return fault::answer_with(status, &headers, "no\n".to_owned()),
            UpstreamFault::Page(status, headers, body) => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                return fault::answer_with(status, &headers, body.to_owned());
            }
            UpstreamFault::SecondRefused { status, v0 } => {
                let is_first = parts.headers.contains_key("git-protocol") && !is_post;
                if !is_first && (is_post || !v0) {
                    return refusal(status);
                }
            }
            UpstreamFault::GitError(words) => {
                let error = crate::store::packet(&format!("ERR {words}"));
                if is_post {
                    return fault::answer(200, RESULT, error);
                } else if v0_only {
                    let service = "001e# service=git-upload-pack\n0000";
                    return fault::answer(200, ADVERTISEMENT, format!("{service}{error}"));
                }
            }
            UpstreamFault::Aged(seconds) => age = Some(seconds),
            UpstreamFault::Shallow => (v0_only, shallow) = (true, true),
            UpstreamFault::PlainFiles => {
                let refs = inner.store.heads_and_tags(&inner.git_dir(&repository(parts.uri.path())));
                let lines = refs.iter().fold(String::new(), |lines, (name, id)| lines + id + "\t" + name + "\n");
                return fault::answer(200, "text/plain", lines);
            }
            UpstreamFault::Redirect if parts.uri.path().starts_with("/moved/") => {}
            UpstreamFault::Redirect => return moved(parts),
        }
    }
    let credential = inner.state.lock().expect("no code panics while holding this lock").credential.clone();
    if let Some((user, password)) = credential
        && authorization(&parts.headers) != Some(format!("{user}:{password}"))
    {
        return refusal(401);
    }
    let mut response = repository_answer(inner, parts, body, v0_only).await;
    if let Some(age) = age {
        response.headers_mut().insert(header::AGE, HeaderValue::from(age));
    }
    if shallow {
        response = with_a_shallow_line(response).await;
    }
    if let Some((bytes, pause)) = trickle {
        return fault::trickling(without_length(response), bytes, pause).await;
    }
    match keep {
        Some((bytes, cut)) => fault::with_body(without_length(response), None, bytes, cut).await,
        None => response,
    }
}

fn without_length(mut response: Response) -> Response {
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// The advertisement with the line that a shallow repository puts before its flush.
async fn with_a_shallow_line(response: Response) -> Response {
    let (parts, body) = without_length(response).into_parts();
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return fault::cut();
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = crate::store::packet(&format!("shallow {}", "5".repeat(40)));
    let text = text.strip_suffix("0000").map_or_else(|| text.clone(), |list| format!("{list}{line}0000"));
    Response::from_parts(parts, text.into())
}

/// A refusal in one word: git shows it as `remote: no`.
fn refusal(status: u16) -> Response {
    let mut response = fault::answer(status, "text/plain", "no\n".to_owned());
    match status {
        401 => {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"upstream\""));
        }
        429 => {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

fn moved(parts: &Parts) -> Response {
    let mut response = fault::answer(301, "text/plain", String::new());
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if let Ok(location) = HeaderValue::from_str(&format!("/moved{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

async fn repository_answer(inner: &Inner, parts: &Parts, body: Bytes, v0_only: bool) -> Response {
    let path = parts.uri.path();
    let mut name = repository(path);
    let agent = header_text(&parts.headers, header::USER_AGENT).unwrap_or_default();
    let lags = |(lagging, reader): &(String, Reader)| *lagging == name && reader.is(&agent);
    if inner.state.lock().expect("no code panics while holding this lock").lags.iter().any(lags) {
        name = super::lagging(&name);
    }
    let folder = inner.git_dir(&name);
    let path_info = if path.ends_with("/info/refs") {
        "/info/refs"
    } else if path.ends_with("/git-upload-pack") {
        "/git-upload-pack"
    } else {
        return refusal(404);
    };
    if !inner.store.exists(&folder) {
        return plain(StatusCode::NOT_FOUND, "Repository not found.\n");
    }
    let git_protocol = header_text(&parts.headers, header::HeaderName::from_static("git-protocol"));
    let request = Backend {
        folder,
        path_info,
        method: parts.method.to_string(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: header_text(&parts.headers, header::CONTENT_TYPE).unwrap_or_default(),
        content_encoding: header_text(&parts.headers, header::CONTENT_ENCODING),
        git_protocol: git_protocol.filter(|_| !v0_only),
        body,
    };
    inner.store.serve(request).await
}
