//! Many peers in one process: each has an address and an IKE endpoint of its own, and all share
//! two sockets.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Secret, SeededRandom};
use ike::{Acquire, ChildRule, Command, Config, Datagram, Endpoint, Event, Output};
use linux::poll::{Events, Interest, Poller};
use linux::udp::{SocketOptions, UdpSocket};
use linux::{Family, RecvBatch};
use policy::auth::Auth;
use policy::child::ChildTemplate;
use policy::identity::Identity;
use policy::pad::{IkeTemplate, Pad, Peer};
use policy::proposal::IkeProposal;
use policy::range::{AddressRange, PortRange};
use policy::sa::SaSpec;
use policy::selector::{Selectors, TrafficSelector};
use wire::ip::protocol;

use crate::holdfast::PSK;
use crate::host::Host;
use crate::packet::Echo;
use crate::space::Space;
use crate::suite::RULE;

/// Where the peers live, and what lies behind them: each has one inner address.
pub(crate) const PEERS: &str = "10.64.0.0/14";
pub(crate) const INNER: &str = "10.68.0.0/14";
/// The first of these addresses.
const FIRST: u32 = 0x0a40_0000;
const FIRST_INNER: u32 = 0x0a44_0000;
/// Neighbours in number are in different subnets: the responder allows few half-open SAs of one.
const SUBNETS: u32 = 1024;
/// Handshakes under way at a time: below the number from which cookies are asked for.
const AT_ONCE: usize = 48;
/// No handshake takes longer, even on a busy machine.
const STUCK: Duration = Duration::from_secs(60);
const PORTS: [u16; 2] = [500, 4500];

/// What every peer asks for.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) ike: Vec<IkeProposal>,
    pub(crate) child: Arc<ChildTemplate>,
    /// In tunnel mode: the address behind the responder.
    pub(crate) behind: Option<IpAddr>,
    /// Whether the responder will refuse the child, so that an IKE SA alone is what comes of it.
    pub(crate) childless: bool,
}

impl Wish {
    /// Our default algorithms, and transport mode for pings.
    pub(crate) fn pings() -> Self {
        Wish {
            ike: policy::proposal::default_ike(),
            child: Arc::new(ChildTemplate::transport()),
            behind: None,
            childless: false,
        }
    }

    /// What a peer's pair is to carry.
    fn selectors(&self, index: usize, responder: IpAddr) -> Selectors {
        // Protocol 0 is any.
        let (protocol, local, remote) = match self.behind {
            None => (protocol::ICMP, address(index).into(), responder),
            Some(behind) => (0, inner(index).into(), behind),
        };
        let side = |address| {
            vec![TrafficSelector {
                protocol,
                ports: PortRange::ANY,
                addresses: AddressRange::host(address),
            }]
        };
        Selectors {
            local: side(local),
            remote: side(remote),
        }
    }
}

/// One peer.
struct One {
    endpoint: Endpoint,
    wait: Option<Instant>,
    /// It has what it asked for.
    done: bool,
    /// Its SA pair, once it has one.
    spec: Option<Arc<SaSpec>>,
}

/// All of them.
pub(crate) struct Crowd {
    sockets: [UdpSocket; 2],
    poller: Poller,
    responder: IpAddr,
    pad: Arc<Pad>,
    wish: Wish,
    all: Vec<One>,
}

/// A packet that was sent to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// Which peer sent it.
    pub(crate) peer: usize,
    pub(crate) sent: Instant,
    pub(crate) answered: Option<Instant>,
}

impl Crowd {
    /// Nobody yet, in a namespace to which all addresses of [`PEERS`] belong.
    pub(crate) fn new(space: &Space, responder: IpAddr, wish: Wish) -> Result<Self, String> {
        let open = |port| {
            let options = SocketOptions {
                buffer: 64 << 20,
                gro: false,
                ..SocketOptions::default()
            };
            UdpSocket::bind(Family::V4, port, &options).map_err(|why| why.to_string())
        };
        let sockets = space.run(|| PORTS.map(open))?;
        let [ike, encapsulated] = sockets;
        let sockets = [ike?, encapsulated?];
        let poller = Poller::new().map_err(|why| why.to_string())?;
        for socket in &sockets {
            let added = poller.add(socket, 0, Interest::Read);
            added.map_err(|why| why.to_string())?;
        }
        Ok(Crowd {
            sockets,
            poller,
            responder,
            pad: pad(responder, &wish.ike),
            wish,
            all: Vec::new(),
        })
    }

    /// What a peer would say first; none is made.
    pub(crate) fn first_message(&self) -> Result<Vec<u8>, String> {
        let mut one = self.one(0)?;
        while let output = one.endpoint.poll_output()
            && !matches!(output, Output::Wait(_))
        {
            if let Output::Transmit { bytes, .. } = output {
                return Ok(bytes);
            }
        }
        Err("a peer says nothing".into())
    }

    /// How many peers there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Lets peers make IKE SAs with a pair each until there are `count`.
    pub(crate) fn grow(&mut self, count: usize) -> Result<Duration, String> {
        let begun = Instant::now();
        let (mut under_way, mut last) = (BTreeSet::new(), Instant::now());
        while self.all.len() < count || !under_way.is_empty() {
            while self.all.len() < count && under_way.len() < AT_ONCE {
                under_way.insert(self.begin()?);
            }
            let before = under_way.len();
            self.wait(Duration::from_millis(5))?;
            self.receive(|_, _, _| {})?;
            self.fire(&under_way);
            under_way.retain(|index| self.all.get(*index).is_some_and(|one| !one.done));
            if under_way.len() < before {
                last = Instant::now();
            }
            if last.elapsed() > STUCK {
                let done = self.all.len() - under_way.len();
                return Err(format!("handshakes stand still at {done} of {count}"));
            }
        }
        Ok(begun.elapsed())
    }

    /// Sends an echo request each `interval` on the SAs of `peers` in turn, until `end` says so.
    pub(crate) fn probe(
        &mut self,
        peers: &[usize],
        interval: Duration,
        end: impl Fn() -> bool,
    ) -> Result<Vec<Probe>, String> {
        let mut hosts: Vec<Host> = Vec::new();
        for peer in peers {
            let spec = self.all.get(*peer).and_then(|one| one.spec.clone());
            hosts.push(Host::new(spec.ok_or("a peer without a pair")?)?);
        }
        let mut probes: Vec<Probe> = Vec::new();
        let mut next = Instant::now();
        while !end() {
            let now = Instant::now();
            if now >= next && !peers.is_empty() {
                next = now + interval;
                let place = probes.len() % peers.len();
                let echo = self.echo(peers[place], probes.len());
                let sealed = hosts[place].seal(&echo.emit())?;
                probes.push(Probe {
                    peer: peers[place],
                    sent: Instant::now(),
                    answered: None,
                });
                let to = SocketAddr::new(self.responder, PORTS[1]);
                // While nobody has the address nothing can be sent: that is a probe lost.
                let _ = self.sockets[1].send_to(Some(echo.source), to, &sealed);
            }
            self.wait(Duration::from_millis(1))?;
            let responder = self.responder;
            self.receive(|index, address, bytes| {
                let place = peers.iter().position(|peer| *peer == index);
                let Some(host) = place.and_then(|place| hosts.get_mut(place)) else {
                    return;
                };
                let opened = host.open(responder, address, bytes).ok();
                let Some(echo) = opened.and_then(|packet| Echo::parse(&packet)) else {
                    return;
                };
                let number: Option<[u8; 8]> = echo.data.try_into().ok();
                let number = number.map_or(usize::MAX, |n| u64::from_be_bytes(n) as usize);
                if let Some(probe) = probes.get_mut(number) {
                    probe.answered.get_or_insert(Instant::now());
                }
            })?;
        }
        Ok(probes)
    }

    fn echo(&self, peer: usize, number: usize) -> Echo {
        Echo {
            source: address(peer).into(),
            destination: self.responder,
            reply: false,
            identifier: 1,
            sequence: number as u16,
            data: (number as u64).to_be_bytes().to_vec(),
        }
    }

    /// A peer that wants what all want.
    fn one(&self, index: usize) -> Result<One, String> {
        let child = Arc::clone(&self.wish.child);
        let selectors = self.wish.selectors(index, self.responder);
        let rule = ChildRule {
            rule: RULE.into(),
            peer: None,
            child: Arc::clone(&child),
            selectors: selectors.clone(),
        };
        let config = Config::new(Arc::clone(&self.pad), vec![rule]);
        let random = SeededRandom::new(index as u64 + 1);
        let mut endpoint = Endpoint::new(config, Box::new(random));
        let wanted = Acquire {
            rule: RULE.into(),
            peer: "responder".into(),
            local: address(index).into(),
            remote: self.responder,
            flow: None,
            child,
            selectors,
        };
        let command = Command::Acquire(Box::new(wanted));
        endpoint
            .handle_command(command, Instant::now())
            .map_err(|why| why.to_string())?;
        Ok(One {
            endpoint,
            wait: None,
            done: false,
            spec: None,
        })
    }

    /// One more peer sends its first message.
    fn begin(&mut self) -> Result<usize, String> {
        let index = self.all.len();
        let mut one = self.one(index)?;
        one.drain(&self.sockets, self.wish.childless)?;
        self.all.push(one);
        Ok(index)
    }

    fn fire(&mut self, under_way: &BTreeSet<usize>) {
        let now = Instant::now();
        for index in under_way {
            if let Some(one) = self.all.get_mut(*index)
                && one.wait.is_some_and(|at| at <= now)
            {
                one.endpoint.handle_timeout(now);
                let _ = one.drain(&self.sockets, self.wish.childless);
            }
        }
    }

    fn wait(&self, patience: Duration) -> Result<(), String> {
        let mut events = Events::with_capacity(2);
        let waited = self.poller.wait(&mut events, Some(patience));
        waited.map(drop).map_err(|why| why.to_string())
    }

    /// Takes in what is there: IKE goes to its peer, ESP to `esp`.
    fn receive(&mut self, mut esp: impl FnMut(usize, IpAddr, &[u8])) -> Result<(), String> {
        let mut batch = RecvBatch::new(64);
        for (port, socket) in PORTS.iter().zip(&self.sockets) {
            loop {
                match socket.receive(&mut batch) {
                    Ok(_) => {}
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                    Err(why) => return Err(format!("receive: {why}")),
                }
                for datagram in batch.iter() {
                    let index = number(datagram.local);
                    let Some(one) = self.all.get_mut(index) else {
                        continue;
                    };
                    let marked = datagram.bytes.strip_prefix(&[0; 4]);
                    let bytes = match (port, marked) {
                        (500, _) => datagram.bytes,
                        (_, Some(bytes)) => bytes,
                        (_, None) => {
                            esp(index, datagram.local, datagram.bytes);
                            continue;
                        }
                    };
                    let datagram = Datagram {
                        transport: policy::Transport::Udp,
                        local: SocketAddr::new(datagram.local, *port),
                        remote: datagram.remote,
                        bytes,
                    };
                    one.endpoint.handle_datagram(datagram, Instant::now());
                    one.drain(&self.sockets, self.wish.childless)?;
                }
            }
        }
        Ok(())
    }
}

impl One {
    /// Carries out what the peer wants done. A child that is refused is what a `childless` one
    /// waits for.
    fn drain(&mut self, sockets: &[UdpSocket; 2], childless: bool) -> Result<(), String> {
        loop {
            match self.endpoint.poll_output() {
                Output::Wait(wait) => {
                    self.wait = wait.map(|(at, _)| at);
                    return Ok(());
                }
                Output::Transmit {
                    local,
                    remote,
                    bytes,
                    ..
                } => {
                    // What is lost here is sent again.
                    let _ = match local.port() {
                        500 => sockets[0].send_to(Some(local.ip()), remote, &bytes),
                        _ => {
                            let marked = [&[0; 4][..], &bytes].concat();
                            sockets[1].send_to(Some(local.ip()), remote, &marked)
                        }
                    };
                }
                Output::Install(install) => {
                    self.spec = Some(install.spec);
                    self.done = true;
                }
                Output::Event(Event::HandshakeFailed { error, .. }) => {
                    return Err(format!("a handshake failed: {error}"));
                }
                Output::Event(Event::AcquireFailed { error, .. }) => match childless {
                    true => self.done = true,
                    false => return Err(format!("a child was refused: {error}")),
                },
                _ => {}
            }
        }
    }
}

/// The address of a peer.
fn address(index: usize) -> Ipv4Addr {
    let index = index as u32;
    Ipv4Addr::from_bits(FIRST + (index % SUBNETS) * 256 + index / SUBNETS + 1)
}

/// The address behind a peer.
fn inner(index: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(address(index).to_bits() - FIRST + FIRST_INNER)
}

/// The peer with an address.
fn number(address: IpAddr) -> usize {
    let IpAddr::V4(address) = address else {
        return usize::MAX;
    };
    let offset = address.to_bits().wrapping_sub(FIRST);
    let (subnet, host) = (offset / 256, offset % 256);
    match host.checked_sub(1) {
        Some(round) => (round * SUBNETS + subnet) as usize,
        None => usize::MAX,
    }
}

fn pad(responder: IpAddr, proposals: &[IkeProposal]) -> Arc<Pad> {
    Arc::new(Pad::new(vec![Peer {
        name: "responder".into(),
        addresses: vec![AddressRange::host(responder)],
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(PSK.as_bytes())),
        alternatives: Vec::new(),
        ike: IkeTemplate {
            proposals: proposals.to_vec(),
            force_udp: true,
            liveness: None,
            ..IkeTemplate::modern()
        },
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_an_address_of_its_own() {
        for index in [0, 1, 1023, 1024, 99_999, 200_000] {
            assert_eq!(number(address(index).into()), index);
        }
        assert_eq!(address(1024).to_string(), "10.64.0.2");
    }
}
