//! How long a packet takes through each half of the data plane: `cargo run --release --example
//! pipeline -p esp`. One thread, no sockets: segment and seal, then open and coalesce. Each figure
//! is the median of many rounds, so that what else the machine does matters little.
#![allow(clippy::disallowed_methods)] // A measurement reads the clock.

use std::sync::Arc;
use std::time::Instant;

use crypto::{Encryption, Integrity};
use esp::inbound::Arrival;
use esp::{
    Counts, Inbound, InboundBatch, InboundSa, Offload, Outbound, OutboundBatch, OutboundSa,
    Segmentation, Sent,
};
use policy::child::ChildTemplate;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::Bucket;
use policy::spd::Spd;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, bytes, mirrored};

const ROUNDS: u32 = 4000;
const SEGMENT: u16 = 1348;

fn main() {
    println!("64 KB of TCP in segments of {SEGMENT} bytes, {ROUNDS} times, ns per segment");
    println!(
        "{:34}{:>16}{:>16}",
        "suite", "segment+seal", "open+coalesce"
    );
    for (encryption, integrity) in [
        (Encryption::AesGcm16 { key_bits: 128 }, None),
        (Encryption::AesGcm16 { key_bits: 256 }, None),
        (Encryption::ChaCha20Poly1305, None),
        (
            Encryption::AesCbc { key_bits: 128 },
            Some(Integrity::HmacSha2_256_128),
        ),
    ] {
        for ipv6 in [false, true] {
            let pair = Pair {
                encryption,
                integrity,
                ipv6,
                ..Pair::PLAIN
            };
            let (seal, open) = measure(pair);
            let name = format!("{encryption}{}", if ipv6 { " IPv6" } else { "" });
            println!("{name:34}{seal:>16.0}{open:>16.0}");
        }
    }
}

/// Nanoseconds per segment of both halves.
fn measure(pair: Pair) -> (f64, f64) {
    let counts = Arc::new(Counts::new());
    let mut outbound = Outbound::new(policy(pair), Arc::clone(&counts));
    let mut inbound = Inbound::new(counts);
    let mut out = OutboundBatch::new(1 << 17);
    let mut into = InboundBatch::new();
    let spec = pair.spec();
    let made = "the suites above are all offered";
    let receiver = Arc::new(mirrored(&spec));
    let receiver = InboundSa::new(receiver, Bucket::HOST).expect(made);
    let sender = OutboundSa::new(Arc::new(spec), Bucket::HOST).expect(made);
    outbound.install(sender, 1, &mut out);
    inbound.install(receiver);

    let packet = TcpPacket::new(pair.ipv6, bytes(65_000, 1, 1)).emit_partial();
    let offload = Offload {
        segmentation: if pair.ipv6 {
            Segmentation::TcpV6
        } else {
            Segmentation::TcpV4
        },
        needs_checksum: true,
        segment_size: SEGMENT,
        ..Offload::NONE
    };
    let mut buffer = vec![0; 1 << 17];
    let (mut sealing, mut opening) = (Vec::new(), Vec::new());
    for now in 1..=u64::from(ROUNDS) {
        out.clear();
        into.clear();
        let start = Instant::now();
        let sent = outbound.send(&packet, &offload, now, &mut out);
        let elapsed = start.elapsed();
        let Sent::Sealed(count) = sent else {
            panic!("not sealed: {sent:?}")
        };
        sealing.push(elapsed.as_nanos() as f64 / count as f64);

        let mut places = Vec::new();
        for (_, datagram) in out.datagrams() {
            let at = places
                .last()
                .map_or(0, |place: &std::ops::Range<usize>| place.end);
            buffer[at..at + datagram.len()].copy_from_slice(datagram);
            places.push(at..at + datagram.len());
        }
        let (source, destination) = (pair.here(), pair.there());
        let start = Instant::now();
        for place in places {
            let arrival = Arrival {
                source,
                destination,
                traffic_class: 0,
                place,
            };
            inbound
                .receive(&arrival, &mut buffer, now, &mut into)
                .expect("it was sealed here");
        }
        into.finish();
        opening.push(start.elapsed().as_nanos() as f64 / count as f64);
        assert_eq!(into.len(), 1);
    }
    (median(sealing), median(opening))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
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
