//! Messages that only somebody with the keys can send, and that a good peer would not.

mod cloning;
mod mobike;
mod resources;
mod sync;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crypto::{Encryption, Group, Prf, Secret, SeededRandom};
use policy::Additional;
use policy::auth::Auth;
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use policy::proposal::{EspSuite, IkeSuite};
use policy::range::AddressRange;
use policy::sa::ChildId;
use policy::selector::{Selectors, TrafficSelector};
use wire::ike::{Delete, ExchangeType, Flags, Header, Notify, NotifyType, Payload, PayloadType};

use super::*;
use crate::config::Config;
use crate::context::Registry;
use crate::event::Event;
use crate::gss::GssContexts;
use crate::id::{IkeSaId, Role};
use crate::output::{Outbound, Output};
use crate::pair::Agreed;
use crate::pair::PairKeys;
use crate::path::Nat;
use crate::v2::keys::{Keys, Nonces, Spis};
use crate::v2::message;
use crate::v2::sa::{Birth, Effect, Stage, Task};
use crate::v2::status::Statuses;

const SPIS: Spis = Spis {
    initiator: 1,
    responder: 2,
};
const SUITE: IkeSuite = IkeSuite {
    additional: Additional::NONE,
    encryption: Encryption::AesGcm16 { key_bits: 128 },
    integrity: None,
    prf: Prf::HmacSha2_256,
    group: Group::Curve25519,
};

fn keys() -> Keys {
    let nonces = Nonces {
        initiator: b"nonce of sixteen",
        responder: b"another nonce 16",
    };
    Keys::initial(SUITE, &Secret::from_slice(&[7; 32]), nonces, SPIS)
}

/// A responder, and the keys of its initiator.
struct Bench {
    sa: Sa,
    peer: Keys,
    next: u32,
    now: Instant,
    config: Config,
    random: SeededRandom,
    outputs: VecDeque<Output>,
    registry: Registry,
}

impl Bench {
    #[allow(clippy::disallowed_methods)]
    fn new() -> Self {
        let (config, now) = (
            Config::new(Arc::new(Pad::default()), Vec::new()),
            Instant::now(),
        );
        let (mut random, mut registry) = (SeededRandom::new(5), Registry::default());
        let mut outputs = VecDeque::new();
        let peer = Peer {
            name: "peer".into(),
            addresses: Vec::new(),
            local_id: Identity::Any,
            remote_id: Identity::Any,
            auth: Auth::psk(Secret::from_slice(b"key")),
            alternatives: Vec::new(),
            ike: IkeTemplate::modern(),
        };
        let path = Path {
            carrier: crate::carrier::Carrier::Udp,
            local: "10.0.0.2:500".parse().unwrap(),
            remote: "10.0.0.1:500".parse().unwrap(),
            nat: Nat::default(),
        };
        let birth = Birth {
            id: IkeSaId(SPIS.responder),
            peer_spi: SPIS.initiator,
            role: Role::Responder,
            peer: Arc::new(peer),
            remote_id: Identity::Any,
            local_id: Identity::Any,
            path,
            keys: keys(),
            requests: (0, 2),
            fragmentation: true,
            ppk: false,
        };
        let mut ctx = Context {
            now,
            config: &config,
            random: &mut random,
            statuses: &Statuses::default(),
            contexts: &mut GssContexts::default(),
            outputs: &mut outputs,
            registry: &mut registry,
        };
        let sa = Sa::new(birth, &mut ctx);
        Bench {
            sa,
            peer: keys(),
            next: 2,
            now,
            config,
            random,
            outputs,
            registry,
        }
    }

    fn with<R>(&mut self, step: impl FnOnce(&mut Sa, &mut Context<'_>) -> R) -> R {
        let mut ctx = Context {
            now: self.now,
            config: &self.config,
            random: &mut self.random,
            statuses: &Statuses::default(),
            contexts: &mut GssContexts::default(),
            outputs: &mut self.outputs,
            registry: &mut self.registry,
        };
        step(&mut self.sa, &mut ctx)
    }

    /// A child, as if it had been negotiated.
    fn child(&mut self, outbound_spi: u32) -> ChildId {
        let side = vec![TrafficSelector::all(AddressRange::ANY_V4)];
        let encryption = SUITE.encryption;
        self.with(|sa, ctx| {
            let agreed = Agreed {
                rule: "rule".into(),
                template: Arc::new(ChildTemplate::transport()),
                suite: EspSuite {
                    encryption,
                    integrity: None,
                    group: None,
                    additional: Additional::NONE,
                    esn: true,
                },
                inbound_spi: ctx.reserve_esp(sa.path.local.ip()),
                outbound_spi,
                selectors: Selectors {
                    local: side.clone(),
                    remote: side,
                },
                written: None,
            };
            let nonces = Nonces {
                initiator: b"1",
                responder: b"2",
            };
            let (inbound, outbound) = sa.keys.child(agreed.suite, &[], nonces);
            sa.install(
                agreed,
                PairKeys { inbound, outbound },
                Outbound::Now,
                None,
                ctx,
            )
        })
    }

    /// Sends a protected message and gives the payloads of the answer.
    fn ask(&mut self, exchange: ExchangeType, payloads: &[Payload]) -> Option<Vec<Payload>> {
        let flags = Flags {
            initiator: true,
            version: false,
            response: false,
        };
        let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, self.next);
        let bytes = message::protect(&mut self.peer, &header, payloads, None)
            .unwrap()
            .remove(0);
        self.next += 1;
        self.deliver(&bytes);
        self.answer()
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let decoded = wire::ike::decode(bytes).unwrap();
        let proof = self.sa.check(&decoded).unwrap();
        let back = self.sa.path;
        self.with(|sa, ctx| advance(sa, &decoded.header, proof, back, ctx))
            .unwrap();
    }

    fn answer(&mut self) -> Option<Vec<Payload>> {
        let bytes = self.outputs.drain(..).filter_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        });
        let bytes: Vec<Vec<u8>> = bytes.collect();
        let decoded = wire::ike::decode(bytes.first()?).unwrap();
        Some(message::open_whole(&self.peer, &decoded).unwrap().unwrap())
    }

    fn ended(&self) -> bool {
        self.sa
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ended { .. }))
    }
}

fn kinds(answer: &[Payload]) -> Vec<NotifyType> {
    let kind = |payload: &Payload| match payload {
        Payload::Notify(notify) => Some(notify.kind),
        _ => None,
    };
    answer.iter().filter_map(kind).collect()
}

#[test]
fn an_unknown_critical_payload_is_refused_and_the_ike_sa_stays() {
    let mut bench = Bench::new();
    let kind = PayloadType(200);
    let unknown = |critical| {
        Payload::Unknown(wire::ike::Unknown {
            kind,
            critical,
            body: vec![1, 2, 3],
        })
    };
    let answer = bench
        .ask(ExchangeType::INFORMATIONAL, &[unknown(true)])
        .unwrap();
    assert_eq!(kinds(&answer), [NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD]);
    let Payload::Notify(notify) = &answer[0] else {
        panic!("{answer:?}")
    };
    assert_eq!(notify.data, [200]);
    assert!(!bench.ended());
    let answer = bench
        .ask(ExchangeType::INFORMATIONAL, &[unknown(false)])
        .unwrap();
    assert!(answer.is_empty() && !bench.ended());
}

#[test]
fn a_message_that_breaks_the_protocol_ends_the_ike_sa() {
    let nonce = Payload::Nonce(wire::ike::Nonce(vec![0; 16]));
    for payloads in [vec![], vec![nonce.clone()], vec![nonce.clone(), nonce]] {
        let mut bench = Bench::new();
        bench.child(9);
        let answer = bench.ask(ExchangeType::CREATE_CHILD_SA, &payloads).unwrap();
        assert_eq!(kinds(&answer), [NotifyType::INVALID_SYNTAX]);
        assert!(bench.ended() && bench.sa.children.is_empty());
        assert!(matches!(bench.sa.stage, Stage::Closed { .. }));
    }
}

#[test]
fn doubled_deletes_count_once_and_unknown_ones_not_at_all() {
    let mut bench = Bench::new();
    let (one, two) = (bench.child(1001), bench.child(1002));
    let inbound = bench.sa.child(one).unwrap().inbound_spi;
    let deletes = [
        Payload::Delete(Delete::esp(vec![1001, 1001, 4711])),
        Payload::Delete(Delete::esp(vec![1001])),
    ];
    let answer = bench.ask(ExchangeType::INFORMATIONAL, &deletes).unwrap();
    assert_eq!(answer, [Payload::Delete(Delete::esp(vec![inbound]))]);
    assert!(bench.sa.child(one).is_none() && bench.sa.child(two).is_some());
    let answer = bench.ask(ExchangeType::INFORMATIONAL, &deletes).unwrap();
    assert!(answer.is_empty() && !bench.ended());
}

#[test]
fn esp_that_the_peer_does_not_know_is_deleted_unless_it_is_young() {
    let mut bench = Bench::new();
    let child = bench.child(1001);
    let told = |spi: u32| {
        Payload::Notify(Notify::new(
            NotifyType::INVALID_SPI,
            spi.to_be_bytes().to_vec(),
        ))
    };
    bench.ask(ExchangeType::INFORMATIONAL, &[told(1001)]);
    assert!(bench.sa.child(child).is_some_and(|child| child.in_esp));
    bench.now += std::time::Duration::from_secs(2);
    bench.ask(ExchangeType::INFORMATIONAL, &[told(1002)]);
    assert!(bench.sa.child(child).is_some_and(|child| child.in_esp));
    bench.ask(ExchangeType::INFORMATIONAL, &[told(1001)]);
    assert!(bench.sa.child(child).is_some_and(|child| !child.in_esp));
}

#[test]
fn the_handshake_s_exchanges_have_no_place_here() {
    let mut bench = Bench::new();
    for exchange in [
        ExchangeType::IKE_SA_INIT,
        ExchangeType::IKE_AUTH,
        ExchangeType(99),
    ] {
        let flags = Flags {
            initiator: true,
            version: false,
            response: false,
        };
        let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, 2);
        let bytes = message::protect(&mut bench.peer, &header, &[], None)
            .unwrap()
            .remove(0);
        let decoded = wire::ike::decode(&bytes).unwrap();
        assert_eq!(
            bench.sa.check(&decoded).err(),
            Some(Discard::UnexpectedExchange)
        );
    }
}

#[test]
fn the_answer_comes_again_for_a_first_fragment_however_the_request_is_cut() {
    let mut bench = Bench::new();
    let flags = Flags {
        initiator: true,
        version: false,
        response: false,
    };
    let exchange = ExchangeType::INFORMATIONAL;
    let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, 2);
    let mut cut = |longest| {
        let large = Payload::VendorId(wire::ike::VendorId(vec![7; 900]));
        message::protect(&mut bench.peer, &header, &[large], Some(longest)).unwrap()
    };
    let (coarse, fine) = (cut(500), cut(300));
    coarse.iter().for_each(|piece| bench.deliver(piece));
    let Some(Output::Transmit { bytes: answer, .. }) = bench.outputs.pop_back() else {
        panic!("no answer")
    };
    for first in [&coarse[0], &fine[0]] {
        bench.deliver(first);
        let Some(Output::Transmit { bytes, .. }) = bench.outputs.pop_back() else {
            panic!("no answer")
        };
        assert_eq!(bytes, answer);
    }
    let mut check = |bytes: &[u8]| bench.sa.check(&wire::ike::decode(bytes).unwrap()).err();
    assert_eq!(check(&fine[1]), Some(Discard::Fragment));
    let mut forged = fine[0].clone();
    forged[60] ^= 1;
    assert_eq!(check(&forged), Some(Discard::AuthenticationFailed));
}

#[test]
fn the_window_holds_one_request_and_knows_the_last_again() {
    let mut bench = Bench::new();
    let flags = Flags {
        initiator: true,
        version: false,
        response: false,
    };
    let mut message = |id| {
        let exchange = ExchangeType::INFORMATIONAL;
        let header = Header::new(SPIS.initiator, SPIS.responder, exchange, flags, id);
        message::protect(&mut bench.peer, &header, &[], None)
            .unwrap()
            .remove(0)
    };
    let (first, other, second, far) = (message(2), message(2), message(3), message(4));
    let check =
        |bench: &mut Bench, bytes: &[u8]| bench.sa.check(&wire::ike::decode(bytes).unwrap()).err();
    assert_eq!(check(&mut bench, &second), Some(Discard::MessageId));
    bench.deliver(&first);
    let answer = bench.outputs.pop_back();
    bench.deliver(&first);
    let again = bench.outputs.pop_back();
    let (Some(Output::Transmit { bytes, .. }), Some(Output::Transmit { bytes: again, .. })) =
        (answer, again)
    else {
        panic!("no answers")
    };
    assert_eq!(bytes, again);
    assert_eq!(check(&mut bench, &other), Some(Discard::NotTheSameRequest));
    assert_eq!(check(&mut bench, &far), Some(Discard::MessageId));
    bench.deliver(&second);
    assert_eq!(check(&mut bench, &first), Some(Discard::MessageId));
}

#[test]
fn a_wider_window_of_the_peer_is_used_up_to_our_bound() {
    let mut bench = Bench::new();
    let size = |size: u32| {
        Payload::Notify(Notify::new(
            NotifyType::SET_WINDOW_SIZE,
            size.to_be_bytes().to_vec(),
        ))
    };
    let children: Vec<ChildId> = (1..=6).map(|spi| bench.child(spi + 1000)).collect();
    bench.outputs.clear();
    let requests = |bench: &mut Bench| bench.sa.exchanges.len();
    bench.with(|sa, ctx| {
        for child in &children {
            sa.tasks.push_back(Task::RekeyChild {
                child: *child,
                tries: 0,
            });
        }
        begin::pump(sa, ctx);
    });
    assert_eq!(requests(&mut bench), 1);
    bench.ask(ExchangeType::INFORMATIONAL, &[size(2)]);
    assert_eq!(requests(&mut bench), 2);
    bench.ask(ExchangeType::INFORMATIONAL, &[size(1_000_000)]);
    assert_eq!(requests(&mut bench), 4);
}

#[test]
fn a_peer_that_finds_us_not_authentic_ends_the_ike_sa() {
    let mut bench = Bench::new();
    let notify = Payload::Notify(Notify::new(NotifyType::AUTHENTICATION_FAILED, Vec::new()));
    bench.ask(ExchangeType::INFORMATIONAL, &[notify]);
    assert!(bench.ended());
}

#[test]
fn an_ike_sa_with_a_child_is_small() {
    // Beside what is shared (peer, template) and the last answer: a bound that a new table
    // would break.
    assert!(size_of::<Sa>() <= 1024, "{}", size_of::<Sa>());
    assert!(size_of::<crate::pair::Child>() <= 320);
    assert!(size_of::<Event>() <= 256, "{}", size_of::<Event>());
}
