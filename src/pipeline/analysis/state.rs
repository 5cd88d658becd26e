//! What a snapshot of a filter holds besides the filter's own state.
//!
//! | bytes | content |
//! | --- | --- |
//! | 1 | version of this layout, 1 |
//! | 8 | engine time at which the next timer is due, ns, little-endian |
//! | rest | the filter's own state |

/// The version of the layout.
const VERSION: u8 = 1;

/// Puts the state of a filter together.
pub(super) fn write(next_due: u64, own: &[u8]) -> Vec<u8> {
    let mut state = Vec::with_capacity(9 + own.len());
    state.push(VERSION);
    state.extend_from_slice(&next_due.to_le_bytes());
    state.extend_from_slice(own);
    state
}

/// Takes the state of a filter apart; `None` when it was not written by [`write`].
pub(crate) fn read(state: &[u8]) -> Option<(u64, &[u8])> {
    let (&version, rest) = state.split_first()?;
    if version != VERSION {
        return None;
    }
    let (due, own) = rest.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*due), own))
}
