//! A secret in the configuration: a password, a key, a token.
//!
//! Written as text, or better as a reference that keeps the secret out of the file:
//!
//! | written | the secret is |
//! | --- | --- |
//! | `"text"` | the text |
//! | `{ env = "NAME" }` | the value of that environment variable |
//! | `{ file = "PATH" }` | the content of that file without the line end it closes with |
//!
//! The reference is followed while the configuration is read, so a missing variable or file is a
//! mistake with line and column. A secret is never shown: `Debug` tells where it came from only.

use std::borrow::Cow;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::MapAccess;
use serde::de::Visitor;

/// The largest file a secret is read from, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A text that is used but never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    origin: Origin,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Text,
    Variable(String),
    File(String),
}

impl Secret {
    /// Makes a secret of a text that stands in the configuration itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), origin: Origin::Text }
    }

    /// Returns the secret itself: for use, not for logs, reports or errors.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn from_variable(name: String) -> Result<Self, String> {
        match env::var(&name) {
            Ok(text) => Ok(Self { text, origin: Origin::Variable(name) }),
            Err(env::VarError::NotPresent) => {
                Err(format!("the environment variable `{name}` is not set"))
            }
            Err(env::VarError::NotUnicode(_)) => {
                Err(format!("the environment variable `{name}` is not UTF-8 text"))
            }
        }
    }

    fn from_file(path: String) -> Result<Self, String> {
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| format!("cannot read the secret file `{path}`: {error}"))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("the secret file `{path}` is larger than {MAX_FILE_BYTES} bytes"));
        }
        let end = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(end);
        Ok(Self { text, origin: Origin::File(path) })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Text => f.write_str("Secret(…)"),
            Origin::Variable(name) => write!(f, "Secret(env {name})"),
            Origin::File(path) => write!(f, "Secret(file {path})"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Env,
    File,
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, { env = \"NAME\" } or { file = \"PATH\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some(key) = map.next_key::<Key>()? else {
            return Err(de::Error::custom("expected a key, `env` or `file`"));
        };
        let value: String = map.next_value()?;
        if map.next_key::<Key>()?.is_some() {
            return Err(de::Error::custom("expected one key, either `env` or `file`"));
        }
        let secret = match key {
            Key::Env => Secret::from_variable(value),
            Key::File => Secret::from_file(value),
        };
        secret.map_err(de::Error::custom)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "text, { env = \"NAME\" } or { file = \"PATH\" }" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Settings {
        password: Secret,
    }

    fn read(text: &str) -> Result<Secret, String> {
        toml::from_str::<Settings>(text)
            .map(|settings| settings.password)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn text_is_read_and_never_shown() {
        let secret = read("password = 'hunter2'").unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_loses_its_last_line_end_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "two\nlines \n").unwrap();
        let secret = read(&format!("password = {{ file = '{}' }}", path.display())).unwrap();
        assert_eq!(secret.reveal(), "two\nlines ");
        assert!(!format!("{secret:?}").contains("two"));
    }

    #[test]
    fn a_variable_is_followed() {
        // Cargo sets this one for every test.
        let secret = read("password = { env = 'CARGO_PKG_NAME' }").unwrap();
        assert_eq!(secret.reveal(), "heka");
        assert_eq!(format!("{secret:?}"), "Secret(env CARGO_PKG_NAME)");
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        let missing = read("password = { env = 'HEKA_NO_SUCH_VARIABLE' }").unwrap_err();
        assert_eq!(missing, "the environment variable `HEKA_NO_SUCH_VARIABLE` is not set");
        assert!(
            read("password = { file = '/no/such/file' }").unwrap_err().contains("/no/such/file")
        );
        assert!(read("password = { enf = 'X' }").unwrap_err().contains("unknown field"));
        assert!(read("password = {}").unwrap_err().contains("expected a key"));
        assert!(read("password = 12").unwrap_err().contains("expected text"));
    }
}
