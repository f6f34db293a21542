//! The program before a Gitea with a certificate of its own.

use std::fs;

use super::server::{Identity, openssl_req};
use crate::process::Scene;

#[test]
fn a_gitea_with_a_certificate_of_its_own_is_used_with_its_bundle_and_no_program_starts_without_it() {
    let scene = Scene::set();
    let own = Identity::self_signed(openssl_req("gitea"));
    let yaml = fs::read_to_string(scene.path("config.yaml")).unwrap();
    let (_, rest) = yaml.split_once("url: http://").unwrap();
    let address = rest.split('\n').next().unwrap();
    let secured = format!("url: https://127.0.0.1:{}\n  caFile: gitea-ca.crt", own.stand_before(address));
    scene.write("config.yaml", &yaml.replacen(&format!("url: http://{address}"), &secured, 1));
    let told = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = scene.command(arguments);
        command.args(["--config", "config.yaml", "--tokens-file", "tokens", "--state-dir", "state"]);
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    for command in [&["check-config"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let (code, text) = told(command, &[]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("gitea.caFile") && text.contains("gitea-ca.crt does not exist"), "{text}");
    }
    scene.write("gitea-ca.crt", &own.pem());
    for (name, value, says) in [
        ("SSL_CERT_FILE", "nowhere.pem", "SSL_CERT_FILE: nowhere.pem does not exist"),
        ("SSL_CERT_DIR", "nowhere", "SSL_CERT_DIR: nowhere does not exist"),
        ("HTTP_PROXY", "socks5://user:hunter2@proxy:1080", "HTTP_PROXY: SOCKS is not supported"),
    ] {
        for command in [&["check-config"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let (code, text) = told(command, &[(name, value)]);
            assert_eq!(code, Some(2), "{name}: {text}");
            assert!(text.contains(says) && !text.contains("hunter2"), "{text}");
        }
    }
    let (code, text) = told(&["check-config"], &[("HTTPS_PROXY", "socks5://proxy:1080")]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("HTTPS_PROXY: SOCKS is not supported") && text.contains("1 certificate in"), "{text}");

    let _service = scene.serve();
    let proven = scene.ask(&["mirror", "--wait"]);
    assert_eq!(proven.status.code(), Some(0), "{}", String::from_utf8_lossy(&proven.stderr));
    fs::remove_file(scene.path("gitea-ca.crt")).unwrap();
    let again = scene.ask(&["mirror", "--wait"]);
    assert_eq!(again.status.code(), Some(0), "its last good content: {}", String::from_utf8_lossy(&again.stderr));
    let metrics = std::process::Command::new("curl").args(["-s", &scene.url("/metrics")]).output().unwrap();
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    assert!(metrics.contains("cutover_ca_bundle_usable{setting=\"gitea.caFile\"} 0"), "{metrics}");
    let log = scene.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("CA bundle cannot be used")).collect();
    assert_eq!(errors.len(), 1, "it is said once: {errors:?}");
    scene.write("gitea-ca.crt", &Identity::self_signed(openssl_req("gitea")).pem());
    let refused = scene.ask(&["mirror", "--wait", "--timeout", "3s"]);
    assert_ne!(refused.status.code(), Some(0));
    let waiting = scene.get("/status");
    assert_eq!(waiting["mirrors"][0]["waitingFor"]["error"], "gitea-tls", "{waiting:#}");
    let remedy = waiting["mirrors"][0]["waitingFor"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("Put this very certificate into the file of gitea.caFile"), "{remedy}");
}
