//! Classification of addresses: public, private, reserved, or a server that is configured already.
//!
//! Owns the ranges. Resolves no name: it is judged by its spelling, and a network policy limits what it resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

/// The kind of network that an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Presumably the internet.
    Public,
    /// In a private network, the cluster, or on this machine.
    Private,
    /// Never a repository: link-local (cloud metadata), unspecified, multicast and reserved addresses.
    Nowhere,
}

/// The network of an address, by its spelling.
pub(super) fn reach(address: &str) -> Reach {
    match Url::parse(address).as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(ip))) => reach_v4(ip),
        Ok(Some(Host::Ipv6(ip))) => reach_v6(ip),
        Ok(Some(Host::Domain(name))) => reach_name(name),
        Ok(None) | Err(_) => Reach::Nowhere,
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let metadata = ip == Ipv4Addr::new(100, 100, 100, 200);
    if metadata || a == 0 || a >= 224 || ip.is_link_local() || (a, b, c) == (192, 88, 99) {
        Reach::Nowhere
    } else if ip.is_loopback() || ip.is_private() || shared || benchmark || (a, b, c) == (192, 0, 0) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| reach_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    let metadata = ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    if ip.is_loopback() {
        Reach::Private
    } else if metadata || ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() {
        Reach::Nowhere
    } else if let [0, 0, 0, 0, 0, 0 | 0xffff, high, low] = segments {
        embedded(high, low) // IPv4-mapped and IPv4-compatible
    } else if let [0x64, 0xff9b, .., high, low] = segments {
        embedded(high, low) // NAT64
    } else if let [0x2002, high, low, ..] = segments {
        embedded(high, low) // 6to4
    } else if ip.is_unique_local() || segments[..2] == [0x2001, 0] {
        Reach::Private // Teredo hides its IPv4 address
    } else {
        Reach::Public
    }
}

fn reach_name(name: &str) -> Reach {
    let ends = |ending: &str| name == ending || name.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.'));
    if ends("metadata.google.internal") {
        Reach::Nowhere
    } else if !name.contains('.')
        || ["localhost", "local", "internal", "svc", "lan", "home.arpa", "intranet", "nip.io", "sslip.io"]
            .into_iter()
            .any(ends)
    {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// Whether two addresses have the same host and port, by their spelling.
pub(super) fn same_server(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    one.port_or_known_default() == other.port_or_known_default() && server_name(&one) == server_name(&other)
}

/// Whether an address leads to the port that cutover-api listens on.
pub(super) fn is_own_address(address: &str, listen: SocketAddr) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let here = match url.host() {
        Some(Host::Ipv4(ip)) if IpAddr::V4(ip) == listen.ip() => true,
        Some(Host::Ipv6(ip)) if IpAddr::V6(ip) == listen.ip() => true,
        host => host.is_some_and(|host| is_loopback(&host)),
    };
    here && url.port_or_known_default() == Some(listen.port())
}

/// Whether a host is this machine, by its spelling.
pub(super) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
    }
}

/// A host in a form in which names of the same server are equal.
fn server_name(url: &Url) -> String {
    match url.host() {
        Some(host) if is_loopback(&host) => "loopback".to_owned(),
        Some(Host::Domain(name)) => {
            // the cluster's DNS takes a service's name with and without these
            let name = name.strip_suffix(".cluster.local").unwrap_or(name);
            name.strip_suffix(".svc").unwrap_or(name).to_owned()
        }
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_judged_by_its_spelling() {
        let table = [
            (Reach::Public, "github.com 8.8.8.8 git.example.org [2606:4700::1] evillocalhost.com 172.32.0.1 11.0.0.1"),
            (
                Reach::Private,
                "127.0.0.1 127.0.0.2 localhost redis 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 192.0.0.1 198.18.0.1 \
                 [::1] [::ffff:127.0.0.1] [::7f00:1] [64:ff9b::7f00:1] [64:ff9b:1::a00:1] [2002:7f00:1::] [2001::1] \
                 [fd12::1] kubernetes.default.svc gitea.gitea.svc.cluster.local 127.0.0.1.nip.io git.corp.internal",
            ),
            (
                Reach::Nowhere,
                "0.0.0.0 [::] 169.254.169.254 [fd00:ec2::254] [fe80::1] metadata.google.internal 100.100.100.200 \
                 224.0.0.1 240.0.0.1 255.255.255.255 192.88.99.1 [ff02::1] [64:ff9b:1::a9fe:a9fe]",
            ),
        ];
        for (expected, hosts) in table {
            for host in hosts.split_whitespace() {
                assert_eq!(reach(&format!("https://{host}/a")), expected, "{host}");
            }
        }
    }

    #[test]
    fn one_server_is_known_under_its_several_names() {
        for (one, other) in [
            ("http://127.0.0.1:3000", "http://localhost:3000/a/b"),
            ("http://[::1]:3000", "http://127.0.0.2:3000/a"),
            ("https://git.example.org/git", "https://git.example.org:443/a/b"),
            ("http://gitea-http.gitea.svc.cluster.local:3000", "http://gitea-http.gitea.svc:3000/a"),
            ("http://gitea-http.gitea.svc.cluster.local:3000", "http://gitea-http.gitea:3000/a"),
        ] {
            assert!(same_server(one, other), "{one} {other}");
        }
        assert!(!same_server("http://localhost:3000", "http://localhost:3001/a"));
        assert!(!same_server("https://github.com", "https://github.com.evil.test/a"));
        let listen = "0.0.0.0:8080".parse().unwrap();
        assert!(is_own_address("http://127.0.0.1:8080/a", listen) && is_own_address("http://localhost:8080/a", listen));
        assert!(
            !is_own_address("http://127.0.0.1:8081/a", listen) && !is_own_address("http://10.0.0.1:8080/a", listen)
        );
        assert!(is_own_address("http://10.0.0.1:8080/a", "10.0.0.1:8080".parse().unwrap()));
    }
}
