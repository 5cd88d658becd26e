//! The two forms that are met most, read without a pattern.

use super::civil::Civil;
use super::digits;

/// Reads the time of the common log format, `22/Nov/2026:12:51:54 +0100`, 26 bytes.
#[must_use]
pub fn read_clf(bytes: &[u8]) -> Option<i64> {
    let bytes: &[u8; 26] = bytes.try_into().ok()?;
    let separators = [bytes[2], bytes[6], bytes[11], bytes[14], bytes[17], bytes[20]];
    if separators != *b"//::: " {
        return None;
    }
    let civil = Civil {
        year: i32::try_from(four(bytes, 7)?).ok()?,
        month: short_month([bytes[3], bytes[4], bytes[5]])?,
        day: two(bytes, 0)?,
        hour: two(bytes, 12)?,
        minute: two(bytes, 15)?,
        second: two(bytes, 18)?,
        nanosecond: 0,
    };
    civil.nanoseconds(offset(bytes[21], two(bytes, 22)?, two(bytes, 24)?)?)
}

/// Reads the time of RFC 3339 that `bytes` begin with, and says how long it is. As usual a space is
/// taken for the T, a comma for the point, and a zone without colon for one with; where there is no
/// zone at all it is `offset` seconds east of Greenwich.
#[must_use]
pub fn read_rfc3339(bytes: &[u8], offset_left_out: i32) -> Option<(i64, usize)> {
    let head: &[u8; 19] = bytes.get(..19)?.try_into().ok()?;
    if (head[4], head[7], head[13], head[16]) != (b'-', b'-', b':', b':')
        || !matches!(head[10], b'T' | b't' | b' ')
    {
        return None;
    }
    let mut at = 19;
    let mut civil = Civil {
        year: i32::try_from(four(head, 0)?).ok()?,
        month: two(head, 5)?,
        day: two(head, 8)?,
        hour: two(head, 11)?,
        minute: two(head, 14)?,
        second: two(head, 17)?,
        nanosecond: 0,
    };
    if matches!(bytes.get(at), Some(b'.' | b',')) {
        let (nanosecond, length) = fraction(&bytes[at + 1..])?;
        civil.nanosecond = nanosecond;
        at += 1 + length;
    }
    let zone = &bytes[at..];
    let (offset, length) = numeric_zone(zone).unwrap_or((offset_left_out, 0));
    Some((civil.nanoseconds(offset)?, at + length))
}

/// Reads a zone given as `Z`, `+01`, `+0100`, `+01:00` or with seconds: seconds east of Greenwich,
/// and its length.
pub(super) fn numeric_zone(bytes: &[u8]) -> Option<(i32, usize)> {
    let sign = *bytes.first()?;
    if matches!(sign, b'Z' | b'z') {
        return Some((0, 1));
    }
    let mut at = 3;
    let hours = digits(bytes.get(1..at)?)?;
    let mut rest = [0; 2];
    for value in &mut rest {
        let colon = usize::from(bytes.get(at) == Some(&b':'));
        let Some(found) = bytes.get(at + colon..at + colon + 2).and_then(digits) else { break };
        *value = found;
        at += colon + 2;
    }
    let seconds = offset(sign, hours, rest[0])?;
    let more = i32::try_from(rest[1]).ok()?;
    Some((if seconds < 0 { seconds - more } else { seconds + more }, at))
}

/// Reads the digits behind the point of a second: nanoseconds, and how many digits there are.
pub(super) fn fraction(bytes: &[u8]) -> Option<(u32, usize)> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut nanosecond = digits(&bytes[..length.min(9)])?;
    for _ in length..9 {
        nanosecond *= 10;
    }
    Some((nanosecond, length))
}

fn offset(sign: u8, hours: u32, minutes: u32) -> Option<i32> {
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    match sign {
        _ if hours > 24 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[inline]
fn two(bytes: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[inline]
fn four(bytes: &[u8], at: usize) -> Option<u32> {
    Some(two(bytes, at)? * 100 + two(bytes, at + 2)?)
}

fn short_month(name: [u8; 3]) -> Option<u32> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn common_log_format_is_read() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(read_clf(text.as_bytes()), expected.map(|s| s * SECOND), "{text}");
        };
        check("10/Oct/2000:13:55:36 -0700", Some(971_211_336));
        check("01/Mar/2026:00:00:00 +0000", Some(1_772_323_200));
        check("01/Mar/2026:00:00:00 +0530", Some(1_772_323_200 - 19_800));
        check("31/Feb/2026:00:00:00 +0000", None);
        check("01/mar/2026:00:00:00 +0000", None);
        check("01/Mar/2026:00:00:00", None);
        check("01/Mar/2026:24:00:00 +0000", None);
        check("0x/Mar/2026:00:00:00 +0000", None);
    }

    #[test]
    fn rfc3339_is_read_and_its_variants() {
        let check = |text: &str, expected: Option<(i64, usize)>| {
            assert_eq!(read_rfc3339(text.as_bytes(), 0), expected, "{text}");
        };
        check("1985-04-12T23:20:50.52Z", Some((482_196_050_520_000_000, 23)));
        check("1996-12-19T16:39:57-08:00", Some((851_042_397 * SECOND, 25)));
        check("1996-12-19 16:39:57,5-0800 rest", Some((851_042_397_500_000_000, 26)));
        check("1990-12-31T23:59:60Z", Some((662_688_000 * SECOND, 20)));
        check("1970-01-01T00:00:00", Some((0, 19)));
        check("1970-01-01T00:00", None);
        check("1970-13-01T00:00:00Z", None);
        check("1970-01-01T00:00:00.Z", None);
    }
}
