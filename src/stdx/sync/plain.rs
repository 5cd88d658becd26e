//! The primitives as they are.

pub use std::sync::Condvar;
pub use std::sync::Mutex;
pub use std::sync::MutexGuard;
pub use std::sync::RwLock;
pub use std::time::Instant;

/// Numbers and truth values that threads share.
pub mod atomic {
    pub use std::sync::atomic::AtomicBool;
    pub use std::sync::atomic::AtomicI32;
    pub use std::sync::atomic::AtomicI64;
    pub use std::sync::atomic::AtomicU8;
    pub use std::sync::atomic::AtomicU64;
}

/// Threads, and how they wait by themselves.
pub mod thread {
    pub use std::thread::Builder;
    pub use std::thread::JoinHandle;
    pub use std::thread::Thread;
    pub use std::thread::park_timeout;
    pub use std::thread::sleep;
}

/// Queues between threads.
pub mod channel {
    pub use crossbeam_channel::Receiver;
    pub use crossbeam_channel::Sender;
    pub use crossbeam_channel::bounded;
}
