//! Messages in fragments, from the handshake on (RFC 7383).

use crate::harness::*;
use ike::{Command, Discard, Event};

fn setup() -> Setup {
    let mut setup = Setup::default();
    setup.ike.iter_mut().for_each(in_fragments);
    setup
}

/// IP and UDP headers and the non-ESP marker.
const AROUND: usize = 20 + 8 + 4;
const IKE_SA_INIT: u8 = 34;
const IKE_AUTH: u8 = 35;

fn refused(pair: &Pair, host: usize, reason: Discard) -> u64 {
    pair.hosts[host].endpoint.discards().get(reason)
}

#[test]
fn every_message_is_cut_after_the_first_exchange_also_when_the_ike_sa_is_rekeyed() {
    let mut pair = setup().pair();
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    for side in [A, B] {
        let child = pair.child(side);
        pair.command(side, Command::RekeyChild(child));
        pair.run(millis(100));
        let ike = pair.ike(side);
        pair.command(side, Command::RekeyIke(ike));
        pair.run(millis(100));
        pair.agree(1);
    }
    let (mut cut, most) = (0, usize::from(TINY) - AROUND);
    for (_, packet) in &pair.log {
        if packet.exchange() == IKE_SA_INIT {
            assert_eq!(packet.fragment(), None);
            continue;
        }
        assert!(packet.bytes.len() <= most, "{}", pair.story());
        cut += usize::from(packet.fragment().is_some());
    }
    assert!(cut > 50, "{cut} fragments");
    for host in [A, B] {
        assert_eq!(pair.hosts[host].endpoint.discards().total(), 0);
    }
}

#[test]
fn who_does_not_want_fragments_gets_none() {
    for without in [A, B] {
        let mut setup = setup();
        setup.ike[without].fragment_size = None;
        let mut pair = setup.pair();
        pair.acquire(A);
        pair.run(millis(100));
        pair.agree(1);
        let mut packets = pair.log.iter().map(|(_, packet)| packet);
        assert!(packets.all(|packet| packet.fragment().is_none()));
    }
}

/// How many fragments a message of the exchange had.
fn fragments(pair: &Pair, from: usize, exchange: u8) -> u16 {
    let of = |one: &&(_, Packet)| one.1.from == from && one.1.exchange() == exchange;
    let last = pair.log.iter().rfind(of).unwrap();
    let [.., high, low] = last.1.fragment().unwrap();
    u16::from_be_bytes([high, low])
}

#[test]
fn whichever_fragment_is_lost_all_come_again_as_they_were() {
    for from in [A, B] {
        let mut lost = 0;
        loop {
            let mut pair = setup().pair();
            let mut count = 0;
            pair.filter = Box::new(move |packet| {
                let hit = packet.from == from && packet.fragment().is_some();
                count += usize::from(hit);
                match hit && count == lost + 1 {
                    true => Verdict::Drop,
                    false => Verdict::Pass,
                }
            });
            pair.acquire(A);
            pair.run(secs(1));
            pair.agree(1);
            let total = usize::from(fragments(&pair, from, IKE_AUTH));
            assert!(total > 2, "{total}");
            let sent = |host| {
                let sent = pair.log.iter().map(|(_, packet)| packet);
                let of = move |one: &&Packet| one.from == host && one.exchange() == IKE_AUTH;
                sent.filter(of).map(|one| &one.bytes).collect::<Vec<_>>()
            };
            for host in [A, B] {
                let all = sent(host);
                let (first, again) = all.split_at(usize::from(fragments(&pair, host, IKE_AUTH)));
                let once = from == A && host == B;
                assert!(once || first == again, "a set is sent twice and no more");
            }
            lost += 1;
            if lost == total {
                break;
            }
        }
    }
}

#[test]
fn a_replayed_fragment_moves_nothing_but_the_first_of_the_last_request() {
    let mut pair = setup().pair();
    pair.establish();
    let child = pair.child(A);
    pair.command(A, Command::RekeyChild(child));
    pair.run(millis(100));
    let recorded: Vec<Packet> = pair.log.drain(..).map(|(_, packet)| packet).collect();
    let last = recorded.iter().rfind(|one| one.from == A).unwrap();
    let last_id = last.bytes[20..24].to_vec();
    let old_id = recorded[0].bytes[20..24].to_vec();
    assert_ne!(last_id, old_id, "the rekeying and then the Delete");
    for packet in &recorded {
        let sent = pair.sent(1 - packet.from);
        pair.deliver(packet);
        let answered = pair.sent(1 - packet.from) - sent;
        let is_last = packet.from == A && packet.bytes[20..24] == last_id;
        let is_first = packet.fragment().is_none_or(|one| one[..2] == [0, 1]);
        assert_eq!(answered > 0, is_last && is_first, "{}", pair.story());
    }
    pair.run(secs(2));
    pair.agree(1);
    assert!(refused(&pair, B, Discard::MessageId) > 0);
    assert!(refused(&pair, A, Discard::NoMatchingRequest) > 0);
    let lost = |event: &Event| matches!(event, Event::IkeClosed { .. });
    assert!(pair.event(A, lost).is_none() && pair.event(B, lost).is_none());
}

#[test]
fn forged_fragments_do_not_disturb_the_true_ones() {
    let mut pair = setup().pair();
    let mut forged = 0;
    pair.filter = Box::new(move |packet| match packet.fragment() {
        // Every other one is changed; it comes again as it was.
        Some(_) if forged < 12 => {
            forged += 1;
            let mut bytes = packet.bytes.clone();
            let last = bytes.len() - 1;
            bytes[last] ^= u8::from(forged % 2 == 0);
            Verdict::Replace(bytes)
        }
        _ => Verdict::Pass,
    });
    pair.acquire(A);
    pair.run(secs(2));
    pair.agree(1);
    assert!(refused(&pair, B, Discard::AuthenticationFailed) > 0);
}
