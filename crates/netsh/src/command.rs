//! One line of a script as a command: its context, verb, object and arguments by tag.

use policy::suggest;

use crate::finding::{Finding, Span};
use crate::grammar::{self, DYNAMIC, Form, Object, STATIC, Verb};
use crate::lexer::{Line, Word};

/// A value with the tag that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) tag: &'static str,
    pub(crate) value: String,
    pub(crate) span: Span,
}

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) verb: Verb,
    pub(crate) object: Object,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) span: Span,
}

impl Command {
    /// The value of a tag, if it is given.
    pub(crate) fn get(&self, tag: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.tag == tag)
    }

    /// The value of a tag that must be given.
    pub(crate) fn need(&self, tag: &str) -> Result<&Argument, Finding> {
        self.get(tag).ok_or_else(|| {
            let message = format!("`{tag}=` is missing");
            let remedy = format!("add `{tag}=` with its value");
            Finding::new(self.span.clone(), message, "in this command", remedy)
        })
    }
}

/// Where a script stands: what a line need not say again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Root,
    Ipsec,
    Static,
    Dynamic,
}

/// What a line means.
pub(crate) enum Meaning {
    /// Something is to be done.
    Do(Command),
    /// Nothing that a policy keeps; with a remark, if that may surprise.
    Nothing(Option<Finding>),
}

/// Reads lines as commands; remembers the context between them, as netsh does.
#[derive(Default)]
pub(crate) struct Reader {
    place: Place,
    pushed: Vec<Place>,
}

impl Reader {
    /// What `line` means.
    pub(crate) fn read(&mut self, line: &Line) -> Result<Meaning, Finding> {
        let mut words = line.words.as_slice();
        let word = |words: &[Word]| words.first().map(|word| word.text.to_ascii_lowercase());
        let mut place = self.place;
        if let Some("netsh" | "netsh.exe") = word(words).as_deref() {
            words = words.get(1..).unwrap_or_default();
            place = Place::Root;
        }
        let pushes = word(words).as_deref() == Some("pushd");
        if pushes {
            self.pushed.push(self.place);
            words = words.get(1..).unwrap_or_default();
        }
        match word(words).as_deref() {
            Some("popd" | "..") => {
                self.place = self.pushed.pop().unwrap_or_default();
                return Ok(Meaning::Nothing(None));
            }
            Some("quit" | "dump" | "commit" | "online" | "offline" | "abort") => {
                return Ok(Meaning::Nothing(None));
            }
            _ => {}
        }
        while let Some(next) = word(words) {
            place = match next.as_str() {
                "ipsec" => Place::Ipsec,
                "static" if place != Place::Root => Place::Static,
                "dynamic" if place != Place::Root => Place::Dynamic,
                _ => break,
            };
            words = words.get(1..).unwrap_or_default();
        }
        if words.is_empty() {
            self.place = place;
            return Ok(Meaning::Nothing(None));
        }
        match place {
            Place::Static => read_static(line, words),
            Place::Dynamic => read_dynamic(line, words),
            Place::Root | Place::Ipsec => Err(Finding::new(
                span_of(words, line),
                "this is no command of `netsh ipsec static`",
                "not known here",
                "begin the line with `netsh ipsec static`, or the script with `pushd ipsec static`",
            )),
        }
    }
}

fn span_of(words: &[Word], line: &Line) -> Span {
    words
        .first()
        .map_or(line.span.clone(), |word| word.span.clone())
}

fn read_static(line: &Line, words: &[Word]) -> Result<Meaning, Finding> {
    let verb = words.first().map(|word| word.text.to_ascii_lowercase());
    match verb.as_deref() {
        Some("show" | "dump" | "?" | "help") => return Ok(Meaning::Nothing(None)),
        Some("exportpolicy") => {
            let what = "`exportpolicy` writes a file on Windows and changes no policy";
            let remedy = "write one with `holdfast export netsh`";
            let remark = Finding::new(line.span.clone(), what, "passed over", remedy);
            return Ok(Meaning::Nothing(Some(remark)));
        }
        Some("importpolicy") => {
            return Err(Finding::new(
                line.span.clone(),
                "the file of `importpolicy` has a format that Microsoft never published",
                "it cannot be read",
                "write the policy as a script of `add` commands, as `show all level=verbose` \
                 lists it",
            ));
        }
        Some("restorepolicyexamples") => {
            return Err(Finding::new(
                line.span.clone(),
                "the sample policies of Windows are no part of the script",
                "they would be made by Windows",
                "leave the line out, or write the policy that you need",
            ));
        }
        _ => {}
    }
    command(line, words, STATIC).map(Meaning::Do)
}

fn read_dynamic(line: &Line, words: &[Word]) -> Result<Meaning, Finding> {
    let word = |at: usize| words.get(at).map(|word| word.text.to_ascii_lowercase());
    match (word(0).as_deref(), word(1).as_deref()) {
        (Some("show" | "dump" | "?" | "help"), _) => Ok(Meaning::Nothing(None)),
        (Some("delete"), Some("sa")) => Err(Finding::new(
            line.span.clone(),
            "SAs are no part of a script",
            "not of a rule",
            "leave the line out, and use `holdfast sa delete`",
        )),
        _ => command(line, words, DYNAMIC).map(Meaning::Do),
    }
}

fn command(
    line: &Line,
    words: &[Word],
    table: &'static [(&str, &str, Form)],
) -> Result<Command, Finding> {
    let verb = words.first().map(|word| word.text.to_ascii_lowercase());
    let verb = verb.unwrap_or_default();
    let known = grammar::objects(table, &verb);
    if known.is_empty() {
        let mut verbs: Vec<&str> = table.iter().map(|(verb, _, _)| *verb).collect();
        verbs.dedup();
        let remedy = match suggest::nearest(&verb, verbs.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the verbs are {}", verbs.join(", ")),
        };
        let message = format!("there is no verb `{}`", verb.escape_debug());
        return Err(Finding::new(
            span_of(words, line),
            message,
            "not known here",
            remedy,
        ));
    }
    let object = words.get(1).map(|word| word.text.to_ascii_lowercase());
    let object = object.unwrap_or_default();
    let Some(form) = grammar::find(table, &verb, &object) else {
        let remedy = match suggest::nearest(&object, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{verb} {nearest}`?"),
            None => format!("`{verb}` knows {}", known.join(", ")),
        };
        let message = format!("`{verb}` knows no `{}`", object.escape_debug());
        let span = words
            .get(1)
            .map_or(line.span.clone(), |word| word.span.clone());
        return Err(Finding::new(span, message, "not known here", remedy));
    };
    let arguments = arguments(words.get(2..).unwrap_or_default(), form)?;
    Ok(Command {
        verb: form.verb,
        object: form.object,
        arguments,
        span: line.span.clone(),
    })
}

/// Only these may be given more than once: lists of authentication are ordered by them.
const REPEATED: [&str; 2] = ["psk", "rootca"];

fn arguments(words: &[Word], form: &Form) -> Result<Vec<Argument>, Finding> {
    let mut arguments: Vec<Argument> = Vec::new();
    let mut untagged = form.tags.iter();
    for word in words {
        let (tag, value) = match word.text.split_once('=') {
            Some((key, value)) => (tag_of(key.trim(), word, form)?, value),
            None if word.text.eq_ignore_ascii_case("all") && form.tags.contains(&"all") => {
                ("all", "")
            }
            None => match untagged.next() {
                Some(tag) => (*tag, word.text.as_str()),
                None => {
                    let message = format!("`{}` belongs to nothing", word.text.escape_debug());
                    let remedy = "write `tag=value`, with quotes around spaces";
                    return Err(Finding::new(word.span.clone(), message, "no tag", remedy));
                }
            },
        };
        if !REPEATED.contains(&tag) && arguments.iter().any(|given| given.tag == tag) {
            let message = format!("`{tag}=` is given twice");
            return Err(Finding::new(
                word.span.clone(),
                message,
                "the second one",
                "keep one of them",
            ));
        }
        arguments.push(Argument {
            tag,
            value: match tag {
                // Space may be a part of a key.
                "psk" => value.to_owned(),
                _ => value.trim().to_owned(),
            },
            span: word.span.clone(),
        });
    }
    Ok(arguments)
}

/// The tag that `key` means: itself, or the first that begins with it, as netsh does.
fn tag_of(key: &str, word: &Word, form: &Form) -> Result<&'static str, Finding> {
    let key = key.to_ascii_lowercase();
    let exact = form.tags.iter().find(|tag| **tag == key);
    let begun = || {
        form.tags
            .iter()
            .find(|tag| tag.starts_with(&key) && !key.is_empty())
    };
    if let Some(tag) = exact.or_else(begun) {
        return Ok(tag);
    }
    let remedy = match suggest::nearest(&key, form.tags.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}=`?"),
        None => format!("the tags here are {}", form.tags.join(", ")),
    };
    // The value may be a key: only the tag is shown.
    let message = format!("there is no tag `{}` here", key.escape_debug());
    let end = word.span.start + word.text.find('=').unwrap_or(0);
    Err(Finding::new(
        word.span.start..end,
        message,
        "not known here",
        remedy,
    ))
}
