//! One section of the configuration: a plugin.

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Common;
use super::Family;
use super::Place;
use super::Problem;
use super::Settings;
use super::Surroundings;
use super::kind;
use super::options;
use crate::matcher::Matcher;

const MATCHER: &str = "message_matcher";

/// A plugin as configured.
#[derive(Clone, Debug)]
pub struct Section {
    /// The name of the section, and of the plugin.
    pub name: String,
    /// Heka's `type`: `TcpInput`.
    pub kind: String,
    /// Where the kind is named: the value of `type`, or the head of the section.
    pub kind_place: Place,
    /// The family of the kind.
    pub family: Family,
    /// The options every plugin of the family has.
    pub common: Common,
    /// The kind's own settings.
    pub settings: Settings,
    /// The name in the head of the section.
    pub place: Place,
    /// The whole section in one line.
    text: String,
    /// All options, for their places.
    whole: Settings,
}

/// A section as the parser found it.
pub(super) struct Draft<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) table: &'a DeTable<'a>,
    /// Whether its syntax is wrong somewhere.
    pub(super) is_damaged: bool,
}

impl Section {
    /// Returns where the value of an option stands, one every plugin has or one of the kind; where the
    /// section begins if it is left out.
    pub fn place_of_key(&self, key: &str) -> Place {
        self.whole.place_of_key(key).unwrap_or_else(|| self.place.clone())
    }

    /// Tells whether a plugin set up from the one would be the same as from the other.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text
    }

    /// Returns all that is written in the section, in one line without comments: what a hash that is
    /// to tell versions apart is made of. Contains secrets if the section does.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes a section of a draft. Reports into `problems`; common options that are wrong have their
    /// defaults then, so that the rest can be checked. None if there is no such kind.
    pub(super) fn read(
        draft: &Draft<'_>,
        surroundings: &Surroundings<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let (kind, kind_place, family) = kind::find(draft, surroundings, problems)?;
        warn_of_old_keys(draft, problems);
        let wrong_matcher = check_matcher(draft);
        let is_wrong_matcher = wrong_matcher.is_some();
        let part = |wanted: &dyn Fn(&str) -> bool| {
            let mut part = DeTable::new();
            for (key, value) in draft.table {
                if wanted(key.get_ref()) && !(is_wrong_matcher && key.get_ref() == MATCHER) {
                    part.insert(key.clone(), value.clone());
                }
            }
            Settings::new(&part, &draft.place, &kind, Some(family)).map_err(|one| vec![one])
        };
        problems.extend(wrong_matcher);
        let common = Common::read(family, &|keys: &[&str]| part(&|key: &str| keys.contains(&key)));
        let mut common = common.unwrap_or_else(|mistakes| {
            problems.extend(mistakes);
            Common::default_of(family)
        });
        if draft.table.contains_key(MATCHER) {
            // One that is wrong is not also missing.
            common.stand_in_for_matcher();
        }
        let settings = part(&|key| key != "type" && !options::keys(family).contains(&key));
        // Whether a change is tried first is none itself.
        let whole = part(&|key| key != "type" && key != "shadow");
        let (settings, whole) = match (settings, whole) {
            (Ok(settings), Ok(whole)) => (settings, whole),
            (Err(mistakes), _) | (_, Err(mistakes)) => {
                problems.extend(mistakes);
                return None;
            }
        };
        let text = format!("{kind} {}", whole.text());
        let name = draft.name.to_owned();
        let place = draft.place.clone();
        Some(Self { name, kind, kind_place, family, common, settings, place, text, whole })
    }
}

/// Says what is wrong with the matcher, at the place within it.
fn check_matcher(draft: &Draft<'_>) -> Option<Problem> {
    let value = draft.table.get(MATCHER)?;
    let text = value.get_ref().as_str()?;
    let error = Matcher::parse(text).err()?;
    let place = Place::new(draft.place.file(), value.span());
    let mut span = error.span();
    if span.is_empty() {
        // At the end: point at the last letter rather than at the quote.
        span.start = text.floor_char_boundary(span.start.saturating_sub(1));
    }
    Some(Problem::error(error.message()).at_labelled(&place.within(text, span), error.expected()))
}

/// Warns of options of Heka's that are read and have no effect, or another one.
fn warn_of_old_keys(draft: &Draft<'_>, problems: &mut Vec<Problem>) {
    let mut warn = |key: &Spanned<_>, message: String, help: &str| {
        let place = Place::new(draft.place.file(), key.span());
        problems.push(Problem::warning(message).at(&place).help(help));
    };
    if let Some((key, _)) = draft.table.get_key_value("synchronous_decode") {
        let help = "decoding has threads of its own and keeps the order of a stream";
        warn(key, "`synchronous_decode` has no effect".to_owned(), help);
    }
    let buffering = draft.table.get("buffering").and_then(|value| value.get_ref().as_table());
    for (key, value) in buffering.into_iter().flatten() {
        match key.get_ref().as_ref() {
            "max_file_size" => {
                let help = "what waits for a plugin is in the journal, see [hekad.journal]";
                warn(key, "`max_file_size` has no effect".to_owned(), help);
            }
            "cursor_update_count" => {
                let help = "cursors are stored as often as costs little";
                warn(key, "`cursor_update_count` has no effect".to_owned(), help);
            }
            "full_action" if matches!(value.get_ref(), DeValue::String(text) if text == "drop") => {
                let help = "a log frees its oldest end: write \"drop_oldest\" to say so";
                warn(key, "`drop` drops the oldest messages, not the new one".to_owned(), help);
            }
            _ => {}
        }
    }
}
