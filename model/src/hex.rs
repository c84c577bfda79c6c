//! UUID text, eight characters at a time.
//!
//! Nearly every id is the text of a UUID, and each event holds up to three, so
//! reading one must cost nanoseconds. Eight hexadecimal characters fit a `u64`
//! and are checked and packed with a dozen plain integer operations, no table
//! and no branch a character.

/// Length of a UUID's text: 32 digits and four hyphens.
pub const TEXT: usize = 36;

const ONES: u64 = 0x0101_0101_0101_0101;

/// Packs the text of a lower-case UUID into its upper and lower half, or `None`
/// for anything else (also for a UUID in upper case: that is another string).
pub fn parse(text: &[u8]) -> Option<(u64, u64)> {
    let text: &[u8; TEXT] = text.try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != *b"----" {
        return None;
    }
    let four = |at: usize| [text[at], text[at + 1], text[at + 2], text[at + 3]];
    let eight = |left: [u8; 4], right: [u8; 4]| {
        u64::from(u32::from_le_bytes(left)) | u64::from(u32::from_le_bytes(right)) << 32
    };
    let (a, valid_a) = pack(eight(four(0), four(4)));
    let (b, valid_b) = pack(eight(four(9), four(14)));
    let (c, valid_c) = pack(eight(four(19), four(24)));
    let (d, valid_d) = pack(eight(four(28), four(32)));
    (valid_a & valid_b & valid_c & valid_d).then_some((a << 32 | b, c << 32 | d))
}

/// The text of the UUID with these halves.
pub fn format(upper: u64, lower: u64) -> [u8; TEXT] {
    let mut text = [b'-'; TEXT];
    let [a, b] = [spread(upper >> 32), spread(upper & 0xffff_ffff)];
    let [c, d] = [spread(lower >> 32), spread(lower & 0xffff_ffff)];
    text[0..8].copy_from_slice(&a);
    text[9..13].copy_from_slice(&b[..4]);
    text[14..18].copy_from_slice(&b[4..]);
    text[19..23].copy_from_slice(&c[..4]);
    text[24..28].copy_from_slice(&c[4..]);
    text[28..36].copy_from_slice(&d);
    text
}

/// Eight characters, the first in the lowest byte, to 32 bits, the first in the
/// highest four; false when one of them is not `0`–`9` or `a`–`f`.
fn pack(characters: u64) -> (u64, bool) {
    // Bit 6 tells letters (0x61–0x66) from digits (0x30–0x39).
    let letters = (characters >> 6) & ONES;
    let nibbles = (characters & (ONES * 0x0f)) + letters * 9;
    // Exactly the sixteen good characters come back from their own nibble.
    let valid = nibbles & (ONES * 0xf0) == 0 && to_characters(nibbles) == characters;

    let pairs = nibbles.swap_bytes();
    let bytes = (pairs | pairs >> 4) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    ((halves | halves >> 16) & 0xffff_ffff, valid)
}

/// The inverse of [`pack`], as text.
fn spread(bits: u64) -> [u8; 8] {
    let halves = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes << 4) & (ONES * 0x0f);
    to_characters(pairs.swap_bytes()).to_le_bytes()
}

/// Eight nibbles, one a byte, to their eight characters.
fn to_characters(nibbles: u64) -> u64 {
    let letters = ((nibbles + ONES * 6) >> 4) & ONES;
    nibbles + ONES * 0x30 + letters * 0x27
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged() {
        let uuid = *b"01234567-89ab-cdef-8123-456789abcdef";
        assert_eq!(
            parse(&uuid),
            Some((0x0123_4567_89ab_cdef, 0x8123_4567_89ab_cdef))
        );
        for at in 0..TEXT {
            for byte in 0..=255u8 {
                let mut text = uuid;
                text[at] = byte;
                let good = match at {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                let parsed = parse(&text);
                assert_eq!(parsed.is_some(), good, "byte {byte:#x} at {at}");
                if let Some((upper, lower)) = parsed {
                    assert_eq!(format(upper, lower), text);
                }
            }
        }
    }
}
