//! The allocator of a state: counts every byte and refuses what would exceed the limit.
//!
//! Lua does not collect when an allocation fails, so a limit on the bytes allocated would end
//! scripts that merely have garbage. Therefore the allocator has two marks:
//! - past `mark` (at first three quarters of the limit) it asks for a full collection at the next
//!   safepoint, which moves the mark on;
//! - past the limit it goes on to an eighth more, for what is allocated before that safepoint is
//!   reached; after the collection the limit itself counts. Past the eighth it refuses.
//!
//! Native objects are counted as if Lua had allocated them.

use std::alloc;
use std::alloc::Layout;
use std::ffi::c_void;

use super::interrupt::Interrupt;

/// Lua wants memory aligned for anything it keeps.
const ALIGNMENT: usize = 16;

/// What a state has allocated, and may.
#[derive(Debug)]
pub(in crate::sandbox) struct Memory {
    used: usize,
    native: usize,
    peak: usize,
    limit: usize,
    mark: usize,
    /// An allocation was refused; the call that is running is over.
    pub(super) refused: bool,
    /// The mark was passed; a collection is wanted.
    pub(super) pressed: bool,
    pub(super) interrupt: Option<Interrupt>,
    /// Refuses everything when it has counted down to zero.
    #[cfg(test)]
    pub(in crate::sandbox) refuse_in: Option<u32>,
}

impl Memory {
    pub(super) fn new() -> Memory {
        Memory {
            used: 0,
            native: 0,
            peak: 0,
            limit: usize::MAX,
            mark: usize::MAX,
            refused: false,
            pressed: false,
            interrupt: None,
            #[cfg(test)]
            refuse_in: None,
        }
    }

    /// Sets the limit in bytes, native objects included; 0 is none.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.limit = if bytes == 0 { usize::MAX / 2 } else { bytes };
        self.mark = self.limit - self.limit / 4;
    }

    /// Lifts the limit; what is returned puts it back.
    pub(super) fn lift(&mut self) -> (usize, usize) {
        let limits = (self.limit, self.mark);
        self.limit(0);
        limits
    }

    pub(super) fn put_back(&mut self, (limit, mark): (usize, usize)) {
        (self.limit, self.mark) = (limit, mark);
    }

    /// Bytes in use, native objects included.
    pub(in crate::sandbox) fn total(&self) -> usize {
        self.used + self.native
    }

    /// The most bytes that were in use at a time.
    pub(in crate::sandbox) fn peak(&self) -> usize {
        self.peak
    }

    /// Tells whether there is room for a native object of `bytes`.
    pub(in crate::sandbox) fn has_room(&mut self, bytes: usize) -> bool {
        self.admit(bytes)
    }

    /// Bytes that are left until something is refused.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_add(self.limit / 8).saturating_sub(self.total())
    }

    /// Counts a native object of `bytes`.
    pub(super) fn take_native(&mut self, bytes: usize) {
        self.native += bytes;
        self.peak = self.peak.max(self.total());
    }

    /// Gives back what [`Memory::take_native`] took.
    pub(super) fn give_native(&mut self, bytes: usize) {
        self.native = self.native.saturating_sub(bytes);
    }

    /// Tells, after a full collection, whether the limit holds, and moves the mark.
    pub(super) fn settle(&mut self) -> bool {
        self.pressed = false;
        let total = self.total();
        if total > self.limit {
            self.refused = true;
            return false;
        }
        // Half of the room that is left, so that a state close to its limit collects ever more
        // often before it is refused.
        self.mark = (total + (self.limit - total) / 2).max(self.limit - self.limit / 4);
        true
    }

    /// Forgets what happened in the last call.
    pub(super) fn clear(&mut self) {
        self.refused = false;
        self.pressed = false;
    }

    /// Decides on `more` bytes.
    fn admit(&mut self, more: usize) -> bool {
        let total = self.total().saturating_add(more);
        #[cfg(test)]
        if let Some(left) = &mut self.refuse_in {
            if *left == 0 {
                self.refused = true;
                return false;
            }
            *left -= 1;
        }
        if total <= self.mark {
            return true;
        }
        if more > self.limit || total > self.limit.saturating_add(self.limit / 8) {
            self.refused = true;
        } else {
            self.pressed = true;
        }
        if let Some(interrupt) = &self.interrupt {
            interrupt.set();
        }
        !self.refused
    }
}

/// The allocator as Lua calls it; `context` is the [`Memory`].
pub(super) unsafe extern "C" fn allocate(
    context: *mut c_void,
    block: *mut c_void,
    old_size: usize,
    new_size: usize,
) -> *mut c_void {
    // SAFETY: `context` is the memory given to `lua_newstate`, which outlives the state, and no
    // other reference to it is alive while Lua allocates.
    let memory = unsafe { &mut *context.cast::<Memory>() };
    if new_size == 0 {
        if !block.is_null() {
            memory.used -= old_size;
            // SAFETY: Lua gives back a block with the size it was allocated with.
            unsafe { alloc::dealloc(block.cast(), layout_unchecked(old_size)) };
        }
        return std::ptr::null_mut();
    }
    let old_size = if block.is_null() { 0 } else { old_size };
    if new_size > old_size && !memory.admit(new_size - old_size) {
        return std::ptr::null_mut();
    }
    let Ok(layout) = Layout::from_size_align(new_size, ALIGNMENT) else {
        return std::ptr::null_mut();
    };
    let moved = if block.is_null() {
        // SAFETY: the size is not zero.
        unsafe { alloc::alloc(layout) }
    } else {
        // SAFETY: the block was allocated here with `old_size`; the new size is a valid layout.
        unsafe { alloc::realloc(block.cast(), layout_unchecked(old_size), new_size) }
    };
    if !moved.is_null() {
        memory.used = memory.used + new_size - old_size;
        memory.peak = memory.peak.max(memory.used + memory.native);
    }
    moved.cast()
}

/// The layout of a block that was allocated here.
fn layout_unchecked(size: usize) -> Layout {
    // SAFETY: a layout of this size was made without error when the block was allocated.
    unsafe { Layout::from_size_align_unchecked(size, ALIGNMENT) }
}
