//! `ip`: addresses and sets of networks.

use std::any::Any;

use crate::analysis::ip_set::IpSet;
use crate::analysis::ip_set::Network;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Tape;
use crate::sandbox::raw::Value;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"ip",
    functions: &[(c"parse", parse), (c"version", version), (c"contains", contains), (c"set", set)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"ip_set",
        methods: METHODS,
        metamethods: &[],
        load: |state| Some(Box::new(load(state)?)),
    }],
};

const TAG: u8 = 15;

const METHODS: &[Named] = &[
    (c"add", add),
    (c"remove", remove),
    (c"find", find),
    (c"has", has),
    (c"count", count),
    (c"clear", clear),
];

/// The longest value of a network, in bytes.
const MAX_VALUE: usize = 4096;

/// What a network stands for.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    True,
    Number(f64),
    Text(Box<[u8]>),
}

/// A set of networks as a script holds it.
#[derive(Debug, Default)]
struct Networks {
    set: IpSet<Meaning>,
    /// Bytes that the texts of the values take.
    texts: usize,
}

impl Networks {
    fn insert(&mut self, network: Network, meaning: Meaning) {
        self.texts += text_bytes(Some(&meaning));
        let before = self.set.insert(network, meaning);
        self.texts -= text_bytes(before.as_ref());
    }
}

fn text_bytes(meaning: Option<&Meaning>) -> usize {
    match meaning {
        Some(Meaning::Text(text)) => text.len() + 16,
        _ => 0,
    }
}

impl Object for Networks {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        self.set.footprint() + self.texts
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    /// 1, then for each network a line: its text, a tab, and `t`, `n` with the bits, or `s` with the
    /// length and the bytes of the value.
    fn save(&self, out: &mut Vec<u8>) {
        out.push(1);
        for (network, meaning) in self.set.sorted() {
            let text = network.to_string();
            out.push(u8::try_from(text.len()).unwrap_or(0));
            out.extend_from_slice(text.as_bytes());
            match meaning {
                Meaning::True => out.push(b't'),
                Meaning::Number(number) => {
                    out.push(b'n');
                    out.extend_from_slice(&number.to_le_bytes());
                }
                Meaning::Text(text) => {
                    out.push(b's');
                    let length = u32::try_from(text.len()).unwrap_or(0);
                    out.extend_from_slice(&length.to_le_bytes());
                    out.extend_from_slice(text);
                }
            }
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        *self = load(state).ok_or("the saved state is damaged")?;
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn load(state: &[u8]) -> Option<Networks> {
    let mut networks = Networks::default();
    let mut rest = state.strip_prefix(&[1])?;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    while let Some(length) = take(1) {
        let network = Network::parse(take(usize::from(length[0]))?)?;
        let meaning = match take(1)? {
            b"t" => Meaning::True,
            b"n" => Meaning::Number(f64::from_le_bytes(take(8)?.try_into().ok()?)),
            b"s" => {
                let length = u32::from_le_bytes(take(4)?.try_into().ok()?);
                Meaning::Text(take(usize::try_from(length).ok()?)?.into())
            }
            _ => return None,
        };
        networks.insert(network, meaning);
    }
    Some(networks)
}

/// An address or network.
fn network(call: &Call<'_>, number: usize, what: &str) -> Result<Network, Complaint> {
    let text = call.text(number)?;
    Network::parse(text).ok_or_else(|| call.refused(number, what, "address or network expected"))
}

fn show<'a>(cx: &'a mut Context, network: &Network) -> Answer<'a> {
    cx.scratch.clear();
    cx.scratch.extend_from_slice(network.to_string().as_bytes());
    Answer::Text(&cx.scratch)
}

/// `ip.parse(text)` → the address or network in its usual form; nil when it is none.
fn parse<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let text = Call::function("parse", args).text(1)?;
    let found = Network::parse(text);
    Ok(match found {
        Some(network) => show(cx, &network),
        None => Answer::Nil,
    })
}

/// `ip.version(text)` → 4 or 6; nil when it is no address.
fn version<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let text = Call::function("version", args).text(1)?;
    let found = Network::parse(text);
    Ok(found.map_or(Answer::Nil, |network| Answer::Number(f64::from(network.version()))))
}

/// `ip.contains(network, address)` → whether the address, or all of a network, lies in it; nil when
/// the address is none.
fn contains<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("contains", args);
    let outer = network(&call, 1, "network")?;
    let inner = Network::parse(call.text(2)?);
    Ok(inner.map_or(Answer::Nil, |inner| Answer::Bool(outer.contains(&inner))))
}

/// `ip.set([list])`: a set of these networks.
fn set<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("set", args);
    let mut networks = Networks::default();
    match call.value(1) {
        Value::Nil => {}
        Value::Table(list) => {
            for index in 1..=list.len() {
                if index % 1024 == 0 {
                    args.go_on()?;
                    call.admit(Some(networks.footprint()))?;
                }
                let found = list.item(index, |item| match item {
                    Value::Text(text) => Network::parse(text),
                    _ => None,
                });
                let network = found.flatten().ok_or_else(|| {
                    call.refused(1, "list", format!("item {index} is no address or network"))
                })?;
                networks.insert(network, Meaning::True);
            }
        }
        _ => return Err(call.wrong(1, "table")),
    }
    call.admit(Some(networks.footprint()))?;
    cx.park(Box::new(networks));
    Ok(Answer::Parked)
}

/// `set:add(network[, value])`: the value is a string, a number or true.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let network = network(&call, 1, "network")?;
    let meaning = match call.value(2) {
        Value::Nil | Value::Bool(true) => Meaning::True,
        Value::Number(number) => Meaning::Number(number),
        Value::Text(text) if text.len() <= MAX_VALUE => Meaning::Text(text.into()),
        Value::Text(_) => return Err(call.refused(2, "value", "too long")),
        _ => return Err(call.wrong(2, "string, number or true")),
    };
    call.this::<Networks>()?.insert(network, meaning);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `set:remove(network)` → whether it was there.
fn remove<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("remove", args);
    let network = network(&call, 1, "network")?;
    let mut this = call.this::<Networks>()?;
    let before = this.set.remove(&network);
    this.texts -= text_bytes(before.as_ref());
    drop(this);
    args.recount(1)?;
    Ok(Answer::Bool(before.is_some()))
}

/// `set:find(address)` → the value of the narrowest network it lies in, and that network; nil when
/// there is none.
fn find<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("find", args);
    let text = call.text(1)?;
    let this = call.this::<Networks>()?;
    let Some((network, meaning)) = Network::parse(text).and_then(|address| this.set.find(&address))
    else {
        return Ok(Answer::Nil);
    };
    cx.tape.clear();
    write(&mut cx.tape, meaning);
    cx.tape.text(network.to_string().as_bytes());
    Ok(Answer::Tape(2))
}

fn write(tape: &mut Tape, meaning: &Meaning) {
    match meaning {
        Meaning::True => tape.bool(true),
        Meaning::Number(number) => tape.number(*number),
        Meaning::Text(text) => tape.text(text),
    }
}

/// `set:has(address)` → whether it lies in a network of the set; false of what is no address.
fn has<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("has", args);
    let text = call.text(1)?;
    let this = call.this::<Networks>()?;
    let is_in = Network::parse(text).is_some_and(|address| this.set.find(&address).is_some());
    Ok(Answer::Bool(is_in))
}

/// `set:count()` → how many networks there are.
fn count<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(Call::method("count", args).this::<Networks>()?.set.len() as f64))
}

/// `set:clear()` takes all networks out.
fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    *Call::method("clear", args).this::<Networks>()? = Networks::default();
    args.recount(1)?;
    Ok(Answer::Nothing)
}
