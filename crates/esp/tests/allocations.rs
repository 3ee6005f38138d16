//! The packet path allocates nothing, in every suite and mode (a count, not a claim).
#![allow(clippy::unwrap_used)] // Tests.
#![allow(unsafe_code)] // A counting allocator can only be written with it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use esp::inbound::Arrival;
use esp::{
    Counts, Inbound, InboundBatch, InboundSa, Offload, Outbound, OutboundBatch, OutboundSa,
    Segmentation, Sent,
};
use policy::child::ChildTemplate;
use policy::range::AddressRange;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, ChildId};
use policy::selector::{Selectors, TrafficSelector};
use policy::spd::Spd;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, address, bytes, mirrored};

/// Counts the allocations of each thread, and the bytes it holds.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that were asked for and not given back.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(allocations: usize, bytes: isize) {
    ALLOCATIONS.with(|count| count.set(count.get() + allocations));
    BYTES.with(|count| count.set(count.get() + bytes));
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain thread-locals
// without destructors and do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Ends {
    outbound: Outbound,
    inbound: Inbound,
    out: OutboundBatch,
    into: InboundBatch,
    buffer: Vec<u8>,
}

impl Ends {
    /// `sas` SA pairs of which the first, the oldest, is the one that is used.
    fn new(pair: Pair, sas: u64, bucket: Bucket) -> Self {
        let rule = Rule {
            name: "mail".into(),
            filters: vec![Filter::between(AddressSpec::Any, AddressSpec::Any)],
            action: Action::Negotiate(Negotiate::require(ChildTemplate::tunnel().into())),
            peer: None,
            origin: Origin::File,
        };
        let counts = Arc::new(Counts::new());
        let spd = Arc::new(Spd::build(vec![rule], &[pair.here()]));
        let mut outbound = Outbound::new(spd, Arc::clone(&counts));
        let mut inbound = Inbound::new(counts);
        let mut out = OutboundBatch::new(1 << 18);
        for number in 0..sas {
            let host = |host| vec![TrafficSelector::all(AddressRange::host(host))];
            let remote = match number {
                0 => pair.there(),
                _ => std::net::Ipv4Addr::from_bits(0xc000_0000 + number as u32).into(),
            };
            let selectors = Selectors {
                local: host(pair.here()),
                remote: host(remote),
            };
            let spec = pair.spec_for(selectors, number + 1);
            let receiver = Arc::new(mirrored(&spec));
            let receiver = InboundSa::new(receiver, bucket).unwrap();
            inbound.install(receiver.strict());
            let sender = OutboundSa::new(Arc::new(spec), bucket).unwrap();
            outbound.install(sender, 1, &mut out);
        }
        outbound.open_gate(bucket, 1);
        inbound.open_gate(bucket, 1);
        let buffer = vec![0; 1 << 18];
        Ends {
            outbound,
            inbound,
            out,
            into: InboundBatch::new(),
            buffer,
        }
    }

    /// One packet from one host to the other, through every step.
    fn carry(&mut self, packet: &[u8], offload: &Offload, datagrams: usize) {
        self.out.clear();
        self.into.clear();
        let sent = self.outbound.send(packet, offload, 1, &mut self.out);
        assert_eq!(sent, Sent::Sealed(datagrams));
        let mut at = 0;
        for (_, datagram) in self.out.datagrams() {
            self.buffer[at..at + datagram.len()].copy_from_slice(datagram);
            let arrival = Arrival {
                source: address(false, 1),
                destination: address(false, 2),
                traffic_class: 0,
                place: at..at + datagram.len(),
            };
            self.inbound
                .receive(&arrival, &mut self.buffer, 1, &mut self.into)
                .unwrap();
            at += datagram.len();
        }
        self.into.finish();
        assert_eq!(self.into.len(), 1);
    }
}

#[test]
fn the_packet_path_does_not_allocate() {
    packet_path(Bucket::HOST);
}

#[test]
fn nor_does_it_with_gates_reservations_and_windows_that_are_told() {
    packet_path(Bucket(3));
}

/// What a standby pays for each pair that it holds for another: keys and selectors, both SAs, and
/// their places in every table.
#[test]
fn a_gated_pair_is_small() {
    const PAIRS: u32 = 100_000;
    let counts = Arc::new(Counts::new());
    let mut outbound = Outbound::new(Arc::new(Spd::default()), Arc::clone(&counts));
    let mut inbound = Inbound::new(counts);
    let mut batch = OutboundBatch::new(0);
    let before = BYTES.with(Cell::get);
    for number in 0..PAIRS {
        let host = |host| vec![TrafficSelector::all(AddressRange::host(host))];
        let selectors = Selectors {
            local: host(address(false, 1)),
            remote: host(std::net::Ipv4Addr::from_bits(0x0b00_0000 + number).into()),
        };
        let spec = Arc::new(Pair::PLAIN.spec_for(selectors, u64::from(number) + 1));
        let bucket = Bucket(1 + (number % 64) as u8);
        inbound.install(InboundSa::new(Arc::clone(&spec), bucket).unwrap());
        let sender = OutboundSa::new(spec, bucket).unwrap();
        outbound.install(sender, 1, &mut batch);
        let id = ChildId(u64::from(number) + 1);
        assert_eq!(outbound.grant(id, 1025, 513, 1, &mut batch), Ok(()));
    }
    let bytes = (BYTES.with(Cell::get) - before) / PAIRS as isize;
    println!("{bytes} bytes for a gated pair");
    assert!(
        (300..900).contains(&bytes),
        "{bytes} bytes for a gated pair"
    );
    assert_eq!((outbound.len(), inbound.len()), (100_000, 100_000));
}

fn packet_path(bucket: Bucket) {
    let large = TcpPacket::new(false, bytes(60_000, 1, 1)).emit_partial();
    let small = TcpPacket::new(false, vec![1; 5]).emit();
    let offload = Offload {
        segmentation: Segmentation::TcpV4,
        needs_checksum: true,
        segment_size: 1348,
        ..Offload::NONE
    };
    for pair in Pair::all().into_iter().filter(|pair| !pair.ipv6) {
        let mut ends = Ends::new(pair, 3, bucket);
        let mut allocations = Vec::new();
        let mut images = Vec::with_capacity(1);
        for round in 1..=5 {
            let before = ALLOCATIONS.with(Cell::get);
            if !bucket.is_host() {
                // Each round uses 46 numbers, crosses the refill mark and has a window to tell.
                let (ceiling, refill_at) = (round * 100, round * 46);
                let (out, id) = (&mut ends.out, ChildId(1));
                out.clear();
                ends.inbound.grant(id, ceiling, refill_at).unwrap();
                let granted = ends.outbound.grant(id, ceiling, refill_at, 1, out);
                assert_eq!(granted, Ok(()));
            }
            ends.carry(&large, &offload, 45);
            ends.carry(&small, &Offload::NONE, 1);
            images.clear();
            ends.inbound.poll_windows(10, &mut images);
            let asked = [ends.outbound.poll_refill(), ends.inbound.poll_refill()];
            assert_eq!(images.len(), usize::from(!bucket.is_host()));
            assert_eq!(asked.map(|asked| asked.is_some()), [!bucket.is_host(); 2]);
            allocations.push(ALLOCATIONS.with(Cell::get) - before);
        }
        assert!(
            allocations[0] > 0,
            "the first packet makes the buffers grow: it is counted"
        );
        assert_eq!(allocations[1..], [0; 4], "{pair:?}");
    }
}
