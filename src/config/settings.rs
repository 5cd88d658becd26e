//! The settings of one section, to be read into the struct that does the work.
//!
//! They are kept as text of their own, one inline table, so that they outlive the file they came from,
//! can be read as often as needed and compared with those of another load. Beside the text stands where
//! in the file each key and value was; reading puts these places back, so that an error points into
//! the file.
//!
//! Serde stops at the first error. So what it stumbled over is taken out and the rest is read again,
//! until there is nothing left to stumble over: all mistakes of a section are reported at once.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Family;
use super::File;
use super::Place;
use super::Problem;
use super::wording::Reading;

/// Mistakes reported in one table before it is left.
const MAX_MISTAKES: usize = 50;

/// How deep tables and lists may stand in each other.
const MAX_DEPTH: usize = 32;

/// The settings of one section, or of a part of one.
#[derive(Clone, Debug)]
pub struct Settings {
    text: String,
    /// Where the keys and values of `text` were, in the order they are written there.
    spans: Vec<Range<usize>>,
    file: Arc<File>,
    head: Range<usize>,
    owner: String,
    family: Option<Family>,
}

impl Settings {
    /// Takes the settings down. `head` is where to point for what is missing, `owner` whose settings
    /// they are, and `family` the one whose common options may stand beside them.
    pub(super) fn new(
        table: &DeTable<'_>,
        place: &Place,
        owner: &str,
        family: Option<Family>,
    ) -> Result<Self, Problem> {
        let mut writer = Writer { text: String::new(), spans: Vec::new() };
        if writer.table(table, 0).is_none() {
            let message = format!("tables stand more than {MAX_DEPTH} deep in each other");
            return Err(Problem::error(message).at(place));
        }
        Ok(Self {
            text: writer.text,
            spans: writer.spans,
            file: Arc::clone(place.file()),
            head: place.raw_span(),
            owner: owner.to_owned(),
            family,
        })
    }

    /// Makes settings with nothing in them.
    pub(super) fn empty(place: &Place, owner: &str) -> Self {
        Self::new(&DeTable::new(), place, owner, None).expect("an empty table is not deep")
    }

    /// Reads the settings by `read`, which is as a rule `deserialize` of the struct they are for, or
    /// says all that is wrong with them.
    ///
    /// # Errors
    /// The problems, each with its place.
    pub fn read<T>(
        &self,
        read: impl for<'a> Fn(toml::Deserializer<'a>) -> Result<T, toml::de::Error>,
    ) -> Result<T, Vec<Problem>> {
        let reading = Reading {
            file: &self.file,
            head: self.head.clone(),
            owner: &self.owner,
            family: self.family,
        };
        let mut table = self.table();
        let mut problems = Vec::new();
        let mut taken_out = TakenOut::default();
        for _ in 0..MAX_MISTAKES {
            let root = Spanned::new(self.head.clone(), table.clone());
            let error = match read(toml::Deserializer::from(root)) {
                Ok(value) if problems.is_empty() => return Ok(value),
                Ok(_) => break,
                Err(error) => error,
            };
            if !taken_out.explains(&error) {
                let (problem, meant) = reading.problem_of(&error);
                problems.push(problem);
                taken_out.keys.extend(meant);
            }
            let Some(span) = error.span() else { break };
            if !taken_out.take(&mut table, &self.head, &span) {
                break;
            }
        }
        Err(problems)
    }

    /// Returns where the settings begin: the head of their section.
    pub fn place(&self) -> Place {
        Place::new(&self.file, self.head.clone())
    }

    /// Returns where a value stood that was read from these settings.
    pub fn place_of<T>(&self, value: &Spanned<T>) -> Place {
        Place::new(&self.file, value.span())
    }

    /// Returns where the value of a key stands; none if the key is left out.
    pub fn place_of_key(&self, key: &str) -> Option<Place> {
        self.table().get(key).map(|value| Place::new(&self.file, value.span()))
    }

    /// Returns the settings in one line, as an inline table in TOML. Two sections with the same text
    /// are set up the same, whatever their comments and their places are.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn table(&self) -> DeTable<'_> {
        let value = DeValue::parse(&self.text).expect("the writer below writes TOML").into_inner();
        let DeValue::Table(table) = value else { unreachable!("the writer begins with a table") };
        let mut spans = self.spans.iter().cloned();
        place_table(table, &mut spans)
    }
}

/// Puts the places back, in the order the writer met them.
fn place_table<'i>(
    table: DeTable<'i>,
    spans: &mut impl Iterator<Item = Range<usize>>,
) -> DeTable<'i> {
    let mut placed = DeTable::new();
    for (key, value) in table {
        let key = Spanned::new(spans.next().unwrap_or_default(), key.into_inner());
        placed.insert(key, place_value(value.into_inner(), spans));
    }
    placed
}

fn place_value<'i>(
    value: DeValue<'i>,
    spans: &mut impl Iterator<Item = Range<usize>>,
) -> Spanned<DeValue<'i>> {
    let span = spans.next().unwrap_or_default();
    let value = match value {
        DeValue::Table(table) => DeValue::Table(place_table(table, spans)),
        DeValue::Array(mut array) => {
            for element in array.iter_mut() {
                let inner = std::mem::replace(element.get_mut(), DeValue::Boolean(false));
                *element = place_value(inner, spans);
            }
            DeValue::Array(array)
        }
        other => other,
    };
    Spanned::new(span, value)
}

/// What serde stumbled over, taken out of the table.
#[derive(Default)]
struct TakenOut {
    keys: Vec<String>,
    /// Where the inner tables are that something was taken out of.
    tables: Vec<Range<usize>>,
}

impl TakenOut {
    /// Tells whether an error comes from what was taken out: a key that was given, but wrongly, is
    /// not missing, and a table that lacks it may well be incomplete.
    fn explains(&self, error: &toml::de::Error) -> bool {
        if error.message().starts_with("missing field") {
            return self.keys.iter().any(|key| error.message().contains(&format!("`{key}`")));
        }
        error.span().is_some_and(|span| self.tables.contains(&span))
    }

    /// Takes the innermost key out of the table that the span is about; false if there is none.
    fn take(&mut self, table: &mut DeTable<'_>, place: &Range<usize>, span: &Range<usize>) -> bool {
        for (_, value) in table.iter_mut() {
            let place = value.span();
            if let DeValue::Table(inner) = value.get_mut()
                && self.take(inner, &place, span)
            {
                return true;
            }
        }
        let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
        let found = table.iter().find(|(key, value)| covers(key.span()) || covers(value.span()));
        let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) else { return false };
        table.remove(key.as_str());
        self.keys.push(key);
        self.tables.push(place.clone());
        true
    }
}

/// Writes a table as one line and notes where its parts were.
struct Writer {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Writer {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.text.push('{');
        for (index, (key, value)) in table.iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.spans.push(key.span());
            self.string(key.get_ref());
            self.text.push_str(" = ");
            self.value(value, depth)?;
        }
        self.text.push('}');
        Some(())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Option<()> {
        self.spans.push(value.span());
        match value.get_ref() {
            DeValue::String(text) => self.string(text),
            DeValue::Integer(number) => self.number(&number.to_string()),
            DeValue::Float(number) => self.number(&number.to_string()),
            DeValue::Boolean(truth) => self.plain(truth),
            DeValue::Datetime(time) => self.plain(time),
            DeValue::Array(array) => {
                if depth >= MAX_DEPTH {
                    return None;
                }
                self.text.push('[');
                for (index, element) in array.iter().enumerate() {
                    if index > 0 {
                        self.text.push_str(", ");
                    }
                    self.value(element, depth + 1)?;
                }
                self.text.push(']');
            }
            DeValue::Table(table) => self.table(table, depth + 1)?,
        }
        Some(())
    }

    /// Of a number that is none, as `09`, nothing is left; that was reported where it was read.
    fn number(&mut self, written: &str) {
        let is_sound = DeValue::parse(written).is_ok();
        self.text.push_str(if is_sound { written } else { "0" });
    }

    fn plain(&mut self, value: &dyn std::fmt::Display) {
        let _ = write!(self.text, "{value}");
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => {
                    self.text.push('\\');
                    self.text.push(letter);
                }
                control if control.is_control() => {
                    let _ = write!(self.text, "\\U{:08x}", u32::from(control));
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }
}
