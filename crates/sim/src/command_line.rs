//! The simulator's three verbs.

/// How it is used.
pub(crate) const USAGE: &str = "\
usage: cargo run --release -p sim -- seeds FROM COUNT
       cargo run --release -p sim -- seed N [--trace]
       cargo run --release -p sim -- kb821839";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Play seeds, one after the other.
    Seeds {
        /// The first.
        from: u64,
        /// How many.
        count: u64,
    },
    /// Play one seed again.
    Seed {
        /// Which.
        seed: u64,
        /// Whether to print what happens.
        trace: bool,
    },
    /// Print the table of KB821839's outages.
    Kb821839,
}

/// Understands a command line, or does not.
pub(crate) fn parse(words: &[String]) -> Option<Order> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["seeds", from, count] => Some(Order::Seeds {
            from: from.parse().ok()?,
            count: count.parse().ok()?,
        }),
        ["seed", seed] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            trace: false,
        }),
        ["seed", seed, "--trace"] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            trace: true,
        }),
        ["kb821839"] => Some(Order::Kb821839),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_verbs_and_nothing_else() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            parse(&words)
        };
        assert_eq!(
            parse("seeds 1 100"),
            Some(Order::Seeds {
                from: 1,
                count: 100
            })
        );
        assert_eq!(
            parse("seed 7 --trace"),
            Some(Order::Seed {
                seed: 7,
                trace: true
            })
        );
        assert_eq!(parse("kb821839"), Some(Order::Kb821839));
        assert_eq!(parse("seeds 1"), None);
        assert_eq!(parse("seed x"), None);
        assert_eq!(parse(""), None);
    }
}
