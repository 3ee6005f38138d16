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

/// The exchange types of what a host sent, in order.
pub(crate) fn exchanges(pair: &Pair, host: usize) -> Vec<u8> {
    let sent = pair.log.iter().filter(|(_, packet)| packet.from == host);
    sent.map(|(_, packet)| packet.exchange()).collect()
}

/// Whether a host sends on its newest pair.
pub(crate) fn sends_on_the_new_one(pair: &Pair, host: usize) -> bool {
    pair.hosts[host].sad.values().next_back().unwrap().active
}
