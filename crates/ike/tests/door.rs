//! What does not solve a puzzle costs no memory: nothing is allocated before it is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts can only be written with unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crypto::{Secret, SeededRandom};
use ike::{Config, Cookies, Datagram, Discard, Endpoint, Output, Puzzles};
use policy::auth::Auth;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use wire::ike::{
    ExchangeType, Flags, Header, KePayload, Nonce, Notify, NotifyType, Payload, Proposal,
    ProtocolId, SaPayload, Transform, TransformType,
};

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts one allocation, if this thread is counting.
fn count() {
    COUNT.with(|count| count.set(count.get().map(|so_far| so_far + 1)));
}

/// The allocations that `run` makes in this thread.
fn allocations(run: impl FnOnce()) -> usize {
    COUNT.with(|count| count.set(Some(0)));
    run();
    COUNT.with(Cell::take).unwrap()
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(at, layout, new_size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INITIATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 64, 0, 1));
const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 63, 0, 1));

fn responder() -> Endpoint {
    let pad = Pad::new(vec![Peer {
        name: "other".into(),
        addresses: Vec::new(),
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(b"key")),
        alternatives: Vec::new(),
        ike: IkeTemplate::modern(),
    }]);
    let config = Config {
        cookies: Cookies::Always,
        puzzles: Some(Puzzles {
            from: 0,
            difficulty: 20,
        }),
        ..Config::new(Arc::new(pad), Vec::new())
    };
    Endpoint::new(config, Box::new(SeededRandom::new(1)))
}

/// A first message behind these payloads.
fn request(before: &[Payload]) -> Vec<u8> {
    let flags = Flags {
        initiator: true,
        ..Flags::default()
    };
    let header = Header::new(7, 0, ExchangeType::IKE_SA_INIT, flags, 0);
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms: vec![Transform::new(TransformType::PRF, 5)],
    };
    let payloads = [
        Payload::Sa(SaPayload {
            proposals: vec![proposal],
        }),
        Payload::Ke(KePayload {
            group: 31,
            data: vec![9; 32],
        }),
        Payload::Nonce(Nonce(vec![1; 32])),
    ];
    wire::ike::encode(&header, &[before, &payloads].concat()).unwrap()
}

fn give(endpoint: &mut Endpoint, bytes: &[u8], now: Instant) {
    let at = |address| SocketAddr::new(address, 500);
    let datagram = Datagram {
        transport: policy::sa::Transport::Udp,
        local: at(RESPONDER),
        remote: at(INITIATOR),
        bytes,
    };
    endpoint.handle_datagram(datagram, now);
}

/// The cookie that came with a puzzle.
fn asked(endpoint: &mut Endpoint) -> Notify {
    let mut cookie = None;
    loop {
        match endpoint.poll_output() {
            Output::Transmit { bytes, .. } => {
                let payloads = wire::ike::decode(&bytes).unwrap().payloads;
                assert_eq!(payloads.len(), 2, "a cookie and a puzzle");
                cookie = payloads.into_iter().find_map(|payload| match payload {
                    Payload::Notify(one) if one.kind == NotifyType::COOKIE => Some(one),
                    _ => None,
                });
            }
            Output::Wait(_) => return cookie.unwrap(),
            _ => {}
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn what_does_not_solve_a_puzzle_is_refused_without_an_allocation() {
    let (mut endpoint, now) = (responder(), Instant::now());
    give(&mut endpoint, &request(&[]), now);
    let cookie = Payload::Notify(asked(&mut endpoint));
    let wrong = Payload::PuzzleSolution((0..16).collect());
    let unsolved = request(std::slice::from_ref(&cookie));
    let wrong = request(&[cookie, wrong]);
    // Until those that solve nothing have had their share.
    for _ in 0..20 {
        give(&mut endpoint, &unsolved, now);
        while !matches!(endpoint.poll_output(), Output::Wait(_)) {}
    }
    for (bytes, why) in [
        (&wrong, Discard::PuzzleWrong),
        (&unsolved, Discard::PuzzleUnsolved),
    ] {
        let before = endpoint.discards().get(why);
        let made = allocations(|| {
            for _ in 0..100 {
                give(&mut endpoint, bytes, now);
            }
        });
        assert_eq!(endpoint.discards().get(why), before + 100);
        assert_eq!(made, 0, "{why}");
    }
}
