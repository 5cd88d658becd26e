//! What the bulk API answers: the fate of each document, in order.

use anyhow::Context;
use anyhow::anyhow;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What has become of a document.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is stored, or one of its id was there already.
    Stored,
    /// It will be stored later, if it is sent again.
    Later(anyhow::Error),
    /// It will never be stored.
    Refused(anyhow::Error),
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    errors: bool,
    #[serde(default)]
    items: IgnoredAny,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Item>,
}

/// The answer to one action; its key says which.
#[derive(Deserialize)]
struct Item {
    #[serde(alias = "create", alias = "update", alias = "delete")]
    index: Done,
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// Reads the answer to `count` documents; `None` when all are stored.
///
/// # Errors
/// When it is none, or speaks of another number of documents.
pub(super) fn read(body: &[u8], count: usize) -> anyhow::Result<Option<Vec<Fate>>> {
    let outcome: Outcome = serde_json::from_slice(body).with_context(|| {
        let start = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        format!("`{start}` is no answer of a bulk API: is this Elasticsearch?")
    })?;
    let IgnoredAny = outcome.items;
    if !outcome.errors {
        return Ok(None);
    }
    let Items { items } = serde_json::from_slice(body)?;
    let told = items.len();
    anyhow::ensure!(told == count, "it tells of {told} documents instead of {count}");
    Ok(Some(items.into_iter().map(|item| fate(&item.index)).collect()))
}

fn fate(done: &Done) -> Fate {
    let reason = || {
        let text = done.error.as_ref().map_or_else(String::new, said);
        anyhow!("the document is refused with {}{}{text}", done.status, hint(&text))
    };
    match done.status {
        0..400 => Fate::Stored,
        // With the action `create`: it has been sent before.
        409 => Fate::Stored,
        429 | 500.. => Fate::Later(reason()),
        _ => Fate::Refused(reason()),
    }
}

/// The kind and the reason of an error, with what caused it.
fn said(error: &serde_json::Value) -> String {
    let mut text = String::new();
    let mut part = Some(error);
    while let Some(one) = part {
        let word = |key: &str| one.get(key).and_then(serde_json::Value::as_str).unwrap_or("");
        if let Some(whole) = one.as_str() {
            text.push_str(&format!(": {whole}"));
        } else {
            text.push_str(&format!(": {}: {}", word("type"), word("reason")));
        }
        if text.len() > 1000 {
            break;
        }
        part = one.get("caused_by");
    }
    text.chars().filter(|letter| !letter.is_control()).take(500).collect()
}

/// What to do about it, where that is known.
fn hint(text: &str) -> &'static str {
    let says = |part: &str| text.contains(part);
    if says("mapper_parsing") || says("document_parsing") || says("strict_dynamic_mapping") {
        " (a field does not fit the mapping of the index)"
    } else if says("index_not_found") {
        " (the index is not there and may not be made)"
    } else if says("invalid_index_name") {
        " (look at `index` of the encoder)"
    } else if says("only write ops with an op_type of create") {
        " (a data stream: set `action = \"create\"` in the encoder)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, count: usize, expected: &str) {
        let text = match read(body.as_bytes(), count) {
            Ok(None) => "all".to_owned(),
            Ok(Some(fates)) => fates
                .iter()
                .map(|fate| match fate {
                    Fate::Stored => "stored".to_owned(),
                    Fate::Later(error) => format!("later {error:#}"),
                    Fate::Refused(error) => format!("refused {error:#}"),
                })
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn the_fate_of_each_document_is_read() {
        check(r#"{"took":1,"errors":false,"items":[{"index":{"status":201}}]}"#, 1, "all");
        check(
            concat!(
                r#"{"errors":true,"items":[{"index":{"status":201}},{"create":{"status":409}},"#,
                r#"{"index":{"_index":"a","status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},"#,
                r#"{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed","#,
                r#""caused_by":{"type":"number_format_exception","reason":"x"}}}}]}"#
            ),
            4,
            "stored; stored; \
             later the document is refused with 429: es_rejected_execution_exception: full; \
             refused the document is refused with 400 (a field does not fit the mapping of the index)\
             : mapper_parsing_exception: failed: number_format_exception: x",
        );
    }

    #[test]
    fn an_answer_that_is_none_is_told() {
        check(r#"{"errors":true,"items":[]}"#, 1, "it tells of 0 documents instead of 1");
        check(
            "<html>",
            1,
            "`<html>` is no answer of a bulk API: is this Elasticsearch?: \
             expected value at line 1 column 1",
        );
    }
}
