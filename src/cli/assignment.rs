//! `key=value` on the command line, as a line of TOML.
//!
//! The value is taken as TOML where it is that (`5`, `true`, `["a", "b"]`), and as text otherwise,
//! so that `--set log_format='$remote_addr'` needs no second pair of quotes. The key may have dots.

/// One option of a plugin, as its section would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    line: String,
}

impl Assignment {
    /// Reads `key=value`; for clap.
    pub(super) fn parse(written: &str) -> Result<Assignment, String> {
        let Some((key, value)) = written.split_once('=') else {
            return Err("expected `key=value`".to_owned());
        };
        let (key, value) = (key.trim(), value.trim());
        let line = format!("{key} = {value}");
        if is_one_line(&line) {
            return Ok(Assignment { line });
        }
        let quoted = serde_json::Value::from(value).to_string().replace('\u{7f}', "\\u007f");
        let line = format!("{key} = {quoted}");
        if is_one_line(&line) {
            return Ok(Assignment { line });
        }
        Err(format!("`{key}` is no key"))
    }

    /// The section's lines for these options, each with a line end.
    pub(super) fn lines(options: &[Assignment]) -> String {
        options.iter().map(|option| format!("{}\n", option.line)).collect()
    }
}

/// Tells whether it sets one thing and does nothing else.
fn is_one_line(line: &str) -> bool {
    toml::from_str::<toml::Table>(line).is_ok_and(|table| table.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Result<&str, &str>) {
        let read = Assignment::parse(written);
        let lines = read.as_ref().map(|one| one.line.as_str()).map_err(String::as_str);
        assert_eq!(lines, expected, "{written}");
    }

    #[test]
    fn values_are_toml_or_text() {
        check("rows=1440", Ok("rows = 1440"));
        check("types=[\"a\"]", Ok("types = [\"a\"]"));
        check("log_format=$a \"$b\"", Ok("log_format = \"$a \\\"$b\\\"\""));
        check("a=1\nb=2", Ok("a = \"1\\nb=2\""));
        check("a.b=x=y", Ok("a.b = \"x=y\""));
        check("a=", Ok("a = \"\""));
        check("rows", Err("expected `key=value`"));
        check("a b=1", Err("`a b` is no key"));
    }
}
