//! `math.random` and `math.randomseed`, from a generator that snapshots keep; `math.erf` and `math.erfc`.

use crate::analysis::normal;
use crate::sandbox::arguments::Call;
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
    let call = Call::function("random", args);
    let (low, high) = match args.len() {
        0 => return Ok(Answer::Number(cx.random.fraction())),
        1 => (1, whole(&call, 1)?),
        _ => (whole(&call, 1)?, whole(&call, 2)?),
    };
    if low > high {
        let last = if args.len() > 1 { 2 } else { 1 };
        return Err(call.complaint(last, "interval is empty"));
    }
    Ok(Answer::Number(cx.random.between(low, high) as f64))
}

/// `math.randomseed(number)` starts the generator anew.
fn randomseed<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let seed = Call::function("randomseed", args).number(1)?;
    cx.random = Random::seeded(seed.to_bits());
    Ok(Answer::Nothing)
}

/// `math.erf(x)` → the error function of x.
fn erf<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(normal::erf(Call::function("erf", args).number(1)?)))
}

/// `math.erfc(x)` → what the error function of x lacks to 1.
fn erfc<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(normal::erfc(Call::function("erfc", args).number(1)?)))
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn whole(call: &Call<'_>, number: usize) -> Result<i64, Complaint> {
    match call.number(number)? {
        given if given.is_finite() => Ok(given.trunc() as i64),
        _ => Err(call.complaint(number, "finite number expected")),
    }
}
