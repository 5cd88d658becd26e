//! One Lua state: its limits, its API, snapshots and reload.
