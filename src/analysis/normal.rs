//! The tail of the normal distribution, and the error function that goes with it.

use std::f64::consts::SQRT_2;
use std::f64::consts::TAU;

/// Below this the series is used, from here on the continued fraction.
const FAR: f64 = 2.5;

/// The probability that a normal variable exceeds `z`, for `z` of at least 0.
#[must_use]
pub fn upper_tail(z: f64) -> f64 {
    if z < FAR {
        return 0.5 - middle(z);
    }
    // The continued fraction of the tail, from its far end.
    let fraction = (1..=100).rev().fold(z, |below, n| z + f64::from(n) / below);
    density(z) / fraction
}

/// The error function.
#[must_use]
pub fn erf(x: f64) -> f64 {
    let z = x.abs() * SQRT_2;
    let far = if z < FAR { 2.0 * middle(z) } else { 1.0 - 2.0 * upper_tail(z) };
    if x.is_nan() { x } else { far.copysign(x) }
}

/// What the error function lacks to 1, exact where that is little.
#[must_use]
pub fn erfc(x: f64) -> f64 {
    if x > 0.0 { 2.0 * upper_tail(x * SQRT_2) } else { 1.0 - erf(x) }
}

fn density(z: f64) -> f64 {
    (-z * z / 2.0).exp() / TAU.sqrt()
}

/// The probability between 0 and `z`, by its series, whose terms shrink from the start.
fn middle(z: f64) -> f64 {
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= z * z / f64::from(2 * n + 1);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    density(z) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_agrees_with_tables() {
        for (z, expected) in
            [(0.0, 0.5), (1.0, 0.158_655_253_9), (1.96, 0.024_997_895_1), (3.0, 0.001_349_898_0)]
        {
            assert!((upper_tail(z) - expected).abs() < 1e-9, "{z}: {}", upper_tail(z));
        }
    }

    #[test]
    fn the_error_function_agrees_with_tables() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_9),
            (1.0, 0.842_700_792_949_714_9),
            (-2.0, -0.995_322_265_018_952_7),
            (f64::INFINITY, 1.0),
        ] {
            assert!((erf(x) - expected).abs() < 1e-14, "{x}: {}", erf(x));
            assert!((erfc(x) - (1.0 - expected)).abs() < 1e-14, "{x}: {}", erfc(x));
        }
        assert!((erfc(5.0) / 1.537_459_794_428_034_8e-12 - 1.0).abs() < 1e-12, "{}", erfc(5.0));
        assert!(erf(f64::NAN).is_nan());
    }
}
