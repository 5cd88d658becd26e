//! `read_config`: the values of the section's `config`.

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::context::Setting;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Tape;
use crate::sandbox::spec::ConfigValue;

/// `read_config(name)` → string, number, boolean, table or nil.
pub(super) fn read_config<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    if args.len() != 1 {
        return Err("read_config() must have a single argument".into());
    }
    let name = Call::function("read_config", args).text(1)?;
    let name = std::str::from_utf8(name).unwrap_or_default();
    Ok(match cx.setting.config.get(name) {
        None => of_section(&cx.setting, name),
        Some(ConfigValue::Bool(truth)) => Answer::Bool(*truth),
        Some(ConfigValue::Integer(integer)) => Answer::Number(*integer as f64),
        Some(ConfigValue::Double(number)) => Answer::Number(*number),
        Some(ConfigValue::String(text)) => Answer::Text(text.as_bytes()),
        Some(nested) => {
            cx.tape.clear();
            write(&mut cx.tape, nested);
            Answer::Tape(1)
        }
    })
}

/// What the section or the engine says where `config` says nothing, under Hindsight's names.
fn of_section<'a>(setting: &'a Setting, name: &str) -> Answer<'a> {
    match name {
        "Logger" => Answer::Text(setting.name.as_bytes()),
        "Hostname" => Answer::Text(setting.hostname.as_bytes()),
        "Pid" => Answer::Number(f64::from(setting.pid)),
        "memory_limit" => Answer::Number(setting.limits.memory as f64),
        "output_limit" if setting.limits.output == usize::MAX => Answer::Number(0.0),
        "output_limit" => Answer::Number(setting.limits.output as f64),
        _ => Answer::Nil,
    }
}

fn write(tape: &mut Tape, value: &ConfigValue) {
    match value {
        ConfigValue::Bool(truth) => tape.bool(*truth),
        ConfigValue::Integer(integer) => tape.number(*integer as f64),
        ConfigValue::Double(number) => tape.number(*number),
        ConfigValue::String(text) => tape.text(text.as_bytes()),
        ConfigValue::Array(items) => {
            tape.table(items.len(), 0);
            for (index, item) in items.iter().enumerate() {
                write(tape, item);
                tape.item(index + 1);
            }
        }
        ConfigValue::Table(pairs) => {
            tape.table(0, pairs.len());
            for (name, value) in pairs {
                tape.text(name.as_bytes());
                write(tape, value);
                tape.pair();
            }
        }
    }
}
