//! A control thread that is behind hears everything when it listens again.

use super::*;
use crypto::{Encryption, Secret};
use esp::{Arrival, Counts, InboundBatch, InboundSa, OutboundSa};
use policy::child::Mode;
use policy::sa::{Encapsulation, KeyMaterial};
use policy::{AddressRange, Bucket, ChildId, SaSpec, Selectors, TrafficSelector};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ip::protocol;

const GROUP: Bucket = Bucket(1);
const US: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 2];

/// One pair, as either end has it: `ours` is the end that receives.
fn spec(ours: bool) -> Arc<SaSpec> {
    let (local, remote): (IpAddr, IpAddr) = match ours {
        true => (US.into(), PEER.into()),
        false => (PEER.into(), US.into()),
    };
    let spis = [0x0100_0001, 0x2000_0001];
    let encryption = Encryption::AesGcm16 { key_bits: 128 };
    let keys = |to_us: bool| KeyMaterial {
        encryption: Secret::from_slice(&vec![u8::from(to_us); encryption.key_length()]),
        integrity: Secret::empty(),
    };
    let side = |address| vec![TrafficSelector::all(AddressRange::host(address))];
    Arc::new(SaSpec {
        id: ChildId(7),
        rule: "mail".into(),
        peer: "peer".into(),
        mode: Mode::Transport,
        encapsulation: Encapsulation::None,
        local,
        remote,
        nat: policy::Translation::default(),
        outer: policy::child::OuterHeader::default(),
        inbound_spi: spis[usize::from(!ours)],
        outbound_spi: spis[usize::from(ours)],
        encryption,
        integrity: None,
        esn: true,
        replay_window: 64,
        selectors: Selectors {
            local: side(local),
            remote: side(remote),
        },
        inbound_keys: keys(ours),
        outbound_keys: keys(!ours),
    })
}

/// A host that owns the group, its peer, and a control thread that hears one thing at a time.
struct World {
    inbound: Inbound,
    peer: OutboundSa,
    telling: Telling,
    report: mpsc::Sender<Report>,
    control: mpsc::Receiver<Report>,
}

impl World {
    fn new(strict: bool) -> Self {
        let mut inbound = Inbound::new(Arc::new(Counts::new()));
        let sa = InboundSa::new(spec(true), GROUP).unwrap();
        inbound.install(if strict { sa.strict() } else { sa });
        inbound.open_gate(GROUP, 1);
        let (report, control) = mpsc::channel(1);
        World {
            inbound,
            peer: OutboundSa::new(spec(false), Bucket::HOST).unwrap(),
            telling: Telling::new(Instant::now()),
            report,
            control,
        }
    }

    /// The peer sends a packet. What is in it is of no use: the window moves all the same.
    fn receive(&mut self) {
        let payload = [0; 8];
        let mut datagram = vec![0; self.peer.sealed_length(payload.len())];
        let sealed = self.peer.seal(&mut datagram, payload.len(), protocol::UDP);
        assert_eq!(sealed, Ok(()));
        let arrival = Arrival {
            source: PEER.into(),
            destination: US.into(),
            traffic_class: 0,
            place: 0..datagram.len(),
        };
        let mut batch = InboundBatch::new();
        let _ = self.inbound.receive(&arrival, &mut datagram, 1, &mut batch);
    }

    /// As the worker does, when its wait is over.
    fn tell(&mut self) {
        std::thread::sleep(self.telling.wait(&self.inbound).unwrap());
        self.telling.tell(&mut self.inbound, &self.report);
    }

    fn control_is_behind(&mut self) {
        let other = Report::FirstOpened(GROUP);
        assert!(self.report.try_send(other).is_ok());
    }
}

#[test]
fn a_window_that_a_full_queue_does_not_take_is_told_later() {
    let mut world = World::new(false);
    world.control_is_behind();
    world.receive();
    world.tell();
    assert!(matches!(
        world.control.try_recv(),
        Ok(Report::FirstOpened(_))
    ));
    assert!(world.control.try_recv().is_err(), "there was no room");
    world.tell();
    let Ok(Report::Windows(windows)) = world.control.try_recv() else {
        panic!("the window is never told");
    };
    let told: Vec<_> = windows
        .iter()
        .map(|(id, image)| (*id, image.highest()))
        .collect();
    assert_eq!(told, [(ChildId(7), 1)]);
    let wait = world.telling.wait(&world.inbound);
    assert_eq!(wait, None, "nothing is left to tell");
}

#[test]
fn a_ceiling_that_a_full_queue_does_not_ask_for_is_asked_for_later() {
    let mut world = World::new(true);
    assert_eq!(world.inbound.grant(ChildId(7), 10, 1), Ok(()));
    world.control_is_behind();
    world.receive();
    world.tell();
    assert!(matches!(
        world.control.try_recv(),
        Ok(Report::FirstOpened(_))
    ));
    world.tell();
    assert!(matches!(
        world.control.try_recv(),
        Ok(Report::RefillInbound(_))
    ));
}
