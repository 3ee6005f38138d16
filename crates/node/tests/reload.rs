//! A reload between two hosts: SAs of rules and peers that stay as they were live on, all others
//! are deleted, here and at the peer.
#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

use crypto::SeededRandom;
use ike::{Cookies, Usage};
use node::{Command, Config, Datagram, Node, Output, Recovery};
use policy::{
    Action, AddressRange, AddressSpec, Auth, ChildId, ChildTemplate, Filter, Identity, IkeTemplate,
    Negotiate, Origin, Pad, Peer, PortRange, Rule, RuleName, Secret,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::ip::Flow;

const TCP: u8 = 6;
const HOSTS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
];

fn peer(host: usize, key: &[u8]) -> Peer {
    Peer {
        name: "other".into(),
        addresses: vec![AddressRange::host(HOSTS[1 - host])],
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(key)),
        alternatives: Vec::new(),
        ike: IkeTemplate::modern(),
    }
}

/// A rule for one port of the second host.
fn rule(host: usize, name: &str, port: u16, child: ChildTemplate) -> Rule {
    let mut filter = Filter::between(
        AddressSpec::Me,
        AddressSpec::Range(AddressRange::host(HOSTS[1 - host])),
    );
    filter.protocol = TCP;
    let ports = match host {
        0 => &mut filter.remote_ports,
        _ => &mut filter.local_ports,
    };
    ports.push(PortRange::single(port));
    Rule {
        name: RuleName::new(name),
        filters: vec![filter],
        action: Action::Negotiate(Negotiate::require(Arc::new(child))),
        peer: None,
        origin: Origin::File,
    }
}

fn config(host: usize, key: &[u8], rules: Vec<Rule>) -> Config {
    Config {
        puzzles: None,
        rules,
        pad: Arc::new(Pad::new(vec![peer(host, key)])),
        cookies: Cookies::From(100),
        export_keys: false,
        recovery: Recovery::default(),
        cluster: None,
    }
}

fn both(host: usize) -> Vec<Rule> {
    vec![
        rule(host, "pop3", 110, ChildTemplate::transport()),
        rule(host, "imap", 143, ChildTemplate::transport()),
    ]
}

/// Two hosts on a wire without loss or delay, and the pairs that each holds.
struct World {
    nodes: [Node; 2],
    sad: [BTreeMap<ChildId, RuleName>; 2],
    now: Instant,
}

impl World {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let now = Instant::now();
        let node = |host: usize| {
            let random = Box::new(SeededRandom::new(host as u64 + 1));
            let config = config(host, b"a key", both(host));
            Node::new(config, &[HOSTS[host]], 1, random, now).unwrap()
        };
        let mut world = World {
            nodes: [node(0), node(1)],
            sad: Default::default(),
            now,
        };
        for port in [110, 143] {
            world.acquire(port);
        }
        for host in [0, 1] {
            assert_eq!(world.rules(host), ["imap", "pop3"]);
        }
        world
    }

    fn acquire(&mut self, port: u16) {
        let flow = Flow {
            src: HOSTS[0],
            dst: HOSTS[1],
            protocol: TCP,
            src_port: 40_000,
            dst_port: port,
        };
        let rule = RuleName::new(if port == 110 { "pop3" } else { "imap" });
        self.command(
            0,
            Command::Acquire {
                rule,
                flow,
                outer: None,
            },
        );
    }

    fn command(&mut self, host: usize, command: Command) {
        self.nodes[host].handle_command(command, self.now).unwrap();
        self.settle();
    }

    /// Datagrams go to and fro until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut wire: VecDeque<(usize, SocketAddr, SocketAddr, Vec<u8>)> = VecDeque::new();
            for host in [0, 1] {
                loop {
                    match self.nodes[host].poll_output() {
                        Output::Wait(_) => break,
                        Output::TransmitIke {
                            local,
                            remote,
                            bytes,
                            ..
                        } => wire.push_back((1 - host, remote, local, bytes)),
                        Output::Install(install) => {
                            let spec = &install.spec;
                            self.sad[host].insert(spec.id, spec.rule.clone());
                        }
                        Output::Remove { child, .. } => {
                            self.sad[host].remove(&child);
                        }
                        _ => {}
                    }
                }
            }
            if wire.is_empty() {
                return;
            }
            self.now += Duration::from_millis(1);
            for (host, local, remote, bytes) in wire {
                let datagram = Datagram::Ike {
                    transport: policy::Transport::Udp,
                    local,
                    remote,
                    bytes: &bytes,
                };
                self.nodes[host].handle_datagram(datagram, self.now);
            }
        }
        panic!("they talk without end");
    }

    /// The rules that have a pair, sorted.
    fn rules(&self, host: usize) -> Vec<&str> {
        let mut rules: Vec<&str> = self.sad[host].values().map(RuleName::as_str).collect();
        rules.sort_unstable();
        rules
    }

    fn ike_sas(&self, host: usize) -> usize {
        self.nodes[host].ike().status(self.now).len()
    }

    fn reload(&mut self, host: usize, key: &[u8], rules: Vec<Rule>) {
        let config = Box::new(config(host, key, rules));
        self.command(host, Command::Reload(config));
    }
}

#[test]
fn a_reload_without_changes_keeps_every_sa() {
    let mut world = World::new();
    let before = world.sad.clone();
    for host in [0, 1] {
        world.reload(host, b"a key", both(host));
    }
    assert_eq!(world.sad, before);
}

#[test]
fn the_sas_of_a_removed_rule_go_and_those_of_the_others_stay() {
    for host in [0, 1] {
        let mut world = World::new();
        let kept: Vec<ChildId> = world.sad[host]
            .iter()
            .filter(|(_, rule)| rule.as_str() == "pop3")
            .map(|(child, _)| *child)
            .collect();
        let mut rules = both(host);
        rules.truncate(1);
        world.reload(host, b"a key", rules);
        assert_eq!(world.rules(0), ["pop3"]);
        assert_eq!(world.rules(1), ["pop3"]);
        assert_eq!(world.sad[host].keys().copied().collect::<Vec<_>>(), kept);
        assert_eq!(world.ike_sas(0), 1);
    }
}

#[test]
fn the_sas_of_a_changed_rule_are_made_anew_when_they_are_needed() {
    let mut world = World::new();
    let mut changed = ChildTemplate::transport();
    changed.replay_window = 64;
    let rules = vec![both(0).remove(0), rule(0, "imap", 143, changed)];
    world.reload(0, b"a key", rules);
    assert_eq!(world.rules(0), ["pop3"]);
    assert_eq!(world.rules(1), ["pop3"]);
    world.acquire(143);
    assert_eq!(world.rules(0), ["imap", "pop3"]);
    assert_eq!(world.rules(1), ["imap", "pop3"]);
}

#[test]
fn the_sas_of_a_peer_with_another_key_go() {
    let mut world = World::new();
    world.reload(1, b"another key", both(1));
    for host in [0, 1] {
        assert!(world.sad[host].is_empty());
        assert_eq!(world.ike_sas(host), 0);
    }
    // Neither the old key nor what was agreed under it counts any more.
    world.acquire(110);
    assert!(world.sad[0].is_empty() && world.sad[1].is_empty());
    world.reload(0, b"another key", both(0));
    world.acquire(110);
    assert_eq!(world.rules(1), ["pop3"]);
    let child = *world.sad[1].keys().next().unwrap();
    let usage = Usage::default();
    world.command(1, Command::Usage { child, usage });
}

#[test]
fn the_secret_of_crash_tokens_follows_a_reload() {
    let mut world = World::new();
    let with_secret = || Config {
        recovery: Recovery {
            qcd_secret: Some(Arc::new(Secret::from_slice(&[9; 32]))),
            ..Recovery::default()
        },
        ..config(1, b"a key", both(1))
    };
    world.command(1, Command::Reload(Box::new(with_secret())));
    world.command(0, Command::DeletePeer("other".into()));
    world.acquire(110);
    // The next daemon on this host is told the same secret at its start.
    let random = Box::new(SeededRandom::new(77));
    world.nodes[1] = Node::new(with_secret(), &[HOSTS[1]], 1, random, world.now).unwrap();
    world.sad[1].clear();
    world.command(0, Command::RekeyRule(RuleName::new("pop3")));
    assert_eq!(world.rules(1), ["pop3"], "the loss was proved, at once");
}
