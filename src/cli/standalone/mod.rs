//! Plugins at work without an engine: what the commands that try scripts have in common.
//!
//! | part | what it does |
//! | --- | --- |
//! | `parts` | plugins from what the command line says |
//! | `feed` | from files to batches of messages |
//! | `clock` | the time of the messages, and the timers that are due in it |

mod clock;
mod feed;
mod parts;

pub(super) use self::clock::Clock;
pub(super) use self::feed::Now;
pub(super) use self::feed::Taker;
pub(super) use self::feed::feed;
pub(super) use self::feed::feed_text;
pub(super) use self::parts::Parts;
pub(super) use self::parts::Reading;
pub(super) use self::parts::ScriptLimits;
pub(super) use self::parts::name_of;
pub(super) use self::parts::script_filter;
pub(super) use self::parts::seconds;
