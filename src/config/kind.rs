//! Which kind of plugin a section describes, and what to say when there is no such kind.

use super::Family;
use super::Place;
use super::Problem;
use super::Surroundings;
use super::section::Draft;
use super::wording::list;
use super::wording::sort_of;
use crate::stdx::nearest::nearest;

/// Finds a section's kind, where it is named, and its family. Reports into `problems`; none if there
/// is no such kind.
pub(super) fn find(
    draft: &Draft<'_>,
    surroundings: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(String, Place, Family)> {
    let (kind, place, is_written) = match draft.table.get("type") {
        None => {
            if let Some(problem) = misspelt_type(draft) {
                problems.push(problem);
                return None;
            }
            (draft.name.to_owned(), draft.place.clone(), false)
        }
        Some(value) => {
            let place = Place::new(draft.place.file(), value.span());
            let Some(kind) = value.get_ref().as_str() else {
                let message = format!(
                    "`type` is the name of a kind such as \"TcpInput\", not {}",
                    sort_of(value.get_ref())
                );
                problems.push(Problem::error(message).at(&place));
                return None;
            };
            (kind.to_owned(), place, true)
        }
    };
    let family = Family::of(&kind);
    if let Some(family) = family
        && (surroundings.kinds)(family).contains(&kind.as_str())
    {
        return Some((kind, place, family));
    }
    problems.push(no_such_kind(&kind, family, is_written, surroundings).at(&place));
    None
}

/// Says so if a section that is not named after a kind has a key that was meant to be `type`.
fn misspelt_type(draft: &Draft<'_>) -> Option<Problem> {
    if Family::of(draft.name).is_some() {
        return None;
    }
    let (key, _) = draft.table.iter().find(|(key, value)| {
        let is_kind = value.get_ref().as_str().is_some_and(|kind| Family::of(kind).is_some());
        is_kind && nearest(key.get_ref(), ["type", "kind"]).is_some()
    })?;
    let place = Place::new(draft.place.file(), key.span());
    let message = format!("unknown key `{}`", key.get_ref());
    Some(Problem::error(message).at(&place).help("did you mean `type`?"))
}

fn no_such_kind(
    kind: &str,
    family: Option<Family>,
    is_written: bool,
    surroundings: &Surroundings<'_>,
) -> Problem {
    if let Some(help) = replacement(kind) {
        let yet = if help.starts_with("it comes") { " yet" } else { "" };
        return Problem::error(format!("there is no `{kind}`{yet}")).help(help);
    }
    let all: Vec<&str> = Family::ALL.into_iter().flat_map(surroundings.kinds).collect();
    if let Some(word) = nearest(kind, all.iter().copied()) {
        return Problem::error(format!("there is no kind `{kind}`"))
            .help(format!("did you mean `{word}`?"));
    }
    if let Some(family) = family {
        let mut kinds = (surroundings.kinds)(family);
        kinds.sort_unstable();
        return Problem::error(format!("there is no kind `{kind}`"))
            .help(format!("the {family}s there are: {}", list(&kinds, "and")));
    }
    if is_written {
        return Problem::error(format!("`{kind}` is of no family"))
            .help("a kind ends in Input, Splitter, Decoder, Filter, Encoder or Output");
    }
    Problem::error(format!("the section `{kind}` has no `type`"))
        .help("only a section that is named after its kind, as [TcpInput] is, needs none")
}

/// Returns what to do in place of a kind that Heka had and that does not exist yet.
pub fn replacement(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "CassandraInput" | "CassandraOutput" => {
            "this build is without it; `cargo build --release --features cassandra` has it, or \
             `--features full`, which has everything"
        }
        "KafkaInput" | "KafkaOutput" => {
            "this build is without it; `cargo build --release --features kafka` has it, or \
             `--features full`, which has everything"
        }
        "DockerEventInput" | "DockerLogInput" | "DockerStatsInput" => {
            "it comes with a later release; until then LogstreamerInput reads the log files of \
             containers"
        }
        "ProcessDirectoryInput" => {
            "write a ProcessInput for each program: the configuration is reloaded while it runs"
        }
        "LogfileInput" | "LogfileDirectoryManagerInput" => "use LogstreamerInput",
        "GeoIpDecoder" => {
            "it comes with a later release; the Lua module `geoip` looks addresses up in a decoder of \
             your own"
        }
        "PayloadXmlDecoder" => {
            "it comes with a later release; a SandboxDecoder can read XML with LPeg"
        }
        "StatsToFieldsDecoder" => {
            "it comes with a later release; StatAccumInput gives fields with \
             `emit_in_fields = true`"
        }
        "DashboardOutput" => "it comes with a later release; `heka run` shows what is flowing",
        "IrcOutput" => "it comes with a later release; HttpOutput can send alerts to a web hook",
        _ => return None,
    })
}
