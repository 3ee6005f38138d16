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
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Rule};
use policy::sa::Bucket;
use policy::selector::{Selectors, TrafficSelector};
use policy::spd::Spd;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::{Pair, TcpPacket, address, bytes, mirrored};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain thread-local
// without a destructor and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
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
    fn new(pair: Pair, sas: u64) -> Self {
        let rule = Rule {
            name: "mail".into(),
            filters: vec![Filter::between(AddressSpec::Any, AddressSpec::Any)],
            action: Action::Negotiate(Negotiate {
                required: true,
                child: ChildTemplate::tunnel().into(),
            }),
            peer: None,
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
            inbound.install(InboundSa::new(receiver, Bucket::HOST).unwrap());
            let sender = OutboundSa::new(Arc::new(spec), Bucket::HOST).unwrap();
            outbound.install(sender, 1, &mut out);
        }
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
    let large = TcpPacket::new(false, bytes(60_000, 1, 1)).emit_partial();
    let small = TcpPacket::new(false, vec![1; 5]).emit();
    let offload = Offload {
        segmentation: Segmentation::TcpV4,
        needs_checksum: true,
        segment_size: 1348,
        ..Offload::NONE
    };
    for pair in Pair::all().into_iter().filter(|pair| !pair.ipv6) {
        let mut ends = Ends::new(pair, 3);
        let mut allocations = Vec::new();
        for _ in 0..5 {
            let before = ALLOCATIONS.with(Cell::get);
            ends.carry(&large, &offload, 45);
            ends.carry(&small, &Offload::NONE, 1);
            allocations.push(ALLOCATIONS.with(Cell::get) - before);
        }
        assert!(
            allocations[0] > 0,
            "the first packet makes the buffers grow: it is counted"
        );
        assert_eq!(allocations[1..], [0; 4], "{pair:?}");
    }
}
