//! `MultiDecoder`: several decoders, one after the other.

use anyhow::Context;
use anyhow::bail;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Origin;
use crate::plugin::Record;
use crate::plugin::States;

/// Hands a record to several decoders in turn.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MultiDecoder {
    /// The sections of the decoders, in the order in which they are tried.
    #[schemars(length(min = 1))]
    subs: Vec<String>,
    /// Whether it is logged when one of them cannot decode.
    #[serde(default)]
    log_sub_errors: bool,
    /// Whether the first that can decode a record is the last to see it, or each goes on with what
    /// those before it made.
    #[serde(default)]
    cascade_strategy: Cascade,
}

/// How decoders follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Cascade {
    /// The first that can decode.
    #[default]
    FirstWins,
    /// All, one after the other; one that cannot decode a message leaves it as it is.
    All,
}

impl Described for MultiDecoder {
    const NAME: &'static str = "MultiDecoder";
    const ABOUT: &'static str = "Hands a record to several decoders in turn.";
    const EXAMPLE: &'static str = "\
[MultiDecoder]
subs = [\"ProtobufDecoder\", \"ScribbleDecoder\"]
cascade_strategy = \"all\"

[ProtobufDecoder]

[ScribbleDecoder.message_fields]
environment = \"production\"
";
}

impl Decoder for MultiDecoder {
    fn start(&self, cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        if self.subs.is_empty() {
            bail!("`subs` names no decoder");
        }
        let mut subs = Vec::new();
        for name in &self.subs {
            let decoding = (cx.decoder)(name);
            let decoding = decoding.with_context(|| format!("cannot start decoder {name}"))?;
            subs.push(Sub { name: name.clone(), decoding });
        }
        Ok(Box::new(Cascaded {
            name: cx.name.to_owned(),
            subs,
            log_sub_errors: self.log_sub_errors,
            cascade: self.cascade_strategy,
            origin: Origin::default(),
        }))
    }

    fn uses(&self) -> Vec<String> {
        self.subs.clone()
    }
}

struct Sub {
    name: String,
    decoding: Box<dyn Decoding>,
}

struct Cascaded {
    name: String,
    subs: Vec<Sub>,
    log_sub_errors: bool,
    cascade: Cascade,
    origin: Origin,
}

impl Decoding for Cascaded {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let before = out.len();
        let mut reasons: Vec<String> = Vec::new();
        for at in 0..self.subs.len() {
            match self.subs[at].decoding.decode(record, out) {
                Ok(()) if self.cascade == Cascade::FirstWins => return Ok(()),
                Ok(()) => return self.go_on(at + 1, before, record, out),
                Err(error) => {
                    out.truncate(before);
                    self.report(at, &error);
                    reasons.push(format!("{}: {error:#}", self.subs[at].name));
                }
            }
        }
        bail!("all subdecoders failed: {}", reasons.join("; "))
    }

    fn hand_on(&mut self, states: &mut States) {
        for sub in &mut self.subs {
            sub.decoding.hand_on(states);
        }
    }

    fn take_over(&mut self, states: &States) -> anyhow::Result<()> {
        self.subs.iter_mut().try_for_each(|sub| sub.decoding.take_over(states))
    }
}

impl Cascaded {
    /// Hands what was written behind `before` messages to the decoders from `next` on.
    fn go_on(
        &mut self,
        next: usize,
        before: usize,
        record: &Record<'_>,
        out: &mut Batch,
    ) -> anyhow::Result<()> {
        for at in next..self.subs.len() {
            let mut messages = Batch::new();
            for index in before..out.len() {
                let message = out.message(index);
                let made = messages.len();
                let within = envelope::within(&message, record, &mut self.origin);
                if let Err(error) = self.subs[at].decoding.decode(&within, &mut messages) {
                    messages.truncate(made);
                    self.report(at, &error);
                    messages.push_located(message.bytes(), *message.header(), record.marks)?;
                }
            }
            out.truncate(before);
            for index in 0..messages.len() {
                let message = messages.message(index);
                out.push_located(message.bytes(), *message.header(), record.marks)?;
            }
        }
        Ok(())
    }

    fn report(&self, at: usize, error: &anyhow::Error) {
        if self.log_sub_errors {
            let (decoder, sub) = (&*self.name, &*self.subs[at].name);
            tracing::warn!(decoder, sub, error = format!("{error:#}"), "subdecoder cannot decode");
        }
    }
}
