//! What an answer of upstream's that holds no list of refs means: "not now", "not you" or "not git".
//!
//! Owns that table, over status, headers and the beginning of the body together. Its texts name what was seen. What stands between
//! cutover-api and upstream (a proxy, a portal, a test for browsers) says nothing about the repository, so that it is "not now".
//! In doubt an answer is "not git", upon which nothing is changed.

use http::{HeaderMap, header};

use super::page::Page;
use super::rate;
use crate::domain::answer::{Trouble, TroubleKind, UpstreamAnswer, UpstreamRefusal};
use crate::domain::cause::Cause;
use crate::domain::redirect::{self, Target};
use crate::domain::refs::ObjectId;
use crate::domain::url::UpstreamUrl;

/// A limit on the rate of requests.
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

/// A server that does not work for now, on its page.
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

/// The same, in the words of a git server beside those.
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

/// A repository that is withheld by law.
const LEGAL: [&str; 5] = ["dmca", "takedown", "legal reasons", "legal request", "court order"];

/// A repository that its forge has closed.
const CLOSED: [&str; 3] = ["has been disabled", "access blocked", "has been suspended"];

/// A reader that is not let in, in git's own words or a forge's.
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

/// A test that only a browser passes.
const CHALLENGE: [&str; 7] = [
    "just a moment",
    "attention required",
    "checking your browser",
    "not a bot",
    "are you a robot",
    "are you human",
    "captcha",
];

/// Programs that stand between a company's network and the internet.
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

/// The beginning of an answer that is no list.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    upstream: &'a UpstreamUrl,
    /// What was asked for below its address.
    below: &'a str,
    status: u16,
    headers: &'a HeaderMap,
    body: &'a str,
    page: Page,
}

impl<'a> Answer<'a> {
    /// An answer to the request for `below`, such as `/info/refs`. `body`: its beginning, from which secrets are removed.
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

    /// What it means.
    pub(super) fn meaning(&self) -> UpstreamAnswer {
        self.between()
            .or_else(|| self.limited())
            .or_else(|| self.withdrawn())
            .or_else(|| self.not_now())
            .or_else(|| self.not_you())
            .unwrap_or_else(|| self.not_git())
    }

    /// An answer of something between.
    fn between(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        if let Some(program) = self.proxy() {
            let (wants, cause) =
                if status == 407 { ("; it wants a log-in", Cause::ProxyLogin) } else { ("", Cause::Proxy) };
            let detail = format!("A proxy{program} answers {status}{quoted}{wants}");
            return Some(UpstreamAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, detail).because(cause)));
        }
        let detail = if status == 511 {
            format!("The network wants a log-in before it lets requests through: 511{quoted}")
        } else if self.is_a_challenge() {
            format!("Upstream answers {status} with a test that only a browser passes{quoted}")
        } else {
            return None;
        };
        Some(trouble(TroubleKind::Foreign, detail))
    }

    /// Which proxy gives this answer in upstream's place, if one does: what it calls itself.
    fn proxy(&self) -> Option<String> {
        let named = |name: &str| text(self.headers, name).filter(|value| has(value, &PROXIES));
        // what a proxy passes on is upstream's own answer
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
        let by_its_own = self.status == 407
            || self.headers.contains_key(header::PROXY_AUTHENTICATE)
            || text(self.headers, "proxy-status").is_some_and(|value| value.contains("error="));
        by_its_own.then(String::new)
    }

    fn is_a_challenge(&self) -> bool {
        ["cf-mitigated", "x-amzn-waf-action"].iter().any(|name| self.headers.contains_key(*name))
            || self.page.is_html() && self.page.is_headed(&CHALLENGE)
    }

    /// A limit on the rate of requests.
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
            // some forges refuse with it, and then say when to come again
            403 => {
                self.headers.contains_key(header::RETRY_AFTER)
                    || rate::is_used_up(self.headers)
                    || self.page.says(&LIMITED)
            }
            503 => rate::is_used_up(self.headers) || self.page.is_headed(&LIMITED),
            200..=299 => self.page.is_headed(&LIMITED),
            _ => false,
        }
    }

    /// A repository that nobody is shown any more.
    fn withdrawn(&self) -> Option<UpstreamAnswer> {
        let (status, page, quoted) = (self.status, &self.page, self.page.quoted());
        let detail = match status {
            451 => format!("Upstream withholds the repository for legal reasons: 451{quoted}"),
            403 | 404 | 410 if page.says(&LEGAL) => {
                format!("Upstream withholds the repository for legal reasons: {status}{quoted}")
            }
            200..=299 if page.is_headed(&LEGAL) => {
                format!("Upstream withholds the repository for legal reasons: {status}{quoted}")
            }
            403 | 404 if page.says(&CLOSED) => format!("Upstream has closed the repository: {status}{quoted}"),
            410 => format!("Upstream has removed the repository for good: 410{quoted}"),
            _ => return None,
        };
        Some(UpstreamAnswer::Refused { why: UpstreamRefusal::Withdrawn, detail })
    }

    /// A server that may give a list later.
    fn not_now(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        let (kind, detail) = match status {
            408 | 425 | 502..=504 | 520..=530 => (TroubleKind::Busy, format!("Upstream answers {status}{quoted}")),
            500..=599 => (TroubleKind::ServerError, format!("Upstream answers {status}{quoted}")),
            200..=299 | 403 if self.page.is_headed(&DOWN) => {
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

    /// An answer of a server that does not show this repository to cutover-api, or not here.
    fn not_you(&self) -> Option<UpstreamAnswer> {
        let (status, quoted) = (self.status, self.page.quoted());
        let (why, detail) = match status {
            401..=404 | 423 => (UpstreamRefusal::Denied, format!("Upstream answers {status}{quoted}")),
            200..=299 if self.page.asks_for_a_log_in() => {
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
            Target::Itself => {
                (elsewhere, format!("Upstream answers {status}: it redirects to the address that was asked for"))
            }
            Target::Nowhere => (elsewhere, format!("Upstream answers {status}: a redirect without an address")),
        }
    }

    /// An answer that is not git's.
    fn not_git(&self) -> UpstreamAnswer {
        let (status, page) = (self.status, &self.page);
        if status == 200 && is_dumb(self.body) {
            return UpstreamAnswer::DumbHttp;
        }
        let detail = match text(self.headers, header::CONTENT_ENCODING.as_str()) {
            Some(encoding) if encoding != "identity" => {
                format!("Upstream answers {status} in the encoding {encoding}, which was not asked for")
            }
            _ if !(200..=299).contains(&status) => {
                format!("Upstream answers {status}, which git never does{}", page.quoted())
            }
            _ if page.is_empty() => format!("Upstream answers {status} with an empty answer"),
            _ if page.is_html() => format!("Upstream answers {status}{} instead of git's answer", page.quoted()),
            _ => format!("Upstream answers {status} with an answer that is not git's{}", page.quoted()),
        };
        UpstreamAnswer::NotGit { detail }
    }
}

/// What git's own error means, which it sends in place of a list or in the middle of one. Words that are not known are "not git":
/// they may mean anything, and nothing is changed upon them.
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

/// Whether this begins the file `info/refs` of a repository that is served as plain files: an id, a tab and a name a line.
fn is_dumb(body: &str) -> bool {
    let is_line = |line: &str| {
        line.split_once('\t').is_some_and(|(id, name)| ObjectId::parse(id).is_ok() && name.starts_with("refs/"))
    };
    // only the beginning is here, and the last line may be cut
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
