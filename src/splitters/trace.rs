//! `TraceSplitter`: lines, and traces of Python, Java, Go and Node as one record.
//!
//! | language | a trace begins with | and goes on with |
//! | --- | --- | --- |
//! | Python | `Traceback (most recent call last):` | indented lines, the line of the exception, and the traces that it came from or led to |
//! | Java | a line that names an exception | `at`, `Caused by:`, `Suppressed:`, `... 12 more` |
//! | Go | `panic:`, `fatal error:` | `goroutine`, calls, indented files, blank lines between |
//! | Node | a line that names an error, or a file with a line number | the line of source, `at`, what the error holds in braces |
//!
//! A line that cannot begin a trace is a record at once. One that can waits for the next line.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Splits lines and keeps the traces of programs together, as Python, Java, Go and Node print them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceSplitter {
    /// The most lines in one record.
    #[serde(default = "max_lines")]
    max_lines: std::num::NonZeroU32,
}

fn max_lines() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(1000).unwrap_or(std::num::NonZeroU32::MIN)
}

impl Described for TraceSplitter {
    const NAME: &'static str = "TraceSplitter";
    const ABOUT: &'static str =
        "Splits lines and keeps traces of Python, Java, Go and Node together.";
    const EXAMPLE: &'static str = "[TraceSplitter]\nmax_lines = 200\n";
}

impl Splitter for TraceSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        Ok(Box::new(Traces { max_lines: self.max_lines.get(), open: Open::default(), searched: 0 }))
    }
}

struct Traces {
    max_lines: u32,
    open: Open,
    /// How far the bytes have been searched for the end of a line.
    searched: usize,
}

/// The record so far.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    lines: u32,
    /// Where its last line ends, the line feed included.
    end: usize,
    /// Where the last line ends that is not blank: a trace does not end with blank ones.
    solid: usize,
    state: State,
}

/// What the lines so far are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing that another line could belong to.
    #[default]
    Plain,
    /// A line that names an exception.
    Head,
    /// A file and a line of Node, with the source to follow.
    Source,
    /// Calls of Java or Node.
    Calls,
    /// What an error of Node holds, until a brace at the start of a line.
    Braces,
    /// Python's calls.
    Python,
    /// The exception that Python ends its calls with.
    PythonEnd,
    /// What Python says between two traces, and the blank lines around it.
    PythonBetween,
    /// Go's.
    Go,
}

impl Splitting for Traces {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        loop {
            let start = self.open.end;
            let from = self.searched.max(start);
            let end = match memchr::memchr(b'\n', &bytes[from..]) {
                Some(at) => from + at + 1,
                None if !is_end => {
                    self.searched = bytes.len();
                    return Cut::More;
                }
                None if start == bytes.len() => return self.close(bytes.len()),
                None => bytes.len(),
            };
            let line = bytes[start..end].trim_ascii_end();
            let next = if self.open.lines == 0 {
                Some(first(line))
            } else {
                following(self.open.state, line)
            };
            let Some(state) = next else { return self.close(bytes.len()) };
            let solid = if line.is_empty() { self.open.solid } else { end };
            self.open = Open { lines: self.open.lines + 1, end, solid, state };
            if state == State::Plain || self.open.lines == self.max_lines {
                return self.close(bytes.len());
            }
        }
    }

    fn forget(&mut self) {
        self.open = Open::default();
        self.searched = 0;
    }
}

impl Traces {
    fn close(&mut self, length: usize) -> Cut {
        let open = std::mem::take(&mut self.open);
        self.searched = 0;
        // A blank line alone is a record of its own.
        let end = if open.solid == 0 { open.end } else { open.solid }.min(length);
        if end == 0 {
            return Cut::Skip { consumed: open.end.max(1).min(length.max(1)), lost: None };
        }
        Cut::Record { record: 0..end, consumed: end, form: Form::Payload, signer: None }
    }
}

/// What a line begins.
fn first(line: &[u8]) -> State {
    let has = |text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
    if has("Traceback (most recent call last):") {
        State::Python
    } else if line.starts_with(b"panic: ")
        || line.starts_with(b"fatal error: ")
        || has(": panic serving ")
        || has("[signal SIG")
    {
        State::Go
    } else if has("Exception") || has("Error") || has("Throwable") {
        State::Head
    } else if is_source(line) {
        State::Source
    } else {
        State::Plain
    }
}

/// What the lines are with one more; `None` when it does not belong to them.
fn following(state: State, line: &[u8]) -> Option<State> {
    let text = line.trim_ascii_start();
    let is_indented = text.len() < line.len();
    match state {
        State::Plain => None,
        State::Head | State::Calls if is_indented && line.ends_with(b" {") => Some(State::Braces),
        State::Head if is_indented && text.starts_with(b"at ") => Some(State::Calls),
        State::Head if text.starts_with(b"Caused by: ") => Some(State::Calls),
        State::Head => None,
        // The source, the mark below it, a blank line, the error.
        State::Source if line.is_empty() || is_indented => Some(State::Source),
        State::Source if is_exception(line) => Some(State::Head),
        State::Source if first(line) == State::Plain => Some(State::Source),
        State::Source => None,
        State::Calls if is_call(text) => Some(State::Calls),
        State::Calls => None,
        State::Braces if line.starts_with(b"}") => Some(State::Plain),
        State::Braces if is_indented => Some(State::Braces),
        State::Braces => None,
        State::Python if is_indented || line.is_empty() => Some(State::Python),
        State::Python => Some(State::PythonEnd),
        State::PythonEnd | State::PythonBetween => match line {
            b"" => Some(State::PythonBetween),
            b"During handling of the above exception, another exception occurred:"
            | b"The above exception was the direct cause of the following exception:" => {
                Some(State::PythonBetween)
            }
            b"Traceback (most recent call last):" => Some(State::Python),
            _ => None,
        },
        State::Go => (line.is_empty() || is_of_go(line)).then_some(State::Go),
    }
}

/// Tells whether a line behind calls is one too, or says what led to them.
fn is_call(text: &[u8]) -> bool {
    [&b"at "[..], b"Caused by: ", b"Suppressed: ", b"... ", b"[cause]", b"[CIRCULAR"]
        .iter()
        .any(|start| text.starts_with(start))
}

fn is_exception(line: &[u8]) -> bool {
    first(line) == State::Head
}

/// Tells whether a line is the place of an error as Node prints it: `/srv/app.js:10`.
fn is_source(line: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', line) else { return false };
    let (path, number) = (&line[..colon], &line[colon + 1..]);
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    let is_script = [&b".js"[..], b".cjs", b".mjs", b".ts"].iter().any(|end| path.ends_with(end));
    is_number && (is_script || path.starts_with(b"node:")) && !path.contains(&b' ')
}

fn is_of_go(line: &[u8]) -> bool {
    let starts = [
        &b"\t"[..],
        b"goroutine ",
        b"created by ",
        b"[signal ",
        b"panic: ",
        b"exit status ",
        b"runtime",
        b"rax ",
    ];
    // A call: `main.(*T).run(0x1, …)`.
    let is_call = line.ends_with(b")") && line.contains(&b'(') && !line.contains(&b' ')
        || line.ends_with(b"(...)")
        || (line.ends_with(b")") && memchr::memmem::find(line, b"(0x").is_some());
    is_call || starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const PYTHON: &str = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    \
                          f()\nKeyError: 'x'\n\nDuring handling of the above exception, another \
                          exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", \
                          line 3\n    g()\nValueError: y\n";
    const JAVA: &str = "Exception in thread \"main\" java.lang.IllegalStateException: broken\n\tat \
                        org.example.A.run(A.java:7)\n\tat org.example.A.main(A.java:3)\nCaused by: \
                        java.io.IOException: gone\n\tat org.example.B.read(B.java:9)\n\t... 2 more\n";
    const GO: &str = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 \
                      [running]:\nmain.(*T).run(0x1, {0x2, 0x3})\n\t/srv/main.go:8 +0x1d\nmain.main()\n\
                      \t/srv/main.go:4 +0x20\nexit status 2\n";
    const NODE: &str = "/srv/app.js:10\n    throw new Error('x');\n    ^\n\nError: x\n    at f \
                        (/srv/app.js:10:11)\n    at node:internal/main:23:47 {\n  code: 'E'\n}\n";

    #[test]
    fn traces_are_one_record_among_lines() {
        for trace in [PYTHON, JAVA, GO, NODE] {
            let stream = format!("before\n{trace}after\n\n{trace}");
            let expected = ["before\n", trace, "after\n", "\n", trace];
            check("TraceSplitter", "", stream.as_bytes(), &expected);
        }
    }

    #[test]
    fn line_that_only_names_an_error_is_a_record() {
        check(
            "TraceSplitter",
            "",
            b"Error: x\nError: y\nend",
            &["Error: x\n", "Error: y\n", "end"],
        );
        check("TraceSplitter", "", b"KeyError\n\nx\n", &["KeyError\n", "\n", "x\n"]);
    }

    #[test]
    fn trace_without_end_is_cut() {
        check(
            "TraceSplitter",
            "max_lines = 2",
            b"Error: x\n  at a\n  at b\n",
            &["Error: x\n  at a\n", "  at b\n"],
        );
    }
}
