//! Random moments, for tests in which something ends at any time.

use anyhow::Context;

/// Random moments.
pub(crate) struct Moments {
    /// What `HEKA_SEED` has to be for the same again.
    pub(crate) seed: u64,
    state: u64,
}

impl Moments {
    /// Those of `HEKA_SEED`, or others each time.
    pub(crate) fn new() -> anyhow::Result<Moments> {
        let seed = number("HEKA_SEED")?.unwrap_or_else(|| u64::from(std::process::id()));
        Ok(Moments { seed, state: seed })
    }

    /// Those of this seed.
    pub(crate) fn with(seed: u64) -> Moments {
        Moments { seed, state: seed }
    }

    /// A number below `limit`; splitmix64.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// How many rounds `HEKA_ROUNDS` asks for.
pub(crate) fn rounds(usual: u64) -> anyhow::Result<usize> {
    Ok(usize::try_from(number("HEKA_ROUNDS")?.unwrap_or(usual))?)
}

fn number(variable: &str) -> anyhow::Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable) else { return Ok(None) };
    let number = text.to_string_lossy().parse();
    number.map(Some).with_context(|| format!("{variable} is no number"))
}
