//! The table that every verb prints: what was tried, with whom, how it went, a figure.

use std::fmt::Write as _;
use std::path::Path;

/// How one trial went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Good,
    /// The peer cannot do it, so that nothing was shown; the reason is the figure.
    NotTried,
    /// Wrong; the reason is the figure.
    Bad,
}

/// One line of the table.
#[derive(Clone, Debug)]
struct Row {
    what: String,
    peer: String,
    outcome: Outcome,
    figure: String,
}

/// The table of one verb. Rows are printed as they come.
pub(crate) struct Table {
    verb: &'static str,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table; prints its head.
    pub(crate) fn new(verb: &'static str) -> Self {
        println!("interop {verb}");
        println!("  {:<66} {:<14} {:<9} figure", "what", "peer", "result");
        Table {
            verb,
            rows: Vec::new(),
        }
    }

    /// Adds what came of one trial: its figure, or why it failed.
    pub(crate) fn add(&mut self, what: &str, peer: &str, result: Result<String, String>) {
        let (outcome, figure) = match result {
            Ok(figure) => (Outcome::Good, figure),
            Err(why) => (Outcome::Bad, why.lines().collect::<Vec<_>>().join(" | ")),
        };
        self.push(what, peer, outcome, figure);
    }

    /// Adds a trial that the peer cannot take part in.
    pub(crate) fn not_tried(&mut self, what: &str, peer: &str, why: &str) {
        self.push(what, peer, Outcome::NotTried, why.to_owned());
    }

    /// Adds a condition that must hold, with the figure that shows it.
    pub(crate) fn check(&mut self, what: &str, peer: &str, holds: bool, figure: String) {
        let outcome = if holds { Outcome::Good } else { Outcome::Bad };
        self.push(what, peer, outcome, figure);
    }

    /// How many trials failed.
    pub(crate) fn failures(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.outcome == Outcome::Bad)
            .count()
    }

    /// Prints the sum, writes the table into `folder`, and answers with an error if a trial
    /// failed or there was none.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn finish(self, folder: &Path) -> Result<(), String> {
        let count = |outcome: Outcome| self.rows.iter().filter(|r| r.outcome == outcome).count();
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
        let sum = format!(
            "interop {}: {} good, {} bad, {} not tried",
            self.verb,
            count(Outcome::Good),
            count(Outcome::Bad),
            count(Outcome::NotTried),
        );
        println!("{sum}");
        let path = folder.join("table.txt");
        std::fs::write(&path, text + &sum + "\n")
            .map_err(|why| format!("cannot write {}: {why}", path.display()))?;
        match (self.failures(), self.rows.is_empty()) {
            (0, false) => Ok(()),
            (0, true) => Err(format!("interop {}: nothing was tried", self.verb)),
            (bad, _) => Err(format!(
                "interop {}: {bad} trials failed; captures and logs are in {}",
                self.verb,
                folder.display()
            )),
        }
    }

    fn push(&mut self, what: &str, peer: &str, outcome: Outcome, figure: String) {
        let row = Row {
            what: what.to_owned(),
            peer: peer.to_owned(),
            outcome,
            figure,
        };
        println!("{}", line(&row));
        self.rows.push(row);
    }
}

fn line(row: &Row) -> String {
    let word = match row.outcome {
        Outcome::Good => "ok",
        Outcome::NotTried => "not tried",
        Outcome::Bad => "FAILED",
    };
    format!(
        "  {:<66} {:<14} {word:<9} {}",
        row.what, row.peer, row.figure
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_table() {
        let folder = std::env::temp_dir();
        let mut table = Table::new("test");
        table.add("a", "b", Ok("1".into()));
        assert_eq!(table.failures(), 0);
        table.add("c", "d", Err("why".into()));
        table.not_tried("e", "f", "cannot");
        assert!(
            table
                .finish(&folder)
                .unwrap_err()
                .contains("1 trials failed")
        );
        assert!(Table::new("empty").finish(&folder).is_err());
    }
}
