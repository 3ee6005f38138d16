//! What was decided for recent flows, so that policy is asked once per flow (RFC 4301 4.4.1).

use std::net::IpAddr;

use wire::ip::Flow;

/// Places in the cache; a power of two. A flow has two of them to choose from.
const PLACES: usize = 4096;

/// What happens to a flow's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Sealed by the SA in this place.
    Seal(usize),
    /// Sent in clear text.
    Clear,
    /// Dropped.
    Block,
    /// Dropped: it is not known for whom it is, of those behind one NAT.
    Nobody,
}

#[derive(Clone, Copy)]
struct Entry {
    flow: Flow,
    decision: Decision,
    generation: u64,
}

/// A cache of fixed size. Everything in it is forgotten at once when SAs or policy change.
pub(crate) struct FlowCache {
    entries: Box<[Option<Entry>]>,
    generation: u64,
}

impl FlowCache {
    pub(crate) fn new() -> Self {
        FlowCache {
            entries: vec![None; PLACES].into_boxed_slice(),
            generation: 0,
        }
    }

    /// Forgets every decision.
    pub(crate) fn invalidate(&mut self) {
        self.generation += 1;
    }

    /// What was decided for this flow, if it is still valid.
    pub(crate) fn get(&self, flow: &Flow) -> Option<Decision> {
        let place = place(flow);
        [place, place ^ 1].into_iter().find_map(|place| {
            let entry = self.entries.get(place)?.as_ref()?;
            let valid = entry.generation == self.generation && entry.flow == *flow;
            valid.then_some(entry.decision)
        })
    }

    /// Remembers a decision, in the place of an older one if need be.
    pub(crate) fn put(&mut self, flow: Flow, decision: Decision) {
        let place = place(&flow);
        let current = self.generation;
        let stale = |place: &usize| match self.entries.get(*place) {
            Some(Some(entry)) => entry.generation != current,
            _ => true,
        };
        let chosen = if stale(&place) { place } else { place ^ 1 };
        if let Some(entry) = self.entries.get_mut(chosen) {
            *entry = Some(Entry {
                flow,
                decision,
                generation: current,
            });
        }
    }
}

/// Mixes addresses, ports and protocol; what collides costs a look into the policy, no more.
fn place(flow: &Flow) -> usize {
    let ports = u64::from(flow.src_port) << 24 ^ u64::from(flow.dst_port) << 8;
    let mut mixed = ports ^ u64::from(flow.protocol);
    for word in [bits(flow.src), bits(flow.dst)] {
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    (mixed >> 17) as usize & (PLACES - 1)
}

fn bits(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(23)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        let address = IpAddr::from([10, 0, 0, 1]);
        Flow {
            src: address,
            dst: address,
            protocol: 6,
            src_port: port,
            dst_port: 110,
        }
    }

    #[test]
    fn remembers_until_invalidated() {
        let mut cache = FlowCache::new();
        cache.put(flow(1), Decision::Seal(7));
        cache.put(flow(2), Decision::Block);
        assert_eq!(cache.get(&flow(1)), Some(Decision::Seal(7)));
        assert_eq!(cache.get(&flow(2)), Some(Decision::Block));
        assert_eq!(cache.get(&flow(3)), None);
        cache.invalidate();
        assert_eq!(cache.get(&flow(1)), None);
    }

    #[test]
    fn never_answers_for_another_flow_however_many_there_are() {
        let mut cache = FlowCache::new();
        for port in 0..u16::MAX {
            cache.put(flow(port), Decision::Seal(port.into()));
        }
        let right = |port: &u16| match cache.get(&flow(*port)) {
            Some(decision) => {
                assert_eq!(decision, Decision::Seal((*port).into()));
                true
            }
            None => false,
        };
        let kept = (0..u16::MAX).filter(right).count();
        assert!(kept > PLACES / 2, "{kept} flows kept");
    }
}
