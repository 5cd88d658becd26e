//! What scripts can call: one file for each part, with its twin in `lua/types/`.

mod bloom_filter;
mod circular_buffer;
pub(super) mod cjson;
mod config;
mod cuckoo_filter;
mod cuckoo_filter_expire;
mod ddsketch;
mod decode_message;
mod hmac;
mod hyperloglog;
mod inject;
mod ip;
pub(super) mod lpeg;
mod math;
mod msg;
mod os;
mod payload;
mod read_message;
mod regex;
pub(super) mod require;
mod sax;
mod sha;
mod string;
mod structs;
mod write_message;
mod xxhash;

use super::raw::Library;
use super::raw::Named;
use super::raw::ObjectKind;
use super::raw::Raised;
use super::raw::State;
use super::spec::Role;

/// Makes everything known that a script of this family may call.
pub(super) fn install(state: &mut State, role: Role) -> Result<(), Raised> {
    state.remove(None, &[c"newproxy", c"gcinfo", c"collectgarbage"])?;
    let mut globals: Vec<Named> = vec![
        (c"read_config", config::read_config),
        (c"decode_message", decode_message::decode_message),
        (c"print", os::print),
    ];
    if role != Role::Input {
        globals.push((c"read_message", read_message::read_message));
        globals.push((c"read_next_field", decode_message::read_next_field));
        let member = (c"Message", msg::member as _);
        let field = (c"Fields", msg::field as _);
        let fields = state.message_object(member, field)?;
        state.cx().fields = fields;
    }
    if matches!(role, Role::Decoder | Role::Filter | Role::Encoder) {
        globals.push((c"add_to_payload", payload::add_to_payload));
        globals.push((c"inject_payload", payload::inject_payload));
        globals.push((c"inject_message", inject::inject_message));
    }
    if matches!(role, Role::Decoder | Role::Encoder) {
        globals.push((c"write_message", write_message::write_message));
    }
    state.library(None, &globals)?;
    state.library(
        Some(c"os"),
        &[
            (c"time", os::os_time),
            (c"date", os::date),
            (c"clock", os::clock),
            (c"difftime", os::difftime),
        ],
    )?;
    state
        .library(Some(c"math"), &[(c"random", math::random), (c"randomseed", math::randomseed)])?;
    state.open(&circular_buffer::LIBRARY)?;
    state.library(Some(c"string"), &[(c"split", string::split)])?;
    state.library(Some(c"cjson"), cjson::FUNCTIONS)?;
    state.deep_function(c"cjson", (c"encode", cjson::encode))?;
    state.null_constant(c"cjson")?;
    state.library(Some(c"lpeg"), lpeg::FUNCTIONS)?;
    state.pattern_library(lpeg::MAKERS, lpeg::OPERATORS)?;
    state.require()
}

/// The libraries that `require` gives.
const LIBRARIES: &[&Library] = &[
    &circular_buffer::LIBRARY,
    &bloom_filter::LIBRARY,
    &cuckoo_filter::LIBRARY,
    &cuckoo_filter_expire::LIBRARY,
    &ddsketch::LIBRARY,
    &hmac::LIBRARY,
    &hyperloglog::LIBRARY,
    &ip::LIBRARY,
    &regex::LIBRARY,
    &sax::LIBRARY,
    &sha::LIBRARY,
    &structs::LIBRARY,
    &xxhash::LIBRARY,
];

/// The library of this name, for a script of this family.
pub(super) fn native(name: &[u8], _role: Role) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.name.to_bytes() == name).copied()
}

/// The kind of native object with this tag.
pub(super) fn kind_of(tag: u8) -> Option<&'static ObjectKind> {
    LIBRARIES.iter().flat_map(|library| library.kinds).find(|kind| kind.tag == tag)
}
