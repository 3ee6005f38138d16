//! Microsoft KB821839: how long a front end is without its mail server when the server's virtual
//! address moves, or its node dies. The same figures from real node code in virtual time.

use sim::Settings;
use sim::scenario::takeover::{self, Fault, Takeover};
use std::time::{Duration, Instant};
use wire::ike::ExchangeType;

fn run(settings: Settings, fault: Fault, seed: u64) -> Takeover {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let begun = Instant::now();
    let takeover = takeover::run(settings, fault, seed, begun).expect("traffic flows again");
    assert_eq!(takeover.violations, Vec::<String>::new());
    takeover
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What an outage may be longer than its timers: the probe that finds the SA gone, the probe
/// that is answered, the interval at which IKE hears of inbound packets, and the handshake.
const SLACK: Duration = Duration::from_millis(500);

/// "3 to 6 seconds": the leaving node deletes its SAs while it still has the address, and the
/// front end's ladder of 1, 2, 4 s finds the new node at its second step.
#[test]
fn kb821839_planned_move_takes_3_to_6_seconds() {
    for seed in 1..=10 {
        let takeover = run(takeover::kb821839(false, seed), Fault::PlannedMove, seed);
        let gap = takeover.outage.gap();
        assert!(
            (seconds(3)..=seconds(6)).contains(&gap),
            "seed {seed}: {gap:?}"
        );
        // The Deletes came: nothing was sealed for the old SAs after they had.
        let first = takeover
            .requests
            .first()
            .expect("the front end negotiates")
            .0;
        let ladder: Vec<u64> = (takeover.requests.iter())
            .filter(|(_, exchange)| *exchange == ExchangeType::IKE_SA_INIT)
            .map(|(at, _)| (*at - first).as_millis() as u64)
            .collect();
        assert_eq!(ladder, [0, 1000, 3000], "seed {seed}");
    }
}

/// "6 minutes": 300 s until the idle timer fires, then 63 s until the negotiation on the dead IKE
/// SA has timed out.
#[test]
fn kb821839_crash_takes_363_seconds() {
    for seed in 1..=2 {
        let takeover = run(takeover::kb821839(false, seed), Fault::Crash, seed);
        let gap = takeover.outage.gap();
        assert!(
            (seconds(363)..seconds(363) + SLACK).contains(&gap),
            "seed {seed}: {gap:?}"
        );
    }
}

/// "2 minutes" with `NLBSFlags` = 1: 60 s and 63 s.
#[test]
fn kb821839_crash_with_nlbs_flags_takes_123_seconds() {
    for seed in 1..=5 {
        let takeover = run(takeover::kb821839(true, seed), Fault::Crash, seed);
        let gap = takeover.outage.gap();
        assert!(
            (seconds(123)..seconds(123) + SLACK).contains(&gap),
            "seed {seed}: {gap:?}"
        );
    }
}

/// The idle timer counts inbound packets only: the front end goes on sending all the time, and
/// that does not keep the dead SA alive.
#[test]
fn kb821839_outbound_packets_do_not_keep_a_dead_sa_alive() {
    let settings = takeover::kb821839(true, 3);
    let sent = seconds(60).as_secs_f64() / settings.traffic.probe.as_secs_f64();
    let takeover = run(settings, Fault::Crash, 3);
    let void = takeover.into_the_void as f64;
    assert!(
        (sent - 5.0..sent + 15.0).contains(&void),
        "{void} datagrams, {sent} expected"
    );
    let first = takeover
        .requests
        .first()
        .expect("the front end negotiates")
        .0;
    assert!(
        (seconds(60)..seconds(60) + SLACK).contains(&first),
        "{first:?}"
    );
}

/// The ladder on the dead IKE SA: 1, 2, 4, 8, 16, 32 s, and only then a new IKE SA.
#[test]
fn kb821839_the_dead_ike_sa_times_out_first() {
    let takeover = run(takeover::kb821839(true, 4), Fault::Crash, 4);
    let first = takeover
        .requests
        .first()
        .expect("the front end negotiates")
        .0;
    let on_dead: Vec<u64> = (takeover.requests.iter())
        .filter(|(at, exchange)| {
            *exchange != ExchangeType::IKE_SA_INIT && *at < first + seconds(63)
        })
        .map(|(at, _)| (*at - first).as_secs())
        .collect();
    assert_eq!(on_dead, [0, 1, 3, 7, 15, 31]);
    let init = (takeover.requests.iter())
        .find(|(_, exchange)| *exchange == ExchangeType::IKE_SA_INIT)
        .expect("a new IKE SA");
    assert!(
        (seconds(63)..seconds(64)).contains(&(init.0 - first)),
        "{init:?}"
    );
}

/// The same events with our own timers.
#[test]
fn modern_timers_take_200_ms_for_a_move_and_a_second_for_a_crash() {
    for seed in 1..=10 {
        let planned = run(takeover::modern(seed), Fault::PlannedMove, seed)
            .outage
            .gap();
        assert!(
            planned <= Duration::from_millis(200),
            "seed {seed}: {planned:?}"
        );
        let crash = run(takeover::modern(seed), Fault::Crash, seed).outage.gap();
        assert!(
            crash <= Duration::from_millis(1000),
            "seed {seed}: {crash:?}"
        );
    }
}
