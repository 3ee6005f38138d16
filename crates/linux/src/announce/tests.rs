//! Announcements seen on the wire.

use super::*;
use crate::netns;
use crate::packet::FrameBatch;
use crate::testing::{ip, root_or_say_so, two, wait};

#[test]
fn the_frames_are_those_of_the_standards() {
    let mac = [2, 0, 0, 0, 0, 9];
    let request = gratuitous_arp(mac, Ipv4Addr::new(192, 0, 2, 100), ArpForm::Request);
    assert_eq!(
        request[..42],
        [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2,
            0, 0, 0, 0, 9, 192, 0, 2, 100, 0, 0, 0, 0, 0, 0, 192, 0, 2, 100
        ]
    );
    assert_eq!(request.len(), 60);
    let reply = gratuitous_arp(mac, Ipv4Addr::new(192, 0, 2, 100), ArpForm::Reply);
    assert_eq!(reply[20..22], [0, 2]);
    let frame = advertisement(mac, "2001:db8::100".parse().unwrap());
    assert_eq!(frame.len(), 14 + 40 + 32);
    assert_eq!(frame[54..62], [136, 0, frame[56], frame[57], 0x20, 0, 0, 0]);
    // With its checksum in place the sum over a whole message is zero.
    let sum = checksum("2001:db8::100".parse().unwrap(), ALL_NODES, &frame[54..]);
    assert_eq!(sum, 0);
}

/// The link-layer address that the neighbour's kernel has for `address`.
fn known(space: &crate::testing::Namespace, address: &str) -> String {
    let text = space.output("ip", &["neigh", "show", "to", address, "dev", "eth0"]);
    let mut words = text.split_whitespace().skip_while(|word| *word != "lladdr");
    words.nth(1).unwrap_or("nothing").to_string()
}

#[test]
fn neighbours_learn_that_an_address_has_moved() {
    if !root_or_say_so("gratuitous ARP and neighbour advertisements") {
        return;
    }
    let (a, b) = two("announce");
    let capture = b.run(|| PacketSocket::capture("eth0", 1 << 20)).unwrap();
    let announcer = a.run(|| Announcer::open("eth0")).unwrap();
    let [m0, m1, m2, m3, m4, m5] = announcer.mac();
    let mac = format!("{m0:02x}:{m1:02x}:{m2:02x}:{m3:02x}:{m4:02x}:{m5:02x}");
    for (vip, other) in [
        ("192.0.2.100", "02:00:00:00:00:01"),
        ("2001:db8::100", "02:00:00:00:00:01"),
    ] {
        // The neighbour knows the address at its old owner.
        let old = [
            "neigh", "replace", vip, "lladdr", other, "dev", "eth0", "nud", "stale",
        ];
        b.output("ip", &old);
        assert_eq!(known(&b, vip), other);
        announcer.announce(ip(vip)).unwrap();
        wait(&capture);
        for _ in 0..100 {
            if known(&b, vip) == mac {
                break;
            }
        }
        assert_eq!(known(&b, vip), mac, "{vip}");
    }
    let mut batch = FrameBatch::new(64, 2048);
    capture.receive(&mut batch).unwrap();
    let arp: Vec<_> = batch
        .iter()
        .filter(|frame| frame.bytes[12..14] == ETHERTYPE_ARP)
        .collect();
    assert_eq!(
        arp.iter().map(|frame| frame.bytes[21]).collect::<Vec<_>>(),
        [1, 2]
    );

    let text = a.run(|| Announcer::open("lo0")).unwrap_err().to_string();
    assert!(
        text.starts_with("cannot find the interface lo0: "),
        "{text}"
    );
    let mut netlink = netns::netlink(&a.name).unwrap();
    let link = netlink.link("eth0").unwrap().index;
    netlink.set_up(link, false).unwrap();
    let error = announcer.announce(ip("192.0.2.100")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENETDOWN));
}
