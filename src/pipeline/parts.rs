//! What inputs and outputs make use of by name: splitters, decoders and encoders.

use std::sync::Arc;

use anyhow::Context;
use hashbrown::HashMap;

use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Encoder;
use crate::plugin::Engine;
use crate::plugin::Splitter;

/// A splitter with the options that all splitters have.
pub(super) struct SplitterPart {
    pub(super) plugin: Box<dyn Splitter>,
    pub(super) keep_truncated: bool,
    pub(super) use_message_bytes: Option<bool>,
    pub(super) deliver_incomplete_final: bool,
}

/// All of them, by the name of their section.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) splitters: HashMap<String, Arc<SplitterPart>>,
    pub(super) decoders: HashMap<String, Arc<dyn Decoder>>,
    pub(super) encoders: HashMap<String, Arc<dyn Encoder>>,
}

/// How deep decoders may use each other.
const MAX_DEPTH: usize = 16;

impl Parts {
    pub(super) fn splitter(&self, name: &str) -> anyhow::Result<Arc<SplitterPart>> {
        self.splitters.get(name).cloned().with_context(|| format!("there is no splitter {name}"))
    }

    /// Starts the decoder `name` and those it uses.
    pub(super) fn start_decoder(
        &self,
        name: &str,
        engine: &Engine,
    ) -> anyhow::Result<Box<dyn Decoding>> {
        self.start_decoder_below(name, engine, 0)
    }

    fn start_decoder_below(
        &self,
        name: &str,
        engine: &Engine,
        depth: usize,
    ) -> anyhow::Result<Box<dyn Decoding>> {
        anyhow::ensure!(depth < MAX_DEPTH, "decoder {name} uses itself");
        let plugin =
            self.decoders.get(name).with_context(|| format!("there is no decoder {name}"))?;
        let decoder = |sub: &str| self.start_decoder_below(sub, engine, depth + 1);
        plugin
            .start(&DecoderContext { name, engine, decoder: &decoder })
            .with_context(|| format!("cannot start decoder {name}"))
    }
}
