//! Lines and words of a script: quotes, comments, continued lines, what batch files add.

use crate::finding::{Finding, Span};

/// One word, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// One command: at least one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) words: Vec<Word>,
    pub(crate) span: Span,
}

/// What a batch file does around its commands, and no policy needs.
const IGNORED: [&str; 11] = [
    "rem", "echo", "echo.", "echo:", "cls", "pause", "title", "setlocal", "endlocal", "exit", "bye",
];
/// What only the shell of Windows can carry out.
const SHELL: [&str; 5] = ["if", "for", "goto", "call", "net"];

/// The commands of a script, and what is wrong with its lines.
pub(crate) fn lines(text: &str) -> (Vec<Line>, Vec<Finding>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let mut rest = Cursor { text, at: 0 };
    if rest.text.starts_with('\u{feff}') {
        rest.at = '\u{feff}'.len_utf8();
    }
    while rest.peek().is_some() {
        match rest.line() {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    (lines, faults)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Whether a `^` here continues the line; then the cursor is at the beginning of the next one.
    fn continued(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for end in ["^\r\n", "^\n"] {
            if rest.starts_with(end) {
                self.at += end.len();
                return true;
            }
        }
        false
    }

    /// The next command; `None` for a line without one.
    fn line(&mut self) -> Result<Option<Line>, Finding> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            if self.continued() {
                continue;
            }
            match self.peek() {
                None => break,
                Some('\n') => {
                    self.at += 1;
                    break;
                }
                Some(c) if c.is_whitespace() => self.at += c.len_utf8(),
                Some(_) => {
                    let word = self.word()?;
                    if words.is_empty() && is_comment(&word.text) {
                        self.skip_line();
                        return Ok(None);
                    }
                    if is_redirection(&word.text) {
                        self.skip_line();
                        break;
                    }
                    words.push(word);
                }
            }
        }
        finish(words)
    }

    /// One word; a quote that does not end in its line is a fault.
    fn word(&mut self) -> Result<Word, Finding> {
        let start = self.at;
        let mut text = String::new();
        let mut quote = None;
        loop {
            if quote.is_none() && self.continued() {
                // The next line begins a new word only with a space.
                continue;
            }
            match self.peek() {
                Some('"') => {
                    quote = match quote {
                        None => Some(self.at),
                        Some(_) => None,
                    };
                    self.at += 1;
                }
                Some(c) if quote.is_some() && c != '\n' && c != '\r' => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
                Some(c) if !c.is_whitespace() => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
                _ => break,
            }
        }
        if let Some(at) = quote {
            let span = at..self.at;
            self.skip_line();
            let remedy = "end the text with `\"` in the same line";
            return Err(Finding::new(
                span,
                "a quote does not end",
                "it begins here",
                remedy,
            ));
        }
        Ok(Word {
            text,
            span: start..self.at,
        })
    }
}

fn is_comment(word: &str) -> bool {
    let word = word.trim_start_matches('@').to_ascii_lowercase();
    word.starts_with(['#', ':', ';']) || IGNORED.contains(&word.as_str())
}

fn is_redirection(word: &str) -> bool {
    word.trim_start_matches(|c: char| c.is_ascii_digit())
        .starts_with('>')
}

/// A line of words, if they are a command of netsh's.
fn finish(mut words: Vec<Word>) -> Result<Option<Line>, Finding> {
    if let Some(first) = words.first_mut()
        && let Some(stripped) = first.text.strip_prefix('@')
    {
        first.text = stripped.to_owned();
    }
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return Ok(None);
    };
    let span = first.span.start..last.span.end;
    if SHELL.contains(&first.text.to_ascii_lowercase().as_str()) {
        return Err(Finding::new(
            first.span.clone(),
            format!("`{}` is a command of the shell", first.text),
            "not netsh's",
            "carry it out by hand: a script has only netsh's commands",
        ));
    }
    for word in &words {
        if let "&" | "&&" | "|" | "||" = word.text.as_str() {
            let message = "two commands are in one line";
            let remedy = "write each in a line of its own";
            return Err(Finding::new(word.span.clone(), message, "here", remedy));
        }
        if has_variable(&word.text) {
            return Err(Finding::new(
                word.span.clone(),
                "a variable of a batch file has no value here",
                "the shell would have put it in",
                "write its value",
            ));
        }
    }
    Ok(Some(Line { words, span }))
}

/// `%NAME%`, `%1`, `%~1`, `%%I`.
pub(crate) fn has_variable(text: &str) -> bool {
    let after: Vec<&str> = text.split('%').skip(1).collect();
    let letters = |part: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !part.is_empty() && part.chars().all(letter)
    };
    let is_variable = |(index, part): (usize, &&str)| {
        let next = after.get(index + 1);
        let named = next.is_some() && letters(part);
        let argument = part.starts_with('~') || (part.len() == 1 && letters(part) && *part < "A");
        let loop_variable = part.is_empty() && next.is_some_and(|next| letters(next));
        named || argument || loop_variable
    };
    after.iter().enumerate().any(is_variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        let (lines, faults) = lines(text);
        assert_eq!(faults, [], "{text}");
        let texts = |line: Line| line.words.into_iter().map(|word| word.text).collect();
        lines.into_iter().map(texts).collect()
    }

    #[test]
    fn comments_quotes_and_continued_lines() {
        let text = "\u{feff}# a comment\r\nREM netsh\r\n:: another\r\n@echo off\r\n\r\n\
                    @netsh ipsec  static add policy name=\"A b\" desc=\"\" ^\r\n  \
                    assign=y > nul\r\n";
        let expected = [
            "netsh", "ipsec", "static", "add", "policy", "name=A b", "desc=", "assign=y",
        ];
        assert_eq!(words(text), [expected.map(str::to_owned).to_vec()]);
        assert_eq!(words("a ^\nb"), [["a", "b"]]);
        assert_eq!(words("a^\nb"), [["ab"]]);
        assert_eq!(words("a ^"), [["a", "^"]]);
    }

    #[test]
    fn places_are_those_of_the_script() {
        let text = "add policy name=\"A b\"\n";
        let (lines, _) = lines(text);
        let word = &lines[0].words[2];
        assert_eq!(&text[word.span.clone()], "name=\"A b\"");
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for wrong in [
            "name=\"a\nb",
            "if exist x netsh",
            "add policy name=%NAME%",
            "add policy name=%1",
            "add filter dstaddr=%%I",
            "add policy name=a && add policy name=b",
        ] {
            assert_eq!(lines(wrong).1.len(), 1, "{wrong}");
        }
        for right in [
            "add rule psk=50%of100",
            "add rule psk=a%",
            "add rule psk=a%b!%c",
        ] {
            assert_eq!(lines(right).1, [], "{right}");
        }
    }
}
