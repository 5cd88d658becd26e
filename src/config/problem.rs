//! A mistake in the configuration, and how it is shown: what is wrong, the file, the line and the
//! column, the line itself with the place underlined, and what would be right.

use std::fmt::Write as _;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

use super::Place;
use super::masking::masked;

/// Whether a problem stops the engine from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used as it is.
    Error,
    /// It can be used, but does not mean what it seems to.
    Warning,
}

/// Something wrong in the configuration.
#[derive(Clone, Debug)]
pub struct Problem {
    severity: Severity,
    message: String,
    /// What the message says beyond its first line, a traceback for example.
    details: String,
    marks: Vec<Mark>,
    help: Vec<String>,
}

/// A place that is shown, and what is said beside the carets under it.
#[derive(Clone, Debug)]
struct Mark {
    place: Place,
    label: String,
}

impl Problem {
    /// Makes a problem that stops the engine from starting. Lines of the message after the first one
    /// are shown below the place.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// Makes a problem that is reported and no more.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        let (message, details) = match message.split_once('\n') {
            Some((first, rest)) => (first.to_owned(), rest.to_owned()),
            None => (message, String::new()),
        };
        Self { severity, message, details, marks: Vec::new(), help: Vec::new() }
    }

    /// Adds a place. The first one is where the problem is, those after it explain it.
    pub fn at(self, place: &Place) -> Self {
        self.at_labelled(place, "")
    }

    /// Adds a place with a few words to stand beside it.
    pub fn at_labelled(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.marks.push(Mark { place: place.clone(), label: label.into() });
        self
    }

    /// Adds a sentence that says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Says whether it stops the engine from starting.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Says what is wrong, in a sentence without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns where it is, or none if it is in no file.
    pub fn place(&self) -> Option<&Place> {
        self.marks.first().map(|mark| &mark.place)
    }

    /// Tells whether the engine cannot start because of any of these.
    pub fn any_error(problems: &[Self]) -> bool {
        problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Puts problems in the order of the files, those in no file first.
    pub fn sort(problems: &mut [Self]) {
        problems.sort_by_key(|problem| {
            problem.place().map(|place| (place.file().name().to_owned(), place.span().start))
        });
    }

    /// Shows it as a person reads it, over several lines that end with a line end.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        for snippet in self.snippets() {
            group = group.element(snippet);
        }
        if !self.details.is_empty() {
            group = group.element(Level::NOTE.message(self.details.as_str()));
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }

    /// One snippet a file, in the order the files are named.
    fn snippets(&self) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let mut snippets = Vec::new();
        let mut marks = self.marks.as_slice();
        let mut kind = AnnotationKind::Primary;
        while let Some(first) = marks.first() {
            let file = first.place.file();
            let length = marks.iter().take_while(|mark| mark.place.file().name() == file.name());
            let (same_file, rest) = marks.split_at(length.count());
            let mut snippet = Snippet::source(masked(file.written())).path(file.name());
            for mark in same_file {
                let mut annotation = kind.span(mark.place.span());
                if !mark.label.is_empty() {
                    annotation = annotation.label(mark.label.as_str());
                }
                snippet = snippet.annotation(annotation);
                kind = AnnotationKind::Context;
            }
            snippets.push(snippet);
            marks = rest;
        }
        snippets
    }
}

/// Shows several problems, one below the other in the order of the files, and how many there are.
pub fn render_all(problems: &[Problem], color: bool) -> String {
    let mut text = String::new();
    let mut problems = problems.to_vec();
    Problem::sort(&mut problems);
    for problem in &problems {
        text.push_str(&problem.render(color));
        text.push('\n');
    }
    let errors = problems.iter().filter(|one| one.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    let count = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let _ = match (errors, warnings) {
        (0, 0) => Ok(()),
        (_, 0) => writeln!(text, "{}", count(errors, "error")),
        (0, _) => writeln!(text, "{}", count(warnings, "warning")),
        _ => writeln!(text, "{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    text
}
