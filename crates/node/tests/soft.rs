//! Soft SAs in virtual time: 3 s without a word, or half a second with the simple policy of
//! KB914841, and never to a peer that answers and is refused.
#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

use crypto::SeededRandom;
use ike::Cookies;
use node::{Command, Config, Datagram, Event, Node, Output, Recovery, SoftEnd};
use policy::{
    Action, AddressRange, AddressSpec, Auth, ChildTemplate, Filter, Identity, IkeTemplate,
    Negotiate, Origin, Pad, Peer, Rule, RuleName, Secret, Soft, Timers,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::ip::Flow;

const HOSTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
];
const STEP: Duration = Duration::from_millis(10);

fn config(host: usize, key: &[u8], soft: Soft) -> Config {
    let there = AddressSpec::Range(AddressRange::host(HOSTS[1 - host]));
    let child = Arc::new(ChildTemplate::transport());
    let peer = Peer {
        name: "other".into(),
        addresses: vec![AddressRange::host(HOSTS[1 - host])],
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(key)),
        alternatives: Vec::new(),
        // As Windows: one message after 1, 2, 4, ... s.
        ike: IkeTemplate::with_timers(&Timers::kb821839(false)),
    };
    let rule = Rule {
        name: RuleName::new("ask"),
        filters: vec![Filter::between(AddressSpec::Me, there)],
        action: Action::Negotiate(Negotiate {
            soft: Some(soft),
            ..Negotiate::require(child)
        }),
        peer: None,
        origin: Origin::File,
    };
    Config {
        puzzles: None,
        rules: vec![rule],
        pad: Arc::new(Pad::new(vec![peer])),
        cookies: Cookies::From(100),
        export_keys: false,
        recovery: Recovery::default(),
        cluster: None,
    }
}

/// Two hosts, a wire that can be cut, and what the first host tells.
struct World {
    nodes: [Node; 2],
    start: Instant,
    now: Instant,
    /// What gets from the first host to the second.
    wire: bool,
    told: Vec<(Duration, Event)>,
    installed: usize,
}

impl World {
    fn new(soft: Soft, keys: [&[u8]; 2], wire: bool) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let start = Instant::now();
        let node = |host: usize| {
            let random = Box::new(SeededRandom::new(host as u64 + 1));
            let config = config(host, keys[host], soft);
            Node::new(config, &[HOSTS[host]], 1, random, start).unwrap()
        };
        World {
            nodes: [node(0), node(1)],
            start,
            now: start,
            wire,
            told: Vec::new(),
            installed: 0,
        }
    }

    fn acquire(&mut self) {
        let flow = Flow {
            src: HOSTS[0],
            dst: HOSTS[1],
            protocol: 6,
            src_port: 40_000,
            dst_port: 80,
        };
        let command = Command::Acquire {
            rule: "ask".into(),
            flow,
            outer: None,
        };
        self.nodes[0].handle_command(command, self.now).unwrap();
    }

    /// Lets `time` pass, a hundredth of a second at a time.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.carry();
            self.now += STEP;
            self.nodes
                .iter_mut()
                .for_each(|node| node.handle_timeout(self.now));
        }
        self.carry();
    }

    fn carry(&mut self) {
        for _ in 0..20 {
            let mut sent: Vec<(usize, SocketAddr, SocketAddr, Vec<u8>)> = Vec::new();
            for host in [0, 1] {
                loop {
                    match self.nodes[host].poll_output() {
                        Output::Wait(_) => break,
                        Output::TransmitIke {
                            local,
                            remote,
                            bytes,
                            ..
                        } => sent.push((1 - host, remote, local, bytes)),
                        Output::Install(_) if host == 0 => self.installed += 1,
                        Output::Event(event) if host == 0 => {
                            self.told.push((self.now - self.start, event));
                        }
                        _ => {}
                    }
                }
            }
            for (host, local, remote, bytes) in sent.into_iter().filter(|_| self.wire) {
                let datagram = Datagram::Ike {
                    transport: policy::Transport::Udp,
                    local,
                    remote,
                    bytes: &bytes,
                };
                self.nodes[host].handle_datagram(datagram, self.now);
            }
        }
    }

    /// When traffic began to pass in clear text, and when and why it ended.
    fn soft(&self) -> (Vec<Duration>, Vec<(Duration, SoftEnd)>) {
        let began = self.told.iter().filter_map(|(at, event)| match event {
            Event::SoftBegan { remote, .. } if *remote == HOSTS[1] => Some(*at),
            _ => None,
        });
        let ended = self.told.iter().filter_map(|(at, event)| match event {
            Event::SoftEnded { why, .. } => Some((*at, *why)),
            _ => None,
        });
        (began.collect(), ended.collect())
    }

    fn stands(&self) -> bool {
        self.nodes[0].soft_sas(self.now).count() == 1
    }

    fn failures(&self) -> usize {
        let failed = |event: &Event| matches!(event, Event::Ike(ike::Event::AcquireFailed { .. }));
        self.told.iter().filter(|(_, event)| failed(event)).count()
    }
}

const KEY: &[u8] = b"a key";
const ANOTHER: &[u8] = b"another key";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn windows_2003_speaks_in_clear_text_after_3_s_without_a_word() {
    let mut world = World::new(Soft::WINDOWS, [KEY, KEY], false);
    world.acquire();
    world.pass(3 * SECOND - STEP);
    assert_eq!(world.soft(), (vec![], vec![]));
    world.pass(STEP);
    assert_eq!(world.soft().0, [3 * SECOND]);
    assert!(world.stands());
    // IKE goes on for its 63 s, and that it gives up then changes nothing.
    world.pass(70 * SECOND);
    assert_eq!((world.failures(), world.soft().1.len()), (1, 0));
    assert!(world.stands());
}

#[test]
fn kb914841_half_a_second_is_enough() {
    let mut world = World::new(Soft::SIMPLE, [KEY, KEY], false);
    world.acquire();
    world.pass(10 * SECOND);
    assert_eq!(world.soft().0, [Duration::from_millis(500)]);
}

#[test]
fn a_peer_that_answers_and_cannot_be_agreed_with_gets_nothing_in_clear_text() {
    let mut world = World::new(Soft::WINDOWS, [KEY, ANOTHER], true);
    world.acquire();
    world.pass(100 * SECOND);
    assert_eq!(world.failures(), 1);
    assert_eq!(world.soft(), (vec![], vec![]));
}

#[test]
fn kb914841_with_the_simple_policy_it_does() {
    let mut world = World::new(Soft::SIMPLE, [KEY, ANOTHER], true);
    world.acquire();
    world.pass(2 * SECOND);
    assert_eq!((world.failures(), world.soft().0.len()), (1, 1));
}

#[test]
fn it_ends_when_the_peer_speaks_ipsec() {
    let mut world = World::new(Soft::WINDOWS, [KEY, KEY], false);
    world.acquire();
    world.pass(4 * SECOND);
    assert!(world.stands());
    world.wire = true;
    // The next message of the ladder arrives.
    world.pass(6 * SECOND);
    assert_eq!(world.installed, 1);
    let (_, ended) = world.soft();
    assert_eq!(
        ended.iter().map(|(_, why)| *why).collect::<Vec<_>>(),
        [SoftEnd::Protected]
    );
    assert!(!world.stands());
    // What asks once more while there is a pair is not left to itself.
    world.acquire();
    world.pass(10 * SECOND);
    assert_eq!(world.soft().0.len(), 1);
}

#[test]
fn it_ends_when_the_peer_turns_out_to_refuse() {
    let mut world = World::new(Soft::WINDOWS, [KEY, ANOTHER], false);
    world.acquire();
    world.pass(4 * SECOND);
    assert!(world.stands());
    world.wire = true;
    world.pass(6 * SECOND);
    let (_, ended) = world.soft();
    assert_eq!(
        ended.iter().map(|(_, why)| *why).collect::<Vec<_>>(),
        [SoftEnd::Refused]
    );
    assert!(!world.stands());
}

#[test]
fn it_is_over_when_nobody_speaks_with_the_peer() {
    let mut world = World::new(Soft::WINDOWS, [KEY, KEY], false);
    world.acquire();
    world.pass(Soft::WINDOWS.lasts + 70 * SECOND);
    let (_, ended) = world.soft();
    assert_eq!(ended, [(Soft::WINDOWS.lasts + 63 * SECOND, SoftEnd::Over)]);
    assert!(!world.stands());
}
