//! CA bundles and proxies: what of them is a fault at start.

use super::{Home, paths};
use crate::config::describe;

const AUTHORITY: &str = include_str!("../../../tests/it/kubernetes/authority/authority.pem");

fn yaml(gitea: &str, upstreams: [&str; 2]) -> String {
    let mirror = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, upstream: {{ url: 'https://git.example.org/a'{more} }}, target: {{ owner: o, repo: {name} }} }}\n"
        )
    };
    let [a, b] = upstreams;
    format!(
        "gitea: {{ url: 'https://gitea.example.org', tokenFile: TOKEN_FILE{gitea} }}\nmirrors:\n{}{}",
        mirror("a", a),
        mirror("b", b)
    )
}

#[test]
fn a_bundle_is_opened_once_for_all_that_name_it_and_described() {
    let home = Home::new();
    let named = format!(", caFile: '{}'", home.write("ca.crt", AUTHORITY));
    let loaded = home.load_file(&yaml(&named, [&named, &named])).unwrap();
    let bundles: Vec<_> = loaded.config.mirrors.iter().map(|mirror| mirror.bundle.clone().unwrap()).collect();
    assert!(std::sync::Arc::ptr_eq(&bundles[0], &bundles[1]));
    assert_eq!(loaded.config.gitea.bundle.as_ref().unwrap().setting(), "gitea.caFile");
    assert_eq!(describe(&loaded.config).matches("the system's, and 1 certificate in").count(), 3);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_bundle_that_cannot_be_used_is_a_fault_with_its_place() {
    let home = Home::new();
    let named = |name: &str, text: &str| format!(", caFile: '{}'", home.write(name, text));
    let key = format!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{AUTHORITY}");
    let (empty, good, key) = (named("empty", ""), named("ca.crt", AUTHORITY), named("key", &key));
    let missing = format!(", caFile: '{}'", home.path("missing"));
    let faults = home.load_file(&yaml(&missing, [&empty, &empty])).unwrap_err();
    let wanted = ["gitea.caFile", "mirrors[0].upstream.caFile", "mirrors[1].upstream.caFile"];
    assert_eq!(paths(&faults), wanted, "{faults}");
    assert!(faults.to_string().contains("missing does not exist"), "{faults}");
    assert!(faults.to_string().contains("empty holds no certificate"), "{faults}");
    // one upstream cannot be trusted for one mirror and not for the other
    let faults = home.load_file(&yaml("", [&good, ""])).unwrap_err();
    assert!(faults.to_string().contains("the same upstream and another caFile"), "{faults}");
    let loaded = home.load_file(&yaml(&key, ["", ""])).unwrap();
    assert!(loaded.warnings.iter().any(|warning| warning.contains("private key")), "{:?}", loaded.warnings);
}

#[test]
fn a_proxy_that_a_configured_address_would_use_has_to_be_usable() {
    let home = Home::new();
    for (variables, fault) in [
        (&[("HTTPS_PROXY", "socks5://proxy:1080")][..], Some("HTTPS_PROXY")),
        (&[("ALL_PROXY", "socks5://proxy:1080")], Some("ALL_PROXY")),
        (&[("https_proxy", "http://u:hunter2@proxy:port")], Some("HTTPS_PROXY")),
        (&[("HTTPS_PROXY", "socks5://proxy:1080"), ("NO_PROXY", "github.com")], None),
        (&[("HTTPS_PROXY", "socks5://proxy:1080"), ("NO_PROXY", "*")], None),
        (&[("HTTP_PROXY", "socks5://proxy:1080")], None),
    ] {
        match (home.load_environment(variables), fault) {
            (Err(faults), Some(fault)) => {
                assert_eq!(paths(&faults)[0].to_uppercase(), fault, "{faults}");
                assert!(faults.to_string().contains("https://github.com/openova-io/openova"), "{faults}");
                assert!(!faults.to_string().contains("hunter2"), "{faults}");
            }
            (Ok(loaded), None) => {
                assert_eq!(loaded.warnings.len(), 1, "{variables:?} {:?}", loaded.warnings);
                assert!(loaded.warnings[0].contains("SOCKS is not supported"), "{:?}", loaded.warnings);
            }
            (result, fault) => panic!("{variables:?}: {fault:?} {result:?}"),
        }
    }
    let loaded = home.load_environment(&[("HTTPS_PROXY", "http://u:hunter2@proxy.example.org:3128")]).unwrap();
    let described = describe(&loaded.config);
    assert!(described.contains("proxy.example.org:3128") && !described.contains("hunter2"), "{described}");
}

#[test]
fn the_systems_certificates_are_a_fault_where_a_variable_names_what_cannot_be_used() {
    let home = Home::new();
    let (missing, empty, good) = (home.path("missing"), home.write("empty", ""), home.write("ca.crt", AUTHORITY));
    for (variables, fault) in [
        (vec![("SSL_CERT_FILE", missing.as_str())], Some("SSL_CERT_FILE")),
        (vec![("SSL_CERT_FILE", &empty)], Some("SSL_CERT_FILE")),
        (vec![("SSL_CERT_DIR", &missing)], Some("SSL_CERT_DIR")),
        (vec![("SSL_CERT_FILE", &good)], None),
        (vec![("SSL_CERT_FILE", "")], None),
    ] {
        match home.load_environment(&variables) {
            Err(faults) => assert_eq!(paths(&faults), Vec::from_iter(fault), "{faults}"),
            Ok(_) => assert_eq!(fault, None, "{variables:?}"),
        }
    }
}
