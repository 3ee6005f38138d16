//! Gates, grants, and the order in which what waits for them leaves.

use std::sync::Arc;

use policy::child::ChildTemplate;
use policy::names::RuleName;
use policy::range::PortRange;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::spd::Spd;

use super::*;
use crate::discard::Counts;
use crate::fixtures::{Pair, TcpPacket};
use crate::offload::{Offload, Segmentation};
use crate::outbound::{MAX_PENDING_AGE, MAX_PENDING_PACKETS, Outbound, OutboundBatch, Path, Sent};
use crate::reservation::MAX_AHEAD;

const NOW: u64 = 1_000_000_000;
const ONE: Bucket = Bucket(1);
const A: ChildId = ChildId(1);
const B: ChildId = ChildId(2);
const SEGMENT: u16 = 100;

/// A way out on which everything must be protected.
struct Way {
    outbound: Outbound,
    counts: Arc<Counts>,
    batch: OutboundBatch,
    now: u64,
}

impl Way {
    fn new() -> Self {
        let counts = Arc::new(Counts::new());
        Way {
            outbound: Outbound::new(policy("mail"), Arc::clone(&counts)),
            counts,
            batch: OutboundBatch::new(0),
            now: NOW,
        }
    }

    /// A way out with one SA that this host owns.
    fn open() -> Self {
        let mut way = Way::new();
        way.install(Pair::PLAIN, A, ONE);
        way.outbound.open_gate(ONE, 5);
        way
    }

    fn install(&mut self, pair: Pair, id: ChildId, bucket: Bucket) {
        self.outbound
            .install(sa(pair, id, bucket), self.now, &mut self.batch);
    }

    /// Sends a packet of this many segments; its source port is `mark`.
    fn send(&mut self, segments: usize, mark: u16) -> Sent {
        let mut packet = TcpPacket::new(false, vec![1; segments * usize::from(SEGMENT)]);
        packet.src_port = mark;
        let offload = Offload {
            segmentation: Segmentation::TcpV4,
            segment_size: SEGMENT,
            ..Offload::NONE
        };
        self.outbound
            .send(&packet.emit_partial(), &offload, self.now, &mut self.batch)
    }

    fn grant(&mut self, id: ChildId, ceiling: u64, refill_at: u64) -> Result<(), NotGranted> {
        self.outbound
            .grant(id, ceiling, refill_at, self.now, &mut self.batch)
    }

    /// SPI and IV of what was sealed since this was asked last.
    fn sealed(&mut self) -> Vec<(u32, u64)> {
        let of = |(path, octets): (&Path, &[u8])| {
            assert!(matches!(path, Path::Esp { .. }), "sent in clear text");
            let (header, rest) = wire::esp::Header::parse(octets).unwrap();
            (header.spi, u64::from_be_bytes(*rest.first_chunk().unwrap()))
        };
        let sealed = self.batch.datagrams().map(of).collect();
        self.batch.clear();
        sealed
    }

    fn ask(&mut self) -> Option<(u64, bool)> {
        let refill = self.outbound.poll_refill()?;
        assert_eq!(refill.child, A);
        Some((refill.next, refill.waiting))
    }
}

fn sa(pair: Pair, id: ChildId, bucket: Bucket) -> OutboundSa {
    let spec = pair.spec_for(pair.spec().selectors, id.0);
    OutboundSa::new(Arc::new(spec), bucket).unwrap()
}

/// A rule for all ports but that of tests in which a packet has no rule any more.
fn policy(name: &str) -> Arc<Spd> {
    let mut filter = Filter::between(AddressSpec::Any, AddressSpec::Any);
    filter.protocol = wire::ip::protocol::TCP;
    filter.remote_ports = vec![match name {
        "mail" => PortRange::single(110),
        _ => PortRange::single(995),
    }];
    let rule = Rule {
        name: RuleName::new(name),
        filters: vec![filter],
        action: Action::Negotiate(Negotiate::require(ChildTemplate::transport().into())),
        peer: None,
        origin: Origin::File,
    };
    Arc::new(Spd::build(vec![rule], &[Pair::PLAIN.here()]))
}

/// Datagrams of the first SA in epoch 5.
fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<(u32, u64)> {
    range
        .map(|number| (0x2000_0001, 5 << 48 | number))
        .collect()
}

#[test]
fn a_new_sa_sends_what_is_granted_and_no_more() {
    let mut way = Way::open();
    assert_eq!(way.send(1, 1), Sent::Queued);
    assert_eq!(way.ask(), Some((1, true)));
    assert_eq!(way.ask(), None);
    assert_eq!(way.grant(A, 5, 4), Ok(()));
    assert_eq!(way.sealed(), numbers(1..=1));
    assert_eq!(way.send(2, 2), Sent::Sealed(2));
    assert_eq!(way.ask(), Some((4, false)), "the refill mark was crossed");
    assert_eq!(way.send(1, 3), Sent::Sealed(1));
    assert_eq!(way.ask(), None, "asked once per grant");
    assert_eq!(way.send(1, 4), Sent::Queued);
    assert_eq!(way.ask(), Some((5, true)));
    assert_eq!(way.grant(A, 3, 100), Ok(()), "a ceiling is never lowered");
    assert_eq!(way.outbound.sa(A).unwrap().ceiling(), 5);
    assert_eq!(way.sealed(), numbers(2..=4));
    assert_eq!(way.grant(A, 9, 100), Ok(()));
    assert_eq!(way.sealed(), numbers(5..=5));
    assert_eq!(way.outbound.pending(), 0);
}

#[test]
fn a_packet_waits_as_a_whole_and_later_ones_behind_it() {
    let mut way = Way::open();
    assert_eq!(way.grant(A, 4, 4), Ok(()));
    assert_eq!(way.send(10, 1), Sent::Queued, "ten segments, three numbers");
    assert_eq!(way.send(1, 2), Sent::Queued, "would fit, but not in order");
    assert_eq!(way.outbound.pending(), 2);
    assert_eq!(way.ask(), Some((1, true)));
    assert_eq!(
        way.grant(A, 8, 8),
        Ok(()),
        "more than a whole block is needed"
    );
    assert!(way.sealed().is_empty());
    assert_eq!(way.ask(), Some((1, true)), "it asks until there is enough");
    assert_eq!(way.grant(A, 12, 12), Ok(()));
    let sizes: Vec<usize> = way.batch.datagrams().map(|(_, d)| d.len()).collect();
    assert_eq!(way.sealed(), numbers(1..=11));
    assert_eq!(sizes.len(), 11);
    assert_eq!(way.outbound.pending(), 0);
}

#[test]
fn what_waits_asks_again_after_the_interval_and_expires() {
    let mut way = Way::open();
    assert_eq!(way.send(1, 1), Sent::Queued);
    assert_eq!(way.ask(), Some((1, true)));
    way.now += REFILL_INTERVAL - 1;
    assert_eq!(way.send(1, 1), Sent::Queued);
    assert_eq!(way.ask(), None);
    way.now += 1;
    assert_eq!(way.send(1, 1), Sent::Queued);
    assert_eq!(way.ask(), Some((1, true)), "the answer was lost");
    for _ in 0..MAX_PENDING_PACKETS {
        assert_eq!(way.send(1, 1), Sent::Queued);
    }
    assert_eq!(way.counts.get(Discard::PendingOverflow), 3);
    way.outbound.handle_timeout(way.now + MAX_PENDING_AGE);
    assert_eq!(way.outbound.pending(), 0);
    let expired = way.counts.get(Discard::PendingExpired);
    assert_eq!(expired, MAX_PENDING_PACKETS as u64);
    assert_eq!(way.grant(A, 100, 90), Ok(()));
    assert_eq!(way.send(1, 1), Sent::Sealed(1));
}

#[test]
fn a_closed_gate_lets_nothing_out_and_a_standby_follows() {
    let mut way = Way::new();
    way.install(Pair::PLAIN, A, ONE);
    assert_eq!(way.grant(A, 1025, 513), Ok(()));
    assert_eq!(way.send(3, 1), Sent::Discarded(Discard::OutboundGate));
    assert_eq!(way.counts.get(Discard::OutboundGate), 3);
    assert_eq!(way.grant(A, 2049, 1537), Ok(()));
    way.outbound.open_gate(ONE, 5);
    assert_eq!(way.send(1, 1), Sent::Queued, "everything below may be used");
    assert_eq!(way.ask(), Some((2049, true)));
    assert_eq!(way.grant(A, 3073, 2561), Ok(()));
    assert_eq!(way.sealed(), numbers(2049..=2049));
    way.outbound.close_gate(ONE);
    assert_eq!(way.send(1, 1), Sent::Discarded(Discard::OutboundGate));
    way.outbound.open_gate(ONE, 5);
    assert_eq!(way.send(1, 1), Sent::Sealed(1), "nobody else was the owner");
    assert_eq!(way.sealed(), numbers(2050..=2050));
}

#[test]
fn a_grant_that_comes_before_the_first_packet_is_not_burned() {
    let mut way = Way::new();
    way.install(Pair::PLAIN, A, ONE);
    assert_eq!(way.grant(A, 100, 50), Ok(()));
    way.outbound.open_gate(ONE, 5);
    assert_eq!(way.grant(A, 200, 150), Ok(()));
    assert_eq!(way.send(1, 1), Sent::Sealed(1));
    assert_eq!(way.sealed(), numbers(100..=100));
}

#[test]
fn an_epoch_that_is_another_counts_whichever_is_higher() {
    for (first, second) in [(5, 6), (6, 5), (u16::MAX, 0)] {
        let mut way = Way::new();
        way.install(Pair::PLAIN, A, ONE);
        way.outbound.open_gate(ONE, first);
        assert_eq!(way.grant(A, 50, 50), Ok(()));
        assert_eq!(way.send(2, 1), Sent::Sealed(2));
        way.outbound.open_gate(ONE, second);
        assert_eq!(way.grant(A, 60, 60), Ok(()));
        assert_eq!(way.send(1, 1), Sent::Sealed(1));
        let last = (0x2000_0001, u64::from(second) << 48 | 50);
        assert_eq!(way.sealed().last(), Some(&last));
    }
}

#[test]
fn what_waits_goes_with_its_gate_or_its_sa_and_on_with_a_new_one() {
    let mut way = Way::open();
    way.send(2, 1);
    way.outbound.close_gate(ONE);
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(way.counts.get(Discard::OutboundGate), 1);
    assert_eq!(way.ask(), None, "asks nothing while it is not the owner");

    way.outbound.open_gate(ONE, 5);
    way.send(1, 1);
    assert!(way.outbound.remove(A));
    assert_eq!(way.counts.get(Discard::PendingRefused), 1);

    way.install(Pair::PLAIN, A, ONE);
    way.send(1, 1);
    let heir = sa(Pair::PLAIN, B, Bucket::HOST);
    assert!(way.outbound.replace(A, heir, way.now, &mut way.batch));
    assert_eq!(way.sealed(), [(0x2000_0002, 1)]);
    assert_eq!(way.outbound.pending(), 0);
}

#[test]
fn what_waits_never_leaves_in_clear_text_under_another_policy() {
    let mut way = Way::open();
    way.send(1, 1);
    way.outbound
        .set_policy(policy("mail"), way.now, &mut way.batch);
    assert_eq!(way.outbound.pending(), 1);
    way.outbound
        .set_policy(policy("other"), way.now, &mut way.batch);
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(way.counts.get(Discard::PendingRefused), 1);
    assert!(way.batch.is_empty());
}

#[test]
fn a_handover_is_exact() {
    let (mut old, mut new) = (Way::open(), Way::new());
    new.install(Pair::PLAIN, A, ONE);
    new.install(Pair::PLAIN, B, ONE);
    old.install(Pair::PLAIN, B, ONE);
    assert_eq!(new.grant(A, 1000, 500), Ok(()));
    assert_eq!(old.grant(A, 1000, 500), Ok(()));
    old.outbound.remove(B);
    old.send(3, 1);
    assert!(old.outbound.next_of(ONE).is_empty(), "nothing has stopped");
    old.outbound.close_gate(ONE);
    assert_eq!(old.outbound.next_of(ONE), [(A, 4)]);
    assert_eq!(new.outbound.set_exact(A, 4), Ok(()));
    new.outbound.open_gate(ONE, 5);
    assert_eq!(new.grant(A, 20, 20), Ok(()));
    new.outbound.remove(B);
    assert_eq!(new.send(1, 1), Sent::Sealed(1));
    assert_eq!(new.sealed(), numbers(4..=4));

    let open = new.outbound.set_exact(A, 4);
    assert_eq!(open, Err(NotGranted::GateOpen(A)));
    new.outbound.close_gate(ONE);
    assert_eq!(new.outbound.set_exact(A, 2), Ok(()));
    new.outbound.open_gate(ONE, 6);
    assert_eq!(new.grant(A, 20, 20), Ok(()));
    new.send(1, 1);
    let never_back = (0x2000_0001, 6 << 48 | 5);
    assert_eq!(new.sealed(), [never_back]);
}

#[test]
fn an_sa_that_was_never_used_here_is_handed_over_at_its_ceiling() {
    let mut way = Way::new();
    way.install(Pair::PLAIN, A, ONE);
    way.install(Pair::PLAIN, B, ONE);
    assert_eq!(way.grant(A, 1000, 500), Ok(()));
    way.outbound.open_gate(ONE, 5);
    way.outbound.close_gate(ONE);
    assert_eq!(way.outbound.next_of(ONE), [(A, 1000)]);
}

#[test]
fn a_ceiling_that_no_receiver_could_follow_is_refused() {
    let pair = Pair {
        esn: true,
        ..Pair::PLAIN
    };
    let mut way = Way::new();
    way.install(pair, A, ONE);
    way.outbound.open_gate(ONE, 5);
    let refused = NotGranted::TooFar {
        child: A,
        ceiling: MAX_AHEAD,
        sent: 0,
    };
    assert_eq!(way.grant(A, MAX_AHEAD, 1), Err(refused));
    assert_eq!(way.outbound.sa(A).unwrap().ceiling(), 1);
    assert_eq!(way.grant(A, MAX_AHEAD - 1, 100), Ok(()));
    way.send(1, 1);
    assert_eq!(way.grant(A, MAX_AHEAD, 100), Ok(()), "one more was sent");
}

#[test]
fn the_end_of_the_counter_is_the_end() {
    for (esn, limit) in [(false, u64::from(u32::MAX)), (true, 1 << 48)] {
        let mut way = Way::new();
        way.install(Pair { esn, ..Pair::PLAIN }, A, ONE);
        assert_eq!(way.grant(A, limit - 3, 0), Ok(()));
        way.outbound.open_gate(ONE, 5);
        assert_eq!(way.grant(A, limit + 100, 0), Ok(()));
        assert_eq!(way.send(2, 1), Sent::Sealed(2));
        assert_eq!(way.ask(), None, "there is no more to ask for");
        let end = Sent::Discarded(Discard::OutboundCeiling);
        assert_eq!(way.send(2, 1), end, "waiting would be in vain");
        assert_eq!(way.send(1, 1), Sent::Sealed(1));
        assert_eq!(way.send(1, 1), end);
        assert_eq!(way.outbound.pending(), 0);
    }
}

#[test]
fn the_hosts_own_sas_have_no_gate_and_no_reservation() {
    let mut way = Way::new();
    way.install(Pair::PLAIN, A, Bucket::HOST);
    way.outbound.close_gate(Bucket::HOST);
    assert_eq!(way.send(3, 1), Sent::Sealed(3));
    assert_eq!(way.grant(A, 10, 5), Err(NotGranted::NotReserved(A)));
    let exact = way.outbound.set_exact(A, 10);
    assert_eq!(exact, Err(NotGranted::NotReserved(A)));
    assert_eq!(way.grant(B, 10, 5), Err(NotGranted::UnknownSa(B)));
    assert!(way.outbound.set_ceiling(A, 5));
    way.install(Pair::PLAIN, B, ONE);
    assert!(!way.outbound.set_ceiling(B, 5));
    assert_eq!(way.outbound.sa(B).unwrap().ceiling(), 1);
}
