//! KB821839's figures beside those of the simulation, as a table.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::Settings;
use sim::scenario::takeover::{self, Fault};

/// Worlds per line.
const SEEDS: u64 = 20;

/// One line: what is played, and what the KB says of it.
struct Line {
    ike: &'static str,
    profile: &'static str,
    event: &'static str,
    stated: &'static str,
    /// Between which times it must lie, in milliseconds.
    bounds: (u64, u64),
    fault: Fault,
    settings: fn(u64) -> Settings,
}

const LINES: [Line; 10] = [
    Line {
        ike: "IKEv2",
        profile: "kb821839",
        event: "planned move",
        stated: "3 to 6 s",
        bounds: (3000, 6000),
        fault: Fault::PlannedMove,
        settings: |seed| takeover::kb821839(false, seed),
    },
    Line {
        ike: "IKEv2",
        profile: "kb821839",
        event: "crash",
        stated: "6 min",
        bounds: (363000, 363500),
        fault: Fault::Crash,
        settings: |seed| takeover::kb821839(false, seed),
    },
    Line {
        ike: "IKEv2",
        profile: "kb821839",
        event: "crash, NLBSFlags=1",
        stated: "2 min",
        bounds: (123000, 123500),
        fault: Fault::Crash,
        settings: |seed| takeover::kb821839(true, seed),
    },
    Line {
        ike: "IKEv2",
        profile: "modern",
        event: "planned move",
        stated: "-",
        bounds: (0, 200),
        fault: Fault::PlannedMove,
        settings: takeover::modern,
    },
    Line {
        ike: "IKEv2",
        profile: "modern",
        event: "crash",
        stated: "-",
        bounds: (0, 1000),
        fault: Fault::Crash,
        settings: takeover::modern,
    },
    Line {
        ike: "IKEv1",
        profile: "kb821839",
        event: "planned move",
        stated: "3 to 6 s",
        bounds: (3000, 6000),
        fault: Fault::PlannedMove,
        settings: |seed| takeover::windows2003(false, seed),
    },
    Line {
        ike: "IKEv1",
        profile: "kb821839",
        event: "crash",
        stated: "6 min",
        bounds: (363000, 363500),
        fault: Fault::Crash,
        settings: |seed| takeover::windows2003(false, seed),
    },
    Line {
        ike: "IKEv1",
        profile: "kb821839",
        event: "crash, NLBSFlags=1",
        stated: "2 min",
        bounds: (123000, 123500),
        fault: Fault::Crash,
        settings: |seed| takeover::windows2003(true, seed),
    },
    Line {
        ike: "IKEv1",
        profile: "modern",
        event: "planned move",
        stated: "-",
        bounds: (0, 200),
        fault: Fault::PlannedMove,
        settings: |seed| takeover::modern(seed).with_ikev1(None),
    },
    Line {
        ike: "IKEv1",
        profile: "modern",
        event: "crash",
        stated: "-",
        bounds: (0, 1000),
        fault: Fault::Crash,
        settings: |seed| takeover::modern(seed).with_ikev1(None),
    },
];

/// Plays every line and prints it.
pub(crate) fn print(begun: Instant) -> ExitCode {
    println!("Outage in virtual time, shortest to longest of {SEEDS} worlds:");
    println!(
        "{:5} {:10} {:20} {:10} simulated",
        "IKE", "profile", "event", "KB821839"
    );
    let mut outcome = ExitCode::SUCCESS;
    for line in LINES {
        let play = |seed| takeover::run((line.settings)(seed), line.fault, seed, begun);
        let outages: Option<Vec<Duration>> = (1..=SEEDS)
            .map(|seed| Some(play(seed)?.outage.gap()))
            .collect();
        let found = outages.as_deref().and_then(extremes);
        let (low, high) = line.bounds;
        let allowed = Duration::from_millis(low)..=Duration::from_millis(high);
        let within =
            found.is_some_and(|(least, most)| allowed.contains(&least) && allowed.contains(&most));
        if !within {
            outcome = ExitCode::FAILURE;
        }
        let simulated = match found {
            Some((least, most)) => {
                format!("{:.3} to {:.3} s", least.as_secs_f64(), most.as_secs_f64())
            }
            None => "traffic does not flow again".to_owned(),
        };
        println!(
            "{:5} {:10} {:20} {:10} {simulated}{}",
            line.ike,
            line.profile,
            line.event,
            line.stated,
            if within { "" } else { ", OUT OF BOUNDS" }
        );
    }
    outcome
}

fn extremes(outages: &[Duration]) -> Option<(Duration, Duration)> {
    Some((*outages.iter().min()?, *outages.iter().max()?))
}
