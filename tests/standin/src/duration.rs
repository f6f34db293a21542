//! Go's `time.Duration` as text: what Gitea reads from `mirror_interval` and what it prints there.
//! Pure; knows nothing of mirrors or of the smallest interval allowed.

const NANOS_OF_UNIT: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses as Go's `time.ParseDuration` does, to nanoseconds.
///
/// # Errors
///
/// Go's own text, such as `time: invalid duration "ten"`.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, nanos)) = NANOS_OF_UNIT.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        total += digits(whole).ok_or_else(invalid)? * nanos;
        // Beyond 18 digits no unit has anything left to add.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(18));
        total += digits(fraction).ok_or_else(invalid)? * nanos / scale;
        rest = next;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}

fn digits(text: &str) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    // 30 digits are far beyond any duration and still far from overflowing.
    if text.len() > 30 { None } else { text.parse::<i128>().ok().filter(|n| *n < 1_i128 << 80) }
}

/// Prints as Go's `time.Duration.String` does: `10m0s`, `1h30m0s`, `1.5s`, `0s`.
#[must_use]
pub fn print(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000_000_000 {
        let (unit, size) = match nanos {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("\u{b5}s", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(nanos, size));
    }
    let (minutes, below) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
    let seconds = with_fraction(below, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

fn with_fraction(nanos: u64, unit: u64) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_comes_back_in_gos_own_spelling() {
        for (given, printed) in [
            ("10m0s", "10m0s"),
            ("600s", "10m0s"),
            ("1h30m", "1h30m0s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("-1s", "-1s"),
            ("87600h", "87600h0m0s"),
            ("1.5s", "1.5s"),
            ("1500us", "1.5ms"),
            (".5m", "30s"),
            ("1ns", "1ns"),
        ] {
            assert_eq!(print(parse(given).unwrap()), printed, "{given}");
        }
    }

    #[test]
    fn a_bad_interval_is_refused_in_gos_own_words() {
        assert_eq!(parse("ten").unwrap_err(), r#"time: invalid duration "ten""#);
        assert_eq!(parse("").unwrap_err(), r#"time: invalid duration """#);
        assert_eq!(parse("10").unwrap_err(), r#"time: missing unit in duration "10""#);
        assert_eq!(parse("10 m").unwrap_err(), r#"time: unknown unit " m" in duration "10 m""#);
        assert_eq!(parse("1d").unwrap_err(), r#"time: unknown unit "d" in duration "1d""#);
        assert!(parse("9999999999999999999h").is_err());
    }
}
