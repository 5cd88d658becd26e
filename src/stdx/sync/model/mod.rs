//! The primitives of the models: a seed says which thread goes on at each step, and time stands
//! still while any thread can go on.
//!
//! shuttle runs the threads one at a time and asks at every step which is next. What it lacks is
//! time: here a wait with a limit is a wait for one of two things, and a thread of its own, the
//! **clock**, rings the limits. It is chosen only when nobody else can go on, so that whoever waits
//! for long in a model waits for a wake-up that was forgotten; a model of haste has it chosen at any
//! time, as where threads are slow.

pub mod channel;
mod condition;
mod schedule;
pub mod thread;
mod time;

pub use self::condition::Condvar;
pub(crate) use self::schedule::Clock;
pub(crate) use self::schedule::check;
pub use self::time::Instant;
pub use shuttle::sync::Mutex;
pub use shuttle::sync::MutexGuard;
pub use shuttle::sync::RwLock;
pub use shuttle::sync::atomic;
