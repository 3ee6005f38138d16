//! IKEv1 with our own timers: it comes back as soon as IKEv2, and believes no forged word.

use policy::IkeVersion;
use sim::frame::{Content, FRONT, Frame, KeyLabel};
use sim::scenario::takeover::{self, Fault, Takeover};
use sim::{Settings, World};
use std::time::{Duration, Instant};
use wire::isakmp::{self, ExchangeType, Flags, Header, Notification, NotifyType, Payload};

fn begun() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    Instant::now()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn run(settings: Settings, fault: Fault, seed: u64) -> Takeover {
    let takeover = takeover::run(settings, fault, seed, begun()).expect("traffic flows again");
    assert_eq!(takeover.violations, Vec::<String>::new());
    takeover
}

#[test]
fn modern_timers_take_200_ms_for_a_move_and_a_second_for_a_crash() {
    for seed in 1..=10 {
        let settings = || takeover::modern(seed).with_ikev1(None);
        assert_eq!(settings().version, IkeVersion::V1);
        let gap = |fault| run(settings(), fault, seed).outage.gap();
        let (planned, crash) = (gap(Fault::PlannedMove), gap(Fault::Crash));
        println!("{planned:?} {crash:?} {:?}", gap(Fault::Reboot(ms(500))));
        assert!(planned <= ms(200), "seed {seed}: {planned:?}");
        assert!(crash <= ms(1000), "seed {seed}: {crash:?}");
    }
}
