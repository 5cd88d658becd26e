//! What is wrong with a plan as a whole: sizes that do not go together, decoders that use each other.

use std::time::Duration;

use super::parts::Parts;
use super::plan::PlannedFilter;
use crate::config::Config;
use crate::config::Problem;
use crate::config::Section;
use crate::journal;
use crate::message::Batch;
use crate::message::frame;
use crate::plugin::Defaults;
use crate::plugin::Engine;
use crate::stdx::nearest::nearest;

/// Reports messages that would not go into an entry of the journal.
pub(super) fn sizes(
    config: &Config,
    journal: &journal::Settings,
    engine: &Engine,
    problems: &mut Vec<Problem>,
) {
    let largest = journal.largest_entry(&engine.base_dir);
    let message = engine.max_message_size.saturating_add(frame::MAX_OVERHEAD);
    let place = config.journal.place();
    let help = "`max_bytes` of [hekad.journal] is to be larger, or the message smaller; no journal \
                takes entries above 65 MiB";
    // A batch that is nearly full may get one more message.
    if message.saturating_add(Batch::MAX_BYTES) > largest {
        let problem = Problem::error(format!(
            "`max_message_size` is {}, and the largest entry of the journal {largest} bytes: a \
             message has no place in it beside others of up to {} bytes",
            engine.max_message_size,
            Batch::MAX_BYTES
        ));
        problems.push(problem.at(&place).help(help));
        return;
    }
    let most = engine.max_process_inject.max(engine.max_timer_inject);
    let injected = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(message);
    if injected > largest {
        let problem = Problem::warning(format!(
            "one call may inject {most} messages of up to {} bytes, and the largest entry of the \
             journal has {largest}",
            engine.max_message_size
        ));
        problems.push(problem.at(&place).help(help));
    }
}

/// Reports an input that works at every tick and is told never to.
pub(super) fn ticks(
    section: &Section,
    interval: Duration,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) {
    if interval.is_zero() && defaults.ticker_interval > 0 && !defaults.may_not_tick {
        let problem = Problem::error("`ticker_interval` has to be above 0");
        let help = format!("left out, it is {} seconds", defaults.ticker_interval);
        problems.push(problem.at(&section.place_of_key("ticker_interval")).help(help));
    }
}

/// Reports decoders that use what is not there, or themselves.
pub(super) fn decoders(parts: &Parts, config: &Config, problems: &mut Vec<Problem>) {
    for (name, decoder) in &parts.decoders {
        let Some(section) = config.section(name) else { continue };
        for used in decoder.uses() {
            if !parts.decoders.contains_key(&used) {
                let message = format!("{name} uses the decoder `{used}`, which is not there");
                problems.push(Problem::error(message).at(&section.place));
            }
        }
        if reaches(parts, name, name, 0) {
            let message = format!("the decoder {name} uses itself");
            problems.push(Problem::error(message).at(&section.place));
        }
    }
}

fn reaches(parts: &Parts, from: &str, wanted: &str, depth: usize) -> bool {
    depth < 32
        && parts.decoders.get(from).is_some_and(|decoder| {
            decoder
                .uses()
                .iter()
                .any(|used| used == wanted || reaches(parts, used, wanted, depth + 1))
        })
}

/// Reports what counts for a StatAccumInput that is not there: its numbers would be summed up by
/// nobody here. They may be by another engine that gets the messages, so a missing one is no mistake.
pub(super) fn accumulators(config: &Config, problems: &mut Vec<Problem>) {
    #[derive(serde::Deserialize)]
    struct Counting {
        stat_accum_name: Option<String>,
    }
    let counting = ["StatFilter", "StatsdInput"];
    for section in config.sections.iter().filter(|section| counting.contains(&&*section.kind)) {
        let read =
            section.settings.read(|table| <Counting as serde::Deserialize>::deserialize(table));
        // What cannot be read is reported where the section is.
        let Ok(Counting { stat_accum_name }) = read else { continue };
        let name = stat_accum_name.as_deref().unwrap_or("StatAccumInput");
        let place = section.place_of_key("stat_accum_name");
        match config.section(name) {
            Some(meant) if meant.kind == "StatAccumInput" => {}
            Some(meant) => {
                let message = format!("`{name}` is a {}, not a StatAccumInput", meant.kind);
                let problem = Problem::error(message).at(&place);
                problems.push(problem.at_labelled(&meant.place, "described here"));
            }
            None => {
                let message = format!(
                    "nothing sums up what {} counts: there is no StatAccumInput `{name}`",
                    section.name
                );
                let accumulators =
                    config.sections.iter().filter(|section| section.kind == "StatAccumInput");
                let help = match nearest(name, accumulators.map(|section| &*section.name)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "add a section [{name}], with `type = \"StatAccumInput\"`, here or where \
                         the messages go"
                    ),
                };
                problems.push(Problem::warning(message).at(&place).help(help));
            }
        }
    }
}

/// Reports filters that would load scripts from anybody.
pub(super) fn managers(filters: &[PlannedFilter], config: &Config, problems: &mut Vec<Problem>) {
    for filter in filters.iter().filter(|filter| filter.reading.signer.is_none()) {
        let Some(section) = config.section(&filter.name) else { continue };
        if section.kind == "SandboxManagerFilter" {
            let message = format!(
                "`message_signer` is missing: anybody who can send to this engine could have {} \
                 load scripts",
                filter.name
            );
            let help = "name a signer that an input knows, as `[X.signer.ops_1]` with `hmac_key`";
            problems.push(Problem::error(message).at(&section.place).help(help));
        }
    }
}
