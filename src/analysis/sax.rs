//! SAX: the shape of a stretch of a series as a short word, and how far two words are apart.
//!
//! The last `n` values are brought to mean 0 and deviation 1, cut into `w` frames, and the mean of
//! each frame becomes one of `c` letters, chosen so that all are equally likely for noise. A frame in
//! which a value is missing has no letter (`#`), and is no distance from anything. The distance of two
//! words is never more than that of the series they stand for.
//!
//! A series hardly moves when its deviation is below 1e-6: then every frame is in the middle.
//!
//! Saved: 1, `n`, `w`, `c`, number of values, the values, oldest first.

use std::collections::VecDeque;

use super::saved::Reader;
use super::saved::Unfit;

const VERSION: u8 = 1;

/// The most letters.
pub const MAX_LETTERS: u8 = 26;
/// The longest window, in values.
pub const MAX_VALUES: usize = 1 << 20;
/// A series that deviates less than this hardly moves.
const STILL: f64 = 1e-6;
/// What stands where a frame has no letter.
const MISSING: u8 = u8::MAX;

/// What a word was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many values a word stands for.
    pub values: usize,
    /// How many letters it has.
    pub frames: usize,
    /// How many different letters there are.
    pub letters: u8,
}

impl Shape {
    /// Tells whether there is such a shape: 2 to 26 letters, two frames or more, each of as many
    /// values as the others.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (2..=MAX_LETTERS).contains(&self.letters)
            && self.frames > 1
            && (self.frames..=MAX_VALUES).contains(&self.values)
            && self.values.is_multiple_of(self.frames)
    }
}

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    shape: Shape,
    symbols: Vec<u8>,
}

impl Word {
    /// The word of these values, oldest first; `None` unless there are as many as the shape has.
    #[must_use]
    pub fn of(shape: Shape, values: &[f64]) -> Option<Word> {
        if !shape.is_sound() || values.len() != shape.values {
            return None;
        }
        let known = || values.iter().copied().filter(|value| value.is_finite());
        let count = known().count().max(1) as f64;
        let mean = known().sum::<f64>() / count;
        let deviation = (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let breaks = breakpoints(shape.letters);
        let symbol = |frame: &[f64]| {
            if frame.iter().any(|value| !value.is_finite()) {
                return MISSING;
            }
            let level = frame.iter().sum::<f64>() / frame.len() as f64 - mean;
            let level = if deviation < STILL { 0.0 } else { level / deviation };
            let above = breaks.iter().filter(|limit| **limit <= level).count();
            u8::try_from(above).unwrap_or(0)
        };
        let symbols = values.chunks(shape.values / shape.frames).map(symbol).collect();
        Some(Word { shape, symbols })
    }

    /// Reads a word such as `ABBC#`, in which each letter stands for one value.
    #[must_use]
    pub fn parse(text: &[u8], letters: u8) -> Option<Word> {
        let shape = Shape { values: text.len(), frames: text.len(), letters };
        let symbol = |byte: &u8| match *byte {
            b'#' => Some(MISSING),
            byte => byte.checked_sub(b'A').filter(|symbol| *symbol < letters),
        };
        let symbols = text.iter().map(symbol).collect::<Option<Vec<_>>>()?;
        shape.is_sound().then_some(Word { shape, symbols })
    }

    /// How far two words are apart at least; `None` when they are not of one shape.
    #[must_use]
    pub fn distance(&self, other: &Word) -> Option<f64> {
        if self.shape.frames != other.shape.frames || self.shape.letters != other.shape.letters {
            return None;
        }
        let breaks = breakpoints(self.shape.letters);
        let pairs = self.symbols.iter().zip(&other.symbols);
        let sum: f64 = pairs
            .map(|(one, other)| {
                let (low, high) = (*one.min(other), *one.max(other));
                if high == MISSING || high - low < 2 {
                    return 0.0;
                }
                (breaks[usize::from(high) - 1] - breaks[usize::from(low)]).powi(2)
            })
            .sum();
        let values = self.shape.values.max(other.shape.values) as f64;
        Some((values / self.shape.frames as f64).sqrt() * sum.sqrt())
    }

    /// The word as text.
    #[must_use]
    pub fn text(&self) -> String {
        let letter = |symbol: &u8| match *symbol {
            MISSING => '#',
            symbol => char::from(b'A' + symbol),
        };
        self.symbols.iter().map(letter).collect()
    }

    /// Tells whether another has the same letters, of as many different ones.
    #[must_use]
    pub fn reads_as(&self, other: &Word) -> bool {
        self.symbols == other.symbols && self.shape.letters == other.shape.letters
    }

    /// The bytes it takes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Word>() + self.symbols.len()
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        save_shape(self.shape, out);
        out.extend_from_slice(&self.symbols);
    }

    /// A word from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<Word> {
        let mut reader = Reader::new(state, VERSION)?;
        let shape = load_shape(&mut reader)?;
        let symbols = reader.bytes(shape.frames)?.to_vec();
        let is_symbol = |symbol: &u8| *symbol == MISSING || *symbol < shape.letters;
        let is_sound = symbols.iter().all(is_symbol) && reader.is_at_end();
        is_sound.then_some(Word { shape, symbols })
    }
}

/// The last so many values of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    shape: Shape,
    values: VecDeque<f64>,
}

impl Window {
    /// An empty window; `None` when there is no such shape, or no memory for it.
    #[must_use]
    pub fn new(shape: Shape) -> Option<Window> {
        let mut values = VecDeque::new();
        (shape.is_sound() && values.try_reserve_exact(shape.values).is_ok())
            .then_some(Window { shape, values })
    }

    /// The bytes a window of so many values takes.
    #[must_use]
    pub fn footprint_of(values: usize) -> usize {
        size_of::<Window>() + values * 8
    }

    /// What it makes words with.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds a value; NaN is one that is missing.
    pub fn add(&mut self, value: f64) {
        if self.values.len() == self.shape.values {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// The word of the values that are there; those not yet there are missing.
    #[must_use]
    pub fn word(&self) -> Option<Word> {
        let missing = std::iter::repeat_n(f64::NAN, self.shape.values - self.values.len());
        let values: Vec<f64> = missing.chain(self.values.iter().copied()).collect();
        Word::of(self.shape, &values)
    }

    /// Takes all values out.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        save_shape(self.shape, out);
        out.extend_from_slice(&(self.values.len() as u64).to_le_bytes());
        for value in &self.values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A window from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<Window> {
        let mut reader = Reader::new(state, VERSION)?;
        let mut window = Window::new(load_shape(&mut reader)?)?;
        let count = reader.size().filter(|count| *count <= window.shape.values)?;
        for _ in 0..count {
            window.values.push_back(reader.number()?);
        }
        reader.is_at_end().then_some(window)
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// When it is damaged or of a window of another shape.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Unfit> {
        let saved = Window::load(state).ok_or(Unfit::Damaged)?;
        if saved.shape != self.shape {
            return Err(Unfit::Mismatch);
        }
        *self = saved;
        Ok(())
    }
}

fn save_shape(shape: Shape, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&(shape.values as u64).to_le_bytes());
    out.extend_from_slice(&(shape.frames as u64).to_le_bytes());
    out.push(shape.letters);
}

fn load_shape(reader: &mut Reader<'_>) -> Option<Shape> {
    let (values, frames) = (reader.size()?, reader.size()?);
    let shape = Shape { values, frames, letters: reader.byte()? };
    shape.is_sound().then_some(shape)
}

/// Where one letter ends and the next begins, for values of mean 0 and deviation 1: with two decimals, as
/// in the tables of the paper, which Heka's library has too.
fn breakpoints(letters: u8) -> Vec<f64> {
    let rounded =
        |letter| (quantile(f64::from(letter) / f64::from(letters)) * 100.0).round() / 100.0;
    (1..letters).map(rounded).collect()
}

/// The value below which the part `rank` of a normal distribution lies, found by halving.
fn quantile(rank: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if part_below(middle) < rank { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The part of a normal distribution below `value`, by the series of its integral.
fn part_below(value: f64) -> f64 {
    let (mut term, mut sum, mut index) = (value, value, 1.0);
    while f64::abs(term) > 1e-17 && index < 400.0 {
        term *= value * value / (2.0 * index + 1.0);
        sum += term;
        index += 1.0;
    }
    0.5 + sum * (-value * value / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { values: 8, frames: 4, letters: 4 };

    #[test]
    fn letters_are_equally_likely() {
        let breaks = breakpoints(4);
        for (found, expected) in breaks.iter().zip([-0.67, 0.0, 0.67]) {
            assert!((found - expected).abs() < 1e-9, "{breaks:?}");
        }
        assert!(breakpoints(26).is_sorted());
    }

    #[test]
    fn a_rising_series_rises() {
        let mut window = Window::new(SHAPE).unwrap();
        for value in 0..20 {
            window.add(f64::from(value));
        }
        let rising = window.word().unwrap();
        assert_eq!(rising.text(), "ABCD");
        let falling = Word::of(SHAPE, &[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]).unwrap();
        assert_eq!(falling.text(), "DCBA");
        let distance = rising.distance(&falling).unwrap();
        let expected = 2.0_f64.sqrt() * (2.0 * (2.0 * 0.67_f64).powi(2)).sqrt();
        assert!((distance - expected).abs() < 1e-9, "{distance}");
        assert_eq!(rising.distance(&Word::parse(b"ABCD", 4).unwrap()), Some(0.0));
        assert_eq!(rising.distance(&Word::parse(b"ABC", 4).unwrap()), None);
        let mut state = Vec::new();
        window.save(&mut state);
        assert_eq!(Window::load(&state).unwrap(), window);
        assert_eq!(window.restore(&state[..12]), Err(Unfit::Damaged));
        let mut state = Vec::new();
        rising.save(&mut state);
        assert_eq!(Word::load(&state).unwrap(), rising);
        window.clear();
        assert_eq!(window.word().unwrap().text(), "####");
    }

    #[test]
    fn what_is_missing_has_no_letter() {
        let values = [1.0, 1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(Word::of(SHAPE, &values).unwrap().text(), "C#CC");
        assert_eq!(Word::parse(b"AB#", 2).unwrap().text(), "AB#");
        for (text, letters) in [(&b"AC"[..], 2), (b"A", 2), (b"ab", 4), (b"", 4), (b"AB", 27)] {
            assert_eq!(Word::parse(text, letters), None);
        }
        assert!(Window::new(Shape { values: 9, ..SHAPE }).is_none());
        assert!(Word::of(SHAPE, &[1.0]).is_none());
    }
}
