//! Who may call: host names, credentials and roles, checked before anything of a request is read.
//!
//! Owns the order: host, credential, role. Holds no token: an [`Authenticator`] judges what is presented. Never logs
//! or answers with what was presented.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header, uri::Authority};

use super::edge::Edge;
use super::problem::Refusal;
use crate::domain::access::{Principal, Role};
use crate::domain::problem::Code;
use crate::metrics::AuthFailure;

/// No token that we know of comes near this length.
const LONGEST_TOKEN: usize = 4_096;

/// Judges what a caller presents.
pub trait Authenticator: Send + Sync {
    /// Who presents this token; `None`: nobody that we know. Takes the same time for every token.
    ///
    /// # Errors
    /// The list of tokens cannot be read; the text says why, for the log, and holds no secret. The caller is refused.
    fn authenticate(&self, presented: &str) -> Result<Option<Principal>, String>;
}

/// Who is let in.
#[derive(Clone)]
pub enum Access {
    /// Everybody, as an operator named `anonymous`. Only IP literals and `localhost` are served as host names then,
    /// since a name can be made to point here by a page in somebody's browser.
    Anonymous,
    /// Whoever presents a token.
    Tokens(Arc<dyn Authenticator>),
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A principal with at least this role.
    Role(Role),
}

/// Lets a request through to its route, with its [`Principal`], or refuses it.
pub(super) async fn gate(
    State((edge, needs)): State<(Arc<Edge>, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = check_host(&edge.access, &request) {
        return refusal.into_response();
    }
    let Needs::Role(role) = needs else { return next.run(request).await };
    let principal = match identify(&edge, request.headers()) {
        Ok(principal) => principal,
        Err(refusal) => return refusal.into_response(),
    };
    let mut response = if principal.role.covers(role) {
        request.extensions_mut().insert(principal.clone());
        next.run(request).await
    } else {
        edge.metrics.auth_failure(AuthFailure::Forbidden);
        let detail = format!("this call needs the role {role}; this token's is {}", principal.role);
        Refusal::new(Code::Forbidden, detail).into_response()
    };
    // for the audit line, which the outermost layer writes
    response.extensions_mut().insert(principal);
    response
}

fn identify(edge: &Edge, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let authenticator = match &edge.access {
        Access::Anonymous => return Ok(Principal { name: "anonymous".to_owned(), role: Role::Operator }),
        Access::Tokens(authenticator) => authenticator,
    };
    let refuse = |reason| {
        edge.metrics.auth_failure(reason);
        Refusal::unauthenticated()
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(refuse(AuthFailure::Missing));
    }
    let presented = bearer(headers).ok_or_else(|| refuse(AuthFailure::Invalid))?;
    match authenticator.authenticate(presented) {
        Ok(Some(principal)) => Ok(principal),
        Ok(None) => Err(refuse(AuthFailure::Invalid)),
        Err(why) => {
            tracing::error!(error = %why, "No caller can be let in: the tokens cannot be read");
            Err(refuse(AuthFailure::Unavailable))
        }
    }
}

/// The one bearer token of a request, if it has exactly one and nothing else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let sound = !token.is_empty() && token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && sound).then_some(token)
}

/// The one host name of a request, and whether it is served.
fn check_host<B>(access: &Access, request: &http::Request<B>) -> Result<(), Refusal> {
    let malformed = |detail| Refusal::new(Code::MalformedRequest, detail);
    let mut all = request.headers().get_all(header::HOST).iter();
    let named = all.next();
    if all.next().is_some() {
        return Err(malformed("the request has two `Host` headers"));
    }
    // a request to a proxy names the host in its first line, which wins
    let authority = match (request.uri().authority(), named) {
        (Some(authority), _) => authority.clone(),
        (None, Some(value)) => {
            Authority::try_from(value.as_bytes()).map_err(|_| malformed("the `Host` header is not a host name"))?
        }
        // HTTP/1.0 knows no host names, so nobody was fooled by one
        (None, None) if request.version() < http::Version::HTTP_11 => return Ok(()),
        (None, None) => return Err(malformed("the request has no `Host` header")),
    };
    match access {
        Access::Anonymous if !is_local(authority.host()) => {
            Err(Refusal::new(Code::HostNotAllowed, "without authentication only IP literals and localhost are served"))
        }
        Access::Anonymous | Access::Tokens(_) => Ok(()),
    }
}

fn is_local(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    struct Nobody;

    impl Authenticator for Nobody {
        fn authenticate(&self, _: &str) -> Result<Option<Principal>, String> {
            Ok(None)
        }
    }

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn only_one_whole_bearer_token_is_one() {
        let long = format!("Bearer {}", "x".repeat(8_192));
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["Bearer abc"], Some("abc")),
            (&["bearer abc"], Some("abc")),
            (&["Bearer   abc"], Some("abc")),
            (&[], None),
            (&[""], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Bearer a b"], None),
            (&["Bearer a\tb"], None),
            (&["Bearer tökén"], None),
            (&["Basic YTpi"], None),
            (&["abc"], None),
            (&["Bearer a", "Bearer a"], None),
            (&[&long], None),
        ];
        for (values, expected) in cases {
            assert_eq!(bearer(&headers(&header::AUTHORIZATION, values)), *expected, "{values:?}");
        }
    }

    #[test]
    fn a_name_is_served_with_authentication_only() {
        let request = |uri: &str, hosts: &[&str]| {
            let mut request = http::Request::builder().uri(uri).body(()).unwrap();
            *request.headers_mut() = headers(&header::HOST, hosts);
            request
        };
        let code = |access: &Access, hosts: &[&str]| {
            check_host(access, &request("/status", hosts)).map_err(|refusal| refusal.code())
        };
        for host in ["127.0.0.1:8080", "10.0.0.7", "localhost", "LOCALHOST:8080", "[::1]:8080"] {
            assert_eq!(code(&Access::Anonymous, &[host]), Ok(()), "{host}");
        }
        let tokens = Access::Tokens(Arc::new(Nobody));
        for host in ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "[evil]", "2130706433"] {
            assert!(code(&Access::Anonymous, &[host]).is_err(), "{host}");
        }
        assert_eq!(code(&Access::Anonymous, &["evil.test"]), Err(Code::HostNotAllowed));
        assert_eq!(code(&tokens, &["cutover-api.cutover.svc:8080"]), Ok(()));
        for access in [&Access::Anonymous, &tokens] {
            for bad in [&[][..], &["a", "b"], &["a b"], &[""]] {
                assert_eq!(code(access, bad), Err(Code::MalformedRequest), "{bad:?}");
            }
        }
        let fooled = check_host(&Access::Anonymous, &request("http://evil.test/status", &["localhost"]));
        assert_eq!(fooled.unwrap_err().code(), Code::HostNotAllowed);
        let mut old = request("/healthz", &[]);
        *old.version_mut() = http::Version::HTTP_10;
        assert!(check_host(&Access::Anonymous, &old).is_ok());
    }
}
