//! pkt-lines: git's framing. Four hexadecimal digits of length, themselves included, then the data.
//!
//! Owns the reading of one buffer. Never allocates for a length that the buffer does not have.

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// Data, without the line feed that may end it.
    Data(&'a [u8]),
    /// `0000`: the end of a part.
    Flush,
    /// `0001`: the end of a section.
    Delimiter,
}

/// A buffer that is not made of whole packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPackets;

/// Takes the first packet off a buffer; `None` at its end.
pub(super) fn next<'a>(buffer: &mut &'a [u8]) -> Option<Result<Packet<'a>, NotPackets>> {
    if buffer.is_empty() {
        return None;
    }
    Some(take(buffer))
}

fn take<'a>(buffer: &mut &'a [u8]) -> Result<Packet<'a>, NotPackets> {
    let (digits, rest) = buffer.split_at_checked(4).ok_or(NotPackets)?;
    let length = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(NotPackets)?;
    let (packet, rest) = match length {
        0 => (Packet::Flush, rest),
        1 => (Packet::Delimiter, rest),
        2 | 3 => return Err(NotPackets),
        _ => {
            let (data, rest) = rest.split_at_checked(length - 4).ok_or(NotPackets)?;
            (Packet::Data(data.strip_suffix(b"\n").unwrap_or(data)), rest)
        }
    };
    *buffer = rest;
    Ok(packet)
}

/// Frames one line of a request.
pub(super) fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_taken_one_by_one() {
        let mut buffer = &b"000ahello\n0001000bworld!!0000"[..];
        let mut seen = Vec::new();
        while let Some(packet) = next(&mut buffer) {
            seen.push(packet.unwrap());
        }
        assert_eq!(seen, [Packet::Data(b"hello"), Packet::Delimiter, Packet::Data(b"world!!"), Packet::Flush]);
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for text in ["0002", "0003", "000", "zzzz", "+00a", "0010short", "<!DOCTYPE html>"] {
            let mut buffer = text.as_bytes();
            assert_eq!(next(&mut buffer), Some(Err(NotPackets)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_go_on_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = &bytes[..];
            let mut packets = 0;
            while let Some(Ok(_)) = next(&mut buffer) {
                packets += 1;
            }
            prop_assert!(packets <= 50);
        }

        #[test]
        fn what_is_framed_is_read_back(text in "[ -~]{0,80}") {
            let framed = line(&text);
            prop_assert_eq!(next(&mut framed.as_bytes()), Some(Ok(Packet::Data(text.as_bytes()))));
        }
    }
}
