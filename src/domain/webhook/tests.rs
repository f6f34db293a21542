use jiff::Timestamp;

use super::*;
use crate::domain::url::UpstreamUrl;

/// Whether a delivery with these headers and this body is rightly signed with one of the secrets.
fn right(headers: &[(&str, &str)], body: &str, secrets: &[&str], now: i64) -> bool {
    let claim = claim(headers);
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    let mut verifier = Verifier::new(&claim, &secrets, Timestamp::from_second(now).unwrap());
    // in pieces, as it comes
    for piece in body.as_bytes().chunks(5) {
        verifier.update(piece);
    }
    verifier.finish()
}

fn claim<'a>(headers: &'a [(&'a str, &'a str)]) -> Claim<'a> {
    Claim::read(|name| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value))
}

/// Headers of a delivery.
type Headers = Vec<(&'static str, &'static str)>;

/// GitHub's own example, from its documentation.
const GITHUB: (&str, &str, &str) =
    ("It's a Secret to Everybody", "Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");

/// The example of the Standard Webhooks' libraries.
const STANDARD: [(&str, &str); 3] = [
    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    ("webhook-timestamp", "1614265330"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
];
const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_BODY: &str = "{\"test\": 2432232314}";
const STANDARD_NOW: i64 = 1_614_265_330;

#[test]
fn the_forges_own_examples_hold_under_each_forges_headers() {
    let (secret, body, digits) = GITHUB;
    let prefixed = format!("sha256={digits}");
    for (headers, vendor) in [
        (&[("x-hub-signature-256", &*prefixed), ("x-github-event", "push")][..], Vendor::GitHub),
        (&[("x-hub-signature-256", &*prefixed)], Vendor::GitHub),
        (&[("x-gitea-signature", digits), ("x-gitea-event", "push"), ("x-github-event", "push")], Vendor::Gitea),
        (&[("x-hub-signature-256", &*prefixed), ("x-gitea-event", "push")], Vendor::Gitea),
        (&[("x-forgejo-signature", digits), ("x-gitea-signature", digits)], Vendor::Forgejo),
        (&[("x-gitea-signature", digits), ("x-forgejo-event", "push")], Vendor::Forgejo),
        (&[("x-hub-signature", &*prefixed), ("x-event-key", "repo:push")], Vendor::Bitbucket),
        (&[("x-hub-signature", &*prefixed)], Vendor::Generic),
        (&[("x-cutover-signature", &*prefixed)], Vendor::Generic),
    ] {
        assert_eq!(claim(headers).vendor, vendor, "{headers:?}");
        assert!(right(headers, body, &[secret], 0), "{headers:?}");
        assert!(right(headers, body, &["another", secret], 0), "the second secret: {headers:?}");
        assert!(!right(headers, "Hello, World?", &[secret], 0), "another body: {headers:?}");
        assert!(!right(headers, body, &["another"], 0), "another secret: {headers:?}");
        assert!(!right(headers, body, &[], 0), "no secret: {headers:?}");
    }
    let token = [("x-gitlab-token", secret), ("x-gitlab-event", "Push Hook")];
    assert!(right(&token, "whatever", &["another", secret], 0));
    assert!(!right(&token, "whatever", &["another"], 0));
    assert!(!right(&[("x-gitlab-token", "")], "whatever", &[secret], 0));
}

#[test]
fn a_signature_has_one_spelling() {
    let (secret, body, digits) = GITHUB;
    let upper = digits.to_uppercase();
    for bad in [
        digits.to_owned(),
        format!("sha256={upper}"),
        format!("SHA256={digits}"),
        format!("sha1={digits}"),
        format!("md5={digits}"),
        format!("none={digits}"),
        format!("sha256= {digits}"),
        format!("sha256={digits}0"),
        format!("sha256={}", &digits[..62]),
        "sha256=".to_owned(),
        String::new(),
        format!("sha256={}", "ä".repeat(32)),
        format!("sha256={}", "0".repeat(64)),
    ] {
        assert!(!right(&[("x-hub-signature-256", &bad)], body, &[secret], 0), "{bad}");
    }
    assert!(!right(&[("x-gitea-signature", &format!("sha256={digits}"))], body, &[secret], 0));
    // SHA-1 is passed over, and is never enough
    let sha1 = format!("sha1={}", &digits[..40]);
    for event in [("x-event-key", "repo:push"), ("x-github-event", "push"), ("x-gitea-event", "push"), ("x", "x")] {
        assert!(!claim(&[event, ("x-hub-signature", &sha1)]).is_signed(), "{event:?}");
    }
    let beside = [("x-hub-signature", &*sha1), ("x-hub-signature-256", &*format!("sha256={digits}"))];
    assert!(right(&beside, body, &[secret], 0));
    assert!(!right(&[("x-hub-signature", &format!("SHA256={digits}"))], body, &[secret], 0));
    assert!(!claim(&[]).is_signed());
    // a wrong signature is not made good by a right one that is looked at where it is missing
    let both = [("x-gitea-signature", "x"), ("x-hub-signature-256", &*format!("sha256={digits}"))];
    assert!(!right(&both, body, &[secret], 0));
}

#[test]
fn standard_webhooks_cover_the_id_the_time_and_the_body() {
    let standard = |change: &dyn Fn(&mut Headers), body: &str, now: i64| {
        let mut headers = STANDARD.to_vec();
        change(&mut headers);
        right(&headers, body, &["another secret", STANDARD_SECRET], now)
    };
    assert!(standard(&|_| {}, STANDARD_BODY, STANDARD_NOW));
    for off in [-300, 300] {
        assert!(standard(&|_| {}, STANDARD_BODY, STANDARD_NOW + off));
    }
    for off in [-301, 301, i64::from(u32::MAX)] {
        assert!(!standard(&|_| {}, STANDARD_BODY, STANDARD_NOW + off), "{off}");
    }
    assert!(!standard(&|_| {}, "{\"test\": 2432232315}", STANDARD_NOW));
    for (at, value) in [
        (0, "msg_p5jXN8AQM9LWM0D4loKWxJel"),
        (0, ""),
        (1, "1614265331"),
        (1, "+1614265330"),
        (1, " 1614265330"),
        (1, "99999999999999999999"),
        (1, ""),
        (2, ""),
        (2, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (2, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (2, "v1,g0hM9SsE"),
        (2, "v1a,x"),
    ] {
        assert!(!standard(&|headers| headers[at].1 = value, STANDARD_BODY, STANDARD_NOW), "{at} {value}");
    }
    let two = "v1a,x v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert!(standard(&|headers| headers[2].1 = two, STANDARD_BODY, STANDARD_NOW));
    assert!(standard(&|headers| headers.push(("x-gitlab-event", "Push Hook")), STANDARD_BODY, STANDARD_NOW));
    // GitLab's token is not looked at beside a signature
    let forged = |headers: &mut Headers| {
        headers.push(("x-gitlab-token", STANDARD_SECRET));
        headers[2].1 = "v1,x";
    };
    assert!(!standard(&forged, STANDARD_BODY, STANDARD_NOW));
}

#[test]
fn what_we_sign_ourselves_is_signed_in_the_same_way() {
    let signed = sign(&STANDARD_SECRET.into(), STANDARD[0].1, STANDARD_NOW, STANDARD_BODY);
    assert_eq!(signed, STANDARD[2].1);
}

#[test]
fn a_key_of_standard_webhooks_that_is_not_written_in_their_way_is_the_text_itself() {
    // by: printf '1.1614265330.x' | openssl dgst -sha256 -hmac 'plain secret' -binary | base64
    let headers = [
        ("webhook-id", "1"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,bn7gz96IoG3uipuVNC+TbQ8mr/yVtremvAI/YjfHHw8="),
    ];
    assert!(right(&headers, "x", &["plain secret"], STANDARD_NOW));
}

#[test]
fn a_delivery_has_the_id_of_its_vendor_or_none() {
    let id = |headers: &[(&str, &str)]| claim(headers).id.map(str::to_owned);
    assert_eq!(id(&[("x-github-event", "push"), ("x-github-delivery", "72d3162e")]).unwrap(), "72d3162e");
    assert_eq!(id(&[("x-gitea-event", "push"), ("x-gitea-delivery", "a"), ("x-github-delivery", "b")]).unwrap(), "a");
    assert_eq!(id(&[("x-forgejo-event", "push"), ("x-forgejo-delivery", "c")]).unwrap(), "c");
    assert_eq!(id(&[("x-gitlab-event", "Push Hook"), ("idempotency-key", "d"), ("webhook-id", "e")]).unwrap(), "d");
    assert_eq!(id(&[("webhook-id", "f")]).unwrap(), "f");
    assert_eq!(id(&[("x-event-key", "repo:push"), ("x-request-uuid", "g"), ("x-request-id", "h")]).unwrap(), "g");
    assert_eq!(id(&[("x-event-key", "repo:refs_changed"), ("x-request-id", "h")]).unwrap(), "h");
    for bad in ["", "a b", "ä", &"x".repeat(256)] {
        assert_eq!(id(&[("x-cutover-delivery", bad)]), None, "{bad}");
    }
}

/// What becomes of a delivery to a mirror of this upstream.
fn judged(event: (&str, &str), body: &str, upstream: &str) -> Result<(), Reason> {
    let hint = Hint::read(body.as_bytes(), true).unwrap();
    let headers = [event];
    judge(&claim(&headers), &hint, &UpstreamUrl::parse(upstream).unwrap())
}

/// The object to which a body says that `main` was pushed.
fn main_of(hint: &Hint) -> Option<String> {
    let pushes = hint.pushes(Vendor::GitHub);
    pushes.iter().find(|push| push.reference.as_str() == "refs/heads/main").map(|push| push.after.to_string())
}

#[test]
fn what_matters_is_a_push_to_a_branch_or_a_tag_of_this_repository() {
    let upstream = "https://github.com/openova-io/openova";
    let github = |event, body: &str| judged(("x-github-event", event), body, upstream);
    for (event, body) in [
        ("push", "{\"ref\":\"refs/heads/main\"}"),
        ("push", "{\"ref\":\"refs/heads/ünï/%2F\",\"before\":\"0000\",\"after\":\"1111\"}"),
        ("push", "{\"ref\":\"refs/tags/v1\",\"deleted\":true}"),
        ("create", "{\"ref\":\"v1\",\"ref_type\":\"tag\"}"),
        ("delete", "{\"ref\":\"topic\",\"ref_type\":\"branch\"}"),
        ("create", "{\"ref\":null,\"ref_type\":\"repository\"}"),
        ("push", "{}"),
        ("push", ""),
        ("push", "{\"repository\":null,\"ref\":7}"),
        ("push", "{\"repository\":{\"full_name\":\"OpenOva-IO/openova\"}}"),
        (
            "push",
            "{\"repository\":{\"full_name\":\"x/y\",\"clone_url\":\"https://github.com/openova-io/openova.git\"}}",
        ),
        ("push", "{\"repository\":\"openova-io/openova\"}"),
    ] {
        assert_eq!(github(event, body), Ok(()), "{event} {body}");
    }
    for (event, body, reason) in [
        ("ping", "{\"zen\":\"…\"}", Reason::Ping),
        ("issues", "{}", Reason::Event),
        ("Push", "{}", Reason::Event),
        ("push", "{\"ref\":\"refs/pull/1/head\"}", Reason::Ref),
        ("push", "{\"ref\":\"refs/notes/commits\"}", Reason::Ref),
        ("push", "{\"before\":\"abc\",\"after\":\"abc\"}", Reason::Test),
        ("push", "{\"repository\":{\"full_name\":\"openova-io/other\"}}", Reason::Repository),
        ("push", "{\"repository\":{\"full_name\":\"evil/xopenova-io/openova\"}}", Reason::Repository),
        ("push", "{\"repository\":{\"clone_url\":\"https://github.com/x/openova\"}}", Reason::Repository),
        ("push", "{\"repository\":{\"full_name\":\"\"}}", Reason::Repository),
    ] {
        assert_eq!(github(event, body), Err(reason), "{event} {body}");
    }
}

#[test]
fn a_forge_may_be_reached_under_another_name_than_it_gives_itself() {
    let body =
        "{\"repository\":{\"full_name\":\"org/repo\",\"clone_url\":\"https://git.example.org/git/org/repo.git\"}}";
    for upstream in [
        "http://gitea-http.gitea.svc:3000/org/repo.git",
        "https://git.example.org/git/org/repo",
        "https://git.example.org:8443/Org/Repo",
    ] {
        assert_eq!(judged(("x-gitea-event", "push"), body, upstream), Ok(()), "{upstream}");
    }
    let subgroup = "{\"object_kind\":\"push\",\"project\":{\"path_with_namespace\":\"a/b/c\"}}";
    let gitlab = |event, upstream| judged(("x-gitlab-event", event), subgroup, upstream);
    assert_eq!(gitlab("Push Hook", "https://gitlab.com/a/b/c.git"), Ok(()));
    assert_eq!(gitlab("Tag Push Hook", "https://gitlab.com/a/b/c"), Ok(()));
    assert_eq!(gitlab("System Hook", "https://gitlab.com/a/b/c"), Ok(()));
    assert_eq!(gitlab("Push Hook", "https://gitlab.com/b/c"), Err(Reason::Repository));
    assert_eq!(gitlab("Merge Request Hook", "https://gitlab.com/a/b/c"), Err(Reason::Event));
    let other = "{\"event_name\":\"project_create\"}";
    assert_eq!(judged(("x-gitlab-event", "System Hook"), other, "https://gitlab.com/a/b"), Err(Reason::Event));
}

#[test]
fn bitbucket_and_gitlabs_system_hooks_list_the_refs_that_they_speak_of() {
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let cloud = |name: &str, kind: &str| {
        format!(
            "{{\"push\":{{\"changes\":[{{\"old\":null,\"new\":{{\"type\":\"{kind}\",\"name\":\"{name}\",\"target\":{{\"hash\":\"{a}\"}}}}}}]}},\
             \"repository\":{{\"full_name\":\"ws/repo\"}}}}"
        )
    };
    let at = |event, body: &str| judged(("x-event-key", event), body, "https://bitbucket.org/ws/repo");
    let to_main = |body: &str| main_of(&Hint::read(body.as_bytes(), true).unwrap());
    for kind in ["branch", "tag", "annotated_tag"] {
        assert_eq!(at("repo:push", &cloud("main", kind)), Ok(()), "{kind}");
    }
    assert_eq!(to_main(&cloud("main", "branch")).unwrap(), a);
    assert_eq!(to_main(&cloud("main", "tag")), None);
    assert_eq!(at("repo:push", &cloud("main", "bookmark")), Err(Reason::Ref));
    assert_eq!(at("pullrequest:created", "{}"), Err(Reason::Event));
    assert_eq!(at("diagnostics:ping", "{\"test\":true}"), Err(Reason::Ping));
    assert_eq!(at("repo:push", &cloud("main", "branch").replace("ws/repo", "ws/other")), Err(Reason::Repository));
    let gone = "{\"push\":{\"changes\":[{\"new\":null,\"old\":{\"type\":\"branch\",\"name\":\"main\"}}]}}";
    assert_eq!((at("repo:push", gone), to_main(gone)), (Ok(()), Some("0".repeat(40))));

    let center = format!(
        "{{\"repository\":{{\"slug\":\"repo\",\"project\":{{\"key\":\"~Ada\"}}}},\
          \"changes\":[{{\"ref\":{{\"id\":\"refs/heads/main\"}},\"fromHash\":\"{b}\",\"toHash\":\"{a}\",\"type\":\"UPDATE\"}}]}}"
    );
    for upstream in ["https://git.example.org/scm/~ada/repo.git", "https://git.example.org/bitbucket/scm/~ada/repo"] {
        assert_eq!(judged(("x-event-key", "repo:refs_changed"), &center, upstream), Ok(()), "{upstream}");
    }
    assert_eq!(at("repo:refs_changed", &center), Err(Reason::Repository));
    assert_eq!(to_main(&center).unwrap(), a);
    assert_eq!(at("repo:refs_changed", "{\"changes\":[{\"ref\":{\"id\":\"refs/notes/x\"}}]}"), Err(Reason::Ref));

    let system = format!(
        "{{\"event_name\":\"repository_update\",\"changes\":[{{\"before\":\"{b}\",\"after\":\"{a}\",\"ref\":\"refs/heads/main\"}}]}}"
    );
    assert_eq!(judged(("x-gitlab-event", "System Hook"), &system, "https://gitlab.com/a/b"), Ok(()));
    assert_eq!(to_main(&system).unwrap(), a);
    // of what is cut off, the refs before the cut are known; and what is no list says nothing
    let cut = center.len() - 3;
    assert_eq!(main_of(&Hint::read(&center.as_bytes()[..cut], false).unwrap()), None);
    let two = center.replace("]}", ",{\"ref\":\"refs/heads/x\"");
    assert_eq!(main_of(&Hint::read(two.as_bytes(), false).unwrap()).unwrap(), a);
    for odd in [
        "{\"push\":7}",
        "{\"push\":\"x\"}",
        "{\"changes\":{\"title\":{}}}",
        "{\"changes\":[7,null,{},[]]}",
        "{\"push\":-1.5}",
    ] {
        assert_eq!(at("repo:push", odd), Ok(()), "{odd}");
    }
}

#[test]
fn the_beginning_of_a_body_is_enough_and_nonsense_is_none() {
    let body = "{\"ref\":\"refs/heads/main\",\"after\":\"9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11\",\
                \"repository\":{\"full_name\":\"openova-io/openova\"},\"commits\":[{\"message\":\"ä\"}]}";
    let whole = Hint::read(body.as_bytes(), true).unwrap();
    assert_eq!(main_of(&whole).unwrap(), "9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11");
    for length in 0..body.len() {
        let hint = Hint::read(&body.as_bytes()[..length], false).unwrap_or_else(|wrong| panic!("{length}: {wrong}"));
        if length > body.find("\"commits\"").unwrap() {
            assert_eq!(hint, whole, "{length}");
        }
        if length > 0 {
            assert!(Hint::read(&body.as_bytes()[..length], true).is_err(), "{length}");
        }
    }
    for bad in ["[]", "null", "\"x\"", "payload=%7B%7D", "{} {}", "{", "\u{feff}{}", "{\"ref\":\u{1}}"] {
        assert!(Hint::read(bad.as_bytes(), true).is_err(), "{bad}");
    }
    assert!(Hint::read(b"{\"ref\":\"\xff\"}", true).is_err());
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(Hint::read(deep.as_bytes(), true).unwrap(), Hint::default());
    let gone = "{\"ref\":\"refs/heads/main\",\"after\":\"0000000000000000000000000000000000000000\"}";
    assert!(Hint::read(gone.as_bytes(), true).unwrap().pushes(Vendor::GitHub)[0].is_deletion());
}

#[test]
fn a_mode_that_wants_no_webhooks_is_the_reason() {
    assert_eq!(Reason::of_mode(Mode::Follow), None);
    assert_eq!(Reason::of_mode(Mode::Pinned), Some(Reason::Pinned));
}
