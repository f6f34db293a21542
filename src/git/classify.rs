//! Meaning of an answer of upstream that holds no list of refs: "not now", "not you" or "not git".
//!
//! Owns that table, which reads status, headers and the beginning of the body together. Its texts name what was seen.
//! An answer of a proxy, a portal or a browser test says nothing about the repository: it is "not now". An answer
//! that fits no row is "not git". Nothing is changed because of such an answer.

use http::{HeaderMap, header};

use super::page::Page;
use super::rate;
use crate::domain::answer::{Trouble, TroubleKind, UpstreamAnswer, UpstreamRefusal};
use crate::domain::cause::Cause;
use crate::domain::redirect::{self, Target};
use crate::domain::refs::ObjectId;
use crate::domain::url::UpstreamUrl;

/// Phrases of a rate limit.
const LIMITED: [&str; 9] = [
    "rate limit",
    "rate-limit",
    "ratelimit",
    "too many requests",
    "request limit",
    "throttl",
    "quota exceeded",
    "abuse detection",
    "slow down",
];

/// Phrases on the page of a server that is down for now.
const DOWN: [&str; 18] = [
    "maintenance",
    "temporarily unavailable",
    "currently unavailable",
    "service unavailable",
    "try again later",
    "try again in",
    "back soon",
    "back shortly",
    "be right back",
    "downtime",
    "overloaded",
    "due to load",
    "high load",
    "heavy load",
    "under load",
    "too busy",
    "bad gateway",
    "gateway time",
];

/// Further phrases of a git server that is down for now.
const FAILING: [&str; 13] = [
    "temporarily",
    "unavailable",
    "timed out",
    "timeout",
    "time-out",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "too many connections",
    "resource exhausted",
    "internal api",
    "internal error",
    "internal server error",
];

/// Phrases of a repository that is withheld for legal reasons.
const LEGAL: [&str; 5] = ["dmca", "takedown", "legal reasons", "legal request", "court order"];

/// Phrases of a repository that its forge has closed.
const CLOSED: [&str; 3] = ["has been disabled", "access blocked", "has been suspended"];

/// Phrases of git or a forge that denies access.
const DENIED: [&str; 17] = [
    "denied",
    "not exported",
    "not found",
    "not be found",
    "not enabled",
    "not allowed",
    "not permitted",
    "permission",
    "forbidden",
    "unauthorized",
    "unauthenticated",
    "authenticat",
    "no such",
    "does not exist",
    "doesn't exist",
    "not appear to be a git repository",
    "no access",
];

/// Phrases of a test that only a browser passes.
const CHALLENGE: [&str; 7] = [
    "just a moment",
    "attention required",
    "checking your browser",
    "not a bot",
    "are you a robot",
    "are you human",
    "captcha",
];

/// Names of forward proxies, as they appear in `Server` and `Via`.
const PROXIES: [&str; 15] = [
    "squid",
    "zscaler",
    "bluecoat",
    "blue coat",
    "mcafee",
    "skyhigh",
    "web gateway",
    "fortigate",
    "fortiproxy",
    "netskope",
    "tinyproxy",
    "privoxy",
    "forcepoint",
    "websense",
    "ironport",
];

/// Beginning of an answer that is not a list.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    upstream: &'a UpstreamUrl,
    /// The requested path, relative to the repository's address.
    below: &'a str,
    status: u16,
    headers: &'a HeaderMap,
    body: &'a str,
    page: Page,
}

impl<'a> Answer<'a> {
    /// Creates an answer to the request for `below`, such as `/info/refs`.
    ///
    /// `body` is the beginning of the body, already redacted.
    pub(super) fn new(
        upstream: &'a UpstreamUrl,
        below: &'a str,
        status: u16,
        headers: &'a HeaderMap,
        body: &'a str,
    ) -> Self {
        let html = text(headers, header::CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"));
        Self { upstream, below, status, headers, body, page: Page::new(body, html) }
    }

    /// Returns the meaning of this answer.
    pub(super) fn meaning(&self) -> UpstreamAnswer {
        self.intermediary()
            .or_else(|| self.limited())
            .or_else(|| self.withdrawn())
            .or_else(|| self.outage())
            .or_else(|| self.refusal())
            .unwrap_or_else(|| self.not_git())
    }

    /// An answer of a proxy, a portal or a browser test in front of upstream.
    fn intermediary(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        if let Some(program) = self.proxy() {
            let (wants, cause) =
                if status == 407 { ("; it requires a log-in", Cause::ProxyLogin) } else { ("", Cause::Proxy) };
            let detail = format!("A proxy{program} answers {status}{quoted}{wants}");
            return Some(UpstreamAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, detail).because(cause)));
        }
        let detail = if status == 511 {
            format!("The network requires a log-in: 511{quoted}")
        } else if self.is_a_challenge() {
            format!("Upstream answers {status} with a test that only a browser passes{quoted}")
        } else {
            return None;
        };
        Some(trouble(TroubleKind::Foreign, detail))
    }

    /// Returns the name of the proxy that answers in upstream's place, if it is a proxy.
    fn proxy(&self) -> Option<String> {
        let named = |name: &str| text(self.headers, name).filter(|value| has(value, &PROXIES));
        // A proxy also names itself on upstream's answers that it passes on.
        if !(self.status >= 400 || self.page.is_html()) {
            return None;
        }
        if let Some(error) = text(self.headers, "x-squid-error") {
            return Some(format!(" (Squid: {error})"));
        }
        if let Some(program) =
            named("server").or_else(|| named("via").filter(|_| !self.headers.contains_key(header::SERVER)))
        {
            return Some(format!(" ({program})"));
        }
        let marked = self.status == 407
            || self.headers.contains_key(header::PROXY_AUTHENTICATE)
            || text(self.headers, "proxy-status").is_some_and(|value| value.contains("error="));
        marked.then(String::new)
    }

    fn is_a_challenge(&self) -> bool {
        ["cf-mitigated", "x-amzn-waf-action"].iter().any(|name| self.headers.contains_key(*name))
            || self.page.is_html() && self.page.headline_has(&CHALLENGE)
    }

    /// A rate limit.
    fn limited(&self) -> Option<UpstreamAnswer> {
        if !self.is_limited() {
            return None;
        }
        let pause = rate::pause(self.headers);
        let asked = pause.map(|pause| format!("; it asks for a pause of {} s", pause.as_secs())).unwrap_or_default();
        let detail = format!("Upstream limits the rate of requests: {}{}{asked}", self.status, self.page.quoted());
        let trouble = Trouble::maybe_sent(TroubleKind::Busy, detail);
        Some(UpstreamAnswer::Trouble(Trouble { retry_after: pause, ..trouble }))
    }

    fn is_limited(&self) -> bool {
        match self.status {
            429 => true,
            // GitHub answers 403 to a client over its rate limit, with `Retry-After` or `X-RateLimit-Remaining: 0`.
            403 => {
                self.headers.contains_key(header::RETRY_AFTER)
                    || rate::is_used_up(self.headers)
                    || self.page.contains(&LIMITED)
            }
            503 => rate::is_used_up(self.headers) || self.page.headline_has(&LIMITED),
            200..=299 => self.page.headline_has(&LIMITED),
            _ => false,
        }
    }

    /// A repository that upstream shows to no caller any more.
    fn withdrawn(&self) -> Option<UpstreamAnswer> {
        let (status, page, quoted) = (self.status, &self.page, self.page.quoted());
        let detail = match status {
            451 => format!("Upstream withholds the repository for legal reasons: 451{quoted}"),
            403 | 404 | 410 if page.contains(&LEGAL) => {
                format!("Upstream withholds the repository for legal reasons: {status}{quoted}")
            }
            200..=299 if page.headline_has(&LEGAL) => {
                format!("Upstream withholds the repository for legal reasons: {status}{quoted}")
            }
            403 | 404 if page.contains(&CLOSED) => format!("Upstream has closed the repository: {status}{quoted}"),
            410 => format!("Upstream has removed the repository for good: 410{quoted}"),
            _ => return None,
        };
        Some(UpstreamAnswer::Refused { why: UpstreamRefusal::Withdrawn, detail })
    }

    /// An outage, after which upstream may give a list.
    fn outage(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        let (kind, detail) = match status {
            408 | 425 | 502..=504 | 520..=530 => (TroubleKind::Busy, format!("Upstream answers {status}{quoted}")),
            500..=599 => (TroubleKind::ServerError, format!("Upstream answers {status}{quoted}")),
            200..=299 | 403 if self.page.headline_has(&DOWN) => {
                (TroubleKind::Busy, format!("Upstream answers {status}{quoted}"))
            }
            304 => (TroubleKind::Busy, "A cache answers 304 to a request that sets no condition".to_owned()),
            300..=399 => match self.target() {
                Target::Maintenance(to) => {
                    (TroubleKind::Busy, format!("Upstream redirects to a maintenance page, {to}"))
                }
                Target::Repository(_) | Target::Itself | Target::LogIn(_) | Target::Elsewhere(_) | Target::Nowhere => {
                    return None;
                }
            },
            _ => return None,
        };
        let trouble = Trouble::maybe_sent(kind, detail);
        Some(UpstreamAnswer::Trouble(Trouble { retry_after: rate::pause(self.headers), ..trouble }))
    }

    /// A refusal: upstream does not show this repository to cutover-api, or not at this address.
    fn refusal(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        let (why, detail) = match status {
            401..=404 | 423 => (UpstreamRefusal::Denied, format!("Upstream answers {status}{quoted}")),
            200..=299 if self.page.is_log_in_page() => {
                (UpstreamRefusal::LogIn, format!("Upstream answers {status} with a log-in page{quoted}"))
            }
            301 | 302 | 303 | 307 | 308 => self.redirect(),
            _ => return None,
        };
        Some(UpstreamAnswer::Refused { why, detail })
    }

    fn target(&self) -> Target {
        let location = text(self.headers, header::LOCATION.as_str());
        location.map_or(Target::Nowhere, |location| redirect::target(self.upstream, self.below, location))
    }

    fn redirect(&self) -> (UpstreamRefusal, String) {
        let (status, elsewhere) = (self.status, UpstreamRefusal::Redirect { to: None });
        match self.target() {
            Target::Repository(to) => {
                let detail = format!("Upstream answers {status}: the repository is at {to}");
                (UpstreamRefusal::Redirect { to: Some(to) }, detail)
            }
            Target::LogIn(to) => {
                (UpstreamRefusal::LogIn, format!("Upstream answers {status}: it redirects to a log-in page, {to}"))
            }
            Target::Maintenance(to) | Target::Elsewhere(to) => (
                elsewhere,
                format!("Upstream answers {status}: it redirects to {to}, which cutover-api does not follow"),
            ),
            Target::Itself => (elsewhere, format!("Upstream answers {status}: it redirects to the requested address")),
            Target::Nowhere => (elsewhere, format!("Upstream answers {status}: a redirect without an address")),
        }
    }

    /// An answer that no git server gives.
    fn not_git(&self) -> UpstreamAnswer {
        let (status, page) = (self.status, &self.page);
        if status == 200 && is_dumb(self.body) {
            return UpstreamAnswer::DumbHttp;
        }
        let detail = match text(self.headers, header::CONTENT_ENCODING.as_str()) {
            Some(encoding) if encoding != "identity" => {
                format!("Upstream answers {status} in the encoding {encoding}, which was not requested")
            }
            _ if !(200..=299).contains(&status) => {
                format!("Upstream answers {status}, which no git server does{}", page.quoted())
            }
            _ if page.is_empty() => format!("Upstream answers {status} with an empty answer"),
            _ if page.is_html() => format!("Upstream answers {status}{} instead of git's answer", page.quoted()),
            _ => format!("Upstream answers {status} with an answer that is not git's{}", page.quoted()),
        };
        UpstreamAnswer::NotGit { detail }
    }
}

/// Returns the meaning of git's own error, sent in place of a list or in the middle of one.
///
/// Unknown words are "not git": they may mean anything, so nothing is changed because of them.
pub(super) fn git_error(words: &str) -> UpstreamAnswer {
    let detail = format!("Upstream's git reports: {words}");
    if has(words, &LEGAL) || has(words, &CLOSED) {
        UpstreamAnswer::Refused { why: UpstreamRefusal::Withdrawn, detail }
    } else if has(words, &LIMITED) || has(words, &DOWN) || has(words, &FAILING) {
        trouble(TroubleKind::Busy, detail)
    } else if has(words, &DENIED) {
        UpstreamAnswer::Refused { why: UpstreamRefusal::Denied, detail }
    } else {
        UpstreamAnswer::NotGit { detail }
    }
}

/// Whether this is the beginning of the file `info/refs` of git's dumb protocol: id, tab and name on each line.
fn is_dumb(body: &str) -> bool {
    let is_line = |line: &str| {
        line.split_once('\t').is_some_and(|(id, name)| ObjectId::parse(id).is_ok() && name.starts_with("refs/"))
    };
    // The body may be cut in the middle of its last line.
    let mut lines = body.lines();
    lines.next().is_some_and(is_line) && (body.ends_with('\n') || lines.next_back().is_some()) && lines.all(is_line)
}

fn trouble(kind: TroubleKind, detail: String) -> UpstreamAnswer {
    UpstreamAnswer::Trouble(Trouble::maybe_sent(kind, detail))
}

fn has(text: &str, phrases: &[&str]) -> bool {
    let text = text.to_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests;
