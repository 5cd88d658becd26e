//! What patterns are compiled to: instructions of the machine in [`super::machine`].

use super::set::ByteSet;
use super::tree::Capture;
use super::tree::Kept;

/// One step of the machine. What takes a place goes on there, what has no other says so goes on
/// with the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Inst {
    /// The subject matches.
    End,
    Fail,
    /// Consumes a byte.
    Byte(u8),
    /// Consumes so many bytes.
    Any(u32),
    /// Consumes a byte of the set.
    Set(u32),
    /// Consumes the text of this number.
    Text(u32),
    /// Consumes bytes of the set as long as there are any.
    Span(u32),
    /// Consumes at least one byte of the set.
    Span1(u32),
    /// Consumes all up to this byte, or to the end.
    Until(u8),
    /// Consumes all up to this byte, or to the end, and at least one.
    Until1(u8),
    /// Goes elsewhere unless the next byte is this one.
    TestByte {
        byte: u8,
        or: u32,
    },
    TestSet {
        set: u16,
        or: u32,
    },
    TestAny(u32),
    /// Chooses by the next byte, from a table.
    Dispatch(u32),
    /// Where to go on when what follows fails.
    Choice(u32),
    /// Forgets the last choice and goes elsewhere.
    Commit(u32),
    /// Moves the last choice here and goes elsewhere.
    PartialCommit(u32),
    /// Goes back to where the last choice was made, forgets it, and goes elsewhere.
    BackCommit(u32),
    /// Forgets the last choice and fails.
    FailTwice,
    Jump(u32),
    Call(u32),
    Return,
    /// Goes back so many bytes.
    Behind(u32),
    /// Begins a capture.
    Open(u32),
    /// Ends the capture begun last.
    Close,
    /// Captures the last so many bytes.
    Full {
        length: u16,
        capture: u32,
    },
    /// Ends the capture begun last and asks the host about it.
    CloseRuntime(u32),
}

/// A capture of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CaptureInfo {
    pub(super) kind: Kind,
    /// Its key among the constants.
    pub(super) constant: u32,
}

/// What becomes of a capture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Of(Capture),
    /// A group with a name.
    Named,
    /// It is evaluated while matching.
    Runtime,
}

/// No constant.
pub(super) const NO_CONSTANT: u32 = u32::MAX;

/// A constant that a match may push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant<'a> {
    /// Nil.
    Nil,
    /// A truth.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a [u8]),
    /// The value of the host of this number, counted from zero.
    Value(u32),
}

/// A compiled pattern.
#[derive(Debug, Default, PartialEq)]
pub struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) sets: Vec<ByteSet>,
    /// Places in `bytes`.
    pub(super) texts: Vec<(u32, u32)>,
    pub(super) bytes: Vec<u8>,
    pub(super) tables: Vec<[u32; 256]>,
    pub(super) captures: Vec<CaptureInfo>,
    pub(super) constants: Vec<Kept>,
}

impl Program {
    /// Bytes it takes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Program>()
            + self.insts.len() * size_of::<Inst>()
            + self.sets.len() * size_of::<ByteSet>()
            + self.texts.len() * 8
            + self.bytes.len()
            + self.tables.len() * 1024
            + self.captures.len() * size_of::<CaptureInfo>()
            + self.constants.len() * size_of::<Kept>()
    }

    /// Tells whether the host may have to run code of its own during a match.
    #[must_use]
    pub fn calls_host(&self) -> bool {
        self.captures.iter().any(|capture| {
            matches!(
                capture.kind,
                Kind::Runtime | Kind::Of(Capture::Function | Capture::Query | Capture::Fold)
            )
        })
    }

    /// The constants that its captures refer to, by their numbers.
    pub fn constants(&self) -> impl ExactSizeIterator<Item = Constant<'_>> {
        self.constants.iter().map(|kept| match *kept {
            Kept::Nil => Constant::Nil,
            Kept::Bool(truth) => Constant::Bool(truth),
            Kept::Number(number) => Constant::Number(number),
            Kept::Text { at, len } => Constant::Text(self.slice(at, len)),
            Kept::Value(number) => Constant::Value(number),
        })
    }

    /// A part of the texts, which a step of a plan may name.
    #[must_use]
    pub fn slice(&self, at: u32, len: u32) -> &[u8] {
        self.bytes.get(at as usize..at as usize + len as usize).unwrap_or_default()
    }
}
