//! The simulator from the command line: many seeds, one seed with its trace, the KB's figures.
#![forbid(unsafe_code)]

mod command_line;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use command_line::{Order, USAGE};
use sim::World;
use sim::scenario::cluster_random;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time needs a place to count from"
    )]
    let begun = Instant::now();
    match command_line::parse(&words) {
        Some(Order::Seeds { from, count }) => seeds(from, count, begun),
        Some(Order::Seed { seed, trace }) => seed_again(seed, trace, begun),
        Some(Order::Kb821839) => table::print(begun),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Plays many seeds and says which failed.
fn seeds(from: u64, count: u64, begun: Instant) -> ExitCode {
    let mut failed = Vec::new();
    let mut events = 0;
    for seed in from..from.saturating_add(count) {
        let world = cluster_random::run(seed, begun, false);
        events += world.trace().events();
        if !world.violations().is_empty() {
            failed.push(seed);
            report(seed, &world);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{count} seeds from {from}: {} failed; {events} events in {seconds:.1} s",
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn seed_again(seed: u64, trace: bool, begun: Instant) -> ExitCode {
    let world = cluster_random::run(seed, begun, trace);
    world
        .trace()
        .lines()
        .iter()
        .for_each(|line| println!("{line}"));
    println!("seed {seed}: digest {:016x}", world.trace().digest());
    report(seed, &world);
    if world.violations().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report(seed: u64, world: &World) {
    for violation in world.violations() {
        println!("seed {seed}: {violation}");
    }
    if !world.violations().is_empty() {
        println!("  again: cargo run --release -p sim -- seed {seed} --trace");
    }
}
