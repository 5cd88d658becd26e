//! The nets of inputs that take datagrams and streams alike.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::net::DatagramNet;
use crate::net::StreamNet;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnyNet {
    #[default]
    Udp,
    Udp4,
    Udp6,
    Unixgram,
    Tcp,
    Tcp4,
    Tcp6,
    Unix,
}

/// One of the two sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Datagrams(DatagramNet),
    Streams(StreamNet),
}

impl AnyNet {
    /// Its name.
    pub(super) fn word(self) -> &'static str {
        match self.sort() {
            Sort::Datagrams(net) => net.word(),
            Sort::Streams(net) => net.word(),
        }
    }

    /// Which sort it is.
    pub(super) fn sort(self) -> Sort {
        match self {
            AnyNet::Udp => Sort::Datagrams(DatagramNet::Udp),
            AnyNet::Udp4 => Sort::Datagrams(DatagramNet::Udp4),
            AnyNet::Udp6 => Sort::Datagrams(DatagramNet::Udp6),
            AnyNet::Unixgram => Sort::Datagrams(DatagramNet::Unixgram),
            AnyNet::Tcp => Sort::Streams(StreamNet::Tcp),
            AnyNet::Tcp4 => Sort::Streams(StreamNet::Tcp4),
            AnyNet::Tcp6 => Sort::Streams(StreamNet::Tcp6),
            AnyNet::Unix => Sort::Streams(StreamNet::Unix),
        }
    }
}
