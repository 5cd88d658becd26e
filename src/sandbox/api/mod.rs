//! What scripts can call: one file for each part, with its twin in `lua/types/`.

mod circular_buffer;
pub(super) mod cjson;
mod config;
mod decode_message;
mod inject;
mod math;
mod msg;
mod os;
mod payload;
mod read_message;
pub(super) mod require;
mod string;
mod write_message;

use super::raw::Named;
use super::raw::Object;
use super::raw::Raised;
use super::raw::State;
use super::spec::Role;
use crate::analysis::circular_buffer::CircularBuffer;

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
    state.object_kind(circular_buffer::TAG, c"circular_buffer", circular_buffer::METHODS)?;
    state.library(Some(c"circular_buffer"), circular_buffer::FUNCTIONS)?;
    state.library(Some(c"string"), &[(c"split", string::split)])?;
    state.library(Some(c"cjson"), cjson::FUNCTIONS)?;
    state.deep_function(c"cjson", (c"encode", cjson::encode))?;
    state.null_constant(c"cjson")?;
    state.require()
}

/// Makes a native object of the state it was saved with; `None` when that is damaged.
pub(super) fn load_object(tag: u8, state: &[u8]) -> Option<Box<dyn Object>> {
    match tag {
        circular_buffer::TAG => Some(Box::new(CircularBuffer::load(state).ok()?)),
        _ => None,
    }
}
