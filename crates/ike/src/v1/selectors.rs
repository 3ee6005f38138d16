//! The traffic of a quick mode: one pair of identities, IDci and IDcr (RFC 2407 section 4.6.2, RFC
//! 2409 section 5.5).

use std::net::IpAddr;

use policy::range::{AddressRange, PortRange};
use policy::selector::{Direction, SelectorPair, Selectors, TrafficSelector};
use wire::isakmp::Identification;
use wire::isakmp::numbers::{ID_IPV4_ADDR_RANGE, ID_IPV6_ADDR_RANGE};

use crate::command::Acquire;

/// What one quick mode can ask for of what is wanted: the part that the packet is in, or the first.
/// A port is one or all of them here, so a range of ports is narrowed to the packet's own.
pub(crate) fn choose(wanted: &Acquire) -> Option<SelectorPair> {
    let mut pairs = wanted.selectors.pairs();
    let Some(flow) = &wanted.flow else {
        return pairs.find(is_expressible);
    };
    let exact = SelectorPair::exact(flow, Direction::Outbound);
    let around = pairs.find(|pair| pair.covers(&exact))?;
    let narrow = |side: TrafficSelector, one: TrafficSelector| match is_one_or_all(side.ports) {
        true => side,
        false => TrafficSelector {
            ports: one.ports,
            protocol: one.protocol,
            ..side
        },
    };
    let pair = SelectorPair {
        local: narrow(around.local, exact.local),
        remote: narrow(around.remote, exact.remote),
    };
    Some(same_protocol(pair)).filter(is_expressible)
}

/// Whether selectors hold all that a request is about at the moment: its packet, or else what one
/// quick mode would ask for.
pub(crate) fn covers(selectors: &Selectors, wanted: &Acquire) -> bool {
    match &wanted.flow {
        Some(flow) => selectors.contains(flow, Direction::Outbound),
        None => choose(wanted).is_some_and(|asked| selectors.pairs().any(|one| one.covers(&asked))),
    }
}

/// Both identities have the protocol: one that one side alone names counts for both.
fn same_protocol(pair: SelectorPair) -> SelectorPair {
    let protocol = pair.local.protocol.max(pair.remote.protocol);
    let with = |side: TrafficSelector| TrafficSelector { protocol, ..side };
    SelectorPair {
        local: with(pair.local),
        remote: with(pair.remote),
    }
}

fn is_one_or_all(ports: PortRange) -> bool {
    ports.is_any() || ports.start == ports.end
}

fn is_expressible(pair: &SelectorPair) -> bool {
    is_one_or_all(pair.local.ports) && is_one_or_all(pair.remote.ports)
}

/// The identity that stands for a side, whose ports are one or all.
pub(crate) fn to_wire(side: &TrafficSelector) -> Identification {
    let (range, protocol) = (&side.addresses, side.protocol);
    let port = if side.ports.is_any() {
        0
    } else {
        side.ports.start
    };
    if let Some(host) = range.as_host() {
        return Identification::address(host, protocol, port);
    }
    let length = range.prefix_length();
    let subnet =
        length.and_then(|length| Identification::subnet(range.start(), length, protocol, port));
    subnet.unwrap_or_else(|| Identification {
        kind: match range.is_ipv4() {
            true => ID_IPV4_ADDR_RANGE,
            false => ID_IPV6_ADDR_RANGE,
        },
        protocol,
        port,
        data: [octets(range.start()), octets(range.end())].concat(),
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The side that an identity stands for; `None` for a name, or a mask with holes.
pub(crate) fn from_wire(id: &Identification) -> Option<TrafficSelector> {
    let (first, last) = id.addresses()?;
    let ports = match id.port {
        0 => PortRange::ANY,
        port => PortRange::single(port),
    };
    Some(TrafficSelector {
        protocol: id.protocol,
        ports,
        addresses: AddressRange::new(first, last)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::child::ChildTemplate;
    use policy::selector::Selectors;
    use std::sync::Arc;
    use wire::ip::Flow;
    use wire::isakmp::numbers::{ID_IPV4_ADDR, ID_IPV4_ADDR_SUBNET};

    fn range(text: &str) -> AddressRange {
        match text.split_once('-') {
            Some((start, end)) => {
                AddressRange::new(start.parse().unwrap(), end.parse().unwrap()).unwrap()
            }
            None => {
                let (address, length) = text.split_once('/').unwrap();
                AddressRange::subnet(address.parse().unwrap(), length.parse().unwrap()).unwrap()
            }
        }
    }

    fn side(text: &str, ports: PortRange) -> TrafficSelector {
        TrafficSelector {
            protocol: 6,
            ports,
            addresses: range(text),
        }
    }

    #[test]
    fn every_kind_of_address_comes_back() {
        let texts = [
            "10.0.0.1/32",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "10.0.0.3-10.0.0.9",
            "2001:db8::1/128",
            "2001:db8::/33",
            "::/0",
            "2001:db8::1-2001:db8::7",
        ];
        for text in texts {
            for ports in [PortRange::ANY, PortRange::single(110)] {
                let side = side(text, ports);
                assert_eq!(from_wire(&to_wire(&side)), Some(side), "{text}");
            }
        }
    }

    #[test]
    fn masks_with_holes_and_names_are_no_traffic() {
        let id = |kind, data: &[u8]| Identification {
            kind,
            protocol: 0,
            port: 0,
            data: data.to_vec(),
        };
        assert_eq!(
            from_wire(&id(ID_IPV4_ADDR_SUBNET, &[10, 0, 0, 0, 255, 0, 255, 0])),
            None
        );
        assert_eq!(
            from_wire(&id(ID_IPV4_ADDR_SUBNET, &[10, 0, 0, 0, 127, 0, 0, 0])),
            None
        );
        assert_eq!(from_wire(&id(2, b"host.example")), None);
        let backwards = id(ID_IPV4_ADDR_RANGE, &[9, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(from_wire(&backwards), None);
        assert_eq!(from_wire(&id(ID_IPV4_ADDR, &[9, 0, 0])), None);
    }

    #[test]
    fn a_range_of_ports_is_narrowed_to_the_packet() {
        let ports = PortRange::new(80, 90).unwrap();
        let mut wanted = Acquire {
            rule: "web".into(),
            peer: "peer".into(),
            local: "10.0.0.1".parse().unwrap(),
            remote: "10.0.0.2".parse().unwrap(),
            flow: None,
            child: Arc::new(ChildTemplate::transport()),
            selectors: Selectors {
                local: vec![side("10.0.0.1/32", PortRange::ANY)],
                remote: vec![side("10.0.0.2/32", ports)],
            },
        };
        assert_eq!(choose(&wanted), None);
        wanted.flow = Some(Flow {
            src: wanted.local,
            dst: wanted.remote,
            protocol: 6,
            src_port: 40000,
            dst_port: 81,
        });
        let asked = choose(&wanted).unwrap();
        assert_eq!(asked.local, side("10.0.0.1/32", PortRange::ANY));
        assert_eq!(asked.remote, side("10.0.0.2/32", PortRange::single(81)));
        let made = Selectors {
            local: vec![asked.local],
            remote: vec![asked.remote],
        };
        assert!(covers(&made, &wanted));
        wanted.flow.as_mut().unwrap().dst_port = 82;
        assert!(!covers(&made, &wanted));
    }
}
