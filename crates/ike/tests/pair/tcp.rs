//! IKE in TCP: who opens connections, what a lost one costs, and when it is tried (RFC 9329).

use crate::harness::*;
use ike::{Command, Config, Error, Event, Reason, Takeover};
use policy::pad::{Childless, Tcp};
use policy::sa::{Bucket, Encapsulation, Transport};
use std::net::SocketAddr;

/// A calls B by TCP, and B takes connections.
fn setup(tcp: Tcp) -> Setup {
    let mut setup = Setup::default();
    setup.ike[A].tcp = tcp;
    setup
}

fn pair(setup: &Setup) -> Pair {
    let mut pair = setup.pair();
    pair.tcp.listens[B] = true;
    pair
}

fn established(setup: &Setup) -> Pair {
    let mut pair = pair(setup);
    pair.establish();
    pair
}

fn no_udp(pair: &mut Pair) {
    pair.filter = Box::new(|packet| match packet.transport {
        Transport::Udp => Verdict::Drop,
        Transport::Tcp => Verdict::Pass,
    });
}

/// The ports of the connection in which a host sends ESP.
fn ports(pair: &Pair, host: usize) -> (u16, u16) {
    match pair.spec(host).encapsulation {
        Encapsulation::Tcp {
            local_port,
            remote_port,
        } => (local_port, remote_port),
        other => panic!("{other:?}\n{}", pair.story()),
    }
}

#[test]
fn everything_goes_in_one_connection_and_esp_too() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    assert_eq!((pair.tcp.asked, pair.tcp.open.len()), (1, 1));
    assert_eq!(
        (ports(&pair, A), ports(&pair, B)),
        ((50_001, 4500), (4500, 50_001))
    );
    // Its ports are hashed, so that neither side believes in a NAT.
    assert!(pair.spec(A).nat.party.is_none() && pair.spec(B).nat.party.is_none());
    for host in [A, B] {
        let child = pair.child(host);
        pair.command(host, Command::RekeyChild(child));
        pair.run(millis(100));
        let ike = pair.ike(host);
        pair.command(host, Command::RekeyIke(ike));
        pair.run(millis(100));
        pair.agree(1);
    }
    assert!(
        pair.log
            .iter()
            .all(|(_, one)| one.transport == Transport::Tcp)
    );
    assert_eq!(pair.tcp.asked, 1);
    assert!(pair.ikes(A)[0].extensions.contains(&"tcp"));
}

#[test]
fn nothing_is_cut_into_fragments_and_no_nat_is_kept_awake() {
    let mut setup = setup(Tcp::Always(4500));
    setup.ike.iter_mut().for_each(in_fragments);
    let mut pair = pair(&setup);
    pair.acquire(A);
    pair.run(secs(100));
    pair.agree(1);
    assert!(pair.log.iter().all(|(_, one)| one.fragment().is_none()));
    assert!(pair.hosts.iter().all(|host| host.keepalives.is_empty()));
}

#[test]
fn cookies_are_not_asked_of_a_connection() {
    let mut setup = setup(Tcp::Always(4500));
    setup.config = |config| config.cookies = ike::Cookies::Always;
    let mut pair = pair(&setup);
    pair.acquire(A);
    pair.run(millis(100));
    pair.agree(1);
    let first = |packet: &Packet| packet.from == A && packet.exchange() == 34;
    assert_eq!(pair.log.iter().filter(|(_, one)| first(one)).count(), 1);
}

#[test]
fn a_refusal_ends_a_handshake_at_once() {
    let mut setup = setup(Tcp::Always(4500));
    setup.ike[A].proposals = vec!["aes128gcm16-prfsha256-x25519".parse().unwrap()];
    setup.ike[B].proposals = vec!["aes256gcm16-prfsha384-ecp384".parse().unwrap()];
    let mut pair = pair(&setup);
    pair.acquire(A);
    pair.run(millis(50));
    let refused = |event: &Event| {
        matches!(
            event,
            Event::HandshakeFailed {
                error: Error::Refused(_),
                ..
            }
        )
    };
    assert!(pair.event(A, refused).is_some(), "{}", pair.story());
}

#[test]
fn a_lost_connection_is_opened_again_and_the_sas_stay() {
    let setup = setup(Tcp::Always(4500));
    for told in [[true, true], [true, false]] {
        let mut pair = established(&setup);
        let (child, ike) = (pair.spec(A).inbound_spi, pair.ike(A));
        pair.cut(told);
        pair.run(secs(1));
        assert_eq!((pair.spec(A).inbound_spi, pair.ike(A)), (child, ike));
        assert_eq!(
            (ports(&pair, A), ports(&pair, B)),
            ((50_002, 4500), (4500, 50_002))
        );
        // One question, and its answer: what shows the peer the new connection.
        assert_eq!(pair.log.len(), 2, "{}", pair.story());
        pair.agree(1);
        let child = pair.child(B);
        pair.command(B, Command::RekeyChild(child));
        pair.run(millis(100));
        pair.agree(1);
    }
}

#[test]
fn what_was_under_way_is_finished_in_the_next_connection() {
    let setup = setup(Tcp::Always(4500));
    // The connection breaks before the request has come, or before its answer has.
    for wait in [0, 1] {
        for host in [A, B] {
            let mut pair = established(&setup);
            let child = pair.child(host);
            pair.command(host, Command::RekeyChild(child));
            pair.run(millis(wait));
            pair.cut([true, true]);
            pair.run(secs(2));
            pair.agree(1);
            assert!(pair.child(host) != child, "{}", pair.story());
            assert_eq!(pair.ikes(A).len(), 1);
        }
    }
}

#[test]
fn no_message_is_sent_twice_in_a_connection_and_a_dead_peer_is_noticed() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    pair.filter = Box::new(|packet| match packet.from {
        A => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(7));
    assert_eq!((pair.sent(A), pair.ikes(A).len()), (1, 1));
    pair.run(secs(2));
    let timeout = |event: &Event| {
        matches!(
            event,
            Event::IkeClosed {
                reason: Reason::Failed(Error::Timeout { .. }),
                ..
            }
        )
    };
    assert!(pair.event(A, timeout).is_some(), "{}", pair.story());
}

#[test]
fn a_peer_that_cannot_be_reached_is_called_ever_more_seldom() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    pair.tcp.listens[B] = false;
    pair.cut([true, true]);
    pair.run(secs(60));
    // At 0, 1, 3, 7, 15, 31 s.
    assert_eq!(pair.tcp.asked - 1, 6);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
    pair.tcp.listens[B] = true;
    pair.run(secs(4));
    pair.agree(1);
    assert_eq!(ports(&pair, B), (4500, 50_002));
}

#[test]
fn the_side_that_cannot_open_one_waits_for_a_minute() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    pair.tcp.listens[B] = false;
    pair.cut([true, true]);
    let ike = pair.ike(B);
    pair.command(B, Command::CheckLiveness(ike));
    pair.run(secs(58));
    assert_eq!(
        (pair.sent(B), pair.ikes(B).len()),
        (0, 1),
        "{}",
        pair.story()
    );
    pair.run(secs(16));
    assert_eq!(pair.ikes(B).len(), 0, "{}", pair.story());
}

#[test]
fn a_replayed_request_does_not_draw_the_sas_into_another_connection() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(50));
    let (_, mut stolen) = pair.log[0].clone();
    assert_eq!(stolen.from, A);
    stolen.local.set_port(666);
    pair.tcp.open.insert((stolen.local, stolen.remote));
    let count = pair.log.len();
    pair.deliver(&stolen);
    // It gets the old answer, in its own connection, and moves nothing.
    let answer = &pair.log[count].1;
    assert_eq!((pair.log.len(), answer.remote.port()), (count + 1, 666));
    assert_eq!(ports(&pair, B), (4500, 50_001));
}

#[test]
fn esp_alone_shows_which_connection_the_peer_uses() {
    let setup = setup(Tcp::Always(4500));
    let mut pair = established(&setup);
    let (child, before) = (pair.child(B), ports(&pair, B));
    let (local, remote) = (
        "10.0.0.2:4500".parse().unwrap(),
        "10.0.0.1:777".parse().unwrap(),
    );
    let heard = |remote| {
        Command::Stream(ike::Stream::Heard {
            child,
            local,
            remote,
        })
    };
    pair.command(B, heard(remote));
    assert_eq!(ports(&pair, B), (4500, 777));
    assert!(pair.hosts[B].endpoint.uses_stream(local, remote));
    let first = SocketAddr::new(remote.ip(), before.1);
    pair.command(B, heard(first));
    assert_eq!(ports(&pair, B), before);
    assert!(!pair.hosts[B].endpoint.uses_stream(local, remote));
    // Who opens the connections chooses them itself.
    let (child, before) = (pair.child(A), ports(&pair, A));
    let news = ike::Stream::Heard {
        child,
        local: remote,
        remote: local,
    };
    pair.command(A, Command::Stream(news));
    assert_eq!(ports(&pair, A), before);
}

#[test]
fn tcp_is_tried_when_nothing_answers_by_udp() {
    let setup = setup(Tcp::Fallback(4500));
    let mut pair = pair(&setup);
    no_udp(&mut pair);
    pair.acquire(A);
    pair.run(secs(3));
    pair.agree(1);
    assert_eq!(ports(&pair, A), (50_001, 4500));
    let fell = pair
        .when(A, |event| matches!(event, Event::FellBack { .. }))
        .unwrap();
    assert!(fell >= secs(1) && fell < secs(3), "{fell:?}");
}

#[test]
fn tcp_is_left_alone_where_udp_answers_or_both_are_blocked() {
    let setup = setup(Tcp::Fallback(4500));
    let mut answered = established(&setup);
    answered.run(secs(10));
    assert_eq!(answered.tcp.asked, 0);
    assert_eq!(answered.spec(A).encapsulation, Encapsulation::None);

    let mut blocked = setup.pair();
    no_udp(&mut blocked);
    blocked.acquire(A);
    blocked.run(secs(20));
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    assert!(blocked.event(A, failed).is_some(), "{}", blocked.story());
}

#[test]
fn tcp_is_tried_where_only_first_messages_pass_by_udp() {
    let mut setup = setup(Tcp::Fallback(4500));
    setup.ike[A].childless = Childless::Never;
    let mut pair = pair(&setup);
    pair.filter = Box::new(|packet| match (packet.transport, packet.exchange()) {
        (Transport::Udp, 35) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    pair.acquire(A);
    pair.run(secs(10));
    pair.agree(1);
    assert_eq!(ports(&pair, B), (4500, 50_001));
}

fn clustered(config: &mut Config) {
    for (bucket, address) in ADDRESSES.iter().enumerate() {
        config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
    }
}

#[test]
fn a_survivor_goes_on_in_the_next_connection() {
    let setup = Setup {
        config: clustered,
        ..setup(Tcp::Always(4500))
    };
    for host in [A, B] {
        let mut pair = established(&setup);
        let spi = pair.spec(A).inbound_spi;
        let takeover = Takeover {
            epoch: 1,
            grace: secs(30),
            spread: secs(60),
        };
        let child = pair.child(B);
        pair.command(B, Command::RekeyChild(child));
        pair.survive(host, &setup, takeover);
        // The kernel of the survivor knows nothing of the connection, and says so to the peer.
        pair.cut([host == B, false]);
        pair.run(secs(2));
        pair.agree(1);
        assert_eq!(ports(&pair, A), (50_002, 4500), "{}", pair.story());
        assert_eq!(ports(&pair, B), (4500, 50_002));
        assert!(
            pair.spec(A).inbound_spi != spi,
            "what was under way is finished"
        );
        assert!(
            pair.log
                .iter()
                .all(|(_, one)| one.transport == Transport::Tcp)
        );
        let ike = pair.ike(B);
        pair.command(B, Command::RekeyIke(ike));
        pair.run(millis(100));
        pair.agree(1);
    }
}
