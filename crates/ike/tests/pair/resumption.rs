//! Session resumption (RFC 5723): what was lost comes back without a Diffie-Hellman exchange, and a
//! ticket serves once, for whom and for as long as it was meant.

use std::sync::Arc;
use std::time::Instant;

use crate::harness::*;
use crypto::{Secret, SeededRandom};
use ike::{Command, Config, Cookies, Discard, Error, Event, NotAuthentic, TicketKey, TicketKeys};
use policy::pad::IkeTemplate;
use policy::timers::Timers;
use wire::ike::{ExchangeType, Flags, Header, Notify, NotifyType, Payload};

const RESUME: u8 = 38;
const INIT: u8 = 34;
const AUTH: u8 = 35;

#[allow(clippy::disallowed_methods)]
fn keys(ids: &[u32], seconds: u64) -> TicketKeys {
    let key = |id: &u32| {
        let secret = Secret::from_slice(&[*id as u8; 32]);
        Arc::new(TicketKey { id: *id, secret })
    };
    TicketKeys {
        keys: ids.iter().map(key).collect(),
        clock: (Instant::now(), seconds),
        lifetime: secs(3_600),
    }
}

/// Both sides grant tickets; B's successors have the same keys, the newer one besides.
fn granting(config: &mut Config) {
    config.qcd_secret = Some(Arc::new(Secret::from_slice(&[42; 32])));
    config.tickets = Some(keys(&[1], 1_000));
}

fn with(config: fn(&mut Config), seed: u64) -> Setup {
    Setup {
        config,
        seed,
        ..Setup::default()
    }
}

/// B crashes, A finds that out, and both come to rest again.
fn lose(pair: &mut Pair, successor: &Setup) {
    pair.crash(B, successor);
    pair.log.clear();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(2));
}

/// Nothing passes any more, and A finds B dead.
fn give_up(pair: &mut Pair) {
    pair.filter = Box::new(|_| Verdict::Drop);
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(9));
}

/// The exchanges that A began, each as often as it sent it.
fn exchanges(pair: &Pair) -> Vec<u8> {
    let of_a = |one: &&(_, Packet)| one.1.from == A && !one.1.is_response();
    pair.log
        .iter()
        .filter(of_a)
        .map(|(_, one)| one.exchange())
        .collect()
}

fn resumed(event: &Event) -> bool {
    matches!(event, Event::IkeResumed { .. })
}

fn refused(event: &Event) -> bool {
    matches!(event, Event::TicketRefused { .. })
}

fn discards(pair: &Pair, host: usize, reason: Discard) -> u64 {
    pair.hosts[host].endpoint.discards().get(reason)
}

#[test]
fn a_lost_ike_sa_is_resumed_again_and_again() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    for seed in 77..80 {
        lose(&mut pair, &with(granting, seed));
        assert_eq!(exchanges(&pair), [37, RESUME, AUTH], "{}", pair.story());
        pair.agree(1);
        assert!(pair.event(A, resumed).is_some() && pair.event(B, resumed).is_some());
        pair.hosts.iter_mut().for_each(|host| host.events.clear());
    }
}

#[test]
fn a_ticket_does_not_go_round_a_redirection() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    let mut elsewhere = with(granting, 77);
    elsewhere.ike[B].redirect = Some(ip("10.0.0.3"));
    lose(&mut pair, &elsewhere);
    // A does not know redirections, so it is served.
    assert_eq!(
        exchanges(&pair),
        [37, RESUME, INIT, AUTH],
        "{}",
        pair.story()
    );
    assert!(pair.event(A, refused).is_some());
    pair.agree(1);
}

#[test]
fn a_newer_key_seals_and_the_older_one_still_opens() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    let newer: fn(&mut Config) = |config| {
        granting(config);
        config.tickets = Some(keys(&[2, 1], 1_000));
    };
    let newest: fn(&mut Config) = |config| {
        granting(config);
        config.tickets = Some(keys(&[3, 2], 1_000));
    };
    for (config, seed) in [(newer, 77), (newest, 78)] {
        lose(&mut pair, &with(config, seed));
        assert_eq!(exchanges(&pair), [37, RESUME, AUTH]);
        pair.agree(1);
    }
}

#[test]
fn a_peer_that_fell_silent_is_resumed_when_traffic_asks() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    give_up(&mut pair);
    assert!(pair.ikes(A).is_empty());
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.log.clear();
    pair.acquire(A);
    pair.run(secs(1));
    // B still had the old one: INITIAL_CONTACT took it away.
    assert_eq!(exchanges(&pair), [RESUME, AUTH]);
    pair.agree(1);
    assert_eq!(pair.ikes(B).len(), 1);
}

#[test]
fn what_was_deleted_on_purpose_is_not_resumed() {
    for by in [A, B] {
        let mut pair = with(granting, 1).pair();
        pair.establish();
        let ike = pair.ike(by);
        pair.command(by, Command::DeleteIke(ike));
        pair.run(secs(1));
        pair.log.clear();
        pair.acquire(A);
        pair.run(secs(1));
        assert_eq!(exchanges(&pair), [INIT, AUTH]);
        pair.agree(1);
    }
}

#[test]
fn a_ticket_of_before_the_last_handshake_is_forgotten() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    give_up(&mut pair);
    pair.filter = Box::new(|_| Verdict::Pass);
    // B begins; then all is deleted on purpose.
    let ike = pair.ike(B);
    pair.command(B, Command::DeleteIke(ike));
    pair.run(secs(9));
    pair.acquire(B);
    pair.run(secs(1));
    pair.agree(1);
    let ike = pair.ike(B);
    pair.command(B, Command::DeleteIke(ike));
    pair.run(secs(1));
    pair.log.clear();
    pair.acquire(A);
    pair.run(secs(1));
    assert_eq!(exchanges(&pair), [INIT, AUTH]);
}

#[test]
fn who_cannot_open_the_ticket_says_so_and_a_full_handshake_follows_at_once() {
    let foreign: fn(&mut Config) = |config| {
        granting(config);
        config.tickets = Some(keys(&[9], 1_000));
    };
    let none: fn(&mut Config) = |config| {
        granting(config);
        config.tickets = None;
    };
    let late: fn(&mut Config) = |config| {
        granting(config);
        config.tickets = Some(keys(&[1], 10_000));
    };
    for config in [foreign, none, late] {
        let mut pair = with(granting, 1).pair();
        pair.establish();
        let asked = pair.elapsed();
        lose(&mut pair, &with(config, 77));
        assert_eq!(exchanges(&pair), [37, RESUME, INIT, AUTH]);
        assert_eq!(discards(&pair, B, Discard::Ticket), 1);
        // Four round trips of 2 ms: the question, the ticket, and the handshake.
        let back = |event: &Event| matches!(event, Event::ChildEstablished { .. });
        assert_eq!(pair.when(A, back), Some(asked + millis(8)));
        assert!(pair.event(A, refused).is_some() && pair.event(A, resumed).is_none());
        pair.agree(1);
    }
}

#[test]
fn an_expired_ticket_is_not_even_shown() {
    let brief: fn(&mut Config) = |config| {
        granting(config);
        if let Some(tickets) = &mut config.tickets {
            tickets.lifetime = secs(60);
        }
    };
    for (age, expected) in [(30, vec![37, RESUME, AUTH]), (61, vec![37, INIT, AUTH])] {
        let mut pair = with(brief, 1).pair();
        pair.establish();
        pair.run(secs(age));
        lose(&mut pair, &with(brief, 77));
        assert_eq!(exchanges(&pair), expected);
        pair.agree(1);
    }
}

#[test]
fn silence_to_a_ticket_costs_three_tries() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    pair.filter = Box::new(|packet| match packet.exchange() {
        RESUME => Verdict::Drop,
        _ => Verdict::Pass,
    });
    lose(&mut pair, &with(granting, 77));
    let expected = [37, RESUME, RESUME, RESUME, INIT, AUTH];
    assert_eq!(exchanges(&pair), expected);
    pair.agree(1);
}

#[test]
fn a_ticket_serves_once() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    lose(&mut pair, &with(granting, 77));
    let recorded: Vec<Packet> = pair.log.iter().map(|(_, one)| one.clone()).collect();
    let shown = recorded
        .iter()
        .find(|one| one.exchange() == RESUME)
        .unwrap();
    // Long after, so that no half-open state remembers it; and with another SPI at once.
    for (wait, spi) in [(0, 1), (0, 2), (60, 0)] {
        pair.run(secs(wait));
        let mut again = shown.clone();
        again.bytes[7] ^= spi;
        pair.log.clear();
        pair.deliver(&again);
        pair.run(millis(10));
        assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
        let answer = &pair.log[0].1;
        let payloads = wire::ike::decode(&answer.bytes).unwrap().payloads;
        let nack = Payload::Notify(Notify::new(NotifyType::TICKET_NACK, Vec::new()));
        assert_eq!(payloads, [nack]);
    }
    assert_eq!(discards(&pair, B, Discard::Ticket), 3);
    pair.agree(1);
    // The last, longest handshake was the true one; all of it again changes nothing.
    for packet in &recorded {
        pair.deliver(packet);
    }
    pair.run(secs(1));
    pair.agree(1);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
}

#[test]
fn who_only_saw_a_ticket_gets_no_further_than_half_way_and_does_not_use_it_up() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    pair.crash(B, &with(granting, 77));
    // A's ticket is seen, and shown by somebody else before A's own message arrives.
    let mut held = None;
    pair.filter = Box::new(move |packet| match packet.exchange() {
        RESUME if held.is_none() => {
            held = Some(());
            Verdict::Drop
        }
        _ => Verdict::Pass,
    });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let seen = pair.log.iter().rfind(|(_, one)| one.exchange() == RESUME);
    let mut stolen = seen.unwrap().1.clone();
    stolen.bytes[3] ^= 1;
    pair.deliver(&stolen);
    assert_eq!(pair.hosts[B].endpoint.half_open(), 1);
    pair.run(secs(2));
    assert!(pair.event(B, resumed).is_some(), "{}", pair.story());
    pair.run(secs(40));
    pair.agree(1);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
}

#[test]
fn a_forged_refusal_costs_a_full_handshake_and_no_more() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    pair.crash(B, &with(granting, 77));
    pair.filter = Box::new(|packet| match (packet.from, packet.exchange()) {
        (A, RESUME) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let shown = pair.log.iter().rfind(|(_, one)| one.exchange() == RESUME);
    let shown = shown.unwrap().1.clone();
    let flags = Flags {
        initiator: false,
        version: false,
        response: true,
    };
    let spi = u64::from_be_bytes(shown.bytes[..8].try_into().unwrap());
    let header = Header::new(spi, 0, ExchangeType::IKE_SESSION_RESUME, flags, 0);
    let nack = Payload::Notify(Notify::new(NotifyType::TICKET_NACK, Vec::new()));
    let forged = Packet {
        from: B,
        transport: policy::sa::Transport::Udp,
        local: shown.remote,
        remote: shown.local,
        bytes: wire::ike::encode(&header, &[nack]).unwrap(),
    };
    for _ in 0..100 {
        pair.deliver(&forged);
    }
    assert_eq!(discards(&pair, A, Discard::UnexpectedExchange), 99);
    pair.run(secs(1));
    pair.agree(1);
}

#[test]
fn cookies_are_asked_for_here_too() {
    let careful: fn(&mut Config) = |config| {
        granting(config);
        config.cookies = Cookies::Always;
    };
    let mut pair = with(careful, 1).pair();
    pair.establish();
    lose(&mut pair, &with(careful, 77));
    assert_eq!(exchanges(&pair), [37, RESUME, RESUME, AUTH]);
    assert_eq!(discards(&pair, B, Discard::Cookie), 1);
    pair.agree(1);
}

#[test]
fn another_key_or_name_takes_the_tickets_back() {
    use policy::identity::Identity;
    let anybody = |seed| {
        let mut setup = with(granting, seed);
        setup.expected[A] = Identity::Any;
        setup
    };
    let mut other_key = anybody(77);
    other_key.psk[B] = b"another key of more than one hundred and twenty-eight bits".to_vec();
    let mut other_name = anybody(77);
    other_name.ids[B] = Identity::Fqdn("b.example".to_owned());
    for (successor, children) in [(other_key, 0), (other_name, 1)] {
        let mut pair = anybody(1).pair();
        pair.establish();
        lose(&mut pair, &successor);
        let not_taken = |event: &Event| {
            let Event::HandshakeFailed { error, .. } = event else {
                return false;
            };
            *error == Error::NotAuthentic(NotAuthentic::Ticket)
        };
        assert!(pair.event(B, not_taken).is_some(), "{}", pair.story());
        assert!(pair.event(B, resumed).is_none());
        // What follows is a full handshake, which the policy decides about.
        assert_eq!(exchanges(&pair)[..5], [37, RESUME, AUTH, INIT, AUTH]);
        pair.agree(children);
    }
}

#[test]
fn our_own_change_of_the_key_means_a_full_handshake() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    give_up(&mut pair);
    pair.filter = Box::new(|_| Verdict::Pass);
    let mut changed = with(granting, 1);
    let key = b"another key of more than one hundred and twenty-eight bits".to_vec();
    changed.psk = [key.clone(), key];
    for host in [A, B] {
        let (pad, rules) = (changed.pad(host), vec![pair.hosts[host].rule.clone()]);
        pair.command(host, Command::Reload { pad, rules });
    }
    pair.log.clear();
    pair.acquire(A);
    pair.run(secs(1));
    assert_eq!(exchanges(&pair), [INIT, AUTH]);
    pair.agree(1);
}

#[test]
fn a_rekeyed_ike_sa_is_resumed_with_the_ticket_of_the_first() {
    for by in [A, B] {
        let mut pair = with(granting, 1).pair();
        pair.establish();
        let ike = pair.ike(by);
        pair.command(by, Command::RekeyIke(ike));
        pair.run(secs(1));
        lose(&mut pair, &with(granting, 77));
        assert_eq!(exchanges(&pair), [37, RESUME, AUTH]);
        pair.agree(1);
    }
}

#[test]
fn a_peer_without_it_neither_asks_nor_grants() {
    for old in [A, B] {
        let mut setup = with(granting, 1);
        setup.ike[old] = IkeTemplate::with_timers(&Timers::kb821839(false));
        setup.ike[old].qcd = true;
        let mut pair = setup.pair();
        pair.establish();
        setup.seed = 77;
        lose(&mut pair, &setup);
        assert_eq!(exchanges(&pair), [37, INIT, AUTH]);
        pair.agree(1);
    }
}

#[test]
fn it_works_through_a_nat() {
    let mut pair = with(granting, 1).pair();
    pair.nat = Some((ip("10.0.0.1"), 1_000));
    pair.establish();
    lose(&mut pair, &with(granting, 77));
    assert_eq!(exchanges(&pair), [37, RESUME, AUTH], "{}", pair.story());
    pair.agree(1);
    let udp = policy::sa::Encapsulation::None;
    assert!(pair.spec(A).encapsulation != udp && pair.spec(B).encapsulation != udp);
}

#[test]
fn keys_can_change_while_it_runs() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    pair.crash(B, &with(granting, 77));
    pair.command(B, Command::SetTicketKeys(None));
    let ike = pair.ike(A);
    pair.log.clear();
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(1));
    assert_eq!(exchanges(&pair), [37, RESUME, INIT, AUTH]);
    pair.agree(1);
}

#[test]
fn a_bad_network_changes_how_long_it_takes_and_nothing_else() {
    let mut by_ticket = 0;
    for seed in 0..100 {
        let mut pair = with(granting, seed).pair();
        pair.establish();
        pair.chaos = Some(Chaos {
            random: SeededRandom::new(seed + 500),
            loss: 50,
            duplicate: 50,
            jitter: millis(30),
        });
        lose(&mut pair, &with(granting, seed + 1_000));
        pair.chaos = None;
        pair.run(secs(20));
        for ike in pair.ikes(A) {
            pair.command(A, Command::CheckLiveness(ike.ike));
        }
        pair.run(secs(10));
        pair.agree(1);
        assert_eq!(pair.ikes(A).len(), 1, "{}", pair.story());
        by_ticket += usize::from(pair.event(A, resumed).is_some());
    }
    assert!(by_ticket > 80, "{by_ticket} of 100");
}

#[test]
fn one_changed_bit_in_the_first_message_never_resumes_anything_else() {
    let mut pair = with(granting, 1).pair();
    pair.establish();
    pair.crash(B, &with(granting, 77));
    pair.filter = Box::new(|packet| match packet.exchange() {
        RESUME => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(millis(10));
    let shown = pair.log.iter().rfind(|(_, one)| one.exchange() == RESUME);
    let shown = shown.unwrap().1.clone();
    pair.filter = Box::new(|_| Verdict::Drop);
    let change = |pair: &mut Pair, bit: usize| {
        let mut bytes = shown.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        pair.deliver(&Packet {
            bytes,
            ..shown.clone()
        });
    };
    // Behind the header, the nonce and the header of the notification.
    let decoded = wire::ike::decode(&shown.bytes).unwrap();
    let ticket = decoded.payloads.iter().find_map(|payload| match payload {
        Payload::Notify(one) if one.kind == NotifyType::TICKET_OPAQUE => Some(one.data.len()),
        _ => None,
    });
    let bits = 8 * (28 + 36 + 8)..8 * (28 + 36 + 8 + ticket.unwrap());
    let count = bits.len() as u64;
    bits.for_each(|bit| change(&mut pair, bit));
    let refused = discards(&pair, B, Discard::Ticket) + discards(&pair, B, Discard::RateLimited);
    assert_eq!((refused, pair.hosts[B].endpoint.half_open()), (count, 0));
    (0..shown.bytes.len() * 8).for_each(|bit| change(&mut pair, bit));
    assert!(pair.hosts[B].endpoint.half_open() <= ike::limits::HALF_OPEN_PER_SOURCE);
    assert!(pair.ikes(B).is_empty() && pair.hosts[B].sad.is_empty());
    pair.filter = Box::new(|_| Verdict::Pass);
    pair.run(secs(1));
    pair.agree(1);
}
