//! `math.random` and `math.randomseed`, from a generator that snapshots keep; `math.erf` and `math.erfc`.

use crate::analysis::normal;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Named;
use crate::stdx::random::Random;

/// What there is beside Lua's own.
pub(super) const FUNCTIONS: &[Named] =
    &[(c"random", random), (c"randomseed", randomseed), (c"erf", erf), (c"erfc", erfc)];

/// `math.random([m[, n]])` → a number in [0, 1), or a whole one from 1 to m, or from m to n.
fn random<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let (low, high) = match args.len() {
        0 => return Ok(Answer::Number(cx.random.fraction())),
        1 => (1, whole(&args, 1)?),
        _ => (whole(&args, 1)?, whole(&args, 2)?),
    };
    if low > high {
        return Err("math.random() interval is empty".into());
    }
    Ok(Answer::Number(cx.random.between(low, high) as f64))
}

/// `math.randomseed(number)` starts the generator anew.
fn randomseed<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let seed = args.number(1).ok_or("math.randomseed() takes a number")?;
    cx.random = Random::seeded(seed.to_bits());
    Ok(Answer::Nothing)
}

/// `math.erf(x)` → the error function of x.
fn erf<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let x = args.number(1).ok_or("bad argument #1 to 'erf' (number expected)")?;
    Ok(Answer::Number(normal::erf(x)))
}

/// `math.erfc(x)` → what the error function of x lacks to 1.
fn erfc<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let x = args.number(1).ok_or("bad argument #1 to 'erfc' (number expected)")?;
    Ok(Answer::Number(normal::erfc(x)))
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn whole(args: &Args<'_>, index: usize) -> Result<i64, Complaint> {
    match args.number(index) {
        Some(number) if number.is_finite() => Ok(number.floor() as i64),
        _ => Err("math.random() takes numbers".into()),
    }
}
