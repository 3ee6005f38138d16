//! Addresses in notifications: what is written is what is read, and nothing else is.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn four() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into())
}

fn six() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into())
}

fn pairs() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![(four(), four()), (six(), six())]
}

proptest! {
    #[test]
    fn additional_addresses_round_trip(address in prop_oneof![four(), six()]) {
        let notify = Notify::additional_address(address);
        prop_assert_eq!(notify.as_additional_address(), Some(address));
        let other = Notify { kind: NotifyType::COOKIE2, ..notify };
        prop_assert_eq!(other.as_additional_address(), None);
    }

    #[test]
    fn what_no_nat_may_change_round_trips(
        (from, to) in pairs(),
        ports in any::<(u16, u16)>(),
    ) {
        let said = NoNatsAllowed {
            source: SocketAddr::new(from, ports.0),
            destination: SocketAddr::new(to, ports.1),
        };
        let notify = said.to_notify().unwrap();
        prop_assert_eq!(NoNatsAllowed::of(&notify), Some(said));
    }

    #[test]
    fn whatever_is_read_is_written_as_it_was(data in prop::collection::vec(any::<u8>(), 0..80)) {
        let notify = |kind| Notify::new(kind, data.clone());
        let no_nats = notify(NotifyType::NO_NATS_ALLOWED);
        if let Some(read) = NoNatsAllowed::of(&no_nats) {
            prop_assert_eq!(read.to_notify(), Some(no_nats));
        }
        let kinds = [NotifyType::ADDITIONAL_IP4_ADDRESS, NotifyType::ADDITIONAL_IP6_ADDRESS];
        for additional in kinds.map(notify) {
            if let Some(read) = additional.as_additional_address() {
                prop_assert_eq!(Notify::additional_address(read), additional);
            }
        }
        let cookie = notify(NotifyType::COOKIE2);
        let has_length = (8..=64).contains(&data.len());
        prop_assert_eq!(cookie.as_cookie2(), has_length.then_some(data.as_slice()));
    }
}

#[test]
fn the_rfcs_layout() {
    let said = NoNatsAllowed {
        source: "192.0.2.7:4500".parse().unwrap(),
        destination: "198.51.100.9:500".parse().unwrap(),
    };
    let notify = said.to_notify().unwrap();
    assert_eq!(notify.data, hex("c0000207 c6336409 1194 01f4"));
    let mixed = NoNatsAllowed {
        destination: "[2001:db8::1]:500".parse().unwrap(),
        ..said
    };
    assert_eq!(mixed.to_notify(), None);
    for bad in [
        "",
        "c0000207",
        "c0000207c6336409119401",
        "c0000207c6336409119401f400",
    ] {
        let notify = Notify::new(NotifyType::NO_NATS_ALLOWED, hex(bad));
        assert_eq!(NoNatsAllowed::of(&notify), None, "{bad}");
    }
}
