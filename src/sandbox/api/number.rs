//! Numbers as text, in the form Heka's scripts know.

use std::io::Write;

/// Appends `number`: without a fraction when it has none, else with at most eight decimals; numbers
/// beyond 32 bits with 17 significant digits.
#[allow(clippy::cast_possible_truncation, reason = "the number was found to fit")]
pub(super) fn write(out: &mut Vec<u8>, number: f64) {
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
    let start = out.len();
    if number.abs() < 1e17 {
        let digits = number.abs().log10().floor().max(0.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 16"
        )]
        let decimals = 16_usize.saturating_sub(digits as usize);
        let _ = write!(out, "{number:.decimals$}");
        trim(out, start);
        return;
    }
    let text = format!("{number:.16e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.extend_from_slice(mantissa.as_bytes());
    trim(out, start);
    let _ = write!(out, "e+{exponent:0>2}");
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
