//! Random numbers that can be written down and gone on from.

/// A xoshiro256++ generator (Blackman and Vigna 2019).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    /// All there is of it.
    pub state: [u64; 4],
}

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Random {
        let mut x = seed;
        let state = [(); 4].map(|()| {
            // SplitMix64, as the authors recommend.
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Random { state }
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number of at least 0 and below 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number from `low` to `high`, both possible.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.wrapping_sub(low).cast_unsigned();
        if span == u64::MAX {
            return self.next().cast_signed();
        }
        // The high half of the product spreads evenly enough over any span a script asks for.
        let wide = u128::from(self.next()) * u128::from(span + 1);
        let picked = u64::try_from(wide >> 64).unwrap_or(span);
        low.wrapping_add(picked.cast_signed())
    }
}
