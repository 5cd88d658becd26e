//! Helpers that know nothing of messages: back-off, sizes, durations, clocks.
