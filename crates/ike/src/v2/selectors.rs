//! Traffic selectors: to and from the wire, and past a NAT (RFC 7296 sections 2.9 and 2.23.1).

use std::net::IpAddr;

use policy::range::AddressRange;
use policy::selector::{SelectorPair, Selectors, TrafficSelector};
use wire::ike::TrafficSelectors;

/// What to put into a TS payload.
pub(crate) fn to_wire(side: &[TrafficSelector]) -> TrafficSelectors {
    TrafficSelectors(side.iter().map(TrafficSelector::to_wire).collect())
}

/// What a TS payload says, without what we cannot express (OPAQUE ports): less is offered then.
pub(crate) fn from_wire(side: &TrafficSelectors) -> Vec<TrafficSelector> {
    side.0
        .iter()
        .filter_map(TrafficSelector::from_wire)
        .collect()
}

/// What an initiator asks for: the packet first, then all that the rule covers.
pub(crate) fn offer(flow: Option<SelectorPair>, rule: &Selectors) -> Selectors {
    let side = |first: Option<TrafficSelector>, rest: &[TrafficSelector]| {
        // A selector that is the whole rule need not be said twice.
        let first = first.filter(|first| rest != [*first]);
        first
            .into_iter()
            .chain(rest.iter().copied())
            .take(wire::ike::limits::SELECTORS)
            .collect()
    };
    Selectors {
        local: side(flow.map(|pair| pair.local), &rule.local),
        remote: side(flow.map(|pair| pair.remote), &rule.remote),
    }
}

/// The address that a side of a transport mode offer was written with before a NAT changed it.
pub(crate) type Original = Option<IpAddr>;

/// Puts the address that we see into the place of the one host that a side names, for a peer
/// that wrote its own view of addresses which a NAT changed on the way (section 2.23.1).
pub(crate) fn see(side: &mut [TrafficSelector], seen: IpAddr) -> Original {
    let written = side.first()?.addresses.as_host()?;
    let same = |one: &&TrafficSelector| one.addresses.as_host() == Some(written);
    if written == seen || written.is_ipv4() != seen.is_ipv4() || !side.iter().all(|one| same(&one))
    {
        return None;
    }
    replace(side, seen);
    Some(written)
}

/// Undoes [`see`] in the answer.
pub(crate) fn unsee(side: &mut [TrafficSelector], original: Original) {
    if let Some(written) = original {
        replace(side, written);
    }
}

fn replace(side: &mut [TrafficSelector], address: IpAddr) {
    side.iter_mut()
        .for_each(|one| one.addresses = AddressRange::host(address));
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::range::PortRange;

    fn host(address: &str, port: u16) -> TrafficSelector {
        let addresses = AddressRange::host(address.parse().unwrap());
        TrafficSelector {
            protocol: 6,
            ports: PortRange::single(port),
            addresses,
        }
    }

    #[test]
    fn the_packet_comes_first_and_is_not_repeated() {
        let rule = Selectors {
            local: vec![host("10.0.0.1", 110)],
            remote: vec![host("10.0.0.2", 0)],
        };
        let flow = SelectorPair {
            local: host("10.0.0.1", 110),
            remote: host("10.0.0.2", 40000),
        };
        let offer = offer(Some(flow), &rule);
        assert_eq!(offer.local, rule.local);
        assert_eq!(offer.remote, [host("10.0.0.2", 40000), host("10.0.0.2", 0)]);
    }

    #[test]
    fn a_nat_is_seen_through_and_back() {
        let mut side = vec![host("192.168.1.9", 1), host("192.168.1.9", 2)];
        let original = see(&mut side, "203.0.113.5".parse().unwrap());
        assert_eq!(side, [host("203.0.113.5", 1), host("203.0.113.5", 2)]);
        unsee(&mut side, original);
        assert_eq!(side, [host("192.168.1.9", 1), host("192.168.1.9", 2)]);
    }

    #[test]
    fn a_side_of_several_hosts_or_of_a_subnet_is_left_alone() {
        let seen = "203.0.113.5".parse().unwrap();
        let mut two = vec![host("192.168.1.9", 1), host("192.168.1.8", 1)];
        assert_eq!(see(&mut two, seen), None);
        let mut any = vec![TrafficSelector::all(AddressRange::ANY_V4)];
        assert_eq!(see(&mut any, seen), None);
        assert_eq!(see(&mut [], seen), None);
    }
}
