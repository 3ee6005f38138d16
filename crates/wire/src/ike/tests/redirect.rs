//! Redirections: what is written is what is read, and nothing else is.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn gateway() -> impl Strategy<Value = Gateway> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Gateway::Address(Ipv4Addr::from(octets).into())),
        any::<[u8; 16]>().prop_map(|octets| Gateway::Address(Ipv6Addr::from(octets).into())),
        prop::collection::vec(any::<u8>(), 1..=255).prop_map(Gateway::Name),
    ]
}

proptest! {
    #[test]
    fn redirections_round_trip(
        gateway in gateway(),
        nonce in prop::collection::vec(any::<u8>(), 0..=256),
    ) {
        let redirect = Redirect { gateway, nonce };
        let (to, from) = (redirect.to_notify().unwrap(), redirect.to_origin().unwrap());
        prop_assert_eq!((to.kind, from.kind),
            (NotifyType::REDIRECT, NotifyType::REDIRECTED_FROM));
        prop_assert_eq!(Redirect::of(&to), Some(redirect.clone()));
        prop_assert_eq!(Redirect::of(&from), Some(redirect));
        prop_assert_eq!(Redirect::of(&Notify::new(NotifyType::COOKIE, to.data)), None);
    }

    #[test]
    fn whatever_is_read_is_written_as_it_was(data in prop::collection::vec(any::<u8>(), 0..40)) {
        let notify = Notify::new(NotifyType::REDIRECT, data);
        if let Some(read) = Redirect::of(&notify) {
            prop_assert_eq!(read.to_notify(), Some(notify));
        }
    }
}

#[test]
fn the_rfcs_layout() {
    let redirect = Redirect {
        gateway: Gateway::Address(IpAddr::from([192, 0, 2, 7])),
        nonce: vec![0xaa, 0xbb],
    };
    assert_eq!(
        redirect.to_notify().unwrap().data,
        hex("01 04 c0000207 aabb")
    );
    for bad in [
        "",
        "01",
        "0103c00002",
        "0104c00002",
        "0210c0000207",
        "0300",
        "0404c0000207",
    ] {
        assert_eq!(
            Redirect::of(&Notify::new(NotifyType::REDIRECT, hex(bad))),
            None,
            "{bad}"
        );
    }
    let name = Gateway::Name(vec![b'a'; 256]);
    let nonce = Vec::new();
    assert_eq!(
        Redirect {
            gateway: name,
            nonce
        }
        .to_notify(),
        None
    );
}
