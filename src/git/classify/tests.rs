//! Answers of forges, caches and proxies, with the meaning of each.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::*;

/// Meanings that a run distinguishes.
#[derive(Debug, PartialEq)]
enum Kind {
    NotNow(TroubleKind),
    Denied,
    LogIn,
    Moved(Option<&'static str>),
    Withdrawn,
    NotGit,
    Dumb,
}
use Kind::{Denied, Dumb, LogIn, Moved, NotGit, NotNow, Withdrawn};

const BUSY: Kind = NotNow(TroubleKind::Busy);
const BETWEEN: Kind = NotNow(TroubleKind::Foreign);

type Head = &'static [(&'static str, &'static str)];

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const PLAIN: (&str, &str) = ("content-type", "text/plain");

fn meaning(status: u16, head: Head, body: &str) -> UpstreamAnswer {
    let headers: HeaderMap =
        head.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let upstream = UpstreamUrl::parse("https://git.test/acme/one").unwrap();
    Answer::new(&upstream, "/info/refs", status, &headers, body).meaning()
}

fn is(answer: &UpstreamAnswer, kind: &Kind) -> bool {
    let to = |url: &&str| UpstreamUrl::parse(url).unwrap();
    match (answer, kind) {
        (UpstreamAnswer::Trouble(trouble), NotNow(kind)) => trouble.kind == *kind,
        (UpstreamAnswer::Refused { why, .. }, Denied) => *why == UpstreamRefusal::Denied,
        (UpstreamAnswer::Refused { why, .. }, LogIn) => *why == UpstreamRefusal::LogIn,
        (UpstreamAnswer::Refused { why, .. }, Withdrawn) => *why == UpstreamRefusal::Withdrawn,
        (UpstreamAnswer::Refused { why, .. }, Moved(url)) => {
            *why == UpstreamRefusal::Redirect { to: url.as_ref().map(to) }
        }
        (UpstreamAnswer::NotGit { .. }, NotGit) | (UpstreamAnswer::DumbHttp, Dumb) => true,
        _ => false,
    }
}

fn detail(answer: UpstreamAnswer) -> String {
    match answer {
        UpstreamAnswer::NotGit { detail } | UpstreamAnswer::Refused { detail, .. } => detail,
        UpstreamAnswer::Trouble(trouble) => trouble.detail,
        UpstreamAnswer::List(_) | UpstreamAnswer::Oversize(_) | UpstreamAnswer::DumbHttp => String::new(),
    }
}

#[track_caller]
fn check(rows: &[(u16, Head, &str, Kind)]) {
    for (status, head, body, kind) in rows {
        let answer = meaning(*status, head, body);
        assert!(is(&answer, kind), "{status} {head:?} {body}: {answer:?} and not {kind:?}");
    }
}

#[test]
fn a_rate_limit_is_not_now_in_every_usual_form() {
    let rows: &[(u16, Head, &str, Option<u64>)] = &[
        (429, &[], "", None),
        (429, &[("retry-after", "60")], "Too Many Requests", Some(60)),
        (403, &[("retry-after", "120")], "no", Some(120)),
        (
            403,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1893456300"),
                ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
            ],
            "",
            Some(300),
        ),
        (403, &[HTML], "<html><body><p>You have exceeded a secondary rate limit. See our Terms of Service.", None),
        (403, &[("content-type", "application/json")], r#"{"message":"API rate limit exceeded for 192.0.2.1."}"#, None),
        (403, &[PLAIN], "You have triggered an abuse detection mechanism. Please wait", None),
        (403, &[("ratelimit", "\"default\";r=0;t=30")], "", Some(30)),
        (403, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "9")], "", Some(9)),
        (503, &[PLAIN], "Slow Down: reduce your request rate", None),
        (200, &[HTML], "<html><title>Too many requests</title>", None),
        (200, &[PLAIN], "Rate limit exceeded\n", None),
    ];
    for (status, head, body, pause) in rows {
        let UpstreamAnswer::Trouble(trouble) = meaning(*status, head, body) else { panic!("{status} {head:?} {body}") };
        assert_eq!(trouble.kind, TroubleKind::Busy, "{status} {head:?} {body}");
        assert_eq!(trouble.retry_after, pause.map(Duration::from_secs), "{status} {head:?} {body}");
        assert!(trouble.detail.contains("limits the rate of requests"), "{}", trouble.detail);
    }
    check(&[
        (403, &[("x-ratelimit-remaining", "17")], "no", Denied),
        // The last allowed request is answered normally.
        (404, &[("x-ratelimit-remaining", "0")], "Not Found", Denied),
        (401, &[("x-ratelimit-remaining", "0")], "", Denied),
    ]);
}

#[test]
fn a_server_that_is_down_is_not_now() {
    check(&[
        (408, &[], "", BUSY),
        (425, &[], "", BUSY),
        (500, &[HTML], "<html><title>500</title>", NotNow(TroubleKind::ServerError)),
        (501, &[], "", NotNow(TroubleKind::ServerError)),
        (502, &[HTML], "<html><title>502 Bad Gateway</title>", BUSY),
        (503, &[HTML], "<html><title>Down for maintenance</title>", BUSY),
        (504, &[], "", BUSY),
        (522, &[HTML], "<html><title>git.test | 522: Connection timed out</title>", BUSY),
        (200, &[HTML], "<!DOCTYPE html><html><head><title>Site Maintenance</title>", BUSY),
        (200, &[HTML], "<html><title>GitLab</title><h1>We'll be back soon!</h1>", BUSY),
        (200, &[PLAIN], "Service unavailable, try again later\n", BUSY),
        (403, &[HTML], "<html><title>Scheduled maintenance</title>", BUSY),
        (304, &[], "", BUSY),
        (302, &[("location", "https://status.test/maintenance.html")], "", BUSY),
        // The body of an ordinary page may contain any phrase.
        (200, &[HTML], "<html><title>acme/one</title><p>Maintenance of one, try again later", NotGit),
    ]);
    let UpstreamAnswer::Trouble(trouble) = meaning(503, &[("retry-after", "30")], "") else {
        panic!("it is an outage")
    };
    assert_eq!(trouble.retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn an_answer_of_a_proxy_names_it_and_says_nothing_about_the_repository() {
    check(&[
        (407, &[("proxy-authenticate", "Basic realm=\"squid\"")], "", BETWEEN),
        (407, &[], "", BETWEEN),
        (403, &[("x-squid-error", "ERR_ACCESS_DENIED 0"), HTML], "<html><title>ERROR</title>", BETWEEN),
        (503, &[("x-squid-error", "ERR_DNS_FAIL 0")], "", BETWEEN),
        (403, &[("server", "squid/5.7")], "", BETWEEN),
        (403, &[("server", "Zscaler/6.2"), HTML], "<html><title>Blocked</title>", BETWEEN),
        (403, &[("via", "1.1 proxy.company.test (squid/5.7)"), HTML], "<html>", BETWEEN),
        (403, &[("proxy-status", "proxy.test; error=http_request_denied")], "", BETWEEN),
        (200, &[("server", "McAfee Web Gateway 9"), HTML], "<html><title>Blocked</title>", BETWEEN),
        (511, &[HTML], "<html><title>Wi-Fi log-in</title>", BETWEEN),
        (403, &[("cf-mitigated", "challenge"), HTML], "<html><title>Just a moment...</title>", BETWEEN),
        (503, &[("cf-mitigated", "challenge"), ("server", "cloudflare")], "", BETWEEN),
        (202, &[("x-amzn-waf-action", "challenge")], "", BETWEEN),
        (200, &[HTML], "<html><title>Making sure you're not a bot!</title>", BETWEEN),
        (403, &[HTML], "<html><title>Attention Required! | Cloudflare</title>", BETWEEN),
        // A proxy or a CDN passes on upstream's own answer.
        (403, &[("via", "1.1 proxy.test (squid/5.7)"), ("server", "GitHub.com"), HTML], "<html>", Denied),
        (404, &[("via", "1.1 varnish")], "Not Found", Denied),
        (403, &[("server", "cloudflare")], "no", Denied),
    ]);
    let names = detail(meaning(403, &[("x-squid-error", "ERR_ACCESS_DENIED 0")], ""));
    assert_eq!(names, "A proxy (Squid: ERR_ACCESS_DENIED 0) answers 403");
    assert_eq!(detail(meaning(407, &[], "")), "A proxy answers 407; it requires a log-in");
}

#[test]
fn a_denied_repository_is_not_you() {
    check(&[
        (401, &[("www-authenticate", "Basic realm=\"GitHub\""), PLAIN], "Repository not found.", Denied),
        (401, &[HTML], "<html><title>Sign in</title>", Denied),
        (402, &[], "", Denied),
        (403, &[("x-github-sso", "required; url=https://github.test/x")], "SAML SSO is enforced", Denied),
        (403, &[PLAIN], "The organization has an IP allow list enabled", Denied),
        (404, &[HTML], "<html><title>Page not found</title>", Denied),
        (423, &[], "", Denied),
        (200, &[HTML], "<html><title>Sign in · GitLab</title>", LogIn),
        (203, &[HTML], "<html><title>Azure DevOps Services | Sign In</title>", LogIn),
        (203, &[HTML], "<html><form><input type=\"password\"></form>", LogIn),
        (302, &[("location", "/users/sign_in")], "", LogIn),
        (302, &[("location", "https://login.microsoftonline.com/x/oauth2/authorize?state=secret")], "", LogIn),
        (451, &[], "", Withdrawn),
        (403, &[PLAIN], "Repository unavailable due to DMCA takedown.", Withdrawn),
        (200, &[HTML], "<html><title>Unavailable for legal reasons</title>", Withdrawn),
        (403, &[PLAIN], "Access to this repository has been disabled by GitHub staff.", Withdrawn),
        (410, &[], "", Withdrawn),
    ]);
}

#[test]
fn a_redirect_is_named_with_its_target_and_recommended_only_on_the_same_host() {
    check(&[
        (
            301,
            &[("location", "https://git.test/acme/one.git/info/refs?service=git-upload-pack")],
            "",
            Moved(Some("https://git.test/acme/one.git")),
        ),
        (302, &[("location", "/new/one/info/refs")], "", Moved(Some("https://git.test/new/one"))),
        (307, &[("location", "https://evil.test/acme/one/info/refs")], "", Moved(None)),
        (308, &[("location", "http://git.test/acme/one/info/refs")], "", Moved(None)),
        (303, &[("location", "https://git.test/")], "", Moved(None)),
        (301, &[], "", Moved(None)),
        (300, &[], "", NotGit),
    ]);
    let elsewhere = detail(meaning(302, &[("location", "https://u:secret@evil.test/a/info/refs?token=secret")], ""));
    assert_eq!(
        elsewhere,
        "Upstream answers 302: it redirects to https://evil.test/a, which cutover-api does not follow"
    );
}

#[test]
fn an_answer_that_is_not_gits_is_described() {
    check(&[
        (200, &[PLAIN], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\trefs/heads/main\n", Dumb),
        (
            200,
            &[],
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\trefs/heads/main\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\trefs/ta",
            Dumb,
        ),
        (200, &[PLAIN], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n", NotGit),
        (200, &[PLAIN], "hello\n", NotGit),
        (200, &[], "", NotGit),
        (204, &[], "", NotGit),
        (200, &[HTML], "<html><title>acme/one</title>", NotGit),
        (400, &[HTML], "<html><title>400 The plain HTTP request was sent to HTTPS port</title>", NotGit),
        (405, &[], "", NotGit),
    ]);
    for (status, head, body, text) in [
        (
            200,
            &[HTML][..],
            "<html><title>acme/one</title>",
            "Upstream answers 200 with the page “acme/one” instead of git's answer",
        ),
        (200, &[], "", "Upstream answers 200 with an empty answer"),
        (
            200,
            &[("content-encoding", "gzip")],
            "x",
            "Upstream answers 200 in the encoding gzip, which was not requested",
        ),
        (405, &[PLAIN], "no\n", "Upstream answers 405, which no git server does: “no”"),
        (200, &[PLAIN], "hello\n", "Upstream answers 200 with an answer that is not git's: “hello”"),
    ] {
        assert_eq!(detail(meaning(status, head, body)), text);
    }
}

#[test]
fn gits_own_error_is_an_outage_a_refusal_or_not_understood() {
    for (words, kind) in [
        ("GitLab is currently unable to handle this request due to load", BUSY),
        ("GitLab is not responding, try again later", BUSY),
        ("Internal API unreachable", BUSY),
        ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", BUSY),
        ("rpc error: code = ResourceExhausted desc = too many requests", BUSY),
        ("Repository is temporarily unavailable", BUSY),
        ("upload-pack: timeout", BUSY),
        ("access denied or repository not exported: /acme/one", Denied),
        ("service not enabled: '/acme/one'", Denied),
        ("Repository not found.", Denied),
        ("The project you were looking for could not be found or you don't have permission to view it.", Denied),
        ("upload-pack: not permitted", Denied),
        ("Repository unavailable due to DMCA takedown.", Withdrawn),
        ("unknown object format", NotGit),
        ("", NotGit),
    ] {
        let answer = git_error(words);
        assert!(is(&answer, &kind), "{words}: {answer:?} and not {kind:?}");
        assert!(detail(answer).contains(words));
    }
}

#[test]
fn every_status_has_a_meaning_and_is_named() {
    for status in 200..=599 {
        for body in ["", "no", "<html>"] {
            let answer = meaning(status, &[], body);
            assert!(detail(answer.clone()).contains(&status.to_string()), "{status}: {answer:?}");
        }
    }
}
