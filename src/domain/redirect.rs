//! Targets of upstream's redirects, classified without following them.
//!
//! Owns when a target is the repository's new address and may be recommended: on the same host, or with https in place
//! of http. Never recommends an address on another host. Never shows credential, query or fragment of a `Location`.

use url::Url;

use super::url::UpstreamUrl;

/// Target of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A repository's address: on the same host, and of the same form as the requested one.
    Repository(UpstreamUrl),
    /// The requested address itself.
    Itself,
    /// A log-in page.
    LogIn(String),
    /// A maintenance page.
    Maintenance(String),
    /// Any other address.
    Elsewhere(String),
    /// No readable address.
    Nowhere,
}

/// Path segments of log-in pages.
const LOG_IN_PATHS: [&str; 20] = [
    "login",
    "log-in",
    "log_in",
    "signin",
    "sign-in",
    "sign_in",
    "_signin",
    "sso",
    "saml",
    "saml2",
    "oauth",
    "oauth2",
    "authorize",
    "adfs",
    "openid-connect",
    "cas",
    "auth",
    "authenticate",
    "login.aspx",
    "login.html",
];

/// Host names of log-in pages.
const LOG_IN_HOSTS: [&str; 12] =
    ["login", "signin", "sso", "auth", "accounts", "idp", "adfs", "identity", "okta", "onelogin", "auth0", "keycloak"];

/// Query parameters that hold the address to return to after a log-in.
const WAYS_BACK: [&str; 9] = [
    "samlrequest",
    "redirect_uri",
    "redirect_url",
    "return_to",
    "returnurl",
    "return_url",
    "redirect_to",
    "wctx",
    "rd",
];

/// Words in the address of a maintenance page.
const MAINTENANCE: [&str; 4] = ["maintenance", "unavailable", "downtime", "outage"];

/// Classifies a `Location` that upstream sent for the path `below`, such as `/info/refs`.
#[must_use]
pub fn target(from: &UpstreamUrl, below: &str, location: &str) -> Target {
    let asked = from.join(below);
    let Some(url) = Url::parse(&asked).ok().and_then(|asked| asked.join(location.trim()).ok()) else {
        return Target::Nowhere;
    };
    let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
        return Target::Nowhere;
    };
    let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
    if shown == asked {
        return Target::Itself;
    }
    if let Some(repository) = shown.strip_suffix(below) {
        return match UpstreamUrl::parse(repository) {
            Ok(to) if to.origin() == from.origin() => Target::Repository(to),
            Ok(to) if to.host() == from.host() && to.is_https() && !from.is_https() => Target::Repository(to),
            Ok(_) | Err(_) => Target::Elsewhere(repository.to_owned()),
        };
    }
    let path = url.path().to_ascii_lowercase();
    if MAINTENANCE.iter().any(|word| path.contains(word)) {
        return Target::Maintenance(shown);
    }
    let logs_in = path.split('/').any(|part| LOG_IN_PATHS.contains(&part))
        || host != from.host() && host.split('.').any(|label| LOG_IN_HOSTS.contains(&label))
        || url.query_pairs().any(|(name, _)| WAYS_BACK.contains(&name.to_ascii_lowercase().as_str()));
    if logs_in { Target::LogIn(shown) } else { Target::Elsewhere(shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_the_same_host_is_the_repositorys() {
        let to = |url: &str| Target::Repository(UpstreamUrl::parse(url).unwrap());
        let elsewhere = |url: &str| Target::Elsewhere(url.to_owned());
        for (from, location, target) in [
            (
                "https://git.test/a/b",
                "https://git.test/a/b.git/info/refs?service=git-upload-pack",
                to("https://git.test/a/b.git"),
            ),
            ("https://git.test/a/b", "/new/b/info/refs?service=git-upload-pack", to("https://git.test/new/b")),
            ("https://git.test/a/b", "../../c/info/refs", to("https://git.test/a/c")),
            ("http://git.test/a/b", "https://git.test/a/b/info/refs", to("https://git.test/a/b")),
            ("http://git.test:8080/a/b", "https://git.test:8443/a/b/info/refs", to("https://git.test:8443/a/b")),
            ("https://git.test/a/b", "https://u:secret@git.test/c/info/refs?token=secret#f", to("https://git.test/c")),
            // A shorter path, another port, another host.
            ("https://git.test/a/b", "http://git.test/a/b/info/refs", elsewhere("http://git.test/a/b")),
            ("https://git.test/a/b", "https://git.test:8443/a/b/info/refs", elsewhere("https://git.test:8443/a/b")),
            (
                "https://git.test/a/b",
                "https://git.test.evil.test/a/b/info/refs",
                elsewhere("https://git.test.evil.test/a/b"),
            ),
            ("https://git.test/a/b", "//evil.test/a/b/info/refs", elsewhere("https://evil.test/a/b")),
            ("https://git.test/a/b", "https://u:secret@evil.test/x?token=secret", elsewhere("https://evil.test/x")),
            ("https://git.test/a/b", "https://git.test/", elsewhere("https://git.test/")),
            ("https://git.test/a/b", "https://git.test/info/refs", elsewhere("https://git.test")),
            ("https://git.test/a/b", "https://git.test/a/b/info/refs", Target::Itself),
            ("https://git.test/a/b", "ftp://git.test/a/b/info/refs", Target::Nowhere),
            ("https://git.test/a/b", "https://", Target::Nowhere),
            ("https://git.test/a/b", "javascript:alert(1)", Target::Nowhere),
        ] {
            let from = UpstreamUrl::parse(from).unwrap();
            assert_eq!(super::target(&from, "/info/refs", location), target, "{location}");
        }
    }

    #[test]
    fn a_log_in_page_and_a_maintenance_page_are_not_a_repository() {
        let from = UpstreamUrl::parse("https://git.test/login/auth").unwrap();
        for location in [
            "/users/sign_in",
            "/user/login?redirect_to=%2f",
            "https://login.microsoftonline.com/common/oauth2/authorize?client_id=x",
            "https://spsprodweu1.vssps.visualstudio.com/_signin?realm=dev.azure.com",
            "https://company.okta.com/app/x",
            "https://portal.company.test/go?SAMLRequest=x",
            "https://idp.company.test/start",
            "/oauth2/start?rd=%2Finfo%2Frefs",
        ] {
            assert!(matches!(target(&from, "/info/refs", location), Target::LogIn(_)), "{location}");
        }
        let seen = target(&from, "/info/refs", "https://status.test/maintenance.html?x=1");
        assert_eq!(seen, Target::Maintenance("https://status.test/maintenance.html".into()));
        let repository = target(&from, "/info/refs", "/login/auth.git/info/refs");
        assert!(matches!(repository, Target::Repository(_)), "a repository may be called login: {repository:?}");
    }
}
