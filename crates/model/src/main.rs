//! Runs every search and prints what it found: `cargo run --release -p model [-- --deep]`.
#![forbid(unsafe_code)]
// The table says how long each search took.
#![allow(clippy::disallowed_methods)]

use model::experiment::{Expected, Experiment, Outcome};
use model::{Rule, catalogue};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut experiments = match arguments.as_slice() {
        [] => catalogue::complete(),
        [only] if only == "--deep" => catalogue::deep(),
        _ => {
            eprintln!("model: the only argument is `--deep`: larger bounds, minutes, gigabytes.");
            return ExitCode::FAILURE;
        }
    };
    experiments.extend(catalogue::without_a_rule());
    println!(
        "{:20} {:>9} {:>6}  rule left out: verdict",
        "configuration", "states", "s"
    );
    let mut unexpected = 0;
    for experiment in &experiments {
        let begin = Instant::now();
        let outcome = experiment.run();
        let seconds = begin.elapsed().as_secs_f64();
        let confirmed = outcome.confirms(&experiment.expected);
        unexpected += usize::from(!confirmed);
        print(experiment, &outcome, seconds, confirmed);
    }
    println!(
        "{} searches, {unexpected} with another result than expected.",
        experiments.len()
    );
    if unexpected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One search: a line, and the shortest counterexample below it.
fn print(experiment: &Experiment, outcome: &Outcome, seconds: f64, confirmed: bool) {
    let removed = experiment.setting.removed.iter().map(|rule| rule.without());
    let removed: Vec<&str> = removed.collect();
    let removed = if removed.is_empty() {
        String::from("none")
    } else {
        removed.join(", ")
    };
    let bounds = experiment.setting.bounds;
    let mut verdict = match &experiment.expected {
        Expected::Holds(_) if confirmed => format!("holds ({bounds})"),
        Expected::BreaksBut(_, holds) if confirmed => format!("breaks, but holds: {holds}"),
        _ if confirmed => String::from("breaks"),
        expected => format!(
            "NOT AS EXPECTED: {expected:?}, missing {:?}",
            outcome.missing
        ),
    };
    if experiment.setting.removed == [Rule::EpochInIv] {
        verdict.push_str(", for rule 1 keeps IVs apart too");
    }
    let configuration = experiment.setting.configuration;
    println!(
        "{configuration:20} {:>9} {seconds:>6.1}  {removed}: {verdict}",
        outcome.states
    );
    let broken = match experiment.expected {
        Expected::Breaks(property) | Expected::BreaksBut(property, _) => {
            outcome.breaches.iter().find(|(name, _)| *name == property)
        }
        Expected::Holds(_) => outcome.breaches.first(),
    };
    if let Some((property, steps)) = broken {
        println!("    {property}");
        for (number, step) in steps.iter().enumerate() {
            println!("    {:>3}. {step}", number + 1);
        }
    }
}
