//! The seam of decoders: how a record becomes messages.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Engine;
use super::record::Record;
use crate::message::Batch;

/// A decoder as configured.
pub trait Decoder: Send + Sync {
    /// Gives what decodes, on the thread that will own it.
    ///
    /// # Errors
    /// When the settings cannot work: a script that does not load, a decoder that is not there.
    fn start(&self, cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>>;

    /// The names of the decoders it makes use of.
    fn uses(&self) -> Vec<String> {
        Vec::new()
    }

    /// The files it is made of, besides its section; a change to one starts it anew.
    fn files(&self, _engine: &Engine) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What those files say: a decoder is swapped when it is different.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn version(&self, _engine: &Engine) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// What a decoder is lent when it starts.
pub struct DecoderContext<'a> {
    /// The name of its section.
    pub name: &'a str,
    /// The engine.
    pub engine: &'a Engine,
    /// Starts another decoder by the name of its section.
    pub decoder: &'a dyn Fn(&str) -> anyhow::Result<Box<dyn Decoding>>,
}

/// Decodes the records of some streams, on one thread.
pub trait Decoding {
    /// Writes the messages of one record behind those in `out`; none is an answer too. What was
    /// written before an error is taken away again by the caller.
    ///
    /// # Errors
    /// When the record cannot be decoded; the text says why and is kept to 500 bytes.
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()>;

    /// Hands its state on, where it has one that is to be kept.
    fn hand_on(&mut self, _states: &mut States) {}

    /// Takes over the state that an earlier version handed on.
    ///
    /// # Errors
    /// When the state does not fit.
    fn take_over(&mut self, _states: &States) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The states of scripts, by the name of their section: what one version hands to the next.
pub type States = BTreeMap<String, Vec<u8>>;

/// An error that is counted and not logged: the decoder was told to keep quiet about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Quiet(pub String);
