//! Who takes in a datagram, and what a survivor takes in of its predecessor's (RFC 4303 3.4.3).
#![allow(clippy::unwrap_used)] // Tests.

use std::sync::Arc;

use esp::inbound::Arrival;
use esp::reservation::REFILL_INTERVAL;
use esp::{
    Counts, Discard, Inbound, InboundBatch, InboundSa, NotGranted, OutboundSa, Refill, WindowImage,
};
use policy::sa::{Bucket, ChildId};
use wire::ip::protocol;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, address, mirrored};

const ONE: Bucket = Bucket(1);
const CHILD: ChildId = ChildId(1);

/// A node that holds the SA of a peer.
struct Node {
    inbound: Inbound,
    counts: Arc<Counts>,
    now: u64,
}

impl Node {
    fn new(strict: bool) -> Self {
        let counts = Arc::new(Counts::new());
        let mut inbound = Inbound::new(Arc::clone(&counts));
        let sa = InboundSa::new(Arc::new(Pair::PLAIN.spec()), ONE).unwrap();
        inbound.install(if strict { sa.strict() } else { sa });
        Node {
            inbound,
            counts,
            now: 1,
        }
    }

    fn receive(&mut self, datagram: &[u8]) -> Result<(), Discard> {
        let mut buffer = datagram.to_vec();
        let arrival = Arrival {
            source: address(false, 2),
            destination: address(false, 1),
            traffic_class: 0,
            place: 0..buffer.len(),
        };
        let mut batch = InboundBatch::new();
        let taken = self
            .inbound
            .receive(&arrival, &mut buffer, self.now, &mut batch);
        if matches!(taken, Err(Discard::InboundGate | Discard::InboundElsewhere)) {
            assert_eq!(buffer, datagram, "it is to be sent on as it is");
        }
        taken
    }

    fn windows(&mut self, limit: usize) -> Vec<WindowImage> {
        let mut images = Vec::new();
        self.inbound.poll_windows(limit, &mut images);
        images.into_iter().map(|(_, image)| image).collect()
    }
}

/// The datagrams 1 to `count` of the peer.
fn datagrams(count: usize) -> Vec<Vec<u8>> {
    let spec = Arc::new(mirrored(&Pair::PLAIN.spec()));
    let mut sa = OutboundSa::new(spec, Bucket::HOST).unwrap();
    let mut packet = TcpPacket::new(false, vec![1]);
    (packet.src, packet.dst) = (address(false, 2), address(false, 1));
    let payload = packet.emit()[20..].to_vec();
    let seal = |_| {
        let mut datagram = vec![0; sa.sealed_length(payload.len())];
        let offset = sa.payload_offset();
        datagram[offset..offset + payload.len()].copy_from_slice(&payload);
        sa.seal(&mut datagram, payload.len(), protocol::TCP)
            .unwrap();
        datagram
    };
    (0..count).map(seal).collect()
}

#[test]
fn a_gate_refuses_before_any_cryptography() {
    let mut node = Node::new(false);
    let [one, two] = <[Vec<u8>; 2]>::try_from(datagrams(2)).unwrap();
    assert_eq!(node.receive(&one), Err(Discard::InboundGate));
    node.inbound.hand_over_gate(ONE);
    assert_eq!(node.receive(&one), Err(Discard::InboundElsewhere));
    node.inbound.open_gate(ONE, 1);
    assert_eq!(node.receive(&one), Ok(()));
    node.inbound.close_gate(ONE);
    assert_eq!(node.receive(&two), Err(Discard::InboundGate));
    assert_eq!(node.receive(&one), Err(Discard::InboundGate));
    assert_eq!(node.counts.get(Discard::InboundGate), 3);
    assert_eq!(node.counts.get(Discard::InboundElsewhere), 1);
    assert_eq!(node.counts.get(Discard::Authentication), 0);
    node.inbound.open_gate(ONE, 2);
    assert_eq!(node.receive(&one), Err(Discard::ReplaySeen));
    assert_eq!(node.receive(&two), Ok(()));
}

#[test]
fn the_hosts_own_windows_are_nobody_elses() {
    let mut node = Node::new(false);
    let sa = InboundSa::new(Arc::new(Pair::PLAIN.spec()), Bucket::HOST).unwrap();
    node.inbound.install(sa.strict());
    assert_eq!(node.inbound.len(), 1);
    assert_eq!(node.receive(&datagrams(1)[0]), Ok(()));
    assert!(node.windows(9).is_empty());
    let granted = node.inbound.grant(CHILD, 5, 5);
    assert_eq!(granted, Err(NotGranted::NotReserved(CHILD)));
    let granted = node.inbound.grant(ChildId(2), 5, 5);
    assert_eq!(granted, Err(NotGranted::UnknownSa(ChildId(2))));
}

#[test]
fn a_survivor_refuses_what_the_owner_has_told_and_takes_the_rest() {
    let (mut owner, mut standby) = (Node::new(false), Node::new(false));
    owner.inbound.open_gate(ONE, 1);
    let sent = datagrams(10);
    assert!(owner.windows(9).is_empty());
    for number in [0, 1, 4] {
        assert_eq!(owner.receive(&sent[number]), Ok(()));
    }
    assert!(owner.windows(0).is_empty());
    let [image] = <[WindowImage; 1]>::try_from(owner.windows(9)).unwrap();
    assert!(owner.windows(9).is_empty(), "nothing has moved since");
    assert_eq!(image.highest(), 5);
    assert!(standby.inbound.restore_window(CHILD, &image));
    assert!(!standby.inbound.restore_window(ChildId(2), &image));
    assert_eq!(owner.receive(&sent[2]), Ok(()), "never told");
    assert_eq!(owner.windows(9).len(), 1);

    standby.inbound.open_gate(ONE, 2);
    for (number, datagram) in sent.iter().enumerate() {
        let expected = match number {
            0 | 1 | 4 => Err(Discard::ReplaySeen),
            _ => Ok(()),
        };
        assert_eq!(standby.receive(datagram), expected, "{number}");
    }
    assert!(standby.inbound.restore_window(CHILD, &image), "an old one");
    assert_eq!(standby.receive(&sent[9]), Err(Discard::ReplaySeen));
}

#[test]
fn a_strict_sa_delivers_nothing_twice_and_nothing_above_its_ceiling() {
    let (mut owner, mut standby) = (Node::new(true), Node::new(true));
    let sent = datagrams(10);
    owner.inbound.open_gate(ONE, 1);
    assert_eq!(owner.receive(&sent[0]), Err(Discard::InboundCeiling));
    let ask = |next, waiting| {
        Some(Refill {
            child: CHILD,
            next,
            waiting,
        })
    };
    assert_eq!(owner.inbound.poll_refill(), ask(2, true));
    assert_eq!(owner.receive(&sent[0]), Err(Discard::InboundCeiling));
    assert_eq!(owner.inbound.poll_refill(), None);
    owner.now += REFILL_INTERVAL;
    assert_eq!(owner.receive(&sent[0]), Err(Discard::InboundCeiling));
    assert_eq!(owner.inbound.poll_refill(), ask(2, true));
    for node in [&mut standby, &mut owner] {
        assert_eq!(node.inbound.grant(CHILD, 5, 3), Ok(()));
    }
    assert_eq!(owner.receive(&sent[0]), Ok(()), "the window had not moved");
    assert_eq!(owner.receive(&sent[1]), Ok(()));
    assert_eq!(owner.inbound.poll_refill(), None);
    assert_eq!(owner.receive(&sent[2]), Ok(()));
    assert_eq!(owner.inbound.poll_refill(), ask(4, false));
    let mut forged = sent[9].clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(owner.receive(&forged), Err(Discard::Authentication));
    assert_eq!(owner.inbound.poll_refill(), None, "only what is authentic");
    assert_eq!(owner.receive(&sent[9]), Err(Discard::InboundCeiling));
    assert_eq!(owner.inbound.poll_refill(), ask(11, true));

    standby.inbound.open_gate(ONE, 2);
    assert_eq!(standby.receive(&sent[9]), Err(Discard::InboundCeiling));
    assert_eq!(standby.inbound.grant(CHILD, 20, 15), Ok(()));
    for (number, datagram) in sent.iter().enumerate() {
        let fresh = number >= 4;
        assert_eq!(standby.receive(datagram).is_ok(), fresh, "{number}");
    }
}
