//! Numbers that have come and are not in the journal yet.
//!
//! Counters of one name are added up, of a gauge the last value counts with what was added since, a
//! set keeps each member once; timers and histograms keep every value. Names stay known from one
//! flush to the next, up to a bound, so that a name costs nothing but a look-up.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::write::Number;
use super::write::Writer;
use crate::formats::statsd;
use crate::formats::statsd::Kind;
use crate::formats::statsd::Line;
use crate::formats::statsd::Numbers;
use crate::message::Batch;
use crate::metrics::Counter;

/// How many names stay known.
const MAX_NAMES: usize = 100_000;
/// How much may be gathered, in bytes.
const FULL: usize = 4 << 20;

/// Numbers by name; see the module.
pub(super) struct Gathered {
    signed_gauges: bool,
    bad: Arc<Counter>,
    writer: Writer,
    /// Where a name is, by what its lines begin with: kind, name and tags as they are written.
    places: HashMap<Box<[u8]>, usize>,
    entries: Vec<Entry>,
    /// The entries that have numbers, in the order in which they came.
    touched: Vec<usize>,
    /// About how many bytes the numbers take.
    size: usize,
    /// What a line begins with, while it is looked for.
    key: Vec<u8>,
    /// Events and service checks.
    others: Batch,
}

struct Entry {
    /// As Graphite knows it.
    name: String,
    is_touched: bool,
    numbers: Gatherable,
}

enum Gatherable {
    Counter(f64),
    Gauge { value: Option<f64>, change: f64 },
    Values { modifier: &'static [u8], values: Vec<(f64, f64)> },
    Set(BTreeSet<Box<[u8]>>),
}

impl Gathered {
    /// Nothing yet; `writer` makes messages of it, and `bad` counts lines that cannot be read.
    pub(super) fn new(writer: Writer, signed_gauges: bool, bad: Arc<Counter>) -> Gathered {
        Gathered {
            signed_gauges,
            bad,
            writer,
            places: HashMap::new(),
            entries: Vec::new(),
            touched: Vec::new(),
            size: 0,
            key: Vec::new(),
            others: Batch::new(),
        }
    }

    /// Tells whether there is so much that it should be flushed.
    pub(super) fn is_full(&self) -> bool {
        self.size >= FULL || self.others.is_full()
    }

    /// Takes lines in; those that cannot be read are counted.
    pub(super) fn take(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            match statsd::read(line) {
                Ok(Line::Numbers(numbers)) => self.add(&numbers),
                Ok(Line::Event(event)) => self.writer.put_event(&event, &mut self.others),
                Ok(Line::ServiceCheck(check)) => {
                    self.writer.put_service_check(&check, &mut self.others);
                }
                Err(error) => {
                    self.bad.add(1);
                    let line = String::from_utf8_lossy(&line[..line.len().min(200)]);
                    tracing::trace!(%error, %line, "a line of statsd cannot be read");
                }
            }
        }
    }

    fn add(&mut self, numbers: &Numbers<'_>) {
        let place = self.place(numbers);
        let entry = &mut self.entries[place];
        if !entry.is_touched {
            entry.is_touched = true;
            self.touched.push(place);
            self.size += entry.name.len() + 32;
        }
        for written in numbers.values() {
            let number = statsd::number(written).unwrap_or_default();
            match &mut entry.numbers {
                Gatherable::Counter(sum) => *sum += number / numbers.sampling,
                Gatherable::Gauge { value, change } => {
                    if self.signed_gauges && matches!(written.first(), Some(b'+' | b'-')) {
                        *change += number;
                    } else {
                        (*value, *change) = (Some(number), 0.0);
                    }
                }
                Gatherable::Values { values, .. } => {
                    values.push((number, numbers.sampling));
                    self.size += entry.name.len() + 32;
                }
                Gatherable::Set(members) => {
                    if !members.contains(written) {
                        members.insert(written.into());
                        self.size += entry.name.len() + written.len() + 32;
                    }
                }
            }
        }
    }

    /// Where the name of these numbers is; it is entered when it is new.
    fn place(&mut self, numbers: &Numbers<'_>) -> usize {
        self.key.clear();
        self.key.push(numbers.kind as u8);
        self.key.extend_from_slice(numbers.name);
        if !numbers.tags.is_empty() {
            self.key.push(b'|');
            self.key.extend_from_slice(numbers.tags);
        }
        if let Some(place) = self.places.get(&*self.key) {
            return *place;
        }
        let mut name = String::new();
        statsd::put_name(numbers.name, numbers.tags, &mut name);
        let empty = match numbers.kind {
            Kind::Counter => Gatherable::Counter(0.0),
            Kind::Gauge => Gatherable::Gauge { value: None, change: 0.0 },
            Kind::Timer => Gatherable::Values { modifier: b"ms", values: Vec::new() },
            Kind::Histogram => Gatherable::Values { modifier: b"h", values: Vec::new() },
            Kind::Set => Gatherable::Set(BTreeSet::new()),
        };
        self.entries.push(Entry { name, is_touched: false, numbers: empty });
        self.size += self.key.len();
        self.places.insert(self.key.as_slice().into(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Takes messages out, until there is nothing left.
    pub(super) fn flush(&mut self) -> Option<Batch> {
        let others = std::mem::take(&mut self.others);
        if !others.is_empty() {
            return Some(others);
        }
        let mut batch = Batch::new();
        for place in std::mem::take(&mut self.touched) {
            let Entry { name, is_touched, numbers } = &mut self.entries[place];
            *is_touched = false;
            numbers.drain(|number| self.writer.push(name, &number, &mut batch));
        }
        self.writer.put_numbers(&mut batch);
        self.size = 0;
        if self.entries.len() > MAX_NAMES {
            self.entries.clear();
            self.places.clear();
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl Gatherable {
    /// Takes the numbers out, one by one.
    fn drain(&mut self, mut take: impl FnMut(Number<'_>)) {
        let plain = |modifier, value| Number { modifier, value, sampling: 1.0, member: None };
        match self {
            Gatherable::Counter(sum) => take(plain(b"c", std::mem::take(sum))),
            Gatherable::Gauge { value, change } => {
                let change = std::mem::take(change);
                match value.take() {
                    Some(value) => take(plain(b"g", value + change)),
                    None => take(plain(b"g+", change)),
                }
            }
            Gatherable::Values { modifier, values } => {
                for (value, sampling) in values.drain(..) {
                    take(Number { modifier, value, sampling, member: None });
                }
            }
            Gatherable::Set(members) => {
                for member in std::mem::take(members) {
                    take(Number { member: Some(&member), ..plain(b"s", 1.0) });
                }
            }
        }
    }
}
