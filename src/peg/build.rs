//! Makes patterns, of nothing and of other patterns.
//!
//! The result of joining patterns refers to the values of all of them, in the order of the
//! arguments unless said otherwise.

use super::Error;
use super::set::ByteSet;
use super::tree::Capture;
use super::tree::Key;
use super::tree::NO_KEY;
use super::tree::Op;
use super::tree::Pattern;
use super::tree::narrow;

/// How far a pattern may look behind, in bytes.
const MAX_BEHIND: u32 = 255;

impl Pattern {
    /// Matches this text.
    ///
    /// # Errors
    /// When it is too long.
    pub fn literal(text: &[u8]) -> Result<Pattern, Error> {
        if text.is_empty() {
            return Ok(Pattern::leaf(Op::True));
        }
        let mut pattern = Pattern::leaf(Op::True);
        let (at, len) = pattern.keep_text(text)?;
        pattern.nodes[0].op = Op::Text { at, len };
        Ok(pattern)
    }

    /// Matches so many bytes; below zero, that there are not so many left.
    ///
    /// # Errors
    /// When it is too many.
    pub fn any(count: i64) -> Result<Pattern, Error> {
        let bytes = narrow(usize::try_from(count.unsigned_abs()).map_err(|_| Error::TooBig)?)?;
        match count {
            0 => Ok(Pattern::leaf(Op::True)),
            1.. => Ok(Pattern::leaf(Op::Any(bytes))),
            _ => Pattern::leaf(Op::Any(bytes)).not(),
        }
    }

    /// Matches always, or never.
    #[must_use]
    pub fn truth(truth: bool) -> Pattern {
        Pattern::leaf(if truth { Op::True } else { Op::False })
    }

    /// Matches one byte of a set.
    #[must_use]
    pub fn one_of(set: ByteSet) -> Pattern {
        if let Some(byte) = set.single() {
            let mut pattern = Pattern::leaf(Op::Text { at: 0, len: 1 });
            pattern.bytes.push(byte);
            return pattern;
        }
        if set == ByteSet::EMPTY {
            return Pattern::truth(false);
        }
        if set == ByteSet::FULL {
            return Pattern::leaf(Op::Any(1));
        }
        let mut pattern = Pattern::leaf(Op::Set(0));
        pattern.sets.push(set);
        pattern
    }

    /// Matches what the rule of this name does, in the grammar that it will be part of.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn rule(name: Key<'_>) -> Result<Pattern, Error> {
        let mut pattern = Pattern::leaf(Op::True);
        pattern.nodes[0].op = Op::Open(pattern.keep_key(name)?);
        Ok(pattern)
    }

    /// Matches this, then `next`.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn then(&self, next: &Pattern) -> Result<Pattern, Error> {
        if self.op() == Op::False || next.op() == Op::True {
            return Ok(self.among(0, next.values));
        }
        if self.op() == Op::True {
            return Ok(next.among(self.values, 0));
        }
        self.join(Op::Seq, next)
    }

    /// Matches this, or else `other`.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn or(&self, other: &Pattern) -> Result<Pattern, Error> {
        if let (Some(a), Some(b)) = (self.as_set(), other.as_set()) {
            return Ok(Pattern::one_of(a.union(b)));
        }
        if other.op() == Op::False || self.is_nofail(0) {
            return Ok(self.among(0, other.values));
        }
        if self.op() == Op::False {
            return Ok(other.among(self.values, 0));
        }
        self.join(Op::Choice, other)
    }

    /// Matches this where `other` does not match; the values of `other` come first.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn minus(&self, other: &Pattern) -> Result<Pattern, Error> {
        if let (Some(a), Some(b)) = (self.as_set(), other.as_set()) {
            return Ok(Pattern::one_of(a.minus(b)));
        }
        other.not()?.then(self)
    }

    /// Matches this as often as it goes: at least `count` times, or at most `-count` times.
    ///
    /// # Errors
    /// When the result is too large, or when it would go round without end.
    pub fn repeat(&self, count: i64) -> Result<Pattern, Error> {
        let times = u32::try_from(count.unsigned_abs()).map_err(|_| Error::TooBig)?;
        let op = if count >= 0 {
            if self.is_nullable(0) {
                return Err(Error::EmptyLoop);
            }
            Op::Repeat(times)
        } else {
            Op::AtMost(times)
        };
        let mut pattern = self.under(op)?;
        pattern.grow(self.weight.saturating_add(1).saturating_mul(times))?;
        Ok(pattern)
    }

    /// Matches where this does, and consumes nothing.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn look(&self) -> Result<Pattern, Error> {
        self.under(Op::And)
    }

    /// Matches where this does not, and consumes nothing.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn not(&self) -> Result<Pattern, Error> {
        self.under(Op::Not)
    }

    /// Matches where this ends, and consumes nothing.
    ///
    /// # Errors
    /// When it has captures or no fixed length.
    pub fn behind(&self) -> Result<Pattern, Error> {
        if self.has_captures(0) {
            return Err(Error::CapturesBehind);
        }
        let length = self.fixed_length(0).ok_or(Error::NoFixedLength)?;
        if length > MAX_BEHIND {
            return Err(Error::TooLongBehind);
        }
        self.under(Op::Behind(length))
    }

    /// Captures what this matches; the value of the key, if it is one, comes last.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn capture(&self, kind: Capture, key: Option<Key<'_>>) -> Result<Pattern, Error> {
        let mut pattern = self.under(Op::Capture(kind, NO_KEY))?;
        if let Some(key) = key {
            pattern.nodes[0].op = Op::Capture(kind, pattern.keep_key(key)?);
        }
        pattern.grow(2)?;
        Ok(pattern)
    }

    /// Asks the host, while matching, about what this matched; its value comes last.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn runtime(&self) -> Result<Pattern, Error> {
        let mut pattern = self.under(Op::Runtime(NO_KEY))?;
        pattern.nodes[0].op = Op::Runtime(pattern.keep_key(Key::Value)?);
        pattern.grow(2)?;
        Ok(pattern)
    }

    /// Matches nothing and gives constants.
    ///
    /// # Errors
    /// When there are too many.
    pub fn constants(keys: &[Key<'_>]) -> Result<Pattern, Error> {
        let mut pattern = Pattern::leaf(Op::True);
        for key in keys {
            pattern =
                pattern.then(&Pattern::truth(true).capture(Capture::Constant, Some(*key))?)?;
        }
        // Constants are one capture together.
        if keys.len() > 1 { pattern.capture(Capture::Group, None) } else { Ok(pattern) }
    }

    /// The bytes this matches, where it matches one byte whatever follows.
    pub(super) fn as_set(&self) -> Option<ByteSet> {
        self.set_at(0).filter(|_| self.nodes.len() == 1)
    }

    pub(super) fn set_at(&self, index: usize) -> Option<ByteSet> {
        match self.nodes[index].op {
            Op::Set(set) => Some(self.sets[set as usize]),
            Op::Any(1) => Some(ByteSet::FULL),
            Op::Text { at, len: 1 } => Some(ByteSet::of(self.text(at, 1))),
            _ => None,
        }
    }

    /// This, with values of others before and after its own.
    fn among(&self, before: u32, after: u32) -> Pattern {
        let mut pattern = self.clone();
        if before > 0 {
            for key in &mut pattern.keys {
                if let super::tree::Kept::Value(number) = key {
                    *number += before;
                }
            }
        }
        pattern.values += before + after;
        pattern
    }

    fn under(&self, op: Op) -> Result<Pattern, Error> {
        let mut pattern = Pattern::root(op);
        pattern.append(self, 0)?;
        Ok(pattern)
    }

    /// Joins two patterns under a root, whose place each of them may have already.
    fn join(&self, op: Op, other: &Pattern) -> Result<Pattern, Error> {
        let mut pattern = Pattern::root(op);
        let skip = |part: &Pattern| usize::from(part.op() == op);
        pattern.append(self, skip(self))?;
        let last = pattern.children(0).last().unwrap_or(0);
        let seam = pattern.nodes.len();
        pattern.append(other, skip(other))?;
        if op == Op::Seq {
            pattern.merge_texts(last, seam);
        }
        Ok(pattern)
    }

    /// Makes two texts that follow each other one.
    fn merge_texts(&mut self, first: usize, second: usize) {
        let (Op::Text { at: a, len: a_len }, Op::Text { at: b, len: b_len }) =
            (self.nodes[first].op, self.nodes[second].op)
        else {
            return;
        };
        let end = a as usize + a_len as usize;
        let next = self.text(b, b_len).to_vec();
        let at = if b as usize == end {
            a
        } else if end == self.bytes.len() {
            self.bytes.extend_from_slice(&next);
            a
        } else {
            let whole = [self.text(a, a_len), &next].concat();
            let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&whole);
            at
        };
        self.nodes[first].op = Op::Text { at, len: a_len + b_len };
        self.nodes.remove(second);
        self.nodes[0].size -= 1;
        if self.nodes[0].size == 2 {
            // Only the text is left.
            self.nodes.remove(0);
        }
    }
}
