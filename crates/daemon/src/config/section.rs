//! One table of the file: hands out its keys, and reports those that nobody asked for.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use policy::suggest;

use crate::config::diagnostic::{Problems, Span};

/// A value with its place.
pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// Why a value cannot be used.
pub(crate) struct Bad {
    /// Where, if it is a part of the value.
    pub(crate) span: Option<Span>,
    /// What is wrong.
    pub(crate) reason: String,
    /// What to write instead.
    pub(crate) remedy: String,
}

impl Bad {
    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Bad {
            span: None,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn at(self, span: Span) -> Self {
        Bad {
            span: self.span.or(Some(span)),
            ..self
        }
    }
}

/// A table that is being read.
pub(crate) struct Section<'a> {
    /// How messages call it: ``[[peer]] `mail` ``.
    pub(crate) title: String,
    /// Its header.
    pub(crate) span: Span,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(title: impl Into<String>, span: Span, table: &'a DeTable<'a>) -> Self {
        Section {
            title: title.into(),
            span,
            table,
            asked: Vec::new(),
        }
    }

    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Value<'a>> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The name that the table gives itself, if it is a text.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.table.get("name")?.get_ref() {
            DeValue::String(name) => Some(name.as_ref()),
            _ => None,
        }
    }

    /// The place of a key's value, or of the table when it is not there.
    pub(crate) fn span_of(&self, key: &str) -> Span {
        self.table.get(key).map_or(self.span.clone(), Spanned::span)
    }

    /// Reads the value of a key; a value that cannot be used is reported and gives `None`.
    pub(crate) fn read<T>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        parse: impl FnOnce(&'a Value<'a>) -> Result<T, Bad>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let Bad {
            span,
            reason,
            remedy,
        } = match parse(value) {
            Ok(parsed) => return Some(parsed),
            Err(bad) => bad,
        };
        let label = format!("in `{key}` of {}", self.title);
        problems.error(span.unwrap_or(value.span()), reason, label, remedy);
        None
    }

    /// As [`Section::read`], and reports when the key is not there.
    pub(crate) fn require<T>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&'a Value<'a>) -> Result<T, Bad>,
    ) -> Option<T> {
        if !self.has(key) {
            self.asked.push(key);
            let message = format!("{} needs a `{key}`", self.title);
            let remedy = format!("add `{key} = {example}`");
            problems.error(
                self.span.clone(),
                message,
                "it is missing here".to_owned(),
                remedy,
            );
            return None;
        }
        self.read(problems, key, parse)
    }

    /// A table within this one, if it is there and is a table.
    pub(crate) fn table(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        title: &str,
    ) -> Option<Section<'a>> {
        self.read(problems, key, |value| match value.get_ref() {
            DeValue::Table(table) => Ok(Section::new(title, value.span(), table)),
            _ => Err(Bad::new(
                format!("`{key}` must be a table"),
                format!("write `{title}`"),
            )),
        })
    }

    /// The tables of an array of tables; something else is reported.
    pub(crate) fn tables(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        title: &str,
    ) -> Vec<Section<'a>> {
        let wrong = |span: Span| {
            let remedy = format!("begin each one with `{title}`");
            Bad::new(format!("`{key}` must be an array of tables"), remedy).at(span)
        };
        let read = self.read(problems, key, |value| {
            let DeValue::Array(items) = value.get_ref() else {
                return Err(wrong(value.span()));
            };
            let section = |item: &'a Value<'a>| match item.get_ref() {
                DeValue::Table(table) => Ok(Section::new(title, item.span(), table)),
                _ => Err(wrong(item.span())),
            };
            items.iter().map(section).collect()
        });
        read.unwrap_or_default()
    }

    /// Reports every key that was never asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let message = format!("{} has no key `{}`", self.title, name.escape_debug());
            let nearest = suggest::nearest(name, self.asked.iter().copied());
            if matches!(nearest, Some("psk" | "key")) {
                problems.secret(value.span());
            }
            let remedy = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("the keys here are {}", quoted(&self.asked)),
            };
            problems.error(key.span(), message, "not known here".to_owned(), remedy);
        }
    }
}

/// `` `a`, `b`, `c` ``.
pub(crate) fn quoted(words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
