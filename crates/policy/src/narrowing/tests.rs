//! Narrowing against every packet of a small world (RFC 7296 section 2.9).

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::range::PortRange;
use crate::selector::Endpoint;

const PROTOCOLS: [u8; 3] = [0, 6, 17];

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// Selectors over 6 addresses and 5 ports, so that a test can try every packet.
fn selector() -> impl Strategy<Value = TrafficSelector> {
    let two = |max: u8| (0..max, 0..max).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (0..PROTOCOLS.len(), two(6), two(5), any::<bool>()).prop_map(|(kind, ends, ports, every)| {
        TrafficSelector {
            protocol: PROTOCOLS[kind],
            ports: match every {
                true => PortRange::ANY,
                false => PortRange {
                    start: ports.0.into(),
                    end: ports.1.into(),
                },
            },
            addresses: AddressRange::new(address(ends.0), address(ends.1)).unwrap(),
        }
    })
}

fn side() -> impl Strategy<Value = Vec<TrafficSelector>> {
    proptest::collection::vec(selector(), 0..5)
}

fn every_packet() -> impl Iterator<Item = (u8, Endpoint)> {
    [6, 17, 1].into_iter().flat_map(|protocol| {
        (0..6u8).flat_map(move |last| {
            (0..6u16).map(move |port| {
                (
                    protocol,
                    Endpoint {
                        address: address(last),
                        port,
                    },
                )
            })
        })
    })
}

fn holds(side: &[TrafficSelector], protocol: u8, end: Endpoint) -> bool {
    side.iter().any(|selector| selector.contains(protocol, end))
}

proptest! {
    #[test]
    fn intersection_is_commutative_and_exact(a in selector(), b in selector()) {
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        for (protocol, end) in every_packet() {
            let both = a.contains(protocol, end) && b.contains(protocol, end);
            let common = a.intersect(&b).is_some_and(|common| common.contains(protocol, end));
            prop_assert_eq!(both, common);
        }
        if let Some(common) = a.intersect(&b) {
            prop_assert!(a.covers(&common) && b.covers(&common));
        }
        prop_assert_eq!(a.covers(&b), a.intersect(&b) == Some(b));
    }

    #[test]
    fn narrowing_is_exactly_what_both_hold(offered in side(), allowed in side()) {
        let narrowed = narrow_side(&offered, &allowed);
        for (protocol, end) in every_packet() {
            let both = holds(&offered, protocol, end) && holds(&allowed, protocol, end);
            prop_assert_eq!(both, holds(&narrowed, protocol, end), "{:?}", narrowed);
        }
        // Each selector keeps to one of each side: peers compare selector by selector.
        for one in &narrowed {
            prop_assert!(offered.iter().any(|offer| offer.covers(one)));
            prop_assert!(allowed.iter().any(|allow| allow.covers(one)));
        }
        for (index, one) in narrowed.iter().enumerate() {
            let others = narrowed.iter().enumerate().filter(|(other, _)| *other != index);
            prop_assert!(!others.into_iter().any(|(_, other)| other.covers(one)));
        }
    }

    #[test]
    fn the_first_choice_is_kept_if_any_rule_allows_it(
        local in side(),
        remote in side(),
        rules in proptest::collection::vec((side(), side()), 1..4),
    ) {
        let offered = Selectors { local, remote };
        let rules: Vec<Selectors> =
            rules.into_iter().map(|(local, remote)| Selectors { local, remote }).collect();
        let chosen = choose(&offered, &rules);
        let Some(first) = first_pair(&offered) else {
            prop_assert!(chosen.is_none());
            return Ok(());
        };
        let possible = first.local.protocol == 0
            || first.remote.protocol == 0
            || first.local.protocol == first.remote.protocol;
        let allows = |rule: &Selectors| rule.pairs().any(|pair| pair.covers(&first));
        match &chosen {
            None => prop_assert!(rules.iter().all(|rule| narrow(&offered, rule).is_none())),
            Some((index, answer)) => {
                prop_assert!(is_within(answer, &offered));
                prop_assert!(is_within(answer, &rules[*index]));
                if possible && rules.iter().any(allows) {
                    prop_assert!(answer.pairs().any(|pair| pair.covers(&first)));
                    prop_assert!(rules[..*index].iter().all(|rule| !allows(rule)));
                }
            }
        }
    }
}

fn parse(ports: PortRange, last: u8) -> TrafficSelector {
    TrafficSelector {
        protocol: 6,
        ports,
        addresses: AddressRange::host(address(last)),
    }
}

/// RFC 7296 section 2.9: "If the responder's policy allows it to accept the first selector of TSi
/// and TSr, then the responder MUST narrow the Traffic Selectors to a subset that includes the
/// initiator's first choices."
#[test]
fn a_rule_for_the_packet_wins_over_an_earlier_one() {
    let exact = |port| parse(PortRange::single(port), 1);
    let any = parse(PortRange::ANY, 2);
    let offered = Selectors {
        local: vec![
            exact(143),
            parse(
                PortRange {
                    start: 100,
                    end: 200,
                },
                1,
            ),
        ],
        remote: vec![any],
    };
    let rule = |port| Selectors {
        local: vec![exact(port)],
        remote: vec![any],
    };
    let rules = [rule(110), rule(143)];
    let (index, answer) = choose(&offered, &rules).unwrap();
    assert_eq!(index, 1);
    assert_eq!(answer, rules[1]);
}

#[test]
fn an_answer_that_widens_is_noticed() {
    let narrow = parse(PortRange::single(110), 1);
    let wide = parse(PortRange::ANY, 1);
    let one = |selector| Selectors {
        local: vec![selector],
        remote: vec![selector],
    };
    assert!(is_within(&one(narrow), &one(wide)));
    assert!(!is_within(&one(wide), &one(narrow)));
    assert!(!is_within(&Selectors::default(), &one(wide)));
}

#[test]
fn answers_are_bounded() {
    let offered: Vec<_> = (0..200)
        .map(|port| parse(PortRange::single(port), 1))
        .collect();
    let narrowed = narrow_side(&offered, &[parse(PortRange::ANY, 1)]);
    assert_eq!(narrowed.len(), MAX_SELECTORS);
    assert_eq!(narrowed.first(), offered.first());
}

#[test]
fn transport_mode_keeps_two_hosts() {
    let subnet = AddressRange::subnet(address(0), 24).unwrap();
    let wide = TrafficSelector {
        protocol: 6,
        ports: PortRange::single(110),
        addresses: subnet,
    };
    let selectors = Selectors {
        local: vec![wide],
        remote: vec![wide],
    };
    let cut = between_hosts(&selectors, address(1), address(2));
    assert_eq!(
        cut.to_string(),
        "10.0.0.1/32[tcp/110] === 10.0.0.2/32[tcp/110]"
    );
    let outside = between_hosts(&selectors, address(1), "192.0.2.1".parse().unwrap());
    assert!(outside.remote.is_empty());
}
