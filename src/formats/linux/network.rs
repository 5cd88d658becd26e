//! `/proc/net`: what went through interfaces and protocols, and connections by state.

/// The columns of an interface, with the names that Heka gave them.
pub const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// The states of a connection, in the order of their numbers, from 1.
pub const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
];

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The numbers of [`COLUMNS`].
    pub counts: [u64; 16],
}

/// Goes through the interfaces of `/proc/net/dev`.
pub fn interfaces(text: &str) -> impl Iterator<Item = Interface<'_>> {
    text.lines().filter_map(|line| {
        let (name, rest) = line.rsplit_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        let mut counts = [0; 16];
        for count in &mut counts {
            *count = words.next()?.parse().ok()?;
        }
        Some(Interface { name: name.trim(), counts })
    })
}

/// Goes through the counts of `/proc/net/snmp` or `/proc/net/netstat`: a line of names and one of
/// numbers for each protocol. Gives protocol, name and number, which may be negative.
pub fn protocols(text: &str) -> impl Iterator<Item = (&str, &str, i64)> {
    let pairs = text.lines().zip(text.lines().skip(1));
    let pairs = pairs.filter_map(|(names, numbers)| {
        let (protocol, names) = names.split_once(':')?;
        let (other, numbers) = numbers.split_once(':')?;
        let is_pair = protocol == other && numbers.trim_start().starts_with(is_numeric);
        is_pair.then_some((protocol, names, numbers))
    });
    pairs.flat_map(|(protocol, names, numbers)| {
        let numbers = numbers.split_ascii_whitespace();
        let columns = names.split_ascii_whitespace().zip(numbers);
        columns.filter_map(move |(name, number)| Some((protocol, name, number.parse().ok()?)))
    })
}

fn is_numeric(first: char) -> bool {
    first.is_ascii_digit() || first == '-'
}

/// Counts the connections of `/proc/net/tcp` or `/proc/net/tcp6` by state.
pub fn count_states(text: &str, counts: &mut [u64; 12]) {
    for line in text.lines().skip(1) {
        let state = line.split_ascii_whitespace().nth(3);
        let state = state.and_then(|state| usize::from_str_radix(state, 16).ok());
        if let Some(count) = state.and_then(|state| counts.get_mut(state.checked_sub(1)?)) {
            *count += 1;
        }
    }
}
