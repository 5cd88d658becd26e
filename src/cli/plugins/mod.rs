//! `heka plugins`: what kinds of plugins there are, with every option, written from the code.

mod options;

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::catalog::CATALOG;
use crate::catalog::FEATURES;
use crate::config;
use crate::config::Family;
use crate::plugin::Defaults;
use crate::plugin::Kind;
use options::options;

/// Lists the kinds of plugins, or the options of one.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// A kind, such as `TcpInput`, or a family, such as `inputs`; without it all are listed
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

impl Command {
    /// Prints the list.
    ///
    /// # Errors
    /// When there is no such kind or family.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let rows = rows();
        let text = match &self.kind {
            None => list(&rows),
            Some(asked) => {
                let asked_rows: Vec<&Row> = rows.iter().filter(|row| row.answers(asked)).collect();
                if asked_rows.is_empty() {
                    eprintln!("there is no kind or family `{asked}`{}", nearest(asked, &rows));
                    return Ok(ExitCode::from(2));
                }
                asked_rows.iter().map(|row| row.full()).collect::<Vec<_>>().join("\n")
            }
        };
        super::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A kind, whatever its family.
struct Row {
    family: &'static str,
    name: &'static str,
    about: &'static str,
    example: &'static str,
    defaults: Defaults,
    schema: fn() -> schemars::Schema,
}

fn rows() -> Vec<Row> {
    fn of<T: ?Sized>(family: &'static str, kinds: &'static [Kind<T>]) -> Vec<Row> {
        let row = |kind: &Kind<T>| Row {
            family,
            name: kind.name,
            about: kind.about,
            example: kind.example,
            defaults: kind.defaults,
            schema: kind.schema,
        };
        let mut rows: Vec<Row> = kinds.iter().map(row).collect();
        rows.sort_by_key(|row| row.name);
        rows
    }
    [
        of("inputs", CATALOG.inputs),
        of("splitters", CATALOG.splitters),
        of("decoders", CATALOG.decoders),
        of("filters", CATALOG.filters),
        of("encoders", CATALOG.encoders),
        of("outputs", CATALOG.outputs),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Row {
    fn answers(&self, asked: &str) -> bool {
        let singular = self.family.trim_end_matches('s');
        [self.name, self.family, singular].iter().any(|name| name.eq_ignore_ascii_case(asked))
    }

    /// All there is to say of the kind.
    fn full(&self) -> String {
        let mut text = format!("{} ({})\n", self.name, self.family.trim_end_matches('s'));
        push_indented(&mut text, 2, self.about);
        text.push('\n');
        let mut all = options(&(self.schema)(), self.name);
        let family = Family::of(self.name);
        for schema in family.into_iter().flat_map(config::schemas) {
            let common = options(&schema, self.name);
            // A kind that says more of a common option is heard first.
            let own: Vec<String> = all.iter().map(|option| option.name.clone()).collect();
            all.extend(common.into_iter().filter(|option| !own.contains(&option.name)));
        }
        for option in all {
            let _ = writeln!(text, "  {}: {}", option.name, option.form);
            push_indented(&mut text, 6, &option.doc);
        }
        for (name, default) in self.own_defaults() {
            let _ = writeln!(text, "  {name}: here by default {default}");
        }
        text.push_str("\n  Example:\n");
        push_indented(&mut text, 4, self.example.trim());
        text
    }

    /// The common options that this kind has a default of its own for.
    fn own_defaults(&self) -> Vec<(&'static str, String)> {
        let quoted = |text: &str| format!("{text:?}");
        let Defaults { decoder, splitter, encoder, message_matcher, ticker_interval, .. } =
            self.defaults;
        [
            ("decoder", decoder.map(quoted)),
            ("splitter", splitter.map(quoted)),
            ("encoder", encoder.map(quoted)),
            ("message_matcher", message_matcher.map(quoted)),
            ("ticker_interval", (ticker_interval > 0).then(|| ticker_interval.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, default)| Some((name, default?)))
        .collect()
    }
}

/// The kinds by family, a line each.
fn list(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    let mut family = "";
    for row in rows {
        if row.family != family {
            let gap = if family.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}:", row.family);
            family = row.family;
        }
        let _ = writeln!(text, "  {:width$}  {}", row.name, row.about);
    }
    text.push_str(&left_out(FEATURES));
    text
}

/// What this build is without, and how to get it; empty where it has everything.
fn left_out(features: &[(&str, bool, &[&str])]) -> String {
    let mut text = String::new();
    for (feature, _, kinds) in features.iter().filter(|(_, is_here, _)| !is_here) {
        if text.is_empty() {
            text.push_str(
                "\nNot in this build, all of which `cargo build --release --features full` has:\n",
            );
        }
        let _ = writeln!(text, "  {} (feature {feature})", kinds.join(", "));
    }
    text
}

fn push_indented(text: &mut String, indent: usize, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{}", format!("{:indent$}{line}", "").trim_end());
    }
}

fn nearest(asked: &str, rows: &[Row]) -> String {
    let likeness =
        |row: &&Row| strsim::jaro_winkler(&row.name.to_lowercase(), &asked.to_lowercase());
    let nearest = rows.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest
        .filter(|row| likeness(row) > 0.7)
        .map(|row| format!("; did you mean `{}`?", row.name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_what_it_is_and_documents_each_option() {
        for row in rows() {
            assert!(!row.about.is_empty() && !row.example.is_empty(), "{}", row.name);
            for option in options(&(row.schema)(), row.name) {
                assert!(!option.doc.is_empty(), "{} of {} has no text", option.name, row.name);
            }
        }
    }

    #[test]
    fn what_is_left_out_is_told_with_the_way_to_it() {
        assert_eq!(left_out(&[("a", true, &["AInput"])]), "");
        let text = left_out(&[("a", true, &["AInput"]), ("b", false, &["BInput", "BOutput"])]);
        assert!(text.contains("--features full") && text.contains("BInput, BOutput (feature b)"));
        assert!(!text.contains("AInput"), "{text}");
    }

    #[test]
    fn a_family_is_found_by_either_number() {
        let rows = rows();
        let of = |asked: &str| rows.iter().filter(|row| row.answers(asked)).count();
        assert_eq!(of("splitters"), CATALOG.splitters.len());
        assert_eq!(of("Splitter"), CATALOG.splitters.len());
        assert_eq!(of("tokensplitter"), 1);
        assert_eq!(nearest("TokenSpliter", &rows), "; did you mean `TokenSplitter`?");
    }
}
