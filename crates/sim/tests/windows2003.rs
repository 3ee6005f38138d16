//! Windows Server 2003 as its Knowledge Base describes it, with IKEv1: how long a front end is
//! without its server, and why. The figures come from real node code in virtual time.

use ike::{Event, Reason};
use sim::scenario::takeover::{self, Fault, Takeover};
use sim::settings::FastFailover;
use sim::{Settings, World};
use std::time::{Duration, Instant};
use wire::ike::ExchangeType;
use wire::isakmp;

const MAIN_MODE: ExchangeType = ExchangeType(isakmp::ExchangeType::MAIN_MODE.0);
const QUICK_MODE: ExchangeType = ExchangeType(isakmp::ExchangeType::QUICK_MODE.0);

/// What an outage may be longer than its timers: the probe that finds the SA gone, the probe
/// that is answered, the interval at which IKE hears of inbound packets, and the handshake.
const SLACK: Duration = Duration::from_millis(500);

fn begun() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    Instant::now()
}

fn run(settings: Settings, fault: Fault, seed: u64) -> Takeover {
    let takeover = takeover::run(settings, fault, seed, begun()).expect("traffic flows again");
    assert_eq!(takeover.violations, Vec::<String>::new());
    takeover
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// When the front end said first that something happened.
fn when(takeover: &Takeover, what: impl Fn(&Event) -> bool) -> Duration {
    let found = takeover.told.iter().find(|(_, event)| what(event));
    let (at, _) = found.unwrap_or_else(|| panic!("it did not happen: {:#?}", takeover.told));
    *at
}

fn idle(event: &Event) -> bool {
    let reason = match event {
        Event::ChildClosed { reason, .. } => reason,
        _ => return false,
    };
    *reason == Reason::Idle
}

fn timed_out(event: &Event) -> bool {
    let reason = match event {
        Event::IkeClosed { reason, .. } => reason,
        _ => return false,
    };
    matches!(reason, Reason::Failed(ike::Error::Timeout { exchange, .. })
        if *exchange == QUICK_MODE)
}

fn established(event: &Event) -> bool {
    matches!(event, Event::IkeEstablished { .. })
}

/// When messages of an exchange were sent, in milliseconds since the first of them.
fn ladder(takeover: &Takeover, exchange: ExchangeType) -> (Duration, Vec<u64>) {
    let sent = takeover.requests.iter();
    let of_exchange = sent.filter(|(_, one)| *one == exchange);
    let sent: Vec<Duration> = of_exchange.map(|(at, _)| *at).collect();
    let first = *sent.first().expect("the front end negotiates");
    let since = sent.iter().map(|at| (*at - first).as_millis() as u64);
    (first, since.collect())
}

/// A crash: the idle time after the last packet that came, a quick mode under the main mode that
/// is as dead (1, 2, 4, 8, 16, 32 s), and then a main mode that is answered at once.
fn composed(takeover: &Takeover, idle_time: u64) {
    let (idle_at, lost_at) = (when(takeover, idle), when(takeover, timed_out));
    let near = |at: Duration, whole: Duration| (whole..whole + SLACK).contains(&at);
    assert!(near(idle_at, seconds(idle_time)), "{idle_at:?}");
    let (asked_at, sent) = ladder(takeover, QUICK_MODE);
    assert!(near(asked_at, idle_at), "{asked_at:?} after {idle_at:?}");
    // After the six transmissions under the old main mode come those under the new one.
    assert_eq!(sent[..6], [0, 1000, 3000, 7000, 15_000, 31_000]);
    assert_eq!(lost_at - asked_at, seconds(63));
    let (called_at, _) = ladder(takeover, MAIN_MODE);
    assert_eq!(called_at, lost_at, "main mode follows at once");
    assert!(near(when(takeover, established), lost_at));
    let gap = takeover.outage.gap();
    assert!(near(gap, seconds(idle_time + 63)), "{gap:?}");
}

/// "3 to 6 seconds": the leaving node deletes its SAs while it still has the address, and the
/// front end's ladder of 1, 2, 4 s finds the new node at its second step.
#[test]
fn kb821839_planned_move_takes_3_to_6_s() {
    for seed in 1..=10 {
        let settings = takeover::windows2003(false, seed);
        let takeover = run(settings, Fault::PlannedMove, seed);
        let gap = takeover.outage.gap();
        assert!(
            (seconds(3)..=seconds(6)).contains(&gap),
            "seed {seed}: {gap:?}"
        );
        // The Deletes came, so that no timer had to: the pair and the ISAKMP SA ended at once.
        let deleted = |event: &Event| {
            matches!(
                event,
                Event::IkeClosed {
                    reason: Reason::ByPeer,
                    ..
                }
            )
        };
        let (first, sent) = ladder(&takeover, MAIN_MODE);
        assert!(when(&takeover, deleted) <= first, "seed {seed}");
        assert_eq!(sent[..3], [0, 1000, 3000], "seed {seed}");
        assert!(sent[3..].iter().all(|at| *at < 3100), "seed {seed}");
    }
}

/// "6 minutes": 300 s and 63 s.
#[test]
fn kb821839_crash_takes_6_min() {
    for seed in 1..=2 {
        let settings = takeover::windows2003(false, seed);
        composed(&run(settings, Fault::Crash, seed), 300);
    }
}

/// "2 minutes": 60 s and 63 s.
#[test]
fn kb821839_crash_with_nlbsflags_takes_2_min() {
    for seed in 1..=5 {
        let settings = takeover::windows2003(true, seed);
        composed(&run(settings, Fault::Crash, seed), 60);
    }
}

/// The KB sets `NLBSFlags` on the front end; [MS-IKEE] section 3.6 has the cluster say what it is.
/// Either is enough, and neither is not.
#[test]
fn kb821839_either_side_can_have_nlbsflags() {
    for (advertised, assumed) in [(true, false), (false, true)] {
        let settings = Settings {
            fast_failover: FastFailover {
                advertised,
                assumed,
            },
            ..takeover::windows2003(false, 3)
        };
        composed(&run(settings, Fault::Crash, 3), 60);
    }
}

/// The idle timer counts inbound packets only: the front end goes on sending all the time, and
/// that does not keep the dead SA alive.
#[test]
fn kb821839_what_is_sent_does_not_keep_a_dead_pair_alive() {
    let settings = takeover::windows2003(true, 4);
    let sent = seconds(60).as_secs_f64() / settings.traffic.probe.as_secs_f64();
    let void = run(settings, Fault::Crash, 4).into_the_void as f64;
    assert!(
        (sent - 5.0..sent + 15.0).contains(&void),
        "{void} datagrams, {sent} expected"
    );
}

/// "The client must first wait out the IPsec SA timeout, then the IKE SA timeout", because every
/// node keeps its SAs to itself.
#[test]
fn kb306677_the_pair_times_out_first_and_the_ike_sa_after_it() {
    let takeover = run(takeover::windows2003(false, 5), Fault::Crash, 5);
    let order = [idle, timed_out, established].map(|what| when(&takeover, what));
    assert!(order.is_sorted(), "{order:?}");
    // Nothing came over from the node that was: the first answer is that of a new pair.
    let installed = |event: &Event| matches!(event, Event::ChildEstablished { .. });
    assert!(when(&takeover, installed) > order[2]);
}

/// A host that is back within six minutes keeps its clients waiting as long as one that is not:
/// "an additional negotiation which has to time out". With fast failover it is two minutes.
#[test]
fn kb980915_a_short_reboot_takes_as_long_as_a_crash() {
    let after = Fault::Reboot(seconds(40));
    composed(&run(takeover::windows2003(false, 6), after, 6), 300);
    composed(&run(takeover::windows2003(true, 7), after, 7), 60);
}

/// The quick mode that nobody answers is the last thing that its main mode does.
#[test]
fn kb980915_a_failed_quick_mode_ends_its_main_mode() {
    let takeover = run(takeover::windows2003(true, 8), Fault::Crash, 8);
    let closed = takeover.told.iter().filter(|(_, event)| timed_out(event));
    assert_eq!(closed.count(), 1);
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    let refused = takeover.told.iter().filter(|(_, event)| failed(event));
    assert_eq!(refused.count(), 0, "what waited is tried again at once");
}

/// In Windows Server 2003 SP1 traffic did not reset the timer, and every pair was dropped after
/// 300 s. Half an hour of traffic, and the pair of the beginning is still the one in use.
#[test]
fn kb923339_traffic_keeps_a_pair_alive() {
    let mut settings = takeover::windows2003(false, 9);
    settings.traffic.probe = seconds(20);
    let mut world = World::new(settings, 9, begun()).running();
    world.run(seconds(60));
    let (ends, events) = (world.ends(), world.events().len());
    assert!(!ends[0].is_empty());
    let from = world.time();
    world.run(seconds(1800));
    assert_eq!(world.ends(), ends);
    assert_eq!(world.events()[events..], []);
    let (requests, answers) = world.delivery().requests(from, world.time() - seconds(1));
    assert!(requests > 80);
    assert_eq!(requests, answers);
    assert_eq!(world.violations(), []);
    // Without traffic it is dropped, and 300 s later at the latest.
    world.set_partition(0, 1, true);
    world.set_partition(0, 2, true);
    let from = world.time();
    world.run_until(seconds(400), |world| world.ends()[0].is_empty());
    let gap = world.time() - from;
    assert!((seconds(279)..=seconds(301)).contains(&gap), "{gap:?}");
}

/// Six heartbeats of 1.2 s that do not come: a node is taken for dead after 7.2 s, far less than
/// what IPsec takes.
#[test]
fn kb892422_six_heartbeats_of_1_2_s() {
    for seed in 1..=5 {
        let settings = takeover::windows2003(false, seed);
        let mut world = World::new(settings, seed, begun()).running();
        let moment = world.dice().time(Duration::ZERO, seconds(5));
        world.run(moment);
        let crash = world.time();
        world.crash(1);
        world.run(seconds(10));
        let down = world.events().iter().find_map(|(at, host, event)| {
            let node::Event::Cluster(cluster::Event::NodeDown { silence, .. }) = event else {
                return None;
            };
            (*host == 2 && *at > crash).then_some((*at, *silence))
        });
        let (at, silence) = down.expect("node b finds out");
        assert_eq!(silence.map(|silence| silence.as_millis()), Some(7200));
        // The last of them had come before the crash, by less than the gap between two.
        let took = at - crash;
        assert!(
            (seconds(6)..=Duration::from_millis(7200)).contains(&took),
            "{took:?}"
        );
    }
}
