//! Two endpoints, a network between them and a clock that only this harness moves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Random, Secret, SeededRandom};
use ike::{
    Acquire, AskGss, AskStatus, ChildRule, Command, Config, Datagram, Directory, Endpoint, Event,
    GssContext, IkeSaId, IkeState, IkeStatus, Outbound, Output, Record, Stream, Takeover, Timer,
    Usage,
};
use policy::auth::{Alternative, Auth};
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use policy::range::{AddressRange, PortRange};
use policy::sa::{ChildId, Encapsulation, SaSpec, Transport};
use policy::selector::{Selectors, TrafficSelector};
use wire::ike::Payload;
use wire::ip::Flow;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const ADDRESSES: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
pub(crate) const PSK: &[u8] = b"a key of more than one hundred and twenty-eight bits";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What a test may change before the hosts exist.
pub(crate) struct Setup {
    pub(crate) ike: [IkeTemplate; 2],
    pub(crate) child: [ChildTemplate; 2],
    /// TCP ports of B that the rule covers.
    pub(crate) ports: [PortRange; 2],
    pub(crate) psk: [Vec<u8>; 2],
    /// In the place of the key.
    pub(crate) auth: [Option<Auth>; 2],
    /// Behind that.
    pub(crate) alternatives: [Vec<Alternative>; 2],
    pub(crate) ids: [Identity; 2],
    /// Who the other is expected to be.
    pub(crate) expected: [Identity; 2],
    pub(crate) config: fn(&mut Config),
    pub(crate) seed: u64,
}

/// So small that every encrypted message is cut.
pub(crate) const TINY: u16 = 140;

/// Every encrypted message is sent in fragments.
pub(crate) fn in_fragments(ike: &mut IkeTemplate) {
    ike.fragment_size = Some(TINY);
}

impl Default for Setup {
    fn default() -> Self {
        let id = |index: usize| Identity::Address(ip(ADDRESSES[index]));
        Setup {
            ike: [IkeTemplate::modern(), IkeTemplate::modern()],
            child: [ChildTemplate::transport(), ChildTemplate::transport()],
            ports: [PortRange::single(110), PortRange::single(110)],
            psk: [PSK.to_vec(), PSK.to_vec()],
            auth: [None, None],
            alternatives: [Vec::new(), Vec::new()],
            ids: [id(A), id(B)],
            expected: [id(B), id(A)],
            config: |_| {},
            seed: 1,
        }
    }
}

impl Setup {
    fn selectors(&self, host: usize) -> Selectors {
        let side = |index: usize, ports| TrafficSelector {
            protocol: 6,
            ports,
            addresses: AddressRange::host(ip(ADDRESSES[index])),
        };
        let (client, server) = (side(A, PortRange::ANY), side(B, self.ports[host]));
        match host {
            A => Selectors {
                local: vec![client],
                remote: vec![server],
            },
            _ => Selectors {
                local: vec![server],
                remote: vec![client],
            },
        }
    }

    pub(crate) fn pad(&self, index: usize) -> Arc<Pad> {
        Arc::new(Pad::new(vec![Peer {
            name: "other".into(),
            addresses: self.addresses(index),
            local_id: self.ids[index].clone(),
            remote_id: self.expected[index].clone(),
            auth: self.auth[index]
                .clone()
                .unwrap_or_else(|| Auth::psk(Secret::from_slice(&self.psk[index]))),
            alternatives: self.alternatives[index].clone(),
            ike: self.ike[index].clone(),
        }]))
    }

    /// Where the other may be.
    fn addresses(&self, index: usize) -> Vec<AddressRange> {
        let gateways = self.ike[index].follow.iter().map(|gateway| gateway.address);
        let all = std::iter::once(ip(ADDRESSES[1 - index])).chain(gateways);
        all.map(AddressRange::host).collect()
    }

    fn host(&self, index: usize) -> Host {
        let rule = ChildRule {
            rule: "pop3".into(),
            peer: None,
            child: Arc::new(self.child[index].clone()),
            selectors: self.selectors(index),
        };
        Host {
            endpoint: self.endpoint(index, 0),
            rule,
            sad: BTreeMap::new(),
            events: Vec::new(),
            released: Vec::new(),
            keys: 0,
            keepalives: Vec::new(),
            skips: Vec::new(),
            asked: Vec::new(),
            gss: Vec::new(),
            ended: Vec::new(),
            wait: None,
        }
    }

    /// An endpoint of a host; `life` is another for each that the host has.
    fn endpoint(&self, index: usize, life: u64) -> Endpoint {
        let rule = ChildRule {
            rule: "pop3".into(),
            peer: None,
            child: Arc::new(self.child[index].clone()),
            selectors: self.selectors(index),
        };
        let mut config = Config::new(self.pad(index), vec![rule]);
        config.first_child = life << 32;
        (self.config)(&mut config);
        let random = SeededRandom::new(self.seed * 2 + index as u64 + (life << 32));
        Endpoint::new(config, Box::new(random))
    }

    pub(crate) fn pair(&self) -> Pair {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        Pair {
            now,
            start: now,
            hosts: [self.host(A), self.host(B)],
            wire: BTreeMap::new(),
            sequence: 0,
            latency: millis(1),
            chaos: None,
            filter: Box::new(|_| Verdict::Pass),
            nat: None,
            home: ip(ADDRESSES[A]),
            tcp: Tcp::default(),
            log: Vec::new(),
            told: Vec::new(),
        }
    }
}

/// A pair as ESP holds it.
pub(crate) struct Installed {
    pub(crate) spec: Arc<SaSpec>,
    pub(crate) active: bool,
    pub(crate) replaces: Option<ChildId>,
}

pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) rule: ChildRule,
    pub(crate) sad: BTreeMap<ChildId, Installed>,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) released: Vec<Duration>,
    pub(crate) keys: usize,
    pub(crate) keepalives: Vec<Duration>,
    /// What the outbound SAs left out.
    pub(crate) skips: Vec<(ChildId, u64)>,
    /// Questions to OCSP responders, which nobody has answered yet.
    pub(crate) asked: Vec<AskStatus>,
    /// Steps of security contexts, which nobody has taken yet, and contexts that have ended.
    pub(crate) gss: Vec<AskGss>,
    pub(crate) ended: Vec<GssContext>,
    pub(crate) wait: Option<(Instant, Timer)>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// An answer to a first message that B may have sent: this payload, and nothing else.
    pub(crate) fn answer(&self, payload: Payload) -> Packet {
        let mut header = wire::ike::decode(&self.bytes).unwrap().header;
        header.flags.initiator = false;
        header.flags.response = true;
        Packet {
            from: B,
            transport: Transport::Udp,
            local: self.remote,
            remote: self.local,
            bytes: wire::ike::encode(&header, &[payload]).unwrap(),
        }
    }

    /// The exchange type.
    pub(crate) fn exchange(&self) -> u8 {
        self.bytes[18]
    }

    /// Number and total of a fragment, as they are written (RFC 7383 section 2.5).
    pub(crate) fn fragment(&self) -> Option<[u8; 4]> {
        let numbers = || self.bytes[32..36].try_into().unwrap();
        (self.bytes[16] == 53).then(numbers)
    }

    pub(crate) fn is_response(&self) -> bool {
        self.bytes[19] & 0x20 != 0
    }
}

pub(crate) enum Verdict {
    Pass,
    Drop,
    Replace(Vec<u8>),
}

/// A bad network.
pub(crate) struct Chaos {
    pub(crate) random: SeededRandom,
    /// Of 256.
    pub(crate) loss: u8,
    pub(crate) duplicate: u8,
    pub(crate) jitter: Duration,
}

impl Chaos {
    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.random.fill(&mut byte);
        byte[0]
    }
}

/// A connection that is being opened: by whom, for which IKE SA, and its ends as that host has them.
type Opening = (usize, IkeSaId, SocketAddr, SocketAddr);

/// TCP between the two: messages in order, nothing lost while a connection stands.
#[derive(Default)]
pub(crate) struct Tcp {
    /// Whether a host takes connections.
    pub(crate) listens: [bool; 2],
    opening: BTreeMap<(Instant, u64), Opening>,
    /// The ends of A and B.
    pub(crate) open: BTreeSet<(SocketAddr, SocketAddr)>,
    ports: u16,
    /// How many were asked for.
    pub(crate) asked: usize,
}

type Filter = Box<dyn FnMut(&Packet) -> Verdict>;

pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) hosts: [Host; 2],
    wire: BTreeMap<(Instant, u64), Packet>,
    sequence: u64,
    pub(crate) latency: Duration,
    pub(crate) chaos: Option<Chaos>,
    pub(crate) filter: Filter,
    /// The address and port offset that B sees in the place of A's.
    pub(crate) nat: Option<(IpAddr, u16)>,
    /// The address of A behind it.
    pub(crate) home: IpAddr,
    pub(crate) tcp: Tcp,
    /// Everything that was sent, with when.
    pub(crate) log: Vec<(Duration, Packet)>,
    /// What the hosts were told, for [`Pair::story`].
    told: Vec<(Duration, String)>,
}

impl Pair {
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn acquire_of(&self, host: usize) -> Acquire {
        let rule = &self.hosts[host].rule;
        let (local, remote) = (ip(ADDRESSES[host]), ip(ADDRESSES[1 - host]));
        let (src_port, dst_port) = if host == A {
            (40_000, 110)
        } else {
            (110, 40_000)
        };
        Acquire {
            rule: rule.rule.clone(),
            peer: "other".into(),
            local,
            remote,
            flow: Some(Flow {
                src: local,
                dst: remote,
                protocol: 6,
                src_port,
                dst_port,
            }),
            child: rule.child.clone(),
            selectors: rule.selectors.clone(),
        }
    }

    /// Gives a host another rule, for a request that is not one of the rule that it has.
    pub(crate) fn allow(&mut self, host: usize, setup: &Setup, wanted: &Acquire) {
        let another = ChildRule {
            rule: wanted.rule.clone(),
            peer: None,
            child: wanted.child.clone(),
            selectors: wanted.selectors.clone(),
        };
        let (pad, rules) = (
            setup.pad(host),
            vec![self.hosts[host].rule.clone(), another],
        );
        self.command(host, Command::Reload { pad, rules });
    }

    /// Writes a command into the story.
    pub(crate) fn note(&mut self, host: usize, command: &Command) {
        let what = match command {
            Command::Acquire(wanted) => format!("acquire {}", wanted.rule),
            Command::RekeyChild(child) => format!("rekey child {child}"),
            Command::DeleteChild(child) => format!("delete child {child}"),
            Command::RekeyIke(ike) => format!("rekey IKE SA {ike}"),
            Command::DeleteIke(ike) => format!("delete IKE SA {ike}"),
            _ => return,
        };
        let at = self.elapsed();
        self.told
            .push((at, format!("{} {at:?} is told: {what}\n", ["A", "B"][host])));
    }

    pub(crate) fn command(&mut self, host: usize, command: Command) {
        let now = self.now;
        self.note(host, &command);
        self.hosts[host]
            .endpoint
            .handle_command(command, now)
            .unwrap();
        self.drain(host);
    }

    /// The host loses everything, and begins again with another seed.
    pub(crate) fn crash(&mut self, host: usize, setup: &Setup) {
        let mut fresh = setup.host(host);
        fresh.events = std::mem::take(&mut self.hosts[host].events);
        self.hosts[host] = fresh;
        let at = self.elapsed();
        self.told
            .push((at, format!("{} {at:?} crashes\n", ["A", "B"][host])));
    }

    /// Another member of the host's cluster goes on with what it had: the records of its IKE SAs,
    /// and the pairs that ESP has already.
    pub(crate) fn survive(&mut self, host: usize, setup: &Setup, takeover: Takeover) {
        let (now, old) = (self.now, &mut self.hosts[host]);
        let all = old.endpoint.following(&[ip(ADDRESSES[host])], None, 1000);
        let records: Vec<Record> = all
            .into_iter()
            .filter_map(|ike| old.endpoint.record(ike, now))
            .map(|record| Record::from_octets(record.octets()))
            .collect();
        let mut fresh = setup.host(host);
        fresh.endpoint = setup.endpoint(host, u64::from(takeover.epoch));
        fresh.events = std::mem::take(&mut old.events);
        fresh.sad = std::mem::take(&mut old.sad);
        let (pad, rule) = (setup.pad(host), fresh.rule.clone());
        let find = |name: &str| {
            (name == rule.rule.as_str()).then(|| (rule.rule.clone(), rule.child.clone()))
        };
        let directory = Directory {
            pad: &pad,
            rule: &find,
        };
        for record in &records {
            let known = Endpoint::inspect(record, &directory).unwrap();
            for pair in &known.pairs {
                let here = fresh.sad.get(&pair.spec.id).expect("ESP has the pair");
                assert_eq!(here.spec.inbound_spi, pair.spec.inbound_spi);
                assert!(here.active == pair.active);
            }
            let adopted = fresh.endpoint.adopt(record, &directory, takeover, now);
            assert_eq!(adopted, Ok(known.ike));
        }
        self.hosts[host] = fresh;
        self.drain(host);
        let at = self.elapsed();
        self.told
            .push((at, format!("{} {at:?} is taken over\n", ["A", "B"][host])));
    }

    pub(crate) fn acquire(&mut self, host: usize) {
        let wanted = Box::new(self.acquire_of(host));
        self.command(host, Command::Acquire(wanted));
    }

    /// Gives a host a datagram, as if it came from the other.
    pub(crate) fn deliver(&mut self, packet: &Packet) {
        let to = 1 - packet.from;
        let ends = by_host(packet.from, packet.local, packet.remote);
        if packet.transport == Transport::Tcp && !self.tcp.open.contains(&ends) {
            return;
        }
        let (mut local, mut remote) = (packet.remote, packet.local);
        if let Some((address, offset)) = self.nat {
            match to {
                B => {
                    remote = SocketAddr::new(address, remote.port() + offset);
                }
                _ => local = SocketAddr::new(self.home, local.port() - offset),
            }
        }
        let (now, bytes) = (self.now, packet.bytes.as_slice());
        self.hosts[to].endpoint.handle_datagram(
            Datagram {
                transport: packet.transport,
                local,
                remote,
                bytes,
            },
            now,
        );
        self.drain(to);
    }

    /// Does what a host wants done, after the test spoke to it directly.
    pub(crate) fn poll(&mut self, host: usize) {
        self.drain(host);
    }

    fn drain(&mut self, host: usize) {
        loop {
            match self.hosts[host].endpoint.poll_output() {
                Output::Wait(until) => {
                    self.hosts[host].wait = until;
                    return;
                }
                Output::OpenStream { ike, local, remote } => self.open(host, ike, local, remote),
                Output::Transmit {
                    transport,
                    local,
                    remote,
                    bytes,
                } => {
                    self.send(Packet {
                        from: host,
                        transport,
                        local,
                        remote,
                        bytes,
                    });
                }
                output => self.apply(host, output),
            }
        }
    }

    fn apply(&mut self, host: usize, output: Output) {
        let elapsed = self.elapsed();
        let host = &mut self.hosts[host];
        match output {
            Output::Install(install) => {
                let id = install.spec.id;
                let (active, replaces) = (install.outbound == Outbound::Now, install.replaces);
                let before = host.sad.insert(
                    id,
                    Installed {
                        spec: install.spec,
                        active,
                        replaces,
                    },
                );
                assert!(before.is_none(), "child {id} was installed twice");
            }
            Output::Activate { child } => {
                let one = host
                    .sad
                    .get_mut(&child)
                    .expect("activates what is installed");
                assert!(!one.active, "child {child} was activated twice");
                one.active = true;
            }
            Output::Remove {
                child,
                inbound_spi,
                outbound_spi,
            } => {
                let one = host.sad.remove(&child).expect("removes what is installed");
                assert_eq!(one.spec.inbound_spi, inbound_spi);
                assert_eq!(one.spec.outbound_spi, outbound_spi);
            }
            Output::Redirect {
                child,
                local,
                remote,
                encapsulation,
            } => {
                let one = host
                    .sad
                    .get_mut(&child)
                    .expect("redirects what is installed");
                one.spec = Arc::new(redirected(&one.spec, (local, remote), encapsulation));
            }
            Output::SkipSequence { child, delta } => {
                assert!(host.sad.contains_key(&child), "skips what is installed");
                host.skips.push((child, delta));
            }
            Output::Event(event) => {
                if matches!(event, Event::AddressReleased { .. }) {
                    host.released.push(elapsed);
                }
                host.events.push((elapsed, event));
            }
            Output::AskStatus(ask) => host.asked.push(*ask),
            Output::AskGss(ask) => host.gss.push(*ask),
            Output::EndGss(context) => host.ended.push(context),
            Output::Keys(_) | Output::IsakmpKey(_) => host.keys += 1,
            Output::Keepalive { .. } => host.keepalives.push(elapsed),
            Output::Transmit { .. } | Output::OpenStream { .. } | Output::Wait(_) => {
                unreachable!("handled by drain")
            }
        }
    }

    fn send(&mut self, mut packet: Packet) {
        self.log.push((self.elapsed(), packet.clone()));
        match (self.filter)(&packet) {
            Verdict::Pass => {}
            Verdict::Drop => return,
            Verdict::Replace(bytes) => packet.bytes = bytes,
        }
        let mut copies = vec![self.latency];
        let chaos = self.chaos.as_mut();
        if let Some(chaos) = chaos.filter(|_| packet.transport == Transport::Udp) {
            if chaos.byte() < chaos.loss {
                copies.clear();
            }
            if chaos.byte() < chaos.duplicate {
                copies.push(self.latency);
            }
            for copy in &mut copies {
                *copy += chaos.jitter * u32::from(chaos.byte()) / 256;
            }
        }
        for delay in copies {
            self.sequence += 1;
            self.wire
                .insert((self.now + delay, self.sequence), packet.clone());
        }
    }

    fn open(&mut self, host: usize, ike: IkeSaId, local: IpAddr, remote: SocketAddr) {
        self.tcp.asked += 1;
        let known = |(_, other, _, _): &Opening| *other == ike;
        if self.tcp.listens[1 - host] && !self.tcp.opening.values().any(known) {
            self.tcp.ports += 1;
            self.sequence += 1;
            let local = SocketAddr::new(local, 50_000 + self.tcp.ports);
            let at = (self.now + self.latency * 2, self.sequence);
            self.tcp.opening.insert(at, (host, ike, local, remote));
        }
    }

    fn opened(&mut self, (host, ike, local, remote): Opening) {
        self.tcp.open.insert(by_host(host, local, remote));
        let news = Stream::Opened { ike, local, remote };
        self.command(host, Command::Stream(news));
    }

    /// Every connection breaks; these hosts learn of it.
    pub(crate) fn cut(&mut self, told: [bool; 2]) {
        for (a, b) in std::mem::take(&mut self.tcp.open) {
            for host in [A, B].into_iter().filter(|host| told[*host]) {
                let (local, remote) = by_host(host, a, b);
                self.command(host, Command::Stream(Stream::Closed { local, remote }));
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 200_000, "the pair does not come to rest");
            let packet = self.wire.first_key_value().map(|((at, _), _)| *at);
            let opens = self.tcp.opening.first_key_value().map(|((at, _), _)| *at);
            let timers = [A, B].map(|host| self.hosts[host].wait.map(|(at, _)| at));
            let network = packet.into_iter().chain(opens);
            let next = network.chain(timers.into_iter().flatten()).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            if opens == Some(at) {
                if let Some((_, opening)) = self.tcp.opening.pop_first() {
                    self.opened(opening);
                }
                continue;
            }
            if packet == Some(at) {
                if let Some((_, packet)) = self.wire.pop_first() {
                    self.deliver(&packet);
                }
                continue;
            }
            for host in [A, B] {
                if timers[host].is_some_and(|at| at <= self.now) {
                    let now = self.now;
                    self.hosts[host].endpoint.handle_timeout(now);
                    self.drain(host);
                }
            }
        }
        self.now = end;
    }

    /// Brings a child up from A and forgets what it took.
    pub(crate) fn establish(&mut self) {
        self.acquire(A);
        self.run(millis(100));
        self.agree(1);
        for host in &mut self.hosts {
            host.events.clear();
        }
        self.log.clear();
    }

    /// Both ends hold the same pairs with the same keys, so many of them, and each pair sends.
    pub(crate) fn agree(&self, count: usize) {
        self.agree_on_pairs();
        let [a, b] = &self.hosts;
        assert_eq!(a.sad.len(), count, "{}", self.story());
        for host in &self.hosts {
            assert!(
                host.sad.values().all(|one| one.active),
                "a pair does not send\n{}",
                self.story()
            );
        }
        for (one, other) in [(a, b), (b, a)] {
            for status in one.endpoint.status(self.now) {
                let children = status.children.len();
                assert!(
                    children <= one.sad.len(),
                    "{children} children at {:?}",
                    other.wait
                );
            }
        }
    }

    /// Both ends hold the same pairs with the same keys.
    pub(crate) fn agree_on_pairs(&self) {
        let [a, b] = &self.hosts;
        let spis = |host: &Host, swap: bool| -> BTreeSet<(u32, u32)> {
            let pair = |one: &Installed| match swap {
                false => (one.spec.inbound_spi, one.spec.outbound_spi),
                true => (one.spec.outbound_spi, one.spec.inbound_spi),
            };
            host.sad.values().map(pair).collect()
        };
        assert_eq!(
            spis(a, false),
            spis(b, true),
            "the two ends hold different pairs\n{}",
            self.story()
        );
        for one in a.sad.values() {
            let same = |other: &&Installed| other.spec.inbound_spi == one.spec.outbound_spi;
            let other = b.sad.values().find(same).expect("compared above");
            let (ours, theirs) = (&one.spec, &other.spec);
            for (sends, receives) in [
                (&ours.outbound_keys, &theirs.inbound_keys),
                (&theirs.outbound_keys, &ours.inbound_keys),
            ] {
                assert!(sends.encryption.as_bytes() == receives.encryption.as_bytes());
                assert!(sends.integrity.as_bytes() == receives.integrity.as_bytes());
                assert!(!sends.encryption.is_empty());
            }
            assert_eq!(ours.encryption, theirs.encryption);
            assert_eq!(ours.integrity, theirs.integrity);
            assert_eq!((ours.esn, ours.mode), (theirs.esn, theirs.mode));
            assert_eq!(ours.selectors.local, theirs.selectors.remote);
            assert_eq!(ours.selectors.remote, theirs.selectors.local);
            assert!(
                udp(ours) == udp(theirs),
                "one end encapsulates and the other does not"
            );
        }
    }

    /// What happened, for a person.
    pub(crate) fn story(&self) -> String {
        let names = ["A", "B"];
        let tell = |host: usize| {
            let line = move |(at, event): &(Duration, Event)| {
                (*at, format!("{} {at:?} {event}\n", names[host]))
            };
            self.hosts[host].events.iter().map(line)
        };
        let packet = |(at, one): &(Duration, Packet)| {
            let id = u32::from_be_bytes(one.bytes[20..24].try_into().unwrap());
            let kind = if one.is_response() {
                "response"
            } else {
                "request"
            };
            (
                *at,
                format!(
                    "{} {at:?} sends {kind} {} {id}\n",
                    names[one.from],
                    one.exchange()
                ),
            )
        };
        let told = self.told.iter().cloned();
        let mut lines: Vec<_> = told
            .chain(tell(A))
            .chain(tell(B))
            .chain(self.log.iter().map(packet))
            .collect();
        lines.sort_by_key(|line| line.0);
        lines.into_iter().map(|line| line.1).collect()
    }

    /// IKE SAs in use.
    pub(crate) fn ikes(&self, host: usize) -> Vec<IkeStatus> {
        let used =
            |one: &IkeStatus| matches!(one.state, IkeState::Established | IkeState::Rekeying);
        self.hosts[host]
            .endpoint
            .status(self.now)
            .into_iter()
            .filter(used)
            .collect()
    }

    pub(crate) fn ike(&self, host: usize) -> IkeSaId {
        let all = self.ikes(host);
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0].ike
    }

    /// The only child of a host.
    pub(crate) fn child(&self, host: usize) -> ChildId {
        assert_eq!(self.hosts[host].sad.len(), 1);
        *self.hosts[host].sad.keys().next().unwrap()
    }

    pub(crate) fn spec(&self, host: usize) -> &SaSpec {
        &self.hosts[host].sad[&self.child(host)].spec
    }

    /// The first event that fits.
    pub(crate) fn event(&self, host: usize, fits: impl Fn(&Event) -> bool) -> Option<&Event> {
        self.hosts[host]
            .events
            .iter()
            .map(|(_, event)| event)
            .find(|event| fits(event))
    }

    /// When the first event that fits happened.
    pub(crate) fn when(&self, host: usize, fits: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.hosts[host]
            .events
            .iter()
            .find(|(_, event)| fits(event))
            .map(|(at, _)| *at)
    }

    /// Tells a host that its child was used both ways just now.
    pub(crate) fn use_child(&mut self, host: usize, child: ChildId) {
        let usage = Usage {
            inbound_packets: 1,
            outbound_packets: 1,
            last_inbound: Some(self.now),
            last_outbound: Some(self.now),
            ..Usage::default()
        };
        self.command(host, Command::ChildUsage { child, usage });
    }

    /// How many messages a host sent.
    pub(crate) fn sent(&self, host: usize) -> usize {
        self.log
            .iter()
            .filter(|(_, packet)| packet.from == host)
            .count()
    }
}

/// The ends of A and B, or the own one and the other.
fn by_host(host: usize, one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    match host {
        A => (one, other),
        _ => (other, one),
    }
}

fn redirected(
    spec: &SaSpec,
    (local, remote): (IpAddr, IpAddr),
    encapsulation: Encapsulation,
) -> SaSpec {
    SaSpec {
        local,
        remote,
        encapsulation,
        rule: spec.rule.clone(),
        peer: spec.peer.clone(),
        selectors: spec.selectors.clone(),
        inbound_keys: spec.inbound_keys.duplicate(),
        outbound_keys: spec.outbound_keys.duplicate(),
        ..*spec
    }
}

fn udp(spec: &SaSpec) -> bool {
    matches!(spec.encapsulation, Encapsulation::Udp { .. })
}
