//! A set of networks with a value each: which is the narrowest that an address lies in?
//!
//! Networks are kept by the length of their prefix. A look-up asks for each length that occurs, the
//! longest first, so it costs at most as many look-ups in a table as there are lengths: 33 and 129.
//! An IPv4 address written in IPv6 (`::ffff:1.2.3.4`) is that IPv4 address.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use hashbrown::HashMap;

/// A network: an address and the number of bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    is_v6: bool,
    length: u8,
    /// The bits of the address at the high end, all others zero.
    bits: u128,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or an address alone, which is a network of one. Bits
    /// behind the prefix are passed over.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Network> {
        let text = std::str::from_utf8(text).ok()?;
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width: u8 = if address.is_ipv6() { 128 } else { 32 };
        let length = match length {
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            Some(_) => return None,
            None => width,
        };
        if length > width {
            return None;
        }
        let whole = Network::of(address);
        // Of an IPv4 address written in IPv6 the first 96 bits are no part of the address.
        let length =
            if address.is_ipv6() && !whole.is_v6 { length.checked_sub(96)? } else { length };
        Some(whole.cut(length))
    }

    /// The network of one address.
    #[must_use]
    pub fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                Network { is_v6: false, length: 32, bits: u128::from(address.to_bits()) << 96 }
            }
            IpAddr::V6(address) => Network { is_v6: true, length: 128, bits: address.to_bits() },
        }
    }

    /// The network of this length that it lies in.
    fn cut(self, length: u8) -> Network {
        let mask = match length {
            0 => 0,
            length => u128::MAX << (128 - u32::from(length)),
        };
        Network { length, bits: self.bits & mask, ..self }
    }

    /// Tells whether another network, or an address, lies in it.
    #[must_use]
    pub fn contains(&self, other: &Network) -> bool {
        self.is_v6 == other.is_v6 && other.length >= self.length && other.cut(self.length) == *self
    }

    /// 4 or 6.
    #[must_use]
    pub fn version(&self) -> u8 {
        if self.is_v6 { 6 } else { 4 }
    }

    /// The first address of the network.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the high 32 bits are the address")]
    pub fn address(&self) -> IpAddr {
        if self.is_v6 {
            IpAddr::V6(Ipv6Addr::from_bits(self.bits))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits((self.bits >> 96) as u32))
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.address();
        match (self.is_v6, self.length) {
            (true, 128) | (false, 32) => write!(f, "{address}"),
            (_, length) => write!(f, "{address}/{length}"),
        }
    }
}

/// Networks, each with a value.
#[derive(Clone, Debug)]
pub struct IpSet<V> {
    networks: HashMap<Network, V>,
    /// How many networks there are of each length: IPv4, then IPv6.
    lengths: [Vec<u32>; 2],
}

impl<V> Default for IpSet<V> {
    fn default() -> IpSet<V> {
        IpSet { networks: HashMap::new(), lengths: [vec![0; 33], vec![0; 129]] }
    }
}

impl<V> IpSet<V> {
    /// Adds a network, or gives it another value; returns the value it had.
    pub fn insert(&mut self, network: Network, value: V) -> Option<V> {
        let before = self.networks.insert(network, value);
        if before.is_none() {
            self.lengths[usize::from(network.is_v6)][usize::from(network.length)] += 1;
        }
        before
    }

    /// Takes a network out.
    pub fn remove(&mut self, network: &Network) -> Option<V> {
        let value = self.networks.remove(network)?;
        self.lengths[usize::from(network.is_v6)][usize::from(network.length)] -= 1;
        Some(value)
    }

    /// The narrowest network that `network` lies in, and its value.
    #[must_use]
    pub fn find(&self, network: &Network) -> Option<(&Network, &V)> {
        let lengths = &self.lengths[usize::from(network.is_v6)];
        (0..=network.length)
            .rev()
            .filter(|length| lengths[usize::from(*length)] > 0)
            .find_map(|length| self.networks.get_key_value(&network.cut(length)))
    }

    /// How many networks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.networks.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// The bytes it takes now, what values hold elsewhere left aside.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.networks.capacity() * (size_of::<(Network, V)>() + 2) + 1024
    }

    /// Takes all networks out.
    pub fn clear(&mut self) {
        *self = IpSet::default();
    }

    /// All networks and their values, sorted.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&Network, &V)> {
        let mut all: Vec<_> = self.networks.iter().collect();
        all.sort_unstable_by_key(|(network, _)| **network);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn networks_are_read() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("1.2.3.4", "1.2.3.4"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(network(text).to_string(), shown);
        }
        for wrong in
            ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+8", "::/129", "x", "1.2.3.4/-1"]
        {
            assert_eq!(Network::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert!(network("10.0.0.0/8").contains(&network("10.9.0.0/16")));
        assert!(!network("10.9.0.0/16").contains(&network("10.0.0.0/8")));
        assert!(!network("0.0.0.0/0").contains(&network("::1")));
        assert_eq!((network("::1").version(), network("1.1.1.1").version()), (6, 4));
    }

    #[test]
    fn the_narrowest_network_is_found() {
        let mut set = IpSet::default();
        for (text, value) in
            [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3", 3), ("::/0", 4), ("fe80::/10", 5)]
        {
            assert_eq!(set.insert(network(text), value), None);
        }
        let find = |set: &IpSet<i32>, text: &str| set.find(&network(text)).map(|(_, value)| *value);
        for (text, expected) in [
            ("10.2.0.1", Some(1)),
            ("10.1.0.1", Some(2)),
            ("10.1.2.3", Some(3)),
            ("::ffff:10.1.2.3", Some(3)),
            ("11.0.0.1", None),
            ("::1", Some(4)),
            ("fe80::7", Some(5)),
            ("10.1.0.0/24", Some(2)),
        ] {
            assert_eq!(find(&set, text), expected, "{text}");
        }
        assert_eq!(set.insert(network("10.1.9.9/16"), 7), Some(2));
        assert_eq!(set.remove(&network("10.1.0.0/16")), Some(7));
        assert_eq!((find(&set, "10.1.0.1"), set.len()), (Some(1), 4));
        assert_eq!(set.sorted()[0].0.to_string(), "10.0.0.0/8");
        set.clear();
        assert!(set.is_empty() && find(&set, "::1").is_none());
    }
}
