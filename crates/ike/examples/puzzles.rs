//! What a puzzle costs either side: `cargo run --release --example puzzles -p ike`. One thread, no
//! sockets. Solving is all that the initiator's timeouts take, without the rests between them.
#![allow(clippy::disallowed_methods)] // A measurement reads the clock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Secret, SeededRandom};
use ike::{Acquire, ChildRule, Command, Config, Cookies, Datagram, Endpoint, Output, Puzzles};
use policy::auth::Auth;
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use policy::range::AddressRange;
use policy::selector::{Selectors, TrafficSelector};

const INITIATOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 64, 0, 1));
const RESPONDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 63, 0, 1));
/// Puzzles of each difficulty, and requests that are timed.
const PUZZLES: u64 = 11;
const REQUESTS: usize = 20_000;

fn main() {
    for difficulty in [8, 10, 12, 14, 16, 18, 20] {
        let all = (0..PUZZLES).map(|seed| solve(difficulty, seed));
        let (took, longest): (Vec<Duration>, Vec<Duration>) = all.unzip();
        let longest = longest.into_iter().max().unwrap_or_default();
        println!(
            "{difficulty:>2} bits: solved in {:>10.3} ms, at most {:>6.3} ms at a time",
            median(took) * 1e3,
            longest.as_secs_f64() * 1e3
        );
    }
    let (request, solved) = requests();
    println!("asked for a puzzle     {:>6.2} us", time(&request) * 1e6);
    let mut wrong = solved.clone();
    // The PS payload is behind the header and N(COOKIE), and its last key is at its end.
    let cookie = usize::from(u16::from_be_bytes([solved[30], solved[31]]));
    let end = 28 + cookie + 4 + 16;
    wrong[end - 1] ^= 0x55;
    println!("a wrong fourth key     {:>6.2} us", time(&wrong) * 1e6);
    wrong[end - 16] ^= 0x55;
    println!("a wrong first key      {:>6.2} us", time(&wrong) * 1e6);
}

/// What the work at a puzzle takes in all, and the longest part of it.
fn solve(difficulty: u8, seed: u64) -> (Duration, Duration) {
    let (mut responder, mut initiator) = (responder(difficulty), initiator(seed));
    let mut now = Instant::now();
    let request = transmitted(&mut initiator).0.unwrap_or_default();
    responder.handle_datagram(datagram(&request, RESPONDER, INITIATOR), now);
    let answer = transmitted(&mut responder).0.unwrap_or_default();
    initiator.handle_datagram(datagram(&answer, INITIATOR, RESPONDER), now);
    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    loop {
        if let (Some(_), _) = transmitted(&mut initiator) {
            return (all, longest);
        }
        now += Duration::from_millis(1);
        let begun = Instant::now();
        initiator.handle_timeout(now);
        let took = begun.elapsed();
        all += took;
        longest = longest.max(took);
    }
}

/// A request without and one with a solution, of 8 bits.
fn requests() -> (Vec<u8>, Vec<u8>) {
    let (mut responder, mut initiator) = (responder(8), initiator(0));
    let mut now = Instant::now();
    let request = transmitted(&mut initiator).0.unwrap_or_default();
    responder.handle_datagram(datagram(&request, RESPONDER, INITIATOR), now);
    let answer = transmitted(&mut responder).0.unwrap_or_default();
    initiator.handle_datagram(datagram(&answer, INITIATOR, RESPONDER), now);
    loop {
        if let (Some(solved), _) = transmitted(&mut initiator) {
            return (request, solved);
        }
        now += Duration::from_millis(1);
        initiator.handle_timeout(now);
    }
}

/// What a responder takes for a request that it refuses, in seconds.
fn time(request: &[u8]) -> f64 {
    let mut responder = responder(8);
    let now = Instant::now();
    let mut all = Vec::with_capacity(REQUESTS);
    // It has a secret of its own, the same as the one that made the cookie: of one seed.
    responder.handle_datagram(datagram(request, RESPONDER, INITIATOR), now);
    transmitted(&mut responder);
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        responder.handle_datagram(datagram(request, RESPONDER, INITIATOR), now);
        transmitted(&mut responder);
        all.push(begun.elapsed());
    }
    assert_eq!(responder.half_open(), 0, "nobody is let in");
    median(all)
}

/// In seconds.
fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let middle = took.get(took.len() / 2);
    middle.map_or(f64::NAN, Duration::as_secs_f64)
}

fn datagram(bytes: &[u8], local: IpAddr, remote: IpAddr) -> Datagram<'_> {
    Datagram {
        transport: policy::sa::Transport::Udp,
        local: SocketAddr::new(local, 500),
        remote: SocketAddr::new(remote, 500),
        bytes,
    }
}

/// Carries out everything; the last message that leaves.
fn transmitted(endpoint: &mut Endpoint) -> (Option<Vec<u8>>, Option<Instant>) {
    let mut message = None;
    loop {
        match endpoint.poll_output() {
            Output::Transmit { bytes, .. } => message = Some(bytes),
            Output::Wait(until) => return (message, until.map(|(at, _)| at)),
            _ => {}
        }
    }
}

fn responder(difficulty: u8) -> Endpoint {
    let puzzles = Puzzles {
        from: 0,
        difficulty,
    };
    let config = Config {
        cookies: Cookies::Always,
        puzzles: Some(puzzles),
        ..config(INITIATOR, RESPONDER)
    };
    Endpoint::new(config, Box::new(SeededRandom::new(0)))
}

fn initiator(seed: u64) -> Endpoint {
    let config = config(RESPONDER, INITIATOR);
    let rule = config.rules[0].clone();
    let mut endpoint = Endpoint::new(config, Box::new(SeededRandom::new(seed + 1)));
    let acquire = Acquire {
        rule: rule.rule,
        peer: "other".into(),
        local: INITIATOR,
        remote: RESPONDER,
        flow: None,
        child: rule.child,
        selectors: rule.selectors,
    };
    let command = Command::Acquire(Box::new(acquire));
    let begun = endpoint.handle_command(command, Instant::now());
    begun.expect("the peer is known");
    endpoint
}

fn config(peer: IpAddr, local: IpAddr) -> Config {
    let pad = Pad::new(vec![Peer {
        name: "other".into(),
        addresses: vec![AddressRange::host(peer)],
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(b"a key for a measurement, no other")),
        alternatives: Vec::new(),
        ike: IkeTemplate::modern(),
    }]);
    let all = |address| vec![TrafficSelector::all(AddressRange::host(address))];
    let rule = ChildRule {
        rule: "net".into(),
        peer: None,
        child: Arc::new(ChildTemplate::transport()),
        selectors: Selectors {
            local: all(local),
            remote: all(peer),
        },
    };
    Config::new(Arc::new(pad), vec![rule])
}
