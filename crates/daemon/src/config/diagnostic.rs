//! What is wrong with a policy file: file, line, column, reason and remedy; keys are never shown.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A place in the text, in bytes.
pub type Span = Range<usize>;

/// More than this many problems of one file are counted, not kept.
pub const MAX_PROBLEMS: usize = 100;

/// Whether the file can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and is unwise.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// Where, in bytes.
    pub span: Span,
    /// Line of the start, from 1.
    pub line: usize,
    /// Column of the start in characters, from 1.
    pub column: usize,
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// What stands at the place.
    pub label: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that was found in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file's name, as it was given.
    pub file: String,
    /// Errors first, then warnings, each in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
    /// The text with every key blanked.
    text: String,
}

impl Report {
    /// Whether the file cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many problems of this severity are kept.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    }

    /// For people: each problem with the line it is in. With `colour` for a terminal.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut output = String::new();
        for found in &self.diagnostics {
            let level = match found.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let place = AnnotationKind::Primary
                .span(found.span.clone())
                .label(&found.label);
            let snippet = Snippet::source(&self.text)
                .path(&self.file)
                .annotation(place);
            let mut group = level.primary_title(&found.message).element(snippet);
            if !found.remedy.is_empty() {
                group = group.element(Level::HELP.message(&found.remedy));
            }
            output.push_str(&renderer.render(&[group]));
            output.push_str("\n\n");
        }
        if self.more > 0 {
            let _ = writeln!(output, "... and {} more.", self.more);
        }
        output
    }
}

/// Collects problems while a file is read.
pub(crate) struct Problems {
    found: Vec<Diagnostic>,
    more: usize,
    secrets: Vec<Span>,
}

impl Problems {
    pub(crate) fn new() -> Self {
        Problems {
            found: Vec::new(),
            more: 0,
            secrets: Vec::new(),
        }
    }

    pub(crate) fn error(&mut self, span: Span, message: String, label: String, remedy: String) {
        self.add(Severity::Error, span, message, label, remedy);
    }

    pub(crate) fn warn(&mut self, span: Span, message: String, label: String, remedy: String) {
        self.add(Severity::Warning, span, message, label, remedy);
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Span,
        message: String,
        label: String,
        remedy: String,
    ) {
        if self.found.len() >= MAX_PROBLEMS {
            self.more += 1;
            return;
        }
        let (line, column) = (0, 0);
        self.found.push(Diagnostic {
            severity,
            span,
            line,
            column,
            message,
            label,
            remedy,
        });
    }

    /// What stands there is a key: it must not appear in any message.
    pub(crate) fn secret(&mut self, span: Span) {
        self.secrets.push(span);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found
            .iter()
            .any(|found| found.severity == Severity::Error)
    }

    pub(crate) fn into_report(mut self, file: &str, text: &str) -> Report {
        for found in &mut self.found {
            found.span = clamp(text, &found.span);
            (found.line, found.column) = position(text, found.span.start);
            for sentence in [&mut found.message, &mut found.label, &mut found.remedy] {
                *sentence = cover(sentence, &key_like(sentence));
            }
        }
        self.found
            .sort_by_key(|found| (found.severity, found.span.start));
        Report {
            file: file.to_owned(),
            diagnostics: self.found,
            more: self.more,
            text: blank(text, &self.secrets),
        }
    }
}

/// A span within the text, on character boundaries and not empty if that is possible.
fn clamp(text: &str, span: &Span) -> Span {
    let mut start = span.start.min(text.len());
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    // A table's span can be many lines long: its first line is enough.
    let first_line = text.get(start..end).and_then(|part| part.find('\n'));
    start..first_line.map_or(end, |length| start + length)
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// The text with keys replaced by as many asterisks: those that were read, and for texts that
/// could not be read whatever follows `psk` or `key` and `=` in a line, or looks like a key.
fn blank(text: &str, secrets: &[Span]) -> String {
    let mut spans = secrets.to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(at) = line.find('=')
            && line
                .get(..at)
                .is_some_and(|name| name.contains("psk") || name.contains("key"))
        {
            spans.push(start + at + 1..start + line.len());
        }
        start += line.len();
    }
    spans.extend(key_like(text));
    cover(text, &spans)
}

/// The text with these bytes replaced by asterisks, except spaces and line breaks.
fn cover(text: &str, spans: &[Span]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        let part = bytes.get_mut(span.start.min(text.len())..span.end.min(text.len()));
        let shown = |byte: &&mut u8| !byte.is_ascii_whitespace();
        part.into_iter()
            .flatten()
            .filter(shown)
            .for_each(|byte| *byte = b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Shorter runs of letters and digits are words, or keys too weak to hide.
const KEY_LENGTH: usize = 16;
/// Runs with more estimated bits are keys and not words.
const KEY_BITS: u32 = 80;

/// Runs of the letters of base64 that only a key has.
fn key_like(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/_".contains(&byte);
    for run in text.as_bytes().split(|byte| !is_letter(*byte)) {
        if run.len() >= KEY_LENGTH && policy::psk::estimate(run) >= KEY_BITS {
            found.push(start..start + run.len());
        }
        start += run.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = "ä = 1\nöü = 2\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('2').unwrap()), (2, 6));
        assert_eq!(position(text, text.len()), (3, 1));
        assert_eq!(clamp(text, &(1..2)), 0..2);
        assert_eq!(clamp(text, &(90..95)), text.len()..text.len());
    }

    #[test]
    fn keys_are_never_shown() {
        let text = "[psk = \"hunter2\"\nother = { psk = \"hunter3\" }\n \"key\"=\"hunter4";
        let at = text.find("\"hunter3").unwrap();
        let hunter3 = at..at + 9;
        let shown = blank(text, std::slice::from_ref(&hunter3));
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(shown.len(), text.len());
    }
}
