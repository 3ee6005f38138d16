//! The simulator from the command line: many seeds, one seed with its trace, the KB's figures.
#![forbid(unsafe_code)]

mod command_line;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use command_line::{Order, USAGE};
use policy::IkeVersion;
use sim::World;
use sim::scenario::cluster_random::{self, Kind, Played, Takeover};

/// Every seed that this divides is played twice.
const AGAIN: u64 = 50;
/// Every seed that this divides is of IKEv1, where nobody says which IKE it shall be.
const VERSION_1: u64 = 4;
/// Violations of a seed that are printed; the first is what matters.
const SHOWN: usize = 3;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time needs a place to count from"
    )]
    let begun = Instant::now();
    match command_line::parse(&words) {
        Some(Order::Seeds {
            from,
            count,
            takeover,
            ike,
        }) => seeds((from, count), |seed| kind(seed, takeover, ike), begun),
        Some(Order::Seed {
            seed,
            takeover,
            ike,
            trace,
        }) => seed_again(seed, kind(seed, takeover, ike), trace, begun),
        Some(Order::Kb821839) => table::print(begun),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the world of a seed is about.
fn kind(seed: u64, takeover: Takeover, ike: Option<IkeVersion>) -> Kind {
    let drawn = match seed.is_multiple_of(VERSION_1) {
        true => IkeVersion::V1,
        false => IkeVersion::V2,
    };
    let version = ike.unwrap_or(drawn);
    Kind { takeover, version }
}

/// Plays many seeds and says which failed. Some are played twice: nothing but the seed may decide.
fn seeds((from, count): (u64, u64), of: impl Fn(u64) -> Kind, begun: Instant) -> ExitCode {
    let (mut failed, mut events) = (0, 0);
    let (mut back, mut agreed) = (Vec::new(), Vec::new());
    for seed in from..from.saturating_add(count) {
        let kind = of(seed);
        let played = cluster_random::run(seed, kind, begun, false);
        events += played.world.trace().events();
        back.push(played.back);
        agreed.push(played.agreed);
        let digest = played.world.trace().digest();
        let again = || {
            cluster_random::run(seed, kind, begun, false)
                .world
                .trace()
                .digest()
        };
        let differs = seed.is_multiple_of(AGAIN) && again() != digest;
        if differs {
            println!("seed {seed}: played again, something else happens");
        }
        if differs || !report(seed, kind, &played.world) {
            failed += 1;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{count} seeds from {from}: {failed} failed; {events} events in {seconds:.1} s");
    println!(
        "traffic is back after the last fault: {}",
        spread(&mut back)
    );
    println!(
        "both ends hold the same SAs after it: {}",
        spread(&mut agreed)
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn seed_again(seed: u64, kind: Kind, trace: bool, begun: Instant) -> ExitCode {
    let Played {
        world,
        back,
        agreed,
    } = cluster_random::run(seed, kind, begun, trace);
    world
        .trace()
        .lines()
        .iter()
        .for_each(|line| println!("{line}"));
    println!("seed {seed}: digest {:016x}", world.trace().digest());
    println!("traffic back after {back:?}, ends agree after {agreed:?}");
    if report(seed, kind, &world) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints what was broken; true when nothing was.
fn report(seed: u64, kind: Kind, world: &World) -> bool {
    for violation in world.violations().iter().take(SHOWN) {
        println!("seed {seed}: {violation}");
    }
    let kept = world.violations().is_empty();
    if !kept {
        let how = match kind.takeover {
            Takeover::Replicate => " --takeover replicate",
            Takeover::Witness => " --takeover witness",
            Takeover::Renegotiate => "",
        };
        let ike = match kind.version {
            IkeVersion::V1 => "v1",
            IkeVersion::V2 => "v2",
        };
        println!("  again: cargo run --release -p sim -- seed {seed}{how} --ike {ike} --trace");
    }
    kept
}

/// Median, the 99th of 100, and the longest.
fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |permille: usize| {
        let place = times.len().saturating_sub(1) * permille / 1000;
        times.get(place).copied().unwrap_or_default().as_secs_f64()
    };
    format!(
        "median {:.2} s, p99 {:.2} s, longest {:.2} s",
        at(500),
        at(990),
        at(1000)
    )
}
