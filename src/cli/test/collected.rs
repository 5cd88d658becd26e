//! The messages of a log or a stream, for a spec.

use std::ops::ControlFlow;
use std::path::Path;

use mlua::Table;

use super::Setup;
use super::values::json;
use crate::cli::standalone;
use crate::cli::standalone::Parts;
use crate::cli::standalone::Taker;
use crate::message::Batch;
use crate::message::Marks;

/// Makes messages of `text`; raises where something in it is none. A decoder that is a script may
/// stand in `folder`.
pub(super) fn decoded(
    decoder: Option<&str>,
    options: Option<&Table>,
    text: Vec<u8>,
    folder: &Path,
    setup: &Setup,
) -> anyhow::Result<Batch> {
    let mut settings = toml::Table::new();
    for pair in options.into_iter().flat_map(Table::pairs::<String, mlua::Value>) {
        let (name, value) = pair.map_err(|error| anyhow::anyhow!("{error}"))?;
        let value = json(&value, 0).map_err(|error| anyhow::anyhow!("{error}"))?;
        settings.insert(name, toml_value(value)?);
    }
    let beside = decoder.map(|name| folder.join(name)).filter(|path| path.is_file());
    let named = beside.as_ref().map(|path| path.to_string_lossy().into_owned());
    let decoder = named.as_deref().or(decoder);
    let parts = Parts::of(decoder, &settings.to_string(), setup.share_dir.clone())?;
    let mut collected = Collected::default();
    let _ = standalone::feed_text(text, &parts, &mut collected)?;
    Ok(collected.0)
}

/// As TOML has it: whole numbers are integers there.
fn toml_value(value: serde_json::Value) -> anyhow::Result<toml::Value> {
    Ok(match value {
        serde_json::Value::Number(number) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
            Some(whole) if whole.fract() == 0.0 => (whole as i64).into(),
            other => other.unwrap_or(f64::NAN).into(),
        },
        other => toml::Value::try_from(other)?,
    })
}

#[derive(Default)]
struct Collected(Batch);

impl Taker for Collected {
    fn batch(&mut self, batch: &Batch) -> anyhow::Result<ControlFlow<()>> {
        for message in batch.iter() {
            self.0.push_encoded(message.bytes(), Marks::default())?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn undecodable(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        anyhow::bail!("{place}: {reason}")
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
