//! Asks the tables of an index about every message of a batch.

use super::super::condition::Condition;
use super::super::variable::Header;
use super::Plans;
use super::entry::Entry;
use super::operand::Operand;
use super::table::Found;
use crate::message::Batch;
use crate::message::Field;
use crate::message::Message;
use crate::message::Value;

/// What is found out about a batch.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    plans: &'a Plans,
    /// The number of the message at hand, counted from one; what bears another is stale.
    stamp: u32,
    signer: u32,
    values: Vec<(u32, Option<Value<'a>>)>,
    /// How many fields of each name have been seen.
    seen: Vec<(u32, u32)>,
    /// The fields that were found and have a table.
    found: Vec<u32>,
    /// The texts that were found in the message.
    texts: Found,
    /// The message in which each slot was last hit.
    hit: Vec<u32>,
    pub(super) counts: Vec<u32>,
    pub(super) hits: Vec<(u32, u16)>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(plans: &'a Plans) -> Scan<'a> {
        Scan {
            plans,
            stamp: 0,
            signer: 0,
            values: vec![(0, None); plans.field_tables.len()],
            seen: vec![(0, 0); plans.names.len()],
            found: Vec::new(),
            texts: Found::new(plans.texts),
            hit: vec![0; plans.signers_of.len()],
            counts: vec![0; plans.signers_of.len()],
            hits: Vec::with_capacity(Batch::MAX_MESSAGES),
        }
    }

    /// Evaluates all messages that a `u16` can number.
    pub(super) fn run(&mut self, batch: &'a Batch) {
        for index in 0..batch.len().min(usize::from(u16::MAX) + 1) {
            self.stamp += 1;
            let plans = self.plans;
            if !plans.signers.is_empty() {
                let signer = batch.signer(index);
                self.signer = signer.map_or(0, |signer| plans.signer_number(signer));
            }
            let message = batch.message(index);
            if plans.names.len() > 0 {
                self.walk(&message);
            }
            self.ask(&message);
        }
    }

    /// Reads the fields that matchers name.
    fn walk(&mut self, message: &Message<'a>) {
        self.found.clear();
        let names = &self.plans.names;
        let mut left = names.len();
        let mut fields = message.fields();
        while left > 0
            && let Some((name, encoded)) = fields.next_named()
        {
            let Some(name) = names.find(name) else { continue };
            let Some(field) = Field::parse(encoded) else { continue };
            let (stamp, count) = self.seen[name];
            let number = if stamp == self.stamp { count } else { 0 };
            self.seen[name] = (self.stamp, number + 1);
            left -= usize::from(number == names.last(name));
            for wanted in names.wanted(name) {
                if wanted.field != number {
                    continue;
                }
                let value = field.value(wanted.value as usize);
                self.values[wanted.number as usize] = (self.stamp, value);
                if value.is_some() && self.plans.field_tables[wanted.number as usize].is_some() {
                    self.found.push(wanted.number);
                }
            }
        }
    }

    fn ask(&mut self, message: &Message<'a>) {
        let (plans, stamp) = (self.plans, self.stamp);
        let mut texts = std::mem::take(&mut self.texts);
        for (header, table) in &plans.header_tables {
            header.read(message, |value| {
                let seen = (&mut texts, stamp);
                table.visit(value, seen, &mut |entries| self.verify(message, entries));
            });
        }
        for at in 0..self.found.len() {
            let number = self.found[at] as usize;
            if let Some(table) = &plans.field_tables[number]
                && let (_, Some(value)) = self.values[number]
            {
                let seen = (&mut texts, stamp);
                table.visit(value, seen, &mut |entries| self.verify(message, entries));
            }
        }
        self.texts = texts;
        self.verify(message, &plans.always);
    }

    /// Evaluates what is left of matchers whose key the message has.
    #[inline]
    fn verify(&mut self, message: &Message<'a>, entries: &[Entry]) {
        for entry in entries {
            let slot = entry.slot as usize;
            if self.hit[slot] == self.stamp {
                continue;
            }
            if entry.rest != Entry::WHOLE && !self.holds(message, entry.rest) {
                continue;
            }
            let signer = self.plans.signers_of[slot];
            if signer != 0 && signer != self.signer {
                continue;
            }
            self.hit[slot] = self.stamp;
            self.counts[slot] += 1;
            #[allow(clippy::cast_possible_truncation, reason = "`run` goes no further than a u16")]
            self.hits.push((entry.slot, (self.stamp - 1) as u16));
        }
    }

    fn holds(&self, message: &Message<'a>, rest: u32) -> bool {
        let test = |operand: &Operand, condition: &Condition| match operand {
            Operand::Header(header) => Header::passes(*header, message, condition),
            Operand::Field(number) => match self.values[*number as usize] {
                (stamp, Some(value)) if stamp == self.stamp => condition.holds(value),
                _ => *condition == Condition::Absent,
            },
        };
        self.plans.rests.nodes(rest).iter().all(|node| node.holds(&test))
    }
}
