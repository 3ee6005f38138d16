//! Policies of the kernel for rules and SAs, without a kernel.

use crate::config;
use crate::plane::kernel::claims::{Claim, Claims, Place};
use crate::plane::kernel::lines;
use crate::plane::kernel::pair::{Pair, Way};
use crate::plane::kernel::slots::Slots;
use crypto::suite::Encryption;
use linux::xfrm::{Direction, PolicyAction};
use policy::child::OuterHeader;
use policy::{
    AddressRange, Bucket, ChildId, Encapsulation, KeyMaterial, Mode, PeerName, PortRange, RuleName,
    SaSpec, Secret, Selectors, Spd, TrafficSelector, Translation,
};
use std::net::IpAddr;
use std::sync::Arc;

const HEAD: &str = "[[peer]]\nname = \"p\"\naddress = \"10.0.0.2\"\n\
                    psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spd(rules: &str, own: &[&str]) -> Spd {
    let text = format!("{HEAD}{rules}");
    let mut none = |_: &str, _| Err::<Vec<u8>, String>("no files".to_owned());
    let loaded = config::parse("test", &text, &mut none).map_err(|report| report.render(false));
    let rules = loaded
        .unwrap_or_else(|report| panic!("{report}"))
        .config
        .rules;
    let own: Vec<IpAddr> = own.iter().map(|one| ip(one)).collect();
    Spd::build(rules, &own)
}

fn rule(lines: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nlocal = \"10.0.0.1\"\nremote = \"10.0.0.2\"\n{lines}\n")
}

fn all(spd: &Spd) -> Vec<(Place, Claim)> {
    let entries = spd.entries().iter().enumerate();
    let claims = entries.flat_map(|(place, entry)| lines::of_line(spd, entry, place));
    claims.collect()
}

fn spec(number: u64, ports: (u16, u16)) -> SaSpec {
    let side = |address: &str, ports| {
        vec![TrafficSelector {
            protocol: 6,
            ports,
            addresses: AddressRange::host(ip(address)),
        }]
    };
    let keys = || KeyMaterial {
        encryption: Secret::new(vec![7; 20]),
        integrity: Secret::empty(),
    };
    SaSpec {
        id: ChildId(number),
        rule: RuleName::new("r"),
        peer: PeerName::new("p"),
        mode: Mode::Transport,
        encapsulation: Encapsulation::None,
        local: ip("10.0.0.1"),
        remote: ip("10.0.0.2"),
        nat: Translation::default(),
        outer: OuterHeader::default(),
        inbound_spi: 0x1000 + number as u32,
        outbound_spi: 0x2000 + number as u32,
        encryption: Encryption::AesGcm16 { key_bits: 128 },
        integrity: None,
        esn: true,
        replay_window: 1024,
        selectors: Selectors {
            local: side("10.0.0.1", PortRange::ANY),
            remote: side("10.0.0.2", PortRange::new(ports.0, ports.1).unwrap()),
        },
        inbound_keys: keys(),
        outbound_keys: keys(),
    }
}

#[test]
fn a_line_becomes_exactly_its_ports_and_ways() {
    let text = rule("protocol = \"tcp\"\nremote_ports = \"8000-8010\"\naction = \"require\"");
    let claims = all(&spd(&text, &["10.0.0.1"]));
    let of = |direction| {
        let ours = claims
            .iter()
            .filter(move |(place, _)| place.direction == direction);
        ours.collect::<Vec<_>>()
    };
    let mut ports: Vec<u16> = Vec::new();
    for (place, claim) in of(Direction::Out) {
        let block = place.selector.destination_ports;
        ports.extend(block.port..=block.last());
        assert!(matches!(claim.action, PolicyAction::Protect(template) if !template.optional));
    }
    assert_eq!(ports, (8000..=8010).collect::<Vec<u16>>());
    for direction in [Direction::In, Direction::Forward] {
        let back = of(direction);
        assert_eq!(back.len(), 3);
        let blocks = |(_, claim): &&(Place, Claim)| claim.action == PolicyAction::Block;
        assert!(back.iter().all(blocks), "nothing comes in without an SA");
    }
}

#[test]
fn what_is_dormant_is_blocked_and_what_is_requested_passes() {
    let dormant = all(&spd(&rule("action = \"require\""), &["10.0.0.9"]));
    assert!(!dormant.is_empty());
    assert!(
        dormant
            .iter()
            .all(|(_, claim)| claim.action == PolicyAction::Block)
    );
    for (place, claim) in all(&spd(&rule("action = \"request\""), &["10.0.0.1"])) {
        match place.direction {
            Direction::Out => assert!(
                matches!(claim.action, PolicyAction::Protect(template) if template.optional)
            ),
            _ => assert_eq!(claim.action, PolicyAction::Allow),
        }
    }
}

#[test]
fn sas_that_may_stand_for_each_other_share_their_policies() {
    let text = rule("protocol = \"tcp\"\nremote_ports = \"8000-8007\"\naction = \"require\"");
    let spd = spd(&text, &["10.0.0.1"]);
    let (mut slots, mut claims) = (Slots::new(), Claims::new([]));
    let between = (ip("10.0.0.1"), ip("10.0.0.2"));
    let old = slots.enter(&spec(1, (8000, 8007)), between).unwrap();
    let new = slots.enter(&spec(2, (8000, 8007)), between).unwrap();
    assert_eq!(old, new, "a rekeying changes nothing");
    let narrow = slots.enter(&spec(3, (8000, 8003)), between).unwrap();
    assert_ne!(old, narrow);
    let (wide, narrower) = (slots.get(old).unwrap(), slots.get(narrow).unwrap());
    assert_eq!(wide.inbound_reqid, narrower.inbound_reqid);
    assert_ne!(wide.outbound_reqid, narrower.outbound_reqid);
    assert!(claims.is_settled());
    let child = ChildId(1);
    slots.set(old, child, Direction::Out, true, &spd, &mut claims);
    assert!(!claims.is_settled());
    slots.leave(old);
    slots.leave(old);
    assert!(slots.get(old).is_none(), "nobody is left");
    let mut shared = spec(4, (8000, 8007));
    shared.nat.party = Some(9);
    let refusal = slots.enter(&shared, between).unwrap_err();
    assert!(refusal.contains("behind the same NAT"), "{refusal}");
}

/// What takeover rests on, on the control thread's side.
#[test]
fn a_survivor_begins_at_the_ceiling_and_an_heir_at_the_exact_number() {
    let mut pair = Pair::new(Arc::new(spec(1, (1, 9))), Bucket(3), 1);
    assert!(!pair.has_numbers(), "nothing is granted yet");
    pair.follow(1025);
    pair.enter(7);
    assert_eq!((pair.next, pair.has_numbers()), (1025, false));
    pair.ceiling = 2049;
    pair.refill_at = 1537;
    let limits = pair.lifetimes(pair.next);
    assert_eq!((limits.soft_packets, limits.hard_packets), (512, 1024));
    let sa = pair.outbound_sa(5, pair.next, 0x4846);
    assert_eq!((sa.replay.sent, sa.output_mark), (1024, Some(0x4846)));
    pair.enter(7);
    assert_eq!(pair.next, 1025, "the same epoch jumps nowhere");
    pair.set_exact(1100);
    pair.enter(8);
    assert_eq!((pair.next, pair.ceiling), (1100, 1100));
    assert_eq!(pair.id(Way::In).spi, 0x1001);
    assert!(Pair::new(Arc::new(spec(2, (1, 9))), Bucket::HOST, 1).has_numbers());
}
