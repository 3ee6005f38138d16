//! Against this machine's kernel: policies, waits and dumps; what it says of ESP where it has none.

use std::time::{Duration, Instant};

use super::{ip, policy, prefix};
use crate::testing::{Namespace, root_or_say_so, two};
use crate::xfrm::*;

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn policies_are_set_replaced_listed_and_removed() {
    if !root_or_say_so("XFRM policies") {
        return;
    }
    let space = Namespace::new("xfrm-pol");
    let mut xfrm = space.run(Xfrm::open).unwrap();
    let template = Template {
        reqid: 0x4800_0001,
        mode: Mode::Transport,
        outer: None,
        optional: false,
    };
    let mut one = policy(Direction::Out, PolicyAction::Protect(template));
    xfrm.set_policy(&one).unwrap();
    let text = squeezed(&space.output("ip", &["-s", "xfrm", "policy"]));
    let wanted = "src 10.1.0.0/16 dst 10.2.0.5/32 proto tcp dport 8000";
    assert!(text.contains(wanted), "{text}");
    let wanted = "dir out action allow index 1207959561 priority 4711";
    assert!(text.contains(wanted), "{text}");
    let wanted = "proto esp spi 0x00000000(0) reqid 1207959553(0x48000001) mode transport \
                  level required share any";
    assert!(text.contains(wanted), "{text}");
    // Another priority and action, in its place; a block in another direction beside it.
    one.priority = 12;
    one.action = PolicyAction::Allow;
    xfrm.set_policy(&one).unwrap();
    let mut other = policy(Direction::In, PolicyAction::Block);
    other.selector = Selector::any(crate::Family::V6);
    other.mark = Some(Mark { value: 9, mask: 9 });
    xfrm.set_policy(&other).unwrap();
    let foreign = [
        "xfrm",
        "policy",
        "add",
        "src",
        "10.9.0.0/16",
        "dir",
        "fwd",
        "action",
        "block",
    ];
    space.output("ip", &foreign);
    let mut listed = xfrm.policies().unwrap();
    listed.retain(|known| known.index >> 24 == 0x48);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(
        listed.contains(&one) && listed.contains(&other),
        "{listed:?}"
    );
    assert!(xfrm.delete_policy(&one).unwrap());
    assert!(!xfrm.delete_policy(&one).unwrap());
    assert!(xfrm.delete_policy(&other).unwrap());
    assert_eq!(xfrm.policies().unwrap().len(), 1, "the foreign one is left");
}

/// Whatever this kernel can, it does not take an SA of ESP with a key of a wrong length, and an SA
/// that is not there is not found.
#[test]
fn refusals_are_sentences() {
    if !root_or_say_so("XFRM SAs") {
        return;
    }
    let space = Namespace::new("xfrm-sa");
    let mut xfrm = space.run(Xfrm::open).unwrap();
    let sa = super::sa(Algorithm::AesGcm(&[1; 7]));
    let error = xfrm.add_sa(&sa).unwrap_err().to_string();
    let wanted = "cannot install the SA with SPI 12345678 to 192.0.2.2 (rfc4106(gcm(aes))): ";
    assert!(error.starts_with(wanted), "{error}");
    assert_eq!(xfrm.sas().unwrap(), []);
    assert_eq!(xfrm.sa(sa.id).unwrap(), None);
    assert!(!xfrm.delete_sa(sa.id, sa.source, None).unwrap());
    assert_eq!(xfrm.end_sas(&[(sa.id, sa.source)]).unwrap(), [None]);
    assert!(xfrm.set_replay(sa.id, sa.source, &sa.replay).is_err());
}

#[test]
fn a_packet_without_an_sa_is_told_and_its_wait_can_be_ended() {
    if !root_or_say_so("XFRM acquires") {
        return;
    }
    let (a, b) = two("xfrm-acq");
    let _ = &b;
    a.address("eth0", "10.77.0.1/24");
    let mut xfrm = a.run(Xfrm::open).unwrap();
    let mut monitor = a.run(XfrmMonitor::open).unwrap();
    let mut wanted = policy(
        Direction::Out,
        PolicyAction::Protect(Template {
            reqid: 0x4800_0002,
            mode: Mode::Transport,
            outer: None,
            optional: false,
        }),
    );
    wanted.selector = Selector {
        source: prefix("0.0.0.0/0"),
        destination: prefix("10.77.0.2/32"),
        protocol: 17,
        source_ports: PortBlock::ANY,
        destination_ports: PortBlock::ANY,
    };
    xfrm.set_policy(&wanted).unwrap();
    let socket = a
        .run(|| std::net::UdpSocket::bind("10.77.0.1:4444"))
        .unwrap();
    for round in 0..2 {
        let _ = socket.send_to(b"x", "10.77.0.2:5555");
        let acquire = acquire_of(&mut monitor);
        let selector = acquire.selector;
        assert_eq!(selector.source, prefix("10.77.0.1/32"), "round {round}");
        assert_eq!(selector.destination, prefix("10.77.0.2/32"));
        assert_eq!((selector.protocol, selector.source_ports.port), (17, 4444));
        assert_eq!(selector.destination_ports.port, 5555);
        assert_eq!(
            (acquire.reqid, acquire.mode),
            (0x4800_0002, Mode::Transport)
        );
        assert_eq!(acquire.outer, (ip("10.77.0.1"), ip("10.77.0.2")));
        // A second packet does not ask again while the first one's wait lasts.
        let _ = socket.send_to(b"x", "10.77.0.2:5555");
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(monitor.next_event().unwrap(), None);
        assert!(xfrm.end_acquire(&acquire).unwrap());
        assert_eq!(xfrm.sas().unwrap(), []);
    }
}

fn acquire_of(monitor: &mut XfrmMonitor) -> Acquire {
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        match monitor.next_event().unwrap() {
            Some(Event::Acquire(acquire)) => return acquire,
            _ => assert!(Instant::now() < end, "nothing was asked for"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
