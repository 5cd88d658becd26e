//! What one section says of another: a decoder, a splitter or an encoder that it names.

use toml::Spanned;

use super::Common;
use super::Family;
use super::Problem;
use super::Section;
use super::Surroundings;
use super::wording::list;
use crate::stdx::nearest::nearest;

/// Plugins that are there without a section of their own, under the names of their kinds.
pub const BUILT_IN: &[&str] = &[
    "ProtobufDecoder",
    "ProtobufEncoder",
    "PayloadEncoder",
    "JsonEncoder",
    "RstEncoder",
    "ESJsonEncoder",
    "ESLogstashV0Encoder",
    "PrometheusEncoder",
    "SyslogEncoder",
    "JsonDecoder",
    "ApacheErrorDecoder",
    "HaproxyDecoder",
    "LinuxStatsDecoder",
    "LogfmtDecoder",
    "MysqlSlowQueryDecoder",
    "NginxErrorDecoder",
    "PostgresqlCsvlogDecoder",
    "SyslogDecoder",
    "TokenSplitter",
    "HekaFramingSplitter",
    "SyslogFramingSplitter",
    "TraceSplitter",
    "NullSplitter",
];

/// Reports every reference that leads nowhere or to the wrong family. `names` are those of all
/// sections, also of the ones that could not be read.
pub(super) fn references(
    sections: &[Section],
    names: &[String],
    surroundings: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) {
    let built_in = |family: Family| -> Vec<&'static str> {
        let kinds = (surroundings.kinds)(family);
        BUILT_IN.iter().copied().filter(|name| kinds.contains(name)).collect()
    };
    for section in sections {
        let references = match &section.common {
            Common::Input(common) => {
                [(&common.decoder, Family::Decoder), (&common.splitter, Family::Splitter)].to_vec()
            }
            Common::Output(_, common) => vec![(&common.encoder, Family::Encoder)],
            _ => continue,
        };
        for (reference, family) in references {
            // An empty name takes the default of the kind away.
            if let Some(name) = reference.as_ref().filter(|name| !name.get_ref().is_empty()) {
                let there = There { sections, names, built_in: &built_in(family) };
                problems.extend(reference_to(section, name, family, &there));
            }
        }
    }
}

/// What a reference may lead to.
struct There<'a> {
    sections: &'a [Section],
    names: &'a [String],
    built_in: &'a [&'static str],
}

fn reference_to(
    section: &Section,
    reference: &Spanned<String>,
    family: Family,
    there: &There<'_>,
) -> Option<Problem> {
    let name = reference.get_ref().as_str();
    let place = section.settings.place_of(reference);
    if let Some(target) = there.sections.iter().find(|section| section.name == name) {
        if target.family == family {
            return None;
        }
        let message =
            format!("`{name}` is {}, not {}", target.family.a_member(), family.a_member());
        let problem = Problem::error(message).at(&place);
        return Some(problem.at_labelled(&target.place, "described here"));
    }
    // A section that could not be read has mistakes of its own, reported where they are.
    if there.names.iter().any(|other| other == name) || there.built_in.contains(&name) {
        return None;
    }
    if let Some(other) = Family::of(name).filter(|other| *other != family) {
        let message = format!("`{name}` is {}, not {}", other.a_member(), family.a_member());
        return Some(Problem::error(message).at(&place));
    }
    let problem = Problem::error(format!("there is no {family} `{name}`")).at(&place);
    if name == "PatternGroupingSplitter" {
        return Some(problem.help(
            "it needs a section, [PatternGroupingSplitter], that says what its `grouping` is",
        ));
    }
    let described = there.sections.iter().filter(|section| section.family == family);
    let known: Vec<&str> = described
        .map(|section| section.name.as_str())
        .chain(there.built_in.iter().copied())
        .collect();
    Some(match nearest(name, known.iter().copied()) {
        Some(word) => problem.help(format!("did you mean `{word}`?")),
        None => problem.help(format!("the {family}s there are: {}", list(&known, "and"))),
    })
}
