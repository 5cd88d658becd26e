//! The options of a kind, read out of the JSON Schema of its settings.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value;

use crate::stdx;

/// How many sections deep options are listed.
const MAX_DEPTH: usize = 4;

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Its key, behind those of the sections it is in: `tls.cert_file`.
    pub(super) name: String,
    /// What it takes, and what counts where it is left out.
    pub(super) form: String,
    /// What it means.
    pub(super) doc: String,
}

/// All options in `schema`, sections included, in alphabetical order.
pub(super) fn options(schema: &schemars::Schema, kind: &str) -> Vec<Described> {
    let root = schema.as_value();
    let definitions = root.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut listed = Vec::new();
    let within = Within { definitions, kind: kind.to_owned() };
    list(resolve(root, &within), &within, "", 0, &mut listed);
    listed
}

struct Within {
    definitions: Map<String, Value>,
    kind: String,
}

fn list(schema: &Value, within: &Within, path: &str, depth: usize, listed: &mut Vec<Described>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    for (name, property) in properties {
        let path = format!("{path}{name}");
        let resolved = resolve(property, within);
        let mut form = form(property, within, 0);
        match property.get("default").or_else(|| resolved.get("default")) {
            _ if required(name) => form.push_str(", required"),
            None | Some(Value::Null) => {}
            Some(Value::Object(parts)) => {
                if let Some(duration) = duration(parts) {
                    form = format!("{form}, default {duration:?}");
                }
            }
            Some(default) => form = format!("{form}, default {default}"),
        }
        let doc = text(property).or_else(|| text(resolved)).unwrap_or_default().to_owned();
        listed.push(Described { name: path.clone(), form, doc });
        if depth < MAX_DEPTH {
            let each = resolved.get("additionalProperties").filter(|each| each.is_object());
            match each {
                Some(each) => {
                    let each = resolve(each, within);
                    list(each, within, &format!("{path}.<name>."), depth + 1, listed);
                }
                None => list(resolved, within, &format!("{path}."), depth + 1, listed),
            }
        }
    }
}

/// A duration as a person writes it, out of the two numbers serde makes of it.
fn duration(parts: &Map<String, Value>) -> Option<String> {
    let seconds = parts.get("secs")?.as_u64()?;
    let nanoseconds = u32::try_from(parts.get("nanos")?.as_u64()?).ok()?;
    Some(stdx::duration::text(Duration::new(seconds, nanoseconds)))
}

fn text(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str)
}

/// What `schema` stands for: itself, what it refers to, or what it is where it is not null.
fn resolve<'a>(schema: &'a Value, within: &'a Within) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return within.definitions.get(name).map_or(schema, |found| resolve(found, within));
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let present: Vec<&Value> =
        choices.into_iter().flatten().filter(|choice| !is_null(choice)).collect();
    match present[..] {
        [only] => resolve(only, within),
        _ => schema,
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// What a value of this schema looks like, in words.
fn form(schema: &Value, within: &Within, depth: usize) -> String {
    let schema = resolve(schema, within);
    if depth > MAX_DEPTH {
        return "value".to_owned();
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(choices) = schema.get(choices).and_then(Value::as_array) {
            let forms = choices.iter().filter(|choice| !is_null(choice));
            return either(forms.map(|choice| form(choice, within, depth + 1)).collect());
        }
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return either(
            values.iter().filter(|value| !value.is_null()).map(Value::to_string).collect(),
        );
    }
    match schema.get("type") {
        Some(Value::String(kind)) => form_of(kind, schema, within, depth),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            either(kinds.map(|kind| form_of(kind, schema, within, depth)).collect())
        }
        _ => "value".to_owned(),
    }
}

fn form_of(kind: &str, schema: &Value, within: &Within, depth: usize) -> String {
    match kind {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", form(items, within, depth + 1)),
            None => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties").filter(|each| each.is_object()) {
            Some(each) => {
                let each = form(each, within, depth + 1);
                format!("section, under any name: {each}")
            }
            None => "section".to_owned(),
        },
        other => format!("{other} of {}", within.kind),
    }
}

fn either(mut forms: Vec<String>) -> String {
    forms.dedup();
    forms.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of every form.
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is read")]
    struct Settings {
        /// A text.
        address: String,
        /// With a default.
        #[schemars(default = "three")]
        retries: u32,
        /// May be left out.
        limit: Option<f64>,
        /// Of several words.
        mode: Option<Mode>,
        /// A list.
        names: Vec<String>,
        /// A section.
        tls: Option<Section>,
        /// A time.
        #[schemars(default = "half_a_second", with = "stdx::duration::Written")]
        wait: Duration,
        /// Sections.
        signer: std::collections::BTreeMap<String, Section>,
    }

    fn three() -> u32 {
        3
    }

    fn half_a_second() -> Duration {
        Duration::from_millis(500)
    }

    #[derive(schemars::JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only its schema is read")]
    enum Mode {
        /// Fast.
        Fast,
        /// Safe.
        VerySafe,
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is read")]
    struct Section {
        /// A key.
        key: String,
    }

    #[test]
    fn options_are_listed_with_form_default_and_text() {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Settings>();
        let listed: Vec<String> = options(&schema, "Test")
            .into_iter()
            .map(|option| format!("{}: {} ({})", option.name, option.form, option.doc))
            .collect();
        let expected = [
            "address: text, required (A text.)",
            "limit: number (May be left out.)",
            "mode: \"fast\" or \"very_safe\" (Of several words.)",
            "names: list of text, required (A list.)",
            "retries: whole number, default 3 (With a default.)",
            "signer: section, under any name: section, required (Sections.)",
            "signer.<name>.key: text, required (A key.)",
            "tls: section (A section.)",
            "tls.key: text, required (A key.)",
            "wait: number or text, default \"500ms\" (A time.)",
        ];
        assert_eq!(listed, expected);
    }
}
