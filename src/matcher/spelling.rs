//! What a word that the language does not know was probably meant to be.

use super::lexer::Behind;
use super::variable::Header;

/// Words of other languages and of other habits, with what they are here.
const ALIASES: [(&str, &str); 16] = [
    ("and", "&&"),
    ("or", "||"),
    ("not", "NOT"),
    ("eq", "=="),
    ("is", "=="),
    ("ne", "!="),
    ("like", "=~"),
    ("matches", "=~"),
    ("contains", "=~"),
    ("null", "NIL"),
    ("none", "NIL"),
    ("host", "Hostname"),
    ("message", "Payload"),
    ("msg", "Payload"),
    ("time", "Timestamp"),
    ("level", "Severity"),
];

/// The words beside the header fields.
const WORDS: [&str; 5] = ["Fields", "TRUE", "FALSE", "NIL", "NOT"];

/// The message for an unknown word, and what may help.
pub(super) fn unknown(word: &str, behind: Behind) -> (String, String) {
    let expected = match (behind, nearest(word)) {
        (Behind::Operator, Some(right @ ("TRUE" | "FALSE" | "NIL"))) => {
            format!("did you mean {right}?")
        }
        (Behind::Operator, _) => format!("did you mean '{word}'? text stands in quotes"),
        (_, Some(right)) => format!("did you mean {right}?"),
        (Behind::Pattern, None) => r"a slash in a regular expression is written \/".to_owned(),
        (Behind::Other, None) => format!("expected Fields[{word}] or one of {}", headers()),
    };
    (format!("unknown word {word}"), expected)
}

/// All header fields, as a list to read.
fn headers() -> String {
    Header::ALL.map(Header::name).join(", ")
}

fn nearest(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    if let Some((_, right)) = ALIASES.iter().find(|(alias, _)| *alias == lower) {
        return Some(right);
    }
    let known = Header::ALL.map(Header::name).into_iter().chain(WORDS);
    known
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= 2 && *distance * 2 < known.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| match known {
            "Fields" => "Fields[name]",
            other => other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word), expected, "{word}");
    }

    #[test]
    fn misspelt_words_are_recognised() {
        check("type", Some("Type"));
        check("Sevrity", Some("Severity"));
        check("HostName", Some("Hostname"));
        check("Field", Some("Fields[name]"));
        check("true", Some("TRUE"));
        check("AND", Some("&&"));
        check("status", None);
        check("x", None);
    }
}
