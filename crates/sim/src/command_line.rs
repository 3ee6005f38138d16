//! The simulator's three verbs.

use sim::scenario::cluster_random::Takeover;

/// How it is used.
pub(crate) const USAGE: &str = "\
usage: cargo run --release -p sim -- seeds FROM COUNT [--takeover replicate|witness]
       cargo run --release -p sim -- seed N [--takeover replicate|witness] [--trace]
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
        /// What a takeover means.
        takeover: Takeover,
    },
    /// Play one seed again.
    Seed {
        /// Which.
        seed: u64,
        /// What a takeover means.
        takeover: Takeover,
        /// Whether to print what happens.
        trace: bool,
    },
    /// Print the table of KB821839's outages.
    Kb821839,
}

/// Understands a command line, or does not.
pub(crate) fn parse(words: &[String]) -> Option<Order> {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut takeover = Takeover::Renegotiate;
    if let Some(at) = words.iter().position(|word| *word == "--takeover") {
        takeover = match *words.get(at + 1)? {
            "replicate" => Takeover::Replicate,
            "witness" => Takeover::Witness,
            "renegotiate" => Takeover::Renegotiate,
            _ => return None,
        };
        words.drain(at..at + 2);
    }
    match words[..] {
        ["seeds", from, count] => Some(Order::Seeds {
            from: from.parse().ok()?,
            count: count.parse().ok()?,
            takeover,
        }),
        ["seed", seed] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            takeover,
            trace: false,
        }),
        ["seed", seed, "--trace"] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            takeover,
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
                count: 100,
                takeover: Takeover::Renegotiate,
            })
        );
        assert_eq!(
            parse("seed 7 --takeover replicate"),
            Some(Order::Seed {
                seed: 7,
                takeover: Takeover::Replicate,
                trace: false,
            })
        );
        assert_eq!(parse("seed 7 --takeover sometimes"), None);
        assert_eq!(
            parse("seed 7 --trace"),
            Some(Order::Seed {
                seed: 7,
                takeover: Takeover::Renegotiate,
                trace: true,
            })
        );
        assert_eq!(parse("kb821839"), Some(Order::Kb821839));
        assert_eq!(parse("seeds 1"), None);
        assert_eq!(parse("seed x"), None);
        assert_eq!(parse(""), None);
    }
}
