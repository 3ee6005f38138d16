//! Traffic selectors: to and from the wire, and past a NAT (RFC 7296 sections 2.9 and 2.23.1).

use std::net::IpAddr;

use policy::range::AddressRange;
use policy::sa::Hosts;
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

/// The one host that a side names, as transport mode has it.
pub(crate) fn host(side: &[TrafficSelector]) -> Option<IpAddr> {
    let host = side.first()?.addresses.as_host()?;
    let same = |one: &TrafficSelector| one.addresses.as_host() == Some(host);
    side.iter().all(same).then_some(host)
}

/// Puts the address that we see into the place of the one host that a side names, for a peer
/// that wrote its own view of addresses which a NAT changed on the way (section 2.23.1).
pub(crate) fn see(side: &mut [TrafficSelector], seen: IpAddr) {
    if host(side).is_some_and(|written| written.is_ipv4() == seen.is_ipv4()) {
        for one in side {
            one.addresses = AddressRange::host(seen);
        }
    }
}

/// The hosts as the peer wrote them, local first, if it named one on each side.
pub(crate) fn written(selectors: &Selectors) -> Option<Hosts> {
    Some(Hosts {
        local: host(&selectors.local)?,
        remote: host(&selectors.remote)?,
    })
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
    fn a_nat_is_seen_through() {
        let mut side = vec![host("192.168.1.9", 1), host("192.168.1.9", 2)];
        let written = super::host(&side);
        assert_eq!(written, Some("192.168.1.9".parse().unwrap()));
        see(&mut side, "203.0.113.5".parse().unwrap());
        assert_eq!(side, [host("203.0.113.5", 1), host("203.0.113.5", 2)]);
    }

    #[test]
    fn a_side_of_several_hosts_or_of_a_subnet_is_left_alone() {
        let seen = "203.0.113.5".parse().unwrap();
        let two = [host("192.168.1.9", 1), host("192.168.1.8", 1)];
        let any = [TrafficSelector::all(AddressRange::ANY_V4)];
        let other = [TrafficSelector::all(AddressRange::host(
            "fd00::9".parse().unwrap(),
        ))];
        for side in [&two[..], &any, &other, &[]] {
            let mut changed = side.to_vec();
            see(&mut changed, seen);
            assert_eq!(changed, side);
        }
    }
}
