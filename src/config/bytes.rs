//! Memory sizes: `24MiB`, or `24Mi` as Kubernetes writes them.
//!
//! Owns the two spellings. Has no limits.

/// The units, the largest first.
const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Parses a whole number with a unit.
pub(super) fn parse(text: &str) -> Result<usize, &'static str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| unit == *name || Some(unit) == name.strip_suffix('B'));
    factor
        .zip(number.parse::<usize>().ok())
        .and_then(|((_, factor), number)| number.checked_mul(*factor))
        .ok_or("write a size such as 24MiB")
}

/// Formats a size in the largest unit in which it is a whole number.
pub(super) fn show(bytes: usize) -> String {
    let unit = UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, factor)| format!("{}{name}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_with_a_unit() {
        for (text, bytes) in [("24MiB", 24 << 20), ("24Mi", 24 << 20), ("512KiB", 512 << 10), ("1GiB", 1 << 30)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "24",
            "24MB",
            "24M",
            "MiB",
            "-1MiB",
            "1.5MiB",
            "24 MiB",
            "99999999999999999999MiB",
            "18446744073709551615KiB",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!([show(24 << 20), show(1536 << 10), show(1 << 30), show(5)], ["24MiB", "1536KiB", "1GiB", "5 bytes"]);
    }
}
