//! What scripts can call: one file for each part, with its twin in `lua/types/`.

mod bloom_filter;
mod circular_buffer;
pub(super) mod cjson;
mod config;
mod cuckoo_filter;
mod cuckoo_filter_expire;
mod ddsketch;
mod decode_message;
mod geoip;
mod hmac;
mod hyperloglog;
mod inject;
mod input;
mod io;
mod ip;
pub(super) mod lpeg;
mod math;
mod message_matcher;
mod msg;
mod os;
mod os_io;
mod output;
mod payload;
mod read_message;
mod regex;
pub(super) mod require;
mod sax;
mod sha;
mod socket;
mod stream_reader;
mod string;
mod structs;
mod write_message;
mod xxhash;

#[cfg(test)]
pub(super) use geoip::tests::database as geoip_database;

use super::context::Setting;
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
        state.kind(&read_message::KIND)?;
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
    if matches!(role, Role::Filter | Role::Encoder | Role::Output) {
        let create = (c"create_message_matcher", message_matcher::create_message_matcher as _);
        globals.push(create);
        state.kind(&message_matcher::KIND)?;
    }
    if matches!(role, Role::Encoder | Role::Output) {
        globals.push((c"encode_message", output::encode_message));
    }
    if role == Role::Output {
        globals.push((c"update_checkpoint", output::update_checkpoint));
    }
    if role == Role::Input {
        globals.push((c"inject_message", inject::inject_message));
        globals.push((c"create_stream_reader", stream_reader::create_stream_reader));
        state.kind(&stream_reader::KIND)?;
    }
    if matches!(role, Role::Input | Role::Output) {
        globals.push((c"is_running", input::is_running));
    }
    state.library(None, &globals)?;
    if matches!(role, Role::Input | Role::Output) {
        outside(state)?;
    }
    state.library(
        Some(c"os"),
        &[
            (c"time", os::os_time),
            (c"date", os::date),
            (c"clock", os::clock),
            (c"difftime", os::difftime),
        ],
    )?;
    state.library(Some(c"math"), math::FUNCTIONS)?;
    state.open(&circular_buffer::LIBRARY)?;
    state.library(Some(c"string"), &[(c"split", string::split)])?;
    state.library(Some(c"cjson"), cjson::FUNCTIONS)?;
    state.deep_function(c"cjson", (c"encode", cjson::encode))?;
    state.null_constant(c"cjson")?;
    state.text_constant(c"cjson", c"_NAME", c"cjson")?;
    state.text_constant(c"cjson", c"_VERSION", c"2.1.0")?;
    state.library(Some(c"lpeg"), lpeg::FUNCTIONS)?;
    state.pattern_library(lpeg::MAKERS, lpeg::OPERATORS)?;
    state.require()
}

/// Makes known what scripts of inputs and outputs may reach of the world outside.
fn outside(state: &mut State) -> Result<(), Raised> {
    let access = state.cx().setting.access;
    if access.io {
        state.open(&io::LIBRARY)?;
        for (name, make) in io::STANDARD {
            // Where the process has none of the kind, scripts have none.
            if let Ok(file) = make(state.cx()) {
                state.cx().park(file);
                state.parked_constant(c"io", name)?;
            }
        }
    }
    if access.os {
        state.library(Some(c"os"), os_io::FUNCTIONS)?;
    }
    Ok(())
}

/// The libraries that `require` gives.
const LIBRARIES: &[&Library] = &[
    &circular_buffer::LIBRARY,
    &bloom_filter::LIBRARY,
    &cuckoo_filter::LIBRARY,
    &cuckoo_filter_expire::LIBRARY,
    &ddsketch::LIBRARY,
    &geoip::LIBRARY,
    &hmac::LIBRARY,
    &hyperloglog::LIBRARY,
    &ip::LIBRARY,
    &regex::LIBRARY,
    &sax::LIBRARY,
    &sha::LIBRARY,
    &structs::LIBRARY,
    &xxhash::LIBRARY,
];

/// The library of this name, if a script of this setting may have it.
pub(super) fn native(name: &[u8], setting: &Setting) -> Option<&'static Library> {
    let is_outside = matches!(setting.role, Role::Input | Role::Output);
    if name == b"socket" {
        return (is_outside && setting.access.socket).then_some(&socket::LIBRARY);
    }
    LIBRARIES.iter().find(|library| library.name.to_bytes() == name).copied()
}

/// The kind of native object with this tag.
pub(super) fn kind_of(tag: u8) -> Option<&'static ObjectKind> {
    let kinds = LIBRARIES.iter().flat_map(|library| library.kinds);
    kinds.chain([&message_matcher::KIND, &read_message::KIND]).find(|kind| kind.tag == tag)
}
