//! A bad network: loss, reorder, duplication and crashes, with everything going on at once.

use crate::harness::*;
use crypto::{Random, SeededRandom};
use ike::{Command, Event};
use policy::pad::IkeTemplate;

/// One run: both sides do what they like over a bad network, then the network heals. Both ends
/// must hold the same pairs, and the pairs must carry traffic. The answer: how many clones there
/// were.
fn run(seed: u64, ike: &IkeTemplate) -> usize {
    let mut setup = Setup {
        seed,
        ike: [ike.clone(), ike.clone()],
        ..Setup::default()
    };
    setup.ports = [policy::range::PortRange::new(100, 200).unwrap(); 2];
    let mut pair = setup.pair();
    let mut dice = SeededRandom::new(seed ^ 0x5eed);
    let mut roll = |sides: u8| {
        let mut byte = [0];
        dice.fill(&mut byte);
        byte[0] % sides
    };
    pair.chaos = Some(Chaos {
        random: SeededRandom::new(seed + 1_000_000),
        loss: roll(80),
        duplicate: roll(80),
        jitter: millis(u64::from(roll(40))),
    });
    pair.acquire(usize::from(roll(2)));
    for _ in 0..12 {
        pair.run(millis(u64::from(roll(120))));
        let host = usize::from(roll(2));
        if roll(24) == 0 {
            let seed = seed + 2_000_000 + u64::from(roll(250));
            pair.crash(
                host,
                &Setup {
                    seed,
                    ports: setup.ports,
                    ike: setup.ike.clone(),
                    ..Setup::default()
                },
            );
        }
        let child = pair.hosts[host].sad.keys().next_back().copied();
        let ikes = pair.ikes(host);
        let which = match ike.clones {
            0 => 0,
            _ => usize::from(roll(251)) % ikes.len().max(1),
        };
        let chosen = ikes.get(which).map(|one| one.ike);
        let command = match (roll(7), child, chosen) {
            (0 | 1, Some(child), _) => Command::RekeyChild(child),
            (2 | 3, _, Some(one)) => Command::RekeyIke(one),
            (6, _, Some(one)) if ike.clones > 0 => Command::CloneIke(one),
            (4, Some(child), _) => Command::DeleteChild(child),
            (5, _, Some(one)) if roll(4) == 0 => Command::DeleteIke(one),
            _ => Command::Acquire(Box::new(pair.acquire_of(host))),
        };
        let now = pair.now;
        // A child that is being deleted is out of ESP and may be out of IKE as well.
        pair.note(host, &command);
        let _ = pair.hosts[host].endpoint.handle_command(command, now);
        pair.run(millis(0));
        pair.poll(host);
    }
    pair.chaos = None;
    pair.run(secs(30));
    // What one side gave up for lost, the other learns when it asks.
    for host in [A, B] {
        for ike in pair.ikes(host) {
            pair.command(host, Command::CheckLiveness(ike.ike));
        }
    }
    pair.run(secs(10));
    pair.agree_on_pairs();
    let count = pair.hosts[A].sad.len();
    pair.agree(count);
    let (a, b) = (pair.ikes(A).len(), pair.ikes(B).len());
    assert_eq!(a, b, "{}", pair.story());
    let is_cloned = |event: &Event| matches!(event, Event::IkeCloned { .. });
    let all = pair.hosts.iter().flat_map(|host| &host.events);
    all.filter(|(_, event)| is_cloned(event)).count()
}

#[test]
fn a_thousand_seeds() {
    for seed in 0..1_000 {
        let outcome = std::panic::catch_unwind(|| run(seed, &IkeTemplate::modern()));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn three_hundred_seeds_in_fragments() {
    let mut ike = IkeTemplate::modern();
    in_fragments(&mut ike);
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| run(seed, &ike));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_thousand_seeds_with_clones() {
    let mut ike = IkeTemplate::modern();
    ike.clones = 3;
    let mut clones = 0;
    for seed in 0..1_000 {
        let outcome = std::panic::catch_unwind(|| run(seed, &ike));
        clones += outcome.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(clones > 1_000, "{clones}");
}
