//! `docs/interop.md`: its table is what was seen, or the check fails.

use std::fmt::Write as _;
use std::fs;

use crate::folder;
use crate::peers::case::Case;
use crate::peers::plan::Plan;

const PATH: &str = "docs/interop.md";
const END: &str = "<!-- End of what is written. -->\n";

/// What came of one trial, on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Good,
    Bad,
    /// Nobody can do that.
    Impossible,
}

impl Mark {
    /// Of a result.
    pub(crate) fn of<T>(done: &Result<T, String>) -> Mark {
        if done.is_ok() { Mark::Good } else { Mark::Bad }
    }

    fn word(self) -> &'static str {
        match self {
            Mark::Good => "ok",
            Mark::Bad => "**fails**",
            Mark::Impossible => "-",
        }
    }
}

/// The tables as they are seen.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    verb: &'static str,
    column: &'static str,
    cases: String,
    lives: String,
    impossible: String,
}

impl Page {
    /// The part of a verb, without anything in it.
    pub(crate) fn new(plan: &Plan) -> Self {
        Page {
            verb: plan.verb,
            column: plan.column,
            cases: String::new(),
            lives: String::new(),
            impossible: String::new(),
        }
    }

    /// One configuration with its roles.
    pub(crate) fn case(&mut self, peer: &str, case: &Case, roles: &[Mark]) {
        let columns = case.columns().join(" | ");
        let marks: Vec<&str> = roles.iter().map(|mark| mark.word()).collect();
        let _ = writeln!(self.cases, "| {peer} | {columns} | {} |", marks.join(" | "));
    }

    /// One thing that happens.
    pub(crate) fn life(&mut self, peer: &str, what: &str, mark: Mark) {
        let _ = writeln!(self.lives, "| {peer} | {what} | {} |", mark.word());
    }

    /// What a peer cannot do.
    pub(crate) fn impossible(&mut self, peer: &str, what: &str, why: &str) {
        let _ = writeln!(self.impossible, "| {peer} | {what} | {why} |");
    }

    /// Fails when the page says anything else.
    pub(crate) fn check(&self) -> Result<(), String> {
        let old = read()?;
        match self.replaced(&old)? == old {
            true => Ok(()),
            false => Err(format!(
                "{PATH} is not what was seen: `interop -- {} write` writes it",
                self.verb
            )),
        }
    }

    /// Writes the tables into the page.
    pub(crate) fn write(&self) -> Result<(), String> {
        let new = self.replaced(&read()?)?;
        folder::write(PATH.as_ref(), &new)
    }

    fn text(&self) -> String {
        format!(
            "| peer | mode | IP | protected | NAT | ESP | {} | proof | rekeyed by | we initiate | \
             it initiates |\n|---|---|---|---|---|---|---|---|---|---|---|\n{}\n\
             | peer | what happens | result |\n|---|---|---|\n{}\n\
             | peer | what cannot be tried | why |\n|---|---|---|\n{}",
            self.column, self.cases, self.lives, self.impossible
        )
    }

    /// The page with what is here between its marks.
    fn replaced(&self, old: &str) -> Result<String, String> {
        let verb = self.verb;
        let begin =
            format!("<!-- Written by `cargo run --release -p interop -- {verb} write`. -->\n");
        let parts = old
            .split_once(&begin)
            .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) = parts.ok_or_else(|| format!("{PATH} has lost its marks"))?;
        Ok(format!("{head}{begin}\n{}\n{END}{tail}", self.text()))
    }
}

fn read() -> Result<String, String> {
    fs::read_to_string(PATH).map_err(|why| format!("{PATH}: {why}; run it in the repository"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::case::PLAIN;
    use crate::peers::matrix::PLAN;

    #[test]
    fn the_table_is_between_the_marks() {
        let mut page = Page::new(&PLAN);
        page.case("X 1", &PLAIN, &[Mark::Good, Mark::Impossible]);
        page.life("X 1", "it ends", Mark::Bad);
        let begin = "<!-- Written by `cargo run --release -p interop -- peers write`. -->";
        let old = format!("head\n{begin}\nlies\n{END}tail\n");
        let new = page.replaced(&old).unwrap();
        assert!(new.starts_with("head\n") && new.ends_with("tail\n"));
        assert!(new.contains(
            "| X 1 | transport | IPv4 | all | no | aes128gcm16 | no | PSK |  | ok | - |"
        ));
        assert!(new.contains("| X 1 | it ends | **fails** |"));
        assert_eq!(page.replaced(&new).unwrap(), new);
        assert!(page.replaced("no marks").is_err());
    }
}
