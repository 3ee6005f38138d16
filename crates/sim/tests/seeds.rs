//! Random worlds: whatever the network, the power and the operators do, every promise is kept.

use sim::scenario::cluster_random;
use std::time::Instant;

/// Some of the seeds that `cargo run --release -p sim -- seeds 1 1000` plays.
#[test]
fn forty_seeds_break_no_promise() {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let begun = Instant::now();
    for seed in 1..=40 {
        let world = cluster_random::run(seed, begun, false).world;
        let violations: Vec<String> = world.violations().iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}
