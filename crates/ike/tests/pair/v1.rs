//! IKEv1: main mode, quick mode, informational exchanges (RFC 2409).

mod hostile;
mod informational;
mod kerberos;
mod main_mode;
mod methods;
mod quick_mode;
mod rules;
mod several;
mod takeover;

use crate::harness::*;
use policy::timers::{ChildLifetime, IkeLifetime};
use policy::version::IkeVersion;

/// Two hosts that speak IKEv1 with each other.
pub(crate) fn version_1() -> Setup {
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side].version = IkeVersion::V1;
        for proposal in &mut setup.child[side].proposals {
            proposal.esn = vec![false];
        }
    }
    setup
}

/// Main mode fails when it is to be renewed, and the pair goes on alone; nothing passes then. The
/// pair would be rekeyed after its life of so many seconds, A's and B's.
pub(crate) fn without_main_mode(lives: [u64; 2]) -> Pair {
    let mut setup = version_1();
    for side in [A, B] {
        setup.ike[side].lifetime = IkeLifetime::of(secs(20));
        setup.child[side].lifetime = ChildLifetime::of(secs(lives[side]));
    }
    let mut pair = setup.pair();
    pair.establish();
    pair.run(secs(17));
    pair.filter = Box::new(|_| Verdict::Drop);
    pair.run(secs(12));
    assert!(pair.ikes(A).is_empty() && !pair.hosts[A].sad.is_empty());
    pair
}

/// The exchange types of what a host sent, in order.
pub(crate) fn exchanges(pair: &Pair, host: usize) -> Vec<u8> {
    let sent = pair.log.iter().filter(|(_, packet)| packet.from == host);
    sent.map(|(_, packet)| packet.exchange()).collect()
}

/// Whether a host sends on its newest pair.
pub(crate) fn sends_on_the_new_one(pair: &Pair, host: usize) -> bool {
    pair.hosts[host].sad.values().next_back().unwrap().active
}
