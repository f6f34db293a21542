//! Forward proxies from the environment, and the addresses that bypass them.
//!
//! Owns the meaning of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. Upper case wins over lower case, and an
//! empty variable counts as unset. Never shows more of a proxy than host and port, because its URL may hold a password.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// Lookup of an environment variable.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Proxies and exceptions of the environment.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    not: Vec<Exception>,
}

/// A variable that is set.
#[derive(Clone)]
struct Setting {
    variable: &'static str,
    proxy: Result<Proxy, &'static str>,
}

/// A forward proxy.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq)]
struct Exception {
    host: Excepted,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Excepted {
    Everything,
    Network(IpAddr, u8),
    /// A domain and all its subdomains.
    Domain(String),
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{host}:{}", self.url.port_or_known_default().unwrap_or_default())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = [&self.http, &self.https].map(|setting| setting.as_ref().map(|setting| setting.variable));
        f.debug_struct("Proxies").field("variables", &variables).field("not", &self.not).finish()
    }
}

impl Proxies {
    /// Reads the environment variables.
    #[must_use]
    pub fn from_variables(variables: Variables<'_>) -> Self {
        let all = || setting(variables, "ALL_PROXY", "all_proxy");
        let not = lookup(variables, "NO_PROXY", "no_proxy").unwrap_or_default();
        Self {
            http: setting(variables, "HTTP_PROXY", "http_proxy").or_else(all),
            https: setting(variables, "HTTPS_PROXY", "https_proxy").or_else(all),
            not: not.split([',', ' ']).filter(|entry| !entry.is_empty()).map(exception).collect(),
        }
    }

    /// The proxy for an address; `None` if there is none or it cannot be used.
    #[must_use]
    pub fn before(&self, address: &Url) -> Option<&Proxy> {
        self.setting_for(address)?.proxy.as_ref().ok()
    }

    /// The variable that sets the proxy for an address, with the proxy or the reason why it is unusable.
    #[must_use]
    pub fn used_by(&self, address: &Url) -> Option<(&'static str, Result<&Proxy, &'static str>)> {
        self.setting_for(address).map(|setting| (setting.variable, setting.proxy.as_ref().map_err(|wrong| *wrong)))
    }

    /// Every variable that cannot be used, with the reason.
    pub fn unusable(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let wrong = |setting: &Setting| Some((setting.variable, setting.proxy.as_ref().err().copied()?));
        let [http, https] = [&self.http, &self.https].map(|setting| setting.as_ref().and_then(wrong));
        http.into_iter().chain(https.filter(move |https| http.as_ref() != Some(https)))
    }

    fn setting_for(&self, address: &Url) -> Option<&Setting> {
        let setting = match address.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        };
        setting.filter(|_| !self.not.iter().any(|exception| exception.covers(address)))
    }
}

impl Proxy {
    /// Address with credential, for the HTTP client only.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

fn lookup(variables: Variables<'_>, capitals: &str, small: &str) -> Option<String> {
    [capitals, small]
        .into_iter()
        .filter_map(variables)
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
}

fn setting(variables: Variables<'_>, capitals: &'static str, small: &'static str) -> Option<Setting> {
    let set = |name: &&str| variables(name).is_some_and(|value| !value.trim().is_empty());
    let variable = [capitals, small].into_iter().find(set)?;
    Some(Setting { variable, proxy: proxy(&lookup(variables, variable, variable)?) })
}

/// Parses a proxy's address. Without a scheme it is an HTTP proxy, as for curl.
fn proxy(text: &str) -> Result<Proxy, &'static str> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole)
        .map_err(|_| "this is no address of a proxy; write one such as http://proxy.example.org:3128")?;
    match url.scheme() {
        "http" | "https" => Ok(Proxy { url }),
        "socks4" | "socks4a" | "socks5" | "socks5h" => {
            Err("SOCKS is not supported; name an HTTP proxy, such as http://proxy.example.org:3128")
        }
        _ => Err("a proxy is reached by http or https; write one such as http://proxy.example.org:3128"),
    }
}

/// Parses an entry: `*`, an address, a network or a domain (also as `.domain` and `*.domain`), with an optional port.
fn exception(entry: &str) -> Exception {
    let everything = |port| Exception { host: Excepted::Everything, port };
    let address = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let one = |ip: IpAddr| Excepted::Network(ip, if ip.is_ipv4() { 32 } else { 128 });
    if let Some(ip) = address(entry) {
        return Exception { host: one(ip), port: None };
    }
    if let Some((ip, bits)) = entry.split_once('/')
        && let (Some(ip), Ok(bits)) = (address(ip), bits.parse())
    {
        return Exception { host: Excepted::Network(ip, bits), port: None };
    }
    let (host, port) = match entry.rsplit_once(':').map(|(host, port)| (host, port.parse().ok())) {
        Some((host, port @ Some(_))) => (host, port),
        Some((_, None)) | None => (entry, None),
    };
    if host == "*" {
        return everything(port);
    }
    let domain = || Excepted::Domain(host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase());
    Exception { host: address(host).map_or_else(domain, one), port }
}

impl Exception {
    fn covers(&self, address: &Url) -> bool {
        if self.port.is_some() && self.port != address.port_or_known_default() {
            return false;
        }
        match (&self.host, address.host()) {
            (Excepted::Everything, _) => true,
            (Excepted::Network(network, bits), Some(Host::Ipv4(ip))) => within(*network, *bits, ip.into()),
            (Excepted::Network(network, bits), Some(Host::Ipv6(ip))) => within(*network, *bits, ip.into()),
            (Excepted::Domain(domain), Some(Host::Domain(host))) => {
                let host = host.trim_end_matches('.');
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    && !domain.is_empty()
            }
            (Excepted::Network(..) | Excepted::Domain(_), _) => false,
        }
    }
}

fn within(network: IpAddr, bits: u8, ip: IpAddr) -> bool {
    let (network, ip, width) = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (u128::from(network.to_bits()), u128::from(ip.to_bits()), 32),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits(), ip.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    // A shift by the whole width would overflow.
    let beyond = u32::from(width - bits.min(width));
    (network ^ ip).checked_shr(beyond).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Proxies::from_variables(&|name| {
            variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        })
    }

    fn before(proxies: &Proxies, address: &str) -> Option<String> {
        proxies.before(&Url::parse(address).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_variable_in_capitals_or_small_letters_and_one_for_both() {
        const UPSTREAM: &str = "https://github.com/a/b";
        for (variables, https, http) in [
            (&[("HTTPS_PROXY", "http://one:3128")][..], Some("one:3128"), None),
            (&[("https_proxy", "one:3128")], Some("one:3128"), None),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "http://one")], Some("one:80"), None),
            (&[("HTTPS_PROXY", "http://one"), ("https_proxy", "http://two")], Some("one:80"), None),
            (&[("ALL_PROXY", "https://all")], Some("all:443"), Some("all:443")),
            (&[("ALL_PROXY", "http://all"), ("HTTP_PROXY", "http://two:8080/")], Some("all:80"), Some("two:8080")),
            (&[("HTTP_PROXY", " http://u:p%40ss@two:8080 ")], None, Some("two:8080")),
            (&[("HTTPS_PROXY", "http://[::1]:3128")], Some("[::1]:3128"), None),
        ] {
            let proxies = proxies(variables);
            assert_eq!(before(&proxies, UPSTREAM).as_deref(), https, "{variables:?}");
            assert_eq!(before(&proxies, "http://git.example.org/a").as_deref(), http, "{variables:?}");
            let shown = format!("{proxies:?}");
            assert!(!shown.contains("p%40ss"), "{shown}");
        }
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_where_an_address_would_use_it() {
        for wrong in ["socks5://one:1080", "ftp://one", "http://", "http://one:port", "://"] {
            let proxies = proxies(&[("HTTPS_PROXY", wrong), ("NO_PROXY", "around.example.org")]);
            let used = |address: &str| proxies.used_by(&Url::parse(address).unwrap());
            let (variable, result) = used("https://github.com/a").unwrap();
            assert_eq!((variable, result.is_err()), ("HTTPS_PROXY", true), "{wrong}");
            assert!(used("https://around.example.org/a").is_none() && used("http://github.com/a").is_none());
            assert_eq!(proxies.unusable().count(), 1, "{wrong}");
        }
        assert_eq!(proxies(&[("ALL_PROXY", "socks5://one")]).unusable().count(), 1, "one variable is named once");
        assert_eq!(proxies(&[("ALL_PROXY", "http://one")]).unusable().count(), 0);
    }

    #[test]
    fn no_proxy_knows_everything_domains_addresses_networks_and_ports() {
        for (not, round, through) in [
            ("*", "https://a https://10.0.0.1 https://[::1]", ""),
            (
                "example.org",
                "https://example.org https://git.example.org https://EXAMPLE.org.",
                "https://notexample.org",
            ),
            (".example.org", "https://example.org https://git.example.org", "https://notexample.org"),
            ("*.example.org", "https://git.example.org", "https://example.com"),
            ("a, b c", "https://a https://b https://c", "https://d"),
            ("example.org:8443", "https://example.org:8443", "https://example.org https://example.org:443"),
            ("example.org:443", "https://example.org", "https://example.org:8443"),
            ("10.0.0.0/8", "https://10.1.2.3", "https://11.0.0.1 https://ten.example.org"),
            ("10.0.0.7", "https://10.0.0.7 https://10.0.0.7:8443", "https://10.0.0.8"),
            ("10.0.0.7:8443", "https://10.0.0.7:8443", "https://10.0.0.7"),
            ("fd00::/8", "https://[fd12::1]", "https://[2001:db8::1] https://10.0.0.1"),
            ("[::1]:8443", "https://[::1]:8443", "https://[::1]"),
            ("::1", "https://[::1]", "https://[::2]"),
            ("0.0.0.0/0", "https://10.0.0.1", "https://[::1] https://a"),
            ("", "", "https://a"),
            (".", "", "https://a"),
            ("10.0.0.0/99", "https://10.0.0.0", "https://10.0.0.1"),
        ] {
            let proxies = proxies(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", not)]);
            for address in round.split_whitespace() {
                assert_eq!(before(&proxies, address), None, "{not}: {address}");
            }
            for address in through.split_whitespace() {
                assert!(before(&proxies, address).is_some(), "{not}: {address}");
            }
        }
    }
}
