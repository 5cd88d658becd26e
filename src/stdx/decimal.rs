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
    if !number.is_finite() {
        write(out, number);
        return;
    }
    let start = out.len();
    let text = format!("{number:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let places = i32::try_from(digits).unwrap_or(i32::MAX);
    if (-4..places).contains(&exponent) {
        let decimals = usize::try_from(places - 1 - exponent).unwrap_or(0);
        let _ = write!(out, "{number:.decimals$}");
        trim(out, start);
        return;
    }
    out.extend_from_slice(mantissa.as_bytes());
    trim(out, start);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
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
}
