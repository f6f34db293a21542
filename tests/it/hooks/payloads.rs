//! The forges' payloads as they come, with signatures that were made by `openssl dgst -sha256 -hmac`, and what becomes of
//! each: the same code that the service runs, on nothing but headers and bytes.

use cutover_api::domain::url::UpstreamUrl;
use cutover_api::domain::webhook::{Claim, Hint, Reason, Vendor, Verifier, judge};
use secrecy::SecretString;

const SECRET: &str = "an example secret of more than 32 bytes";
const SIGNING_TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// 2026-11-23T09:00:00Z, at which the payload with a time was signed.
const NOW: i64 = 1_795_424_400;

struct Case {
    file: &'static str,
    headers: &'static [(&'static str, &'static str)],
    upstream: &'static str,
    vendor: Vendor,
    id: Option<&'static str>,
    becomes: Result<(), Reason>,
}

const GITHUB_PUSH: &str = "sha256=51b40d24df11b55dadf74e409b06522fbd92da78f8efe09338f9e7cd44df9bf3";
const GITEA_PUSH: &str = "3cba01c7551314aff153c228dbe1f2cdd191d9abf8d64c15fe09ef3385707bdc";
const GITEA_TEST: &str = "8619b867bf5c657f0f28ae6313c85e9bfe8c470331d91bcca56deb24799fd57f";

const CASES: &[Case] = &[
    Case {
        file: "github-push.json",
        headers: &[
            ("user-agent", "GitHub-Hookshot/044aadd"),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("x-github-event", "push"),
            ("x-github-hook-id", "500000001"),
            ("x-github-hook-installation-target-type", "repository"),
            ("x-hub-signature", "sha1=0000000000000000000000000000000000000000"),
            ("x-hub-signature-256", GITHUB_PUSH),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::GitHub,
        id: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        becomes: Ok(()),
    },
    Case {
        file: "github-ping.json",
        headers: &[
            ("x-github-delivery", "11111111-cc78-11e3-81ab-4c9367dc0958"),
            ("x-github-event", "ping"),
            ("x-hub-signature-256", "sha256=c28bf61e4dd6266f072d4c4900aa491c55cdb4edca945d3b05c674857cc548d0"),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::GitHub,
        id: Some("11111111-cc78-11e3-81ab-4c9367dc0958"),
        becomes: Err(Reason::Ping),
    },
    Case {
        file: "gitlab-push.json",
        headers: &[
            ("user-agent", "GitLab/18.4.0"),
            ("idempotency-key", "a5461c4d-9c7f-4af9-add6-cddebe3c426f"),
            ("x-gitlab-event", "Push Hook"),
            ("x-gitlab-webhook-uuid", "3c5c0404-c866-44bc-a5f6-452bb1bfc76e"),
            ("x-gitlab-instance", "https://gitlab.example.com"),
            ("x-gitlab-event-uuid", "9cebe914-4827-408f-b014-cfa23a47a35f"),
            ("x-gitlab-token", SECRET),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::GitLab,
        id: Some("a5461c4d-9c7f-4af9-add6-cddebe3c426f"),
        becomes: Ok(()),
    },
    Case {
        file: "gitlab-push.json",
        headers: &[
            ("x-gitlab-event", "Push Hook"),
            ("idempotency-key", "8a6d2a0e-7a2d-4f43-9fca-5a2a7a1c2f11"),
            ("webhook-id", "8a6d2a0e-7a2d-4f43-9fca-5a2a7a1c2f11"),
            ("webhook-timestamp", "1795424400"),
            ("webhook-signature", "v1,psxtbKumQm0giSNOHk13k/TQMAHU1Fp1ssjksrShS3Y="),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::GitLab,
        id: Some("8a6d2a0e-7a2d-4f43-9fca-5a2a7a1c2f11"),
        becomes: Ok(()),
    },
    Case {
        file: "gitea-push.json",
        headers: &[
            ("x-gitea-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
            ("x-gitea-event", "push"),
            ("x-gitea-event-type", "push"),
            ("x-gitea-signature", GITEA_PUSH),
            ("x-gogs-event", "push"),
            ("x-gogs-signature", GITEA_PUSH),
            ("x-github-event", "push"),
            ("x-github-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
            ("x-hub-signature-256", "sha256=3cba01c7551314aff153c228dbe1f2cdd191d9abf8d64c15fe09ef3385707bdc"),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::Gitea,
        id: Some("f6266f16-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Ok(()),
    },
    Case {
        file: "gitea-test.json",
        headers: &[
            ("x-gitea-delivery", "0c0f9e5c-1bf3-46a5-9ea4-602e06ead473"),
            ("x-gitea-event", "push"),
            ("x-gitea-signature", GITEA_TEST),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::Gitea,
        id: Some("0c0f9e5c-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Err(Reason::Test),
    },
    Case {
        file: "gitea-push.json",
        headers: &[
            ("x-forgejo-delivery", "aaaaaaaa-1bf3-46a5-9ea4-602e06ead473"),
            ("x-forgejo-event", "push"),
            ("x-forgejo-signature", GITEA_PUSH),
            ("x-gitea-event", "push"),
            ("x-gitea-signature", GITEA_PUSH),
            ("x-github-event", "push"),
        ],
        upstream: "https://github.com/openova-io/openova",
        vendor: Vendor::Forgejo,
        id: Some("aaaaaaaa-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Ok(()),
    },
    Case {
        file: "bitbucket-cloud-push.json",
        headers: &[
            ("user-agent", "Bitbucket-Webhooks/2.0"),
            ("x-attempt-number", "1"),
            ("x-event-key", "repo:push"),
            ("x-hook-uuid", "7a1f4c0e-4f2b-4f43-9fca-5a2a7a1c2f11"),
            ("x-request-uuid", "b6c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
            ("x-hub-signature", "sha256=16a17cd76ccdcca7fd16a465fc2a37ad54cde8f5a2124940f75766a2ee04e192"),
        ],
        upstream: "https://bitbucket.org/openova-io/openova",
        vendor: Vendor::Bitbucket,
        id: Some("b6c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Ok(()),
    },
    Case {
        file: "bitbucket-dc-push.json",
        headers: &[
            ("user-agent", "Atlassian HttpClient 4.2.0 / Bitbucket-9.4.0 (9004000) / Default"),
            ("x-event-key", "repo:refs_changed"),
            ("x-request-id", "c7c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
            ("x-hub-signature", "sha256=5e5cca18ea7f731cb64beb5ac06cac2a1b3f39bcf29764d036e8497420e4098a"),
        ],
        upstream: "https://bitbucket.example.com/scm/ov/openova.git",
        vendor: Vendor::Bitbucket,
        id: Some("c7c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Ok(()),
    },
    Case {
        file: "bitbucket-dc-ping.json",
        headers: &[
            ("x-event-key", "diagnostics:ping"),
            ("x-request-id", "d8c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
            ("x-hub-signature", "sha256=b848c15816686531f6594f06b494c96f2c31e8b2e4330e94307ba4f2a25956c0"),
        ],
        upstream: "https://bitbucket.example.com/scm/ov/openova.git",
        vendor: Vendor::Bitbucket,
        id: Some("d8c1b4f5-1bf3-46a5-9ea4-602e06ead473"),
        becomes: Err(Reason::Ping),
    },
];

fn body(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/it/hooks/payloads/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn right(claim: &Claim<'_>, body: &[u8]) -> bool {
    let secrets = [SECRET, SIGNING_TOKEN].map(SecretString::from);
    let mut verifier = Verifier::new(claim, &secrets, jiff::Timestamp::from_second(NOW).unwrap());
    verifier.update(body);
    verifier.finish()
}

/// The object to which a delivery says that `main` was pushed.
fn pushed_to_main(hint: &Hint, vendor: Vendor) -> Option<String> {
    let pushes = hint.pushes(vendor);
    pushes.iter().find(|push| push.reference.as_str() == "refs/heads/main").map(|push| push.after.to_string())
}

#[test]
fn every_forges_payload_is_known_verified_and_judged_as_it_comes() {
    for case in CASES {
        let name = format!("{} of {}", case.file, case.vendor);
        let header = |wanted: &str| case.headers.iter().find(|(found, _)| *found == wanted).map(|(_, value)| *value);
        let claim = Claim::read(header);
        assert_eq!((claim.vendor, claim.id), (case.vendor, case.id), "{name}");
        let body = body(case.file);
        assert!(right(&claim, &body), "{name}");
        let hint = Hint::read(&body, true).unwrap();
        let upstream = UpstreamUrl::parse(case.upstream).unwrap();
        assert_eq!(judge(&claim, &hint, &upstream), case.becomes, "{name}");
        if case.becomes == Ok(()) {
            let pushed = pushed_to_main(&hint, claim.vendor);
            assert_eq!(pushed.as_deref(), Some("9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11"), "{name}");
            let other = UpstreamUrl::parse("https://github.com/openova-io/openova-2").unwrap();
            assert_eq!(judge(&claim, &hint, &other), Err(Reason::Repository), "{name}");
        }
    }
}

#[test]
fn no_bit_of_a_signed_body_can_be_changed() {
    for case in CASES.iter().filter(|case| case.headers.iter().all(|(name, _)| *name != "x-gitlab-token")) {
        let header = |wanted: &str| case.headers.iter().find(|(found, _)| *found == wanted).map(|(_, value)| *value);
        let (claim, body) = (Claim::read(header), body(case.file));
        for at in (0..body.len()).step_by(97) {
            let mut changed = body.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!right(&claim, &changed), "{} at {at}", case.file);
        }
        let again = serde_json::from_slice::<serde_json::Value>(&body).unwrap().to_string();
        assert!(!right(&claim, again.as_bytes()), "{}: the same said in other words", case.file);
        assert!(!right(&claim, &body[..body.len() - 1]), "{}", case.file);
    }
}

/// A delivery as a real server sent it, header by header and byte by byte.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    server: String,
    hook_type: String,
    secret: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
}

#[test]
fn what_real_servers_sent_is_known_verified_and_judged() {
    let recorded = String::from_utf8(body("real-deliveries.jsonl")).unwrap();
    let mut count = 0;
    for line in recorded.lines() {
        let Recorded { server, hook_type, secret, mut headers, body } = serde_json::from_str(line).unwrap();
        let name = format!("{hook_type} of {server}");
        let is_right = |headers: &std::collections::BTreeMap<String, String>, vendor: Vendor| {
            let claim = Claim::read(|wanted| headers.get(wanted).map(String::as_str));
            assert_eq!((claim.vendor, claim.id), (vendor, Some(&*headers["x-gitea-delivery"])), "{name}");
            let secrets = [SecretString::from(secret.as_str())];
            let mut verifier = Verifier::new(&claim, &secrets, jiff::Timestamp::from_second(NOW).unwrap());
            verifier.update(body.as_bytes());
            let hint = Hint::read(body.as_bytes(), true).unwrap();
            let upstream = UpstreamUrl::parse("http://git.example.org/src/code").unwrap();
            assert_eq!(judge(&claim, &hint, &upstream), Ok(()), "{name}");
            let after = serde_json::from_str::<serde_json::Value>(&body).unwrap()["after"].clone();
            assert_eq!(pushed_to_main(&hint, vendor).unwrap(), after, "{name}");
            verifier.finish()
        };
        let vendor = if server.starts_with("forgejo") { Vendor::Forgejo } else { Vendor::Gitea };
        assert!(is_right(&headers, vendor), "{name}");
        // the `sha1=` beside the others is not looked at, and alone it is nothing
        headers.insert("x-hub-signature".into(), "sha1=0000000000000000000000000000000000000000".into());
        assert!(is_right(&headers, vendor), "{name}");
        let digits = headers.remove("x-hub-signature-256").unwrap();
        headers.retain(|name, _| !name.ends_with("signature") || name == "x-hub-signature");
        assert!(!is_right(&headers, vendor), "{name}");
        headers.insert("x-hub-signature".into(), digits);
        assert!(is_right(&headers, vendor), "{name}");
        count += 1;
    }
    assert_eq!(count, 4);
}
