//! The simulator's three verbs.

use policy::IkeVersion;
use sim::scenario::cluster_random::Takeover;

/// How it is used.
pub(crate) const USAGE: &str = "\
usage: cargo run --release -p sim -- seeds FROM COUNT [--takeover replicate|witness] [--ike v1|v2]
       cargo run --release -p sim -- seed N [--takeover replicate|witness] [--ike v1|v2] [--trace]
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
        /// Which IKE everybody speaks; every fourth seed has IKEv1 where nobody says.
        ike: Option<IkeVersion>,
    },
    /// Play one seed again.
    Seed {
        /// Which.
        seed: u64,
        /// What a takeover means.
        takeover: Takeover,
        /// Which IKE everybody speaks; every fourth seed has IKEv1 where nobody says.
        ike: Option<IkeVersion>,
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
    let mut ike = None;
    if let Some(at) = words.iter().position(|word| *word == "--ike") {
        ike = match *words.get(at + 1)? {
            "v1" => Some(IkeVersion::V1),
            "v2" => Some(IkeVersion::V2),
            _ => return None,
        };
        words.drain(at..at + 2);
    }
    match words[..] {
        ["seeds", from, count] => Some(Order::Seeds {
            from: from.parse().ok()?,
            count: count.parse().ok()?,
            takeover,
            ike,
        }),
        ["seed", seed] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            takeover,
            ike,
            trace: false,
        }),
        ["seed", seed, "--trace"] => Some(Order::Seed {
            seed: seed.parse().ok()?,
            takeover,
            ike,
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
                ike: None,
            })
        );
        assert_eq!(
            parse("seed 7 --takeover replicate"),
            Some(Order::Seed {
                seed: 7,
                takeover: Takeover::Replicate,
                ike: None,
                trace: false,
            })
        );
        assert_eq!(
            parse("seed 7 --ike v1 --takeover witness --trace"),
            Some(Order::Seed {
                seed: 7,
                takeover: Takeover::Witness,
                ike: Some(IkeVersion::V1),
                trace: true,
            })
        );
        assert_eq!(parse("seed 7 --takeover sometimes"), None);
        assert_eq!(parse("seed 7 --ike v3"), None);
        assert_eq!(
            parse("seed 7 --trace"),
            Some(Order::Seed {
                seed: 7,
                takeover: Takeover::Renegotiate,
                ike: None,
                trace: true,
            })
        );
        assert_eq!(parse("kb821839"), Some(Order::Kb821839));
        assert_eq!(parse("seeds 1"), None);
        assert_eq!(parse("seed x"), None);
        assert_eq!(parse(""), None);
    }
}
