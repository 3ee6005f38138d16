//! More than one key exchange: IKE_INTERMEDIATE before IKE_AUTH, IKE_FOLLOWUP_KE after
//! CREATE_CHILD_SA, with ML-KEM (RFC 9242, RFC 9370).

use crate::harness::*;
use crypto::SeededRandom;
use ike::{Command, Discard, Event, Reason};

const IKE: &str = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_mlkem1024";
const ESP: &str = "aes256gcm16-x25519-ke1_mlkem768-ke2_mlkem1024-esn";
const IKE_AUTH: u8 = 35;
const IKE_INTERMEDIATE: u8 = 43;
const IKE_FOLLOWUP_KE: u8 = 44;

pub(crate) fn setup() -> Setup {
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side].proposals = vec![IKE.parse().unwrap()];
        setup.child[side].proposals = vec![ESP.parse().unwrap()];
    }
    setup
}

/// How many different message ids of an exchange a host used for requests.
fn requests(pair: &Pair, exchange: u8) -> usize {
    let of = |packet: &&Packet| packet.exchange() == exchange && !packet.is_response();
    let packets = pair.log.iter().map(|(_, packet)| packet).filter(of);
    let ids = packets.map(|packet| (packet.from, packet.bytes[..24].to_vec()));
    ids.collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn every_exchange_of_an_ike_sa_and_its_children_has_all_key_exchanges() {
    let mut pair = setup().pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert_eq!(requests(&pair, IKE_INTERMEDIATE), 2);
    assert_eq!(requests(&pair, IKE_FOLLOWUP_KE), 0);
    let suite = pair.ikes(A)[0].suite.unwrap();
    assert_eq!(suite.to_string(), IKE);
    for side in [A, B] {
        let old = pair.child(side);
        pair.command(side, Command::RekeyChild(old));
        pair.run(millis(100));
        pair.agree(1);
        assert_ne!(pair.child(side), old);
        let child = &pair.ikes(side)[0].children[0];
        assert_eq!(child.suite.to_string(), ESP);
        let old = pair.ike(side);
        pair.command(side, Command::RekeyIke(old));
        pair.run(millis(100));
        pair.agree(1);
        assert_ne!(pair.ike(side), old);
    }
    assert_eq!(requests(&pair, IKE_FOLLOWUP_KE), 8);
    for host in [A, B] {
        assert_eq!(pair.hosts[host].endpoint.discards().total(), 0);
    }
    // ML-KEM's keys do not fit a packet: they travel in fragments, and nothing else is as large.
    let large = pair.log.iter().filter(|(_, one)| one.bytes.len() > 1248);
    assert_eq!(large.count(), 0);
}

#[test]
fn the_keys_of_every_stage_are_told_to_who_asked_for_them() {
    let mut setup = setup();
    setup.config = |config| config.export_keys = true;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    // Those of IKE_SA_INIT, and after each of the two others.
    assert_eq!((pair.hosts[A].keys, pair.hosts[B].keys), (3, 3));
    let ike = pair.ike(A);
    pair.command(A, Command::RekeyIke(ike));
    pair.run(millis(100));
    assert_eq!((pair.hosts[A].keys, pair.hosts[B].keys), (4, 4));
}

#[test]
fn without_fragments_the_keys_travel_in_large_packets() {
    let mut setup = setup();
    setup.ike[B].fragment_size = None;
    let mut pair = setup.pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    assert!(pair.log.iter().any(|(_, one)| one.bytes.len() > 1500));
}

#[test]
fn who_insists_on_more_than_the_other_has_gets_nothing() {
    for one in [A, B] {
        let mut setup = setup();
        setup.ike[one].proposals =
            vec!["aes256gcm16-prfsha384-x25519-ke1_mlkem768".parse().unwrap()];
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(secs(10));
        pair.agree(0);
        assert_eq!(requests(&pair, IKE_INTERMEDIATE), 0);
    }
}

#[test]
fn a_peer_without_additional_exchanges_is_served_if_they_are_optional() {
    for without in [A, B] {
        let mut setup = setup();
        let optional = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none";
        setup.ike[1 - without].proposals = vec![optional.parse().unwrap()];
        setup.ike[without].proposals = vec!["aes256gcm16-prfsha384-x25519".parse().unwrap()];
        let plain = "aes256gcm16-x25519-esn";
        setup.child[without].proposals = vec![plain.parse().unwrap()];
        setup.child[1 - without].proposals = vec![
            "aes256gcm16-x25519-ke1_mlkem768-ke1_none-esn"
                .parse()
                .unwrap(),
        ];
        let mut pair = setup.pair();
        pair.establish();
        let child = pair.child(A);
        pair.command(A, Command::RekeyChild(child));
        pair.run(millis(100));
        pair.agree(1);
        let ike = pair.ike(B);
        pair.command(B, Command::RekeyIke(ike));
        pair.run(millis(100));
        pair.agree(1);
        assert_eq!(requests(&pair, IKE_INTERMEDIATE), 0);
        assert_eq!(requests(&pair, IKE_FOLLOWUP_KE), 0);
    }
}

#[test]
fn whichever_message_is_lost_all_comes_to_the_same() {
    for lost in 0..60 {
        let mut pair = setup().pair();
        let mut count = 0;
        pair.filter = Box::new(move |_| {
            count += 1;
            match count == lost {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        pair.acquire(A);
        pair.run(millis(400));
        pair.agree(1);
        let child = pair.child(A);
        pair.command(A, Command::RekeyChild(child));
        pair.run(millis(400));
        pair.agree(1);
        let ike = pair.ike(B);
        pair.command(B, Command::RekeyIke(ike));
        pair.run(millis(400));
        pair.agree(1);
        assert_eq!(requests(&pair, IKE_FOLLOWUP_KE), 4, "{}", pair.story());
    }
}

#[test]
fn collisions_of_both_kinds_settle() {
    for delay in 0..40 {
        let mut pair = setup().pair();
        pair.establish();
        let (a, b) = (pair.child(A), pair.child(B));
        pair.command(A, Command::RekeyChild(a));
        pair.run(millis(1) * delay / 4);
        if pair.hosts[B].sad.contains_key(&b) {
            pair.command(B, Command::RekeyChild(b));
        }
        pair.run(secs(12));
        pair.agree(1);

        let (a, b) = (pair.ike(A), pair.ike(B));
        pair.command(A, Command::RekeyIke(a));
        pair.run(millis(1) * delay / 4);
        if pair.ikes(B).iter().any(|one| one.ike == b) {
            pair.command(B, Command::RekeyIke(b));
        }
        pair.run(secs(12));
        pair.agree(1);
        assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
        let failed = |event: &Event| {
            matches!(
                event,
                Event::IkeClosed {
                    reason: Reason::Failed(_),
                    ..
                }
            )
        };
        for host in [A, B] {
            assert!(pair.event(host, failed).is_none(), "{}", pair.story());
        }
    }
}

#[test]
fn a_delete_in_the_middle_of_a_rekeying_wins() {
    let setups = [Setup::default(), setup()];
    for (setup, delay) in setups
        .iter()
        .flat_map(|one| (0..40).map(move |at| (one, at)))
    {
        for host in [A, B] {
            let mut pair = setup.pair();
            pair.establish();
            let child = [pair.child(A), pair.child(B)];
            pair.command(A, Command::RekeyChild(child[A]));
            pair.run(millis(1) * delay / 4);
            if pair.hosts[host].sad.contains_key(&child[host]) {
                pair.command(host, Command::DeleteChild(child[host]));
            }
            pair.run(secs(12));
            pair.agree_on_pairs();
            let count = pair.hosts[A].sad.len();
            pair.agree(count);
        }
    }
}

#[test]
fn who_begins_and_does_not_go_on_is_forgotten() {
    let mut pair = setup().pair();
    pair.establish();
    pair.filter = Box::new(|packet| match packet.exchange() {
        IKE_FOLLOWUP_KE => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(500));
    // B has something pending, and its own wish waits for it.
    let child = pair.child(B);
    pair.command(B, Command::RekeyChild(child));
    pair.run(millis(500));
    let queued = pair.ikes(B)[0].queued;
    assert_eq!(queued, 1, "{}", pair.story());
    // A gives up its IKE SA; what it wanted begins anew.
    pair.run(secs(20));
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(60));
    let count = pair.ikes(A).len();
    assert_eq!(pair.ikes(B).len(), count, "{}", pair.story());
    pair.agree(pair.hosts[A].sad.len());
}

#[test]
fn another_link_finds_nothing_and_the_exchange_begins_anew() {
    let mut pair = setup().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(3));
    // A member that does not know what was pending goes on for B.
    let takeover = ike::Takeover {
        epoch: 1,
        grace: secs(30),
        spread: secs(60),
    };
    pair.survive(B, &setup(), takeover);
    pair.run(secs(5));
    pair.agree(1);
    assert_ne!(pair.child(A), child, "{}", pair.story());
}

#[test]
fn a_bad_network_and_everything_at_once() {
    for seed in 0..60 {
        let mut setup = setup();
        setup.seed = seed;
        let mut pair = setup.pair();
        pair.chaos = Some(Chaos {
            random: SeededRandom::new(seed + 77),
            loss: 40,
            duplicate: 40,
            jitter: millis(20),
        });
        pair.acquire(A);
        for round in 0..6_u64 {
            pair.run(millis(60 + 30 * (seed % 7)));
            let host = usize::from((seed >> round) & 1 == 1);
            let child = pair.hosts[host].sad.keys().next_back().copied();
            let ike = pair.ikes(host).first().map(|one| one.ike);
            let command = match (round % 3, child, ike) {
                (0 | 1, Some(child), _) => Command::RekeyChild(child),
                (_, _, Some(ike)) => Command::RekeyIke(ike),
                _ => Command::Acquire(Box::new(pair.acquire_of(host))),
            };
            let now = pair.now;
            pair.note(host, &command);
            let _ = pair.hosts[host].endpoint.handle_command(command, now);
            pair.poll(host);
        }
        pair.chaos = None;
        pair.run(secs(40));
        for host in [A, B] {
            for one in pair.ikes(host) {
                pair.command(host, Command::CheckLiveness(one.ike));
            }
        }
        pair.run(secs(10));
        pair.agree_on_pairs();
        pair.agree(pair.hosts[A].sad.len());
        assert_eq!(pair.ikes(A).len(), pair.ikes(B).len(), "seed {seed}");
    }
}

#[test]
fn replayed_intermediate_messages_get_the_same_answer_or_none() {
    let mut pair = setup().pair();
    pair.filter = Box::new(|packet| match packet.exchange() {
        IKE_AUTH => Verdict::Drop,
        _ => Verdict::Pass,
    });
    pair.acquire(A);
    pair.run(millis(20));
    let sent: Vec<Packet> = pair.log.iter().map(|(_, packet)| packet.clone()).collect();
    let of = |one: &&Packet| one.exchange() == IKE_INTERMEDIATE && one.from == A;
    let requests: Vec<&Packet> = sent.iter().filter(of).collect();
    let last = requests.last().unwrap().bytes[20..24].to_vec();
    for packet in &requests {
        let before = pair.log.len();
        pair.deliver(packet);
        let answers = pair.log.split_off(before);
        let first = packet.fragment().is_none_or(|one| one[..2] == [0, 1]);
        let due = packet.bytes[20..24] == last && first;
        assert_eq!(!answers.is_empty(), due);
        let repeated = |one: &Packet| sent.iter().any(|before| before.bytes == one.bytes);
        assert!(answers.iter().all(|(_, one)| repeated(one)));
    }
    let refused = |reason| pair.hosts[B].endpoint.discards().get(reason);
    assert!(refused(Discard::Fragment) > 0);
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(1));
    pair.agree(1);
}

#[test]
fn a_first_key_that_is_none_gets_no_answer() {
    // ML-KEM as the first exchange shows its key in the clear, where it can be changed.
    let mut setup = Setup::default();
    for side in [A, B] {
        setup.ike[side].proposals = vec!["aes256gcm16-prfsha384-mlkem768".parse().unwrap()];
    }
    let mut pair = setup.pair();
    let mut done = false;
    pair.filter = Box::new(move |packet| {
        if packet.from == A && !done {
            done = true;
            let mut bytes = packet.bytes.clone();
            let at = bytes
                .windows(4)
                .position(|four| four == [0, 36, 0, 0])
                .unwrap();
            bytes[at + 4..at + 7].fill(0xff);
            return Verdict::Replace(bytes);
        }
        Verdict::Pass
    });
    pair.acquire(A);
    pair.run(millis(20));
    assert_eq!(
        pair.hosts[B].endpoint.half_open(),
        0,
        "nothing is left of it"
    );
    pair.run(secs(1));
    // It was sent again, unchanged.
    pair.agree(1);
    let refused = pair.hosts[B].endpoint.discards();
    assert_eq!(refused.get(Discard::KeyExchange), 1);
}
