//! What a handshake costs its responder: `cargo run --release --example handshakes -p ike`. One
//! thread, no sockets: PSK and X25519, an IKE SA with one pair each, and a flood of first messages
//! from forged addresses, which get no further than the door. Times are medians, so that what else
//! the machine does matters little.
#![allow(clippy::disallowed_methods)] // A measurement reads the clock.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Encryption, Group, Prf, Secret, SeededRandom};
use ike::{Acquire, ChildRule, Command, Config, Cookies, Datagram, Endpoint, Output};
use policy::AdditionalOffer;
use policy::auth::Auth;
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use policy::proposal::IkeProposal;
use policy::range::AddressRange;
use policy::sa::Transport;
use policy::selector::{Selectors, TrafficSelector};

const HANDSHAKES: usize = 10_000;
const FORGED: u32 = 500_000;
/// Forged messages that are timed together.
const BATCH: u32 = 100;
const RESPONDER: Ipv4Addr = Ipv4Addr::new(10, 63, 0, 1);
/// Where the initiators are.
const PEERS: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 64, 0, 0), 10);

fn main() {
    let mut responder = responder(Cookies::From(1_000));
    let before = resident();
    let (mut init, mut auth) = (Vec::new(), Vec::new());
    for index in 0..HANDSHAKES {
        let mut initiator = initiator(index);
        for took in [&mut init, &mut auth] {
            let request = transmitted(&mut initiator, address(index));
            let begun = Instant::now();
            responder.handle_datagram(arrival(&request, index, true), begun);
            let answer = transmitted(&mut responder, RESPONDER);
            took.push(begun.elapsed());
            let answer = arrival(&answer, index, false);
            initiator.handle_datagram(answer, Instant::now());
        }
        while !matches!(initiator.poll_output(), Output::Wait(_)) {}
    }
    let established = responder.status(Instant::now()).len();
    assert_eq!(established, HANDSHAKES, "every handshake succeeds");
    println!("IKE_SA_INIT {:>8.2} us", median(init));
    println!("IKE_AUTH    {:>8.2} us", median(auth));
    let grown = resident().saturating_sub(before);
    println!(
        "an IKE SA and its pair {:>5} octets",
        grown / HANDSHAKES as u64
    );
    println!(
        "a forged IKE_SA_INIT {:>6.3} us",
        median(flood()) / BATCH as f64
    );
}

/// In microseconds.
fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let middle = took.get(took.len() / 2);
    middle.map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
}

/// What each batch of a flood takes. The first few are half-open, the others are asked for cookies.
fn flood() -> Vec<Duration> {
    let mut responder = responder(Cookies::From(100));
    let mut request = transmitted(&mut initiator(0), address(0));
    let (mut all, mut begun) = (Vec::new(), Instant::now());
    for number in 0..FORGED {
        if number % BATCH == 0 {
            all.push(begun.elapsed());
            begun = Instant::now();
        }
        request[..8].copy_from_slice(&(u64::from(number) + 1).to_be_bytes());
        let mut datagram = arrival(&request, 0, true);
        let forged = Ipv4Addr::from_bits(PEERS.0.to_bits() + number % (1 << 22));
        datagram.remote.set_ip(forged.into());
        responder.handle_datagram(datagram, begun);
        while !matches!(responder.poll_output(), Output::Wait(_)) {}
    }
    assert!(responder.half_open() <= 100, "the flood stays outside");
    all
}

fn arrival(bytes: &[u8], index: usize, at_responder: bool) -> Datagram<'_> {
    let port = |address: Ipv4Addr| SocketAddr::new(address.into(), 4500);
    let (peer, responder) = (port(address(index)), port(RESPONDER));
    match at_responder {
        true => Datagram {
            transport: Transport::Udp,
            local: responder,
            remote: peer,
            bytes,
        },
        false => Datagram {
            transport: Transport::Udp,
            local: peer,
            remote: responder,
            bytes,
        },
    }
}

/// Carries out everything; the one message that leaves.
fn transmitted(endpoint: &mut Endpoint, from: Ipv4Addr) -> Vec<u8> {
    let mut message = Vec::new();
    loop {
        match endpoint.poll_output() {
            Output::Transmit { local, bytes, .. } if local.ip() == IpAddr::from(from) => {
                message = bytes;
            }
            Output::Wait(_) => return message,
            _ => {}
        }
    }
}

fn address(index: usize) -> Ipv4Addr {
    // Neighbours are in different subnets, of which each may have few half-open handshakes.
    let index = index as u32;
    Ipv4Addr::from_bits(PEERS.0.to_bits() + (index % 1024) * 256 + index / 1024 + 1)
}

fn responder(cookies: Cookies) -> Endpoint {
    let peers = AddressRange::subnet(PEERS.0.into(), PEERS.1).expect("a subnet");
    let config = Config {
        cookies,
        ..config(peers, AddressRange::host(RESPONDER.into()), peers)
    };
    Endpoint::new(config, Box::new(SeededRandom::new(0)))
}

fn initiator(index: usize) -> Endpoint {
    let responder = AddressRange::host(RESPONDER.into());
    let own = AddressRange::host(address(index).into());
    let config = config(responder, own, responder);
    let rule = config.rules[0].clone();
    let mut endpoint = Endpoint::new(config, Box::new(SeededRandom::new(index as u64 + 1)));
    let acquire = Acquire {
        rule: rule.rule,
        peer: "other".into(),
        local: address(index).into(),
        remote: RESPONDER.into(),
        flow: None,
        child: rule.child,
        selectors: rule.selectors,
    };
    let command = Command::Acquire(Box::new(acquire));
    let begun = endpoint.handle_command(command, Instant::now());
    begun.expect("the peer is known");
    endpoint
}

fn config(peer: AddressRange, local: AddressRange, remote: AddressRange) -> Config {
    let pad = Pad::new(vec![Peer {
        name: "other".into(),
        addresses: vec![peer],
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(b"a key for a measurement, no other")),
        alternatives: Vec::new(),
        ike: IkeTemplate {
            proposals: vec![IkeProposal {
                encryption: vec![Encryption::AesGcm16 { key_bits: 128 }],
                integrity: Vec::new(),
                prf: vec![Prf::HmacSha2_256],
                groups: vec![Group::Curve25519],
                additional: AdditionalOffer::default(),
            }],
            force_udp: true,
            liveness: None,
            ..IkeTemplate::modern()
        },
    }]);
    let rule = ChildRule {
        rule: "net".into(),
        peer: None,
        child: Arc::new(ChildTemplate::transport()),
        selectors: Selectors {
            local: vec![TrafficSelector::all(local)],
            remote: vec![TrafficSelector::all(remote)],
        },
    };
    Config::new(Arc::new(pad), vec![rule])
}

/// The resident memory of this process, in octets.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
