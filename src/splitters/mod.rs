//! How records are cut from a stream of bytes.

mod delimiter;
mod heka_framing;
mod null;
mod pattern_grouping;
mod regex;
mod syslog_framing;
mod token;
mod trace;

#[cfg(test)]
mod tests;

use crate::plugin::Kind;
use crate::plugin::Splitter;
use heka_framing::HekaFramingSplitter;
use null::NullSplitter;
use pattern_grouping::PatternGroupingSplitter;
use regex::RegexSplitter;
use syslog_framing::SyslogFramingSplitter;
use token::TokenSplitter;
use trace::TraceSplitter;

/// The kinds of this family, one row each.
pub const SPLITTERS: &[Kind<dyn Splitter>] = &[
    Kind::splitter::<HekaFramingSplitter>(),
    Kind::splitter::<NullSplitter>(),
    Kind::splitter::<PatternGroupingSplitter>(),
    Kind::splitter::<RegexSplitter>(),
    Kind::splitter::<SyslogFramingSplitter>(),
    Kind::splitter::<TokenSplitter>(),
    Kind::splitter::<TraceSplitter>(),
];
