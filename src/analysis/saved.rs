//! Reading back what a sketch has saved: numbers little-endian.

/// Why a saved state cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not what was saved.
    #[error("the saved state is damaged")]
    Damaged,
    /// It is of another size or kind.
    #[error("the saved state has other dimensions")]
    Mismatch,
}

/// Reads a saved state from its start.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of a state that begins with `version`; `None` where it does not.
    pub(super) fn new(state: &'a [u8], version: u8) -> Option<Reader<'a>> {
        let (first, rest) = state.split_first()?;
        (*first == version).then_some(Reader { rest })
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(super) fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        self.word().map(u64::cast_signed)
    }

    pub(super) fn number(&mut self) -> Option<f64> {
        self.word().map(f64::from_bits)
    }

    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.word()?).ok()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}
