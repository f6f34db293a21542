//! Rate limits in an answer's headers.
//!
//! Owns the usual spellings: `Retry-After`, GitHub's `X-RateLimit-*`, and `RateLimit-*` and `RateLimit` of GitLab and
//! the IETF draft. The reset is an instant for GitHub and mostly a number of seconds for the others. An instant is
//! compared with the server's own `Date`.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;

use crate::transport::{date, retry_after};

const REMAINING: [&str; 3] = ["x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"];
const RESET: [&str; 4] = ["x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after", "ratelimit-reset"];

/// The least number that is an instant, in seconds since 1970 (2001). Below it, a number is a duration.
const FIRST_INSTANT: i64 = 1_000_000_000;

/// Whether the limit leaves no further request.
pub(super) fn is_used_up(headers: &HeaderMap) -> bool {
    REMAINING.iter().any(|name| text(headers, name) == Some("0"))
        || members(headers).any(|(name, value)| matches!(name, "r" | "remaining") && value == "0")
}

/// The pause that the server asks for: `Retry-After`, or else the time until the limit resets.
pub(super) fn pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers).or_else(|| is_used_up(headers).then(|| reset(headers)).flatten())
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    let of_the_draft = members(headers).find(|(name, _)| matches!(*name, "t" | "reset")).map(|(_, value)| value);
    let value = RESET.iter().find_map(|name| text(headers, name)).or(of_the_draft)?;
    let until = match value.split('.').next().and_then(|whole| whole.parse::<i64>().ok()) {
        Some(seconds) if seconds < FIRST_INSTANT => return u64::try_from(seconds).ok().map(Duration::from_secs),
        Some(seconds) if seconds < FIRST_INSTANT * 1_000 => Timestamp::from_second(seconds).ok()?,
        Some(milliseconds) => Timestamp::from_millisecond(milliseconds).ok()?,
        None => value.parse().ok()?,
    };
    Some(Duration::try_from(until.duration_since(date(headers)?)).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Members of `RateLimit`, such as `"default";r=0;t=30` or `limit=100, remaining=0, reset=50`.
fn members(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let value = text(headers, "ratelimit").unwrap_or_default();
    value.split([';', ',']).filter_map(|member| member.trim().split_once('='))
}

/// Describes a list that comes from a cache, by `Age` or by the cache's own header.
pub(super) fn from_a_cache(headers: &HeaderMap) -> Option<String> {
    // Not every cache sends `Age`.
    const CACHES: [&str; 5] = ["x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status", "cache-status"];
    if let Some(age) = text(headers, header::AGE.as_str()).and_then(|age| age.parse::<u64>().ok()) {
        return (age > 0).then(|| format!("A cache answered with a list of refs that is {age} s old (Age: {age})"));
    }
    let stored = |value: &str| {
        value.to_ascii_lowercase().split([' ', ',', ';']).any(|word| matches!(word, "hit" | "stale" | "updating"))
    };
    let name = CACHES.into_iter().find(|name| text(headers, name).is_some_and(stored));
    name.map(|name| {
        format!("A cache answered with a stored list of refs ({name}: {})", text(headers, name).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn every_usual_spelling_of_a_limit_is_read() {
        const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (pairs, used_up, asked) in [
            (&[("retry-after", "60")][..], false, Some(60)),
            (&[("x-ratelimit-remaining", "0")], true, None),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1893456060"),
                    ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
                ],
                true,
                Some(60),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1893455000"),
                    ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
                ],
                true,
                Some(0),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1893456060000"),
                    ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
                ],
                true,
                Some(60),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "2030-01-01T00:01:00Z"),
                    ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
                ],
                true,
                Some(60),
            ),
            // An instant without a `Date` to compare it with.
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1893456060")], true, None),
            (&[("x-ratelimit-remaining", "17"), ("x-ratelimit-reset", "1893456060"), DATE], false, None),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")], true, Some(30)),
            (&[("ratelimit", "\"default\";r=0;t=30")], true, Some(30)),
            (&[("ratelimit", "limit=100, remaining=0, reset=50")], true, Some(50)),
            (&[("ratelimit", "\"default\";r=10;t=30")], false, None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "7.5")], true, Some(7)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30"), ("retry-after", "5")], true, Some(5)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon"), DATE], true, None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-5")], true, None),
            (&[DATE], false, None),
        ] {
            let headers = headers(pairs);
            assert_eq!(is_used_up(&headers), used_up, "{pairs:?}");
            assert_eq!(pause(&headers), asked.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn a_list_from_a_cache_is_recognised_by_age_or_the_caches_header() {
        for (pairs, stored) in [
            (&[("age", "1")][..], true),
            (&[("age", "0"), ("x-cache", "HIT")], false),
            (&[("age", "soon")], false),
            (&[("x-cache", "Hit from cloudfront")], true),
            (&[("x-cache", "MISS, HIT")], true),
            (&[("x-cache", "MISS from proxy")], false),
            (&[("x-cache-status", "STALE")], true),
            (&[("cache-status", "ExampleCache; hit; ttl=376")], true),
            (&[("cache-status", "ExampleCache; fwd=uri-miss")], false),
            (&[("cf-cache-status", "DYNAMIC")], false),
            (&[], false),
        ] {
            assert_eq!(from_a_cache(&headers(pairs)).is_some(), stored, "{pairs:?}");
        }
    }
}
