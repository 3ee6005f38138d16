//! Synchronisation of message ids as only somebody with the keys can get it wrong (RFC 6311).

use std::collections::BTreeSet;

use wire::ike::{MessageIdSync, ReplayCounterSync};

use super::*;
use crate::limits;
use crate::v2::established::begin::pump;
use crate::v2::sync::member;

fn synced() -> Bench {
    let mut bench = Bench::new();
    bench.sa.recovery.message_ids = true;
    bench
}

fn sync(nonce: u8, send: u32, receive: u32) -> MessageIdSync {
    MessageIdSync {
        nonce: [nonce; 4],
        send,
        receive,
    }
}

fn payload(sync: MessageIdSync) -> Payload {
    Payload::Notify(sync.to_notify())
}

impl Bench {
    /// Sends a protected INFORMATIONAL with this message id.
    fn tell(&mut self, response: bool, id: u32, payloads: &[Payload]) -> Result<(), Discard> {
        let flags = Flags {
            initiator: true,
            version: false,
            response,
        };
        let exchange = ExchangeType::INFORMATIONAL;
        let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, id);
        let bytes = message::protect(&mut self.peer, &header, payloads, None)
            .unwrap()
            .remove(0);
        let decoded = wire::ike::decode(&bytes).unwrap();
        let proof = self.sa.check(&decoded)?;
        let back = self.sa.path;
        self.with(|sa, ctx| advance(sa, &decoded.header, proof, back, ctx))
    }

    /// What was sent since, in order.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let bytes = self.outputs.drain(..).filter_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        });
        bytes.collect()
    }

    /// The only notification of message ids that was sent since, which has message id 0.
    fn told(&mut self) -> MessageIdSync {
        let sent = self.sent();
        let decoded = wire::ike::decode(&sent[0]).unwrap();
        assert_eq!(decoded.header.message_id, 0);
        let payloads = message::open_whole(&self.peer, &decoded).unwrap().unwrap();
        let [Payload::Notify(notify), ..] = &payloads[..] else {
            panic!("{payloads:?}")
        };
        MessageIdSync::of(notify).unwrap()
    }
}

#[test]
fn a_request_counts_when_it_announces_more_than_all_before() {
    let mut bench = synced();
    let old = Err(Discard::MessageIdSync);
    // The peer's requests 0 and 1 are over: its next one is 2.
    assert_eq!(bench.tell(false, 0, &[payload(sync(1, 1, 0))]), old);
    assert_eq!(bench.tell(false, 0, &[payload(sync(1, 2, 7))]), Ok(()));
    assert_eq!(bench.told(), sync(1, 7, 2));
    assert_eq!(bench.tell(false, 0, &[payload(sync(2, 2, 9))]), old);
    assert_eq!(bench.tell(false, 0, &[payload(sync(3, 50, 3))]), Ok(()));
    assert_eq!(bench.told(), sync(3, 7, 50));
    assert_eq!(bench.tell(false, 0, &[payload(sync(4, 49, 8))]), old);
    assert_eq!(bench.tell(false, 0, &[payload(sync(4, 50, 8))]), old);
    let most = limits::SYNCED_MESSAGE_ID;
    assert_eq!(bench.tell(false, 0, &[payload(sync(4, most, 8))]), old);
    assert_eq!(bench.tell(false, 0, &[payload(sync(4, 60, most))]), old);
    // What lies outside of the window that was agreed on is refused.
    let outside = Err(Discard::MessageId);
    for id in [0, 2, 48, 51] {
        assert_eq!(bench.tell(false, id, &[]), outside, "{id}");
    }
    let before_the_window = bench.tell(false, 49, &[]);
    assert_eq!(before_the_window, Err(Discard::NotTheSameRequest));
    assert_eq!(bench.tell(false, 50, &[]), Ok(()));
    assert_eq!(bench.tell(false, 51, &[]), Ok(()));
}

#[test]
fn a_request_holds_nothing_else_and_only_what_was_negotiated() {
    let mut bench = synced();
    let one = payload(sync(1, 9, 0));
    let delete = Payload::Delete(Delete::ike());
    let counters = Payload::Notify(ReplayCounterSync::Extended(5).to_notify());
    for payloads in [
        vec![one.clone(), delete],
        vec![one.clone(), one.clone()],
        vec![one.clone(), counters.clone()],
    ] {
        let refused = bench.tell(false, 0, &payloads);
        assert_eq!(refused, Err(Discard::UnexpectedPayloads));
    }
    assert!(bench.sent().is_empty() && !bench.ended());
    bench.sa.recovery.counters = true;
    assert_eq!(bench.tell(false, 0, &[one.clone(), counters]), Ok(()));
    // Without the assertions of both sides it is a request like any other.
    let mut bench = Bench::new();
    assert_eq!(bench.tell(false, 0, &[one]), Err(Discard::MessageId));
}

#[test]
fn an_ordinary_request_with_message_id_0_stays_one() {
    let mut bench = synced();
    bench.sa.expected_request = 0;
    assert_eq!(bench.tell(false, 0, &[]), Ok(()));
    assert_eq!(bench.sa.expected_request, 1);
    assert_eq!(bench.tell(false, 0, &[payload(sync(1, 9, 0))]), Ok(()));
    assert_eq!(bench.sa.expected_request, 9);
}

#[test]
fn only_the_answer_to_the_last_attempt_counts_and_only_once() {
    let mut bench = synced();
    bench.with(|sa, ctx| member::begin(sa, 100, 0, ctx));
    let first = bench.told();
    assert_eq!(first.send, 2 * limits::WINDOW + 100);
    assert_eq!(first.receive, 2);
    bench.now += std::time::Duration::from_secs(1);
    bench.with(member::fire).unwrap();
    let last = bench.told();
    assert!(last.send > first.send && last.nonce != first.nonce);
    let answer = |nonce, send, receive| {
        payload(MessageIdSync {
            nonce,
            send,
            receive,
        })
    };
    let mut wrong = last.nonce;
    wrong[0] ^= 1;
    for bad in [
        answer(first.nonce, 2, last.send),
        answer(wrong, 2, last.send),
        answer(last.nonce, 1, last.send),
        answer(last.nonce, 2, last.send - 1),
        answer(last.nonce, limits::SYNCED_MESSAGE_ID, last.send),
    ] {
        assert_eq!(bench.tell(true, 0, &[bad]), Err(Discard::SyncAnswer));
    }
    let good = answer(last.nonce, 5, last.send + 3);
    assert_eq!(bench.tell(true, 0, std::slice::from_ref(&good)), Ok(()));
    let ids = (bench.sa.next_request, bench.sa.expected_request);
    assert_eq!(ids, (last.send + 3, 5));
    assert_eq!(
        bench.tell(true, 0, &[good]),
        Err(Discard::NoMatchingRequest)
    );
}

#[test]
fn when_both_took_over_what_we_announced_counts() {
    let mut bench = synced();
    bench.with(|sa, ctx| member::begin(sa, 100, 0, ctx));
    let ours = bench.told();
    assert_eq!(bench.tell(false, 0, &[payload(sync(1, 40, 3))]), Ok(()));
    assert_eq!(bench.told(), sync(1, ours.send, 40));
    // Its answer to ours does not take back what it asked for.
    let answer = payload(MessageIdSync {
        nonce: ours.nonce,
        send: 2,
        receive: ours.send,
    });
    assert_eq!(bench.tell(true, 0, &[answer]), Ok(()));
    let ids = (bench.sa.next_request, bench.sa.expected_request);
    assert_eq!(ids, (ours.send, 40));
}

#[test]
fn the_answer_of_before_is_not_given_again() {
    let mut bench = synced();
    let header = Header::new(
        SPIS.initiator,
        SPIS.responder,
        ExchangeType::INFORMATIONAL,
        Flags {
            initiator: true,
            version: false,
            response: false,
        },
        2,
    );
    let bytes = message::protect(&mut bench.peer, &header, &[], None)
        .unwrap()
        .remove(0);
    bench.deliver(&bytes);
    bench.deliver(&bytes);
    assert_eq!(bench.sent().len(), 2);
    assert_eq!(bench.tell(false, 0, &[payload(sync(1, 3, 0))]), Ok(()));
    let decoded = wire::ike::decode(&bytes).unwrap();
    let refused = bench.sa.check(&decoded).err();
    assert_eq!(refused, Some(Discard::NotTheSameRequest));
}

#[test]
fn requests_wait_and_what_was_in_flight_is_asked_again() {
    type Make = fn(&mut Bench) -> Task;
    let makes: [(Make, u8); 5] = [
        (
            |bench| Task::DeleteChild {
                child: bench.child(7),
            },
            37,
        ),
        (|_| Task::DisownChild { inbound_spi: 4711 }, 37),
        (|bench| rekey(bench.child(7)), 36),
        (|_| Task::RekeyIke { tries: 0 }, 36),
        (
            |_| Task::DeleteIke {
                reason: crate::event::Reason::Requested,
            },
            37,
        ),
    ];
    for (make, exchange) in makes {
        let mut bench = synced();
        let task = make(&mut bench);
        bench.sa.queue(task);
        bench.with(pump);
        let before = bench.sent();
        bench.with(|sa, ctx| member::begin(sa, 0, 0, ctx));
        bench.with(pump);
        let proposed = bench.told();
        let answer = sync(0, 2, proposed.send);
        let nonce = proposed.nonce;
        let answer = payload(MessageIdSync { nonce, ..answer });
        bench.tell(true, 0, &[answer]).unwrap();
        let after = bench.sent();
        assert_eq!((before.len(), after.len()), (1, 1), "{exchange}");
        let header = |bytes: &[u8]| wire::ike::decode(bytes).unwrap().header;
        assert_eq!(header(&before[0]).exchange.0, exchange);
        assert_eq!(header(&after[0]).exchange.0, exchange);
        assert_eq!(header(&after[0]).message_id, proposed.send);
        assert_eq!(bench.sa.exchanges.len(), 1);
    }
}

fn rekey(child: ChildId) -> Task {
    Task::RekeyChild { child, tries: 0 }
}

#[test]
fn message_id_0_again_and_again_and_never_the_same_iv() {
    let mut bench = synced();
    let mut ivs = BTreeSet::new();
    let mut count = 0;
    for round in 0..20 {
        bench.with(|sa, ctx| member::begin(sa, 0, 0, ctx));
        let request = payload(sync(round, 100 + u32::from(round), 0));
        bench.tell(false, 0, &[request]).unwrap();
        for bytes in bench.sent() {
            count += 1;
            assert_eq!(bytes[20..24], [0; 4]);
            ivs.insert(bytes[32..40].to_vec());
        }
    }
    assert_eq!((count, ivs.len()), (40, 40));
}

#[test]
fn what_a_child_skips_has_a_bound() {
    let mut bench = synced();
    bench.sa.recovery.counters = true;
    let child = bench.child(7);
    let mut skipped = 0;
    let step = limits::SKIPPED / 2;
    for (next, delta) in (10..).zip([step, 0, step, 1, u64::MAX]) {
        let counters = Payload::Notify(ReplayCounterSync::Extended(delta).to_notify());
        let request = [payload(sync(1, next, 0)), counters];
        bench.tell(false, 0, &request).unwrap();
        for output in bench.outputs.drain(..) {
            if let Output::SkipSequence { child: of, delta } = output {
                assert_eq!(of, child);
                skipped += delta;
            }
        }
    }
    assert_eq!(skipped, limits::SKIPPED);
    // The pair that cannot skip more is being rekeyed.
    assert_eq!(bench.sa.exchanges.len(), 1);
    let stage = bench.sa.child(child).unwrap().stage;
    assert_eq!(stage, crate::pair::Stage::Rekeying);
}
