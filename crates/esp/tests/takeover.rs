//! No sequence number and no IV twice, whatever happens to the owners of an SA (RFC 4303 3.3.3).
#![allow(clippy::unwrap_used)] // Tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use crypto::{Encryption, Integrity};
use esp::{Counts, Offload, Outbound, OutboundBatch, OutboundSa, Segmentation};
use policy::child::ChildTemplate;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, ChildId};
use policy::spd::Spd;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket};

const BUCKET: Bucket = Bucket(7);
const CHILD: ChildId = ChildId(1);
const SEGMENT: u16 = 100;

/// What can happen. Nodes are 0 and 1.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A node has a packet of so many segments, whether or not it is the owner.
    Send { node: usize, segments: u8 },
    /// The owner's requests are answered with a block.
    Refill { block: u8 },
    /// A grant reaches the standby, but never the owner.
    Lost { block: u8 },
    /// The standby becomes the owner; the old owner does not know and goes on.
    Crash,
    /// The old owner learns of it, closes its gate and is brought up to date.
    Rejoin,
    /// The owner hands over.
    Move,
}

/// Two nodes that hold the same SA, and the protocol between them.
struct Cluster {
    nodes: [Outbound; 2],
    owner: usize,
    epoch: u16,
    /// The node that is not the owner has stored everything that was granted.
    in_sync: bool,
    batch: OutboundBatch,
    now: u64,
    aead: bool,
    ivs: BTreeSet<Vec<u8>>,
    numbers: BTreeSet<u64>,
    sent: usize,
}

impl Cluster {
    fn new(pair: Pair, base: u64, sabotage: bool) -> Self {
        let mut batch = OutboundBatch::new(0);
        let nodes = [(); 2].map(|()| {
            let mut node = Outbound::new(policy(pair), Arc::new(Counts::new()));
            let mut sa = OutboundSa::new(Arc::new(pair.spec()), BUCKET).unwrap();
            sa.follow(base);
            node.install(sa, 1, &mut batch);
            if sabotage {
                node.sabotage_reservation();
            }
            node
        });
        let mut cluster = Cluster {
            nodes,
            owner: 0,
            epoch: 1,
            in_sync: true,
            batch,
            now: 1,
            aead: pair.encryption.is_aead(),
            ivs: BTreeSet::new(),
            numbers: BTreeSet::new(),
            sent: 0,
        };
        cluster.nodes[0].open_gate(BUCKET, 1);
        cluster
    }

    fn step(&mut self, step: Step) {
        self.now += 1_000_000;
        match step {
            Step::Send { node, segments } => {
                let data = vec![1; usize::from(segments) * usize::from(SEGMENT)];
                let packet = TcpPacket::new(false, data).emit_partial();
                let offload = Offload {
                    segmentation: Segmentation::TcpV4,
                    segment_size: SEGMENT,
                    ..Offload::NONE
                };
                self.nodes[node].send(&packet, &offload, self.now, &mut self.batch);
            }
            Step::Refill { block } => {
                if let Some(refill) = self.nodes[self.owner].poll_refill() {
                    assert_eq!(refill.child, CHILD);
                    self.grant(self.ceiling() + u64::from(block), true);
                }
            }
            Step::Lost { block } => self.grant(self.ceiling() + u64::from(block), false),
            Step::Crash if self.in_sync => {
                self.promote();
                self.in_sync = false;
            }
            Step::Rejoin if !self.in_sync => {
                let ceiling = self.ceiling();
                self.nodes[self.standby()].close_gate(BUCKET);
                self.store(ceiling);
                self.in_sync = true;
            }
            Step::Move if self.in_sync => {
                self.nodes[self.owner].close_gate(BUCKET);
                for (child, next) in self.nodes[self.owner].next_of(BUCKET) {
                    self.nodes[self.standby()].set_exact(child, next).unwrap();
                }
                self.promote();
            }
            Step::Crash | Step::Rejoin | Step::Move => {}
        }
        self.collect();
    }

    fn ceiling(&self) -> u64 {
        self.nodes[self.owner].sa(CHILD).unwrap().ceiling()
    }

    fn standby(&self) -> usize {
        1 - self.owner
    }

    fn promote(&mut self) {
        self.owner = self.standby();
        self.epoch += 1;
        self.nodes[self.owner].open_gate(BUCKET, self.epoch);
    }

    /// A grant reaches the standby before the owner; without a standby it is the owner's alone.
    fn grant(&mut self, ceiling: u64, arrives: bool) {
        if self.in_sync {
            self.store(ceiling);
        }
        if arrives {
            let (now, batch) = (self.now, &mut self.batch);
            self.nodes[self.owner]
                .grant(CHILD, ceiling, ceiling.saturating_sub(2), now, batch)
                .unwrap();
        }
    }

    fn store(&mut self, ceiling: u64) {
        let (standby, now) = (self.standby(), self.now);
        self.nodes[standby]
            .grant(CHILD, ceiling, ceiling, now, &mut self.batch)
            .unwrap();
    }

    /// Takes what was sealed off the batch.
    fn collect(&mut self) {
        let iv_length = if self.aead { 8 } else { 16 };
        for (_, datagram) in self.batch.datagrams() {
            let iv = &datagram[8..8 + iv_length];
            self.sent += 1;
            self.ivs.insert(iv.to_vec());
            let header = u64::from(u32::from_be_bytes(datagram[4..8].try_into().unwrap()));
            let number = match self.aead {
                true => u64::from_be_bytes(iv.try_into().unwrap()) & ((1 << 48) - 1),
                false => header,
            };
            assert_eq!(number as u32, header as u32);
            self.numbers.insert(number);
        }
        self.batch.clear();
    }

    fn repeats(&self) -> bool {
        self.ivs.len() != self.sent || self.numbers.len() != self.sent
    }
}

fn policy(pair: Pair) -> Arc<Spd> {
    let rule = Rule {
        name: "mail".into(),
        filters: vec![Filter::between(AddressSpec::Any, AddressSpec::Any)],
        action: Action::Negotiate(Negotiate::require(ChildTemplate::tunnel().into())),
        peer: None,
        origin: Origin::File,
    };
    Arc::new(Spd::build(vec![rule], &[pair.here()]))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..2, 1u8..6).prop_map(|(node, segments)| Step::Send { node, segments }),
        4 => (1u8..20).prop_map(|block| Step::Refill { block }),
        1 => (1u8..20).prop_map(|block| Step::Lost { block }),
        1 => Just(Step::Crash),
        2 => Just(Step::Rejoin),
        1 => Just(Step::Move),
    ]
}

/// An SA, and the number at which it is taken up: the first, or one just before the high half of
/// an extended number, the counter or the IV's part of it ends.
fn start() -> impl Strategy<Value = (Pair, u64)> {
    let extended = Pair {
        esn: true,
        ..Pair::PLAIN
    };
    let cbc = Pair {
        encryption: Encryption::AesCbc { key_bits: 128 },
        integrity: Some(Integrity::HmacSha2_256_128),
        ..Pair::PLAIN
    };
    prop_oneof![
        Just((Pair::PLAIN, 1)),
        Just((extended, 1)),
        Just((cbc, 1)),
        (1u64..40).prop_map(|before| (Pair::PLAIN, (1 << 32) - before)),
        (1u64..40).prop_map(move |before| (extended, (1 << 32) - before)),
        (1u64..40).prop_map(move |before| (extended, (1 << 48) - before)),
    ]
}

fn run(pair: Pair, base: u64, steps: &[Step], sabotage: bool) -> Cluster {
    let mut cluster = Cluster::new(pair, base, sabotage);
    for step in steps {
        cluster.step(*step);
    }
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_number_and_no_iv_twice(
        (pair, base) in start(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let cluster = run(pair, base, &steps, false);
        prop_assert!(!cluster.repeats());
    }
}

#[test]
fn without_the_reservation_the_same_test_finds_repeats() {
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 1..120);
    let found = runner.run(&(start(), steps), |((pair, base), steps)| {
        prop_assert!(!run(pair, base, &steps, true).repeats());
        Ok(())
    });
    assert!(found.is_err(), "sabotage was not noticed");
}

/// The property would hold as well if nothing were ever sent.
#[test]
fn every_owner_sends_and_a_handover_burns_nothing() {
    let send = |node| Step::Send { node, segments: 2 };
    let (refill, block) = (Step::Refill { block: 10 }, 10);
    let steps = [
        vec![send(0), refill, send(0), send(1)],
        vec![Step::Crash, send(1), refill, send(0), send(1)],
        vec![Step::Rejoin, send(0), Step::Move, send(0), refill, send(1)],
    ];
    let mut cluster = Cluster::new(Pair::PLAIN, 1, false);
    for (phase, steps) in steps.iter().enumerate() {
        for step in steps {
            cluster.step(*step);
        }
        let expected: Vec<u64> = match phase {
            0 => vec![1, 2, 3, 4],
            // The old owner still has numbers of its own, the new one begins above them all.
            1 => (1..=6).chain(block + 1..=block + 4).collect(),
            // Exactly where the owner stopped; nothing from the one that has handed over.
            _ => (1..=6).chain(block + 1..=block + 6).collect(),
        };
        assert_eq!(
            cluster.numbers.iter().copied().collect::<Vec<_>>(),
            expected
        );
    }
    assert!(!cluster.repeats());
}
