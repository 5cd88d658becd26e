//! What scripts can call: one file for each part, with its twin in `lua/types/`.

mod config;
mod inject;
mod msg;
mod number;
mod os;
mod payload;
mod read_message;
mod table;

use super::raw::Named;
use super::raw::Raised;
use super::raw::State;
use super::spec::Role;

/// Makes everything known that a script of this family may call.
pub(super) fn install(state: &mut State, role: Role) -> Result<(), Raised> {
    let mut globals: Vec<Named> = vec![(c"read_config", config::read_config)];
    if role != Role::Input {
        globals.push((c"read_message", read_message::read_message));
        let member = (c"Message", msg::member as _);
        let field = (c"Fields", msg::field as _);
        state.cx().fields = 0;
        let fields = state.message_object(member, field)?;
        state.cx().fields = fields;
    }
    if matches!(role, Role::Decoder | Role::Filter | Role::Encoder) {
        globals.push((c"add_to_payload", payload::add_to_payload));
        globals.push((c"inject_payload", payload::inject_payload));
        globals.push((c"inject_message", inject::inject_message));
    }
    state.library(None, &globals)?;
    state.remove(None, &[c"newproxy", c"gcinfo", c"print"])
}
