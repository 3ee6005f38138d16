//! Policy, negotiation, rekeying and ceilings on the way out.

use policy::child::ChildTemplate;
use policy::range::{AddressRange, PortRange};
use policy::rule::{AddressSpec, Filter, Origin, Rule};
use policy::sa::SaSpec;
use policy::selector::Selectors;
use proptest::prelude::*;
use wire::ip::protocol;

use super::*;
use crate::fixtures::{Pair, TcpPacket, address, tcp_port};
use crate::offload::Segmentation;
use policy::rule::Negotiate;

const NOW: u64 = 1_000_000_000;

fn rule(name: &str, port: u16, action: Action) -> Rule {
    let host = |number| AddressSpec::Range(AddressRange::host(address(false, number)));
    let mut filter = Filter::between(host(1), host(2));
    filter.protocol = protocol::TCP;
    filter.remote_ports = vec![PortRange::single(port)];
    Rule {
        name: RuleName::new(name),
        filters: vec![filter],
        action,
        peer: None,
        origin: Origin::File,
    }
}

fn negotiate(required: bool) -> Action {
    Action::Negotiate(Negotiate {
        required,
        ..Negotiate::require(ChildTemplate::transport().into())
    })
}

/// Port 110 requires, 143 requests, 25 is blocked, 80 permitted; other ports have no rule.
fn policy() -> Arc<Spd> {
    let rules = vec![
        rule("mail", 110, negotiate(true)),
        rule("imap", 143, negotiate(false)),
        rule("smtp", 25, Action::Block),
        rule("web", 80, Action::Permit),
    ];
    Arc::new(Spd::build(rules, &[address(false, 1)]))
}

struct Way {
    outbound: Outbound,
    counts: Arc<Counts>,
    batch: OutboundBatch,
}

impl Way {
    fn new() -> Self {
        let counts = Arc::new(Counts::new());
        let outbound = Outbound::new(policy(), Arc::clone(&counts));
        Way {
            outbound,
            counts,
            batch: OutboundBatch::new(1 << 17),
        }
    }

    fn send(&mut self, port: u16) -> Sent {
        self.outbound
            .send(&packet(port), &Offload::NONE, NOW, &mut self.batch)
    }

    fn install(&mut self, spec: SaSpec) {
        let sa = OutboundSa::new(Arc::new(spec), Bucket::HOST).unwrap();
        self.outbound.install(sa, NOW, &mut self.batch);
    }

    /// SPI and sequence number of what is in the batch.
    fn sealed(&self) -> Vec<(u32, u32)> {
        let header = |datagram: &[u8]| {
            let (header, _) = wire::esp::Header::parse(datagram).unwrap();
            (header.spi, header.sequence)
        };
        let esp = |path: &&Path| matches!(path, Path::Esp { .. });
        self.batch
            .datagrams()
            .filter(|(path, _)| esp(path))
            .map(|(_, datagram)| header(datagram))
            .collect()
    }

    fn clear_packets(&self) -> Vec<Vec<u8>> {
        self.batch
            .datagrams()
            .filter(|(path, _)| matches!(path, Path::Clear { .. }))
            .map(|(_, datagram)| datagram.to_vec())
            .collect()
    }
}

fn packet(port: u16) -> Vec<u8> {
    let mut packet = TcpPacket::new(false, b"hello".to_vec());
    packet.dst_port = port;
    packet.emit()
}

fn spec(rule: &str, port: u16, number: u64) -> SaSpec {
    let mut local = tcp_port(address(false, 1), 0);
    local.ports = PortRange::ANY;
    let remote = tcp_port(address(false, 2), port);
    let selectors = Selectors {
        local: vec![local],
        remote: vec![remote],
    };
    SaSpec {
        rule: RuleName::new(rule),
        ..Pair::PLAIN.spec_for(selectors, number)
    }
}

#[test]
fn each_action_does_what_it_says() {
    let mut way = Way::new();
    assert_eq!(way.send(25), Sent::Discarded(Discard::OutboundBlocked));
    assert_eq!(way.send(80), Sent::Clear(1));
    assert_eq!(way.send(8080), Sent::Clear(1));
    assert_eq!(way.send(110), Sent::Queued);
    assert_eq!(way.clear_packets(), [packet(80), packet(8080)]);
    way.install(spec("mail", 110, 1));
    assert_eq!(way.send(110), Sent::Sealed(1));
    assert_eq!(way.sealed(), [(0x2000_0001, 1), (0x2000_0001, 2)]);
    assert_eq!(way.counts.get(Discard::OutboundBlocked), 1);
}

#[test]
fn the_first_packet_is_kept_and_the_sa_asked_for_once() {
    let mut way = Way::new();
    for _ in 0..5 {
        assert_eq!(way.send(110), Sent::Queued);
    }
    let acquire = way.outbound.poll_acquire().unwrap();
    assert_eq!(acquire.rule.as_str(), "mail");
    assert_eq!(acquire.flow, Flow::of(&packet(110)).unwrap());
    assert_eq!(way.outbound.poll_acquire(), None);
    assert!(way.batch.is_empty());
    way.install(spec("mail", 110, 1));
    assert_eq!(way.sealed().len(), 5);
    assert_eq!(way.outbound.pending(), 0);
}

#[test]
fn an_sa_is_asked_for_again_after_the_interval() {
    let mut way = Way::new();
    way.send(110);
    assert!(way.outbound.poll_acquire().is_some());
    let later = NOW + ACQUIRE_INTERVAL;
    way.outbound
        .send(&packet(110), &Offload::NONE, later, &mut way.batch);
    assert!(way.outbound.poll_acquire().is_some());
    assert_eq!(way.outbound.poll_acquire(), None);
}

#[test]
fn the_oldest_packets_give_way_and_all_expire() {
    let mut way = Way::new();
    for _ in 0..MAX_PENDING_PACKETS + 3 {
        way.send(110);
    }
    assert_eq!(way.outbound.pending(), MAX_PENDING_PACKETS);
    assert_eq!(way.counts.get(Discard::PendingOverflow), 3);
    way.outbound.handle_timeout(NOW + MAX_PENDING_AGE - 1);
    assert_eq!(way.outbound.pending(), MAX_PENDING_PACKETS);
    way.outbound.handle_timeout(NOW + MAX_PENDING_AGE);
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(
        way.counts.get(Discard::PendingExpired),
        MAX_PENDING_PACKETS as u64
    );
}

#[test]
fn what_waits_has_a_bound_in_bytes() {
    let mut way = Way::new();
    let mut large = TcpPacket::new(false, vec![1; 60_000]);
    for port in 0..400u16 {
        large.src_port = port;
        let octets = large.emit();
        way.outbound
            .send(&octets, &Offload::NONE, NOW, &mut way.batch);
    }
    assert!(way.outbound.pending() * 60_000 <= MAX_PENDING_BYTES);
    assert!(way.outbound.pending() > 0);
}

#[test]
fn an_sa_of_another_rule_or_port_does_not_serve() {
    let mut way = Way::new();
    way.install(spec("imap", 110, 1));
    way.install(spec("mail", 995, 2));
    assert_eq!(way.send(110), Sent::Queued);
    way.install(spec("mail", 110, 3));
    assert_eq!(way.sealed(), [(0x2000_0003, 1)]);
}

#[test]
fn the_youngest_sa_takes_over_and_the_older_one_back() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    way.send(110);
    way.install(spec("mail", 110, 2));
    way.send(110);
    assert!(way.outbound.remove(ChildId(2)));
    way.send(110);
    let sa = OutboundSa::new(Arc::new(spec("mail", 110, 3)), Bucket::HOST).unwrap();
    assert!(way.outbound.replace(ChildId(1), sa, NOW, &mut way.batch));
    way.send(110);
    let spis = [
        (0x2000_0001, 1),
        (0x2000_0002, 1),
        (0x2000_0001, 2),
        (0x2000_0003, 1),
    ];
    assert_eq!(way.sealed(), spis);
    assert_eq!(way.outbound.len(), 1);
    assert!(way.outbound.remove(ChildId(3)));
    assert_eq!(way.send(110), Sent::Queued);
    assert!(way.clear_packets().is_empty());
}

#[test]
fn nothing_is_sent_at_the_ceiling() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    assert!(way.outbound.set_ceiling(ChildId(1), 3));
    assert_eq!(way.send(110), Sent::Sealed(1));
    assert_eq!(way.send(110), Sent::Sealed(1));
    assert_eq!(way.send(110), Sent::Discarded(Discard::OutboundCeiling));
    assert!(way.outbound.set_ceiling(ChildId(1), 4));
    assert_eq!(way.send(110), Sent::Sealed(1));
    assert_eq!(
        way.sealed(),
        [(0x2000_0001, 1), (0x2000_0001, 2), (0x2000_0001, 3)]
    );
    let usage = way.outbound.sa(ChildId(1)).unwrap().counters().usage();
    assert_eq!(
        (usage.packets, usage.sequence, usage.other_drops),
        (3, 3, 1)
    );
    assert!(way.clear_packets().is_empty());
}

#[test]
fn an_sa_tells_of_its_counters_once_and_only_when_it_is_used() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    assert!(way.outbound.poll_counting().is_none(), "it is only held");
    assert_eq!(way.send(110), Sent::Sealed(1));
    let told = way.outbound.poll_counting().unwrap();
    assert_eq!((told.child, told.counters.usage().packets), (ChildId(1), 1));
    assert_eq!(way.send(110), Sent::Sealed(1));
    assert_eq!(told.counters.usage().packets, 2);
    assert!(way.outbound.poll_counting().is_none());
    assert!(way.outbound.remove(ChildId(1)));
    assert_eq!(Arc::strong_count(&told.counters), 1, "the SA is gone");
}

#[test]
fn a_large_packet_that_meets_the_ceiling_is_sent_in_part() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    way.outbound.set_ceiling(ChildId(1), 3);
    let octets = TcpPacket::new(false, vec![1; 500]).emit_partial();
    let offload = Offload {
        segmentation: Segmentation::TcpV4,
        segment_size: 100,
        ..Offload::NONE
    };
    let sent = way.outbound.send(&octets, &offload, NOW, &mut way.batch);
    assert_eq!(sent, Sent::Discarded(Discard::OutboundCeiling));
    assert_eq!(way.sealed().len(), 2);
    assert_eq!(way.counts.get(Discard::OutboundCeiling), 3);
}

#[test]
fn the_counter_never_wraps() {
    for (esn, limit) in [(false, u64::from(u32::MAX)), (true, 1 << 48)] {
        let pair = Pair { esn, ..Pair::PLAIN };
        let mut sa = OutboundSa::new(Arc::new(pair.spec()), Bucket::HOST).unwrap();
        sa.set_ceiling(u64::MAX);
        assert_eq!(sa.ceiling(), limit);
        sa.advance_to(limit - 1);
        let mut datagram = vec![0; sa.sealed_length(10)];
        assert_eq!(sa.seal(&mut datagram, 10, protocol::TCP), Ok(()));
        assert_eq!(
            sa.seal(&mut datagram, 10, protocol::TCP),
            Err(Discard::OutboundCeiling)
        );
        sa.advance_to(5);
        assert_eq!(sa.next(), limit);
    }
}

#[test]
fn the_iv_is_epoch_and_sequence_number() {
    let spec = Arc::new(Pair::PLAIN.spec());
    let mut sa = OutboundSa::new(spec, Bucket(9)).unwrap();
    sa.enter(0xabcd);
    sa.grant(0x1234_5679, 0).unwrap();
    sa.advance_to(0x1234_5678);
    let mut datagram = vec![0; sa.sealed_length(10)];
    sa.seal(&mut datagram, 10, protocol::TCP).unwrap();
    assert_eq!(datagram[8..16], [0xab, 0xcd, 0, 0, 0x12, 0x34, 0x56, 0x78]);
}

#[test]
fn a_failed_negotiation_drops_or_falls_back() {
    let mut way = Way::new();
    way.send(110);
    way.send(143);
    let (remote, until) = (
        [AddressRange::host(address(false, 2))],
        NOW + 60_000_000_000,
    );
    for rule in ["mail", "imap"] {
        let rule = RuleName::new(rule);
        way.outbound
            .negotiation_failed(&rule, &remote, until, NOW, &mut way.batch);
    }
    assert_eq!(way.counts.get(Discard::PendingRefused), 1);
    assert_eq!(way.clear_packets(), [packet(143)]);
    assert_eq!(way.send(110), Sent::Queued);
    assert_eq!(way.send(143), Sent::Clear(1));
}

/// A peer that does not speak IPsec is asked again from time to time, and hears no gap.
#[test]
fn who_is_spoken_to_in_clear_is_asked_again_without_a_gap() {
    let mut way = Way::new();
    way.send(143);
    while way.outbound.poll_acquire().is_some() {}
    let (remote, until) = (
        [AddressRange::host(address(false, 2))],
        NOW + 60_000_000_000,
    );
    let imap = RuleName::new("imap");
    let fail = |way: &mut Way, until| {
        way.outbound
            .negotiation_failed(&imap, &remote, until, NOW, &mut way.batch);
    };
    fail(&mut way, until);
    assert_eq!(way.send(143), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire(), None);
    way.outbound.handle_timeout(until);
    assert_eq!(way.send(143), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire().unwrap().rule, imap);
    assert_eq!(way.outbound.poll_acquire(), None);
    fail(&mut way, until + 60_000_000_000);
    assert_eq!(way.send(143), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire(), None);
    // Nobody spoke to it for long: the next packet waits for the answer again.
    way.outbound.handle_timeout(until + 600_000_000_000);
    assert_eq!(way.send(143), Sent::Queued);
}

/// Port 110 requires a tunnel to the network of host 2, and port 143 requests one.
fn tunnels() -> Way {
    let tunnel = |name, port, required| {
        let mut rule = rule(name, port, negotiate(required));
        rule.filters[0].remote = vec![AddressSpec::Range(network())];
        if let Action::Negotiate(negotiate) = &mut rule.action {
            negotiate.child = ChildTemplate::tunnel().into();
        }
        rule
    };
    let rules = vec![tunnel("mail", 110, true), tunnel("imap", 143, false)];
    let mut way = Way::new();
    let spd = Arc::new(Spd::build(rules, &[address(false, 1)]));
    way.outbound.set_policy(spd, NOW, &mut way.batch);
    way
}

fn network() -> AddressRange {
    AddressRange::subnet(address(false, 2), 24).unwrap()
}

/// The gateway's address is nowhere in the packets that wait.
#[test]
fn a_failed_tunnel_that_was_requested_falls_back() {
    let mut way = tunnels();
    assert_eq!(way.send(143), Sent::Queued);
    while way.outbound.poll_acquire().is_some() {}
    let until = NOW + 60_000_000_000;
    let imap = RuleName::new("imap");
    way.outbound
        .negotiation_failed(&imap, &[network()], until, NOW, &mut way.batch);
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(way.clear_packets(), [packet(143)]);
    // Another host of the network falls back with it.
    let mut other = TcpPacket::new(false, b"hello".to_vec());
    (other.dst, other.dst_port) = (address(false, 77), 143);
    let octets = other.emit();
    let sent = |way: &mut Way| {
        way.outbound
            .send(&octets, &Offload::NONE, NOW, &mut way.batch)
    };
    assert_eq!(sent(&mut way), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire(), None);
    way.outbound.handle_timeout(until);
    assert_eq!(sent(&mut way), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire().unwrap().rule, imap);
    way.outbound.handle_timeout(until + 600_000_000_000);
    assert_eq!(sent(&mut way), Sent::Queued);
}

#[test]
fn a_failed_tunnel_that_was_required_drops_what_waits_at_once() {
    let mut way = tunnels();
    assert_eq!(way.send(110), Sent::Queued);
    let mail = RuleName::new("mail");
    let elsewhere = AddressRange::subnet([192, 0, 2, 0].into(), 24).unwrap();
    let until = NOW + 60_000_000_000;
    way.outbound
        .negotiation_failed(&mail, &[elsewhere], until, NOW, &mut way.batch);
    assert_eq!(way.outbound.pending(), 1);
    way.outbound
        .negotiation_failed(&mail, &[elsewhere, network()], until, NOW, &mut way.batch);
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(way.counts.get(Discard::PendingRefused), 1);
    assert!(way.batch.is_empty());
    assert_eq!(way.send(110), Sent::Queued);
}

/// A rule with `soft` requires protection until the host is told that there is none to be had, and
/// again when it is told that the peer refuses.
#[test]
fn a_soft_rule_passes_in_clear_text_only_while_it_is_told_to() {
    let mut way = Way::new();
    let mut rules = way.outbound.spd.rules().to_vec();
    for rule in &mut rules {
        if let Action::Negotiate(negotiate) = &mut rule.action {
            negotiate.required = true;
            negotiate.soft = Some(policy::Soft::WINDOWS);
        }
    }
    let spd = Arc::new(Spd::build(rules, way.outbound.spd.local_addresses()));
    way.outbound.set_policy(spd, NOW, &mut way.batch);
    assert_eq!(way.send(110), Sent::Queued);
    let (remote, mail) = (
        [AddressRange::host(address(false, 2))],
        RuleName::new("mail"),
    );
    way.outbound
        .negotiation_failed(&mail, &remote, NOW + 1, NOW, &mut way.batch);
    assert_eq!(way.send(110), Sent::Clear(1));
    way.outbound
        .negotiation_failed(&mail, &remote, NOW, NOW, &mut way.batch);
    assert_eq!(way.send(110), Sent::Queued);
}

/// A rule of peers alone leaves traffic as it is, and asks for nothing.
#[test]
fn a_passive_rule_asks_for_nothing() {
    let mut way = Way::new();
    let mut rules = way.outbound.spd.rules().to_vec();
    for rule in &mut rules {
        if let Action::Negotiate(negotiate) = &mut rule.action {
            negotiate.passive = true;
        }
    }
    let spd = Arc::new(Spd::build(rules, way.outbound.spd.local_addresses()));
    way.outbound.set_policy(spd, NOW, &mut way.batch);
    assert_eq!(way.send(143), Sent::Clear(1));
    assert_eq!(way.outbound.poll_acquire(), None);
}

/// Clear text was allowed under the old policy and is not under the new one.
#[test]
fn what_was_requested_and_is_now_required_waits() {
    for wait in [0, 60_000_000_000] {
        let mut way = Way::new();
        way.send(143);
        let (remote, imap) = (
            [AddressRange::host(address(false, 2))],
            RuleName::new("imap"),
        );
        let until = NOW + 60_000_000_000;
        way.outbound
            .negotiation_failed(&imap, &remote, until, NOW, &mut way.batch);
        way.outbound.handle_timeout(NOW + wait);
        assert_eq!(way.send(143), Sent::Clear(1));
        let mut rules = way.outbound.spd.rules().to_vec();
        for rule in &mut rules {
            if let Action::Negotiate(negotiate) = &mut rule.action {
                negotiate.required = true;
            }
        }
        let spd = Spd::build(rules, way.outbound.spd.local_addresses());
        way.outbound.set_policy(Arc::new(spd), NOW, &mut way.batch);
        assert_eq!(way.send(143), Sent::Queued);
    }
}

#[test]
fn a_changed_policy_is_in_force_at_once() {
    let mut way = Way::new();
    assert_eq!(way.send(80), Sent::Clear(1));
    assert_eq!(way.send(110), Sent::Queued);
    let rules = vec![
        rule("web", 80, Action::Block),
        rule("mail", 110, Action::Permit),
    ];
    let spd = Arc::new(Spd::build(rules, &[address(false, 1)]));
    way.batch.clear();
    way.outbound.set_policy(spd, NOW, &mut way.batch);
    assert_eq!(way.clear_packets(), [packet(110)]);
    assert_eq!(way.send(80), Sent::Discarded(Discard::OutboundBlocked));
}

#[test]
fn an_address_that_is_not_ours_now_is_not_negotiated_for_and_does_not_leak() {
    let mut way = Way::new();
    let spd = Spd::build(
        vec![rule("mail", 110, negotiate(true))],
        &[address(false, 9)],
    );
    way.outbound.set_policy(Arc::new(spd), NOW, &mut way.batch);
    assert_eq!(way.send(110), Sent::Discarded(Discard::OutboundBlocked));
    assert_eq!(way.outbound.poll_acquire(), None);
}

/// An address leaves this host while packets from it wait: with a rule for `me` the policy then
/// has no rule for them.
#[test]
fn what_waits_does_not_leak_when_its_rule_goes() {
    let mut way = Way::new();
    assert_eq!(way.send(110), Sent::Queued);
    let spd = Spd::build(Vec::new(), &[address(false, 9)]);
    way.outbound.set_policy(Arc::new(spd), NOW, &mut way.batch);
    assert!(way.batch.is_empty());
    assert_eq!(way.outbound.pending(), 0);
    assert_eq!(way.counts.get(Discard::PendingRefused), 1);
}

#[test]
fn a_fragment_of_protected_traffic_does_not_leave_in_clear() {
    let mut way = Way::new();
    let mut fragment = packet(110);
    fragment[6..8].copy_from_slice(&0x0010u16.to_be_bytes());
    let sent = way
        .outbound
        .send(&fragment, &Offload::NONE, NOW, &mut way.batch);
    assert_eq!(sent, Sent::Discarded(Discard::OutboundBlocked));
    fragment[9] = protocol::UDP;
    let sent = way
        .outbound
        .send(&fragment, &Offload::NONE, NOW, &mut way.batch);
    assert_eq!(sent, Sent::Clear(1));
    way.install(spec("mail", 110, 1));
    let mut first = packet(110);
    first[6..8].copy_from_slice(&0x2000u16.to_be_bytes());
    let sent = way
        .outbound
        .send(&first, &Offload::NONE, NOW, &mut way.batch);
    assert_eq!(sent, Sent::Discarded(Discard::OutboundFragment));
}

#[test]
fn datagrams_of_one_size_and_path_make_one_run() {
    let mut way = Way::new();
    let encapsulation = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 4500,
    };
    way.install(SaSpec {
        encapsulation,
        ..spec("mail", 110, 1)
    });
    let octets = TcpPacket::new(false, vec![1; 60_000]).emit_partial();
    let offload = Offload {
        segmentation: Segmentation::TcpV4,
        segment_size: 1348,
        ..Offload::NONE
    };
    for _ in 0..2 {
        way.outbound.send(&octets, &offload, NOW, &mut way.batch);
    }
    let runs: Vec<_> = way.batch.runs().collect();
    assert_eq!(runs.iter().map(|(run, _)| run.count).sum::<usize>(), 90);
    for (run, bytes) in runs {
        assert!(run.count <= MAX_RUN_DATAGRAMS && run.length <= MAX_RUN_BYTES);
        assert_eq!(
            (bytes.len(), bytes.chunks(run.segment_size).count()),
            (run.length, run.count)
        );
        assert!(matches!(run.path, Path::Esp { encapsulation: e, .. } if e == encapsulation));
    }
    way.batch.clear();
    for _ in 0..100 {
        way.send(110);
    }
    let counts: Vec<_> = way.batch.runs().map(|(run, _)| run.count).collect();
    assert_eq!(counts, [64, 36]);
}

#[test]
fn the_outer_traffic_class_is_that_of_the_packet() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    let mut packet = TcpPacket::new(false, vec![1; 10]);
    packet.traffic_class = 0xba;
    way.outbound
        .send(&packet.emit(), &Offload::NONE, NOW, &mut way.batch);
    let (path, _) = way.batch.datagrams().next().unwrap();
    assert!(matches!(
        path,
        Path::Esp {
            traffic_class: 0xba,
            ..
        }
    ));
}

#[test]
fn a_peer_that_moved_is_followed() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    way.send(110);
    let encapsulation = Encapsulation::Udp {
        local_port: 4500,
        remote_port: 1024,
    };
    let moved = (address(false, 9), address(false, 7));
    assert!(way.outbound.redirect(ChildId(1), moved, encapsulation));
    assert!(!way.outbound.redirect(ChildId(2), moved, encapsulation));
    way.send(110);
    let (path, _) = way.batch.datagrams().nth(1).unwrap();
    let expected = Path::Esp {
        local: address(false, 9),
        remote: address(false, 7),
        encapsulation,
        traffic_class: 0,
        dont_fragment: true,
    };
    assert_eq!(*path, expected);
    assert_eq!(way.batch.runs().count(), 2);
}

#[test]
fn numbers_that_the_peer_may_take_for_replays_are_left_out() {
    let mut way = Way::new();
    way.install(spec("mail", 110, 1));
    way.send(110);
    assert!(way.outbound.skip(ChildId(1), 5_000));
    assert!(!way.outbound.skip(ChildId(2), 5_000));
    way.send(110);
    let sequence = |datagram: &[u8]| u32::from_be_bytes(datagram[4..8].try_into().unwrap());
    let sent: Vec<u32> = way
        .batch
        .datagrams()
        .map(|(_, one)| sequence(one))
        .collect();
    assert_eq!(sent, [1, 5_002]);
}

#[test]
fn what_is_no_packet_is_dropped() {
    let mut way = Way::new();
    for octets in [&[][..], &[0x45], &[0x20; 40], &packet(110)[..30]] {
        let sent = way
            .outbound
            .send(octets, &Offload::NONE, NOW, &mut way.batch);
        assert_eq!(sent, Sent::Discarded(Discard::OutboundMalformed));
    }
    assert!(way.batch.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Neither the host's bytes nor its descriptors can do harm, whatever they say.
    #[test]
    fn no_packet_and_no_descriptor_does_harm(
        ipv6: bool,
        changes in proptest::collection::vec((0usize..60, any::<u8>()), 0..4),
        length in 0usize..300,
        kind in 0u8..4,
        needs_checksum: bool,
        numbers in any::<[u8; 4]>(),
        start: u16,
    ) {
        let mut octets = TcpPacket::new(ipv6, vec![3; 200]).emit();
        for (place, value) in changes {
            octets[place] = value;
        }
        octets.truncate(length);
        let segmentation = [
            Segmentation::None, Segmentation::TcpV4, Segmentation::TcpV6, Segmentation::Udp,
        ][usize::from(kind)];
        let offload = Offload {
            segmentation,
            needs_checksum,
            segment_size: numbers[0].into(),
            header_length: numbers[1].into(),
            checksum_start: if numbers[3] < 5 { start } else { numbers[2].into() },
            checksum_offset: numbers[3].into(),
            ..Offload::NONE
        };
        let mut way = Way::new();
        way.install(spec("mail", 110, 1));
        let sent = way.outbound.send(&octets, &offload, NOW, &mut way.batch);
        let datagrams = way.batch.datagrams().count();
        match sent {
            Sent::Sealed(count) | Sent::Clear(count) => prop_assert_eq!(count, datagrams),
            Sent::Queued | Sent::Discarded(_) => prop_assert_eq!(0, datagrams),
        }
    }
}
