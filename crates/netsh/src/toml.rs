//! Just enough TOML to write a policy file: tables, texts, numbers, lists.

use std::fmt::Write as _;

/// A file that is being written.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn remark(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }

    /// Begins a table: `[policy]` or `[[rule]]`.
    pub(crate) fn table(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    fn pair(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) {
        self.pair(key, &quote(value));
    }

    /// A text that is left out when it is empty.
    pub(crate) fn words(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.string(key, value);
        }
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.pair(key, &value.to_string());
    }

    pub(crate) fn boolean(&mut self, key: &str, value: bool) {
        self.pair(key, if value { "true" } else { "false" });
    }

    /// A list; one item stands alone.
    pub(crate) fn list<T: AsRef<str>>(&mut self, key: &str, items: &[T]) {
        if let [item] = items {
            return self.string(key, item.as_ref());
        }
        let items: Vec<String> = items.iter().map(|item| quote(item.as_ref())).collect();
        self.pair(key, &format!("[{}]", items.join(", ")));
    }
}

/// A basic string (TOML 1.0).
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut document = Document::default();
        document.list("a", &["x\"y\\\u{7}", "z"]);
        document.list("b", &["alone"]);
        let expected = "a = [\"x\\\"y\\\\\\U00000007\", \"z\"]\nb = \"alone\"\n";
        assert_eq!(document.text, expected);
    }
}
