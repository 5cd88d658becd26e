//! Access logs of web servers, read natively.
//!
//! A `log_format` of nginx or a `LogFormat` of Apache is compiled into a row of variables, each with
//! the text that follows it. Reading goes from left to right once: typed variables end where their
//! type ends, text ends where the text behind it begins. Fields have the names and units of Heka's
//! `nginx_access` and `apache_access` decoders; whole numbers are integers, and a number that the
//! log gives as `-` is left out.
//!
//! | part | what it holds |
//! | --- | --- |
//! | [`AccessLog`] | the compiled format, reading and writing |
//! | `nginx`, `apache` | what a format says |
//! | `variable` | a variable: its field, and how its value is found |
//! | `address` | whether a text is an address, and of what sort |

mod address;
mod apache;
mod nginx;
mod read;
mod variable;

#[cfg(test)]
mod tests;

pub use read::Line;
pub use read::Mismatch;

use crate::message::Builder;
use read::Found;
use variable::Kind;
use variable::Variable;

/// Whose way of describing a log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `log_format` of nginx: `$remote_addr`.
    Nginx,
    /// `LogFormat` of Apache: `%h`.
    Apache,
}

/// What becomes of the text by which a browser names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UserAgent {
    /// It is a field.
    #[default]
    Text,
    /// Browser, version and system are fields, the text is dropped.
    Parts,
    /// Browser, version and system are fields, and the text.
    PartsAndText,
    /// Browser, version and system are fields; the text is, where they are not known.
    PartsOrText,
}

/// What is wrong with a format.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Error {
    /// Something at a place in the format.
    #[error("log format, column {column}: {reason}")]
    At {
        /// Where it stands, counted from one.
        column: usize,
        /// What is wrong, in words.
        reason: String,
    },
    /// There is no variable in it.
    #[error("log format {format:?} has no variable ($name of nginx, %h of Apache)")]
    Empty {
        /// The format as it was given.
        format: String,
    },
}

/// A compiled format; see the module.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// The text before the first variable.
    prefix: Vec<u8>,
    variables: Vec<Variable>,
    user_agent: UserAgent,
}

impl AccessLog {
    /// Compiles a format, or one of those that come with the servers: `combined`, and `common` of
    /// Apache. Without a dialect the format itself tells whose it is.
    ///
    /// # Errors
    /// When the format cannot be understood, or a text could not be told from what follows it.
    pub fn compile(
        format: &str,
        dialect: Option<Dialect>,
        user_agent: UserAgent,
    ) -> Result<AccessLog, Error> {
        let dialect = dialect.unwrap_or_else(|| detect(format));
        let (prefix, variables) = match dialect {
            Dialect::Nginx => nginx::compile(format)?,
            Dialect::Apache => apache::compile(format)?,
        };
        if variables.is_empty() {
            return Err(Error::Empty { format: format.to_owned() });
        }
        variable::check(&variables)?;
        Ok(AccessLog { prefix, variables, user_agent })
    }

    /// Reads a line, without the end of the line; what was found is kept in `line`. `now`, in
    /// nanoseconds since the epoch, gives what a time leaves out.
    ///
    /// # Errors
    /// When the line is not written in this format.
    pub fn read(&self, text: &[u8], now: i64, line: &mut Line) -> Result<(), Mismatch> {
        line.read(&self.prefix, &self.variables, text, now)
    }

    /// Writes the fields of a line that was read from `text`, in the order of the format.
    pub fn write_fields(&self, text: &[u8], line: &mut Line, out: &mut Builder<'_>) {
        for (variable, found) in self.variables.iter().zip(&line.found) {
            let name = variable.field.as_str();
            match *found {
                Found::Nothing => {}
                Found::Text { start, end } => {
                    let value = &text[start as usize..end as usize];
                    match &variable.kind {
                        Kind::Address => out.string_under(variable.head_of(value), value),
                        Kind::List(element) => {
                            element.read_list(value, &mut line.list);
                            out.array(name, variable.representation, &line.list)
                        }
                        Kind::UserAgent => self.write_user_agent(name, value, out),
                        _ => out.string_under(&variable.head, value),
                    };
                }
                Found::Integer(value) => {
                    out.integer_under(&variable.head, value);
                }
                Found::Double(value) => {
                    out.double(name, variable.representation, value);
                }
            }
        }
    }

    fn write_user_agent<'a, 'b>(
        &self,
        name: &str,
        value: &[u8],
        out: &'a mut Builder<'b>,
    ) -> &'a mut Builder<'b> {
        if self.user_agent == UserAgent::Text {
            return out.string(name, "", value);
        }
        let parts = crate::formats::user_agent::read(value);
        if let Some(parts) = parts {
            out.string("user_agent_browser", "", parts.browser.as_bytes());
            if let Some(version) = parts.version {
                out.integer("user_agent_version", "", version);
            }
            if let Some(os) = parts.os {
                out.string("user_agent_os", "", os.as_bytes());
            }
        }
        let is_kept = match self.user_agent {
            UserAgent::PartsOrText => parts.is_none(),
            mode => mode == UserAgent::PartsAndText,
        };
        if is_kept { out.string(name, "", value) } else { out }
    }
}

/// Tells whose format it is: a dollar sign before a letter is nginx's.
fn detect(format: &str) -> Dialect {
    let bytes = format.as_bytes();
    let is_nginx = bytes
        .windows(2)
        .any(|two| two[0] == b'$' && (two[1].is_ascii_lowercase() || two[1] == b'{'));
    let is_apache = bytes.contains(&b'%') || matches!(format, "common" | "vhost_combined");
    if is_apache && !is_nginx { Dialect::Apache } else { Dialect::Nginx }
}
