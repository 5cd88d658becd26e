//! What is shown of a configuration: everything but secrets.
//!
//! A mistake is shown with the line it stands in, on a terminal and, when a reload fails, in the log.
//! So the text of every option that sounds like a secret is shown as asterisks, byte for byte, which
//! leaves all places where they are. It goes by the name and not by the kind of plugin: a misspelt
//! `pasword` is one too, and so is one in a line that cannot be read at all.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A name, the equals sign, and a text, closed or not. Paths of files are no secrets.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?<name> [\w-]* (?: pas+w | passphrase | secret | token | api_?key | hmac | authori[sz]ation
                        | cookie | credential ) [\w-]* ["']? \s* = \s* )
        (?<text> """ (?s:.*?) (?: """ | \z )
               | ''' (?s:.*?) (?: ''' | \z )
               | " (?: [^"\\\n] | \\. )* "?
               | ' [^'\n]* '? )
        | (?<before> :// [^\s/@:"']* : ) (?<within> [^\s/@"']+ ) @"#,
    )
    .expect("a constant pattern compiles")
});

/// The text with asterisks in place of each secret.
pub(super) fn masked(written: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut done = 0;
    for found in SECRET.captures_iter(written) {
        let Some(secret) = found.name("text").or_else(|| found.name("within")) else { continue };
        let is_path = found.name("name").is_some_and(|name| is_path(name.as_str()));
        if is_path || secret.as_str().contains("%ENV[") {
            continue;
        }
        shown.push_str(&written[done..secret.start()]);
        for byte in secret.as_str().bytes() {
            shown.push(match byte {
                b'"' | b'\'' | b'\n' => char::from(byte),
                _ => '*',
            });
        }
        done = secret.end();
    }
    if done == 0 {
        return Cow::Borrowed(written);
    }
    shown.push_str(&written[done..]);
    Cow::Owned(shown)
}

/// Whether the name of an option says that it is a path.
fn is_path(name: &str) -> bool {
    let name = name.trim_end_matches(|letter: char| !letter.is_alphanumeric());
    name.ends_with("_file") || name.ends_with("_path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &str) {
        let shown = masked(written);
        assert_eq!(shown, expected);
        assert_eq!(shown.len(), written.len());
    }

    #[test]
    fn secrets_are_not_shown() {
        check("password = \"hunter2\" # x", "password = \"*******\" # x");
        check("pasword='a'", "pasword='*'");
        check("nrdp_token = \"open", "nrdp_token = \"****");
        check("api_key = \"a\\\"b\"", "api_key = \"**\"*\"");
        check("s = { hmac_key = 'ä', version = 1 }", "s = { hmac_key = '**', version = 1 }");
        check("\"Authorization\" = \"Bearer x\"", "\"Authorization\" = \"********\"");
        check("password = \"\"\"a\nb\"\"\"", "password = \"\"\"*\n*\"\"\"");
        check("address = \"amqp://u:pw@h/\"", "address = \"amqp://u:**@h/\"");
    }

    #[test]
    fn all_else_is() {
        for text in [
            "address = \"127.0.0.1:80\"",
            "password = { env = \"NAME\" }",
            "password = \"%ENV[NAME]\"",
            "token_file = \"/etc/token\"",
            "url = \"http://host:80/a@b\"",
            "splitter = \"TokenSplitter\"",
        ] {
            check(text, text);
        }
    }
}
