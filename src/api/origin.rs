//! Under which names we are called, and from which pages.
//!
//! Owns `Host`, `Origin` and `Sec-Fetch-Site`, and the headers by which a browser lets a page of another origin read our
//! answers. A name can be made to point here by whoever owns it, and a page can send requests from inside its reader's
//! network: both are stopped here, before a credential is looked at. Says nothing of credentials and never allows any
//! origin that is not configured.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Version};

use super::problem::Refusal;
use crate::domain::problem::Code;

/// The names that are configured.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Host names under which we are called, in lower case; empty: any, where callers have to show a token.
    pub hosts: Vec<String>,
    /// Origins whose pages may call, as browsers send them.
    pub origins: Vec<String>,
}

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The headers of ours that a page of another origin may send.
const MAY_SEND: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-none-match, idempotency-key, last-event-id, prefer");

/// The headers of ours that such a page may read, beside those that every page may.
const MAY_READ: HeaderValue = HeaderValue::from_static(
    "allow, etag, idempotency-replayed, location, preference-applied, retry-after, x-request-id",
);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Names {
    /// Whether the request is for a name that is served, and from a place that may ask. `anonymous`: no token is asked
    /// for, so that only names that cannot be made to point here are served.
    pub(super) fn check<B>(&self, anonymous: bool, request: &http::Request<B>) -> Result<(), Refusal> {
        let authority = authority(request)?;
        if let Some(authority) = &authority {
            self.check_host(anonymous, authority.host())?;
        }
        self.check_origin(request.method(), request.headers(), authority.as_ref())
    }

    fn check_host(&self, anonymous: bool, host: &str) -> Result<(), Refusal> {
        let any = self.hosts.is_empty() && !anonymous;
        let listed = || self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
        if any || is_local(host) || listed() {
            return Ok(());
        }
        let detail = if self.hosts.is_empty() {
            "without authentication only IP literals and localhost are served"
        } else {
            "this host name is not one of those in server.hosts"
        };
        Err(Refusal::new(Code::HostNotAllowed, detail))
    }

    fn check_origin(&self, method: &Method, headers: &HeaderMap, here: Option<&Authority>) -> Result<(), Refusal> {
        let refuse = |detail: &str| Err(Refusal::new(Code::OriginNotAllowed, detail));
        let cross_site = headers.get(SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"cross-site");
        let mut all = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = all.next() else {
            // reading across sites is what a link does; its page does not see the answer
            return if cross_site && !method.is_safe() {
                refuse("a page of another site may not ask for this, and it does not say which it is")
            } else {
                Ok(())
            };
        };
        if all.next().is_some() {
            return Err(Refusal::new(Code::MalformedRequest, "the request has two `Origin` headers"));
        }
        let ours = !cross_site && here.is_some_and(|here| is_same(origin, here));
        if ours || self.is_configured(origin) {
            return Ok(());
        }
        refuse("the page that asks is of an origin that is not in server.origins")
    }

    fn is_configured(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|configured| configured.as_bytes() == origin.as_bytes())
    }

    /// The configured origin that a request comes from, if it does.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut all = headers.get_all(header::ORIGIN).iter();
        let origin = all.next().filter(|_| all.next().is_none())?;
        self.is_configured(origin).then(|| origin.clone())
    }

    /// What an answer has to have for a browser, once any origin is configured.
    pub(super) fn describe(&self, allowed: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, MAY_READ);
        }
    }
}

/// What an answer to a preflight adds, for an origin that is configured.
pub(super) fn describe_preflight(methods: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, MAY_SEND);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

/// The one host name of a request; `None`: there is none, and need not be.
fn authority<B>(request: &http::Request<B>) -> Result<Option<Authority>, Refusal> {
    let malformed = |detail| Refusal::new(Code::MalformedRequest, detail);
    let mut all = request.headers().get_all(header::HOST).iter();
    let named = all.next();
    if all.next().is_some() {
        return Err(malformed("the request has two `Host` headers"));
    }
    // a request to a proxy names the host in its first line, which wins
    match (request.uri().authority(), named) {
        (Some(authority), _) => Ok(Some(authority.clone())),
        (None, Some(value)) => Authority::try_from(value.as_bytes())
            .map(Some)
            .map_err(|_| malformed("the `Host` header is not a host name")),
        // HTTP/1.0 knows no host names, so nobody was fooled by one
        (None, None) if request.version() < Version::HTTP_11 => Ok(None),
        (None, None) => Err(malformed("the request has no `Host` header")),
    }
}

/// A page that we have served ourselves.
fn is_same(origin: &HeaderValue, here: &Authority) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(here.as_str()))
}

fn is_local(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &[&str], origins: &[&str]) -> Names {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Names { hosts: own(hosts), origins: own(origins) }
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap()
    }

    fn hosted(names: &Names, anonymous: bool, hosts: &[&str]) -> Result<(), Code> {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        names.check(anonymous, &request("GET", "/status", &headers)).map_err(|refusal| refusal.code())
    }

    #[test]
    fn a_host_name_is_served_with_authentication_or_when_it_is_listed() {
        let (none, listed) = (names(&[], &[]), names(&["cutover.example.org"], &[]));
        for host in ["127.0.0.1:8080", "10.0.0.7", "localhost", "LOCALHOST:8080", "[::1]:8080"] {
            for (names, anonymous) in [(&none, true), (&none, false), (&listed, true), (&listed, false)] {
                assert_eq!(hosted(names, anonymous, &[host]), Ok(()), "{host}");
            }
        }
        for host in ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "2130706433"] {
            assert_eq!(hosted(&none, true, &[host]), Err(Code::HostNotAllowed), "{host}");
            assert_eq!(hosted(&listed, false, &[host]), Err(Code::HostNotAllowed), "{host}");
        }
        assert!(hosted(&none, true, &["[evil]"]).is_err());
        assert_eq!(hosted(&none, false, &["cutover-api.cutover.svc:8080"]), Ok(()));
        assert_eq!(hosted(&listed, false, &["Cutover.Example.org:443"]), Ok(()));
        assert_eq!(hosted(&listed, true, &["cutover.example.org"]), Ok(()));
        for bad in [&[][..], &["a", "b"], &["a b"], &[""]] {
            assert_eq!(hosted(&none, false, bad), Err(Code::MalformedRequest), "{bad:?}");
        }
        let fooled = none.check(true, &request("GET", "http://evil.test/status", &[("host", "localhost")]));
        assert_eq!(fooled.unwrap_err().code(), Code::HostNotAllowed);
        let mut old = request("GET", "/healthz", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(none.check(true, &old).is_ok());
    }

    #[test]
    fn a_page_may_ask_when_its_origin_is_configured_or_our_own() {
        let names = names(&[], &["https://console.example.org"]);
        let ask = |method: &str, headers: &[(&str, &str)]| {
            let mut all = vec![("host", "cutover:8080")];
            all.extend(headers);
            names.check(false, &request(method, "/x", &all)).map_err(|refusal| refusal.code())
        };
        let no = Err(Code::OriginNotAllowed);
        for method in ["GET", "POST"] {
            assert_eq!(ask(method, &[]), Ok(()));
            assert_eq!(ask(method, &[("origin", "https://console.example.org")]), Ok(()));
            assert_eq!(ask(method, &[("origin", "http://cutover:8080")]), Ok(()));
            for bad in [
                "null",
                "",
                "https://evil.test",
                "https://console.example.org.evil.test",
                "https://console.example.org:8443",
                "http://console.example.org",
                "HTTPS://CONSOLE.EXAMPLE.ORG",
                "https://console.example.org/",
                "http://cutover",
                "file://cutover:8080",
                "\u{e4}",
            ] {
                assert_eq!(ask(method, &[("origin", bad)]), no, "{bad}");
            }
            let two = [("origin", "https://console.example.org"), ("origin", "https://evil.test")];
            assert_eq!(ask(method, &two), Err(Code::MalformedRequest));
        }
        assert_eq!(ask("POST", &[("sec-fetch-site", "cross-site")]), no);
        assert_eq!(ask("GET", &[("sec-fetch-site", "cross-site")]), Ok(()));
        for site in ["same-origin", "same-site", "none"] {
            assert_eq!(ask("POST", &[("sec-fetch-site", site)]), Ok(()));
        }
        assert_eq!(ask("POST", &[("sec-fetch-site", "cross-site"), ("origin", "http://cutover:8080")]), no);
        // what is configured is expected to be another site
        let console = [("sec-fetch-site", "cross-site"), ("origin", "https://console.example.org")];
        assert_eq!(ask("POST", &console), Ok(()));
    }

    #[test]
    fn without_a_configured_origin_no_answer_speaks_of_origins() {
        let mut headers = HeaderMap::new();
        names(&[], &[]).describe(None, &mut headers);
        assert!(headers.is_empty());
        names(&[], &["https://a.test"]).describe(None, &mut headers);
        assert_eq!(headers[header::VARY], "origin");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
