//! ESP between two namespaces of a kernel that has it: algorithms, limits, takeover of numbers.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::ip;
use crate::prefix::Prefix;
use crate::testing::{Namespace, root_or_say_so, two};
use crate::xfrm::*;

const OUT: u32 = 0x1111;
const REQID: u32 = 0x4800_0007;

/// Two hosts, one of which sends to the other through one SA.
struct Pair {
    here: Namespace,
    there: Namespace,
    door: Xfrm,
    far_door: Xfrm,
    addresses: (IpAddr, IpAddr),
}

impl Pair {
    /// `None`, loudly, where it cannot be.
    fn new(name: &str, v6: bool) -> Option<Pair> {
        if !root_or_say_so("ESP of the kernel") {
            return None;
        }
        let (here, there) = two(name);
        let (one, other, length) = match v6 {
            true => ("fd00:77::1", "fd00:77::2", 64),
            false => ("10.77.0.1", "10.77.0.2", 24),
        };
        here.address("eth0", &format!("{one}/{length}"));
        there.address("eth0", &format!("{other}/{length}"));
        let mut pair = Pair {
            door: here.run(Xfrm::open).unwrap(),
            far_door: there.run(Xfrm::open).unwrap(),
            addresses: (ip(one), ip(other)),
            here,
            there,
        };
        let sa = pair.sa(Algorithm::AesGcm(&[1; 20]), Lifetimes::NONE);
        match pair.door.add_sa(&sa) {
            Err(error) if is_missing(&error) => {
                eprintln!("NOT RUN: {error}");
                return None;
            }
            added => added.unwrap(),
        }
        assert!(pair.door.delete_sa(sa.id, sa.source, None).unwrap());
        Some(pair)
    }

    fn sa<'a>(&self, algorithm: Algorithm<'a>, lifetimes: Lifetimes) -> Sa<'a> {
        let mut sa = super::sa(algorithm);
        sa.id = SaId {
            destination: self.addresses.1,
            spi: OUT,
        };
        sa.source = self.addresses.0;
        sa.reqid = REQID;
        sa.lifetimes = lifetimes;
        sa
    }

    fn selector(&self) -> Selector {
        Selector {
            source: Prefix::host(self.addresses.0),
            destination: Prefix::host(self.addresses.1),
            protocol: 17,
            source_ports: PortBlock::ANY,
            destination_ports: PortBlock {
                port: 8000,
                mask: 0xfff8,
            },
        }
    }

    fn set_policies(&mut self) {
        let action = PolicyAction::Protect(Template {
            reqid: REQID,
            mode: Mode::Transport,
            outer: None,
            optional: false,
        });
        let mut policy = super::policy(Direction::Out, action);
        policy.selector = self.selector();
        self.door.set_policy(&policy).unwrap();
        policy.direction = Direction::In;
        policy.index = 0;
        self.far_door.set_policy(&policy).unwrap();
    }

    /// How many of so many datagrams to a port arrive.
    fn carried(&self, port: u16, count: usize) -> usize {
        let bind = |space: &Namespace, address, port| {
            space.run(move || UdpSocket::bind((address, port)).unwrap())
        };
        let from = bind(&self.here, self.addresses.0, 0);
        let to = bind(&self.there, self.addresses.1, port);
        to.set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let sent = |number: usize| from.send_to(&[number as u8; 900], (self.addresses.1, port));
        let mut buffer = [0; 1000];
        let mut arrived = 0;
        for number in 0..count {
            // What finds no SA is refused, or is lost.
            let _ = sent(number);
            arrived += usize::from(to.recv(&mut buffer).is_ok());
        }
        arrived
    }
}

#[test]
fn every_algorithm_carries_both_families() {
    for v6 in [false, true] {
        let Some(mut pair) = Pair::new(if v6 { "xfrm-six" } else { "xfrm-four" }, v6) else {
            return;
        };
        pair.set_policies();
        assert_eq!(pair.carried(8007, 1), 0, "without an SA nothing passes");
        assert_eq!(
            pair.carried(8008, 1),
            1,
            "the block of ports ends before that"
        );
        let hash_key = [7; 64];
        let with = |cipher, key, hash, bits: usize| Algorithm::WithHmac {
            cipher,
            key,
            hash,
            hash_key: &hash_key[..bits / 8],
        };
        let cbc = |hash, bits| with(Cipher::AesCbc, &[5; 32], hash, bits);
        let three: Vec<u8> = (1..=24).collect();
        let algorithms = [
            Algorithm::AesGcm(&[3; 20]),
            Algorithm::AesGcm(&[3; 36]),
            Algorithm::ChaCha20Poly1305(&[4; 36]),
            cbc(Hash::Sha256, 256),
            cbc(Hash::Sha384, 384),
            cbc(Hash::Sha512, 512),
            with(Cipher::TripleDesCbc, &three, Hash::Sha1, 160),
            with(Cipher::DesCbc, &three[..8], Hash::Md5, 128),
            with(Cipher::Null, &[], Hash::Sha1, 160),
        ];
        for algorithm in algorithms {
            let sa = pair.sa(algorithm, Lifetimes::NONE);
            // The wait that the first packet has begun makes room for the SA.
            match pair.door.add_sa(&sa) {
                // DES and MD5 are not in every kernel.
                Err(error) if is_missing(&error) => {
                    eprintln!("NOT RUN with {algorithm}: {error}");
                    continue;
                }
                added => added.unwrap(),
            }
            pair.far_door.add_sa(&sa).unwrap();
            assert_eq!(pair.carried(8007, 5), 5, "{algorithm}");
            let ended = pair.door.end_sas(&[(sa.id, sa.source)]).unwrap();
            let ended = ended[0].as_ref().unwrap();
            assert_eq!(ended.packets, 5, "{algorithm}");
            assert_eq!(ended.replay.as_ref().unwrap().sent, 5);
            let far = pair.far_door.end_sas(&[(sa.id, sa.source)]).unwrap();
            let far = far[0].as_ref().unwrap().replay.clone().unwrap();
            assert_eq!(far.received, 5);
            assert!((1..=5).all(|number| far.has_seen(number)));
        }
    }
}

/// What takeover rests on: no packet above the ceiling, a survivor that begins there, and a window
/// that refuses what the one before it had taken.
#[test]
fn an_sa_stops_at_its_limit_and_goes_on_elsewhere_above_it() {
    let Some(mut pair) = Pair::new("xfrm-lim", false) else {
        return;
    };
    let mut monitor = pair.here.run(XfrmMonitor::open).unwrap();
    pair.set_policies();
    let limits = Lifetimes {
        soft_packets: 4,
        hard_packets: 6,
        ..Lifetimes::NONE
    };
    let key = [9; 20];
    let mut sa = pair.sa(Algorithm::AesGcm(&key), limits);
    pair.door.add_sa(&sa).unwrap();
    let far = pair.sa(Algorithm::AesGcm(&key), Lifetimes::NONE);
    pair.far_door.add_sa(&far).unwrap();
    assert_eq!(pair.carried(8000, 5), 5);
    sa.lifetimes.hard_packets = 8;
    sa.lifetimes.soft_packets = 8;
    pair.door.update_sa(&sa).unwrap();
    assert_eq!(pair.carried(8000, 5), 3, "eight in all");
    let (mut soft, mut hard, mut told) = (false, false, Vec::new());
    let end = Instant::now() + Duration::from_secs(3);
    while !hard && Instant::now() < end {
        match monitor.next_event().unwrap() {
            Some(Event::Expire { hard: true, sa }) => {
                hard = true;
                assert_eq!(sa.packets, 8);
            }
            Some(Event::Expire { hard: false, .. }) => soft = true,
            Some(Event::Moved(moved)) => told.push(moved.replay.sent),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    assert!(soft && hard, "soft {soft}, hard {hard}");
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8], "nobody has quieted it");
    assert_eq!(pair.door.sa(sa.id).unwrap(), None, "it is gone");
    // The survivor begins at the ceiling, 9: the peer takes it, and counts on.
    sa.lifetimes = Lifetimes::NONE;
    let _ = pair.door.delete_sa(sa.id, sa.source, None).unwrap();
    sa.replay.sent = 50;
    pair.door.add_sa(&sa).unwrap();
    assert_eq!(pair.carried(8000, 2), 2);
    let far = pair.far_door.sa(sa.id).unwrap().unwrap().replay.unwrap();
    assert_eq!(far.received, 52);
    assert!(far.has_seen(8) && !far.has_seen(9) && far.has_seen(51));
    // Numbers that were sent before are refused by a window that was carried over.
    let far_ended = pair.far_door.end_sas(&[(sa.id, sa.source)]).unwrap();
    let window = far_ended[0].as_ref().unwrap().replay.clone().unwrap();
    let mut again = pair.sa(Algorithm::AesGcm(&key), Lifetimes::NONE);
    again
        .replay
        .set_received(window.received, |number| window.has_seen(number));
    pair.far_door.add_sa(&again).unwrap();
    let mut back = pair.sa(Algorithm::AesGcm(&key), Lifetimes::NONE);
    back.replay.sent = 50;
    pair.door.delete_sa(back.id, back.source, None).unwrap();
    pair.door.add_sa(&back).unwrap();
    assert_eq!(pair.carried(8000, 3), 1, "51 and 52 came before");
}

#[test]
fn an_sa_tells_its_first_packet_and_then_by_time() {
    let Some(mut pair) = Pair::new("xfrm-tell", false) else {
        return;
    };
    let mut monitor = pair.here.run(XfrmMonitor::open).unwrap();
    pair.set_policies();
    let sa = pair.sa(Algorithm::AesGcm(&[2; 20]), Lifetimes::NONE);
    pair.door.add_sa(&sa).unwrap();
    pair.far_door.add_sa(&sa).unwrap();
    let mut told = Vec::new();
    for round in 1..=3 {
        let count = if round == 1 { 1 } else { 20 };
        assert_eq!(pair.carried(8001, count), count);
        let end = Instant::now() + Duration::from_secs(2);
        let last = if round == 1 { 1 } else { 20 * round - 19 };
        while told.last() != Some(&last) {
            match monitor.next_event().unwrap() {
                Some(Event::Moved(moved)) => told.push(moved.replay.sent),
                Some(other) => panic!("{other:?}"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(Instant::now() < end, "{told:?} and not {last}");
        }
        if round == 1 {
            pair.door.tell_by_time(sa.id, sa.source).unwrap();
        }
    }
    assert!(told.len() < 30, "not one for each packet: {told:?}");
}
