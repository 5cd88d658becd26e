//! Where a plugin is going to listen, told before it does.

/// An address that a plugin listens on as long as it runs. Root binds it before it becomes another
/// account, where that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listens {
    /// The net: `tcp`, `udp`, each with 4 or 6 behind it, `unix` or `unixgram`.
    pub net: &'static str,
    /// The address, as its section has it.
    pub address: String,
    /// The permissions of a Unix socket, where they are not left to the umask.
    pub mode: Option<u32>,
}
