//! `sax`: the shape of a stretch of a series as a word, and how far two words are apart.

use std::any::Any;

use crate::analysis::sax::MAX_LETTERS;
use crate::analysis::sax::MAX_VALUES;
use crate::analysis::sax::Shape;
use crate::analysis::sax::Window;
use crate::analysis::sax::Word;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Table;
use crate::sandbox::raw::Value;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"sax",
    functions: &[
        (c"mindist", mindist),
        (c"version", version),
        (c"new_window", new_window),
        (c"new_word", new_word),
    ],
    parts: &[(c"window", &[(c"new", new_window)]), (c"word", &[(c"new", new_word)])],
    kinds: &[
        ObjectKind {
            tag: WINDOW,
            name: c"sax.window",
            methods: &[
                (c"add", add),
                (c"get_word", get_word),
                (c"clear", clear),
                (c"fromstring", fromstring),
            ],
            metamethods: &[(c"__tostring", tostring)],
            load: |state| Some(Box::new(Window::load(state)?)),
        },
        ObjectKind {
            tag: WORD,
            name: c"sax.word",
            methods: &[(c"copy", copy)],
            metamethods: &[(c"__tostring", tostring), (c"__eq", equals)],
            load: |state| Some(Box::new(Word::load(state)?)),
        },
    ],
};

const WINDOW: u8 = 16;
const WORD: u8 = 17;

impl Object for Window {
    fn tag(&self) -> u8 {
        WINDOW
    }

    fn footprint(&self) -> usize {
        Window::footprint_of(self.shape().values)
    }

    fn print(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.word().map(|word| word.text()).unwrap_or_default().as_bytes());
        true
    }

    fn save(&self, out: &mut Vec<u8>) {
        Window::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        Window::restore(self, state).map_err(|why| why.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Object for Word {
    fn tag(&self) -> u8 {
        WORD
    }

    fn footprint(&self) -> usize {
        Word::footprint(self)
    }

    fn print(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.text().as_bytes());
        true
    }

    fn save(&self, out: &mut Vec<u8>) {
        Word::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        *self = Word::load(state).ok_or("the saved state is damaged")?;
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The shape that arguments `first` and the two behind it give.
fn shape(call: &Call<'_>, values: usize, first: usize) -> Result<Shape, Complaint> {
    let most = i64::try_from(values).unwrap_or(i64::MAX);
    let frames = call.whole(first, "w", 2..=most.max(2))?;
    let letters = call.whole(first + 1, "c", 2..=i64::from(MAX_LETTERS))?;
    let shape = Shape {
        values,
        frames: usize::try_from(frames).unwrap_or(0),
        letters: u8::try_from(letters).unwrap_or(0),
    };
    if !shape.is_sound() {
        return Err(call.refused(first, "w", format!("a divisor of {values} expected")));
    }
    Ok(shape)
}

/// `sax.window.new(n, w, c)`, later `sax.new_window`: the last `n` values, in words of `w` letters of `c`.
fn new_window<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let most = i64::try_from(MAX_VALUES).unwrap_or(i64::MAX);
    let values = usize::try_from(call.whole(1, "n", 2..=most)?).unwrap_or(0);
    let shape = shape(&call, values, 2)?;
    call.admit(Some(Window::footprint_of(values)))?;
    cx.park(Box::new(Window::new(shape).ok_or("not enough memory")?));
    Ok(Answer::Parked)
}

/// `sax.word.new(values, w, c)` of a list of numbers, or `sax.word.new("ABC#", c)`; later
/// `sax.new_word`.
fn new_word<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let word = match call.value(1) {
        Value::Text(text) if text.len() <= MAX_VALUES => {
            call.admit(Some(text.len() * 2))?;
            let letters = call.whole(2, "c", 2..=i64::from(MAX_LETTERS))?;
            Word::parse(text, u8::try_from(letters).unwrap_or(0)).ok_or_else(|| {
                call.refused(1, "word", "two or more of its letters or # expected")
            })?
        }
        Value::Table(list) if list.len() <= MAX_VALUES => {
            let shape = shape(&call, list.len(), 2)?;
            call.admit(Some(list.len() * 16))?;
            Word::of(shape, &numbers(&call, list)?).ok_or("not enough memory")?
        }
        _ => return Err(call.wrong(1, "list of numbers, or word")),
    };
    cx.park(Box::new(word));
    Ok(Answer::Parked)
}

fn numbers(call: &Call<'_>, list: Table<'_>) -> Result<Vec<f64>, Complaint> {
    let mut values = Vec::with_capacity(list.len());
    for index in 1..=list.len() {
        if index % 65_536 == 0 {
            call.args.go_on()?;
        }
        let value = list.item(index, |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        });
        let value = value.flatten();
        values.push(
            value.ok_or_else(|| call.refused(1, "values", format!("item {index} is no number")))?,
        );
    }
    Ok(values)
}

/// `window:add(value, ...)`, or a list of values; NaN is a value that is missing.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    if let Value::Table(list) = call.value(1) {
        if list.len() > MAX_VALUES {
            return Err(call.refused(1, "values", format!("more than {MAX_VALUES}")));
        }
        call.admit(Some(list.len() * 8))?;
        let values = numbers(&call, list)?;
        let mut this = call.this::<Window>()?;
        for value in values {
            this.add(value);
        }
        return Ok(Answer::Nothing);
    }
    call.number(1)?;
    for number in 1..=call.len() {
        let value = call.number(number)?;
        call.this::<Window>()?.add(value);
    }
    Ok(Answer::Nothing)
}

/// `window:get_word()` → the word of the values that are there.
fn get_word<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get_word", args);
    let this = call.this::<Window>()?;
    call.admit(Some(this.footprint()))?;
    let word = this.word().ok_or("not enough memory")?;
    cx.park(Box::new(word));
    Ok(Answer::Parked)
}

/// `window:clear()` takes all values out.
fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("clear", args).this::<Window>()?.clear();
    Ok(Answer::Nothing)
}

/// `window:fromstring(state)` takes over a state that was saved.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let state = call.text(1)?;
    let result = Window::restore(&mut *call.this::<Window>()?, state);
    result.map_err(|why| call.refused(1, "state", why))?;
    Ok(Answer::Nothing)
}

/// The word that argument `number` is, or the one of a window.
fn word(call: &Call<'_>, number: usize) -> Result<Word, Complaint> {
    if let Some(word) = call.args.object::<Word>(call.slot(number)) {
        return Ok(word.clone());
    }
    let window = call.object::<Window>(number, "sax.word or sax.window")?;
    call.admit(Some(window.footprint()))?;
    window.word().ok_or_else(|| "not enough memory".into())
}

/// `sax.mindist(a, b)` → how far two words are apart at least; windows stand for their words.
fn mindist<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("mindist", args);
    let (one, other) = (word(&call, 1)?, word(&call, 2)?);
    let distance = one.distance(&other);
    let distance =
        distance.ok_or_else(|| call.refused(2, "b", "a word of the same shape expected"))?;
    Ok(Answer::Number(distance))
}

/// `word:copy()` → another word that reads the same.
fn copy<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("copy", args);
    let copy = word(&call, 1)?;
    call.admit(Some(Word::footprint(&copy)))?;
    cx.park(Box::new(copy));
    Ok(Answer::Parked)
}

/// `tostring(word)` → its letters.
fn tostring<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let word = word(&Call::function("tostring", args), 1)?;
    cx.scratch.clear();
    cx.scratch.extend_from_slice(word.text().as_bytes());
    Ok(Answer::Text(&cx.scratch))
}

/// `a == b` of two words.
fn equals<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("==", args);
    // One object cannot be lent twice, so each is copied.
    Ok(Answer::Bool(word(&call, 1)?.reads_as(&word(&call, 2)?)))
}

/// `sax.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.0"))
}
