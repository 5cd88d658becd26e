//! Numbers as text, in the form Heka's scripts and graphs know.

use std::io::Write;

/// Appends `number`: without a fraction when it has none, else with at most eight decimals; numbers
/// beyond 32 bits with 17 significant digits.
#[allow(clippy::cast_possible_truncation, reason = "the number was found to fit")]
pub fn write(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" });
    } else if number.abs() > f64::from(i32::MAX) {
        write_significant(out, number);
    } else if number.fract() == 0.0 {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(number as i64).as_bytes());
    } else {
        let start = out.len();
        let _ = write!(out, "{number:.8}");
        trim(out, start);
    }
}

/// The 17 significant digits that C calls `%.17g`.
fn write_significant(out: &mut Vec<u8>, number: f64) {
    write_general(out, number, 17);
}

/// Appends `number` with so many significant digits, as C's `%g` does: zeros at the end left off,
/// an exponent where it would be longer without.
pub fn write_general(out: &mut Vec<u8>, number: f64, digits: usize) {
    out.extend_from_slice(general(&mut [0; GENERAL_BYTES], number, digits));
}

/// Room for any number of up to [`MAX_DIGITS`] significant digits: a sign, `0.000` or a point, the digits
/// and an exponent.
pub const GENERAL_BYTES: usize = 32;

/// The most significant digits that a number is written with; more tell nothing new.
const MAX_DIGITS: usize = 17;

/// What [`write_general`] appends, without an allocation.
pub fn general(text: &mut [u8; GENERAL_BYTES], number: f64, digits: usize) -> &[u8] {
    let digits = digits.clamp(1, MAX_DIGITS);
    let mut line = Line { text, end: 0 };
    if !number.is_finite() {
        let word: &[u8] = if number.is_nan() {
            b"nan"
        } else if number > 0.0 {
            b"inf"
        } else {
            b"-inf"
        };
        line.put(word);
        return line.done();
    }
    let mut science = [0; GENERAL_BYTES];
    let mut rest = &mut science[..];
    let _ = write!(rest, "{:.*e}", digits - 1, number.abs());
    let mut figures = [0; MAX_DIGITS];
    let (mut count, mut exponent, mut is_small, mut is_mantissa) = (0, 0_usize, false, true);
    for byte in science {
        match byte {
            b'e' => is_mantissa = false,
            b'-' => is_small = true,
            b'0'..=b'9' if is_mantissa => {
                figures[count] = byte;
                count += 1;
            }
            b'0'..=b'9' => exponent = exponent * 10 + usize::from(byte - b'0'),
            _ => {}
        }
    }
    let told = figures.iter().rposition(|figure| (b'1'..=b'9').contains(figure)).unwrap_or(0) + 1;
    let figures = &figures[..told];
    if number < 0.0 {
        line.put(b"-");
    }
    if is_small && exponent <= 4 {
        line.put(&b"0.0000"[..=exponent]);
        line.put(figures);
    } else if !is_small && exponent < digits {
        let (whole, fraction) = figures.split_at(told.min(exponent + 1));
        line.put(whole);
        line.put(&[b'0'; MAX_DIGITS][..exponent + 1 - whole.len()]);
        line.put_fraction(fraction);
    } else {
        line.put(&figures[..1]);
        line.put_fraction(&figures[1..]);
        line.put(if is_small { b"e-" } else { b"e+" });
        if exponent < 10 {
            line.put(b"0");
        }
        line.put(itoa::Buffer::new().format(exponent).as_bytes());
    }
    line.done()
}

/// Text that is being put together where there is room for it.
struct Line<'t> {
    text: &'t mut [u8; GENERAL_BYTES],
    end: usize,
}

impl<'t> Line<'t> {
    fn put(&mut self, part: &[u8]) {
        if let Some(room) = self.text.get_mut(self.end..self.end + part.len()) {
            room.copy_from_slice(part);
            self.end += part.len();
        }
    }

    fn put_fraction(&mut self, figures: &[u8]) {
        if !figures.is_empty() {
            self.put(b".");
            self.put(figures);
        }
    }

    fn done(self) -> &'t [u8] {
        &self.text[..self.end]
    }
}

/// Takes zeros off the end of a fraction, and the point if nothing is left behind it.
fn trim(out: &mut Vec<u8>, start: usize) {
    if !out[start..].contains(&b'.') {
        return;
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
    if &out[start..] == b"-0" {
        out.truncate(start);
        out.push(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: f64, expected: &str) {
        let mut out = Vec::new();
        write(&mut out, number);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn numbers_read_as_in_heka() {
        check(0.0, "0");
        check(-3.0, "-3");
        check(0.1, "0.1");
        check(1.0 / 3.0, "0.33333333");
        check(-0.000_000_001, "0");
        check(1_416_840_893_000_000_000.0, "1.416840893e+18");
        check(4_294_967_296.0, "4294967296");
        check(12_345_678_901.5, "12345678901.5");
        check(f64::NAN, "nan");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn significant_digits_are_those_of_c() {
        for (number, digits, expected) in [
            (0.0, 14, "0"),
            (0.1 + 0.2, 14, "0.3"),
            (1.0 / 3.0, 14, "0.33333333333333"),
            (-2.5e-4, 14, "-0.00025"),
            (0.000_01, 14, "1e-05"),
            (99_999_999_999_999.0, 14, "99999999999999"),
            (1e14, 14, "1e+14"),
            (1_416_840_893_123_456_789.0, 14, "1.4168408931235e+18"),
            (999_999_999_999_999.0, 14, "1e+15"),
            (120.0, 2, "1.2e+02"),
            (f64::MAX, 17, "1.7976931348623157e+308"),
            (-5e-324, 17, "-4.9406564584124654e-324"),
            (1e16, 17, "10000000000000000"),
            (f64::INFINITY, 14, "inf"),
        ] {
            let mut out = Vec::new();
            write_general(&mut out, number, digits);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}
