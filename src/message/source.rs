//! What a position belongs to, and the position.

use std::sync::Arc;

/// What a position belongs to: a file, a partition, an agent, a filter that injects.
///
/// The name is unique in a journal and starts with the plugin's name: `syslog:/var/log/syslog`.
pub type Source = Arc<str>;

/// A place in a source.
///
/// `offset` grows as the source is read; `detail` says what the offset belongs to (which file,
/// which generation, a script's checkpoint) and is known to the source alone.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct SourcePosition {
    /// Bytes, records or entries from the start of what `detail` names.
    pub offset: u64,
    /// At most [`SourcePosition::MAX_DETAIL`] bytes.
    pub detail: Arc<[u8]>,
}

impl SourcePosition {
    /// The largest detail, in bytes.
    pub const MAX_DETAIL: usize = 8 * 1024;

    /// A position that is an offset alone.
    #[must_use]
    pub fn at(offset: u64) -> SourcePosition {
        SourcePosition { offset, detail: Arc::from([]) }
    }
}
