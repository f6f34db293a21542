//! Durations in Go's notation, the only form in which Gitea accepts and shows a mirror interval.
//!
//! Owns parsing (`1h30m`, `600s`, `1.5h`) and printing (`1h30m0s`). Intervals must be compared as durations, never as
//! text: Gitea answers `10m0s` to a PATCH of `600s`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A non-negative duration in Go's notation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration(Duration);

/// A text that is not a Go duration, or a negative one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Go duration such as 10m0s, 1h30m or 600s")]
pub struct NotADuration;

/// The longest duration in Go, which keeps nanoseconds in an `int64`.
const GO_MAX_NANOS: u128 = i64::MAX as u128;

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, the micro sign
    ("μs", 1_000), // U+03BC, the Greek letter: Go takes both
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// The interval that disables Gitea's periodic sync.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Wraps a duration.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// Returns the duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Parses a Go duration as `time.ParseDuration` does, except that negative ones are refused.
    ///
    /// # Errors
    /// Any other text: another notation, a missing unit, white space, a value over Go's limit.
    pub fn parse(text: &str) -> Result<Self, NotADuration> {
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(NotADuration);
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (value, scale, after_number) = number(rest)?;
            let unit_end = after_number.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after_number.len());
            let (unit, after_unit) = after_number.split_at(unit_end);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotADuration)?;
            nanos += value.checked_mul(*factor).ok_or(NotADuration)? / scale;
            if nanos > GO_MAX_NANOS {
                return Err(NotADuration);
            }
            rest = after_unit;
        }
        let nanos = u64::try_from(nanos).map_err(|_| NotADuration)?;
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

/// Splits off a leading decimal number: its digits as one integer, the power of ten to divide by, the rest.
fn number(text: &str) -> Result<(u128, u128, &str), NotADuration> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).ok_or(NotADuration)?;
    let (digits, rest) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // With at most 20 digits each, the arithmetic cannot overflow. Go's longest numbers have fewer, apart from
    // redundant zeros.
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 || fraction.len() > 9 {
        return Err(NotADuration);
    }
    let read = |part: &str| {
        if part.is_empty() { Ok(0) } else { part.parse::<u128>().map_err(|_| NotADuration) }
    };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| NotADuration)?);
    Ok((read(whole)? * scale + read(fraction)?, scale, rest))
}

impl fmt::Display for GoDuration {
    /// Prints as Go's `Duration.String()` does: `10m0s`, `1h30m0s`, `1.5s`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
        let fraction = |value: u128, unit: u128, digits: usize| {
            let decimals = format!("{:0digits$}", value % unit);
            let decimals = decimals.trim_end_matches('0');
            let dot = if decimals.is_empty() { "" } else { "." };
            format!("{}{dot}{decimals}", value / unit)
        };
        if nanos == 0 {
            f.write_str("0s")
        } else if nanos < 1_000 {
            write!(f, "{nanos}ns")
        } else if nanos < 1_000_000 {
            write!(f, "{}µs", fraction(nanos, 1_000, 3))
        } else if nanos < 1_000_000_000 {
            write!(f, "{}ms", fraction(nanos, 1_000_000, 6))
        } else {
            let seconds = fraction(nanos % 60_000_000_000, 1_000_000_000, 9);
            if hours > 0 {
                write!(f, "{hours}h{minutes}m{seconds}s")
            } else if minutes > 0 {
                write!(f, "{minutes}m{seconds}s")
            } else {
                write!(f, "{seconds}s")
            }
        }
    }
}

impl TryFrom<String> for GoDuration {
    type Error = NotADuration;
    fn try_from(text: String) -> Result<Self, NotADuration> {
        Self::parse(&text)
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_are_read_and_printed_as_go_does() {
        // Printed by Go's own `Duration.String()`.
        for (text, printed) in [
            ("10m0s", "10m0s"),
            ("600s", "10m0s"),
            ("8h", "8h0m0s"),
            ("1h30m", "1h30m0s"),
            ("1.5h", "1h30m0s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("+5m", "5m0s"),
            ("1m1.5s", "1m1.5s"),
            (".5s", "500ms"),
            ("1500us", "1.5ms"),
            ("1µs", "1µs"),
            ("100ns", "100ns"),
            ("1h0m0.001s", "1h0m0.001s"),
        ] {
            assert_eq!(GoDuration::parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn other_notations_are_refused() {
        for text in [
            "",
            " ",
            "10",
            "10 minutes",
            "10M",
            "1d",
            "1y",
            "1month",
            "PT10M",
            " 10m",
            "10m ",
            "10m\n",
            "１０m",
            "10m;0s",
            "Infinity",
            "-10m",
            "1e9h",
            "9999999999h",
            "999999999999999999999s",
            ".s",
            "1..5s",
            "1.2.3s",
            "m",
        ] {
            assert_eq!(GoDuration::parse(text), Err(NotADuration), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(nanos in 0..i64::MAX as u64) {
            let duration = GoDuration::new(Duration::from_nanos(nanos));
            prop_assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = GoDuration::parse(&text);
        }
    }
}
