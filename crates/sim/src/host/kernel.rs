//! What stays on a host when its daemon dies: addresses, services, the packet filter's rules.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Action, Direction, Spd, Verdict};
use wire::ip::Flow;

/// What happens to a packet that nobody has protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It passes.
    Pass,
    /// It needs protection.
    Protect,
    /// It is dropped.
    Drop,
}

/// The kernel of one host.
#[derive(Default)]
pub(crate) struct Kernel {
    /// The addresses that it answers for.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// The groups whose services run.
    pub(crate) services: BTreeSet<usize>,
    /// The policy as the packet filter holds it: the copy that survives the daemon.
    pub(crate) filter: Option<Arc<Spd>>,
}

impl Kernel {
    /// What the packet filter does with a packet in clear.
    pub(crate) fn fate(&self, flow: &Flow, direction: Direction) -> Fate {
        let Some(spd) = &self.filter else {
            return Fate::Pass;
        };
        match spd.lookup(flow, direction) {
            Verdict::Exempt(_) | Verdict::NoRule => Fate::Pass,
            Verdict::Rule(found) => match found.rule.action {
                Action::Exempt | Action::Permit => Fate::Pass,
                Action::Block => Fate::Drop,
                Action::Negotiate(_) => Fate::Protect,
            },
        }
    }
}
