//! The host names under which the service is called, and the pages that may change something.
//!
//! Owns `Host`, `Origin` and `Sec-Fetch-Site`, and the headers by which a browser lets a page of another origin read an
//! answer. The owner of a name can make it point here, and a page can send requests from inside its reader's network:
//! both are stopped here, before a credential is looked at. A read is answered whatever its origin, since its page
//! cannot see the answer. Never looks at `X-Forwarded-Host`: every caller may write it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Version};
use url::Url;

use super::error::ApiError;
use crate::domain::problem::Code;

/// The host names and origins that are configured.
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    /// Host names of this service, in lower case; empty: any, where callers need a token.
    pub hosts: Vec<String>,
    /// Origins whose pages may call, as browsers send them.
    pub origins: Vec<String>,
}

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The headers that a page of another origin may send.
const MAY_SEND: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-none-match, idempotency-key, last-event-id, prefer");

/// The headers that such a page may read, beside those that every page may.
const MAY_READ: HeaderValue = HeaderValue::from_static(
    "allow, etag, idempotency-replayed, location, preference-applied, retry-after, x-request-id",
);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl OriginPolicy {
    /// Whether the request is for a name that is served, and from a place that may ask. `anonymous`: no token is asked
    /// for, so that only names that cannot be made to point here are served.
    pub(super) fn check<B>(&self, anonymous: bool, request: &http::Request<B>) -> Result<(), ApiError> {
        let authority = authority(request)?;
        if let Some(authority) = &authority {
            self.check_host(anonymous, authority.host())?;
        }
        self.check_origin(request.method(), request.headers(), authority.as_ref())
    }

    fn check_host(&self, anonymous: bool, host: &str) -> Result<(), ApiError> {
        // a name that ends with a dot is the same name, written in full
        let host = host.strip_suffix('.').unwrap_or(host);
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
        Err(ApiError::new(Code::HostNotAllowed, detail))
    }

    fn check_origin(&self, method: &Method, headers: &HeaderMap, here: Option<&Authority>) -> Result<(), ApiError> {
        if method.is_safe() {
            return Ok(());
        }
        let (origin, site) = (only_one(headers, &header::ORIGIN)?, only_one(headers, &SEC_FETCH_SITE)?);
        if origin.is_some_and(|origin| self.is_configured(origin)) {
            return Ok(());
        }
        let own = |origin: &HeaderValue| here.is_some_and(|here| is_same(origin, here));
        let allowed = match site.map(HeaderValue::as_bytes) {
            // the browser has compared the page's origin with the address that it called, which `Host` need not name:
            // a proxy may have rewritten it
            Some(b"same-origin") => true,
            // no page asked for it (`none`), or nothing but `Origin` can tell: an older browser, or no browser
            Some(b"none") | None => origin.is_none_or(own),
            Some(_) => false,
        };
        if allowed {
            return Ok(());
        }
        let detail = if origin.is_some() {
            "the page that asks is of an origin that is not in server.origins"
        } else {
            "a page of another site may not ask for this, and it does not say which it is"
        };
        Err(ApiError::new(Code::OriginNotAllowed, detail))
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
fn authority<B>(request: &http::Request<B>) -> Result<Option<Authority>, ApiError> {
    let malformed = |detail| ApiError::new(Code::MalformedRequest, detail);
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
        (None, None) if request.version() < Version::HTTP_11 => return Ok(None),
        (None, None) => return Err(malformed("the request has no `Host` header")),
    };
    if authority.as_str().contains('@') {
        return Err(malformed("a user name stands before the host name"));
    }
    Ok(Some(authority))
}

/// The value of a header that a browser sends at most once.
fn only_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ApiError> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.next().is_some() {
        return Err(ApiError::new(Code::MalformedRequest, format!("the request has two `{name}` headers")));
    }
    Ok(first)
}

/// Whether a page of this origin was served under this very name. A missing port is the default of the origin's scheme:
/// what `Host` names may be https to the browser and http to this process.
fn is_same(origin: &HeaderValue, here: &Authority) -> bool {
    let Some((scheme, page)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return false };
    let Ok(page) = page.parse::<Authority>() else { return false };
    if !["http", "https"].contains(&scheme) || page.as_str().contains('@') {
        return false;
    }
    // the parser knows default ports, letters of either case and the ways to write an address
    let address = |authority: &Authority| Url::parse(&format!("{scheme}://{authority}")).ok();
    address(&page).zip(address(here)).is_some_and(|(page, here)| page.origin() == here.origin())
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

    fn names(hosts: &[&str], origins: &[&str]) -> OriginPolicy {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        OriginPolicy { hosts: own(hosts), origins: own(origins) }
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap()
    }

    fn hosted(names: &OriginPolicy, anonymous: bool, hosts: &[&str]) -> Result<(), Code> {
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
        for host in ["localhost.", "127.0.0.1.:8080"] {
            assert_eq!(hosted(&none, true, &[host]), Ok(()), "{host}");
        }
        assert_eq!(hosted(&listed, false, &["cutover.example.org.:8080"]), Ok(()));
        assert_eq!(hosted(&listed, false, &["cutover.example.org.."]), Err(Code::HostNotAllowed));
        for bad in [&[][..], &["a", "b"], &["a b"], &[""], &["evil.test@localhost"], &["a@cutover.example.org:80"]] {
            assert_eq!(hosted(&none, false, bad), Err(Code::MalformedRequest), "{bad:?}");
        }
        let fooled = none.check(true, &request("GET", "http://evil.test/status", &[("host", "localhost")]));
        assert_eq!(fooled.unwrap_err().code(), Code::HostNotAllowed);
        let mut old = request("GET", "/healthz", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(none.check(true, &old).is_ok());
    }

    fn changing(names: &OriginPolicy, host: &str, headers: &[(&str, &str)]) -> Result<(), Code> {
        let mut all = vec![("host", host)];
        all.extend(headers);
        names.check(false, &request("POST", "/x", &all)).map_err(|refusal| refusal.code())
    }

    const NO: Result<(), Code> = Err(Code::OriginNotAllowed);

    #[test]
    fn a_page_may_change_something_when_its_origin_is_listed_or_the_services_own() {
        let names = names(&[], &["https://console.example.org"]);
        let ask = |headers: &[(&str, &str)]| changing(&names, "cutover:8080", headers);
        // neither header: no browser
        assert_eq!(ask(&[]), Ok(()));
        assert_eq!(ask(&[("x-forwarded-host", "evil.test")]), Ok(()));
        // a listed origin may be another site
        for site in ["same-origin", "same-site", "cross-site", "none"] {
            assert_eq!(ask(&[("sec-fetch-site", site), ("origin", "https://console.example.org")]), Ok(()), "{site}");
        }
        assert_eq!(ask(&[("origin", "https://console.example.org")]), Ok(()));
        // the browser says so itself, whatever a proxy made of `Host`, and of `Origin` where the page has a strict
        // Referrer-Policy
        for origin in ["https://cutover.example.org", "http://cutover:8080", "null"] {
            assert_eq!(ask(&[("sec-fetch-site", "same-origin"), ("origin", origin)]), Ok(()), "{origin}");
        }
        // nobody's page, but a person
        assert_eq!(ask(&[("sec-fetch-site", "none")]), Ok(()));
        for site in ["cross-site", "same-site", "Same-Origin", "same-origin, cross-site", "other", ""] {
            assert_eq!(ask(&[("sec-fetch-site", site)]), NO, "{site}");
            assert_eq!(ask(&[("sec-fetch-site", site), ("origin", "http://cutover:8080")]), NO, "{site}");
        }
        for bad in [
            "null",
            "",
            "https://evil.test",
            "https://console.example.org.evil.test",
            "https://console.example.org:8443",
            "http://console.example.org",
            "https://console.example.org/",
            "\u{e4}",
        ] {
            assert_eq!(ask(&[("origin", bad)]), NO, "{bad}");
            assert_eq!(ask(&[("origin", bad), ("sec-fetch-site", "none")]), NO, "{bad}");
            let forwarded = [("origin", bad), ("x-forwarded-host", "evil.test"), ("forwarded", "host=evil.test")];
            assert_eq!(ask(&forwarded), NO, "{bad}");
        }
        for name in ["origin", "sec-fetch-site"] {
            assert_eq!(ask(&[(name, "same-origin"), (name, "same-origin")]), Err(Code::MalformedRequest));
        }
    }

    #[test]
    fn a_page_of_the_same_host_and_port_is_the_services_own() {
        let none = names(&[], &[]);
        for (host, origin) in [
            ("cutover:8080", "http://cutover:8080"),
            ("cutover:8080", "https://cutover:8080"),
            ("Cutover.Example.org", "https://cutover.example.org"),
            ("cutover.example.org", "https://CUTOVER.example.org"),
            // the default port of the origin's scheme, on either side
            ("cutover.example.org:443", "https://cutover.example.org"),
            ("cutover.example.org", "https://cutover.example.org:443"),
            ("cutover.example.org:80", "http://cutover.example.org"),
            ("cutover.example.org:", "http://cutover.example.org"),
            ("cutover.example.org.", "https://cutover.example.org."),
            ("[::1]:8080", "http://[::1]:8080"),
            ("[0:0::1]", "http://[::1]"),
            ("[::1]:443", "https://[::1]"),
        ] {
            assert_eq!(changing(&none, host, &[("origin", origin)]), Ok(()), "{host} {origin}");
        }
        for (host, origin) in [
            ("cutover.example.org:443", "http://cutover.example.org"),
            ("cutover.example.org:80", "https://cutover.example.org"),
            ("cutover:8080", "http://cutover"),
            ("cutover", "http://cutover:8080"),
            ("cutover:8080", "file://cutover:8080"),
            ("cutover:8080", "//cutover:8080"),
            ("cutover:8080", "cutover:8080"),
            ("cutover:8080", "http://cutover:8080/"),
            ("cutover:8080", "http://evil@cutover:8080"),
            ("cutover:8080", "http://cutover:8080.evil.test"),
            ("cutover.example.org", "https://cutover.example.org."),
            ("[::1]:8080", "http://[::2]:8080"),
            ("cutover:99999", "http://cutover"),
        ] {
            assert_eq!(changing(&none, host, &[("origin", origin)]), NO, "{host} {origin}");
        }
    }

    #[test]
    fn a_read_is_answered_whatever_its_origin_once_its_host_is_served() {
        let names = names(&["cutover.example.org"], &["https://console.example.org"]);
        for method in ["GET", "HEAD", "OPTIONS"] {
            for headers in [
                &[("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")][..],
                &[("origin", "null")],
                &[("origin", "https://evil.test"), ("origin", "https://evil.test")],
                &[("sec-fetch-site", "cross-site")],
            ] {
                let mut all = vec![("host", "cutover.example.org")];
                all.extend(headers);
                assert!(names.check(false, &request(method, "/x", &all)).is_ok(), "{method} {headers:?}");
                all[0] = ("host", "evil.test");
                let refused = names.check(false, &request(method, "/x", &all)).unwrap_err();
                assert_eq!(refused.code(), Code::HostNotAllowed);
                assert!(names.allowed(request(method, "/x", &all).headers()).is_none());
            }
        }
        // the host is judged first
        let both = [("host", "evil.test"), ("origin", "https://console.example.org")];
        assert_eq!(names.check(false, &request("POST", "/x", &both)).unwrap_err().code(), Code::HostNotAllowed);
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
