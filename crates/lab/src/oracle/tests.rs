//! The oracle over whole packets: what it is told of, and what it says.

use super::*;
use crate::addresses::{BE1_BACK, FE_BACK};

fn esp(source: std::net::Ipv4Addr, bytes: &[u8]) -> Ipsec<'_> {
    Ipsec {
        source: source.into(),
        destination: FE_BACK.into(),
        part: Part::Esp(bytes),
    }
}

const ONE: [u8; 20] = [0, 0, 0, 9, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4];

#[test]
fn what_leaves_a_virtual_address_twice_is_told() {
    let start = SystemTime::UNIX_EPOCH;
    let mut oracle = Oracle::new(start, IvLength::Eight);
    let at = |ms| start + Duration::from_millis(ms);
    oracle.packet("be1", at(1), &esp(VIP, &ONE));
    oracle.packet("be1", at(2), &esp(BE1_BACK, &ONE));
    let good = oracle.report(&Generations::default());
    assert_eq!((good.packets["be1"], good.sas), (1, 1));
    assert_eq!(good.failures(), Vec::<String>::new());

    oracle.packet("be2", at(1500), &esp(VIP, &ONE));
    let bad = oracle.report(&Generations::default());
    assert_eq!((bad.sequence_repeats, bad.iv_repeats), (1, 1));
    let failures = bad.failures();
    assert!(failures[0].starts_with("1 sequence numbers came twice: number 7 of SPI 0x00000009"));
    let who = "from be2 at 1.500000 s, which be1 had sent between 0.001000 and 0.001000 s";
    assert!(failures[0].contains(who), "{failures:?}");
    assert!(failures[1].contains("IV 0x1000000000007"), "{failures:?}");
}

#[test]
fn an_ike_message_that_changed_is_told() {
    let mut oracle = Oracle::new(SystemTime::UNIX_EPOCH, IvLength::Eight);
    for (node, last) in [("be1", 1), ("be2", 2)] {
        let mut message = vec![7; 28];
        message.push(last);
        let packet = Ipsec {
            part: Part::Ike(&message),
            ..esp(VIP, &[])
        };
        oracle.packet(node, SystemTime::UNIX_EPOCH, &packet);
    }
    let report = oracle.report(&Generations::default());
    assert_eq!((report.ike_messages, report.ike_conflicts), (1, 1));
    assert!(report.failures()[0].contains("from be2"), "{report:?}");
}
