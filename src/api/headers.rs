//! The request headers `Prefer` (RFC 7240) and `Idempotency-Key`.
//!
//! Owns how they are read. A preference that is not understood is ignored, as the standard says; a key that is not
//! understood is refused, since its caller relies on it.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

use super::error::ApiError;
use crate::domain::key::Key;
use crate::domain::problem::Code;

/// What a caller prefers.
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Which preference was met.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The caller's name for a request.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is that of an earlier request.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest that an answer is waited for, in seconds; what asks for more is passed over.
const LONGEST_WAIT: u64 = 60;

/// How long the caller would wait for the end of its run: the first `wait` of all its preferences, if it is one.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
    let first = texts.flat_map(outside_quotes).find_map(|preference| {
        // parameters of a preference follow a semicolon; `wait` has none
        let plain = preference.split(';').next().unwrap_or_default();
        let (name, value) = plain.split_once('=').unwrap_or((plain, ""));
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let digits = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    let whole = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let seconds: u64 = whole.then(|| digits.parse().ok()).flatten()?;
    (seconds <= LONGEST_WAIT).then(|| Duration::from_secs(seconds))
}

/// The elements of a list, where a comma in a quoted string separates nothing.
fn outside_quotes(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    list.split(move |c| {
        let separates = c == ',' && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        separates
    })
}

/// The caller's key; `None`: it sent none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<Key>, ApiError> {
    let mut all = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| all.next().is_none()).and_then(Key::parse);
    key.map(Some).ok_or_else(|| {
        ApiError::new(
            Code::MalformedRequest,
            "`Idempotency-Key` may stand once, with 1 to 255 visible ASCII characters other than a comma or a quotation mark",
        )
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
        let value = |value: &&[u8]| (name.clone(), HeaderValue::from_bytes(value).unwrap());
        values.iter().map(value).collect()
    }

    #[test]
    fn a_wait_is_read_and_anything_else_passed_over() {
        let of = |values: &[&str]| {
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            wait(&headers(&PREFER, &values)).map(|wait| wait.as_secs())
        };
        for (values, seconds) in [
            (&["wait=10"][..], 10),
            (&["respond-async, wait=10"], 10),
            (&["respond-async", "WAIT = 60"], 60),
            (&["wait=0"], 0),
            (&["wait=\"7\"; x=y"], 7),
            (&["a=\"b, wait=9 \\\" , wait=8\", wait=5"], 5),
            (&["wait=3, wait=4"], 3),
            (&["handling=lenient; wait=9, wait=2"], 2),
        ] {
            assert_eq!(of(values), Some(seconds), "{values:?}");
        }
        let many = "p,".repeat(200) + "wait=4";
        assert_eq!(of(&[&many]), Some(4));
        for passed_over in [
            "",
            "wait",
            "wait=",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=abc",
            "wait=61",
            "wait=999999",
            "await=5",
            "wait=99999999999999999999",
            "wait=abc, wait=5",
            "\"wait=5",
        ] {
            assert_eq!(of(&[passed_over]), None, "{passed_over}");
        }
        assert_eq!(wait(&headers(&PREFER, &[b"\xff", b"wait=5"])).unwrap().as_secs(), 5);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_key_stands_once_or_the_request_is_refused() {
        let of = |values: &[&[u8]]| key(&headers(&IDEMPOTENCY_KEY, values)).map_err(|refusal| refusal.code());
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[b"8e03978e-40d5-43dd-bc93-6894a57f9324"]).unwrap().unwrap().as_str().len(), 36);
        for bad in [&[&b""[..]][..], &[b"a", b"a"], &[b"a,b"], &[b"\"a\""], &[b"a b"], &[b"\xe9"], &[&[b'x'; 256]]] {
            assert_eq!(of(bad), Err(Code::MalformedRequest), "{bad:?}");
        }
    }
}
