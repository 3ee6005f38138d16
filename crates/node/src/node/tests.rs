//! Tests of the node as a whole: the order of its effects.

use super::*;
use crate::config::{ClusterConfig, Recovery};
use cluster::{ClusterKey, GroupConfig, NodeName};
use crypto::SeededRandom;
use ike::Cookies;
use policy::{
    Action, AddressSpec, ChildTemplate, Direction, Filter, Negotiate, Origin, Rule, Verdict,
};
use std::time::Duration;

const GROUP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 100));
const FRONT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 11));

fn group() -> GroupName {
    GroupName::new("mail").unwrap()
}

/// A node with one group and one rule, which says `me`.
fn node(now: Instant) -> Node {
    Node::new(config(true), &[OWN], 1, Box::new(SeededRandom::new(1)), now).unwrap()
}

/// The settings, with the group or without.
fn config(with_group: bool) -> Config {
    let child = Arc::new(ChildTemplate::transport());
    let rule = Rule {
        name: RuleName::new("mail"),
        filters: vec![Filter::between(AddressSpec::Me, AddressSpec::Any)],
        action: Action::Negotiate(Negotiate::require(child)),
        peer: None,
        origin: Origin::File,
    };
    let name = NodeName::new("a").unwrap();
    let mut groups = vec![GroupConfig::new(group(), vec![name.clone()])];
    let mut addresses = vec![GroupAddresses {
        group: group(),
        addresses: vec![GROUP],
    }];
    let key = ClusterKey::from_slice(&[7; 32]).unwrap();
    if !with_group {
        groups.clear();
        addresses.clear();
    }
    let member = cluster::Config::new(name, key, Vec::new(), groups);
    Config {
        rules: vec![rule],
        pad: Arc::new(Pad::new(vec![policy::Peer {
            name: policy::PeerName::new("front"),
            addresses: vec![policy::AddressRange::host(FRONT)],
            local_id: policy::Identity::Any,
            remote_id: policy::Identity::Any,
            auth: policy::Auth::psk(crypto::Secret::from_slice(&[5; 32])),
            alternatives: Vec::new(),
            ike: policy::IkeTemplate::modern(),
        }])),
        cookies: Cookies::From(100),
        puzzles: None,
        export_keys: false,
        recovery: Recovery::default(),
        cluster: Some(ClusterConfig {
            member,
            groups: addresses,
            replicate: None,
        }),
    }
}

fn protects(spd: &Spd) -> bool {
    let flow = Flow {
        src: GROUP,
        dst: FRONT,
        protocol: 6,
        src_port: 110,
        dst_port: 40_000,
    };
    matches!(spd.lookup(&flow, Direction::Outbound), Verdict::Rule(_))
}

/// The policies and group orders among the outputs, in order, until the node waits.
fn effects(node: &mut Node) -> Vec<&'static str> {
    let mut effects = Vec::new();
    loop {
        match node.poll_output() {
            Output::Wait(_) => return effects,
            Output::Policy(spd) if protects(&spd) => effects.push("protect"),
            Output::Policy(_) => effects.push("do not protect"),
            Output::StartGroup { .. } => effects.push("start"),
            Output::StopServices { .. } => effects.push("stop"),
            Output::ReleaseAddresses { .. } => effects.push("release"),
            _ => {}
        }
    }
}

#[test]
fn the_policy_covers_a_group_address_before_it_is_up_and_until_it_is_off() {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let mut now = Instant::now();
    let mut node = node(now);
    let mut seen = effects(&mut node);
    for _ in 0..1000 {
        now += Duration::from_millis(1);
        node.handle_timeout(now);
        seen.extend(effects(&mut node));
    }
    assert_eq!(seen, ["do not protect", "protect", "start"]);
    // The host tells of another change before it tells of the group's address.
    node.handle_command(Command::Addresses(vec![OWN]), now)
        .unwrap();
    node.handle_command(Command::GroupStarted { group: group() }, now)
        .unwrap();
    node.handle_command(Command::Addresses(vec![OWN, GROUP]), now)
        .unwrap();
    assert_eq!(effects(&mut node), Vec::<&str>::new());
    node.handle_command(Command::Shutdown, now).unwrap();
    assert_eq!(effects(&mut node), ["stop"]);
    node.handle_command(Command::ServicesStopped { group: group() }, now)
        .unwrap();
    for _ in 0..1000 {
        now += Duration::from_millis(1);
        node.handle_timeout(now);
    }
    assert_eq!(effects(&mut node), ["release"]);
    node.handle_command(Command::AddressesReleased { group: group() }, now)
        .unwrap();
    assert_eq!(effects(&mut node), Vec::<&str>::new());
    node.handle_command(Command::Addresses(vec![OWN]), now)
        .unwrap();
    assert_eq!(effects(&mut node), ["do not protect"]);
}

/// A group that is taken out of the configuration leaves as one that moves: services first, then
/// the Deletes for its addresses, then the addresses themselves.
#[test]
fn a_group_that_is_gone_from_the_configuration_is_stopped_with_its_addresses() {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let mut now = Instant::now();
    let mut node = node(now);
    for _ in 0..1000 {
        now += Duration::from_millis(1);
        node.handle_timeout(now);
        effects(&mut node);
    }
    node.handle_command(Command::GroupStarted { group: group() }, now)
        .unwrap();
    node.handle_command(Command::Addresses(vec![OWN, GROUP]), now)
        .unwrap();
    node.handle_command(Command::Reload(Box::new(config(false))), now)
        .unwrap();
    assert_eq!(effects(&mut node), ["protect", "stop"]);
    assert_eq!(node.addresses_of(&group()), [GROUP]);
    node.handle_command(Command::ServicesStopped { group: group() }, now)
        .unwrap();
    let (mut let_go, mut released) = (false, false);
    loop {
        match node.poll_output() {
            Output::Wait(_) => break,
            Output::Event(Event::Ike(ike::Event::AddressReleased { address, .. })) => {
                let_go |= address == GROUP;
            }
            Output::ReleaseAddresses { .. } => released = true,
            _ => {}
        }
    }
    assert!(let_go && released, "IKE {let_go}, address {released}");
    node.handle_command(Command::AddressesReleased { group: group() }, now)
        .unwrap();
    node.handle_command(Command::Addresses(vec![OWN]), now)
        .unwrap();
    assert_eq!(effects(&mut node), ["do not protect"]);
}

/// A request of a peer for an IKE SA that nobody here knows; how many messages leave then.
fn answers(node: &mut Node, now: Instant) -> usize {
    use wire::ike::{ExchangeType, Flags, Header, Notify, NotifyType, Payload};
    let header = Header::new(1, 2, ExchangeType::INFORMATIONAL, Flags::default(), 0);
    let padding = Notify::new(NotifyType::INITIAL_CONTACT, vec![0; 100]);
    let bytes = wire::ike::encode(&header, &[Payload::Notify(padding)]).unwrap();
    let datagram = Datagram::Ike {
        transport: policy::Transport::Udp,
        local: (GROUP, 500).into(),
        remote: (FRONT, 500).into(),
        bytes: &bytes,
    };
    node.handle_datagram(datagram, now);
    let mut sent = 0;
    loop {
        match node.poll_output() {
            Output::Wait(_) => return sent,
            Output::TransmitIke { local, .. } => sent += usize::from(local.ip() == GROUP),
            _ => {}
        }
    }
}

#[test]
fn a_node_says_nothing_for_a_group_that_it_may_have_lost() {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let mut now = Instant::now();
    let mut node = node(now);
    for _ in 0..1000 {
        now += Duration::from_millis(1);
        node.handle_timeout(now);
        effects(&mut node);
    }
    assert_eq!(answers(&mut node, now), 1, "the owner gives a hint");
    assert_eq!(node.tokens.get(&group()), Some(&true));
    // It stood still, and the peer's message is the first thing that it sees.
    now += Duration::from_secs(10);
    assert_eq!(answers(&mut node, now), 0);
    assert_eq!(node.tokens.get(&group()), Some(&false));
    // It has heard all the others, for there are none.
    node.handle_timeout(now);
    effects(&mut node);
    assert_eq!(answers(&mut node, now), 1);
    assert_eq!(node.tokens.get(&group()), Some(&true));
    // What is in the way here is no reason to be silent while nobody else can have the group.
    let why = Some("eth1 has no carrier".to_owned());
    let bar = Command::SetBarred {
        group: group(),
        why,
    };
    node.handle_command(bar, now).unwrap();
    assert_eq!(effects(&mut node), Vec::<&str>::new());
    assert_eq!(answers(&mut node, now), 1);
}

/// A node that replicates alone, a second after its start.
fn replicating(witness: bool) -> (Node, Instant) {
    let mut config = config(true);
    if let Some(cluster) = &mut config.cluster {
        cluster.replicate = Some(crate::config::Replicate { strict: false });
        cluster.member.witness = witness;
    }
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    let now = Instant::now();
    let random = Box::new(SeededRandom::new(1));
    (Node::new(config, &[OWN], 1, random, now).unwrap(), now)
}

#[test]
fn an_owner_with_a_witness_negotiates_nothing_anew_when_it_has_lost_a_copy() {
    for witness in [false, true] {
        let (mut node, now) = replicating(witness);
        let lost = cluster::Standing::Bound(vec![NodeName::new("b").unwrap()]);
        node.standing(group(), lost, now);
        let loss = |node: &Node| node.shared(&group()).map(|shared| shared.loss);
        assert_ne!(loss(&node), Some(crate::replication::Loss::None));
        node.handle_timeout(now + Duration::from_secs(2));
        effects(&mut node);
        let silent = loss(&node) == Some(crate::replication::Loss::Silent);
        assert_eq!(silent, !witness);
    }
}

#[test]
fn an_owner_that_began_without_copies_keeps_its_own_when_it_starts_again() {
    let (mut node, now) = replicating(true);
    let (child, first) = (
        policy::ChildId(1),
        crate::replication::reserve::Reserve::first(now),
    );
    node.own(&group(), 1, false, now);
    let pair = crate::replication::PairState {
        ike: ike::IkeSaId(0),
        inbound_spi: 7,
        active: true,
        outbound: first,
        granted: 1,
        inbound: None,
        window: None,
        bound: false,
        forsaken: false,
    };
    let pairs = |node: &Node| node.shared(&group()).map_or(0, |shared| shared.pairs.len());
    if let Some(shared) = node.shared_mut(&group()) {
        shared.pairs.insert(child, pair);
    }
    node.own(&group(), 1, false, now);
    assert_eq!(pairs(&node), 1);
    node.own(&group(), 2, false, now);
    assert_eq!(pairs(&node), 0);
}

#[test]
fn a_record_that_cannot_be_taken_leaves_none_that_is_no_longer_true() {
    let (mut node, now) = replicating(false);
    let ike = ike::IkeSaId(7);
    let kept = crate::replication::records::Kept {
        record: ike::Record::from_octets(&[1]),
        remote: "192.0.2.1".parse().unwrap(),
        children: crate::replication::records::Children::new([policy::ChildId(1)].into_iter()),
    };
    if let Some(shared) = node.shared_mut(&group()) {
        shared.records.insert(ike, kept);
    }
    let records = |node: &Node| node.shared(&group()).map(|shared| shared.records.len());
    assert_eq!(records(&node), Some(1));
    let news = vec![(ike, Some(ike::Record::from_octets(&[0xff; 40])))];
    node.apply_records(&group(), news, now);
    assert_eq!(records(&node), Some(0));
}
