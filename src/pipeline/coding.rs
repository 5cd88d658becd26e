//! Decoders and encoders, swapped while the inputs and outputs that use them go on.
//!
//! What one is made of is its section and its files, those of the decoders it uses included. Where
//! that is different, the new version is started aside first; only when it starts do the streams of
//! an input go over, each between two records, and an output between two entries. No connection is
//! closed for it, nothing is lost and nothing comes twice.

use std::hash::BuildHasher;
use std::time::Duration;

use anyhow::Context;

use super::Pipeline;
use super::plan::Plan;
use super::plan::PlannedInput;
use super::plan::PlannedOutput;
use super::reload::Reloaded;
use crate::plugin::EncoderContext;

/// How long the streams of an input may take to go over until a reload is over without them; they
/// do it when they come to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the decoder of an input is made of; none where it has no decoder.
pub(super) fn decoder_version(plan: &Plan, input: &PlannedInput) -> anyhow::Result<Option<u64>> {
    let Some(name) = &input.decoder else { return Ok(None) };
    let mut names = vec![name.clone()];
    let mut parts: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < names.len() {
        let name = names[at].clone();
        at += 1;
        push_section(&mut parts, plan, &name);
        let Some(decoder) = plan.parts.decoders.get(&name) else { continue };
        let version = decoder.version(&plan.engine);
        parts.extend(version.with_context(|| format!("cannot read what {name} is made of"))?);
        for used in decoder.uses() {
            if !names.contains(&used) {
                names.push(used);
            }
        }
    }
    Ok(Some(hash(&parts)))
}

/// What the encoder of an output is made of; none where it has no encoder.
pub(super) fn encoder_version(plan: &Plan, output: &PlannedOutput) -> anyhow::Result<Option<u64>> {
    let Some((name, encoder)) = &output.encoder else { return Ok(None) };
    let mut parts = Vec::new();
    push_section(&mut parts, plan, name);
    let version = encoder.version(&plan.engine);
    parts.extend(version.with_context(|| format!("cannot read what {name} is made of"))?);
    Ok(Some(hash(&parts)))
}

fn push_section(parts: &mut Vec<u8>, plan: &Plan, name: &str) {
    parts.extend_from_slice(name.as_bytes());
    let section = plan.config.section(name);
    parts.extend_from_slice(section.map_or("", |section| section.text()).as_bytes());
}

fn hash(parts: &[u8]) -> u64 {
    foldhash::quality::FixedState::with_seed(2).hash_one(parts)
}

impl Pipeline {
    /// Notes what the decoder of an input that starts is made of.
    pub(super) fn note_decoder(&mut self, index: usize) {
        let input = &self.plan.inputs[index];
        let version = decoder_version(&self.plan, input).unwrap_or_default();
        self.coded.insert(input.section.name.clone(), version);
    }

    /// Notes what the encoder of an output that starts is made of.
    pub(super) fn note_encoder(&mut self, index: usize) {
        let output = &self.plan.outputs[index];
        let version = encoder_version(&self.plan, output).unwrap_or_default();
        self.coded.insert(output.section.name.clone(), version);
    }

    /// Starts what an input uses, aside, to find out whether it can be.
    pub(super) fn try_input(&self, index: usize) -> anyhow::Result<()> {
        let (planned, engine) = (&self.plan.inputs[index], &self.plan.engine);
        let splitter = self.plan.parts.splitter(&planned.splitter)?;
        splitter.plugin.start(engine).context("cannot start the splitter")?;
        if let Some(decoder) = &planned.decoder {
            self.plan.parts.start_decoder(decoder, engine)?;
        }
        Ok(())
    }

    /// Starts the encoder of an output aside, to find out whether it can be.
    pub(super) fn try_output(&self, index: usize) -> anyhow::Result<()> {
        let planned = &self.plan.outputs[index];
        if let Some((name, encoder)) = &planned.encoder {
            encoder
                .start(&EncoderContext { name, engine: &self.plan.engine })
                .with_context(|| format!("cannot start encoder {name}"))?;
        }
        Ok(())
    }

    /// Has every input that goes on use the decoders of the plan, where they are different.
    pub(super) async fn reload_decoders(&mut self, done: &mut Reloaded) {
        for index in 0..self.plan.inputs.len() {
            let name = self.plan.inputs[index].section.name.clone();
            let Some(decoder) = self.plan.inputs[index].decoder.clone() else { continue };
            let Some(running) = self.inputs.iter().find(|running| *running.name == *name) else {
                continue;
            };
            let version = decoder_version(&self.plan, &self.plan.inputs[index]);
            if version.as_ref().is_ok_and(|version| self.coded.get(&name) == Some(version)) {
                continue;
            }
            let parts = self.plan.parts.clone();
            let tried = match version {
                Ok(version) => self.try_input(index).map(|()| version),
                Err(error) => Err(error),
            };
            let version = match tried {
                Ok(version) => version,
                Err(error) => {
                    done.failed.push(format!("{name}: {error:#}"));
                    continue;
                }
            };
            let recoding = tokio::time::timeout(PATIENCE, running.recode(&parts));
            if let Ok(Err(error)) = recoding.await {
                done.failed.push(format!("{name}: {error:#}"));
                continue;
            }
            self.coded.insert(name, version);
            push_once(&mut done.changed, decoder);
        }
    }

    /// Has an output that goes on use the encoder of the plan, where it is different.
    pub(super) fn reload_encoder(&mut self, index: usize, done: &mut Reloaded) {
        let output = &self.plan.outputs[index];
        let name = output.section.name.clone();
        let Some((encoder, plugin)) = output.encoder.clone() else { return };
        let version = encoder_version(&self.plan, output);
        if version.as_ref().is_ok_and(|version| self.coded.get(&name) == Some(version)) {
            return;
        }
        let swapped = version.and_then(|version| {
            self.try_output(index)?;
            self.deliveries.recode(&name, &encoder, plugin)?;
            Ok(version)
        });
        match swapped {
            Ok(version) => {
                self.coded.insert(name, version);
                push_once(&mut done.changed, encoder);
            }
            Err(error) => done.failed.push(format!("{name}: {error:#}")),
        }
    }
}

fn push_once(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}
