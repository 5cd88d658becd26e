//! The six families of plugins, as the end of a kind's name tells them.

use std::fmt;

/// A family of plugins: the kinds that share a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Brings bytes or messages in.
    Input,
    /// Cuts a stream of bytes into records.
    Splitter,
    /// Makes messages of records.
    Decoder,
    /// Analyses messages.
    Filter,
    /// Makes bytes of messages.
    Encoder,
    /// Brings bytes out.
    Output,
}

impl Family {
    /// All families, in the order a message meets them.
    pub const ALL: [Self; 6] =
        [Self::Input, Self::Splitter, Self::Decoder, Self::Filter, Self::Encoder, Self::Output];

    /// Returns the family a kind such as `TcpInput` belongs to, by the end of its name.
    pub fn of(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| kind.ends_with(family.suffix()))
    }

    /// Returns what the names of its kinds end in: `Input`.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Splitter => "Splitter",
            Self::Decoder => "Decoder",
            Self::Filter => "Filter",
            Self::Encoder => "Encoder",
            Self::Output => "Output",
        }
    }

    /// Returns its name in a sentence, with the article: `an input`.
    pub(super) fn a_member(self) -> &'static str {
        match self {
            Self::Input => "an input",
            Self::Splitter => "a splitter",
            Self::Decoder => "a decoder",
            Self::Filter => "a filter",
            Self::Encoder => "an encoder",
            Self::Output => "an output",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Splitter => "splitter",
            Self::Decoder => "decoder",
            Self::Filter => "filter",
            Self::Encoder => "encoder",
            Self::Output => "output",
        })
    }
}
